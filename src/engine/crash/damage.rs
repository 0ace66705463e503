//! One flipped bit, anywhere: it is detected, or it is harmless.

use super::drive::{Store, Subject};
use super::model::{Map, Model};
use super::world::{KEYS, Step, World, key};
use crate::engine::disk::Simulated;
use crate::engine::{EngineError, SyncPolicy};
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Bits flipped per world.
const PLACES: usize = 20;

/// What came of flipped bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// The store did not open, and said which file is damaged.
    pub refused: u64,
    /// Some reads failed and named the file; all others were right.
    pub detected: u64,
    /// The end of the log was taken for torn: the state is an earlier one.
    pub cut: u64,
    pub harmless: u64,
    /// The most keys that one flipped bit has taken.
    pub most_keys: u64,
}

/// The log of a store: the only file whose end may vanish without a word, because who reads it
/// cannot tell a damaged last record from one that was never finished.
#[derive(Clone, Copy)]
pub struct LogKind {
    /// The kind of its files.
    pub kind: &'static str,
    /// Whether a record tells that those before it were durable, so that their loss is noticed.
    pub proves: bool,
}

/// By kind of file: its name without digits.
pub type Sightings = BTreeMap<String, Seen>;

/// Flips bits in what the worlds of these seeds leave behind.
pub fn damage(
    test: &str,
    seeds: Range<u64>,
    subject: impl Fn(u64) -> Box<dyn Subject>,
    log: LogKind,
) -> Sightings {
    let mut sightings = Sightings::new();
    for seed in seeds {
        let subject = subject(seed);
        let (disk, model) = prepare(subject.as_ref(), seed, log);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        for _ in 0..PLACES {
            let (path, offset, bit) = place(&disk, &mut rng);
            let kind = kind(&path);
            let damaged = disk.clone_state();
            assert!(damaged.flip(&path, offset, bit));
            let seen = sightings.entry(kind.clone()).or_default();
            let look = || look(subject.as_ref(), &damaged, &path, &model, kind == log.kind, seen);
            let outcome = catch_unwind(AssertUnwindSafe(look));
            let outcome = outcome.unwrap_or_else(|_| Err("a panic".to_string()));
            if let Err(what) = outcome {
                panic!(
                    "{}: bit {bit} of byte {offset} of {} flipped: {what}\nagain: \
                     QUORATE_CRASH_SEED={seed} QUORATE_CRASH_WORLDS=1 cargo test --lib {test}",
                    subject.name(),
                    path.display()
                );
            }
        }
    }
    sightings
}

/// Takes the steps of a world to a clean end. What the log can prove, or a flush has taken over, is
/// durable.
fn prepare(subject: &dyn Subject, seed: u64, log: LogKind) -> (Simulated, Model) {
    let mut proven_by_next = false;
    let (disk, mut model) = (Simulated::new(seed), Model::default());
    let store = subject.open(&disk).unwrap();
    let lives = World::new(seed).lives;
    for step in lives.iter().flat_map(|life| &life.steps) {
        match step {
            Step::Commit(changes, sync) => {
                let batch: Vec<_> = changes.iter().map(|change| change.write()).collect();
                store.commit(batch.clone(), *sync).unwrap();
                if std::mem::take(&mut proven_by_next) {
                    model.make_durable();
                }
                model.acknowledge(batch);
                let synced = sync.unwrap_or(subject.sync()) == SyncPolicy::Always;
                proven_by_next = synced && log.proves;
            }
            Step::Flush => {
                store.flush().unwrap();
                proven_by_next = false;
                model.make_durable();
            }
            Step::Settle => store.settle().unwrap(),
            Step::Get(_) | Step::Scan | Step::Reopen => {}
        }
    }
    store.close().unwrap();
    drop(store);
    (disk, model)
}

fn kind(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    name.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// Every kind of file equally often; its start, its end and what is between equally often.
fn place(disk: &Simulated, rng: &mut impl Rng) -> (PathBuf, u64, u32) {
    let mut files = disk.files();
    files.retain(|(_, bytes)| *bytes > 0);
    let kinds: BTreeSet<String> = files.iter().map(|(path, _)| kind(path)).collect();
    let chosen = kinds.iter().nth(rng.random_range(0..kinds.len())).unwrap();
    files.retain(|(path, _)| kind(path) == *chosen);
    let (path, bytes) = files.swap_remove(rng.random_range(0..files.len()));
    let content = disk.read_raw(&path).unwrap();
    // Behind the last byte that is not zero there is room that was never used.
    let used = content.iter().rposition(|byte| *byte != 0).map_or(bytes, |at| at as u64 + 1);
    let range = match rng.random_range(0..7) {
        0..2 => 0..used.min(128),
        2..4 => used.saturating_sub(128)..used,
        4..6 => 0..used,
        _ => 0..bytes,
    };
    (path, rng.random_range(range), rng.random_range(0..8))
}

fn look(
    subject: &dyn Subject,
    damaged: &Simulated,
    path: &std::path::Path,
    model: &Model,
    may_lose: bool,
    seen: &mut Seen,
) -> Result<(), String> {
    let name = path.file_name().unwrap().to_string_lossy();
    let named = |error: EngineError| {
        let text = error.to_string();
        // A record that is missing between two segments may have been at the end of either.
        let in_log = may_lose && text.contains(kind(path).as_str());
        if in_log || text.contains(&*name) {
            Ok(())
        } else {
            Err(format!("it is not named: {text}"))
        }
    };
    let store = match subject.open(damaged) {
        Ok(store) => store,
        Err(error) => {
            seen.refused += 1;
            return named(error);
        }
    };
    let (found, failed) = read(store.as_ref(), &named)?;
    if failed.is_empty() {
        let kept = model.clone().judge(&found, false)?;
        let lost = model.behind() - kept;
        if lost > 0 && !may_lose {
            return Err(format!("{lost} commits are lost without a word"));
        }
        *(if lost > 0 { &mut seen.cut } else { &mut seen.harmless }) += 1;
        return Ok(());
    }
    seen.detected += 1;
    seen.most_keys = seen.most_keys.max(failed.len() as u64);
    let readable = |map: &Map| -> Map {
        let kept = map.iter().filter(|(key, _)| !failed.contains(*key));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    match super::model::compare(&readable(model.now()), &found) {
        (0, _) => Ok(()),
        (_, first) => Err(format!("a wrong value beside the damage: {first}")),
    }
}

/// Everything that can be read, and the keys that cannot.
fn read(
    store: &dyn Store,
    named: &impl Fn(EngineError) -> Result<(), String>,
) -> Result<(Map, BTreeSet<bytes::Bytes>), String> {
    let (mut found, mut failed) = (Map::new(), BTreeSet::new());
    for key in (0..KEYS).map(key) {
        match store.get(&key) {
            Ok(Some(value)) => drop(found.insert(key, value)),
            Ok(None) => {}
            Err(error) => {
                named(error)?;
                failed.insert(key);
            }
        }
    }
    match store.everything() {
        Ok(scanned) => {
            let scanned: Map = scanned.into_iter().collect();
            let agrees = |(key, value)| found.get(key) == Some(value) || failed.contains(key);
            if !scanned.iter().all(agrees) || !found.keys().all(|key| scanned.contains_key(key)) {
                return Err("a scan and point reads disagree".to_string());
            }
        }
        Err(error) => named(error)?,
    }
    Ok((found, failed))
}
