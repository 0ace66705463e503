//! Point reads and scans over one snapshot.

use super::blob::Pointer;
use super::tree::{State, Tree};
use crate::engine::entry::{Cursor, Found, Item, Kind, Rank};
use crate::engine::memtable::{CopiedCursor, MemtableCursor};
use crate::engine::table::{self, Access, MergeCursor, RunCursor, Table};
use crate::engine::{EngineError, Peek, Show, is_empty};
use bytes::Bytes;
use std::ops::{Bound, ControlFlow};
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

/// One call for whichever source it is: through a table of functions, nothing of a walk would be
/// inlined.
macro_rules! of {
    ($source:expr, $cursor:ident => $call:expr) => {
        match $source {
            Source::Active($cursor) => $call,
            Source::Frozen($cursor) => $call,
            Source::Run($cursor) => $call,
        }
    };
}

impl Cursor for Source {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        of!(self, cursor => cursor.seek(key))
    }

    #[inline]
    fn next(&mut self) -> Result<(), EngineError> {
        of!(self, cursor => cursor.next())
    }

    #[inline]
    fn is_valid(&self) -> bool {
        of!(self, cursor => cursor.is_valid())
    }

    #[inline]
    fn key(&self) -> &[u8] {
        of!(self, cursor => cursor.key())
    }

    #[inline]
    fn item(&self) -> Item<'_> {
        of!(self, cursor => cursor.item())
    }

    fn value(&self) -> Bytes {
        of!(self, cursor => cursor.value())
    }

    fn rank(&self) -> Rank {
        of!(self, cursor => cursor.rank())
    }
}

impl Tree {
    /// What only the disk knows is not counted here: the `get` that follows does.
    pub fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        let state = self.state.load();
        if let Some(found) = state.in_memory(key) {
            self.counters.reads.add(1);
            return Ok(peeked(found));
        }
        let hash = table::hash(key);
        let (mut negatives, mut false_positives) = (0, 0);
        let look = |table: &Arc<Table>| {
            if !table.may_contain(hash) {
                negatives += 1;
                return None;
            }
            match table.get_cached(key, hash, &self.cache) {
                Err(error) => Some(Err(error)),
                Ok(None) => Some(Ok(Peek::OnDisk)),
                Ok(Some(Some(found))) => Some(Ok(peeked(found))),
                Ok(Some(None)) => {
                    false_positives += 1;
                    None
                }
            }
        };
        let peeked = state.version.search(key, look).unwrap_or(Ok(Peek::Absent));
        if !matches!(peeked, Ok(Peek::OnDisk)) {
            self.counters.reads.add(1);
            self.counters.bloom_negatives.add(negatives);
            self.counters.bloom_false_positives.add(false_positives);
        }
        peeked
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
        // One allocation for all keys.
        let (mut keys, mut values) = (Vec::new(), Vec::with_capacity(limit.min(1_024)));
        self.walk(from, to, limit, |state, merge| {
            if let Some(value) = self.value_of(state, merge.item().kind, merge.value())? {
                keys.extend_from_slice(merge.key());
                values.push((keys.len(), value));
            }
            let full = values.len() == limit;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        let keys = Bytes::from(keys);
        let mut start = 0;
        let key_of = |(end, value)| (keys.slice(std::mem::replace(&mut start, end)..end), value);
        Ok(values.into_iter().map(key_of).collect())
    }

    pub fn scan_with(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        each: &mut Show<'_>,
    ) -> Result<usize, EngineError> {
        let mut shown = 0;
        self.walk(from, to, limit, |state, merge| {
            let item = merge.item();
            let flow = match item.kind {
                Kind::Tombstone => return Ok(ControlFlow::Continue(())),
                Kind::Value => each(merge.key(), item.value),
                Kind::Pointer => match self.value_of(state, item.kind, merge.value())? {
                    Some(value) => each(merge.key(), &value),
                    None => return Ok(ControlFlow::Continue(())),
                },
            };
            shown += 1;
            Ok(if shown == limit { ControlFlow::Break(()) } else { flow })
        })?;
        Ok(shown)
    }

    /// Shows `take` the newest entry of each key within the bounds, until it has enough; `limit` is
    /// how many it may take.
    fn walk(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        mut take: impl FnMut(&State, &MergeCursor<Source>) -> Result<ControlFlow<()>, EngineError>,
    ) -> Result<(), EngineError> {
        self.counters.reads.add(1);
        if is_empty(from, to)? || limit == 0 {
            return Ok(());
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
        while merge.is_valid() && !is_behind(to, merge.key()) {
            if take(&state, &merge)?.is_break() {
                break;
            }
            merge.next()?;
        }
        Ok(())
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
        let entries: u64 = state.version.runs().map(|(_, run)| run.entries).sum();
        for (level, run) in state.version.runs() {
            // Without an end the limit tells how far it goes; each run has its share of that.
            let expected_bytes = match to {
                Bound::Unbounded => run.bytes.saturating_mul(limit as u64) / entries.max(1),
                _ => 0,
            };
            let access = Access::Cached { cache: Arc::clone(&self.cache), expected_bytes };
            let cursor = RunCursor::new(Arc::clone(&run.tables), level + 1, access);
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
