//! What the threads of an engine share, and the rules by which it changes.
//!
//! Readers take one snapshot and need no lock: memtables and tables together, so that an entry is
//! never in between. The locks, in the order in which they may nest: `manifest`, `log`,
//! `signals`.

use super::cache::BlockCache;
use super::commit::Queue;
use super::manifest::{Edit, Manifest};
use super::memtable::Memtable;
use super::options::Options;
use super::table::Table;
use super::version::Version;
use super::wal::{Log, Spare};
use crate::engine::{EngineError, Stats};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use quorate_strategies::compaction::Picker;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

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
    pub compaction_due: bool,
    /// The picker found nothing to do since the last change.
    pub resting: bool,
    pub spare_due: bool,
}

#[derive(Debug, Default)]
pub struct Counters {
    pub writes: AtomicU64,
    pub reads: AtomicU64,
    pub wal_bytes: AtomicU64,
    pub wal_syncs: AtomicU64,
    pub flushes: AtomicU64,
    pub flushed_bytes: AtomicU64,
    pub compactions: AtomicU64,
    pub compaction_read_bytes: AtomicU64,
    pub compaction_written_bytes: AtomicU64,
    pub bloom_negatives: AtomicU64,
    pub bloom_false_positives: AtomicU64,
    pub longest_stall_us: AtomicU64,
}

pub struct Tree {
    pub dir: PathBuf,
    pub options: Options,
    pub picker: Box<dyn Picker>,
    pub state: ArcSwap<State>,
    pub cache: BlockCache,
    pub queue: Queue,
    pub log: Mutex<Log>,
    pub manifest: Mutex<Manifest>,
    pub next_table: AtomicU64,
    /// The next segment of the log, prepared.
    pub spare: Mutex<Option<Spare>>,
    pub signals: Mutex<Signals>,
    /// `signals`, the state or the failure changed.
    pub changed: Condvar,
    failure: OnceLock<String>,
    pub counters: Counters,
}

impl Tree {
    pub fn new(
        dir: PathBuf,
        options: Options,
        picker: Box<dyn Picker>,
        state: State,
        log: Log,
        manifest: Manifest,
        next_table: u64,
    ) -> Self {
        let cache = BlockCache::new(options.cache_bytes, options.format.block_bytes);
        let signals = Signals { compaction_due: true, spare_due: true, ..Signals::default() };
        Tree {
            dir,
            options,
            picker,
            state: ArcSwap::from_pointee(state),
            cache,
            queue: Queue::default(),
            log: Mutex::new(log),
            manifest: Mutex::new(manifest),
            next_table: AtomicU64::new(next_table),
            spare: Mutex::new(None),
            signals: Mutex::new(signals),
            changed: Condvar::new(),
            failure: OnceLock::new(),
            counters: Counters::default(),
        }
    }

    /// Refuses further writes after an error.
    pub fn check_writable(&self) -> Result<(), EngineError> {
        match self.failure.get() {
            Some(failure) => Err(EngineError::ReadOnly(failure.clone())),
            None => Ok(()),
        }
    }

    /// Turns the engine read-only after an error.
    pub fn fail(&self, error: impl ToString) {
        let error = error.to_string();
        if self.refuse_writes(&error) {
            let dir = self.dir.display();
            tracing::error!(%error, %dir, "the engine is read-only from now on");
        }
    }

    /// Refuses further writes and wakes all that wait for progress. The first reason is the one
    /// kept; returns whether this one is.
    pub fn refuse_writes(&self, reason: &str) -> bool {
        let is_first = self.failure.set(reason.to_string()).is_ok();
        self.signal(|_| {});
        is_first
    }

    /// Changes the signals and wakes all that watch them.
    pub fn signal(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals.lock());
        self.changed.notify_all();
    }

    pub fn is_closing(&self) -> bool {
        self.signals.lock().closing
    }

    /// Freezes the active memtable. The caller holds the log, so that no batch is on its way into
    /// it.
    pub fn freeze(&self, _log: &mut Log) {
        self.state.rcu(|state| {
            let mut frozen = vec![Arc::clone(&state.active)];
            frozen.extend(state.frozen.iter().cloned());
            State { active: Arc::default(), frozen, version: Arc::clone(&state.version) }
        });
        self.signal(|_| {});
    }

    /// Makes a change of the tables durable, then visible, then lets the old files go.
    pub fn install(
        &self,
        removed: &[Arc<Table>],
        added: Vec<(u32, Arc<Table>)>,
        flushed: Option<&Arc<Memtable>>,
    ) -> Result<(), EngineError> {
        let mut manifest = self.manifest.lock();
        let removed_ids: Vec<u64> = removed.iter().map(|table| table.id()).collect();
        let edit = Edit {
            removed: removed_ids.clone(),
            added: added.iter().map(|(level, table)| (table.id(), *level)).collect(),
            flushed_sequence: flushed.map_or(0, |memtable| memtable.last_sequence()),
        };
        manifest.append(&edit)?;
        let version = Arc::new(self.state.load().version.with(&removed_ids, &added));
        self.state.rcu(|state| {
            let waits =
                |memtable: &&Arc<Memtable>| !flushed.is_some_and(|f| Arc::ptr_eq(f, memtable));
            State {
                active: Arc::clone(&state.active),
                frozen: state.frozen.iter().filter(waits).cloned().collect(),
                version: Arc::clone(&version),
            }
        });
        let moved = |table: &Arc<Table>| added.iter().any(|(_, added)| added.id() == table.id());
        removed.iter().filter(|table| !moved(table)).for_each(|table| table.retire());
        Ok(())
    }

    pub fn next_table(&self) -> u64 {
        self.next_table.fetch_add(1, Relaxed)
    }

    pub fn stats(&self) -> Stats {
        let state = self.state.load();
        let counters = &self.counters;
        let tables_per_level = state.version.tables_per_level();
        let memtables = std::iter::once(&state.active).chain(&state.frozen);
        Stats {
            writes: counters.writes.load(Relaxed),
            reads: counters.reads.load(Relaxed),
            wal_bytes: counters.wal_bytes.load(Relaxed),
            wal_syncs: counters.wal_syncs.load(Relaxed),
            memtable_bytes: memtables.map(|memtable| memtable.bytes()).sum(),
            flushes: counters.flushes.load(Relaxed),
            flushed_bytes: counters.flushed_bytes.load(Relaxed),
            compactions: counters.compactions.load(Relaxed),
            compaction_read_bytes: counters.compaction_read_bytes.load(Relaxed),
            compaction_written_bytes: counters.compaction_written_bytes.load(Relaxed),
            tables: tables_per_level.iter().sum(),
            table_bytes: state.version.tables().map(|(_, table)| table.bytes()).sum(),
            bloom_negatives: counters.bloom_negatives.load(Relaxed),
            bloom_false_positives: counters.bloom_false_positives.load(Relaxed),
            tables_per_level,
            longest_stall_us: counters.longest_stall_us.load(Relaxed),
        }
    }
}
