//! Storage of one node, behind one trait.
//!
//! ```text
//!   node/ ── effect: store, read ──► server/ (shell) ──► Engine ──► memory   an ordered map
//!                                                            ├────► lsm      log, memtable, tables
//!                                                            ├────► btree    pages that are copied
//!                                                            └────► hash     logs, keys in memory
//! ```
//!
//! The node decides what a key's record is; the engine keeps the bytes. So the engine knows
//! nothing of versions, replicas or expiry: the last batch that changed a key wins, in the order
//! of its commits. The shell calls `peek` on the thread of the protocol, since it never waits for
//! the disk, `get` from a thread that may, and `commit` from the thread that owns the group
//! commit.
//!
//! # Invariants
//!
//! * A batch is applied whole or not at all, also across a crash.
//! * A read sees every write whose commit has returned, and none that is not yet as durable as
//!   the `sync` setting promises: what a reader was shown cannot be taken back by a crash.
//! * A wrong byte on disk is an error with file and offset, never a wrong value (but see `btree`).
//! * After an I/O error of a write, a flush or a compaction nothing more is written; reads go on.
//! * A scan sees one state: each batch whole or not at all.
//!
//! # Which engine
//!
//! `lsm` is the one to store with. The others are there to be compared with it: same trait, same
//! laws (`laws.rs`), same crash test (`crash/`).
//!
//! | | `memory` | `lsm` | `btree` | `hash` |
//! |---|---|---|---|---|
//! | what `always` has acknowledged outlives | nothing | a power cut | a power cut | a power cut |
//! | the rest, unsynchronised, outlives | nothing | the process | nothing | the process |
//! | memory for each key | all of it | filters, indexes | none | the key, 33 B and more |
//! | a read on disk | none | a block, or few | a page per level | the entry |
//! | written per change | nothing | its bytes once per level | a page per level | its bytes twice |
//! | a flipped bit | | an error | may be read | an error |
//! | what has expired | stays | goes in a compaction | stays | goes in a merge |
//! | `quorate engine` | | looks, copies, mends | refuses | refuses |
//!
//! The durability is that of the commit: `commit_with` overrules the setting for one batch, and a
//! batch that is synchronised makes all before it durable, too. A folder belongs to the engine that
//! made it; the others refuse it.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * No snapshots for several reads, and no transactions: the record's merge happens above, under
//!   the node's single thread. Snapshots would keep several versions of a key: memtables keep the
//!   newest alone, and the entries of tables would need sequence numbers of their own.
//! * One folder is one engine on one disk. Several disks would be several engines below a router
//!   by token.
//! * An error is final, that of a full disk, too: the engine stays read-only until its folder is
//!   opened again, which for a node means a restart. To go on by itself it would have to know that
//!   what failed left nothing behind, which a failed synchronisation never tells.

mod btree;
mod codec;
mod config;
mod counter;
#[cfg(test)]
mod crash;
pub mod disk;
pub mod entry;
mod failure;
mod group;
mod hash;
#[cfg(test)]
mod laws;
mod lsm;
mod memory;
pub mod memtable;
pub mod table;
mod threads;
pub mod wal;

pub use btree::BTree;
pub use config::{
    BtreeConfig, Compression, CompressionByLevel, Config, HashConfig, KINDS, LsmConfig, SyncPolicy,
};
pub use hash::HashLog;
#[doc(hidden)]
pub use lsm::read_manifest;
pub use lsm::{Background, Lsm, inspect};
pub use memory::Memory;

use bytes::Bytes;
use quorate_strategies::compaction::Picker;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;
use wal::Change;

/// Opens the engine that `config` names. The folder is made if it is absent; `memory` leaves it
/// alone. The picker decides the compactions of `lsm`.
pub fn open(
    config: &Config,
    dir: &Path,
    picker: Box<dyn Picker>,
) -> Result<Arc<dyn Engine>, EngineError> {
    refuse_others(config, dir)?;
    match config {
        Config::Memory => Ok(Arc::new(Memory::default())),
        Config::Lsm(lsm) => Ok(Arc::new(lsm::Lsm::open(lsm, dir, picker)?)),
        Config::Btree(btree) => Ok(Arc::new(BTree::open(btree, dir)?)),
        Config::Hash(hash) => Ok(Arc::new(HashLog::open(hash, dir)?)),
    }
}

/// A folder belongs to the engine that made it: another one would start empty beside its files.
fn refuse_others(config: &Config, dir: &Path) -> Result<(), EngineError> {
    if config == &Config::Memory {
        return Ok(());
    }
    match other(config.name(), |file| dir.join(file).exists()) {
        Some((engine, file)) => {
            let set = config.name();
            let what =
                format!("it holds {file} of the engine `{engine}`; the settings say `{set}`");
            Err(EngineError::refused(dir, what))
        }
        None => Ok(()),
    }
}

/// Which engine but `own` a folder belongs to, and the file that tells.
fn other(own: &str, has: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    let marks = [("lsm", lsm::CURRENT), ("btree", btree::FILE), ("hash", hash::FILES)];
    marks.into_iter().find(|(engine, file)| *engine != own && has(file))
}

/// One change of a batch. Batches are applied whole or not at all, also across a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Put {
        key: Bytes,
        value: Bytes,
    },
    /// A value that the engine may drop from this second since 1970 on, as if it had been removed.
    /// When it does is its own business: until then the value is read.
    PutUntil {
        key: Bytes,
        value: Bytes,
        expires_s: u64,
    },
    Remove {
        key: Bytes,
    },
}

impl Write {
    fn change(&self) -> Change<'_> {
        match self {
            Write::Put { key, value } => Change::put(key, value),
            Write::PutUntil { key, value, expires_s } => Change::put_until(key, value, *expires_s),
            Write::Remove { key } => Change::remove(key),
        }
    }

    /// Of key and value.
    fn bytes(&self) -> usize {
        let Change { key, item } = self.change();
        key.len() + item.value.len()
    }
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
    /// The operating system refused a call on a file, or could not carry it out.
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    /// A file is not what was written to it. The offset is in bytes from its beginning.
    #[error("{path}: corrupt at byte {offset}: expected {expected}, found {found}")]
    Corrupt { path: String, offset: u64, expected: String, found: String },
    /// What was asked for is not allowed: a setting, a key or batch that is too long, a folder in
    /// use, another format. Nothing was changed.
    #[error("{path}: {what}")]
    Refused { path: String, what: String },
    /// The bounds of a scan begin behind their end. Keys are shown as ASCII with escapes.
    #[error("a scan from key {from} to key {to}: it ends before it begins")]
    Crossed { from: String, to: String },
    /// The first error of a write, a flush or a compaction, or that the engine was closed.
    #[error("read-only since an earlier error: {0}")]
    ReadOnly(String),
}

impl EngineError {
    /// Names the file of an I/O error: `.map_err(EngineError::io(path))`.
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EngineError + '_ {
        move |source| EngineError::Io { path: path.display().to_string(), source }
    }

    fn corrupt(path: &Path, offset: u64, expected: &str, found: impl Into<String>) -> Self {
        let path = path.display().to_string();
        EngineError::Corrupt { path, offset, expected: expected.into(), found: found.into() }
    }

    fn refused(path: &Path, what: impl Into<String>) -> Self {
        EngineError::Refused { path: path.display().to_string(), what: what.into() }
    }
}

/// What an engine has done since it was opened, and how large it is now, for metrics and reports.
/// Counts are of operations, sizes are in bytes; what an engine does not have is 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Changes that were committed, each of a batch by itself.
    pub writes: u64,
    /// Keys that were asked for, by `peek` and `get`, and scans.
    pub reads: u64,
    /// Appended to the log.
    pub wal_bytes: u64,
    pub wal_syncs: u64,
    /// Now: of all memtables, those that wait for their flush included.
    pub memtable_bytes: u64,
    pub flushes: u64,
    /// Written by flushes: tables, and files of large values.
    pub flushed_bytes: u64,
    pub compactions: u64,
    /// Sizes of the tables that jobs merged.
    pub compaction_read_bytes: u64,
    pub compaction_written_bytes: u64,
    /// Tables that changed their level without being rewritten.
    pub moved_bytes: u64,
    /// Now: the tables, and the entries in them, tombstones and old versions included.
    pub tables: u64,
    pub table_bytes: u64,
    /// Now: files of former tables, kept for new ones.
    pub spare_bytes: u64,
    pub table_entries: u64,
    /// Filters and indexes in memory, beside the cache.
    pub table_memory_bytes: u64,
    /// Now in the cache of blocks; how often it had what was asked for, and how often not.
    pub cache_bytes: u64,
    pub cache_hits: u64,
    pub cache_misses: u64,
    /// Tables that a filter spared a read, and those that it let pass in vain.
    pub bloom_negatives: u64,
    pub bloom_false_positives: u64,
    /// Tables per level, level 0 first.
    pub tables_per_level: Vec<u64>,
    pub bytes_per_level: Vec<u64>,
    /// The longest time that a commit stood still, because memory or level 0 was full.
    pub longest_stall_us: u64,
    /// What commits waited in small steps, so that they need not stand still.
    pub slowed_us: u64,
}

/// Takes the key and the value of one entry of a scan, and says whether it wants the next.
pub type Show<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// One ordered key-value map on one disk, or in memory.
///
/// Any thread may call any method. Reads see every write whose `commit` has returned, and none
/// that has not. The newest write of a key wins; the engine knows nothing of versions.
pub trait Engine: Send + Sync {
    /// Applies the batch and returns once it is as durable as `sync` says, or else the setting of
    /// that name. Calls of several threads share one disk synchronisation. An empty batch does
    /// nothing.
    ///
    /// # Errors
    /// `lsm` refuses a key above [`wal::MAX_KEY_BYTES`] and a batch above [`wal::MAX_BATCH_BYTES`],
    /// and goes on. After any other error it is read-only; the batches that met it first may be
    /// found again or not, each whole.
    fn commit_with(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError>;

    /// Applies the batch with the durability of the settings.
    fn commit(&self, batch: Vec<Write>) -> Result<(), EngineError> {
        self.commit_with(batch, None)
    }

    /// Looks into memory only; never blocks on the disk.
    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError>;

    /// Looks everywhere; may block on the disk.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The same for many keys, in their order.
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, EngineError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// Live entries in key order within the bounds, at most `limit`. To go on behind them, scan
    /// from the last key on, excluded.
    ///
    /// # Errors
    /// [`EngineError::Crossed`] where the bounds begin behind their end.
    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;

    /// The same, shown one after the other where they lie, without a copy, until `each` breaks off.
    /// Returns how many were shown.
    ///
    /// # Errors
    /// As for `scan`; what was shown before an error is right.
    fn scan_with(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        each: &mut Show<'_>,
    ) -> Result<usize, EngineError> {
        let found = self.scan(from, to, limit)?;
        let last = found.iter().position(|(key, value)| each(key, value).is_break());
        Ok(last.map_or(found.len(), |last| last + 1))
    }

    /// A picture of the moment; counters of other threads may be one operation apart.
    fn stats(&self) -> Stats;

    /// Makes everything durable, stops background threads and releases the folder. Idempotent.
    fn close(&self) -> Result<(), EngineError>;
}

/// Whether no key can lie within the bounds. An ordered map panics at such bounds.
pub fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<bool, EngineError> {
    let (
        Bound::Included(from_key) | Bound::Excluded(from_key),
        Bound::Included(to_key) | Bound::Excluded(to_key),
    ) = (from, to)
    else {
        return Ok(false);
    };
    if from_key > to_key {
        return Err(EngineError::Crossed { from: shown(from_key), to: shown(to_key) });
    }
    let whole = matches!((from, to), (Bound::Included(_), Bound::Included(_)));
    Ok(from_key == to_key && !whole)
}

/// A key for a message: printable and short.
fn shown(key: &[u8]) -> String {
    const MOST: usize = 32;
    let dots = if key.len() > MOST { "…" } else { "" };
    format!("\"{}{dots}\"", key[..key.len().min(MOST)].escape_ascii())
}
