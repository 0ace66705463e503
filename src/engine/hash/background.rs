//! The background threads: one makes hints and merges, one synchronises at intervals. And what the
//! first does, done inline where an engine has no threads.

use super::hint;
use super::manifest::Sealed;
use super::store::Store;
use crate::engine::threads::{self, Shared, Work};
use crate::engine::{EngineError, SyncPolicy};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Starts the threads. Each ends when the engine closes or fails.
pub fn start(store: &Arc<Store>) -> Result<Vec<JoinHandle<()>>, EngineError> {
    let mut work: Vec<(&str, Work<Store>)> = vec![("hash-merge", merge)];
    if store.options.sync == SyncPolicy::Interval {
        work.push(("hash-sync", sync));
    }
    threads::start(store, store.folder.path(), &work)
}

impl Shared for Store {
    fn fail(&self, error: String) {
        Store::fail(self, error);
    }

    fn end(&self) {
        self.signal(|signals| signals.closing = true);
    }
}

impl Store {
    /// Makes hints and merges on the caller's thread until there is nothing more to do.
    pub fn work(&self) -> Result<(), EngineError> {
        let mut signals = self.signals.lock();
        let unhinted = std::mem::take(&mut signals.unhinted);
        if !std::mem::take(&mut signals.merge_due) && unhinted.is_empty() {
            return Ok(());
        }
        drop(signals);
        self.tidy(&unhinted).inspect_err(|error| self.fail(error))
    }

    fn tidy(&self, unhinted: &[Sealed]) -> Result<(), EngineError> {
        for sealed in unhinted {
            self.make_hint(*sealed)?;
        }
        while self.check_writable().is_ok() && self.merge_once()? {}
        Ok(())
    }

    fn make_hint(&self, sealed: Sealed) -> Result<(), EngineError> {
        let store = self.manifest.lock().store;
        let Some(file) = self.index.read().file(sealed.number).map(Arc::clone) else {
            return Ok(());
        };
        match hint::make(&self.folder, store, &file, sealed) {
            Err(error @ EngineError::Corrupt { .. }) => {
                tracing::error!(%error, "this file gets no hint and is not merged");
                self.spoiled.lock().insert(sealed.number);
                Ok(())
            }
            made => made,
        }
    }
}

fn merge(store: &Store) -> Result<(), EngineError> {
    loop {
        let mut signals = store.signals.lock();
        while signals.is_resting() && !signals.closing && store.check_writable().is_ok() {
            store.changed.wait(&mut signals);
        }
        if signals.closing || store.check_writable().is_err() {
            return Ok(());
        }
        let unhinted = std::mem::take(&mut signals.unhinted);
        (signals.merge_due, signals.busy) = (false, true);
        drop(signals);
        let done = store.tidy(&unhinted);
        store.signal(|signals| signals.busy = false);
        done?;
    }
}

fn sync(store: &Store) -> Result<(), EngineError> {
    loop {
        let mut signals = store.signals.lock();
        if !signals.closing && store.check_writable().is_ok() {
            store.changed.wait_for(&mut signals, store.options.sync_interval);
        }
        if signals.closing || store.check_writable().is_err() {
            return Ok(());
        }
        drop(signals);
        store.sync()?;
    }
}
