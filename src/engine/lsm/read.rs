//! Point reads and scans over one snapshot.

use super::blob::Pointer;
use super::tree::{State, Tree};
use crate::engine::entry::{Cursor, Found, Kind, Rank};
use crate::engine::memtable::{CopiedCursor, MemtableCursor};
use crate::engine::table::{self, MergeCursor, RunCursor, Table};
use crate::engine::{EngineError, Peek, is_empty};
use bytes::Bytes;
use std::ops::Bound;
use std::sync::Arc;

impl State {
    /// What the memtables know of a key: its newest entry, or nothing.
    fn in_memory(&self, key: &[u8]) -> Option<Found> {
        let memtables = std::iter::once(&self.active).chain(&self.frozen);
        memtables.into_iter().find_map(|memtable| memtable.get(key))
    }
}

/// One of the sorted sources of a scan. There are few, in one vector: boxes would cost more than
/// the room that the small ones waste.
#[allow(clippy::large_enum_variant)]
enum Source {
    Active(CopiedCursor),
    Frozen(MemtableCursor),
    Run(RunCursor),
}

impl Source {
    fn cursor(&self) -> &dyn Cursor {
        match self {
            Source::Active(cursor) => cursor,
            Source::Frozen(cursor) => cursor,
            Source::Run(cursor) => cursor,
        }
    }

    fn cursor_mut(&mut self) -> &mut dyn Cursor {
        match self {
            Source::Active(cursor) => cursor,
            Source::Frozen(cursor) => cursor,
            Source::Run(cursor) => cursor,
        }
    }
}

impl Cursor for Source {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.cursor_mut().seek(key)
    }

    fn next(&mut self) -> Result<(), EngineError> {
        self.cursor_mut().next()
    }

    fn is_valid(&self) -> bool {
        self.cursor().is_valid()
    }

    fn key(&self) -> &[u8] {
        self.cursor().key()
    }

    fn item(&self) -> crate::engine::entry::Item<'_> {
        self.cursor().item()
    }

    fn value(&self) -> Bytes {
        self.cursor().value()
    }

    fn rank(&self) -> Rank {
        self.cursor().rank()
    }
}

impl Tree {
    pub fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        self.counters.reads.add(1);
        let state = self.state.load();
        if let Some(found) = state.in_memory(key) {
            return Ok(peeked(found));
        }
        let hash = table::hash(key);
        let look = |table: &Arc<Table>| {
            if !self.passes(table, hash) {
                return None;
            }
            match table.get_cached(key, hash, &self.cache) {
                Err(error) => Some(Err(error)),
                Ok(None) => Some(Ok(Peek::OnDisk)),
                Ok(Some(Some(found))) => Some(Ok(peeked(found))),
                Ok(Some(None)) => {
                    self.count_false_positive();
                    None
                }
            }
        };
        state.version.search(key, look).unwrap_or(Ok(Peek::Absent))
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.counters.reads.add(1);
        let state = self.state.load();
        let found = match state.in_memory(key) {
            Some(found) => Some(found),
            None => self.in_tables(&state, key)?,
        };
        found.map_or(Ok(None), |found| self.value_of(&state, found.kind, found.value))
    }

    fn in_tables(&self, state: &State, key: &[u8]) -> Result<Option<Found>, EngineError> {
        let hash = table::hash(key);
        let look = |table: &Arc<Table>| {
            if !self.passes(table, hash) {
                return None;
            }
            let found = table.get(key, hash, &self.cache).transpose();
            if found.is_none() {
                self.count_false_positive();
            }
            found
        };
        state.version.search(key, look).transpose()
    }

    /// What an entry holds, wherever that lies.
    fn value_of(
        &self,
        state: &State,
        kind: Kind,
        value: Bytes,
    ) -> Result<Option<Bytes>, EngineError> {
        match kind {
            Kind::Tombstone => Ok(None),
            Kind::Value => Ok(Some(value)),
            Kind::Pointer => {
                let pointer = Pointer::decode(&value).ok_or_else(|| {
                    EngineError::refused(self.folder.path(), "a malformed pointer in a table")
                })?;
                state.version.blobs.read(&self.folder, &pointer).map(Some)
            }
        }
    }

    fn passes(&self, table: &Table, hash: u64) -> bool {
        let passes = table.may_contain(hash);
        if !passes {
            self.counters.bloom_negatives.add(1);
        }
        passes
    }

    fn count_false_positive(&self) {
        self.counters.bloom_false_positives.add(1);
    }

    pub fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.counters.reads.add(1);
        if is_empty(from, to)? || limit == 0 {
            return Ok(Vec::new());
        }
        let state = self.state.load_full();
        let mut merge = MergeCursor::new(self.sources(&state, from, to, limit));
        let start = match from {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        };
        merge.seek(start)?;
        if let Bound::Excluded(from) = from
            && merge.is_valid()
            && merge.key() == from
        {
            merge.next()?;
        }
        let mut found = Vec::with_capacity(limit.min(1_024));
        while merge.is_valid() && !is_behind(to, merge.key()) {
            if let Some(value) = self.value_of(&state, merge.item().kind, merge.value())? {
                found.push((Bytes::copy_from_slice(merge.key()), value));
                if found.len() == limit {
                    break;
                }
            }
            merge.next()?;
        }
        Ok(found)
    }

    fn sources(
        &self,
        state: &State,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Vec<Source> {
        let mut sources = Vec::new();
        if !state.active.is_empty() {
            let copied = state.active.copy(from, to, limit);
            sources.push(Source::Active(CopiedCursor::new(copied)));
        }
        let frozen = (1..).zip(&state.frozen);
        sources.extend(frozen.map(|(newer, memtable)| Source::Frozen(memtable.cursor(newer))));
        for (level, run) in state.version.runs() {
            let cursor =
                RunCursor::new(Arc::clone(&run.tables), level + 1, Arc::clone(&self.cache));
            sources.push(Source::Run(cursor));
        }
        sources
    }
}

fn peeked(found: Found) -> Peek {
    match found.kind {
        Kind::Value => Peek::Found(found.value),
        Kind::Tombstone => Peek::Absent,
        Kind::Pointer => Peek::OnDisk,
    }
}

fn is_behind(to: Bound<&[u8]>, key: &[u8]) -> bool {
    match to {
        Bound::Included(to) => key > to,
        Bound::Excluded(to) => key >= to,
        Bound::Unbounded => false,
    }
}
