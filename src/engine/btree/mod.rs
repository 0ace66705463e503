//! The engine that copies pages: a B-tree in one file, the crate redb.
//!
//! ```text
//!   commit ─► group ─► one write transaction: new copies of the changed pages, up to a new root
//!                          │ always: written, fdatasync      interval, never: kept in memory
//!                          ▼
//!   get, scan ─► the newest root that was committed ─► pages, from the cache or the file
//! ```
//!
//! Each commit writes new pages and then a new root, so the old tree is there until the new one is
//! complete: no log is needed, and a reader keeps the tree that it began with. What a commit costs
//! is the pages on the way to each changed key, 4 KiB each; so the commits of several threads share
//! one transaction. The design is that of LMDB; redb's own document describes the differences.
//!
//! # What the settings mean here
//!
//! * `sync: always` is redb's durability `Immediate`: pages and root are on disk before the commit
//!   returns, with one synchronisation. A root whose pages were torn does not verify, and the one
//!   before it counts.
//! * `interval` and `never` are redb's durability `None`: what was committed is read at once, but
//!   it is in the memory of this process alone. **So the death of the process takes it, too**, up
//!   to the last durable commit: one interval for `interval`. `never` has a durable commit when the
//!   engine closes and, as `interval` has, after each 64 MiB of writes.
//! * A commit that asks for more or less than the setting gets that; one that is synchronised
//!   brings all before it along.
//!
//! That pages and root come to disk in the right order is redb's promise; the crash test of the
//! engines holds `always` to it, on a disk that tears writes and reorders them between two
//! synchronisations (`tests/crash.rs`). With the other settings it holds no less: the last
//! durable root is the last one that was synchronised. Memory is the cache alone, whatever the
//! number of keys. A scan sees one tree, and so whole batches.
//!
//! # Invariants
//!
//! * What a reader sees was committed and, with `always`, is durable.
//! * The file has its name only when it is a complete, empty tree.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * redb checks checksums when it opens a file after a crash, not when it reads a page. **A bit
//!   that flips on disk may be read as a wrong value.** The other engines find it.
//! * After an error of the disk redb refuses reads as well as writes until it is opened again.
//! * redb does not tell what is in its cache, so `peek` always answers that only the disk knows,
//!   even of a key that is in memory or nowhere: each read goes through a thread that may block.
//! * Opening after a crash walks the whole tree, to verify it and to find its free pages: seconds
//!   for gigabytes. redb could save its free pages with each commit, which makes commits dearer.
//! * The file never shrinks. redb's compaction needs the engine for itself.
//! * Nothing verifies, copies or mends a folder that is not open: `quorate engine` refuses it. redb
//!   can check the integrity of a database that is open.
//! * `PutUntil` is a put: nothing is dropped by itself.

mod backend;
#[cfg(test)]
mod tests;

use crate::engine::disk::{Folder, Mode, Real};
use crate::engine::failure::Failure;
use crate::engine::group::Groups;
use crate::engine::wal;
use crate::engine::{BtreeConfig, Engine, EngineError, Peek, Stats, SyncPolicy, Write, is_empty};
use arc_swap::ArcSwapOption;
use backend::{Backend, Counts};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use redb::{Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::any::Any;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

pub const FILE: &str = "btree.redb";
const LOCK: &str = "LOCK";
const TEMPORARY: &str = "btree.tmp";
const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

type Records = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// However lax the setting: so many bytes of changes may be in memory alone.
const UNSYNCED_BYTES: u64 = 64 << 20;

/// An open B-tree. Dropped, it closes.
pub struct BTree {
    tree: Arc<Tree>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held for the lock on the folder.
    owner: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

struct Tree {
    folder: Folder,
    sync: SyncPolicy,
    sync_interval: Duration,
    /// None once the engine is closed.
    database: RwLock<Option<Database>>,
    /// The tree as of the newest commit.
    newest: ArcSwapOption<Records>,
    groups: Groups<Batch>,
    closing: Mutex<bool>,
    changed: Condvar,
    failure: Failure,
    counts: Arc<Counts>,
    /// Bytes of changes since the last durable commit. Changed within write transactions alone.
    unsynced_bytes: AtomicU64,
    writes: AtomicU64,
    reads: AtomicU64,
}

struct Batch {
    writes: Vec<Write>,
    must_sync: bool,
}

impl BTree {
    /// Opens the folder, verifies the tree if it was not closed, and starts the thread of
    /// `interval`.
    pub fn open(config: &BtreeConfig, dir: &Path) -> Result<Self, EngineError> {
        config.check().map_err(|what| EngineError::refused(dir, what))?;
        let tree = Self::open_on(config, Folder::new(Arc::new(Real), dir))?;
        if config.sync == SyncPolicy::Interval {
            let shared = Arc::clone(&tree.tree);
            let thread = std::thread::Builder::new().name("btree-sync".into());
            let thread = thread.spawn(move || shared.sync_at_intervals());
            *tree.thread.lock() = Some(thread.map_err(EngineError::io(dir))?);
        }
        Ok(tree)
    }

    /// Opens a folder on some disk, without a thread.
    fn open_on(config: &BtreeConfig, folder: Folder) -> Result<Self, EngineError> {
        let owner = folder.acquire(LOCK)?;
        let counts = Arc::new(Counts::default());
        let cache_bytes = (config.cache_mib << 20) as usize;
        if !folder.list()?.iter().any(|name| name == FILE) {
            create(&folder, cache_bytes)?;
        }
        // Also where the file is there: a process that died may have left its name in the system's
        // cache only.
        folder.sync()?;
        let database = start(&folder, FILE, Mode::Write, cache_bytes, &counts)?;
        let tree = Tree {
            sync: config.sync,
            sync_interval: Duration::from_millis(config.sync_interval_ms),
            database: RwLock::new(None),
            newest: ArcSwapOption::empty(),
            groups: Groups::default(),
            closing: Mutex::new(false),
            changed: Condvar::new(),
            failure: Failure::default(),
            counts,
            unsynced_bytes: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            folder,
        };
        tree.show(&database)?;
        *tree.database.write() = Some(database);
        Ok(BTree { tree: Arc::new(tree), thread: Mutex::default(), owner: Mutex::new(Some(owner)) })
    }

    /// Makes everything durable that was committed.
    pub fn flush(&self) -> Result<(), EngineError> {
        self.tree.check_writable()?;
        self.tree.make_durable()
    }
}

/// An empty tree under its name, or nothing.
fn create(folder: &Folder, cache_bytes: usize) -> Result<(), EngineError> {
    let is_ours = |name: &String| name == LOCK || name.ends_with(".tmp");
    if let Some(name) = folder.list()?.iter().find(|name| !is_ours(name)) {
        let what = format!("not a folder of this engine, and not empty: it holds {name}");
        return Err(EngineError::refused(folder.path(), what));
    }
    let counts = Arc::new(Counts::default());
    let database = start(folder, TEMPORARY, Mode::Create, cache_bytes, &counts)?;
    let made = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        Ok(transaction.commit()?)
    };
    made().map_err(|error| told(folder, error))?;
    drop(database);
    folder.rename(TEMPORARY, FILE)
}

fn start(
    folder: &Folder,
    name: &str,
    mode: Mode,
    cache_bytes: usize,
    counts: &Arc<Counts>,
) -> Result<Database, EngineError> {
    let backend = Backend::new(folder.open(name, mode)?, Arc::clone(counts));
    let path = folder.path_of(name).display().to_string();
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(move |session| {
        let done_percent = (session.progress() * 100.0) as u32;
        tracing::info!(path, done_percent, "verifying a tree that was not closed");
    });
    builder.create_with_backend(backend).map_err(|error| told(folder, error.into()))
}

/// An error of redb as one of ours.
fn told(folder: &Folder, error: redb::Error) -> EngineError {
    let path = folder.path_of(FILE);
    match error {
        redb::Error::Io(source) => EngineError::io(&path)(source),
        redb::Error::Corrupted(what) => EngineError::refused(&path, format!("corrupt: {what}")),
        error => EngineError::refused(&path, error.to_string()),
    }
}

impl Tree {
    fn check_writable(&self) -> Result<(), EngineError> {
        self.failure.check()
    }

    /// Turns the engine read-only after an error.
    fn fail(&self, error: redb::Error) -> EngineError {
        let error = told(&self.folder, error);
        self.failure.set_after(&error.to_string(), self.folder.path());
        error
    }

    /// An error of a read: where an earlier one is the cause, that one is told.
    fn unread(&self, error: impl Into<redb::Error>) -> EngineError {
        match (error.into(), self.failure.reason()) {
            (redb::Error::PreviousIo, Some(failure)) => EngineError::ReadOnly(failure.to_string()),
            (error, _) => told(&self.folder, error),
        }
    }

    fn commit(&self, writes: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.check_writable()?;
        if writes.is_empty() {
            return Ok(());
        }
        wal::check_batch(writes.iter().map(Write::change))
            .map_err(|what| EngineError::refused(self.folder.path(), what))?;
        let must_sync = sync.unwrap_or(self.sync) == SyncPolicy::Always;
        self.groups.submit(Batch { writes, must_sync }, |group| {
            self.check_writable()?;
            let written = self.with_database(|database| self.commit_group(database, &group));
            written?.map_err(|error| self.fail(error))
        })
    }

    fn with_database<T>(&self, work: impl FnOnce(&Database) -> T) -> Result<T, EngineError> {
        let database = self.database.read();
        let closed = || EngineError::ReadOnly("the engine is closed".to_string());
        Ok(work(database.as_ref().ok_or_else(closed)?))
    }

    fn commit_group(&self, database: &Database, group: &[Batch]) -> Result<(), redb::Error> {
        let writes = group.iter().flat_map(|batch| &batch.writes);
        let bytes = writes.map(Write::bytes).sum::<usize>() as u64;
        let mut transaction = database.begin_write()?;
        let must_sync = group.iter().any(|batch| batch.must_sync)
            || self.unsynced_bytes.load(Relaxed) + bytes > UNSYNCED_BYTES;
        let durability = if must_sync { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability)?;
        let mut table = transaction.open_table(TABLE)?;
        for write in group.iter().flat_map(|batch| &batch.writes) {
            match write {
                Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                    table.insert(&key[..], &value[..])?
                }
                Write::Remove { key } => table.remove(&key[..])?,
            };
        }
        drop(table);
        // Before the commit, while nobody else has a transaction.
        match must_sync {
            true => self.unsynced_bytes.store(0, Relaxed),
            false => drop(self.unsynced_bytes.fetch_add(bytes.max(1), Relaxed)),
        }
        transaction.commit()?;
        self.refresh(database)?;
        let count: usize = group.iter().map(|batch| batch.writes.len()).sum();
        self.writes.fetch_add(count as u64, Relaxed);
        Ok(())
    }

    /// Lets readers see the newest commit.
    fn refresh(&self, database: &Database) -> Result<(), redb::Error> {
        let table = database.begin_read()?.open_table(TABLE)?;
        self.newest.store(Some(Arc::new(table)));
        Ok(())
    }

    fn show(&self, database: &Database) -> Result<(), EngineError> {
        self.refresh(database).map_err(|error| told(&self.folder, error))
    }

    /// Makes durable what was committed: a durable commit of nothing brings all before it along.
    fn make_durable(&self) -> Result<(), EngineError> {
        let commit = |database: &Database| -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            if self.unsynced_bytes.swap(0, Relaxed) == 0 {
                return Ok(transaction.abort()?);
            }
            Ok(transaction.commit()?)
        };
        self.with_database(commit)?.map_err(|error| self.fail(error))
    }

    fn sync_at_intervals(&self) {
        loop {
            let mut closing = self.closing.lock();
            if !*closing {
                self.changed.wait_for(&mut closing, self.sync_interval);
            }
            if *closing {
                return;
            }
            drop(closing);
            // An error has turned the engine read-only, which the next commit tells.
            if self.make_durable().is_err() {
                return;
            }
        }
    }

    fn newest(&self) -> Result<Arc<Records>, EngineError> {
        self.reads.fetch_add(1, Relaxed);
        let closed = || EngineError::ReadOnly("the engine is closed".to_string());
        self.newest.load_full().ok_or_else(closed)
    }
}

impl Engine for BTree {
    fn commit_with(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.tree.commit(batch, sync)
    }

    fn peek(&self, _: &[u8]) -> Result<Peek, EngineError> {
        Ok(Peek::OnDisk)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let found = self.tree.newest()?.get(key).map_err(|error| self.tree.unread(error))?;
        Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
    }

    /// All keys are looked up in one state of the tree.
    fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, EngineError> {
        let table = self.tree.newest()?;
        let get = |key: &&[u8]| {
            let found = table.get(*key).map_err(|error| self.tree.unread(error))?;
            Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
        };
        keys.iter().map(get).collect()
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        if is_empty(from, to)? || limit == 0 {
            return Ok(Vec::new());
        }
        let range = self.tree.newest()?.range::<&[u8]>((from, to));
        let copied = |entry: Result<_, redb::StorageError>| {
            let (key, value): (redb::AccessGuard<&[u8]>, redb::AccessGuard<&[u8]>) = entry?;
            Ok((Bytes::copy_from_slice(key.value()), Bytes::copy_from_slice(value.value())))
        };
        let found = range.and_then(|range| range.take(limit).map(copied).collect());
        found.map_err(|error| self.tree.unread(error))
    }

    fn stats(&self) -> Stats {
        let tree = &self.tree;
        let file = tree.folder.open(FILE, Mode::Read).and_then(|handle| handle.bytes());
        let cached = |database: &Database| database.cache_stats().used_bytes() as u64;
        Stats {
            writes: tree.writes.load(Relaxed),
            reads: tree.reads.load(Relaxed),
            wal_bytes: tree.counts.written_bytes.load(Relaxed),
            wal_syncs: tree.counts.syncs.load(Relaxed),
            tables: 1,
            table_bytes: file.unwrap_or_default(),
            cache_bytes: tree.with_database(cached).unwrap_or_default(),
            ..Stats::default()
        }
    }

    fn close(&self) -> Result<(), EngineError> {
        let mut owner = self.owner.lock();
        if owner.is_none() {
            return Ok(());
        }
        *self.tree.closing.lock() = true;
        self.tree.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // It has nothing to tell that the next lines do not.
            let _ = thread.join();
        }
        let failed = self.tree.check_writable();
        let closed = if failed.is_ok() { self.tree.make_durable() } else { Ok(()) };
        self.tree.failure.set("the engine is closed");
        self.tree.newest.store(None);
        *self.tree.database.write() = None;
        *owner = None;
        failed.and(closed)
    }
}

impl Drop for BTree {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            let dir = self.tree.folder.path().display();
            tracing::warn!(%error, %dir, "while closing the engine");
        }
    }
}
