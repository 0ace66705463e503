//! The protocol, as a pure state machine: `step(now, input) -> effects`.
//!
//! Nothing here opens a socket, reads a clock, starts a thread or touches a disk. Time comes with
//! every input, storage is an effect with a ticket, randomness is a seed. So one and the same code
//! runs in a process, in a simulator that replays a schedule, and in a bench that has nothing else
//! to do.
//!
//! ```text
//!              Input                        Node                          Effect
//!   Client ─────────────► coordinator/  finds owners, counts answers ──► Reply
//!                             │    ▲
//!                       local queue or Send / Peer                   ──► Send
//!                             ▼    │
//!   Loaded, Saved ──────► replica/      stamps, merges, stores       ──► Load, Save
//!   Timer, Peer ────────► membership/   heartbeats, verdicts, gossip ──► Send, Timer, Event
//! ```
//!
//! A coordinator reaches its own replica by the same messages as a remote one. They go through a
//! local queue that is emptied before the step ends, so there is one path to get right, not two.
//!
//! # Reading order
//!
//! `message.rs` first: it is the protocol's table of contents. Then `coordinator/write.rs`,
//! `replica/mod.rs`, `coordinator/read.rs`, `membership/mod.rs`. The rest are their tools:
//! `routing` (who owns a key), `clock` (the hybrid clock of stamps), `transit` (how a
//! deadline crosses the network), `table` and `wheel` (what is
//! pending, and until when), `turn` (what one step may see).
//!
//! # Invariants
//!
//! * Equal settings, boot and inputs give equal effects, in the same order.
//! * Every client request gets exactly one reply, by its deadline or shortly after.
//! * One write is one version: exactly one replica stamps it, everybody else merges.
//! * Acknowledged means durable on W distinct machines, as the engine's `sync` defines durable.
//! * All tables are bounded; a full one answers "overloaded".
//!
//! # Caveats
//!
//! * No hints. A replica that was down or silent during a write learns of it by read repair alone.
//!   Hints hang where `coordinator/write.rs` forgets the replicas that never acknowledged.
//! * No anti-entropy. Keys that nobody reads stay apart. An exchange between owners of a range
//!   would send the same `Merge` messages that read repair sends.
//! * No change of topology. The epoch is in every message and replicas refuse an older one, but it
//!   never grows. A second placement beside the present one, in `routing.rs`, and quorums counted
//!   in both, would be the beginning. A header carries the epoch of its batch, so a node must let
//!   its queues run dry before it takes a new one.
//! * Tombstones and expired values are kept for ever: collecting them safely needs every owner's
//!   word.
//! * Strict quorums only: no fallback replica takes a write for an owner that is down.
//! * A stamping replica that refuses is not replaced by another one, although it would be safe for
//!   refusals that are certain; the client retries.
//! * A peer's address is taken from the settings. Gossip tells a newer one, which only `status`
//!   shows.
//! * The hybrid clock is not persisted: after a restart with a wall clock that went back, stamps
//!   may be lower than earlier ones until a peer was heard. A new actor at each start keeps them
//!   distinct.
//! * A node whose clock runs ahead beyond the bound is ignored by its peers, but still answers with
//!   what a level of one can get from its own disk. A wall clock that jumped ahead for a moment
//!   leaves its mark in the hybrid clock: until true time has caught up, or until its next start,
//!   that node stamps nothing, and other owners do it.

mod clock;
mod coordinator;
mod membership;
mod replica;
mod routing;
mod settings;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod transit;
mod turn;
mod wheel;

pub use routing::Routing;
pub use settings::{Address, BadSettings, Boot, IN_FLIGHT_MAX, REPLICAS_MAX, Settings};
pub use status::{Counters, Histogram, InFlight, MemberStatus, Outcomes, Standing, Status};

use crate::message::{Header, Heard, Message, Reply, Request};
use bytes::Bytes;
use clock::{Clock, Drift};
use coordinator::Coordinator;
use membership::{Beat, Membership, Scene};
use quorate_strategies::NodeId;
use quorate_strategies::conflict::Resolver;
use replica::Replica;
use std::collections::VecDeque;
use std::sync::Arc;
use transit::{Sender, Transits};
use turn::Turn;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Both clocks of a node, given with every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Microseconds, never going back: deadlines, detectors.
    pub mono_us: u64,
    /// Microseconds since 1970, which may jump: versions and expiry, through the hybrid clock.
    pub wall_us: u64,
}

/// Names a client's request towards the shell; the shell chooses it and gets it back with the
/// reply.
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
    /// Write the record of a key and complete once it is durable. Two saves of one key are applied
    /// in the order in which they were emitted.
    Save {
        ticket: Ticket,
        key: Bytes,
        record: Bytes,
    },
    Reply {
        tag: ClientTag,
        reply: Reply,
    },
    /// Step again with this timer at this monotonic time. One pending per kind: a later one
    /// replaces it.
    Timer {
        at_us: u64,
        timer: Timer,
    },
    /// For logs and metrics; nothing depends on it.
    Event(Event),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Look for requests whose hedge or deadline is due.
    Sweep,
    /// Send heartbeats.
    Heartbeat,
    /// Compare notes with one peer.
    Gossip,
    /// Ask every peer's detector for its verdict.
    Judge,
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
    /// The peer is heard and says that it does not hear this node.
    PeerDeaf {
        peer: NodeId,
    },
    /// The peer's clock is ahead of this node's by more than `max_clock_drift_ms`; its batches are
    /// dropped until that is mended.
    ClockDrift {
        peer: NodeId,
        ahead_ms: u64,
    },
    /// This node itself slept for so long that it judges nobody before it has listened for a
    /// heartbeat interval.
    Paused {
        late_ms: u64,
    },
    /// Someone tells of a later life of this node: its disk was restored, or its id is used twice.
    Impersonated {
        incarnation: u64,
    },
}

/// One node's whole protocol state. Driven by one caller, one input at a time.
pub struct Node {
    settings: Settings,
    boot: Boot,
    resolver: Box<dyn Resolver>,
    routing: Arc<Routing>,
    clock: Clock,
    membership: Membership,
    coordinator: Coordinator,
    replica: Replica,
    counters: Counters,
    /// Messages of this node to itself; empty between steps.
    local: VecDeque<Message>,
    transits: Transits,
    newest_epoch: u64,
    /// When the pending Sweep timer fires, if one is set.
    sweep_at_us: Option<u64>,
}

impl Node {
    /// Checks the settings and appends the first effects: heartbeats to all peers, and the timers.
    pub fn new(
        settings: Settings,
        boot: Boot,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Result<Node, BadSettings> {
        settings.check()?;
        let routing = Arc::new(Routing::new(&settings));
        Node::sharing(routing, settings, boot, now, out)
    }

    /// The same with a placement that was computed before, from settings with the same topology,
    /// replication and partitioning: many nodes of one process share it.
    pub fn sharing(
        routing: Arc<Routing>,
        settings: Settings,
        boot: Boot,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Result<Node, BadSettings> {
        settings.check()?;
        let life = [settings.id.0, boot.incarnation, boot.actor].map(u64::to_le_bytes).concat();
        let sequence = xxh3_64_with_seed(&life, settings.seed);
        let members = settings.topology.members.len();
        let mut node = Node {
            resolver: settings.conflict.build(),
            routing,
            clock: Clock::new(settings.timing.max_clock_drift_ms),
            membership: Membership::new(&settings, boot, now),
            coordinator: Coordinator::new(now.mono_us, sequence),
            replica: Replica::new(sequence, members, settings.limits.in_flight),
            counters: Counters::default(),
            local: VecDeque::new(),
            transits: Transits::default(),
            newest_epoch: settings.topology.epoch,
            sweep_at_us: None,
            settings,
            boot,
        };
        let (membership, mut scene) = node.scene(now, out);
        membership.start(&mut scene);
        Ok(node)
    }

    /// Takes one input and appends what is to be done, in order.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Client { tag, request } => {
                let (coordinator, _, mut turn) = self.turn(now, out);
                coordinator.client(&mut turn, tag, request);
            }
            Input::Peer { header, messages } => self.peer(now, header, messages, out),
            Input::Timer(timer) => self.timer(now, timer, out),
            Input::Loaded { ticket, result } => {
                let (_, replica, mut turn) = self.turn(now, out);
                replica.loaded(&mut turn, ticket, result);
            }
            Input::Saved { ticket, result } => {
                let (_, replica, mut turn) = self.turn(now, out);
                replica.saved(&mut turn, ticket, result);
            }
        }
        while let Some(message) = self.local.pop_front() {
            self.message(now, self.settings.id, Sender::own(self.routing.epoch()), message, out);
        }
        self.arm_sweep(now, out);
    }

    /// What goes in front of a batch to `to`. Taken when the batch is sent, not when it is filled.
    /// `sequence` numbers the batches to that peer, from 1.
    pub fn header(&self, to: NodeId, now: Now, sequence: u64) -> Header {
        let (from, epoch) = (self.settings.id, self.routing.epoch());
        let (clock, incarnation) = (self.clock.peek(now.wall_us), self.boot.incarnation);
        let Now { mono_us: sent_us, wall_us } = now;
        let heard = self.heard(to);
        Header { from, to, epoch, clock, incarnation, sent_us, wall_us, sequence, heard }
    }

    /// What goes into a header to a peer: the newest that was heard of it.
    pub fn heard(&self, of: NodeId) -> Heard {
        self.transits.heard(of)
    }

    /// Whether a majority of every range's owners is alive, as far as this node has heard, and it
    /// takes writes itself.
    pub fn is_ready(&self) -> bool {
        !self.replica.is_read_only()
            && self.routing.has_quorum(|id| self.membership.standing(id).is_alive())
    }

    /// A picture of this moment. It walks all ranges: for probes and people, not for every request.
    pub fn status(&self) -> Status {
        Status {
            id: self.settings.id,
            incarnation: self.membership.incarnation(),
            epoch: self.routing.epoch(),
            newest_epoch: self.newest_epoch,
            ready: self.is_ready(),
            replicas: self.settings.replication.n,
            members: self.membership.status(&self.routing.shares()),
            in_flight: self.in_flight(),
            counters: self.counters.clone(),
        }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What waits for something at this moment.
    pub fn in_flight(&self) -> InFlight {
        let replica = self.replica.in_flight();
        InFlight {
            loads: replica.loads,
            saves: replica.saves,
            queued: replica.queued,
            ..self.coordinator.in_flight()
        }
    }

    /// This node's opinion of a member.
    pub fn standing(&self, id: NodeId) -> Standing {
        self.membership.standing(id)
    }

    /// What gossip has told of a member: (incarnation, version). Greater is newer; (0, 0): nothing.
    pub fn told_of(&self, id: NodeId) -> (u64, u64) {
        self.membership.told_of(id)
    }

    /// Splits the node into who acts and what they may see.
    fn turn<'a>(
        &'a mut self,
        now: Now,
        out: &'a mut Vec<Effect>,
    ) -> (&'a mut Coordinator, &'a mut Replica, Turn<'a>) {
        let turn = Turn {
            now,
            settings: &self.settings,
            routing: self.routing.as_ref(),
            resolver: self.resolver.as_ref(),
            membership: &self.membership,
            clock: &mut self.clock,
            counters: &mut self.counters,
            actor: self.boot.actor,
            local: &mut self.local,
            out,
        };
        (&mut self.coordinator, &mut self.replica, turn)
    }

    fn scene<'a>(
        &'a mut self,
        now: Now,
        out: &'a mut Vec<Effect>,
    ) -> (&'a mut Membership, Scene<'a>) {
        (&mut self.membership, Scene { now, counters: &mut self.counters, out })
    }

    /// A batch of a peer. One whose sender's clock is too far ahead is dropped whole, heartbeats
    /// and all: so that node is down in our eyes until its clock is mended, and no version of it
    /// spreads.
    fn peer(&mut self, now: Now, header: Header, messages: Vec<Message>, out: &mut Vec<Effect>) {
        if header.to != self.settings.id || header.from == self.settings.id {
            self.counters.misdirected += 1;
            return;
        }
        if !membership::is_plausible(header.incarnation, now) {
            self.counters.incarnations_ignored += 1;
            return;
        }
        let followed = self.clock.observe(header.clock, header.wall_us, now.wall_us);
        if let Err(Drift { ahead_ms }) = followed {
            self.counters.clock_drift_dropped += 1;
            self.membership.mute(header.from);
            out.push(Effect::Event(Event::ClockDrift { peer: header.from, ahead_ms }));
            return;
        }
        self.newest_epoch = self.newest_epoch.max(header.epoch);
        let Some(sender) = self.transits.observe(header, self.boot.incarnation, now.mono_us) else {
            self.counters.copies_dropped += 1;
            return;
        };
        for message in messages {
            self.message(now, header.from, sender, message, out);
        }
    }

    /// One message, of a peer or of this node itself.
    fn message(
        &mut self,
        now: Now,
        from: NodeId,
        sender: Sender,
        message: Message,
        out: &mut Vec<Effect>,
    ) {
        match message {
            Message::Apply { .. } | Message::Merge { .. } | Message::Read { .. } => {
                let (_, replica, mut turn) = self.turn(now, out);
                replica.request(&mut turn, from, sender, message);
            }
            Message::Applied { id, .. }
            | Message::Stored { id }
            | Message::Found { id, .. }
            | Message::Refused { id, .. } => {
                let (coordinator, _, mut turn) = self.turn(now, out);
                coordinator.answer(&mut turn, id, from, message);
            }
            Message::Heartbeat { incarnation, hears, aside } => {
                let (membership, mut scene) = self.scene(now, out);
                let beat = Beat { incarnation, hears, aside, newest: sender.newest };
                membership.heard(&mut scene, from, beat);
            }
            Message::Gossip { digests } => {
                let (membership, mut scene) = self.scene(now, out);
                membership.compare(&mut scene, from, &digests);
            }
            Message::GossipReply { members, wanted } => {
                let (membership, mut scene) = self.scene(now, out);
                membership.absorb(&mut scene, from, members, &wanted);
            }
        }
    }

    fn timer(&mut self, now: Now, timer: Timer, out: &mut Vec<Effect>) {
        match timer {
            Timer::Sweep => {
                self.sweep_at_us = None;
                let (coordinator, _, mut turn) = self.turn(now, out);
                coordinator.sweep(&mut turn);
            }
            Timer::Heartbeat => {
                let (membership, mut scene) = self.scene(now, out);
                membership.beat(&mut scene);
            }
            Timer::Gossip => {
                let (membership, mut scene) = self.scene(now, out);
                membership.gossip_due(&mut scene);
            }
            Timer::Judge => {
                let (membership, mut scene) = self.scene(now, out);
                membership.judgement_due(&mut scene);
            }
        }
    }

    /// One timer for all deadlines, and none while nothing is pending.
    fn arm_sweep(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.sweep_at_us.is_some() {
            return;
        }
        self.sweep_at_us = self.coordinator.next_sweep_us(now.mono_us);
        if let Some(at_us) = self.sweep_at_us {
            out.push(Effect::Timer { at_us, timer: Timer::Sweep });
        }
    }
}
