//! The few facts that connections read without asking the driver.

use super::clocks::Clocks;
use crate::message::{Header, Heard};
use crate::node::Node;
use crate::node::Now;
use quorate_strategies::NodeId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Published by the driver, read by everyone.
pub struct Shared {
    id: NodeId,
    incarnation: u64,
    clocks: Clocks,
    epoch: AtomicU64,
    clock: AtomicU64,
    ready: AtomicBool,
    stopping: AtomicBool,
    /// Bytes of the batches that the links to peers took.
    peer_bytes: AtomicU64,
}

impl Shared {
    /// `clocks` are those by which the node is stepped.
    pub fn new(id: NodeId, incarnation: u64, clocks: Clocks) -> Self {
        Shared {
            id,
            incarnation,
            clocks,
            epoch: AtomicU64::new(0),
            clock: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            peer_bytes: AtomicU64::new(0),
        }
    }

    /// Called before a round's messages are queued, so that no batch is stamped older than its
    /// content.
    pub fn publish(&self, node: &Node, now: Now) {
        let header = node.header(self.id, now, 0);
        self.epoch.store(header.epoch, Ordering::Release);
        self.clock.store(header.clock, Ordering::Release);
    }

    /// What goes in front of a batch that leaves now, the `sequence`-th to that peer, of which
    /// `heard` was heard.
    pub fn header(&self, to: NodeId, sequence: u64, heard: Heard) -> Header {
        let Now { mono_us: sent_us, wall_us } = self.clocks.now();
        Header {
            from: self.id,
            to,
            epoch: self.epoch.load(Ordering::Acquire),
            clock: self.clock.load(Ordering::Acquire),
            incarnation: self.incarnation,
            sent_us,
            wall_us,
            sequence,
            heard,
        }
    }

    pub fn count_peer_bytes(&self, bytes: u64) {
        self.peer_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn peer_bytes(&self) -> u64 {
        self.peer_bytes.load(Ordering::Relaxed)
    }

    /// Answers whether this changed anything.
    pub fn set_ready(&self, ready: bool) -> bool {
        self.ready.swap(ready, Ordering::AcqRel) != ready
    }

    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Enough replicas are alive, and the node is not about to leave.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_stopping()
    }
}
