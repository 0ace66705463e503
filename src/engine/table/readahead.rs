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
/// The first read ahead of a scan that goes on, and the largest: each is twice the one before, so
/// that no scan reads much more than twice what it needed.
const FIRST_AHEAD_BYTES: u64 = 16 << 10;
const MOST_AHEAD_BYTES: u64 = 256 << 10;
/// Blocks that follow each other at once before a scan is believed to go on.
const SEQUENTIAL_BLOCKS: u32 = 2;
/// Between two blocks of a scan there may be an index partition.
const GAP_BYTES: u64 = 64 << 10;
/// Blocks of longer reads do not enter the cache: a long scan would drive out what point reads and
/// short scans come back to, and each block would cost a copy and an eviction.
const CACHED_READ_BYTES: u64 = 32 << 10;

/// Where the blocks of a cursor come from, and whether others will find them in the cache.
#[derive(Clone)]
pub enum Access {
    Cached {
        cache: Arc<BlockCache>,
        /// What the cursor will read of the file, about; 0: not known.
        expected_bytes: u64,
    },
    /// In large reads past the cache, each block once. Values that are taken from such a cursor
    /// keep half a MiB in memory each.
    Bulk,
}

impl Access {
    /// Through the cache, for who knows where and knows not how far.
    pub fn cached(cache: Arc<BlockCache>) -> Self {
        Access::Cached { cache, expected_bytes: 0 }
    }
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
    /// How much to read at once when a block is missing next; 0: not more than the block.
    ahead_bytes: u64,
}

impl BlockReader {
    pub fn new(access: Access) -> Self {
        BlockReader {
            access,
            chunk: Bytes::new(),
            chunk_at: 0,
            last_end: u64::MAX,
            sequential: 0,
            ahead_bytes: 0,
        }
    }

    /// A partition, wherever it is. None behind the last.
    pub fn partition(&self, table: &Table, position: usize) -> Result<Option<Index>, EngineError> {
        if let Some(partition) = table.pinned(position) {
            return Ok(Some(partition.clone()));
        }
        let Some(place) = table.partition_place(position)? else { return Ok(None) };
        match &self.access {
            Access::Cached { cache, .. } => table.partition(place, cache).map(Some),
            Access::Bulk => table.file().index(place).map(Some),
        }
    }

    pub fn data(&mut self, table: &Table, place: Place) -> Result<Block, EngineError> {
        let gap = place.offset.checked_sub(self.last_end);
        let goes_on = gap.is_some_and(|gap| gap <= GAP_BYTES);
        self.sequential = if goes_on { self.sequential.saturating_add(1) } else { 0 };
        self.last_end = place.end();
        let Access::Cached { cache, expected_bytes } = &self.access else {
            let sealed = self.sealed(table, place, BULK_BYTES)?;
            return open(table, place, &sealed, false);
        };
        if !goes_on {
            self.ahead_bytes = *expected_bytes;
        }
        let cache = Arc::clone(cache);
        self.through(table, place, &cache)
    }

    /// What was read already needs no look into the cache; what is not there is read with what
    /// follows it.
    fn through(
        &mut self,
        table: &Table,
        place: Place,
        cache: &BlockCache,
    ) -> Result<Block, EngineError> {
        if !self.has(place) {
            if let Some(block) = cache.block(table.id(), place.offset) {
                return Ok(block);
            }
            let ahead = self.next_ahead();
            if ahead < 2 * u64::from(place.bytes) {
                let block = table.file().block(place)?;
                cache.insert(table.id(), place.offset, Cached::Block(block.clone()));
                return Ok(block);
            }
            self.read_chunk(table, place, ahead)?;
        }
        let is_kept = self.chunk.len() as u64 <= CACHED_READ_BYTES;
        let block = open(table, place, &self.in_chunk(place), is_kept)?;
        if is_kept {
            cache.insert(table.id(), place.offset, Cached::Block(block.clone()));
        }
        Ok(block)
    }

    /// How much the next read takes; the one after it takes twice that, or the first step again
    /// behind what was expected of the scan.
    fn next_ahead(&mut self) -> u64 {
        if self.ahead_bytes == 0 && self.sequential >= SEQUENTIAL_BLOCKS {
            self.ahead_bytes = FIRST_AHEAD_BYTES;
        }
        let ahead = self.ahead_bytes.min(MOST_AHEAD_BYTES);
        self.ahead_bytes = match self.sequential {
            0 => 0,
            _ => ahead * 2,
        };
        ahead
    }

    /// The section at a place, out of the chunk, or out of a new one of about `ahead` bytes.
    fn sealed(&mut self, table: &Table, place: Place, ahead: u64) -> Result<Bytes, EngineError> {
        if !self.has(place) {
            self.read_chunk(table, place, ahead)?;
        }
        Ok(self.in_chunk(place))
    }

    fn has(&self, place: Place) -> bool {
        let end = self.chunk_at + self.chunk.len() as u64;
        self.chunk_at <= place.offset && place.end() <= end
    }

    fn in_chunk(&self, place: Place) -> Bytes {
        let from = (place.offset - self.chunk_at) as usize;
        self.chunk.slice(from..from + place.bytes as usize)
    }

    fn read_chunk(&mut self, table: &Table, place: Place, ahead: u64) -> Result<(), EngineError> {
        table.file().check(place)?;
        let blocks_left = table.footer().top.offset.saturating_sub(place.offset);
        let bytes = ahead.min(blocks_left).max(u64::from(place.bytes));
        // Nothing of the old chunk is left behind by an error.
        self.chunk = Bytes::new();
        let handle = table.file().handle();
        let chunk = handle.read_new(bytes as usize, place.offset)?;
        if bytes < blocks_left && self.sequential > 0 {
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
