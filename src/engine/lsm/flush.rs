//! From memtable to level 0.

use super::table::{Table, TableBuilder};
use super::tree::Tree;
use super::{files, memtable::Memtable};
use crate::engine::EngineError;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Tree {
    /// Writes the oldest frozen memtable to a table of level 0, then lets its part of the log go.
    pub fn flush(&self, memtable: &Arc<Memtable>) -> Result<(), EngineError> {
        let id = self.next_table();
        let mut builder = TableBuilder::create(&self.dir, id, self.options.format)?;
        for entry in memtable.walk(Bound::Unbounded) {
            builder.add(&entry)?;
        }
        let bytes = builder.finish()?;
        files::sync_dir(&self.dir)?;
        let table = Arc::new(Table::open(&self.dir, id)?);
        self.install(&[], vec![(0, table)], Some(memtable))?;
        self.counters.flushes.fetch_add(1, Relaxed);
        self.counters.flushed_bytes.fetch_add(bytes, Relaxed);
        self.signal(|signals| {
            signals.compaction_due = true;
            signals.resting = false;
        });
        self.log.lock().retire(memtable.last_sequence());
        Ok(())
    }
}
