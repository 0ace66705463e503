//! A machine's disk, and the engine on it: an append-only log of checksummed batches with an index
//! in memory, replayed whenever the machine starts.
//!
//! ```text
//!   log   [length 4][xxh3 8][entries]  [length][xxh3][entries]  …│…        │ what the device
//!                                                              synced      │ was told to keep
//!   entry [key length 4][value length 4][xxh3 8][key][value]
//! ```
//!
//! It keeps the promises of [`Engine`] and has the weaknesses of a real disk: a power cut loses
//! what was not synchronised and may tear the last batch, bits rot, space ends.

use crate::engine::{Config, Engine, EngineError, Peek, Stats, SyncPolicy, Write};
use bytes::Bytes;
use parking_lot::Mutex;
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::ops::Bound;
use xxhash_rust::xxh3::xxh3_64;

const HEAD: usize = 12;
const ENTRY_HEAD: usize = 16;
/// A log is rewritten when it is longer than this and most of it is dead.
const REWRITE_BYTES: usize = 1 << 20;

/// What an acknowledged write means on this disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    Log(SyncPolicy),
    /// What is not synchronised is in the memory of the process.
    Buffered(SyncPolicy),
    /// Nothing survives the process.
    Memory,
}

impl Durability {
    pub fn of(engine: &Config) -> Self {
        match engine {
            Config::Memory => Durability::Memory,
            Config::Lsm(lsm) => Durability::Log(lsm.sync),
            Config::Hash(hash) => Durability::Log(hash.sync),
            Config::Btree(btree) if btree.sync == SyncPolicy::Always => {
                Durability::Log(SyncPolicy::Always)
            }
            Config::Btree(btree) => Durability::Buffered(btree.sync),
        }
    }

    pub fn syncs_at_intervals(self) -> bool {
        match self {
            Durability::Log(policy) | Durability::Buffered(policy) => {
                policy == SyncPolicy::Interval
            }
            Durability::Memory => false,
        }
    }
}

pub(super) struct Disk {
    name: String,
    durability: Durability,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: Vec<u8>,
    synced: usize,
    index: BTreeMap<Bytes, Span>,
    live_bytes: usize,
    full: bool,
    read_only: Option<String>,
    stats: Stats,
}

/// Where a key's newest entry lies in the log.
#[derive(Clone, Copy)]
struct Span {
    at: usize,
    length: usize,
}

impl Disk {
    pub fn new(name: String, durability: Durability) -> Self {
        Disk { name, durability, state: Mutex::default() }
    }

    /// Further commits fail, or succeed again once the node is restarted.
    pub fn set_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// Makes durable what was committed.
    pub fn sync(&self) {
        let mut state = self.state.lock();
        state.synced = state.log.len();
        state.stats.wal_syncs += 1;
    }

    /// The process died while `batch` was on its way: some of its bytes, all, or none were written.
    pub fn interrupt(&self, batch: &[Write], random: &mut impl Rng) {
        if !matches!(self.durability, Durability::Log(_)) || batch.is_empty() {
            return;
        }
        let bytes = encode(batch);
        let kept = match random.random_range(0..3) {
            0 => 0,
            1 => bytes.len(),
            _ => random.random_range(0..bytes.len()),
        };
        self.state.lock().log.extend_from_slice(&bytes[..kept]);
    }

    /// The machine lost power: what was not synchronised is there in part, from its beginning.
    pub fn lose_power(&self, random: &mut impl Rng) {
        let mut state = self.state.lock();
        let kept = random.random_range(state.synced..=state.log.len());
        state.log.truncate(kept);
    }

    /// The process is gone: from now on the disk shows what the next one will find.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        if self.durability == Durability::Memory {
            *state = State { full: state.full, ..State::default() };
        }
        if matches!(self.durability, Durability::Buffered(_)) {
            let synced = state.synced;
            state.log.truncate(synced);
        }
        // Damage is for the next start to tell.
        let _ = replay(&mut state);
    }

    /// Flips one bit somewhere. False: there is none.
    pub fn rot(&self, random: &mut impl Rng) -> bool {
        let mut state = self.state.lock();
        if state.log.is_empty() {
            return false;
        }
        let at = random.random_range(0..state.log.len());
        state.log[at] ^= 1 << random.random_range(0..8);
        true
    }

    /// Everything is gone: a new disk.
    pub fn replace(&self) {
        *self.state.lock() = State::default();
    }

    /// What a start does: replays the log, cuts a torn tail off, and takes writes again.
    ///
    /// # Errors
    /// A damaged batch that is not the last one.
    pub fn open(&self) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if self.durability == Durability::Memory {
            *state = State { full: state.full, ..State::default() };
        }
        state.read_only = None;
        let end = replay(state).map_err(|at| self.corrupt(at, "a batch with its checksum"))?;
        state.log.truncate(end);
        state.synced = end;
        Ok(())
    }

    fn corrupt(&self, at: usize, expected: &str) -> EngineError {
        EngineError::Corrupt {
            path: self.name.clone(),
            offset: at as u64,
            expected: expected.to_string(),
            found: "another one".to_string(),
        }
    }

    fn read(&self, state: &State, span: Span) -> Result<Bytes, EngineError> {
        let entry = state.log.get(span.at..span.at + span.length).and_then(entry);
        match entry.filter(|entry| entry.is_intact()) {
            Some(entry) => Ok(Bytes::copy_from_slice(entry.value)),
            None => Err(self.corrupt(span.at, "an entry with its checksum")),
        }
    }
}

/// Fills the index from the log. The answer is where the last whole batch ends, or, as an error,
/// where a damaged one begins that is not the last.
fn replay(state: &mut State) -> Result<usize, usize> {
    state.index.clear();
    state.live_bytes = 0;
    let mut at = 0;
    while at < state.log.len() {
        match check(&state.log[at..]) {
            Ok(length) => {
                index(state, at + HEAD, at + HEAD + length);
                at += HEAD + length;
            }
            Err(Damage::Torn) => break,
            Err(Damage::Checksum { length }) if at + HEAD + length == state.log.len() => break,
            Err(Damage::Checksum { .. }) => return Err(at),
        }
    }
    Ok(at)
}

enum Damage {
    Torn,
    Checksum { length: usize },
}

/// The length of the entries of the batch at the beginning of `log`.
fn check(log: &[u8]) -> Result<usize, Damage> {
    if log.len() < HEAD {
        return Err(Damage::Torn);
    }
    let length = number(log, 0);
    let Some(entries) = log.get(HEAD..HEAD + length) else { return Err(Damage::Torn) };
    let sum = u64::from_le_bytes(log[4..HEAD].try_into().unwrap_or_default());
    if sum == xxh3_64(entries) { Ok(length) } else { Err(Damage::Checksum { length }) }
}

fn number(log: &[u8], at: usize) -> usize {
    let bytes = log[at..at + 4].try_into().unwrap_or_default();
    u32::from_le_bytes(bytes) as usize
}

fn checksum(key: &[u8], value: &[u8]) -> u64 {
    xxh3_64(key).rotate_left(1) ^ xxh3_64(value)
}

struct Entry<'a> {
    key: &'a [u8],
    value: &'a [u8],
    sum: u64,
}

impl Entry<'_> {
    fn length(&self) -> usize {
        ENTRY_HEAD + self.key.len() + self.value.len()
    }

    fn is_intact(&self) -> bool {
        self.sum == checksum(self.key, self.value)
    }
}

/// The entry at the beginning of some bytes; None where its lengths lead beyond them.
fn entry(bytes: &[u8]) -> Option<Entry<'_>> {
    let head = bytes.get(..ENTRY_HEAD)?;
    let (key, value) = (number(head, 0), number(head, 4));
    let sum = u64::from_le_bytes(head[8..].try_into().ok()?);
    let middle = ENTRY_HEAD + key;
    Some(Entry {
        key: bytes.get(ENTRY_HEAD..middle)?,
        value: bytes.get(middle..middle + value)?,
        sum,
    })
}

/// Notes the entries of a batch whose checksum was right.
fn index(state: &mut State, mut at: usize, end: usize) {
    while let Some(entry) = entry(&state.log[at..end]) {
        let span = Span { at, length: entry.length() };
        // An empty value is a removal; a record is never empty.
        let replaced = if entry.value.is_empty() {
            state.index.remove(entry.key)
        } else {
            state.live_bytes += span.length;
            state.index.insert(Bytes::copy_from_slice(entry.key), span)
        };
        state.live_bytes -= replaced.map_or(0, |old| old.length);
        at += span.length;
    }
}

fn encode(batch: &[Write]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    for write in batch {
        let (key, value): (&[u8], &[u8]) = match write {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => (key, value),
            Write::Remove { key } => (key, &[]),
        };
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(key, value).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    seal(&mut bytes);
    bytes
}

/// Fills in the head of a batch.
fn seal(batch: &mut [u8]) {
    let length = (batch.len() - HEAD) as u32;
    let sum = xxh3_64(&batch[HEAD..]);
    batch[..4].copy_from_slice(&length.to_le_bytes());
    batch[4..HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// Copies what lives into a new log, byte by byte: what is rotten stays so.
fn rewrite(state: &mut State) {
    let mut log = vec![0; HEAD];
    for span in state.index.values_mut() {
        let at = log.len();
        log.extend_from_slice(&state.log[span.at..span.at + span.length]);
        span.at = at;
    }
    seal(&mut log);
    (state.synced, state.log) = (log.len(), log);
}

impl Engine for Disk {
    fn commit_with(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(error) = &state.read_only {
            return Err(EngineError::ReadOnly(error.clone()));
        }
        if state.full {
            let source = std::io::ErrorKind::StorageFull.into();
            let error = EngineError::Io { path: self.name.clone(), source };
            state.read_only = Some(error.to_string());
            return Err(error);
        }
        let start = state.log.len();
        state.log.extend_from_slice(&encode(&batch));
        index(state, start + HEAD, state.log.len());
        state.stats.writes += batch.len() as u64;
        state.stats.wal_bytes += (state.log.len() - start) as u64;
        let sync = sync.map_or(self.durability, Durability::Log);
        if self.durability != Durability::Memory && sync == Durability::Log(SyncPolicy::Always) {
            state.synced = state.log.len();
            state.stats.wal_syncs += 1;
        }
        let all_synced = state.synced == state.log.len();
        let mostly_dead = state.log.len() > 4 * state.live_bytes.max(REWRITE_BYTES / 4);
        if mostly_dead && (all_synced || self.durability == Durability::Memory) {
            rewrite(state);
        }
        Ok(())
    }

    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        Ok(self.get(key)?.map_or(Peek::Absent, Peek::Found))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let mut state = self.state.lock();
        state.stats.reads += 1;
        let span = state.index.get(key).copied();
        span.map(|span| self.read(&state, span)).transpose()
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let state = self.state.lock();
        if crate::engine::is_empty(from, to)? {
            return Ok(Vec::new());
        }
        let found = state.index.range::<[u8], _>((from, to)).take(limit);
        found.map(|(key, span)| Ok((key.clone(), self.read(&state, *span)?))).collect()
    }

    fn stats(&self) -> Stats {
        self.state.lock().stats.clone()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.sync();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    fn put(key: &str, value: &str) -> Write {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Write::Put { key: bytes(key), value: bytes(value) }
    }

    fn disk(policy: SyncPolicy) -> Disk {
        Disk::new("n1".into(), Durability::Log(policy))
    }

    fn held(disk: &Disk) -> Vec<String> {
        let all = disk.scan(Bound::Unbounded, Bound::Unbounded, 99).unwrap();
        let show = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        all.iter().map(|(key, value)| format!("{}={}", show(key), show(value))).collect()
    }

    #[test]
    fn a_power_cut_loses_what_was_not_synchronised_and_nothing_else() {
        for seed in 0..50 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let disk = disk(SyncPolicy::Never);
            disk.commit(vec![put("a", "1"), put("b", "1")]).unwrap();
            disk.sync();
            disk.commit(vec![put("a", "2"), put("c", "2")]).unwrap();
            disk.lose_power(&mut random);
            disk.open().unwrap();
            let held = held(&disk);
            let whole = held == ["a=2", "b=1", "c=2"];
            assert!(whole || held == ["a=1", "b=1"], "a batch is all or nothing: {held:?}");
        }
    }

    #[test]
    fn the_disk_of_a_process_that_is_gone_shows_what_the_next_one_finds() {
        for seed in 0..50 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let disk = disk(SyncPolicy::Never);
            disk.commit(vec![put("a", "1")]).unwrap();
            disk.sync();
            disk.commit(vec![put("a", "2")]).unwrap();
            disk.interrupt(&[put("b", "3")], &mut random);
            disk.lose_power(&mut random);
            disk.stop();
            let before = held(&disk);
            disk.open().unwrap();
            assert_eq!(before, held(&disk));
        }
        let disk = Disk::new("n1".into(), Durability::Memory);
        disk.commit(vec![put("a", "1")]).unwrap();
        disk.stop();
        assert!(held(&disk).is_empty());
        let disk = Disk::new("n1".into(), Durability::Buffered(SyncPolicy::Interval));
        disk.commit(vec![put("a", "1")]).unwrap();
        disk.sync();
        disk.commit(vec![put("a", "2")]).unwrap();
        assert_eq!(held(&disk), ["a=2"]);
        disk.stop();
        assert_eq!(held(&disk), ["a=1"], "the process had the rest");
    }

    #[test]
    fn an_interrupted_commit_is_there_whole_or_not_at_all() {
        let mut whole = 0;
        for seed in 0..90 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let disk = disk(SyncPolicy::Always);
            disk.commit(vec![put("a", "1")]).unwrap();
            disk.interrupt(&[put("a", "2"), put("b", "2")], &mut random);
            disk.open().unwrap();
            match held(&disk).as_slice() {
                [one] if one == "a=1" => {}
                [one, two] if one == "a=2" && two == "b=2" => whole += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!((10..60).contains(&whole), "{whole}");
    }

    #[test]
    fn rot_is_an_error_or_a_torn_tail_but_never_a_wrong_value() {
        for seed in 0..200 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let disk = disk(SyncPolicy::Always);
            disk.commit(vec![put("a", "one")]).unwrap();
            disk.commit(vec![put("b", "two")]).unwrap();
            disk.rot(&mut random);
            let values = ["a", "b"].map(|key| disk.get(key.as_bytes()));
            for (value, expected) in values.into_iter().zip(["one", "two"]) {
                assert!(value.is_err() || value.unwrap().unwrap() == expected);
            }
            if disk.open().is_ok() {
                assert!(held(&disk).iter().all(|it| it == "a=one" || it == "b=two"));
            }
        }
    }

    #[test]
    fn a_full_disk_takes_nothing_until_the_next_start() {
        let disk = disk(SyncPolicy::Always);
        disk.set_full(true);
        let full = disk.commit(vec![put("a", "1")]).unwrap_err();
        assert!(matches!(full, EngineError::Io { .. }));
        disk.set_full(false);
        assert!(matches!(disk.commit(vec![put("a", "1")]), Err(EngineError::ReadOnly(_))));
        disk.open().unwrap();
        disk.commit(vec![put("a", "1")]).unwrap();
        assert_eq!(held(&disk), ["a=1"]);
    }

    #[test]
    fn a_log_that_is_mostly_dead_is_rewritten_and_says_the_same() {
        let disk = disk(SyncPolicy::Always);
        let long = "x".repeat(1_000);
        for round in 0..3_000 {
            disk.commit(vec![put("a", &long), put("b", &round.to_string())]).unwrap();
        }
        assert!(disk.state.lock().log.len() < 2 * REWRITE_BYTES);
        disk.open().unwrap();
        assert_eq!(held(&disk), [format!("a={long}"), "b=2999".to_string()]);
    }
}
