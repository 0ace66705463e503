//! A write: one replica stamps it, all others merge the stamped record, W durable copies make the
//! reply.
//!
//! ```text
//!   coordinator          stamping replica          other replicas
//!        │ ──────Apply──────► │ load, resolve, save         │
//!        │ ◄────Applied────── │ (not yet durable)           │
//!        │ ───────────────────────────Merge───────────────► │ load, merge, save
//!        │ ◄────Stored─────── │                             │
//!        │ ◄──────────────────────────Stored─────────────── │      W of them: Written
//! ```
//!
//! Exactly one replica stamps: a second Apply of one request would be a second version of one
//! write. So a stamping replica that falls silent is not replaced; the outcome of the write is
//! unknown. One that says that it takes no writes is: it has stamped nothing.

use super::{Asked, Kind, conclude, describe, replicas_needed, require_alive};
use crate::message::{Failure, Message, Refused, Reply, RequestId};
use crate::node::ClientTag;
use crate::node::routing::{Owners, Set};
use crate::node::turn::Turn;
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Change, Record};

pub(super) struct Write {
    tag: ClientTag,
    kind: Kind,
    key: Bytes,
    owners: Owners,
    /// Position of the owner that stamps.
    stamper: usize,
    /// What the client wants; for another stamping replica. Empty once there is a record.
    wanted: Option<(Change, Option<Bytes>)>,
    needed: usize,
    deadline_us: u64,
    /// What the stamping replica made of the change; None until it has answered.
    record: Option<Record>,
    /// Owners that were asked to hold the record, those where it is durable, and those that
    /// refused.
    sent: Set,
    stored: Set,
    refused: Set,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// Answered at this time; acknowledgements that still come are the replication lag.
    Written {
        at_us: u64,
    },
    Failed,
}

impl Write {
    pub fn new(turn: &Turn, asked: Asked) -> Result<Write, Failure> {
        let owners = turn.owners(&asked.key);
        let level = asked.level.unwrap_or(turn.settings.replication.w);
        let needed = replicas_needed(level, owners.len())?;
        let alive = turn.membership.alive(&owners);
        require_alive(needed, alive.len())?;
        let stamper = turn.membership.first_choice(&owners, alive);
        let stamper = stamper.expect("a level needs at least one live owner, checked above");
        let timeout_ms = asked.timeout_ms.unwrap_or(turn.settings.timing.write_timeout_ms);
        Ok(Write {
            tag: asked.tag,
            kind: asked.kind,
            key: asked.key,
            owners,
            stamper,
            wanted: None,
            needed,
            deadline_us: turn.now.mono_us + u64::from(timeout_ms) * 1_000,
            record: None,
            sent: Set::one(stamper),
            stored: Set::default(),
            refused: Set::default(),
            state: State::Waiting,
        })
    }

    /// Asks the stamping replica. Returns when to look at the request again.
    pub fn begin(
        &mut self,
        turn: &mut Turn,
        id: RequestId,
        change: Change,
        context: Option<Bytes>,
    ) -> u64 {
        self.wanted = Some((change, context));
        self.ask_stamper(turn, id);
        self.deadline_us
    }

    fn ask_stamper(&self, turn: &mut Turn, id: RequestId) {
        let Some((change, context)) = self.wanted.clone() else { return };
        let (key, deadline_us) = (self.key.clone(), self.deadline_us);
        let message = Message::Apply { id, key, change, context, deadline_us };
        turn.send(self.owners.at(self.stamper), message);
    }

    /// Has another live owner stamp, since the present one has not and will not. False: there is
    /// none.
    fn replace_stamper(&mut self, turn: &mut Turn, id: RequestId) -> bool {
        let others = turn.membership.alive(&self.owners).minus(self.refused);
        let Some(next) = turn.membership.first_choice(&self.owners, others) else { return false };
        self.stamper = next;
        self.sent.insert(next);
        self.ask_stamper(turn, id);
        true
    }

    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    pub fn is_finished(&self) -> bool {
        match self.state {
            State::Waiting => false,
            State::Written { .. } => self.silent().is_empty(),
            State::Failed => true,
        }
    }

    fn silent(&self) -> Set {
        self.sent.minus(self.stored.union(self.refused))
    }

    /// The record is made: send it on while the stamping replica's disk works.
    pub fn applied(&mut self, turn: &mut Turn, id: RequestId, from: NodeId, record: Record) {
        if self.record.is_some() || self.owners.position(from) != Some(self.stamper) {
            return;
        }
        let deadline_us = self.deadline_us;
        for position in 0..self.owners.len() {
            let owner = self.owners.at(position);
            let is_lost = turn.membership.standing(owner).is_out_of_reach();
            if position == self.stamper || is_lost || self.refused.contains(position) {
                continue;
            }
            self.sent.insert(position);
            let (key, record) = (self.key.clone(), record.clone());
            turn.send(owner, Message::Merge { id, key, record, deadline_us });
        }
        self.record = Some(record);
        self.wanted = None;
        self.settle(turn);
    }

    pub fn stored(&mut self, turn: &mut Turn, from: NodeId) {
        let Some(position) = self.owners.position(from) else { return };
        if !self.stored.insert(position) {
            return;
        }
        if let State::Written { at_us } = self.state {
            turn.counters.lag.record(turn.now.mono_us - at_us);
        }
        self.settle(turn);
    }

    /// Replies once the record is durable on W machines. The token comes with the record, which the
    /// network may have lost: then even W acknowledgements are no answer.
    fn settle(&mut self, turn: &mut Turn) {
        let Some(record) = &self.record else { return };
        if self.state != State::Waiting || self.stored.len() < self.needed {
            return;
        }
        self.state = State::Written { at_us: turn.now.mono_us };
        let context = turn.resolver.answer(record, turn.wall_ms()).context;
        conclude(turn, self.tag, self.kind, Reply::Written { context });
    }

    pub fn refused(&mut self, turn: &mut Turn, id: RequestId, from: NodeId, reason: Refused) {
        let Some(position) = self.owners.position(from) else { return };
        if !self.refused.insert(position) || self.state != State::Waiting {
            return;
        }
        if self.record.is_none() && position == self.stamper {
            let will_not = reason.is_before_the_stamp();
            if will_not && self.replace_stamper(turn, id) {
                return;
            }
            let failure = self.unapplied(from, reason);
            return self.fail(turn, failure);
        }
        if self.sent.minus(self.refused).union(self.stored).len() < self.needed {
            let failure = self.too_many_refused(describe(from, &reason), true);
            self.fail(turn, failure);
        }
    }

    /// The stamping replica refused before it had made a record, so nobody holds anything. Two
    /// reasons leave a doubt: a failing disk may have got the record before the error, and an
    /// earlier life of the replica may have stamped another copy of the request.
    fn unapplied(&self, from: NodeId, reason: Refused) -> Failure {
        match reason {
            Refused::Resolver(why) => Failure::WrongChange(why),
            Refused::Overloaded => Failure::Overloaded { what: describe(from, &reason) },
            Refused::Expired => {
                Failure::TimedOut { acks: 0, needed: self.needed as u32, maybe_done: false }
            }
            Refused::Storage(_) | Refused::FormerLife => {
                self.too_many_refused(describe(from, &reason), true)
            }
            Refused::StaleEpoch { .. }
            | Refused::NotOwner
            | Refused::ReadOnly
            | Refused::ClockAhead { .. } => self.too_many_refused(describe(from, &reason), false),
        }
    }

    fn too_many_refused(&self, reason: String, maybe_done: bool) -> Failure {
        let (acks, needed) = (self.stored.len() as u32, self.needed as u32);
        Failure::Refused { acks, needed, reason, maybe_done }
    }

    fn fail(&mut self, turn: &mut Turn, failure: Failure) {
        self.state = State::Failed;
        conclude(turn, self.tag, self.kind, Reply::Failed(failure));
    }

    pub fn sweep(&mut self, turn: &mut Turn) -> Option<u64> {
        if turn.now.mono_us < self.deadline_us {
            return Some(self.deadline_us);
        }
        if self.state == State::Waiting {
            let (acks, needed) = (self.stored.len() as u32, self.needed as u32);
            self.fail(turn, Failure::TimedOut { acks, needed, maybe_done: true });
        } else {
            self.forget(turn);
        }
        None
    }

    /// Counts the replicas that stay behind.
    pub fn forget(&self, turn: &mut Turn) {
        turn.counters.never_acknowledged += self.silent().len() as u64;
    }
}
