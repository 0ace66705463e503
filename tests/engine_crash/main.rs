//! `kill -9` in the middle of anything: every acknowledged write is found again.
//!
//! ```text
//!   cycle:  victim writes ── kill ──► log's tail damaged? ──► victim opens ── kill? ──► judge
//!                                                                                        │
//!   judge:  verify and read the folder as it lies ─► open ─► scan, get, multi_get, peek ─┤
//!           all against the model ◄── verify ◄── close ◄─────────────────────────────────┘
//! ```
//!
//! The test runs its own binary a second time as the victim. A process that is killed loses nothing
//! of what it gave the operating system, so an acknowledged write has to be there at every setting
//! of `sync`; what a power failure takes is the matter of the simulated disk in the engine. The
//! folder and the model go on from cycle to cycle, at times under other settings. In style it is
//! RocksDB's `db_crashtest.py`.
//!
//! `QUORATE_CRASH_CYCLES` and `QUORATE_CRASH_SEED` play more cycles and others. Settings, batches
//! and moments of the kills follow from the seed, but what the threads have done by then does not:
//! a failure need not come again. So the folder of a failure is kept, with a copy from before the
//! judge opened it.
#![allow(clippy::unwrap_used)]

mod model;
mod plants;
mod settings;
mod victim;

use model::{Entries, Model, WRITERS, World};
use quorate::engine::inspect::{Content, Inspection, Survey};
use quorate::engine::{Engine, Peek};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use settings::Settings;
use std::fs::{self, OpenOptions};
use std::ops::Bound::Unbounded;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use victim::{Moment, Place, Plan, Stage};

pub const TEST: &str = "acknowledged_writes_survive_kill_9";
/// Of a plain `cargo test`: every strategy and every durability.
const CYCLES: u64 = 10;
/// Cycles of a folder: of the first ones, so that they show every strategy, and of those behind.
const LIFE_FIRST: u64 = 2;
const LIFE: u64 = 10;

/// The engine's folder as the last kill left it, for whoever looks into a failure.
const AS_IT_WAS: &str = "as_it_was";

/// What a run has seen, for the line that ends it.
#[derive(Default, Debug)]
struct Seen {
    cycles: u64,
    acknowledged_batches: u64,
    entries_compared: u64,
    /// At the end of each cycle: tables, those of them that a compaction wrote or moved, and files
    /// of large values.
    tables: u64,
    tables_below_level0: u64,
    blob_files: u64,
    kills_while_writing: u64,
    kills_while_opening: u64,
    kills_before_opening: u64,
    damaged_tails: u64,
    other_settings: u64,
}

/// One folder and what is to be found in it.
struct Case {
    folder: tempfile::TempDir,
    settings: Settings,
    /// What the last victim wrote under.
    written_under: Settings,
    model: Model,
}

impl Case {
    fn new(turn: u64, random: &mut Xoshiro256PlusPlus) -> Self {
        let born_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let slots = [100, 500, 1_500][random.random_range(0..3)];
        let world = World { seed: random.random(), slots, born_s };
        let settings = Settings::draw(turn, random);
        Case {
            folder: tempfile::tempdir().unwrap(),
            written_under: settings.clone(),
            settings,
            model: Model::new(world),
        }
    }

    fn place(&self) -> Place {
        Place(self.folder.path().to_path_buf())
    }

    /// Otherwise the victim may have been killed before there was anything to look at.
    fn has_batches(&self) -> bool {
        self.model.batches() != [0; WRITERS]
    }

    fn run_victim(&mut self, moment: Moment) -> Result<Stage, String> {
        self.written_under = self.settings.clone();
        let plan = Plan { settings: self.settings.clone(), world: self.model.world, moment };
        let killed = victim::run(&self.place(), &plan, self.model.batches())?;
        self.model.acknowledge(killed.acknowledged);
        Ok(killed.stage)
    }

    /// When the victim that writes is killed.
    fn moment(&self, random: &mut Xoshiro256PlusPlus) -> Moment {
        let writer = random.random_range(0..WRITERS);
        let done = self.model.batches()[writer];
        let large = || {
            let skipped = (done + 1..).filter(|n| self.model.world.is_large(writer, *n));
            skipped.take(3).last().unwrap_or(done + 1)
        };
        match random.random_range(0..10) {
            0..4 => Moment::Acks(random.random_range(1..4_000)),
            4..7 => Moment::Opens { us: random.random_range(0..500_000) },
            7 => Moment::After { writer, n: large() },
            _ => Moment::During { writer, n: large(), us: random.random_range(0..3_000) },
        }
    }

    fn cycle(&mut self, random: &mut Xoshiro256PlusPlus, seen: &mut Seen) -> Result<(), String> {
        let moment = self.moment(random);
        self.kill(moment, seen)?;
        let damaged = random.random_bool(0.3) && self.has_batches();
        // Of its own: what it draws depends on the log that it finds.
        let mut garbage = Xoshiro256PlusPlus::seed_from_u64(random.random());
        if damaged && damage_tail(&self.place().engine(), &mut garbage)? {
            seen.damaged_tails += 1;
        }
        if random.random_bool(0.4) {
            for _ in 0..random.random_range(1..4) {
                let us = random.random_range(0..30_000);
                let at_once = random.random_bool(0.3);
                self.kill(
                    if at_once { Moment::Started { us } } else { Moment::Opens { us } },
                    seen,
                )?;
            }
        }
        if random.random_bool(0.25) {
            self.settings = Settings::redraw(random);
            seen.other_settings += 1;
        }
        copy(&self.place().engine(), &self.folder.path().join(AS_IT_WAS));
        self.judge(seen)?;
        seen.cycles += 1;
        Ok(())
    }

    fn kill(&mut self, moment: Moment, seen: &mut Seen) -> Result<(), String> {
        let before = self.model.batches().iter().sum::<u64>();
        match self.run_victim(moment)? {
            Stage::Started => seen.kills_before_opening += 1,
            Stage::Opens => seen.kills_while_opening += 1,
            Stage::Writes => seen.kills_while_writing += 1,
        }
        seen.acknowledged_batches += self.model.batches().iter().sum::<u64>() - before;
        Ok(())
    }

    /// Looks at the folder as it lies, opens it, compares everything, closes it and looks again.
    fn judge(&mut self, seen: &mut Seen) -> Result<(), String> {
        let dir = self.place().engine();
        if self.has_batches() {
            seen.entries_compared += self.judge_lying(&dir)?;
        }
        let engine = self.settings.open(&dir).map_err(text)?;
        let opened = self.judge_open(engine.as_ref());
        engine.close().map_err(text)?;
        seen.entries_compared += opened?;
        let survey = Inspection::open(&dir).map_err(text)?.verify();
        sound("as it was closed", &survey)?;
        let below = survey.tables.iter().filter(|table| table.place.is_some_and(|at| at.0 > 0));
        seen.tables_below_level0 += below.count() as u64;
        seen.tables += survey.tables.len() as u64;
        seen.blob_files += survey.blobs.len() as u64;
        Ok(())
    }

    fn judge_lying(&mut self, dir: &Path) -> Result<u64, String> {
        let folder = Inspection::open(dir).map_err(text)?;
        sound("as it was left", &folder.verify())?;
        let mut found = Entries::new();
        for entry in folder.entries(Unbounded, Unbounded).map_err(text)? {
            let entry = entry.map_err(text)?;
            let Content::Value(value) = entry.content else {
                return Err(format!("as it was left: {entry:?} is not a value"));
            };
            found.insert(entry.key, value);
        }
        self.model.judge(&found).map_err(|what| format!("as it was left: {what}"))?;
        Ok(found.len() as u64)
    }

    fn judge_open(&mut self, engine: &dyn Engine) -> Result<u64, String> {
        let found = engine.scan(Unbounded, Unbounded, usize::MAX).map_err(text)?;
        let found: Entries = found.into_iter().collect();
        self.model.judge(&found).map_err(|what| format!("scan: {what}"))?;
        let slots = self.model.world.slots;
        let keys = (0..slots).flat_map(|slot| (0..WRITERS).map(move |w| model::key(w, slot)));
        let keys: Vec<_> = keys.collect();
        let (mut gets, mut peeks) = (Entries::new(), Entries::new());
        for key in &keys {
            let got = engine.get(key).map_err(text)?;
            let peeked = match engine.peek(key).map_err(text)? {
                Peek::Found(value) => Some(value),
                Peek::Absent => None,
                Peek::OnDisk => got.clone(),
            };
            gets.extend(got.map(|value| (key.clone(), value)));
            peeks.extend(peeked.map(|value| (key.clone(), value)));
        }
        self.model.judge(&gets).map_err(|what| format!("get: {what}"))?;
        self.model.judge(&peeks).map_err(|what| format!("peek: {what}"))?;
        let mut many = Entries::new();
        for keys in keys.chunks(100) {
            let asked: Vec<_> = keys.iter().map(|key| &key[..]).collect();
            let values = engine.multi_get(&asked).map_err(text)?;
            let pairs = keys.iter().zip(values);
            many.extend(pairs.filter_map(|(key, value)| Some((key.clone(), value?))));
        }
        self.model.judge(&many).map_err(|what| format!("multi_get: {what}"))?;
        Ok((found.len() + gets.len() + peeks.len() + many.len()) as u64)
    }

    /// The failure of a cycle, with all that is needed to look into it.
    fn failed(self, seed: u64, cycle: u64, what: &str) -> ! {
        let settings = [&self.written_under, &self.settings]
            .map(|settings| serde_json::to_string(settings).unwrap());
        let [written, opened] = settings;
        let (world, batches) = (self.model.world, self.model.batches());
        let kept = self.folder.keep();
        panic!(
            "seed {seed}, cycle {cycle}: {what}\nwritten under: {written}\n\
             opened under: {opened}\nbatches: {batches:?} of \
             {world:?}\nthe folder: {}\nplay: QUORATE_CRASH_SEED={seed} QUORATE_CRASH_CYCLES={} \
             cargo test --test engine_crash",
            kept.display(),
            cycle + 1
        )
    }
}

/// Copies the files of a folder, if there is one, into another that is new afterwards.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Refuses a folder with a damage.
fn sound(when: &str, survey: &Survey) -> Result<(), String> {
    let damage: Vec<_> = survey.damage.iter().map(text).chain(survey.unchecked.clone()).collect();
    if damage.is_empty() { Ok(()) } else { Err(format!("{when}: {}", damage.join("; "))) }
}

/// The newest segment of the log with records, and where they end.
fn log_end(dir: &Path) -> Result<Option<(PathBuf, u64)>, String> {
    let survey = Inspection::open(dir).map_err(text)?.stats();
    let last = survey.log.and_then(|log| log.segments.last().cloned());
    Ok(last.map(|segment| (dir.join(segment.name), segment.bytes)))
}

/// Half a record behind the log's end, as a write that was cut short leaves it: garbage, a piece of
/// the log's own, or zeros; in a file that may be shorter than it was made. Whether there was a
/// log.
fn damage_tail(dir: &Path, random: &mut Xoshiro256PlusPlus) -> Result<bool, String> {
    let Some((path, end)) = log_end(dir)? else { return Ok(false) };
    let bytes = random.random_range(1..2_000);
    let mut garbage = vec![0; bytes];
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    match random.random_range(0..3) {
        0 => random.fill(&mut garbage[..]),
        1 => {
            let from = random.random_range(0..end);
            garbage.truncate((end - from) as usize);
            file.read_exact_at(&mut garbage, from).unwrap();
        }
        _ => {}
    }
    file.write_all_at(&garbage, end).unwrap();
    if random.random_bool(0.3) {
        file.set_len(end + random.random_range(0..=garbage.len() as u64)).unwrap();
    }
    Ok(true)
}

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is `{value}`; allowed: a number")))
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    if let Some(folder) = std::env::var_os(victim::VICTIM) {
        return victim::write_until_killed(Path::new(&folder));
    }
    let seed = from_environment("QUORATE_CRASH_SEED").unwrap_or(2026);
    let cycles = from_environment("QUORATE_CRASH_CYCLES");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut seen = Seen::default();
    let (mut case, mut turn) = (Case::new(0, &mut random), 0);
    for cycle in 0..cycles.unwrap_or(CYCLES) {
        if cycle > 0 && cycle.is_multiple_of(if cycle < CYCLES { LIFE_FIRST } else { LIFE }) {
            turn += 1;
            case = Case::new(turn, &mut random);
        }
        if let Err(what) = case.cycle(&mut random, &mut seen) {
            case.failed(seed, cycle, &what);
        }
    }
    // Kills before the first write, or of an engine that compacts nothing, would prove little.
    assert!(seen.kills_while_writing > 0 && seen.acknowledged_batches > 0, "{seen:?}");
    assert!(seen.tables_below_level0 > 0, "{seen:?}");
    if cycles.is_some() {
        use std::io::Write;
        writeln!(std::io::stderr(), "{seen:#?}").unwrap();
    }
}
