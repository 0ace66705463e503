//! How a cursor reads blocks: one by one through the cache, several at once, or past the cache.

use super::block::Block;
use super::cache::{BlockCache, Cached};
use super::index::{Index, Place};
use super::reader::Table;
use super::section::unseal;
use crate::engine::EngineError;
use bytes::Bytes;
use std::sync::Arc;

/// A compaction's read: large, so that one disk serves readers between two of them.
const BULK_BYTES: u64 = 512 << 10;
/// The first read ahead of a scan, and the largest: each is twice the one before, so that no scan
/// reads much more than twice what it needed.
const FIRST_AHEAD_BYTES: u64 = 16 << 10;
const MOST_AHEAD_BYTES: u64 = 256 << 10;
/// Blocks that follow each other at once before a scan is believed to go on.
const SEQUENTIAL_BLOCKS: u32 = 2;
/// Between two blocks of a scan there may be an index partition.
const GAP_BYTES: u64 = 64 << 10;

/// Where the blocks of a cursor come from, and whether others will find them in the cache.
#[derive(Clone)]
pub enum Access {
    Cached(Arc<BlockCache>),
    /// In large reads past the cache, each block once. Values that are taken from such a cursor
    /// keep half a MiB in memory each.
    Bulk,
}

/// Blocks of one table, for a cursor that mostly goes forward.
pub(super) struct BlockReader {
    access: Access,
    /// Bytes of the file that were read at once, and where they begin.
    chunk: Bytes,
    chunk_at: u64,
    /// Where the last block ended, and how many in a row began where another had.
    last_end: u64,
    sequential: u32,
}

impl BlockReader {
    pub fn new(access: Access) -> Self {
        BlockReader { access, chunk: Bytes::new(), chunk_at: 0, last_end: u64::MAX, sequential: 0 }
    }

    /// A partition, wherever it is. None behind the last.
    pub fn partition(&self, table: &Table, position: usize) -> Result<Option<Index>, EngineError> {
        if let Some(partition) = table.pinned(position) {
            return Ok(Some(partition.clone()));
        }
        let Some(place) = table.partition_place(position)? else { return Ok(None) };
        match &self.access {
            Access::Cached(cache) => table.partition(place, cache).map(Some),
            Access::Bulk => table.file().index(place).map(Some),
        }
    }

    pub fn data(&mut self, table: &Table, place: Place) -> Result<Block, EngineError> {
        let gap = place.offset.checked_sub(self.last_end);
        let goes_on = gap.is_some_and(|gap| gap <= GAP_BYTES);
        self.sequential = if goes_on { self.sequential.saturating_add(1) } else { 0 };
        self.last_end = place.end();
        let Access::Cached(cache) = &self.access else {
            let sealed = self.sealed(table, place, BULK_BYTES)?;
            return open(table, place, &sealed, false);
        };
        let cache = Arc::clone(cache);
        if let Some(block) = cache.block(table.id(), place.offset) {
            return Ok(block);
        }
        let block = match self.sequential.checked_sub(SEQUENTIAL_BLOCKS) {
            None => table.file().block(place)?,
            Some(times) => {
                let ahead = FIRST_AHEAD_BYTES.checked_shl(times).unwrap_or(MOST_AHEAD_BYTES);
                let sealed = self.sealed(table, place, ahead.min(MOST_AHEAD_BYTES))?;
                open(table, place, &sealed, true)?
            }
        };
        cache.insert(table.id(), place.offset, Cached::Block(block.clone()));
        Ok(block)
    }

    /// The section at a place, out of the chunk, or out of a new one of about `ahead` bytes.
    fn sealed(&mut self, table: &Table, place: Place, ahead: u64) -> Result<Bytes, EngineError> {
        let end = self.chunk_at + self.chunk.len() as u64;
        if place.offset < self.chunk_at || place.end() > end {
            self.read_chunk(table, place, ahead)?;
        }
        let from = (place.offset - self.chunk_at) as usize;
        Ok(self.chunk.slice(from..from + place.bytes as usize))
    }

    fn read_chunk(&mut self, table: &Table, place: Place, ahead: u64) -> Result<(), EngineError> {
        table.file().check(place)?;
        let blocks_left = table.footer().top.offset.saturating_sub(place.offset);
        let bytes = ahead.min(blocks_left).max(u64::from(place.bytes));
        // Nothing of the old chunk is left behind by an error.
        self.chunk = Bytes::new();
        let mut chunk = vec![0; bytes as usize];
        let handle = table.file().handle();
        handle.read(&mut chunk, place.offset)?;
        if bytes < blocks_left {
            handle.read_ahead(place.offset + bytes, ahead.min(blocks_left - bytes));
        }
        (self.chunk, self.chunk_at) = (chunk.into(), place.offset);
        Ok(())
    }
}

/// Checks a section and makes a block of it; a copy, where the chunk must not be kept for it.
fn open(table: &Table, place: Place, sealed: &Bytes, copy: bool) -> Result<Block, EngineError> {
    let file = table.file();
    let plain = unseal(table.id(), place.offset, sealed).map_err(file.damaged(place))?;
    let bytes = if copy { plain.copied(sealed) } else { plain.of_shared(sealed) };
    Block::open(bytes).map_err(file.malformed(place))
}
