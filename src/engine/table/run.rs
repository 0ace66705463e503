//! Walking over the disjoint tables of a sorted run as if they were one.

use super::cursor::TableCursor;
use super::readahead::Access;
use super::reader::Table;
use crate::engine::EngineError;
use crate::engine::entry::{Cursor, Item, Rank};
use bytes::Bytes;
use std::sync::Arc;

/// A walk over disjoint tables in the order of their keys. No block of a table is read before the
/// walk reaches it.
pub struct RunCursor {
    tables: Arc<[Arc<Table>]>,
    level: u32,
    access: Access,
    /// The table at hand.
    at: usize,
    open: Option<TableCursor>,
}

impl RunCursor {
    /// Tables in the order of their keys. `level` is the first half of the rank of all entries; the
    /// second follows from their tables.
    pub fn new(tables: impl Into<Arc<[Arc<Table>]>>, level: u32, access: Access) -> Self {
        RunCursor { tables: tables.into(), level, access, at: 0, open: None }
    }

    /// Past the cache in large reads.
    pub fn for_compaction(tables: impl Into<Arc<[Arc<Table>]>>, level: u32) -> Self {
        Self::new(tables, level, Access::Bulk)
    }

    /// Moves to the first entry from `key` on in the table `at` or one behind it.
    fn enter(&mut self, mut at: usize, key: &[u8]) -> Result<(), EngineError> {
        while let Some(table) = self.tables.get(at) {
            let same = self.at == at;
            let cursor = match self.open.take().filter(|_| same) {
                Some(cursor) => cursor,
                None => TableCursor::new(Arc::clone(table), self.level, self.access.clone()),
            };
            let cursor = self.open.insert(cursor);
            self.at = at;
            if let Err(error) = cursor.seek(key) {
                self.open = None;
                return Err(error);
            }
            if cursor.is_valid() {
                return Ok(());
            }
            at += 1;
        }
        self.open = None;
        Ok(())
    }
}

impl Cursor for RunCursor {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        let at = self.tables.partition_point(|table| table.last_key() < key);
        self.enter(at, key)
    }

    #[inline]
    fn next(&mut self) -> Result<(), EngineError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match open.next() {
            Ok(()) if open.is_valid() => Ok(()),
            Ok(()) => self.enter(self.at + 1, &[]),
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    #[inline]
    fn is_valid(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_valid())
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.open.as_ref().map_or(&[], |open| open.key())
    }

    #[inline]
    fn item(&self) -> Item<'_> {
        self.open.as_ref().expect("only a valid cursor is asked").item()
    }

    fn value(&self) -> Bytes {
        self.open.as_ref().map_or_else(Bytes::new, |open| open.value())
    }

    fn rank(&self) -> Rank {
        self.open.as_ref().map_or((self.level, 0), |open| open.rank())
    }
}
