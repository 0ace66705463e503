//! Flipped bits and cut files, at random places of every kind of file: an error that names the
//! file, or no harm. Never a panic, never a wrong value.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;
use std::fs;

type Content = BTreeMap<Bytes, Bytes>;

const KEYS: u32 = 150;

fn key(number: u32) -> Bytes {
    Bytes::from(format!("key {:03}", number % KEYS))
}

fn open(dir: &Path) -> Result<Lsm, EngineError> {
    let options = Options { sync: SyncPolicy::Always, ..options() };
    open_with(options, dir, Box::new(Eager { at: 3 }))
}

/// A folder with tables on two levels, a manifest of several edits, and records in the log. The
/// second answer is the content after each commit.
fn history() -> (tempfile::TempDir, Vec<Content>) {
    let dir = folder();
    let lsm = open(dir.path()).unwrap();
    let (mut content, mut contents) = (Content::new(), vec![Content::new()]);
    for number in 0..400 {
        let value = Bytes::from(format!("value {number} {}", "x".repeat(30)));
        let gone = key(number * 7);
        content.insert(key(number), value.clone());
        content.remove(&gone);
        lsm.commit(vec![put(key(number), value), remove(gone)]).unwrap();
        contents.push(content.clone());
        if [100, 200, 300, 350].contains(&number) {
            lsm.flush().unwrap();
            lsm.settle().unwrap();
        }
    }
    (crash(&lsm), contents)
}

/// What may be answered is an error or exactly one of the states in `allowed`.
fn check(dir: &Path, damaged: &Path, allowed: &[Content], what: &str) {
    let name = damaged.file_name().unwrap().to_str().unwrap();
    let lsm = match open(dir) {
        Ok(lsm) => lsm,
        Err(error) => {
            let names = [name, "wal", "table"].iter().any(|n| error.to_string().contains(n));
            assert!(names, "{what}: {error}");
            return;
        }
    };
    let mut possible: Vec<&Content> = allowed.iter().collect();
    for number in 0..KEYS {
        match lsm.get(&key(number)) {
            Ok(found) => possible.retain(|content| content.get(&key(number)) == found.as_ref()),
            Err(error) => assert!(error.to_string().contains(name), "{what}: {error}"),
        }
        assert!(!possible.is_empty(), "{what}: a wrong value of key {number}");
    }
    if let Ok(found) = lsm.scan(Bound::Unbounded, Bound::Unbounded, usize::MAX) {
        let found: Content = found.into_iter().collect();
        assert!(possible.contains(&&found), "{what}: a wrong scan");
    }
}

fn damage(extension: &str, seed: u64, rounds: u32, allowed_when_cut: usize) {
    let (dir, contents) = history();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut victims = files_of(dir.path(), extension);
    if victims.is_empty() {
        victims.push(dir.path().join(files::CURRENT));
    }
    for round in 0..rounds {
        let copied = copy(dir.path());
        let victim = &victims[random.random_range(0..victims.len())];
        let path = copied.path().join(victim.file_name().unwrap());
        let mut bytes = fs::read(&path).unwrap();
        // Behind the last record a segment is zeros; damage there would be tried too often.
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 10;
        let at = random.random_range(0..used.min(bytes.len()));
        let cut = round % 3 == 0;
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        fs::write(&path, bytes).unwrap();
        // A damaged last record is a torn one: the state before it is the one that was promised.
        let allowed = if cut { allowed_when_cut } else { 2 };
        let allowed = &contents[contents.len().saturating_sub(allowed)..];
        check(copied.path(), &path, allowed, &format!("{path:?}, byte {at}, cut: {cut}"));
    }
}

#[test]
fn damaged_tables_are_noticed() {
    damage("table", 1, 600, 1);
}

#[test]
fn damaged_manifests_are_noticed() {
    damage("manifest", 2, 400, 1);
}

#[test]
fn a_damaged_current_is_noticed() {
    damage("current", 3, 40, 1);
}

/// A log that was cut is a shorter history, never another one.
#[test]
fn damaged_segments_are_noticed() {
    damage("wal", 4, 600, usize::MAX);
}
