//! The loading phase: every record once, on all replicas, as fast as the cluster takes them.

use super::Store;
use super::flight::put;
use crate::client::{Route, Sink};
use crate::message::{Level, Reply, Request};
use parking_lot::Mutex;
use quorate_strategies::NodeId;
use quorate_workloads::Workload;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Records that are under way at once.
const OUTSTANDING: u64 = 128;
/// A record that fails this often ends the phase.
const ATTEMPTS: u32 = 10;
/// Between two looks at the progress; also the pause before a failed record is written again.
const POLL: Duration = Duration::from_millis(20);
/// Loading has no latency to keep: a cluster that is busy with compaction may take its time.
const TIMEOUT_MS: u32 = 30_000;

/// Writes `records` records and returns when all are acknowledged by all their replicas.
///
/// `watch` is told the number of records written; when it answers false the phase ends early with
/// `Ok(false)`. A record whose fate is unknown is written again: the value is the same, so only a
/// strategy that keeps siblings can tell.
pub fn populate(
    store: &Arc<dyn Store>,
    workload: &Workload,
    records: u64,
    seed: u64,
    watch: &mut dyn FnMut(u64) -> bool,
) -> Result<bool, String> {
    let loader = Loader::new(Arc::clone(store), workload.clone(), records, seed);
    loader.begin();
    loop {
        let written = loader.written();
        if !watch(written) {
            return Ok(false);
        }
        if written == records {
            return Ok(true);
        }
        std::thread::sleep(POLL);
        loader.again()?;
    }
}

/// The records that are under way. Drives itself by its answers once it has begun; what failed
/// waits for [`Loader::again`].
pub(in crate::experiment) struct Loader {
    store: Arc<dyn Store>,
    workload: Workload,
    records: u64,
    seed: u64,
    /// The first record that was not yet sent.
    fresh: AtomicU64,
    written: AtomicU64,
    /// Records to write again, with the message of the last failure.
    failed: Mutex<Vec<(u64, String)>>,
    own: Weak<Loader>,
}

impl Loader {
    pub fn new(store: Arc<dyn Store>, workload: Workload, records: u64, seed: u64) -> Arc<Loader> {
        Arc::new_cyclic(|own| Loader {
            store,
            workload,
            records,
            seed,
            fresh: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failed: Mutex::default(),
            own: own.clone(),
        })
    }

    pub fn begin(&self) {
        for _ in 0..OUTSTANDING {
            self.next();
        }
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    fn next(&self) {
        let number = self.fresh.fetch_add(1, Ordering::Relaxed);
        if number < self.records {
            self.send(number, 1);
        }
    }

    /// The tag holds the number of the record and, in its top byte, that of the attempt.
    fn send(&self, number: u64, attempt: u32) {
        let (key, value) = self.workload.record(self.seed, number);
        let request = Request {
            key,
            operation: put(value),
            level: Some(Level::All),
            context: None,
            timeout_ms: Some(TIMEOUT_MS),
        };
        if let Some(own) = self.own.upgrade() {
            let sink: Arc<dyn Sink> = own;
            let tag = u64::from(attempt) << 56 | number;
            self.store.submit(tag, request, Route::Replica, &sink);
        }
    }

    /// Sends failed records again.
    pub fn again(&self) -> Result<(), String> {
        let failed = std::mem::take(&mut *self.failed.lock());
        for (tag, message) in failed {
            let (number, attempt) = (tag & ((1 << 56) - 1), (tag >> 56) as u32);
            if attempt == ATTEMPTS {
                return Err(format!("record {number} failed {ATTEMPTS} times; at last: {message}"));
            }
            self.send(number, attempt + 1);
        }
        Ok(())
    }
}

impl Sink for Loader {
    fn complete(&self, tag: u64, _: NodeId, reply: Reply) {
        match reply {
            Reply::Failed(failure) => self.failed.lock().push((tag, failure.to_string())),
            _ => {
                self.written.fetch_add(1, Ordering::Release);
                self.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::message::Failure;
    use bytes::Bytes;
    use std::collections::BTreeMap;

    /// Answers on another thread; fails the first `failures` requests.
    struct Flaky {
        failures: AtomicU64,
        seen: Mutex<BTreeMap<Bytes, u32>>,
    }

    impl Store for Flaky {
        fn submit(&self, tag: u64, request: Request, _: Route, sink: &Arc<dyn Sink>) {
            let sink = Arc::clone(sink);
            let left = self.failures.load(Ordering::Relaxed);
            self.failures.store(left.saturating_sub(1), Ordering::Relaxed);
            let reply = if left > 0 {
                Reply::Failed(Failure::Overloaded { what: "queue".into() })
            } else {
                *self.seen.lock().entry(request.key).or_insert(0) += 1;
                Reply::Written { context: Bytes::new() }
            };
            std::thread::spawn(move || sink.complete(tag, NodeId(1), reply));
        }
    }

    fn load(failures: u64, records: u64) -> (Result<bool, String>, usize) {
        let flaky = Flaky { failures: AtomicU64::new(failures), seen: Mutex::default() };
        let flaky = Arc::new(flaky);
        let store: Arc<dyn Store> = flaky.clone();
        let outcome = populate(&store, &Workload::default(), records, 1, &mut |_| true);
        let seen = flaky.seen.lock();
        assert!(seen.values().all(|times| *times == 1));
        (outcome, seen.len())
    }

    #[test]
    fn every_record_is_written_once_though_some_fail_at_first() {
        assert_eq!(load(0, 300), (Ok(true), 300));
        assert_eq!(load(150, 300), (Ok(true), 300));
    }

    #[test]
    fn a_record_that_never_succeeds_ends_the_phase() {
        let (outcome, seen) = load(u64::MAX, 1);
        let message = outcome.unwrap_err();
        assert_eq!(message, "record 0 failed 10 times; at last: overloaded: queue; retry later");
        assert_eq!(seen, 0);
    }

    #[test]
    fn the_watcher_can_end_it() {
        let store: Arc<dyn Store> =
            Arc::new(Flaky { failures: AtomicU64::new(0), seen: Mutex::default() });
        let outcome = populate(&store, &Workload::default(), 1_000, 1, &mut |_| false);
        assert_eq!(outcome, Ok(false));
    }
}
