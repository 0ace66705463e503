//! Commits: alone where nobody waits for the disk, in groups where everybody does.
//!
//! ```text
//!   `always`:              join the open group ─ the first leads ─► log ─► fdatasync ─► memtable
//!   `interval`, `never`:   log ─► memtable
//! ```
//!
//! How groups form is told in `engine/group.rs`.
//!
//! The log's lock is held for the append alone. Batches enter the memtable after it, several at a
//! time and in any order: each entry has its sequence number, and the highest one of a key stays.

use super::tree::Tree;
use crate::engine::entry::Item;
use crate::engine::wal::{self, Change, Log};
use crate::engine::{EngineError, SyncPolicy, Write};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The changes of a batch as the memtable takes them.
fn changes(batch: &[Write], first_sequence: u64) -> impl Iterator<Item = (u64, &[u8], Item<'_>)> {
    (first_sequence..).zip(batch).map(|(sequence, write)| {
        let Change { key, item } = write.change();
        (sequence, key, item)
    })
}

impl Tree {
    /// Returns once the batch is as durable as `sync`, or else the setting, says.
    pub fn commit(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.check_writable()?;
        if batch.is_empty() {
            return Ok(());
        }
        wal::check_batch(batch.iter().map(Write::change))
            .map_err(|what| EngineError::refused(self.folder.path(), what))?;
        self.slow_down(batch.iter().map(Write::bytes).sum());
        match sync.unwrap_or(self.options.sync) {
            SyncPolicy::Always => {
                self.groups.submit(batch, |batches| self.commit_group(&batches))?;
            }
            SyncPolicy::Interval | SyncPolicy::Never => self.commit_alone(&batch)?,
        }
        self.work_inline()
    }

    fn commit_alone(&self, batch: &[Write]) -> Result<(), EngineError> {
        let mut log = self.room()?;
        let sequence = self.append(&mut log, &[batch])?;
        let active = Arc::clone(&self.state.load().active);
        let pin = active.pin();
        drop(log);
        pin.apply(changes(batch, sequence));
        self.counters.writes.add(batch.len() as u64);
        Ok(())
    }

    /// Log, disk, memtable, in this order: a reader never sees what a crash could take back.
    fn commit_group(&self, batches: &[Vec<Write>]) -> Result<(), EngineError> {
        let mut log = self.room()?;
        let slices: Vec<&[Write]> = batches.iter().map(Vec::as_slice).collect();
        let mut sequence = self.append(&mut log, &slices)?;
        let active = Arc::clone(&self.state.load().active);
        let pin = active.pin();
        drop(log);
        if wal::sync(&self.log).inspect_err(|error| self.fail(error))? {
            self.counters.wal_syncs.fetch_add(1, Relaxed);
        }
        let mut written = 0;
        for batch in slices {
            pin.apply(changes(batch, sequence));
            sequence += batch.len() as u64;
            written += batch.len() as u64;
        }
        self.counters.writes.add(written);
        Ok(())
    }

    /// Answers the sequence number of the first change.
    fn append(&self, log: &mut Log, batches: &[&[Write]]) -> Result<u64, EngineError> {
        let batches = batches.iter().map(|batch| batch.iter().map(Write::change));
        let appended = log.append_many(batches).inspect_err(|error| self.fail(error))?;
        self.counters.wal_bytes.fetch_add(appended.bytes, Relaxed);
        if appended.tend {
            self.signal(|signals| signals.segment_due = true);
        }
        Ok(appended.first_sequence)
    }

    /// The log, once the active memtable has room.
    fn room(&self) -> Result<MutexGuard<'_, Log>, EngineError> {
        loop {
            let mut log = self.log.lock();
            self.check_writable()?;
            if !self.is_full() {
                return Ok(log);
            }
            if self.may_freeze() {
                self.freeze(&mut log);
                return Ok(log);
            }
            drop(log);
            self.wait_for_room()?;
        }
    }
}
