//! From memtable to level 0.

use super::output::{Output, Values};
use super::tree::Tree;
use crate::engine::EngineError;
use crate::engine::memtable::{self, Memtable};
use crate::engine::table::Origin;
use crate::engine::wal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// A flush tells its progress in such steps.
const PROGRESS_BYTES: u64 = 256 << 10;

impl Tree {
    /// Flushes every frozen memtable on the caller's thread.
    pub fn flush_all(&self) -> Result<(), EngineError> {
        loop {
            let Some(oldest) = self.state.load().frozen.last().cloned() else { return Ok(()) };
            self.flush(&oldest).inspect_err(|error| self.fail(error))?;
        }
    }

    /// Writes the oldest frozen memtable to a run of level 0, then lets its part of the log go.
    pub fn flush(&self, memtable: &Arc<Memtable>) -> Result<(), EngineError> {
        let start = Instant::now();
        memtable.quiesce();
        let now_s = (self.options.now_s)();
        let origin = Origin {
            min_sequence: self.manifest.lock().contents().flushed_sequence + 1,
            max_sequence: memtable.last_sequence(),
            min_written_s: now_s,
            max_written_s: now_s,
        };
        let values = Values::default();
        let mut output = Output::of_memtable(self, memtable.bytes(), origin, &values);
        self.pace.flush_begins(memtable.bytes());
        let (mut walked, mut told) = (0, 0);
        memtable.walk(|key, item| {
            walked += (key.len() + item.value.len() + memtable::OVERHEAD_BYTES) as u64;
            if walked - told >= PROGRESS_BYTES {
                self.pace.flush_has(walked);
                told = walked;
            }
            output.add(key, item)
        })?;
        self.pace.flush_has(walked);
        let made = output.finish()?;
        self.folder.sync().inspect_err(|_| made.retire(self))?;
        self.install(&[], &made.place(0, None), &made.blobs, Some(memtable))?;
        self.counters.flushes.fetch_add(1, Relaxed);
        self.counters.flushed_bytes.fetch_add(made.bytes(), Relaxed);
        wal::retire(&self.log, memtable.last_sequence())?;
        self.pace.flushed(memtable.bytes(), start.elapsed());
        self.set_pace();
        self.compaction_due();
        Ok(())
    }
}
