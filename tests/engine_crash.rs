//! `kill -9` in the middle of writes at `sync: always`: every acknowledged write is found again.
//!
//! The test runs its own binary a second time as the victim. The victim writes from four threads
//! and tells each acknowledgement on its standard output; the parent kills it after a seeded
//! number of them, damages the log's tail in every other round, and opens what is left.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use quorate::engine::{self, Config, Engine, LsmConfig, Write};
use quorate_strategies::Choice;
use quorate_strategies::compaction::Compaction;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Set in the victim: the folder of its engine.
const VICTIM: &str = "QUORATE_TEST_CRASH_VICTIM";
const WRITERS: usize = 4;
const KEYS: u64 = 300;
/// A victim ends by itself after so many writes per thread.
const WRITES_MAX: u64 = 20_000;

/// Small memtables and segments, so that flushes, compactions and new segments happen all the time.
fn open(dir: &Path) -> Arc<dyn Engine> {
    let config = LsmConfig { memtable_mib: 1, wal_segment_mib: 1, ..LsmConfig::default() };
    let settings = serde_json::json!({"level0_tables": 2, "base_mib": 1, "table_mib": 1});
    let settings = settings.as_object().unwrap().clone();
    let picker = Choice::<Compaction>::new("leveled", settings).unwrap().build();
    engine::open(&Config::Lsm(config), dir, picker).unwrap()
}

fn count_key(writer: usize) -> Bytes {
    format!("count {writer}").into()
}

fn slot_key(writer: usize, slot: u64) -> Bytes {
    format!("slot {writer} {slot}").into()
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// The writer's last write, which is in its own key and in one of its slots: one batch.
fn count(engine: &dyn Engine, writer: usize) -> u64 {
    engine.get(&count_key(writer)).unwrap().map_or(0, |value| number(&value))
}

fn write_until_killed(dir: &Path) {
    let engine = open(dir);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let engine = &engine;
            scope.spawn(move || {
                let start = count(engine.as_ref(), writer) + 1;
                for n in start..start + WRITES_MAX {
                    let slot = Bytes::from(format!("{n} {}", "x".repeat(500)));
                    let writes = vec![
                        Write::Put { key: count_key(writer), value: n.to_string().into() },
                        Write::Put { key: slot_key(writer, n % KEYS), value: slot },
                    ];
                    engine.commit(writes).unwrap();
                    // A reader that has gone is a parent that has gone: end.
                    if writeln!(std::io::stdout(), "ack {writer} {n}").is_err() {
                        std::process::exit(0);
                    }
                }
            });
        }
    });
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["acknowledged_writes_survive_kill_9", "--exact", "--nocapture"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the victim after `acks` acknowledgements and brings the last one of each writer up to
/// date.
fn kill_after(mut victim: Child, acks: usize, last: &mut [u64; WRITERS]) {
    let mut seen = 0;
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    // What was told before the kill is still in the pipe and counts.
    for line in lines {
        let line = line.unwrap();
        let mut words = line.split(' ').skip_while(|word| !word.ends_with("ack")).skip(1);
        let (Some(writer), Some(n)) = (words.next(), words.next()) else { continue };
        last[writer.parse::<usize>().unwrap()] = n.parse().unwrap();
        seen += 1;
        if seen == acks {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    assert!(seen >= acks, "the victim ended by itself after {seen} acknowledgements");
}

fn last_segment(dir: &Path) -> std::path::PathBuf {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "wal")).max().unwrap()
}

/// Half a record behind the log's end, as a crash in the middle of a write leaves it: garbage, or
/// a file that is shorter than it was made.
fn tear_tail(dir: &Path, random: &mut Xoshiro256PlusPlus) {
    let path = last_segment(dir);
    let bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut garbage = vec![0; random.random_range(1..2_000)];
    random.fill(&mut garbage[..]);
    file.write_all_at(&garbage, end).unwrap();
    if random.random_bool(0.5) {
        file.set_len(end + random.random_range(0..garbage.len() as u64)).unwrap();
    }
}

/// Each writer's batches are whole, and none that was acknowledged is missing. What was logged
/// without being acknowledged counts from now on: nobody may lose it again.
fn check(dir: &Path, acknowledged: &mut [u64; WRITERS], round: u64) {
    let engine = open(dir);
    for (writer, acknowledged) in acknowledged.iter_mut().enumerate() {
        let count = count(engine.as_ref(), writer);
        let possible = *acknowledged..=*acknowledged + 1;
        assert!(possible.contains(&count), "round {round}: {count}, acknowledged {acknowledged}");
        *acknowledged = count;
        for slot in 0..KEYS {
            let newest = (0..=count).rev().take(KEYS as usize).find(|n| n % KEYS == slot && *n > 0);
            let found = engine.get(&slot_key(writer, slot)).unwrap().map(|value| number(&value));
            assert_eq!(found, newest, "round {round}, writer {writer}, slot {slot}");
        }
    }
    engine.close().unwrap();
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        return write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2026);
    let mut acknowledged = [0; WRITERS];
    for round in 0..8 {
        kill_after(spawn(dir.path()), random.random_range(1..4_000), &mut acknowledged);
        if round % 2 == 1 {
            tear_tail(dir.path(), &mut random);
        }
        check(dir.path(), &mut acknowledged, round);
    }
}
