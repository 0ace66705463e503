//! The settings of an LSM in the units that the code works in.

use crate::engine::{CompressionByLevel, LsmConfig, SyncPolicy};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Runs of level 0 from which on commits are slowed, and at which they wait.
const LEVEL0_SLOWDOWN: usize = 12;
const LEVEL0_STOP: usize = 36;
/// Where the tables of a flush are cut: as long as those of most merges, so that their files serve
/// each other.
pub const FLUSH_TABLE_BYTES: u64 = 16 << 20;
/// What a large job rewrites of its output's run before it is installed: little beside the data,
/// and enough tables to be divided among threads.
const SLICE_BYTES: u64 = 128 << 20;

#[derive(Clone)]
pub struct Options {
    pub sync: SyncPolicy,
    pub sync_interval: Duration,
    pub memtable_bytes: u64,
    /// Memtables that may wait for their flush before commits wait, too.
    pub max_frozen: usize,
    pub segment_bytes: u64,
    pub wal_spares: usize,
    /// Tells this folder's log from others, if the folder is new.
    pub log_id: u64,
    pub block_bytes: usize,
    pub block_hash_index: bool,
    pub bloom_bits: u32,
    pub monkey: bool,
    pub cache_bytes: u64,
    pub pin_index: bool,
    pub compression: CompressionByLevel,
    /// Values from this size on lie in files of their own.
    pub separate_bytes: u64,
    pub compaction_threads: usize,
    pub background_nice: i32,
    pub compaction_bytes_per_s: u64,
    pub slice_bytes: u64,
    /// Files of former tables that are kept for new ones.
    pub spare_bytes: u64,
    /// So much of them merges leave to flushes, for which commits wait.
    pub spares_of_flushes: u64,
    pub level0_slowdown: usize,
    pub level0_stop: usize,
    /// No threads: who commits flushes and compacts, too, so that a run can be repeated.
    pub inline: bool,
    /// Seconds since 1970, for what depends on age; 0 where there is no clock.
    pub now_s: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Options {
    pub fn new(config: &LsmConfig) -> Self {
        Options {
            sync: config.sync,
            sync_interval: Duration::from_millis(config.sync_interval_ms),
            memtable_bytes: config.memtable_mib << 20,
            max_frozen: config.memtables as usize - 1,
            segment_bytes: config.wal_segment_mib << 20,
            wal_spares: config.wal_spares as usize,
            log_id: RandomState::new().hash_one("a new log"),
            block_bytes: (config.block_kib << 10) as usize,
            block_hash_index: config.block_hash_index,
            bloom_bits: config.bloom_bits,
            monkey: config.monkey,
            cache_bytes: config.cache_mib << 20,
            pin_index: config.pin_index,
            compression: config.compression.clone(),
            separate_bytes: match config.separate_values_kib {
                0 => u64::MAX,
                kib => kib << 10,
            },
            compaction_threads: config.compaction_threads as usize,
            background_nice: config.background_nice as i32,
            compaction_bytes_per_s: config.compaction_mib_per_s << 20,
            slice_bytes: SLICE_BYTES,
            spare_bytes: config.spare_tables_mib << 20,
            spares_of_flushes: (config.memtable_mib << 20) * (config.memtables - 1),
            level0_slowdown: LEVEL0_SLOWDOWN,
            level0_stop: LEVEL0_STOP,
            inline: false,
            now_s: Arc::new(seconds_since_1970),
        }
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
