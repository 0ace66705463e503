//! What the threads of an engine share, and the rules by which it changes.
//!
//! Readers take one snapshot and need no lock: memtables and tables together, so that an entry is
//! never in between. The locks, in the order in which they may nest: `manifest`, `log`, `signals`,
//! `busy`.

use super::blob::BlobFile;
use super::files;
use super::jobs::Busy;
use super::limiter::Limiter;
use super::manifest::{Edit, Manifest, Place};
use super::monkey;
use super::options::Options;
use super::pace::Pace;
use super::version::{Placed, Version};
use crate::engine::counter::Counter;
use crate::engine::disk::Folder;
use crate::engine::failure::Failure;
use crate::engine::group::Groups;
use crate::engine::memtable::Memtable;
use crate::engine::table::{BlockCache, Format, Spares, Table};
use crate::engine::wal::Log;
use crate::engine::{EngineError, Stats, SyncPolicy, Write};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use quorate_strategies::compaction::Picker;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// A memtable is also flushed when the log has grown by so many times its size: keys that are
/// written over and over take little memory, but each time room in the log, which has to be read
/// when the engine is opened.
const LOG_PER_MEMTABLE: u64 = 4;

/// What tables write between two synchronisations: little where commits wait for the disk, too.
const ALWAYS_SYNC_BYTES: u64 = 1 << 20;
const OTHER_SYNC_BYTES: u64 = 8 << 20;

/// Where a read looks, newest first.
pub struct State {
    /// Takes the writes.
    pub active: Arc<Memtable>,
    /// Wait for their flush, newest first.
    pub frozen: Vec<Arc<Memtable>>,
    pub version: Arc<Version>,
}

/// What the background threads are asked for.
#[derive(Debug, Default)]
pub struct Signals {
    pub closing: bool,
    /// The picker may have something to do.
    pub compaction_due: bool,
    /// Little is written: what waits for more need not.
    pub quiet: bool,
    /// When it was last looked how much is written, and what the log had written until then.
    pub looked: Option<(Instant, u64)>,
    /// Jobs that run.
    pub running: usize,
    /// The log began a segment: the next one is to be prepared.
    pub segment_due: bool,
}

impl Signals {
    pub fn is_resting(&self) -> bool {
        !self.compaction_due && self.running == 0
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    pub writes: Counter,
    pub reads: Counter,
    pub wal_bytes: AtomicU64,
    pub wal_syncs: AtomicU64,
    pub flushes: AtomicU64,
    pub flushed_bytes: AtomicU64,
    pub compactions: AtomicU64,
    pub compaction_read_bytes: AtomicU64,
    pub compaction_written_bytes: AtomicU64,
    pub moved_bytes: AtomicU64,
    pub bloom_negatives: Counter,
    pub bloom_false_positives: Counter,
    pub longest_stall_us: AtomicU64,
    pub slowed_us: AtomicU64,
}

pub struct Tree {
    pub folder: Folder,
    pub options: Options,
    pub picker: Box<dyn Picker>,
    pub state: ArcSwap<State>,
    pub cache: Arc<BlockCache>,
    /// Files of former tables, for new ones.
    pub spares: Arc<Spares>,
    pub groups: Groups<Vec<Write>>,
    pub pace: Pace,
    pub log: Mutex<Log>,
    /// What the log had written when the active memtable became active.
    log_at_freeze: AtomicU64,
    pub manifest: Mutex<Manifest>,
    pub busy: Mutex<Busy>,
    pub limiter: Limiter,
    pub next_file: AtomicU64,
    pub signals: Mutex<Signals>,
    /// `signals`, the state or the failure changed.
    pub changed: Condvar,
    failure: Failure,
    pub counters: Counters,
}

impl Tree {
    pub fn new(
        folder: Folder,
        options: Options,
        picker: Box<dyn Picker>,
        state: State,
        log: Log,
        manifest: Manifest,
        next_file: u64,
    ) -> Self {
        let signals = Signals { compaction_due: true, segment_due: true, ..Signals::default() };
        let limiter = Limiter::new(options.compaction_bytes_per_s);
        let tree = Tree {
            spares: Arc::new(Spares::new(&folder, options.spare_bytes)),
            folder,
            cache: Arc::new(BlockCache::new(options.cache_bytes, options.block_bytes)),
            options,
            picker,
            state: ArcSwap::from_pointee(state),
            groups: Groups::default(),
            pace: Pace::default(),
            log_at_freeze: AtomicU64::new(0),
            log: Mutex::new(log),
            manifest: Mutex::new(manifest),
            busy: Mutex::default(),
            limiter,
            next_file: AtomicU64::new(next_file),
            signals: Mutex::new(signals),
            changed: Condvar::new(),
            failure: Failure::default(),
            counters: Counters::default(),
        };
        tree.set_pace();
        tree
    }

    /// Refuses further writes after an error.
    pub fn check_writable(&self) -> Result<(), EngineError> {
        self.failure.check()
    }

    /// Turns the engine read-only after an error.
    pub fn fail(&self, error: impl ToString) {
        self.failure.set_after(&error.to_string(), self.folder.path());
        // The disk may be full, and nobody will write tables here any more.
        self.spares.give_up();
        self.signal(|_| {});
    }

    /// Refuses further writes and wakes all that wait for progress.
    pub fn refuse_writes(&self, reason: &str) {
        self.failure.set(reason);
        self.signal(|_| {});
    }

    /// Changes the signals and wakes all that watch them.
    pub fn signal(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals.lock());
        self.changed.notify_all();
    }

    pub fn is_closing(&self) -> bool {
        self.signals.lock().closing
    }

    /// Whether the active memtable should take no more.
    pub fn is_full(&self) -> bool {
        let logged = self.counters.wal_bytes.load(Relaxed) - self.log_at_freeze.load(Relaxed);
        self.state.load().active.bytes() >= self.options.memtable_bytes
            || logged >= self.options.memtable_bytes.saturating_mul(LOG_PER_MEMTABLE)
    }

    /// Whether there is room for one more frozen memtable, and for its table on level 0.
    pub fn may_freeze(&self) -> bool {
        let state = self.state.load();
        let crowded = state.version.level0_runs() >= self.options.level0_stop;
        // A picker that has nothing to do will not make room, however long one waits.
        state.frozen.len() < self.options.max_frozen
            && !(crowded && self.busy.lock().may_make_room())
    }

    /// Freezes the active memtable. The caller holds the log, so that no batch is announced to it
    /// meanwhile.
    pub fn freeze(&self, log: &mut Log) {
        self.log_at_freeze.store(self.counters.wal_bytes.load(Relaxed), Relaxed);
        self.state.load().active.freeze(log.last_sequence());
        self.state.rcu(|state| {
            let mut frozen = vec![Arc::clone(&state.active)];
            frozen.extend(state.frozen.iter().cloned());
            let active = Arc::new(Memtable::default());
            State { active, frozen, version: Arc::clone(&state.version) }
        });
        self.set_pace();
        self.signal(|signals| signals.quiet = false);
    }

    /// Makes a change of the tables durable, then visible, then lets the old files go.
    pub fn install(
        &self,
        removed: &[Placed],
        added: &[Placed],
        blobs: &[Arc<BlobFile>],
        flushed: Option<&Arc<Memtable>>,
    ) -> Result<(), EngineError> {
        let mut manifest = self.manifest.lock();
        let removed_ids: Vec<u64> = removed.iter().map(|placed| placed.table.id()).collect();
        let before = Arc::clone(&self.state.load().version);
        let version = before.with(&removed_ids, added, blobs).map_err(|id| {
            let what = "would overlap another table of its run: the strategy broke its contract";
            EngineError::refused(&self.folder.path_of(&files::table(id)), what)
        })?;
        let place = |placed: &Placed| Place { level: placed.level, run: placed.run };
        manifest.append(&Edit {
            removed: removed_ids,
            added: added.iter().map(|placed| (placed.table.id(), place(placed))).collect(),
            flushed_sequence: flushed.map_or(0, |memtable| memtable.last_sequence()),
        })?;
        let version = Arc::new(version);
        self.state.rcu(|state| {
            let waits =
                |memtable: &&Arc<Memtable>| !flushed.is_some_and(|f| Arc::ptr_eq(f, memtable));
            State {
                active: Arc::clone(&state.active),
                frozen: state.frozen.iter().filter(waits).cloned().collect(),
                version: Arc::clone(&version),
            }
        });
        drop(manifest);
        let stays = |id| added.iter().any(|placed| placed.table.id() == id);
        let gone = removed.iter().filter(|placed| !stays(placed.table.id()));
        gone.for_each(|placed| placed.table.retire(&self.spares));
        let dead = before.blobs.files().filter(|blob| !version.blobs.contains(blob.number()));
        dead.for_each(|blob| blob.retire());
        Ok(())
    }

    /// A number that no table and no file of large values has.
    pub fn next_file(&self) -> u64 {
        self.next_file.fetch_add(1, Relaxed)
    }

    pub fn open_table(&self, id: u64) -> Result<Table, EngineError> {
        Table::open(&self.folder, &files::table(id), id, self.options.pin_index)
    }

    /// How a table of a level is written.
    pub fn format(&self, level: u32) -> Format {
        let bloom_bits = if self.options.monkey {
            let entries = self.state.load().version.entries_per_level();
            monkey::bits(self.options.bloom_bits, level as usize, &entries)
        } else {
            self.options.bloom_bits
        };
        Format {
            block_bytes: self.options.block_bytes,
            hash_index: self.options.block_hash_index,
            bloom_bits: f64::from(bloom_bits),
            compression: self.options.compression.of(level),
            sync_bytes: match self.options.sync {
                SyncPolicy::Always => ALWAYS_SYNC_BYTES,
                SyncPolicy::Interval | SyncPolicy::Never => OTHER_SYNC_BYTES,
            },
            ..Format::default()
        }
    }

    pub fn stats(&self) -> Stats {
        let state = self.state.load();
        let counters = &self.counters;
        let tables_per_level = state.version.tables_per_level();
        let memtables = std::iter::once(&state.active).chain(&state.frozen);
        Stats {
            writes: counters.writes.get(),
            reads: counters.reads.get(),
            wal_bytes: counters.wal_bytes.load(Relaxed),
            wal_syncs: counters.wal_syncs.load(Relaxed),
            memtable_bytes: memtables.map(|memtable| memtable.bytes()).sum(),
            flushes: counters.flushes.load(Relaxed),
            flushed_bytes: counters.flushed_bytes.load(Relaxed),
            compactions: counters.compactions.load(Relaxed),
            compaction_read_bytes: counters.compaction_read_bytes.load(Relaxed),
            compaction_written_bytes: counters.compaction_written_bytes.load(Relaxed),
            moved_bytes: counters.moved_bytes.load(Relaxed),
            tables: tables_per_level.iter().sum(),
            table_bytes: state.version.tables().map(|placed| placed.table.bytes()).sum(),
            spare_bytes: self.spares.bytes(),
            table_entries: state.version.entries_per_level().iter().sum(),
            table_memory_bytes: state
                .version
                .tables()
                .map(|placed| placed.table.memory_bytes() as u64)
                .sum(),
            cache_bytes: self.cache.usage_bytes(),
            cache_hits: self.cache.hits(),
            cache_misses: self.cache.misses(),
            bloom_negatives: counters.bloom_negatives.get(),
            bloom_false_positives: counters.bloom_false_positives.get(),
            tables_per_level,
            bytes_per_level: state.version.bytes_per_level(),
            longest_stall_us: counters.longest_stall_us.load(Relaxed),
            slowed_us: counters.slowed_us.load(Relaxed),
        }
    }
}
