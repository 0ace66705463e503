//! Point reads and scans over one snapshot.

use super::bloom;
use super::entry::Entry;
use super::merge::{Merge, Source};
use super::tree::{State, Tree};
use crate::engine::{EngineError, Peek, is_empty};
use bytes::Bytes;
use std::ops::Bound;
use std::sync::atomic::Ordering::Relaxed;

impl State {
    /// What the memtables know of a key: a value, a tombstone, or nothing.
    fn in_memory(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let memtables = std::iter::once(&self.active).chain(&self.frozen);
        memtables.flat_map(|memtable| memtable.get(key)).map(|slot| slot.value).next()
    }
}

impl Tree {
    pub fn peek(&self, key: &[u8]) -> Peek {
        let state = self.state.load();
        let found = |value: Option<Bytes>| value.map_or(Peek::Absent, Peek::Found);
        let answer = match state.in_memory(key) {
            Some(value) => found(value),
            None => {
                let hash = bloom::hash(key);
                let mut candidates =
                    state.version.candidates(key).filter(|table| self.passes(table, hash));
                loop {
                    let Some(table) = candidates.next() else { break Peek::Absent };
                    match table.get_cached(key, &self.cache) {
                        None => return Peek::OnDisk,
                        Some(Some(slot)) => break found(slot.value),
                        Some(None) => self.count_false_positive(),
                    }
                }
            }
        };
        self.counters.reads.fetch_add(1, Relaxed);
        answer
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.counters.reads.fetch_add(1, Relaxed);
        let state = self.state.load();
        if let Some(value) = state.in_memory(key) {
            return Ok(value);
        }
        let hash = bloom::hash(key);
        for table in state.version.candidates(key).filter(|table| self.passes(table, hash)) {
            if let Some(slot) = table.get(key, &self.cache)? {
                return Ok(slot.value);
            }
            self.count_false_positive();
        }
        Ok(None)
    }

    fn passes(&self, table: &super::table::Table, hash: u64) -> bool {
        let passes = table.may_contain(hash);
        if !passes {
            self.counters.bloom_negatives.fetch_add(1, Relaxed);
        }
        passes
    }

    fn count_false_positive(&self) {
        if self.options.format.bloom_bits > 0 {
            self.counters.bloom_false_positives.fetch_add(1, Relaxed);
        }
    }

    pub fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.counters.reads.fetch_add(1, Relaxed);
        if is_empty(from, to) || limit == 0 {
            return Ok(Vec::new());
        }
        let state = self.state.load_full();
        let own_from = from.map(Bytes::copy_from_slice);
        let active = state.active.copy(from, to, limit);
        let mut sources: Vec<Source<'_>> = vec![Box::new(active.into_iter().map(Ok))];
        for memtable in &state.frozen {
            sources.push(Box::new(memtable.walk(own_from.clone()).map(Ok)));
        }
        sources.extend(state.version.sources(from, to, &self.cache));
        let mut found = Vec::new();
        for entry in Merge::new(sources) {
            let Entry { key, value, .. } = entry?;
            if is_behind(to, &key) {
                break;
            }
            let excluded = matches!(from, Bound::Excluded(from) if from == key);
            if let Some(value) = value.filter(|_| !excluded) {
                found.push((key, value));
                if found.len() == limit {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn is_behind(to: Bound<&[u8]>, key: &[u8]) -> bool {
    match to {
        Bound::Included(to) => key > to,
        Bound::Excluded(to) => key >= to,
        Bound::Unbounded => false,
    }
}
