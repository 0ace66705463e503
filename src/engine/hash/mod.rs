//! The engine that appends: files of values in the order in which they came, and a hash index in
//! memory that knows where the newest value of each key lies.
//!
//! ```text
//!   commit ─► group ─► active file ─ fdatasync ─► index          FILES  the list, oldest first
//!                          │ full                   ▲              1.log 1.hint
//!                          ▼                        │              4.log 4.hint ◄─ merged: 2 and 3
//!                      sealed files ─── merge ──────┘              5.log           active
//!   get ─► index ─► one read of one file
//! ```
//!
//! Sheehan and Smith, "Bitcask: A Log-Structured Hash Table for Fast Key/Value Data", 2010. A write
//! is an append and nothing else until a merge; a read is one look into memory and one read from
//! the disk, whatever the size of the data. The price is memory for every key, and order: there is
//! none on disk.
//!
//! The differences to Bitcask: a batch is one record, whole or not there; the list of files is
//! itself a file, so that one that is missing is noticed and a merge of some neighbours in the
//! middle keeps the order in time; each entry has a checksum of its own that knows its place.
//!
//! # What it promises
//!
//! * `sync: always`: a batch is on disk before its commit returns, and commits of several threads
//!   share a synchronisation. `interval`: the death of the process takes nothing that was
//!   acknowledged, a power cut at most the last interval. `never`: a power cut takes what the
//!   active file got since the last synchronisation; a full file is always synchronised. A commit
//!   that asks for more or less than the setting gets that, and makes all before it durable, too.
//! * After a power cut there is all that was durable and, behind it, a first part of the rest in
//!   the order of the commits. A torn tail of the active file is left out; what is damaged before
//!   it is refused, with file, offset, and what was found and expected.
//! * A scan sees one state of the index, and so whole batches.
//! * A bit that flips in a value or its key is found by who reads it, in a sealed file's head by
//!   who merges it; in FILES by the opening. A hint that is damaged is not used.
//!
//! # What it costs
//!
//! * Memory: 33 bytes and the key itself, and what the hash table keeps free to grow (between 1.1
//!   and 2.3 times the 33 bytes): 60 to 110 bytes for a key of 16 with its allocation.
//! * Order: the first scan sorts all keys, and from then on they are kept a second time, 16 bytes
//!   and the key itself; keys that came since the last scan are in an ordered set that is merged
//!   in when it has grown (`order.rs`). Who never scans pays nothing. A scan holds the index for as
//!   long as it takes to look its keys up, then reads each value from the disk.
//! * Disk: a file is merged when `merge_dead_percent` of it are dead, so at 50 the data take up to
//!   twice their size, and under even overwriting each byte is written about twice in all.
//! * Synchronisation: files are not filled with zeros beforehand, as they keep their contents for
//!   long; where commits are synchronised, zeros are written 256 KiB ahead instead, so that nearly
//!   all synchronisations find the file's length and place unchanged.
//!
//! # Invariants
//!
//! * File before disk before index: a read never shows what a crash could take back.
//! * A file is durable before the next one takes writes; only the last one can have a torn tail.
//! * The newest entry of a key is in the last file of the list that knows it, and there furthest
//!   behind. The index points to it, unless it is a removal.
//! * A removal goes only if no older file is left, or a newer value is there, which is durable
//!   before the removal's file goes.
//! * A batch that was durable and does not verify is an error. What proves it is a later batch
//!   that says how much was durable, or the mark of a clean end in FILES.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A flipped bit in the last group that was synchronised before a crash looks like a torn write
//!   and is cut, as in every log without a second write. After a clean end it is found.
//! * All keys must fit into memory, and an opening reads all hints. Nothing refuses a key too many.
//! * Nobody waits for merges: where writes come faster than the one thread merges, the disk fills.
//! * What has expired is dropped when its file is merged; expiry alone makes no file due.
//! * A file that a merge found damaged is neither merged nor mended, and nothing verifies, copies
//!   or salvages a folder: `quorate engine` refuses it. A walk over all files, which recovery has,
//!   would be the first two.
//! * Values are not cached: the operating system's page cache does that, but `peek` cannot know
//!   what is in it and answers that only the disk knows.

mod background;
mod file;
mod hint;
mod index;
mod log;
mod manifest;
mod merge;
mod options;
mod order;
mod record;
mod recovery;
mod store;

#[cfg(test)]
mod tests;

pub use manifest::FILES;

use crate::engine::disk::{Folder, Real};
use crate::engine::{Engine, EngineError, HashConfig, Peek, Stats, SyncPolicy, Write};
use bytes::Bytes;
use options::Options;
use parking_lot::Mutex;
use std::any::Any;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use store::Store;

/// An open hash engine. Dropped, it closes.
pub struct HashLog {
    store: Arc<Store>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for the lock on the folder.
    owner: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

impl HashLog {
    /// Opens the folder, recovers what it holds and starts the background threads.
    pub fn open(config: &HashConfig, dir: &Path) -> Result<Self, EngineError> {
        config.check().map_err(|what| EngineError::refused(dir, what))?;
        Self::open_with(Folder::new(Arc::new(Real), dir), Options::new(config))
    }

    fn open_with(folder: Folder, options: Options) -> Result<Self, EngineError> {
        let owner = Mutex::new(Some(folder.acquire(recovery::LOCK)?));
        let store = Arc::new(recovery::recover(folder, options)?);
        let threads = if store.options.inline { Vec::new() } else { background::start(&store)? };
        Ok(HashLog { store, threads: Mutex::new(threads), owner })
    }

    /// Makes everything durable that was committed.
    pub fn flush(&self) -> Result<(), EngineError> {
        self.store.check_writable()?;
        self.store.sync()
    }

    /// Waits until there is nothing to merge.
    pub fn settle(&self) -> Result<(), EngineError> {
        self.store.signal(|signals| signals.merge_due = true);
        if self.store.options.inline {
            return self.store.work();
        }
        let mut signals = self.store.signals.lock();
        while !signals.is_resting() {
            self.store.check_writable()?;
            self.store.changed.wait(&mut signals);
        }
        Ok(())
    }
}

impl Engine for HashLog {
    fn commit_with(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.store.commit(batch, sync)
    }

    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        Ok(self.store.peek(key))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.store.get(key)
    }

    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, EngineError> {
        self.store.multi_get(keys)
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.store.scan(from, to, limit)
    }

    fn stats(&self) -> Stats {
        self.store.stats()
    }

    fn close(&self) -> Result<(), EngineError> {
        let mut owner = self.owner.lock();
        if owner.is_none() {
            return Ok(());
        }
        self.store.signal(|signals| signals.closing = true);
        for thread in self.threads.lock().drain(..) {
            // A panic of the thread was turned into the engine's failure by its watch.
            let _ = thread.join();
        }
        let failed = self.store.check_writable();
        let mut log = self.store.log.lock();
        self.store.refuse_writes("the engine is closed");
        let closed = if failed.is_ok() { self.close_log(&mut log) } else { Ok(()) };
        drop(log);
        *owner = None;
        failed.and(closed)
    }
}

impl HashLog {
    /// Leaves a mark that all of the file was durable.
    fn close_log(&self, log: &mut log::Log) -> Result<(), EngineError> {
        log.sync()?;
        let mut manifest = self.store.manifest.lock();
        if manifest.clean != log.bytes() {
            manifest.clean = log.bytes();
            manifest.save(&self.store.folder)?;
        }
        Ok(())
    }
}

impl Drop for HashLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            let dir = self.store.folder.path().display();
            tracing::warn!(%error, %dir, "while closing the engine");
        }
    }
}
