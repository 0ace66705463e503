//! Walking over one table.

use super::block::{BlockCursor, Malformed};
use super::cache::BlockCache;
use super::index::{Index, Place};
use super::readahead::{Access, BlockReader};
use super::reader::Table;
use crate::engine::EngineError;
use crate::engine::entry::{Cursor, Item, Rank};
use bytes::Bytes;
use std::sync::Arc;

/// A walk over a table in the order of its keys.
pub struct TableCursor {
    table: Arc<Table>,
    level: u32,
    reader: BlockReader,
    /// The partition at hand, and which one it is.
    partition: Option<(usize, Index)>,
    /// Which block of the partition is at hand.
    position: usize,
    place: Place,
    block: BlockCursor,
}

impl TableCursor {
    /// `level`: the first half of the rank of its entries. The second follows from the table.
    pub fn new(table: Arc<Table>, level: u32, access: Access) -> Self {
        TableCursor {
            table,
            level,
            reader: BlockReader::new(access),
            partition: None,
            position: 0,
            place: Place { offset: 0, bytes: 0 },
            block: BlockCursor::default(),
        }
    }

    /// Through the cache, as a scan reads.
    pub fn cached(table: Arc<Table>, level: u32, cache: Arc<BlockCache>) -> Self {
        Self::new(table, level, Access::cached(cache))
    }

    /// Past the cache in large reads, as a compaction reads.
    pub fn bulk(table: Arc<Table>, level: u32) -> Self {
        Self::new(table, level, Access::Bulk)
    }

    fn malformed(&self, place: Place) -> impl FnOnce(Malformed) -> EngineError + '_ {
        self.table.file().malformed(place)
    }

    /// Takes a partition, unless it is the one at hand. False behind the last.
    fn open_partition(&mut self, at: usize) -> Result<bool, EngineError> {
        if self.partition.as_ref().is_none_or(|(open, _)| *open != at) {
            self.partition = None;
            let partition = self.reader.partition(&self.table, at)?;
            self.partition = partition.map(|partition| (at, partition));
        }
        Ok(self.partition.is_some())
    }

    /// Asks the partition at hand; None if there is none.
    fn in_partition<T>(
        &self,
        ask: impl FnOnce(&Index) -> Result<T, Malformed>,
    ) -> Result<Option<T>, EngineError> {
        let Some((at, partition)) = &self.partition else { return Ok(None) };
        match ask(partition) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                let place = self.table.partition_place(*at)?;
                Err(self.malformed(place.unwrap_or(self.table.footer().top))(error))
            }
        }
    }

    /// Moves to the first entry of a block of the partition at hand, or to the first one that is
    /// not below `key`. False behind the last block of the partition.
    fn open_block(&mut self, position: usize, key: Option<&[u8]>) -> Result<bool, EngineError> {
        self.position = position;
        let place = self.in_partition(|partition| partition.place(position))?;
        let Some(place) = place.flatten() else { return Ok(false) };
        let block = self.reader.data(&self.table, place)?;
        self.place = place;
        let moved = match key {
            Some(key) => self.block.open_at(block, key),
            None => self.block.open(block),
        };
        moved.map_err(self.malformed(place))?;
        Ok(true)
    }

    fn find(&mut self, key: &[u8]) -> Result<(), EngineError> {
        let top = self.table.top().position(key);
        let top = top.map_err(self.malformed(self.table.footer().top))?;
        if !self.open_partition(top)? {
            return Ok(());
        }
        let position = self.in_partition(|partition| partition.position(key))?;
        self.open_block(position.unwrap_or_default(), Some(key))?;
        if self.block.is_valid() { Ok(()) } else { self.next_block() }
    }

    /// Goes on to the first entry of the next block, or to the end.
    fn next_block(&mut self) -> Result<(), EngineError> {
        loop {
            if self.open_block(self.position + 1, None)? {
                return Ok(());
            }
            let next = self.partition.as_ref().map_or(0, |(at, _)| at + 1);
            if !self.open_partition(next)? {
                self.block.close();
                return Ok(());
            }
            if self.open_block(0, None)? {
                return Ok(());
            }
        }
    }
}

impl Cursor for TableCursor {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.block.close();
        self.find(key).inspect_err(|_| self.block.close())
    }

    #[inline]
    fn next(&mut self) -> Result<(), EngineError> {
        if !self.block.is_valid() {
            return Ok(());
        }
        match self.block.next() {
            Ok(()) if self.block.is_valid() => Ok(()),
            Ok(()) => self.next_block().inspect_err(|_| self.block.close()),
            Err(malformed) => Err(self.malformed(self.place)(malformed)),
        }
    }

    #[inline]
    fn is_valid(&self) -> bool {
        self.block.is_valid()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.block.key()
    }

    #[inline]
    fn item(&self) -> Item<'_> {
        self.block.item()
    }

    fn value(&self) -> Bytes {
        self.block.value()
    }

    fn rank(&self) -> Rank {
        (self.level, u64::MAX - self.table.max_sequence())
    }
}
