//! A read: ask R replicas, merge what they hold, repair those that are behind, then reply.
//!
//! ```text
//!            R answers, all alike
//!   Asking ───────────────────────────────────────────► Settled; late answers are repaired, too
//!     │ │ R answers that differ                             ▲
//!     │ └──────────► Repairing ─────────────────────────────┘ R replicas hold the merged record
//!     └ silence for `hedge_ms`, or a refusal: ask further owners
//! ```
//!
//! Repair is part of the read: the reply waits until R replicas hold what it shows. Without that
//! two reads in a row could see a write and then not see it, because a write in progress, or one
//! that failed, may sit on a single replica. When the repair misses the deadline the read fails, as
//! in Cassandra's blocking repair; answering anyway would break that promise silently.
//!
//! A tombstone is a record like any other: it is merged, it shadows, and it is sent in repairs.

use super::{Asked, Kind, NOBODY, conclude, describe, replicas_needed, require_alive};
use crate::config::ReadFanout;
use crate::message::{Failure, Message, Refused, Reply, RequestId};
use crate::node::ClientTag;
use crate::node::routing::{Owners, Set};
use crate::node::turn::Turn;
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Answer, Record};

pub(super) struct Read {
    tag: ClientTag,
    kind: Kind,
    key: Bytes,
    owners: Owners,
    needed: usize,
    hedge_at_us: u64,
    deadline_us: u64,
    asked: Set,
    answered: Set,
    refused: Set,
    /// What all answers mean together; once repair begins, what the reply shows.
    merged: Option<Record>,
    /// Owners that hold all of `merged`.
    current: Set,
    /// Owners that were sent `merged` and have not confirmed it.
    repairing: Set,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Asking,
    Repairing,
    Settled,
    Failed,
}

impl Read {
    pub fn new(turn: &Turn, asked: Asked) -> Result<Read, Failure> {
        let owners = turn.owners(&asked.key);
        let level = asked.level.unwrap_or(turn.settings.replication.r);
        let needed = replicas_needed(level, owners.len())?;
        require_alive(needed, turn.membership.alive(&owners).len())?;
        let timing = &turn.settings.timing;
        let timeout_us = u64::from(asked.timeout_ms.unwrap_or(timing.read_timeout_ms)) * 1_000;
        Ok(Read {
            tag: asked.tag,
            kind: asked.kind,
            key: asked.key,
            owners,
            needed,
            hedge_at_us: turn.now.mono_us + u64::from(timing.hedge_ms) * 1_000,
            deadline_us: turn.now.mono_us + timeout_us,
            asked: Set::default(),
            answered: Set::default(),
            refused: Set::default(),
            merged: None,
            current: Set::default(),
            repairing: Set::default(),
            state: State::Asking,
        })
    }

    /// Asks the first replicas. Returns when to look at the request again.
    pub fn begin(&mut self, turn: &mut Turn, id: RequestId) -> u64 {
        let first = match turn.settings.replication.read_fanout {
            ReadFanout::Needed => self.needed,
            ReadFanout::All => self.owners.len(),
        };
        for _ in 0..first {
            self.ask_another(turn, id);
        }
        self.hedge_at_us.min(self.deadline_us)
    }

    /// Whether there was another live owner to ask.
    fn ask_another(&mut self, turn: &mut Turn, id: RequestId) -> bool {
        let unasked = turn.membership.alive(&self.owners).minus(self.asked);
        let Some(position) = turn.membership.first_choice(&self.owners, unasked) else {
            return false;
        };
        self.asked.insert(position);
        let (key, deadline_us) = (self.key.clone(), self.deadline_us);
        turn.send(self.owners.at(position), Message::Read { id, key, deadline_us });
        true
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Asking | State::Repairing)
    }

    pub fn is_finished(&self) -> bool {
        match self.state {
            State::Asking | State::Repairing => false,
            State::Settled => self.silent().is_empty() && self.repairing.is_empty(),
            State::Failed => true,
        }
    }

    fn silent(&self) -> Set {
        self.asked.minus(self.answered.union(self.refused))
    }

    pub fn found(&mut self, turn: &mut Turn, id: RequestId, from: NodeId, record: Option<Record>) {
        let Some(position) = self.owners.position(from) else { return };
        if !self.asked.contains(position) || !self.answered.insert(position) {
            return;
        }
        if self.state != State::Asking {
            return self.found_late(turn, id, position, record);
        }
        self.fold(turn, position, record);
        if self.answered.len() >= self.needed {
            self.decide(turn, id);
        }
    }

    /// Takes one answer into `merged`, and keeps track of who holds all of it.
    fn fold(&mut self, turn: &Turn, position: usize, record: Option<Record>) {
        if record == self.merged {
            self.current.insert(position);
            return;
        }
        let Some(record) = record else { return };
        let Some(merged) = &self.merged else {
            self.merged = Some(record);
            self.current = Set::one(position);
            return;
        };
        let both = turn.resolver.merge(merged, &record);
        if both == *merged {
            return;
        }
        self.current = if both == record { Set::one(position) } else { Set::default() };
        self.merged = Some(both);
    }

    fn decide(&mut self, turn: &mut Turn, id: RequestId) {
        let stale = self.answered.minus(self.current);
        if stale.is_empty() {
            return self.settle(turn);
        }
        self.state = State::Repairing;
        turn.counters.read_repairs += 1;
        for position in stale.positions() {
            self.repair(turn, id, position);
        }
        self.settle_if_repaired(turn);
    }

    fn repair(&mut self, turn: &mut Turn, id: RequestId, position: usize) {
        let Some(record) = self.merged.clone() else { return };
        self.repairing.insert(position);
        turn.counters.repair_merges += 1;
        let (key, deadline_us) = (self.key.clone(), self.deadline_us);
        turn.send(self.owners.at(position), Message::Merge { id, key, record, deadline_us });
    }

    /// What the reply shows is fixed by now. An answer that is behind is repaired; one that knows
    /// more is spread among the others, and a later read will show it.
    fn found_late(
        &mut self,
        turn: &mut Turn,
        id: RequestId,
        position: usize,
        record: Option<Record>,
    ) {
        let before = self.merged.clone();
        let both = match (&before, &record) {
            (Some(merged), Some(record)) => Some(turn.resolver.merge(merged, record)),
            (merged, record) => merged.clone().or(record.clone()),
        };
        if both == record {
            self.current.insert(position);
        } else {
            self.repair(turn, id, position);
        }
        if both != before {
            self.spread(turn, position, both);
        }
        if self.state == State::Repairing {
            self.settle_if_repaired(turn);
        }
    }

    fn spread(&mut self, turn: &mut Turn, except: usize, record: Option<Record>) {
        let Some(record) = record else { return };
        let deadline_us = self.deadline_us;
        for position in self.answered.positions().filter(|position| *position != except) {
            turn.counters.repair_merges += 1;
            let (key, record) = (self.key.clone(), record.clone());
            let message = Message::Merge { id: NOBODY, key, record, deadline_us };
            turn.send(self.owners.at(position), message);
        }
    }

    /// A replica confirmed that it holds the merged record durably.
    pub fn repaired(&mut self, turn: &mut Turn, from: NodeId) {
        let Some(position) = self.owners.position(from) else { return };
        if !self.repairing.remove(position) {
            return;
        }
        self.current.insert(position);
        if self.state == State::Repairing {
            self.settle_if_repaired(turn);
        }
    }

    fn settle_if_repaired(&mut self, turn: &mut Turn) {
        if self.current.len() >= self.needed {
            self.settle(turn);
        }
    }

    fn settle(&mut self, turn: &mut Turn) {
        self.state = State::Settled;
        let answer = match &self.merged {
            Some(record) => turn.resolver.answer(record, turn.wall_ms()),
            None => Answer::default(),
        };
        conclude(turn, self.tag, self.kind, Reply::Read(answer));
    }

    pub fn refused(&mut self, turn: &mut Turn, id: RequestId, from: NodeId, reason: Refused) {
        let Some(position) = self.owners.position(from) else { return };
        self.repairing.remove(position);
        self.refused.insert(position);
        while self.is_waiting() && self.hopeful().len() < self.needed {
            if !self.ask_another(turn, id) {
                let (acks, needed) = (self.answered.len() as u32, self.needed as u32);
                let reason = describe(from, &reason);
                self.fail(turn, Failure::Refused { acks, needed, reason, maybe_done: false });
                return;
            }
            turn.counters.hedges += 1;
        }
    }

    /// Owners that take part or still may.
    fn hopeful(&self) -> Set {
        let taking_part = match self.state {
            State::Asking => self.answered,
            _ => self.current.union(self.repairing),
        };
        taking_part.union(self.silent())
    }

    fn fail(&mut self, turn: &mut Turn, failure: Failure) {
        self.state = State::Failed;
        conclude(turn, self.tag, self.kind, Reply::Failed(failure));
    }

    pub fn sweep(&mut self, turn: &mut Turn, id: RequestId) -> Option<u64> {
        let now_us = turn.now.mono_us;
        if now_us >= self.deadline_us {
            if self.is_waiting() {
                let (acks, needed) = (self.acks(), self.needed as u32);
                self.fail(turn, Failure::TimedOut { acks, needed, maybe_done: false });
            }
            return None;
        }
        if self.is_waiting() && now_us >= self.hedge_at_us {
            self.hedge_at_us = u64::MAX;
            let mut asked = false;
            while self.ask_another(turn, id) {
                asked = true;
            }
            turn.counters.hedges += u64::from(asked);
        }
        Some(self.hedge_at_us.max(now_us + 1).min(self.deadline_us))
    }

    /// Replicas that did all that the read waits for.
    fn acks(&self) -> u32 {
        let set = if self.state == State::Repairing { self.current } else { self.answered };
        set.len() as u32
    }
}
