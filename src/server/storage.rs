//! Storage as an effect: the threads that may wait for the disk, so that the driver never does.
//!
//! ```text
//!   driver ─ peek ──────────────► engine          memory answers at once, on the driver's thread
//!          ─ OnDisk ─► readers ──► engine.get ──► inbox
//!          ─ round's saves ─► writer: everything that is queued, one engine.commit ─► inbox
//! ```
//!
//! There is one writer, so saves of one key are applied in the order in which they were emitted.
//! While one commit waits for its disk synchronisation, the next batch grows by itself. The number
//! of saves and loads that wait is bounded by the node, which admits no more work than its
//! `in_flight` limits.

use super::inbox::{Inbound, Sender};
use crate::engine::{Engine, Peek, Write};
use crate::node::Ticket;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Threads that wait for reads from the disk.
const READERS: usize = 4;

/// A commit takes no more than this, one save excepted: the engine refuses batches without end, and
/// whoever shares a refused batch suffers with it.
const COMMIT_BYTES: usize = 32 << 20;

/// Where saves are committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits {
    /// By the driver itself: the engine never waits for a disk.
    Inline,
    /// By a thread of their own.
    Threaded,
}

/// What the driver sees of the storage.
pub struct Storage {
    engine: Arc<dyn Engine>,
    commits: Commits,
    saves: Arc<Queue<Saves>>,
    loads: Arc<Queue<VecDeque<(Ticket, Bytes)>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Saves {
    tickets: Vec<Ticket>,
    writes: Vec<Write>,
}

impl Saves {
    /// Takes what one commit may hold, oldest first.
    fn take(&mut self) -> Option<Saves> {
        if self.tickets.is_empty() {
            return None;
        }
        let (mut count, mut bytes) = (0, 0);
        for write in &self.writes {
            bytes += size(write);
            if count > 0 && bytes > COMMIT_BYTES {
                let later = Saves {
                    tickets: self.tickets.split_off(count),
                    writes: self.writes.split_off(count),
                };
                return Some(std::mem::replace(self, later));
            }
            count += 1;
        }
        Some(std::mem::take(self))
    }
}

fn size(write: &Write) -> usize {
    match write {
        Write::Put { key, value } | Write::PutUntil { key, value, .. } => key.len() + value.len(),
        Write::Remove { key } => key.len(),
    }
}

/// Work for threads that sleep while there is none.
#[derive(Default)]
struct Queue<W> {
    state: Mutex<Work<W>>,
    wake: Condvar,
}

#[derive(Default)]
struct Work<W> {
    work: W,
    closed: bool,
}

impl Storage {
    /// Starts the threads. They end with [`Self::stop`].
    pub fn start(
        engine: Arc<dyn Engine>,
        commits: Commits,
        inbox: &Sender,
    ) -> std::io::Result<Arc<Storage>> {
        let storage = Arc::new(Storage {
            engine,
            commits,
            saves: Arc::default(),
            loads: Arc::default(),
            threads: Mutex::default(),
        });
        let mut threads = Vec::with_capacity(READERS + 1);
        if commits == Commits::Threaded {
            let (engine, queue) = (Arc::clone(&storage.engine), Arc::clone(&storage.saves));
            let inbox = inbox.clone();
            let writer = thread::Builder::new().name("writer".into());
            threads.push(writer.spawn(move || write(&*engine, &queue, &inbox))?);
        }
        for number in 0..READERS {
            let (engine, queue) = (Arc::clone(&storage.engine), Arc::clone(&storage.loads));
            let inbox = inbox.clone();
            let reader = thread::Builder::new().name(format!("reader-{number}"));
            threads.push(reader.spawn(move || read(&*engine, &queue, &inbox))?);
        }
        *storage.threads.lock() = threads;
        Ok(storage)
    }

    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The record of a key if memory knows it; else None, and the answer comes through the inbox.
    pub fn load(&self, ticket: Ticket, key: Bytes) -> Option<Result<Option<Bytes>, String>> {
        match self.engine.peek(&key) {
            Ok(Peek::Found(record)) => Some(Ok(Some(record))),
            Ok(Peek::Absent) => Some(Ok(None)),
            Ok(Peek::OnDisk) => {
                self.loads.state.lock().work.push_back((ticket, key));
                self.loads.wake.notify_one();
                None
            }
            Err(error) => Some(Err(error.to_string())),
        }
    }

    /// Whether the driver commits by itself.
    pub fn commits_inline(&self) -> bool {
        self.commits == Commits::Inline
    }

    /// Commits at once, on the caller's thread.
    pub fn commit(&self, batch: Vec<Write>) -> Result<(), String> {
        self.engine.commit(batch).map_err(|error| error.to_string())
    }

    /// Queues a round's saves for the writer; the answer comes through the inbox. Both arguments
    /// are empty afterwards and keep their capacity.
    pub fn queue(&self, tickets: &mut Vec<Ticket>, writes: &mut Vec<Write>) {
        let mut state = self.saves.state.lock();
        let idle = state.work.tickets.is_empty();
        state.work.tickets.append(tickets);
        state.work.writes.append(writes);
        drop(state);
        if idle {
            self.saves.wake.notify_one();
        }
    }

    /// Lets the threads finish what is queued, and waits for them. Blocks.
    pub fn stop(&self) {
        self.saves.close();
        self.loads.close();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a storage thread had panicked");
            }
        }
    }
}

impl<W> Queue<W> {
    fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
    }

    /// Waits for work; None once the queue is closed and empty.
    fn take<T>(&self, mut some: impl FnMut(&mut W) -> Option<T>) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = some(&mut state.work) {
                return Some(work);
            }
            if state.closed {
                return None;
            }
            self.wake.wait(&mut state);
        }
    }
}

fn write(engine: &dyn Engine, queue: &Queue<Saves>, inbox: &Sender) {
    loop {
        // Whoever is about to add to the batch may do so first.
        thread::yield_now();
        let Some(Saves { tickets, writes }) = queue.take(Saves::take) else { return };
        let result = engine.commit(writes).map_err(|error| error.to_string());
        if let Err(error) = &result {
            tracing::error!(records = tickets.len(), "commit failed: {error}");
        }
        // The driver is gone only when the node is stopping; what it would have said is moot then.
        let _ = inbox.blocking_send(Inbound::Saved { tickets, result });
    }
}

fn read(engine: &dyn Engine, queue: &Queue<VecDeque<(Ticket, Bytes)>>, inbox: &Sender) {
    while let Some((ticket, key)) = queue.take(VecDeque::pop_front) {
        let result = engine.get(&key).map_err(|error| error.to_string());
        let _ = inbox.blocking_send(Inbound::Loaded { ticket, result });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_commit_takes_what_it_may_hold_and_at_least_one_save() {
        let save = |mib: usize| Write::Put { key: Bytes::new(), value: vec![0; mib << 20].into() };
        let mut saves =
            Saves { tickets: vec![1, 2, 3, 4, 5], writes: [16, 16, 1, 40, 1].map(save).to_vec() };
        let mut taken = Vec::new();
        while let Some(some) = saves.take() {
            assert_eq!(some.tickets.len(), some.writes.len());
            taken.push(some.tickets);
        }
        assert_eq!(taken, [vec![1, 2], vec![3], vec![4], vec![5]]);
    }

    use crate::engine::{EngineError, Stats, SyncPolicy};
    use crate::server::inbox;
    use std::ops::Bound;

    /// An engine that knows nothing in memory and waits, at each commit, until it is told to go on.
    struct Slow {
        gate: Mutex<std::sync::mpsc::Receiver<()>>,
        batches: Mutex<Vec<usize>>,
    }

    impl Engine for Slow {
        fn commit_with(&self, batch: Vec<Write>, _: Option<SyncPolicy>) -> Result<(), EngineError> {
            self.batches.lock().push(batch.len());
            self.gate.lock().recv().unwrap();
            Ok(())
        }
        fn peek(&self, _: &[u8]) -> Result<Peek, EngineError> {
            Ok(Peek::OnDisk)
        }
        fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
            Ok(Some(Bytes::copy_from_slice(key)))
        }
        fn scan(
            &self,
            _: Bound<&[u8]>,
            _: Bound<&[u8]>,
            _: usize,
        ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
            Ok(Vec::new())
        }
        fn stats(&self) -> Stats {
            Stats::default()
        }
        fn close(&self) -> Result<(), EngineError> {
            Ok(())
        }
    }

    fn put(key: u8) -> Write {
        Write::Put { key: Bytes::from(vec![key]), value: Bytes::new() }
    }

    #[test]
    fn what_queues_up_during_a_commit_is_the_next_commit() {
        let (go, gate) = std::sync::mpsc::channel();
        let slow = Arc::new(Slow { gate: Mutex::new(gate), batches: Mutex::default() });
        let (sender, mut receiver) = inbox::channel();
        let engine: Arc<dyn Engine> = slow.clone();
        let storage = Storage::start(engine, Commits::Threaded, &sender).unwrap();

        storage.queue(&mut vec![1], &mut vec![put(1)]);
        while slow.batches.lock().is_empty() {
            thread::yield_now();
        }
        storage.queue(&mut vec![2], &mut vec![put(2)]);
        storage.queue(&mut vec![3, 4], &mut vec![put(3), put(4)]);
        go.send(()).unwrap();
        go.send(()).unwrap();
        storage.stop();

        assert_eq!(*slow.batches.lock(), [1, 3]);
        let Inbound::Saved { tickets, .. } = receiver.try_recv().unwrap() else { panic!() };
        assert_eq!(tickets, [1]);
        let Inbound::Saved { tickets, .. } = receiver.try_recv().unwrap() else { panic!() };
        assert_eq!(tickets, [2, 3, 4]);
    }

    #[test]
    fn what_only_the_disk_knows_comes_through_the_inbox() {
        let (_go, gate) = std::sync::mpsc::channel();
        let slow = Arc::new(Slow { gate: Mutex::new(gate), batches: Mutex::default() });
        let (sender, mut receiver) = inbox::channel();
        let storage = Storage::start(slow, Commits::Threaded, &sender).unwrap();
        assert_eq!(storage.load(7, Bytes::from_static(b"key")), None);
        let Inbound::Loaded { ticket, result } = receiver.blocking_recv().unwrap() else {
            panic!()
        };
        assert_eq!((ticket, result), (7, Ok(Some(Bytes::from_static(b"key")))));
        storage.stop();
    }
}
