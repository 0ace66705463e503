//! The group commit: one write and one synchronisation for all who wait.
//!
//! The first who comes leads. While the leader waits for the disk, others queue up; when it is
//! done, one of them leads the next group, which is all of them. So the group grows with the load
//! by itself, and a lone writer waits for nobody.

use super::tree::Tree;
use super::wal::Record;
use crate::engine::{EngineError, SyncPolicy, Write};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Records that wait for a leader. As long as its callers are: each waits inside `commit`.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// A group ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Record>,
    next_ticket: u64,
    /// Tickets below this are decided.
    decided: u64,
    /// Tickets from here on failed.
    failed_from: Option<u64>,
    has_leader: bool,
}

impl Tree {
    pub fn commit(&self, batch: &[Write]) -> Result<(), EngineError> {
        self.check_writable()?;
        if batch.is_empty() {
            return Ok(());
        }
        let record = Record::encode(batch).map_err(|what| EngineError::refused(&self.dir, what))?;
        let mut waiting = self.queue.waiting.lock();
        let ticket = waiting.next_ticket;
        waiting.next_ticket += 1;
        waiting.records.push(record);
        while waiting.has_leader {
            self.queue.ended.wait(&mut waiting);
            if ticket < waiting.decided {
                let failed = waiting.failed_from.is_some_and(|from| ticket >= from);
                return if failed { self.check_writable() } else { Ok(()) };
            }
        }
        waiting.has_leader = true;
        let mut group = std::mem::take(&mut waiting.records);
        drop(waiting);
        let result = self.write_group(&mut group);
        let mut waiting = self.queue.waiting.lock();
        if result.is_err() {
            let first = waiting.decided;
            waiting.failed_from.get_or_insert(first);
        }
        waiting.decided += group.len() as u64;
        waiting.has_leader = false;
        drop(waiting);
        self.queue.ended.notify_all();
        result
    }

    /// Log, disk, memtable, in this order: a reader never sees what a crash could take back.
    fn write_group(&self, group: &mut [Record]) -> Result<(), EngineError> {
        self.wait_for_room()?;
        let mut log = self.log.lock();
        self.check_writable()?;
        if self.state.load().active.bytes() >= self.options.memtable_bytes {
            self.freeze(&mut log);
        }
        let written =
            log.append(group, || self.take_spare()).inspect_err(|error| self.fail(error))?;
        self.counters.wal_bytes.fetch_add(written, Relaxed);
        if self.options.sync == SyncPolicy::Always {
            log.sync().inspect_err(|error| self.fail(error))?;
            self.counters.wal_syncs.fetch_add(1, Relaxed);
        }
        let active = &self.state.load().active;
        for record in group {
            let applied = active.apply(record);
            applied
                .map_err(|what| EngineError::refused(log.path(), what))
                .inspect_err(|error| self.fail(error))?;
            self.counters.writes.fetch_add(u64::from(record.changes), Relaxed);
        }
        Ok(())
    }

    fn take_spare(&self) -> Option<super::wal::Spare> {
        let spare = self.spare.lock().take();
        self.signal(|signals| signals.spare_due = true);
        spare
    }

    /// Waits while memory or level 0 is full. Bounds both, at the price of a stall that `stats`
    /// tells.
    fn wait_for_room(&self) -> Result<(), EngineError> {
        if self.state.load().active.bytes() < self.options.memtable_bytes {
            return Ok(());
        }
        let start = Instant::now();
        let mut signals = self.signals.lock();
        loop {
            self.check_writable()?;
            let state = self.state.load();
            let level0_full = state.version.level0_tables() >= self.options.level0_stop;
            let stalled = state.frozen.len() >= self.options.max_frozen
                || (level0_full && !signals.resting && !signals.closing);
            if !stalled {
                break;
            }
            self.changed.wait(&mut signals);
        }
        let stall_us = start.elapsed().as_micros() as u64;
        self.counters.longest_stall_us.fetch_max(stall_us, Relaxed);
        Ok(())
    }
}
