//! Storage of one node, behind one trait.

mod config;

pub use config::{Compression, Config, LsmConfig, SyncPolicy};

use bytes::Bytes;
use std::ops::Bound;

/// One change of a batch. Batches are applied whole or not at all, also across a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Put { key: Bytes, value: Bytes },
    Remove { key: Bytes },
}

/// What a look into memory can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    Found(Bytes),
    Absent,
    /// Only the disk knows: ask `get` from a thread that may block.
    OnDisk,
}

/// Why the engine could not serve. Strings of I/O errors name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path}: corrupt at byte {offset}: expected {expected}, found {found}")]
    Corrupt { path: String, offset: u64, expected: String, found: String },
    #[error("{path}: {what}")]
    Refused { path: String, what: String },
    #[error("read-only since an earlier error: {0}")]
    ReadOnly(String),
}

/// Counters and sizes since the engine was opened, for metrics and reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    pub writes: u64,
    pub reads: u64,
    pub wal_bytes: u64,
    pub wal_syncs: u64,
    pub memtable_bytes: u64,
    pub flushes: u64,
    pub flushed_bytes: u64,
    pub compactions: u64,
    pub compaction_read_bytes: u64,
    pub compaction_written_bytes: u64,
    pub tables: u64,
    pub table_bytes: u64,
    pub bloom_negatives: u64,
    pub bloom_false_positives: u64,
    /// Tables per level, level 0 first.
    pub tables_per_level: Vec<u64>,
    pub longest_stall_us: u64,
}

/// One ordered key-value map on one disk, or in memory.
///
/// Any thread may call any method. Reads see every write whose `commit` has returned, and none that has
/// not. The newest write of a key wins; the engine knows nothing of versions.
pub trait Engine: Send + Sync {
    /// Applies the batch and returns once it is durable, as the `sync` setting defines durable. Calls of
    /// several threads share one disk synchronisation. After an error the engine is read-only.
    fn commit(&self, batch: Vec<Write>) -> Result<(), EngineError>;

    /// Looks into memory only; never blocks on the disk.
    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError>;

    /// Looks everywhere; may block on the disk.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Live entries in key order within the bounds, at most `limit`.
    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;

    fn stats(&self) -> Stats;

    /// Makes everything durable, stops background threads and releases the folder. Idempotent.
    fn close(&self) -> Result<(), EngineError>;
}
