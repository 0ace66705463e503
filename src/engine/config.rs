//! What YAML says of the engine: `engine: memory` or `engine: {lsm: {sync: always, …}}`.

use serde::{Deserialize, Serialize};

/// Which engine a node stores its records in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// An ordered map in memory. Loses everything with the process: for tests and protocol experiments.
    Memory,
    /// A log-structured merge tree on disk.
    Lsm(LsmConfig),
}

impl Default for Config {
    fn default() -> Self {
        Config::Lsm(LsmConfig::default())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LsmConfig {
    /// When an acknowledged write is on disk.
    pub sync: SyncPolicy,
    /// Between two synchronisations where `sync` is `interval`: what a power failure may take.
    pub sync_interval_ms: u64,
    /// A memtable is flushed at this size. Two more may wait for their flush.
    pub memtable_mib: u64,
    /// Segments of the write-ahead log are preallocated at this size.
    pub wal_segment_mib: u64,
    /// Uncompressed size of a data block, the unit of reading and checksums.
    pub block_kib: u64,
    /// Bits per key of each table's Bloom filter; 0 turns it off.
    pub bloom_bits: u32,
    /// Cache of data blocks.
    pub cache_mib: u64,
    pub compression: Compression,
}

impl Default for LsmConfig {
    fn default() -> Self {
        LsmConfig {
            sync: SyncPolicy::Always,
            sync_interval_ms: 100,
            memtable_mib: 64,
            wal_segment_mib: 64,
            block_kib: 4,
            bloom_bits: 10,
            cache_mib: 64,
            compression: Compression::None,
        }
    }
}

/// When an acknowledged write is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncPolicy {
    /// Before the acknowledgement; those who wait share one synchronisation.
    Always,
    /// Within the interval. A crash of the process loses nothing, a power failure at most an interval.
    Interval,
    /// When the operating system pleases. A crash of the process loses nothing.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    None,
    Lz4,
}
