//! A bounded queue whose reader takes everything that is there: one batch per wake-up.
//!
//! ```text
//!   driver ──push(whole round)──► [m m m m m m]  ◄──poll── Batches: a stream, into a socket
//!             one lock, one wake                  one lock, everything up to BATCH_BYTES
//! ```
//!
//! The driver never waits: what does not fit is refused and counted. The reader is the task of the
//! connection itself, so nothing is handed over twice. No timer delays a batch; a batch grows by
//! itself while its predecessor is being written.

use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio_stream::Stream;

/// A batch is cut at this many bytes, so that one message stays far below the decoder's limit.
pub const BATCH_BYTES: usize = 4 << 20;

/// What an item takes of the limits.
pub trait Weigh {
    /// About the bytes that the item takes on the wire.
    fn weight(&self) -> usize;
}

/// The queue of one connection, shared by the driver and the connection's writer.
pub struct Outbox<T> {
    state: Mutex<State<T>>,
    limit_bytes: usize,
}

struct State<T> {
    items: Vec<T>,
    bytes: usize,
    /// Monotonic time at which the oldest item was queued.
    since_us: u64,
    waker: Option<Waker>,
    /// Counts the readers there have been. An old one that is still being torn down takes nothing.
    reader: u64,
    attached: bool,
    closed: bool,
}

impl<T: Weigh> Outbox<T> {
    /// A queue of at most about `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Arc<Self> {
        let state = State {
            items: Vec::new(),
            bytes: 0,
            since_us: 0,
            waker: None,
            reader: 0,
            attached: false,
            closed: false,
        };
        Arc::new(Outbox { state: Mutex::new(state), limit_bytes })
    }

    /// Queues all of `items`, or as many as fit; answers how many were dropped. `items` is empty
    /// afterwards and keeps its capacity.
    pub fn push(&self, items: &mut Vec<T>, now_us: u64) -> usize {
        let mut state = self.state.lock();
        if state.closed {
            let dropped = items.len();
            items.clear();
            return dropped;
        }
        if state.items.is_empty() {
            state.since_us = now_us;
        }
        let mut dropped = 0;
        for item in items.drain(..) {
            let weight = item.weight();
            if state.bytes + weight > self.limit_bytes && !state.items.is_empty() {
                dropped += 1;
                continue;
            }
            state.bytes += weight;
            state.items.push(item);
        }
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
        dropped
    }

    /// Drops what was queued more than `age_us` ago and found no reader since; answers how many.
    /// What is that old would only surprise its receiver.
    pub fn drop_stale(&self, now_us: u64, age_us: u64) -> usize {
        let mut state = self.state.lock();
        if state.attached || state.items.is_empty() || now_us - state.since_us.min(now_us) <= age_us
        {
            return 0;
        }
        state.bytes = 0;
        std::mem::take(&mut state.items).len()
    }

    /// Makes the caller the only reader.
    pub fn attach(self: &Arc<Self>) -> Batches<T> {
        let mut state = self.state.lock();
        state.reader += 1;
        state.attached = true;
        Batches { outbox: Arc::clone(self), reader: state.reader }
    }

    /// No more items: the reader gets what is there, then the end.
    pub fn close(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Bytes that wait for the reader.
    pub fn waiting_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Whether a reader takes what is pushed.
    pub fn is_attached(&self) -> bool {
        self.state.lock().attached
    }
}

/// The reading end: a stream of whole batches.
pub struct Batches<T: Weigh> {
    outbox: Arc<Outbox<T>>,
    reader: u64,
}

impl<T: Weigh> Stream for Batches<T> {
    type Item = Vec<T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Vec<T>>> {
        let mut state = self.outbox.state.lock();
        if state.reader != self.reader {
            return Poll::Ready(None);
        }
        if !state.items.is_empty() {
            return Poll::Ready(Some(state.take()));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl<T: Weigh> State<T> {
    fn take(&mut self) -> Vec<T> {
        if self.bytes <= BATCH_BYTES {
            self.bytes = 0;
            // The next round is likely to be as large as this one.
            let next = Vec::with_capacity(self.items.len().min(1024));
            return std::mem::replace(&mut self.items, next);
        }
        let mut weight = 0;
        let mut count = 0;
        for item in &self.items {
            weight += item.weight();
            if count > 0 && weight > BATCH_BYTES {
                weight -= item.weight();
                break;
            }
            count += 1;
        }
        self.bytes -= weight;
        let rest = self.items.split_off(count);
        std::mem::replace(&mut self.items, rest)
    }
}

impl<T: Weigh> Drop for Batches<T> {
    fn drop(&mut self) {
        let mut state = self.outbox.state.lock();
        if state.reader == self.reader {
            state.attached = false;
            state.waker = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::FutureExt;
    use tokio_stream::StreamExt;

    #[derive(Debug, PartialEq)]
    struct Item(usize);
    impl Weigh for Item {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn items(weights: &[usize]) -> Vec<Item> {
        weights.iter().copied().map(Item).collect()
    }

    #[test]
    fn everything_that_waits_is_one_batch() {
        let outbox = Outbox::new(1_000);
        let mut batches = outbox.attach();
        assert_eq!(batches.next().now_or_never(), None);
        outbox.push(&mut items(&[1, 2]), 0);
        outbox.push(&mut items(&[3]), 0);
        assert_eq!(batches.next().now_or_never(), Some(Some(items(&[1, 2, 3]))));
        outbox.close();
        assert_eq!(batches.next().now_or_never(), Some(None));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let outbox = Outbox::new(10);
        assert_eq!(outbox.push(&mut items(&[6, 6, 4]), 0), 1);
        assert_eq!(outbox.waiting_bytes(), 10);
        let alone = Outbox::new(10);
        assert_eq!(alone.push(&mut items(&[50]), 0), 0, "one item always fits an empty queue");
    }

    #[test]
    fn a_batch_is_cut_at_its_limit() {
        let outbox = Outbox::new(usize::MAX);
        let mut batches = outbox.attach();
        outbox.push(&mut items(&[BATCH_BYTES - 1, 1, 1, 5]), 0);
        assert_eq!(batches.next().now_or_never().unwrap().unwrap().len(), 2);
        assert_eq!(batches.next().now_or_never().unwrap().unwrap(), items(&[1, 5]));
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[test]
    fn only_the_newest_reader_reads_and_the_stale_is_dropped_without_one() {
        let outbox = Outbox::new(100);
        let mut old = outbox.attach();
        let mut new = outbox.attach();
        outbox.push(&mut items(&[1]), 0);
        assert_eq!(old.next().now_or_never(), Some(None));
        drop(old);
        assert!(outbox.is_attached());
        assert_eq!(new.next().now_or_never(), Some(Some(items(&[1]))));
        drop(new);
        outbox.push(&mut items(&[2, 3]), 1_000);
        assert_eq!(outbox.drop_stale(1_500, 1_000), 0);
        assert_eq!(outbox.drop_stale(2_001, 1_000), 2);
        assert_eq!(outbox.waiting_bytes(), 0);
    }
}
