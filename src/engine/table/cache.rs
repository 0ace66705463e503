//! The block cache, shared by all tables of an engine.

use super::block::Block;
use super::index::Index;
use crate::engine::counter::Counter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// What is cached under a place.
#[derive(Clone, Debug)]
pub enum Cached {
    Block(Block),
    Partition(Index),
}

impl Cached {
    pub fn memory_bytes(&self) -> usize {
        match self {
            Cached::Block(block) => block.memory_bytes(),
            Cached::Partition(partition) => partition.memory_bytes(),
        }
    }
}

/// Table and offset of a block.
type Key = (u64, u64);

/// Each shard has a lock, which whoever inserts a block holds while others are evicted. More shards
/// than processors, so that readers seldom meet it; large enough that each can hold its share of
/// popular blocks.
const MOST_SHARDS: usize = 64;
const LEAST_SHARD_BLOCKS: usize = 256;

#[derive(Clone)]
struct ByMemory;

impl Weighter<Key, Cached> for ByMemory {
    fn weight(&self, _: &Key, cached: &Cached) -> u64 {
        cached.memory_bytes() as u64
    }
}

/// Blocks and index partitions as they are read, uncompressed, at most so many bytes of memory, as
/// the allocator counts them.
///
/// The crate evicts by a CLOCK with a ghost list of what it has just forgotten, so that one scan
/// does not empty it. It knows no priorities: a partition stays because it is looked up for every
/// one of the hundred blocks below it.
pub struct BlockCache {
    blocks: Option<Cache<Key, Cached, ByMemory>>,
    hits: Counter,
    misses: Counter,
}

impl BlockCache {
    /// 0 bytes: nothing is ever kept. `block_bytes`: about what a block will have.
    pub fn new(bytes: u64, block_bytes: usize) -> Self {
        let items = usize::try_from(bytes).unwrap_or(usize::MAX) / block_bytes.max(1);
        let options = OptionsBuilder::new()
            .shards((items / LEAST_SHARD_BLOCKS).clamp(1, MOST_SHARDS))
            .estimated_items_capacity(items.max(16))
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are given");
        let hasher = DefaultHashBuilder::default();
        let cache = || Cache::with_options(options, ByMemory, hasher, DefaultLifecycle::default());
        let blocks = (bytes > 0).then(cache);
        BlockCache { blocks, hits: Counter::default(), misses: Counter::default() }
    }

    pub(super) fn block(&self, table: u64, offset: u64) -> Option<Block> {
        match self.get(table, offset) {
            Some(Cached::Block(block)) => Some(block),
            Some(Cached::Partition(_)) | None => None,
        }
    }

    pub(super) fn partition(&self, table: u64, offset: u64) -> Option<Index> {
        match self.get(table, offset) {
            Some(Cached::Partition(partition)) => Some(partition),
            Some(Cached::Block(_)) | None => None,
        }
    }

    fn get(&self, table: u64, offset: u64) -> Option<Cached> {
        let found = self.blocks.as_ref().and_then(|blocks| blocks.get(&(table, offset)));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.add(1);
        found
    }

    pub(super) fn insert(&self, table: u64, offset: u64, cached: Cached) {
        if let Some(blocks) = &self.blocks {
            blocks.insert((table, offset), cached);
        }
    }

    /// Memory of what it holds. Blocks that it has evicted but a reader still holds are not in it.
    pub fn usage_bytes(&self) -> u64 {
        self.blocks.as_ref().map_or(0, |blocks| blocks.weight())
    }

    pub fn capacity_bytes(&self) -> u64 {
        self.blocks.as_ref().map_or(0, |blocks| blocks.capacity())
    }

    /// Look-ups that found their block.
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// Look-ups that did not.
    pub fn misses(&self) -> u64 {
        self.misses.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::entry::{Item, Kind};
    use crate::engine::table::block::{BlockBuilder, OVERHEAD_BYTES, allocated_bytes};

    fn block(value: &[u8]) -> Cached {
        let mut builder = BlockBuilder::new(16);
        builder.add(0, b"key", Item { kind: Kind::Value, expires_s: 0, value }, None);
        let block = Block::open(builder.finish().to_vec().into());
        Cached::Block(block.expect("it was just written"))
    }

    #[test]
    fn it_holds_no_more_than_its_bytes_and_counts() {
        let cache = BlockCache::new(1 << 20, 1_000);
        for offset in 0..5_000 {
            cache.insert(1, offset * 4_096, block(&[7; 900]));
            assert!(cache.usage_bytes() <= cache.capacity_bytes());
        }
        assert!(cache.usage_bytes() > cache.capacity_bytes() / 2);
        assert!(cache.capacity_bytes() < (1 << 20) + 64);
        let found = (0..5_000).filter(|offset| cache.get(1, offset * 4_096).is_some()).count();
        assert_eq!((cache.hits(), cache.misses()), (found as u64, 5_000 - found as u64));
        assert!(cache.get(2, 0).is_none(), "of another table");
    }

    #[test]
    fn a_block_counts_as_what_its_memory_takes() {
        let sizes = [(0, 0), (1, 16), (17, 32), (4_096, 4_096), (4_240, 5_120), (5_121, 6_144)];
        for (bytes, allocated) in sizes {
            assert_eq!(allocated_bytes(bytes), allocated, "{bytes} bytes");
        }
        let cache = BlockCache::new(1 << 20, 4_096);
        cache.insert(1, 0, block(&[7; 4_240]));
        assert_eq!(cache.usage_bytes(), 5_120 + OVERHEAD_BYTES as u64);
    }

    #[test]
    fn without_bytes_it_keeps_nothing() {
        let cache = BlockCache::new(0, 4_096);
        cache.insert(1, 0, block(b"value"));
        assert!(cache.get(1, 0).is_none());
        assert_eq!((cache.usage_bytes(), cache.misses()), (0, 1));
    }
}
