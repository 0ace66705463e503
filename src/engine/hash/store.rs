//! What all threads of an open store share, and the way of a commit and of a read.

use super::file::{DataFile, HEADER_BYTES, Place};
use super::index::Index;
use super::log::Log;
use super::manifest::{Manifest, Sealed};
use super::options::Options;
use super::order;
use super::record;
use crate::engine::disk::Folder;
use crate::engine::failure::Failure;
use crate::engine::group::Groups;
use crate::engine::{EngineError, Peek, Stats, SyncPolicy, Write, is_empty};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Locks are taken in this order: `log`, `manifest`, `ordering`, `index`.
pub struct Store {
    pub folder: Folder,
    pub options: Options,
    pub index: RwLock<Index>,
    /// Held alone while the order of the keys is made, together by scans.
    ordering: RwLock<()>,
    pub log: Mutex<Log>,
    pub manifest: Mutex<Manifest>,
    groups: Groups<Batch>,
    next_file: AtomicU32,
    pub signals: Mutex<Signals>,
    pub changed: Condvar,
    /// Files that a merge found damaged: left as they are.
    pub spoiled: Mutex<BTreeSet<u32>>,
    failure: Failure,
    pub counters: Counters,
}

struct Batch {
    writes: Vec<Write>,
    must_sync: bool,
}

/// What the background threads wait for.
#[derive(Debug, Default)]
pub struct Signals {
    /// Sealed files that have no hint yet.
    pub unhinted: Vec<Sealed>,
    pub merge_due: bool,
    pub busy: bool,
    pub closing: bool,
}

impl Signals {
    pub fn is_resting(&self) -> bool {
        self.unhinted.is_empty() && !self.merge_due && !self.busy
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    pub writes: AtomicU64,
    pub reads: AtomicU64,
    pub log_bytes: AtomicU64,
    pub syncs: AtomicU64,
    pub merges: AtomicU64,
    pub merge_read_bytes: AtomicU64,
    pub merge_written_bytes: AtomicU64,
    pub longest_stall_us: AtomicU64,
}

impl Store {
    pub fn new(
        folder: Folder,
        options: Options,
        index: Index,
        log: Log,
        manifest: Manifest,
        next_file: u32,
        unhinted: Vec<Sealed>,
    ) -> Self {
        let signals = Signals { unhinted, merge_due: true, ..Signals::default() };
        Store {
            folder,
            options,
            index: RwLock::new(index),
            ordering: RwLock::default(),
            log: Mutex::new(log),
            manifest: Mutex::new(manifest),
            groups: Groups::default(),
            next_file: AtomicU32::new(next_file),
            signals: Mutex::new(signals),
            changed: Condvar::new(),
            spoiled: Mutex::default(),
            failure: Failure::default(),
            counters: Counters::default(),
        }
    }

    /// Refuses further writes after an error.
    pub fn check_writable(&self) -> Result<(), EngineError> {
        self.failure.check()
    }

    /// Turns the engine read-only after an error.
    pub fn fail(&self, error: impl ToString) {
        self.failure.set_after(&error.to_string(), self.folder.path());
        self.signal(|_| {});
    }

    /// Refuses further writes and wakes all that wait for progress.
    pub fn refuse_writes(&self, reason: &str) {
        self.failure.set(reason);
        self.signal(|_| {});
    }

    pub fn signal(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals.lock());
        self.changed.notify_all();
    }

    pub fn is_closing(&self) -> bool {
        self.signals.lock().closing
    }

    pub fn next_file(&self) -> u32 {
        self.next_file.fetch_add(1, Relaxed)
    }

    /// Returns once the batch is as durable as `sync`, or else the setting, says.
    pub fn commit(&self, writes: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.check_writable()?;
        if writes.is_empty() {
            return Ok(());
        }
        record::check_batch(self.folder.path(), &writes)?;
        let must_sync = sync.unwrap_or(self.options.sync) == SyncPolicy::Always;
        let lead = |group: Vec<Batch>| {
            self.check_writable()?;
            self.commit_group(&group).inspect_err(|error| self.fail(error))
        };
        self.groups.submit(Batch { writes, must_sync }, lead)?;
        if self.options.inline { self.work() } else { Ok(()) }
    }

    /// File, disk, index, in this order: a reader never sees what a crash could take back.
    fn commit_group(&self, group: &[Batch]) -> Result<(), EngineError> {
        let must_sync = group.iter().any(|batch| batch.must_sync);
        let mut log = self.log.lock();
        let mut places = Vec::with_capacity(group.iter().map(|batch| batch.writes.len()).sum());
        let mut hidden = group;
        for (position, batch) in group.iter().enumerate() {
            if u64::from(log.bytes()) >= self.options.file_bytes && !log.is_empty() {
                let (before, behind) = hidden.split_at(position + hidden.len() - group.len());
                self.switch(&mut log, before, &mut places)?;
                hidden = behind;
            }
            log.append(&batch.writes, &mut places);
        }
        self.write_out(&mut log, must_sync)?;
        if must_sync {
            self.sync_log(&mut log)?;
        }
        self.show(hidden, &mut places);
        Ok(())
    }

    /// Lets readers see batches; takes the places of their changes.
    fn show(&self, batches: &[Batch], places: &mut Vec<Place>) {
        if batches.is_empty() {
            return;
        }
        let mut index = self.index.write();
        let writes = batches.iter().flat_map(|batch| &batch.writes);
        for (write, place) in writes.zip(&*places) {
            apply(&mut index, write, *place);
        }
        self.counters.writes.fetch_add(places.len() as u64, Relaxed);
        places.clear();
    }

    fn sync_log(&self, log: &mut Log) -> Result<(), EngineError> {
        if log.sync()? {
            self.counters.syncs.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn write_out(&self, log: &mut Log, will_sync: bool) -> Result<(), EngineError> {
        let bytes = log.write(will_sync)?;
        self.counters.log_bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Goes on in a new file. The old one is synchronised first, whatever the `sync` setting says:
    /// so only the last file can have a torn tail. What the old one got from the group is shown
    /// before a merge can find the file: it would take for dead what the index does not know.
    fn switch(
        &self,
        log: &mut Log,
        before: &[Batch],
        places: &mut Vec<Place>,
    ) -> Result<(), EngineError> {
        let start = Instant::now();
        self.write_out(log, false)?;
        self.sync_log(log)?;
        self.show(before, places);
        let sealed = Sealed { number: log.file.number, bytes: log.bytes() };
        let mut manifest = self.manifest.lock();
        let file = DataFile::create(&self.folder, manifest.store, self.next_file())?;
        let mut changed = manifest.clone();
        changed.sealed.push(sealed);
        (changed.active, changed.clean) = (file.number, HEADER_BYTES);
        changed.save(&self.folder)?;
        *manifest = changed;
        drop(manifest);
        self.index.write().add_file(std::sync::Arc::clone(&file));
        *log = Log::start(file);
        self.signal(|signals| {
            signals.unhinted.push(sealed);
            signals.merge_due = true;
        });
        let stall_us = start.elapsed().as_micros() as u64;
        self.counters.longest_stall_us.fetch_max(stall_us, Relaxed);
        Ok(())
    }

    /// Makes durable what was committed, without holding up commits meanwhile.
    pub fn sync(&self) -> Result<(), EngineError> {
        let unsynced = self.log.lock().unsynced();
        if let Some((file, at)) = unsynced {
            file.handle.sync().inspect_err(|error| self.fail(error))?;
            self.counters.syncs.fetch_add(1, Relaxed);
            self.log.lock().mark_durable(file.number, at);
        }
        Ok(())
    }

    pub fn peek(&self, key: &[u8]) -> Peek {
        if self.index.read().contains(key) {
            return Peek::OnDisk;
        }
        self.counters.reads.fetch_add(1, Relaxed);
        Peek::Absent
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.counters.reads.fetch_add(1, Relaxed);
        let found = self.index.read().get(key);
        found.map(|(place, file)| file.value(place, key)).transpose()
    }

    /// All keys are looked up in one state of the index.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, EngineError> {
        self.counters.reads.fetch_add(keys.len() as u64, Relaxed);
        let index = self.index.read();
        let found: Vec<_> = keys.iter().map(|key| index.get(key)).collect();
        drop(index);
        let value = |(key, found): (&&[u8], Option<(Place, std::sync::Arc<DataFile>)>)| {
            found.map(|(place, file)| file.value(place, key)).transpose()
        };
        keys.iter().zip(found).map(value).collect()
    }

    pub fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.counters.reads.fetch_add(1, Relaxed);
        if is_empty(from, to)? || limit == 0 {
            return Ok(Vec::new());
        }
        if self.index.read().order().is_due() {
            self.make_order();
        }
        let ordering = self.ordering.read();
        let found = self.index.read().range(from, to, limit);
        drop(ordering);
        let read = |found: super::index::Found| {
            let value = found.file.value(found.place, &found.key)?;
            Ok((found.key, value))
        };
        found.into_iter().map(read).collect()
    }

    /// Sorts what has come. Commits wait only while keys are handed over.
    fn make_order(&self) {
        const KEYS_PER_LOCK: usize = 1_024;
        let _ordering = self.ordering.write();
        let mut index = self.index.write();
        if !index.order().is_due() {
            return;
        }
        let is_first = !index.order().is_made();
        let (sorted, fresh) = index.order_mut().take();
        let mut all = if is_first { index.all_keys() } else { Vec::new() };
        drop(index);
        match fresh {
            None => all.sort_unstable(),
            Some(fresh) => {
                let fresh = fresh.iter().map(|key| &**key);
                let merged = order::merged(sorted.iter().map(|key| &**key), fresh);
                let merged: Vec<&[u8]> = merged.collect();
                for keys in merged.chunks(KEYS_PER_LOCK) {
                    let index = self.index.read();
                    let known = keys.iter().filter(|key| index.contains(key));
                    all.extend(known.map(|key| Box::from(*key)));
                }
            }
        }
        self.index.write().order_mut().install(all);
    }

    pub fn stats(&self) -> Stats {
        let counters = &self.counters;
        let manifest = self.manifest.lock();
        let sealed: u64 = manifest.sealed.iter().map(|sealed| u64::from(sealed.bytes)).sum();
        drop(manifest);
        let active = u64::from(self.log.lock().bytes());
        let index = self.index.read();
        Stats {
            writes: counters.writes.load(Relaxed),
            reads: counters.reads.load(Relaxed),
            wal_bytes: counters.log_bytes.load(Relaxed),
            wal_syncs: counters.syncs.load(Relaxed),
            compactions: counters.merges.load(Relaxed),
            compaction_read_bytes: counters.merge_read_bytes.load(Relaxed),
            compaction_written_bytes: counters.merge_written_bytes.load(Relaxed),
            tables: index.files() as u64,
            table_bytes: sealed + active,
            table_memory_bytes: index.memory_bytes(),
            longest_stall_us: counters.longest_stall_us.load(Relaxed),
            ..Stats::default()
        }
    }
}

fn apply(index: &mut Index, write: &Write, place: Place) {
    match write {
        Write::Put { key, .. } | Write::PutUntil { key, .. } => index.put(key, place),
        Write::Remove { key } => index.remove(key, place),
    }
}
