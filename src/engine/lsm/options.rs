//! The settings of an LSM in the units that the code works in.

use super::table::Format;
use crate::engine::{LsmConfig, SyncPolicy};
use std::time::Duration;

/// Frozen memtables that may wait for their flush before commits wait, too.
const MAX_FROZEN: usize = 2;
/// Tables of level 0 at which commits wait for the running compaction.
const LEVEL0_STOP: usize = 36;

#[derive(Clone, Debug)]
pub struct Options {
    pub sync: SyncPolicy,
    pub sync_interval: Duration,
    pub memtable_bytes: u64,
    pub segment_bytes: u64,
    pub cache_bytes: u64,
    pub format: Format,
    pub max_frozen: usize,
    pub level0_stop: usize,
}

impl Options {
    pub fn new(config: &LsmConfig) -> Self {
        Options {
            sync: config.sync,
            sync_interval: Duration::from_millis(config.sync_interval_ms),
            memtable_bytes: config.memtable_mib << 20,
            segment_bytes: config.wal_segment_mib << 20,
            cache_bytes: config.cache_mib << 20,
            format: Format {
                block_bytes: (config.block_kib << 10) as usize,
                bloom_bits: config.bloom_bits,
                compression: config.compression,
            },
            max_frozen: MAX_FROZEN,
            level0_stop: LEVEL0_STOP,
        }
    }
}
