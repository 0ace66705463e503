//! The one task that owns the node.
//!
//! ```text
//!   inbox ─► all that is queued ─► decode ─► step … ─► effects ─┬► loads ──► step again
//!                                                               ├► saves ──► storage
//!                                                               ├► sends ──► outbox per peer
//!                                                               └► replies ► outbox per client
//! ```
//!
//! One wake-up is one round: both clocks are read once, every queued input is stepped, and what
//! comes out leaves in one batch per receiver. Nothing in a round waits; buffers keep their
//! capacity.

use super::clocks::Clocks;
use super::inbox::{Inbound, Receiver, Report, SessionId};
use super::metrics::Shell;
use super::peers::PeerOutboxes;
use super::sessions::Sessions;
use super::shared::Shared;
use super::storage::Storage;
use super::waiting::{Kind, Pending, Waiter, Waiting};
use crate::engine::Write;
use crate::message::{Failure, Operation, Reply, Request};
use crate::node::{ClientTag, Effect, Event, Input, Node, Now, Ticket, Timer};
use crate::wire;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Inputs, each of them a batch, that one round takes at most: bounds the time until others run.
const ROUND: usize = 256;

pub struct Driver {
    pub node: Node,
    pub clocks: Clocks,
    pub inbox: Receiver,
    pub storage: Arc<Storage>,
    pub peers: PeerOutboxes,
    pub shared: Arc<Shared>,
    state: State,
}

/// What only the driver knows.
#[derive(Default)]
struct State {
    sessions: Sessions,
    waiting: Waiting,
    timers: Timers,
    effects: Vec<Effect>,
    spare: Vec<Effect>,
    tickets: Vec<Ticket>,
    writes: Vec<Write>,
    shell: Shell,
    draining: Option<oneshot::Sender<()>>,
}

impl Driver {
    pub fn new(
        node: Node,
        first_effects: Vec<Effect>,
        clocks: Clocks,
        inbox: Receiver,
        storage: Arc<Storage>,
        peers: PeerOutboxes,
        shared: Arc<Shared>,
    ) -> Self {
        let state = State { effects: first_effects, ..State::default() };
        Driver { node, clocks, inbox, storage, peers, shared, state }
    }

    /// Runs until `ended`, or until nobody can send to it any more.
    pub async fn run(mut self, ended: CancellationToken) {
        let mut batch = Vec::with_capacity(ROUND);
        let now = self.clocks.now();
        self.finish_round(now);
        self.publish_ready();
        let sleep = tokio::time::sleep_until(self.clocks.instant(self.state.timers.next()).into());
        tokio::pin!(sleep);
        let ended = ended.cancelled();
        tokio::pin!(ended);
        let mut armed_us = self.state.timers.next();
        loop {
            if self.state.timers.next() != armed_us {
                armed_us = self.state.timers.next();
                sleep.as_mut().reset(self.clocks.instant(armed_us).into());
            }
            tokio::select! {
                biased;
                () = &mut ended => break,
                count = self.inbox.recv_many(&mut batch, ROUND) => if count == 0 { break },
                () = &mut sleep => armed_us = 0,
            }
            self.gather(&mut batch).await;
            let now = self.clocks.now();
            // Inputs first: after a stall, heartbeats that lie here must be heard before anybody
            // is judged for their absence.
            for inbound in batch.drain(..) {
                self.take(now, inbound);
            }
            self.fire_timers(now);
            self.finish_round(now);
        }
    }

    /// Lets the connections that are ready hand over what they have, once: a round costs a wake-up
    /// and a system call per receiver, whether it carries one message or fifty.
    async fn gather(&mut self, batch: &mut Vec<Inbound>) {
        tokio::task::yield_now().await;
        while batch.len() < ROUND {
            let Ok(inbound) = self.inbox.try_recv() else { break };
            batch.push(inbound);
        }
    }

    fn fire_timers(&mut self, now: Now) {
        while let Some(timer) = self.state.timers.due(now.mono_us) {
            self.node.step(now, Input::Timer(timer), &mut self.state.effects);
            if timer == Timer::Judge {
                self.publish_ready();
            }
        }
    }

    fn take(&mut self, now: Now, inbound: Inbound) {
        match inbound {
            Inbound::Requests { session, requests } => self.requests(now, session, requests),
            Inbound::Peer(batch) => self.peer(now, batch),
            Inbound::Saved { tickets, result } => {
                self.state.shell.commits.record(tickets.len() as u64);
                for ticket in tickets {
                    self.step(now, Input::Saved { ticket, result: result.clone() });
                }
            }
            Inbound::Loaded { ticket, result } => {
                self.step(now, Input::Loaded { ticket, result });
            }
            Inbound::Ask { request, reply } => self.client(now, Waiter::Once(reply), request),
            // The asker may have gone; then nobody needs the name, and its Close never comes.
            Inbound::Open { outbox, name } => {
                let session = self.state.sessions.open(outbox);
                if name.send(session).is_err() {
                    self.state.sessions.close(session);
                }
            }
            Inbound::Close { session } => self.state.sessions.close(session),
            Inbound::Status(asker) => {
                let report = Report { node: self.node.status(), shell: self.shell() };
                let _ = asker.send(Box::new(report));
            }
            Inbound::Drain(asker) => self.state.draining = Some(asker),
        }
    }

    fn step(&mut self, now: Now, input: Input) {
        self.node.step(now, input, &mut self.state.effects);
    }

    fn requests(&mut self, now: Now, session: SessionId, requests: Vec<wire::Request>) {
        self.state.shell.client_batches.record(requests.len() as u64);
        for request in requests {
            let tag = request.tag;
            self.state.sessions.expect(session);
            match wire::decode_request(request) {
                Ok(request) => self.client(now, Waiter::Session { session, tag }, request),
                Err(malformed) => {
                    let failure = Reply::Failed(Failure::Invalid(malformed.to_string()));
                    self.state.sessions.reply(session, wire::encode_reply(tag, failure));
                }
            }
        }
    }

    fn client(&mut self, now: Now, waiter: Waiter, request: Request) {
        let kind = match request.operation {
            Operation::Get => Kind::Get,
            Operation::Put { .. } => Kind::Put,
            Operation::Delete => Kind::Delete,
            Operation::Increment(_) => Kind::Increment,
        };
        let pending = Pending { waiter, kind, since_us: now.mono_us };
        let tag = self.state.waiting.insert(pending);
        self.step(now, Input::Client { tag, request });
    }

    fn peer(&mut self, now: Now, batch: wire::PeerBatch) {
        self.state.shell.peer_batches.record(batch.messages.len() as u64);
        let header = wire::decode_header(&batch);
        let mut messages = Vec::with_capacity(batch.messages.len());
        for message in batch.messages {
            match wire::decode_message(message) {
                Ok(message) => messages.push(message),
                Err(malformed) => {
                    self.state.shell.malformed += 1;
                    tracing::warn!(peer = %header.from, "dropped a message: {malformed}");
                }
            }
        }
        self.step(now, Input::Peer { header, messages });
        self.peers.heard(header.from, self.node.heard(header.from));
    }

    /// Applies all effects, and those of what they answer at once, then lets everything leave.
    fn finish_round(&mut self, now: Now) {
        loop {
            while !self.state.effects.is_empty() {
                let mut effects = std::mem::take(&mut self.state.spare);
                std::mem::swap(&mut effects, &mut self.state.effects);
                for effect in effects.drain(..) {
                    self.apply(now, effect);
                }
                self.state.spare = effects;
            }
            if self.state.tickets.is_empty() || !self.save(now) {
                break;
            }
        }
        self.shared.publish(&self.node, now);
        self.peers.flush(now.mono_us);
        self.state.sessions.flush(now.mono_us);
        if self.state.waiting.is_empty()
            && let Some(asker) = self.state.draining.take()
        {
            let _ = asker.send(());
        }
    }

    /// Hands the saves over; true if they were answered at once, which causes new effects.
    fn save(&mut self, now: Now) -> bool {
        let State { tickets, writes, .. } = &mut self.state;
        if !self.storage.commits_inline() {
            self.storage.queue(tickets, writes);
            return false;
        }
        let tickets = std::mem::take(tickets);
        let result = self.storage.commit(std::mem::take(writes));
        self.take(now, Inbound::Saved { tickets, result });
        true
    }

    fn apply(&mut self, now: Now, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                self.state.shell.sent.count(&message);
                self.peers.send(to, message);
            }
            Effect::Load { ticket, key } => {
                if let Some(result) = self.storage.load(ticket, key) {
                    self.step(now, Input::Loaded { ticket, result });
                }
            }
            Effect::Save { ticket, key, record } => {
                self.state.tickets.push(ticket);
                self.state.writes.push(Write::Put { key, value: record });
            }
            Effect::Reply { tag, reply } => self.reply(now, tag, reply),
            Effect::Timer { at_us, timer } => self.state.timers.set(timer, at_us),
            Effect::Event(event) => self.event(event),
        }
    }

    fn reply(&mut self, now: Now, tag: ClientTag, reply: Reply) {
        let Some(Pending { waiter, kind, since_us }) = self.state.waiting.remove(tag) else {
            return;
        };
        if !matches!(reply, Reply::Failed(_)) {
            self.state.shell.latencies[kind as usize].record(now.mono_us - since_us);
        }
        match waiter {
            Waiter::Session { session, tag } => {
                self.state.sessions.reply(session, wire::encode_reply(tag, reply));
            }
            // A caller that hung up does not wait any more.
            Waiter::Once(caller) => drop(caller.send(reply)),
        }
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::PeerUp { peer } => tracing::info!(%peer, "peer is up"),
            Event::PeerSuspect { peer, score } => {
                tracing::info!(%peer, score, "peer is suspect");
            }
            Event::PeerDown { peer } => tracing::warn!(%peer, "peer is down"),
            Event::PeerDeaf { peer } => {
                tracing::warn!(%peer, "peer is heard but does not hear this node: not asked");
            }
            Event::ClockDrift { peer, ahead_ms } => {
                self.state.shell.drifts += 1;
                if self.state.shell.drifts.is_power_of_two() {
                    tracing::warn!(%peer, ahead_ms, "dropped batches: the peer's clock is ahead");
                }
            }
            Event::Paused { late_ms } => tracing::warn!(late_ms, "this node had paused"),
            Event::Impersonated { incarnation } => {
                tracing::error!(
                    incarnation,
                    "another process speaks as this node, or its data \
                    folder was restored from a copy"
                );
            }
        }
        self.publish_ready();
    }

    fn publish_ready(&mut self) {
        let ready = self.node.is_ready();
        if self.shared.set_ready(ready) {
            match ready {
                true => tracing::info!("ready"),
                false => tracing::warn!("not ready: too few replicas of some range are alive"),
            }
        }
    }

    fn shell(&self) -> Shell {
        let mut shell = self.state.shell.clone();
        shell.dropped = self.peers.dropped();
        shell.sent.bytes = self.shared.peer_bytes();
        shell.sessions = self.state.sessions.len() as u64;
        shell.waiting = self.state.waiting.len() as u64;
        shell
    }
}

/// One pending time per kind of timer.
#[derive(Default)]
struct Timers {
    at_us: [Option<u64>; Self::KINDS.len()],
}

/// With no timer set, look again after an hour.
const IDLE_US: u64 = 3_600_000_000;

impl Timers {
    /// At the index that is the kind's number.
    const KINDS: [Timer; 4] = [Timer::Sweep, Timer::Heartbeat, Timer::Gossip, Timer::Judge];

    fn set(&mut self, timer: Timer, at_us: u64) {
        self.at_us[timer as usize] = Some(at_us);
    }

    /// When the earliest is due, on the monotonic clock.
    fn next(&self) -> u64 {
        self.at_us.iter().flatten().copied().min().unwrap_or(IDLE_US)
    }

    /// Takes one that is due.
    fn due(&mut self, now_us: u64) -> Option<Timer> {
        let index = self.at_us.iter().position(|at_us| at_us.is_some_and(|at| at <= now_us))?;
        self.at_us[index] = None;
        Some(Self::KINDS[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_due_once_and_the_later_setting_holds() {
        let mut timers = Timers::default();
        timers.set(Timer::Gossip, 50);
        timers.set(Timer::Sweep, 70);
        timers.set(Timer::Gossip, 90);
        assert_eq!(timers.next(), 70);
        assert_eq!(timers.due(69), None);
        assert_eq!(timers.due(100), Some(Timer::Sweep));
        assert_eq!(timers.due(100), Some(Timer::Gossip));
        assert_eq!(timers.due(100), None);
        assert_eq!(timers.next(), IDLE_US);
    }
}
