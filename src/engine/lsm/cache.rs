//! The block cache, shared by all tables of an engine.

use super::block::Block;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Table and offset of a block.
type Place = (u64, u64);

#[derive(Clone)]
struct ByBytes;

impl Weighter<Place, Block> for ByBytes {
    fn weight(&self, _: &Place, block: &Block) -> u64 {
        // The handle and the cache's own entry beside the bytes.
        block.bytes() as u64 + 96
    }
}

/// Decoded blocks, at most so many bytes of them. Eviction is CLOCK with a ghost list
/// (quick_cache's S3-FIFO variant), so that one scan does not empty it.
pub struct BlockCache {
    blocks: Option<Cache<Place, Block, ByBytes>>,
}

impl BlockCache {
    /// 0 bytes: nothing is ever kept.
    pub fn new(bytes: u64, block_bytes: usize) -> Self {
        let items = (bytes as usize / block_bytes).max(16);
        let blocks = (bytes > 0).then(|| Cache::with_weighter(items, bytes, ByBytes));
        BlockCache { blocks }
    }

    pub fn get(&self, table: u64, offset: u64) -> Option<Block> {
        self.blocks.as_ref()?.get(&(table, offset))
    }

    pub fn insert(&self, table: u64, offset: u64, block: Block) {
        if let Some(blocks) = &self.blocks {
            blocks.insert((table, offset), block);
        }
    }
}
