//! The protocol, as a pure state machine: `step(now, input) -> effects`.

mod settings;
mod status;

pub use settings::{Address, BadSettings, Boot, IN_FLIGHT_MAX, REPLICAS_MAX, Settings};
pub use status::{Counters, Histogram, InFlight, MemberStatus, Outcomes, Standing, Status};

use crate::message::{Header, Message, Reply, Request};
use bytes::Bytes;
use quorate_strategies::NodeId;

/// Both clocks of a node, given with every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Microseconds, never going back: deadlines, detectors.
    pub mono_us: u64,
    /// Microseconds since 1970, which may jump: versions and expiry, through the hybrid clock.
    pub wall_us: u64,
}

/// Names a client's request towards the shell; the shell chooses it and gets it back with the reply.
pub type ClientTag = u64;

/// Names a storage effect until its completion comes back.
pub type Ticket = u64;

/// What a node is told.
#[derive(Clone, Debug)]
pub enum Input {
    Client {
        tag: ClientTag,
        request: Request,
    },
    /// A batch of one peer.
    Peer {
        header: Header,
        messages: Vec<Message>,
    },
    /// A timer that was set is due; late is allowed, early is not.
    Timer(Timer),
    /// Completion of [`Effect::Load`].
    Loaded {
        ticket: Ticket,
        result: Result<Option<Bytes>, String>,
    },
    /// Completion of [`Effect::Save`]: durable, or an error after which the engine takes no writes.
    Saved {
        ticket: Ticket,
        result: Result<(), String>,
    },
}

/// What a node wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To a peer, never to itself. May be lost; the protocol copes.
    Send {
        to: NodeId,
        message: Message,
    },
    /// Read the record of a key. The shell may answer at once.
    Load {
        ticket: Ticket,
        key: Bytes,
    },
    /// Write the record of a key and complete once it is durable. Two saves of one key are applied in
    /// the order in which they were emitted.
    Save {
        ticket: Ticket,
        key: Bytes,
        record: Bytes,
    },
    Reply {
        tag: ClientTag,
        reply: Reply,
    },
    /// Step again with this timer at this monotonic time. One pending per kind: a later one replaces it.
    Timer {
        at_us: u64,
        timer: Timer,
    },
    /// For logs and metrics; nothing depends on it.
    Event(Event),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Look for requests whose hedge or deadline is due.
    Sweep,
    /// Send heartbeats, judge the peers.
    Heartbeat,
    /// Compare notes with one peer.
    Gossip,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    PeerUp {
        peer: NodeId,
    },
    PeerSuspect {
        peer: NodeId,
        score: f64,
    },
    PeerDown {
        peer: NodeId,
    },
    /// The peer's clock is ahead of this node's by more than `max_clock_drift_ms`; its batches are
    /// dropped until that is mended.
    ClockDrift {
        peer: NodeId,
        ahead_ms: u64,
    },
    /// This node itself slept for so long that it judges nobody in this round.
    Paused {
        late_ms: u64,
    },
    /// Someone tells of a later life of this node: its disk was restored, or its id is used twice.
    Impersonated {
        incarnation: u64,
    },
}
