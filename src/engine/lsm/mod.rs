//! The engine that keeps: a log-structured merge tree.
//!
//! ```text
//!   commit ─► log ─ fdatasync ─► memtable ─ full ─► frozen ─ flush ─► level 0 ─┐
//!                                  ▲                 ▲                         │
//!   peek ──────────────────────────┴─────────────────┴── filters, cache        │
//!   get, scan ─────────────────────┴─────────────────┴── tables ◄──────────────┤
//!                                                          ▲                   │
//!   manifest: the tables and their places, an atomic edit  └─ merge ◄─ Picker ─┘
//!             per flush and per compaction
//! ```
//!
//! O'Neil, Cheng, Gawlick, O'Neil, "The Log-Structured Merge-Tree", 1996; the division into
//! levels, log, manifest and CURRENT follows LevelDB's design notes. The parts that stand for
//! themselves are next door: `memtable/`, `table/`, `wal/`, `disk/`.
//!
//! # Invariants
//!
//! * Log before disk before memtable: a read never shows what a crash could take back, and an
//!   acknowledged batch is found again, whole.
//! * A table is synchronised, and its name is, before the manifest names it; the manifest no
//!   longer names a file before it is removed or written over.
//! * The newest entry of a key is in the first place of the lookup order that knows the key:
//!   active, frozen newest first, levels from 0 on (`version.rs`).
//! * A tombstone goes only when no table outside its job could hold an older entry of the key.
//! * Memory is bounded, and so is level 0 as long as the picker has jobs for it. Commits are slowed
//!   before they have to wait (`pace.rs`).
//!
//! # Caveats: what is left out, and what it would take
//!
//! * No scrubbing: a corrupt block is found when it is read, compacted or verified. A read that
//!   meets it fails alone; a compaction that does turns the engine read-only, since it would meet
//!   it again and again. To go on it would have to leave the table out of all jobs.
//! * One scan sees one state. There is no handle that keeps a state for several reads: two scans
//!   may see different ones.
//! * One thread flushes. Several memtables that wait are flushed one after the other.
//! * The limits of level 0, 12 runs to slow commits and 36 to stop them, are no settings.
//! * What is kept of former tables (`spare_tables_mib`) is room on the disk that a log cannot have
//!   when the disk is full: the engine turns read-only, gives it back, and has it when it is opened
//!   again. Who copies the folder while it is in use, instead of taking a snapshot, copies files
//!   that are being written over.
//! * Threads that flush and compact have a lower priority (`background_nice`), which Linux does not
//!   let them take back: where other processes want all of the processor, commits are slowed before
//!   those are.

mod background;
mod blob;
mod commit;
mod compaction;
mod files;
mod flush;
pub mod inspect;
mod jobs;
mod limiter;
mod manifest;
mod monkey;
mod options;
mod output;
mod pace;
mod read;
mod recovery;
mod slices;
mod snapshot;
mod tree;
mod version;

#[cfg(test)]
mod tests;

use crate::engine::disk::{Disk, Folder, Real};
use crate::engine::wal::{Replayed, Salvage};
use crate::engine::{Engine, EngineError, LsmConfig, Peek, Show, Stats, SyncPolicy, Write};
use bytes::Bytes;
use options::Options;
use parking_lot::Mutex;
use quorate_strategies::compaction::Picker;
use std::any::Any;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tree::Tree;

pub use files::CURRENT;
#[doc(hidden)]
pub use manifest::read_framed as read_manifest;

/// An open LSM. Dropped, it closes.
pub struct Lsm {
    tree: Arc<Tree>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for the lock on the folder.
    owner: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

/// Who flushes and compacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Threads of the engine.
    Threads,
    /// Whoever commits, before the commit returns: no threads and no clock, so that a run on a
    /// simulated disk can be repeated.
    Inline,
}

impl Lsm {
    /// Opens the folder, recovers what it holds and starts the background threads.
    ///
    /// # Errors
    /// `Refused`: a setting out of range, a folder that another process has open, data without a
    /// `CURRENT`, another format. `Corrupt`: a damaged manifest, a table that cannot be opened, a
    /// hole in the log. `Io`: all else. What was found is left as it is.
    pub fn open(
        config: &LsmConfig,
        dir: &Path,
        picker: Box<dyn Picker>,
    ) -> Result<Self, EngineError> {
        Self::open_on(Arc::new(Real), dir, config, picker, Background::Threads)
    }

    /// Opens a folder whose log has a hole, or is missing: what is before the hole is kept, and
    /// what is behind it is set aside in files `*.salvaged`. The second answer says what was found.
    /// A damaged table or manifest is refused as by [`open`](Self::open).
    pub fn salvage(
        config: &LsmConfig,
        dir: &Path,
        picker: Box<dyn Picker>,
    ) -> Result<(Self, Replayed), EngineError> {
        config.check().map_err(|what| EngineError::refused(dir, what))?;
        let folder = Folder::new(Arc::new(Real), dir);
        Self::start(folder, Options::new(config), picker, Salvage::Yes)
    }

    /// Opens a folder on some disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: &LsmConfig,
        picker: Box<dyn Picker>,
        background: Background,
    ) -> Result<Self, EngineError> {
        config.check().map_err(|what| EngineError::refused(dir, what))?;
        let mut options = Options::new(config);
        if background == Background::Inline {
            options.inline = true;
            options.now_s = Arc::new(|| 0);
            options.log_id = 0;
        }
        Self::open_with(Folder::new(disk, dir), options, picker, Salvage::No)
    }

    fn open_with(
        folder: Folder,
        options: Options,
        picker: Box<dyn Picker>,
        salvage: Salvage,
    ) -> Result<Self, EngineError> {
        Self::start(folder, options, picker, salvage).map(|(lsm, _)| lsm)
    }

    fn start(
        folder: Folder,
        options: Options,
        picker: Box<dyn Picker>,
        salvage: Salvage,
    ) -> Result<(Self, Replayed), EngineError> {
        let owner = Mutex::new(Some(folder.acquire(files::LOCK)?));
        let (tree, replayed) = recovery::recover(folder, options, picker, salvage)?;
        let tree = Arc::new(tree);
        let threads = if tree.options.inline { Vec::new() } else { background::start(&tree)? };
        Ok((Lsm { tree, threads: Mutex::new(threads), owner }, replayed))
    }

    /// Moves everything from memory into tables and waits for it.
    ///
    /// # Errors
    /// What failed while it waited, as `ReadOnly`; without threads the error itself.
    pub fn flush(&self) -> Result<(), EngineError> {
        let mut log = self.tree.log.lock();
        if !self.tree.state.load().active.is_empty() {
            self.tree.freeze(&mut log);
        }
        drop(log);
        if self.tree.options.inline {
            return self.tree.flush_all();
        }
        self.wait_until(|tree, _| tree.state.load().frozen.is_empty())
    }

    /// Waits until the picker has nothing more to do, now that nothing more is written.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush).
    pub fn settle(&self) -> Result<(), EngineError> {
        self.tree.signal(|signals| {
            signals.quiet = true;
            signals.compaction_due = true;
        });
        if self.tree.options.inline {
            return self.tree.work();
        }
        self.wait_until(|tree, signals| signals.is_resting() && tree.state.load().frozen.is_empty())
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
    fn commit_with(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.tree.commit(batch, sync)
    }

    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        self.tree.peek(key)
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

    fn scan_with(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        each: &mut Show<'_>,
    ) -> Result<usize, EngineError> {
        self.tree.scan_with(from, to, limit, each)
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
        let closed = log.close();
        drop(log);
        *owner = None;
        failed.and(closed)
    }
}

impl Drop for Lsm {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            let dir = self.tree.folder.path().display();
            tracing::warn!(%error, %dir, "while closing the engine");
        }
    }
}
