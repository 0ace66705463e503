//! The three background threads: one flushes, one compacts, one tends the log.

use super::tree::Tree;
use super::wal::{Pace, Spare};
use crate::engine::{EngineError, SyncPolicy};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{Builder, JoinHandle};

type Work = fn(&Tree) -> Result<(), EngineError>;

/// Starts the threads. Each ends when the engine closes or fails.
pub fn start(tree: &Arc<Tree>) -> Result<Vec<JoinHandle<()>>, EngineError> {
    let work: [(&str, Work); 3] = [("flush", flush), ("compaction", compact), ("log", tend_log)];
    let mut threads = Vec::with_capacity(work.len());
    for (name, work) in work {
        let shared = Arc::clone(tree);
        let thread = Builder::new().name(format!("lsm-{name}")).spawn(move || {
            let watch = Watch(&shared);
            if let Err(error) = work(&shared) {
                watch.0.fail(error);
            }
        });
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                tree.signal(|signals| signals.closing = true);
                return Err(EngineError::io(&tree.dir)(error));
            }
        }
    }
    Ok(threads)
}

/// Turns the engine read-only if the thread ends by a panic: who waits for it must not wait for
/// ever.
struct Watch<'a>(&'a Tree);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a background thread of the engine panicked");
        }
    }
}

impl Tree {
    /// Waits until `due` answers with work; `None` when the engine closes or has failed.
    fn wait_for<T>(
        &self,
        mut due: impl FnMut(&mut super::tree::Signals) -> Option<T>,
    ) -> Option<T> {
        let mut signals = self.signals.lock();
        loop {
            if signals.closing || self.check_writable().is_err() {
                return None;
            }
            if let Some(work) = due(&mut signals) {
                return Some(work);
            }
            self.changed.wait(&mut signals);
        }
    }
}

fn flush(tree: &Tree) -> Result<(), EngineError> {
    while let Some(memtable) = tree.wait_for(|_| tree.state.load().frozen.last().cloned()) {
        tree.flush(&memtable)?;
    }
    Ok(())
}

fn compact(tree: &Tree) -> Result<(), EngineError> {
    while tree.wait_for(|s| std::mem::take(&mut s.compaction_due).then_some(())).is_some() {
        while !tree.is_closing() && tree.compact_once()? {
            tree.signal(|_| {});
        }
        tree.signal(|signals| signals.resting = !signals.compaction_due);
    }
    Ok(())
}

/// Prepares the next segment and, where `sync` is `interval`, synchronises the log.
fn tend_log(tree: &Tree) -> Result<(), EngineError> {
    for round in 0_u64.. {
        let mut signals = tree.signals.lock();
        if !signals.closing && !signals.spare_due && tree.check_writable().is_ok() {
            match tree.options.sync {
                SyncPolicy::Interval => {
                    tree.changed.wait_for(&mut signals, tree.options.sync_interval);
                }
                SyncPolicy::Always | SyncPolicy::Never => tree.changed.wait(&mut signals),
            }
        }
        if signals.closing || tree.check_writable().is_err() {
            return Ok(());
        }
        let spare_due = std::mem::take(&mut signals.spare_due);
        drop(signals);
        if spare_due && tree.spare.lock().is_none() {
            // A name of its own: the last spare may be about to get its final name.
            let name = format!("spare-{round}");
            let spare = Spare::prepare(&tree.dir, &name, tree.options.segment_bytes, Pace::Gentle)?;
            *tree.spare.lock() = Some(spare);
        }
        if tree.options.sync == SyncPolicy::Interval {
            sync_log(tree)?;
        }
    }
    Ok(())
}

/// Synchronises without holding the log, so that commits go on meanwhile.
fn sync_log(tree: &Tree) -> Result<(), EngineError> {
    let Some((file, sequence)) = tree.log.lock().unsynced() else { return Ok(()) };
    file.sync_data().map_err(EngineError::io(&tree.dir))?;
    tree.log.lock().mark_durable(sequence);
    tree.counters.wal_syncs.fetch_add(1, Relaxed);
    Ok(())
}
