//! The background threads: one flushes, some compact, one tends the log. And what they do, done
//! inline where an engine has no threads.

use super::tree::{Signals, Tree};
use crate::engine::threads::{self, Shared, Work};
use crate::engine::wal::{self, Pace};
use crate::engine::{EngineError, SyncPolicy};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time passes for pickers that look at ages, even where nothing is written.
const PICK_INTERVAL: Duration = Duration::from_secs(10);
/// A store in which less than this part of a memtable is written meanwhile is quiet.
const QUIET_PART: u64 = 64;

/// Starts the threads. Each ends when the engine closes or fails.
pub fn start(tree: &Arc<Tree>) -> Result<Vec<JoinHandle<()>>, EngineError> {
    let mut work: Vec<(&str, Work<Tree>)> = vec![("lsm-flush", flush), ("lsm-log", tend_log)];
    work.extend(vec![("lsm-compact", compact as Work<Tree>); tree.options.compaction_threads]);
    threads::start(tree, tree.folder.path(), &work)
}

impl Shared for Tree {
    fn fail(&self, error: String) {
        Tree::fail(self, error);
    }

    fn end(&self) {
        self.signal(|signals| signals.closing = true);
    }
}

impl Tree {
    /// Waits until `due` answers with work; `None` when the engine closes or has failed.
    fn wait_for<T>(
        &self,
        longest: Option<Duration>,
        mut due: impl FnMut(&mut Signals) -> Option<T>,
    ) -> Option<T> {
        let mut signals = self.signals.lock();
        loop {
            if signals.closing || self.check_writable().is_err() {
                return None;
            }
            if let Some(work) = due(&mut signals) {
                return Some(work);
            }
            match longest {
                None => self.changed.wait(&mut signals),
                Some(longest) => {
                    if self.changed.wait_for(&mut signals, longest).timed_out() {
                        self.look_at_writes(&mut signals);
                        signals.compaction_due = true;
                    }
                }
            }
        }
    }

    /// Decides from time to time whether the store is quiet.
    pub fn look_at_writes(&self, signals: &mut Signals) {
        let (now, logged) = (Instant::now(), self.counters.wal_bytes.load(Relaxed));
        let (when, before) = *signals.looked.get_or_insert((now, logged));
        if now.duration_since(when) >= PICK_INTERVAL {
            signals.quiet = logged - before < self.options.memtable_bytes / QUIET_PART;
            signals.looked = Some((now, logged));
        }
    }

    /// Flushes and compacts on the caller's thread until there is nothing more to do. For engines
    /// without threads.
    pub fn work(&self) -> Result<(), EngineError> {
        self.flush_all()?;
        while self.compact_once().inspect_err(|error| self.fail(error))? {}
        Ok(())
    }

    /// What a commit does on top in an engine without threads.
    pub fn work_inline(&self) -> Result<(), EngineError> {
        if !self.options.inline {
            return Ok(());
        }
        if std::mem::take(&mut self.signals.lock().segment_due) {
            let tended = wal::tend(&self.log, Pace::AtOnce, &|| false);
            tended.inspect_err(|error| self.fail(error))?;
        }
        if self.state.load().frozen.is_empty() { Ok(()) } else { self.work() }
    }
}

fn flush(tree: &Tree) -> Result<(), EngineError> {
    threads::stand_back(tree.options.background_nice);
    while let Some(memtable) = tree.wait_for(None, |_| tree.state.load().frozen.last().cloned()) {
        tree.flush(&memtable)?;
    }
    Ok(())
}

fn compact(tree: &Tree) -> Result<(), EngineError> {
    threads::stand_back(tree.options.background_nice);
    // Counted before it runs, so that nobody takes the engine to be at rest in between.
    let begin = |signals: &mut Signals| {
        let due = std::mem::take(&mut signals.compaction_due);
        due.then(|| signals.running += 1)
    };
    while tree.wait_for(Some(PICK_INTERVAL), begin).is_some() {
        let done = tree.compact_once();
        tree.signal(|signals| {
            signals.running -= 1;
            signals.compaction_due |= matches!(done, Ok(true));
        });
        done?;
    }
    Ok(())
}

/// Prepares the next segment and, where `sync` is `interval`, synchronises the log.
fn tend_log(tree: &Tree) -> Result<(), EngineError> {
    loop {
        let mut signals = tree.signals.lock();
        if !signals.closing && !signals.segment_due && tree.check_writable().is_ok() {
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
        let segment_due = std::mem::take(&mut signals.segment_due);
        drop(signals);
        if segment_due {
            wal::tend(&tree.log, Pace::Gentle, &|| tree.is_closing())?;
        }
        if tree.options.sync == SyncPolicy::Interval && wal::sync(&tree.log)? {
            tree.counters.wal_syncs.fetch_add(1, Relaxed);
        }
    }
}
