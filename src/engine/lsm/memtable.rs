//! The newest entries, in memory: a hash map for point operations, an ordered set for scans and
//! flushes.
//!
//! A store reads and overwrites single keys far more often than it walks them in order. The set
//! changes only when a key is new, so an overwrite costs one look-up in the hash map. `cargo bench
//! --bench engine` shows both: a hit takes about 150 ns here and 540 ns in the one ordered map of
//! `memory`; a scan of 100 pays for it, 18 us against 7.
//!
//! Keys and values are slices of the log's records, so that applying a batch allocates nothing
//! but the map's own nodes. The price: a record's bytes live as long as any of its keys or
//! values. `bytes` counts whole records for that reason, and never shrinks.

use super::entry::{Entry, Slot};
use super::wal::Record;
use crate::hash::KeyHash;
use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What an entry costs beside its bytes: three handles, a sequence number, slack in map and set.
const ENTRY_OVERHEAD_BYTES: usize = 160;
/// Entries that a walk copies under one lock.
const CHUNK: usize = 256;

/// Entries that a batch applies under one lock: how long a point read may have to wait.
const APPLY_CHUNK: usize = 16;

#[derive(Debug, Default)]
pub struct Memtable {
    map: RwLock<Map>,
    /// Held while a batch is applied; a copy waits for it, point reads do not.
    batch: RwLock<()>,
    bytes: AtomicU64,
    last_sequence: AtomicU64,
}

#[derive(Debug, Default)]
struct Map {
    slots: HashMap<Bytes, Slot, KeyHash>,
    /// The keys of `slots`.
    order: BTreeSet<Bytes>,
}

impl Map {
    /// Answers whether the key is new.
    fn insert(&mut self, key: Bytes, slot: Slot) -> bool {
        if let Some(held) = self.slots.get_mut(&key) {
            *held = slot;
            return false;
        }
        self.order.insert(key.clone());
        self.slots.insert(key, slot);
        true
    }

    fn get(&self, key: &[u8]) -> Option<&Slot> {
        self.slots.get(key)
    }

    /// Entries in key order. Every key of the set is in the map.
    fn range<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Slot)> {
        let keys = self.order.range::<[u8], _>((from, to));
        keys.filter_map(|key| self.slots.get(key).map(|slot| (key, slot)))
    }
}

impl Memtable {
    /// Applies a record: a copy sees all of it or nothing. Records come in the order of their
    /// sequence numbers, from one thread at a time.
    pub fn apply(&self, record: &Record) -> Result<(), &'static str> {
        let _batch = self.batch.write();
        let mut entries = record.entries().peekable();
        let mut new_keys = 0;
        while entries.peek().is_some() {
            let mut map = self.map.write();
            for entry in entries.by_ref().take(APPLY_CHUNK) {
                let Entry { key, sequence, value } = entry.ok_or("a malformed batch")?;
                new_keys += usize::from(map.insert(key, Slot { sequence, value }));
            }
        }
        let bytes = record.payload.len() + new_keys * ENTRY_OVERHEAD_BYTES;
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.last_sequence.store(record.last_sequence(), Relaxed);
        Ok(())
    }

    pub fn get(&self, key: &[u8]) -> Option<Slot> {
        self.map.read().get(key).cloned()
    }

    /// Memory that the records hold, counted upwards only.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The newest sequence number in here; 0 while it is empty.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.map.read().slots.is_empty()
    }

    /// Entries from `from` on, up to and with the `limit`-th live one: as many as a scan of
    /// `limit` can need from the newest source. One lock, so all of a batch or nothing of it.
    pub fn copy(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Vec<Entry> {
        let _batch = self.batch.read();
        let map = self.map.read();
        let mut live = 0;
        let mut copied = Vec::new();
        for (key, slot) in map.range(from, to) {
            if live == limit {
                break;
            }
            live += usize::from(slot.value.is_some());
            copied.push(entry(key, slot));
        }
        copied
    }

    /// Walks a memtable that takes no more writes, without holding its lock between the steps.
    pub fn walk(&self, from: Bound<Bytes>) -> impl Iterator<Item = Entry> + '_ {
        let mut from = Some(from);
        let mut chunk = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if chunk.as_slice().is_empty() {
                let copied = self.chunk(from.take()?);
                from = copied.last().map(|entry: &Entry| Bound::Excluded(entry.key.clone()));
                chunk = copied.into_iter();
            }
            chunk.next()
        })
    }

    fn chunk(&self, from: Bound<Bytes>) -> Vec<Entry> {
        let map: RwLockReadGuard<'_, _> = self.map.read();
        let from = from.as_ref().map(|key| key.as_ref());
        let found = map.range(from, Bound::Unbounded).take(CHUNK);
        found.map(|(key, slot)| entry(key, slot)).collect()
    }
}

fn entry(key: &Bytes, slot: &Slot) -> Entry {
    Entry { key: key.clone(), sequence: slot.sequence, value: slot.value.clone() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::Write;

    fn put(table: &Memtable, first_sequence: u64, pairs: &[(&str, Option<&str>)]) {
        let change = |(key, value): &(&str, Option<&str>)| {
            let key = Bytes::copy_from_slice(key.as_bytes());
            match value {
                Some(value) => Write::Put { key, value: Bytes::copy_from_slice(value.as_bytes()) },
                None => Write::Remove { key },
            }
        };
        let batch: Vec<Write> = pairs.iter().map(change).collect();
        let record = Record { first_sequence, ..Record::encode(&batch).unwrap() };
        table.apply(&record).unwrap();
    }

    #[test]
    fn the_newest_write_of_a_key_wins() {
        let table = Memtable::default();
        put(&table, 1, &[("a", Some("1")), ("b", Some("2")), ("a", Some("3"))]);
        put(&table, 4, &[("b", None)]);
        assert_eq!(table.get(b"a").unwrap(), Slot { sequence: 3, value: Some("3".into()) });
        assert_eq!(table.get(b"b").unwrap(), Slot { sequence: 4, value: None });
        assert_eq!(table.get(b"c"), None);
        assert_eq!(table.last_sequence(), 4);
    }

    #[test]
    fn a_copy_counts_live_entries_alone() {
        let table = Memtable::default();
        put(
            &table,
            1,
            &[("a", None), ("b", Some("1")), ("c", None), ("d", Some("2")), ("e", None)],
        );
        let keys = |limit| {
            let copied = table.copy(Bound::Unbounded, Bound::Unbounded, limit);
            copied.iter().map(|e| e.key[0] as char).collect::<String>()
        };
        assert_eq!(keys(0), "");
        assert_eq!(keys(1), "ab");
        assert_eq!(keys(2), "abcd");
        assert_eq!(keys(3), "abcde");
    }

    #[test]
    fn a_walk_crosses_its_chunks() {
        let table = Memtable::default();
        let keys: Vec<String> = (0..CHUNK * 2 + 10).map(|i| format!("{i:06}")).collect();
        for (at, key) in keys.iter().enumerate() {
            put(&table, at as u64 + 1, &[(key, Some("v"))]);
        }
        let walked: Vec<Bytes> = table.walk(Bound::Unbounded).map(|entry| entry.key).collect();
        assert!(walked.iter().eq(keys.iter()));
        let from = Bound::Excluded(Bytes::from(keys[CHUNK].clone()));
        assert_eq!(table.walk(from).next().unwrap().key, keys[CHUNK + 1]);
    }
}
