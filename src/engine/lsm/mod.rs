//! The engine that keeps: a log-structured merge tree.
//!
//! ```text
//!   commit ─► queue ─ leader ─► wal ─ fdatasync ─► memtable ─ full ─► frozen ─ flush ─► level 0 ─┐
//!                                                     ▲                 ▲                        │
//!   peek ─────────────────────────────────────────────┴─────────────────┴── filters, cache       │
//!   get, scan ────────────────────────────────────────┴─────────────────┴── tables ◄─────────────┤
//!                                                                             ▲                  │
//!   manifest: the list of tables, one atomic edit per flush and compaction    └─ merge ◄─ Picker ┘
//! ```
//!
//! O'Neil, Cheng, Gawlick, O'Neil, "The Log-Structured Merge-Tree", 1996; the division into
//! levels, log, manifest and CURRENT follows LevelDB's design notes.
//!
//! # Invariants
//!
//! * Log before disk before memtable: a read never shows what a crash could take back, and an
//!   acknowledged batch is found again, whole.
//! * A table is synchronised, and its name is, before the manifest names it; the manifest no
//!   longer names a file before it is removed.
//! * The newest entry of a key is in the first place of the lookup order that knows the key:
//!   active, frozen newest first, levels from 0 on.
//! * A tombstone goes only when no table outside its job could hold an older entry of the key.
//! * Memory and level 0 are bounded: a commit waits when both frozen memtables are taken.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * One thread compacts. Several would mark their inputs busy, which `TableMeta` has a field for.
//! * The memtable is one map with its order, under one lock. Readers wait while a batch is applied;
//!   with many writing threads a map per shard of keys, merged for scans, would take the contention
//!   away.
//! * No scrubbing: a corrupt block is found when it is read or compacted, and then stops
//!   compaction.

mod background;
mod block;
mod bloom;
mod cache;
mod codec;
mod commit;
mod compaction;
mod entry;
mod files;
mod flush;
mod manifest;
mod memtable;
mod merge;
mod options;
mod read;
mod recovery;
mod table;
mod tree;
mod version;
mod wal;

#[cfg(test)]
mod tests;

use crate::engine::{Engine, EngineError, LsmConfig, Peek, Stats, Write};
use crate::lock::Lock;
use bytes::Bytes;
use options::Options;
use parking_lot::Mutex;
use quorate_strategies::compaction::Picker;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tree::Tree;

/// An open LSM. Dropped, it closes.
pub struct Lsm {
    tree: Arc<Tree>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for the lock on the folder.
    owner: Mutex<Option<Lock>>,
}

impl Lsm {
    /// Opens the folder, recovers what it holds and starts the background threads.
    pub fn open(
        config: &LsmConfig,
        dir: &Path,
        picker: Box<dyn Picker>,
    ) -> Result<Self, EngineError> {
        config.check().map_err(|what| EngineError::refused(dir, what))?;
        Self::open_with(Options::new(config), dir, picker)
    }

    fn open_with(
        options: Options,
        dir: &Path,
        picker: Box<dyn Picker>,
    ) -> Result<Self, EngineError> {
        let owner = Mutex::new(Some(files::acquire(dir)?));
        let tree = Arc::new(recovery::recover(dir, options, picker)?);
        let threads = Mutex::new(background::start(&tree)?);
        Ok(Lsm { tree, threads, owner })
    }

    /// Moves everything from memory into tables and waits for it.
    pub fn flush(&self) -> Result<(), EngineError> {
        let mut log = self.tree.log.lock();
        if !self.tree.state.load().active.is_empty() {
            self.tree.freeze(&mut log);
        }
        drop(log);
        self.wait_until(|tree, _| tree.state.load().frozen.is_empty())
    }

    /// Waits until the picker has nothing more to do.
    pub fn settle(&self) -> Result<(), EngineError> {
        self.wait_until(|tree, signals| signals.resting && tree.state.load().frozen.is_empty())
    }

    fn wait_until(
        &self,
        reached: impl Fn(&Tree, &tree::Signals) -> bool,
    ) -> Result<(), EngineError> {
        let mut signals = self.tree.signals.lock();
        while !reached(&self.tree, &signals) {
            self.tree.check_writable()?;
            self.tree.changed.wait(&mut signals);
        }
        Ok(())
    }
}

impl Engine for Lsm {
    fn commit(&self, batch: Vec<Write>) -> Result<(), EngineError> {
        self.tree.commit(&batch)
    }

    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        Ok(self.tree.peek(key))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.tree.get(key)
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.tree.scan(from, to, limit)
    }

    fn stats(&self) -> Stats {
        self.tree.stats()
    }

    fn close(&self) -> Result<(), EngineError> {
        let mut owner = self.owner.lock();
        if owner.is_none() {
            return Ok(());
        }
        self.tree.signal(|signals| signals.closing = true);
        for thread in self.threads.lock().drain(..) {
            // A panic of the thread was turned into the engine's failure by its watch.
            let _ = thread.join();
        }
        let failed = self.tree.check_writable();
        let mut log = self.tree.log.lock();
        self.tree.refuse_writes("the engine is closed");
        let synced = log.sync();
        drop(log);
        *owner = None;
        failed.and(synced.map(|_| ()))
    }
}

impl Drop for Lsm {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, dir = %self.tree.dir.display(), "while closing the engine");
        }
    }
}
