//! The coordinator: whichever node the client asked. It finds the owners, sends, counts and
//! replies.
//!
//! ```text
//!              admitted                 level reached                all asked have answered
//!   request ─────────────► waiting ───────────────────► lingering ──────────────────────────► gone
//!                             │ deadline, too many refusals   │ deadline, or too many linger
//!                             └────────► failed: gone         └───────► gone
//! ```
//!
//! A request lingers after its reply because the replicas that were not needed still matter: their
//! acknowledgements are the replication lag, and a stale answer of theirs is repaired.
//!
//! # Invariants
//!
//! * Every request gets exactly one reply, at the latest one tick of the wheel after its deadline.
//! * Acknowledgements are counted as a set of replicas: a repeated answer counts once.
//! * An answer to a request that is not in the table is dropped.
//! * Requests that wait are bounded by `limits.in_flight`, those that linger by the same number.

mod read;
mod write;

use super::table::Table;
use super::turn::Turn;
use super::wheel::{TICK_US, Wheel};
use super::{ClientTag, Counters, InFlight, Outcomes, Settings};
use crate::message::{Failure, Level, Message, Operation, Refused, Reply, Request, RequestId};
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Change, Payload};
use std::collections::VecDeque;

use read::Read;
use write::Write;

/// The longest deadline that a request may name: an hour.
const LONGEST_TIMEOUT_MS: u32 = 3_600_000;
/// The longest version token: room for the dots of thousands of actors.
const CONTEXT_BYTES: usize = 64 << 10;
const CONTENT_TYPE_BYTES: usize = 256;

/// The id of repairs whose outcome nobody waits for; no table gives it out.
const NOBODY: RequestId = 0;

pub(super) struct Coordinator {
    pending: Table<Pending>,
    wheel: Wheel,
    /// Requests whose client still waits, by kind.
    reads: usize,
    writes: usize,
    /// Answered requests, oldest first; some have gone since.
    lingering: VecDeque<RequestId>,
    /// What a sweep has to look at; kept for its memory.
    due: Vec<RequestId>,
}

/// A request on its way.
enum Pending {
    Read(Read),
    Write(Write),
}

/// What reads and writes have in common.
struct Asked {
    tag: ClientTag,
    kind: Kind,
    key: Bytes,
    level: Option<Level>,
    timeout_ms: Option<u32>,
}

/// Which counters a request belongs to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Put,
    Delete,
    Increment,
}

impl Kind {
    fn of(operation: &Operation) -> Kind {
        match operation {
            Operation::Get => Kind::Get,
            Operation::Put { .. } => Kind::Put,
            Operation::Delete => Kind::Delete,
            Operation::Increment(_) => Kind::Increment,
        }
    }

    fn outcomes(self, counters: &mut Counters) -> &mut Outcomes {
        match self {
            Kind::Get => &mut counters.gets,
            Kind::Put => &mut counters.puts,
            Kind::Delete => &mut counters.deletes,
            Kind::Increment => &mut counters.increments,
        }
    }
}

/// Sends a request's only reply and counts what became of it.
fn conclude(turn: &mut Turn, tag: ClientTag, kind: Kind, reply: Reply) {
    let outcomes = kind.outcomes(turn.counters);
    match &reply {
        Reply::Read(_) | Reply::Written { .. } => outcomes.done += 1,
        Reply::Failed(Failure::TooFewReplicas { .. }) => outcomes.too_few_replicas += 1,
        Reply::Failed(Failure::TimedOut { .. }) => outcomes.timed_out += 1,
        Reply::Failed(Failure::Overloaded { .. }) => outcomes.overloaded += 1,
        Reply::Failed(Failure::Invalid(_) | Failure::WrongChange(_)) => outcomes.invalid += 1,
        Reply::Failed(_) => outcomes.refused += 1,
    }
    turn.reply(tag, reply);
}

impl Pending {
    fn is_waiting(&self) -> bool {
        match self {
            Pending::Read(read) => read.is_waiting(),
            Pending::Write(write) => write.is_waiting(),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Pending::Read(read) => read.is_finished(),
            Pending::Write(write) => write.is_finished(),
        }
    }

    fn answer(&mut self, turn: &mut Turn, id: RequestId, from: NodeId, message: Message) {
        match (self, message) {
            (Pending::Write(write), Message::Applied { record, .. }) => {
                write.applied(turn, id, from, record);
            }
            (Pending::Write(write), Message::Stored { .. }) => write.stored(turn, from),
            (Pending::Write(write), Message::Refused { reason, .. }) => {
                write.refused(turn, id, from, reason);
            }
            (Pending::Read(read), Message::Found { record, .. }) => {
                read.found(turn, id, from, record);
            }
            (Pending::Read(read), Message::Stored { .. }) => read.repaired(turn, from),
            (Pending::Read(read), Message::Refused { reason, .. }) => {
                read.refused(turn, id, from, reason);
            }
            _ => turn.counters.late_dropped += 1,
        }
    }

    /// Does what is due, and says when to look again; None: never.
    fn sweep(&mut self, turn: &mut Turn, id: RequestId) -> Option<u64> {
        match self {
            Pending::Read(read) => read.sweep(turn, id),
            Pending::Write(write) => write.sweep(turn),
        }
    }

    /// The request goes although some replicas have not answered.
    fn forget(&self, turn: &mut Turn) {
        if let Pending::Write(write) = self {
            write.forget(turn);
        }
    }
}

impl Coordinator {
    /// `sequence` keeps the ids of this life apart from those of a former one.
    pub fn new(now_us: u64, sequence: u64) -> Self {
        Coordinator {
            pending: Table::new(sequence),
            wheel: Wheel::new(now_us),
            reads: 0,
            writes: 0,
            lingering: VecDeque::new(),
            due: Vec::new(),
        }
    }

    pub fn client(&mut self, turn: &mut Turn, tag: ClientTag, request: Request) {
        let kind = Kind::of(&request.operation);
        if let Err(failure) = self.admit(turn, tag, kind, request) {
            conclude(turn, tag, kind, Reply::Failed(failure));
        }
    }

    fn admit(
        &mut self,
        turn: &mut Turn,
        tag: ClientTag,
        kind: Kind,
        request: Request,
    ) -> Result<(), Failure> {
        check(turn.settings, &request)?;
        let limit = turn.settings.limits.in_flight;
        if self.reads + self.writes >= limit {
            let what = format!("this node coordinates {limit} requests, its limit");
            return Err(Failure::Overloaded { what });
        }
        let Request { key, operation, level, context, timeout_ms } = request;
        let asked = Asked { tag, kind, key, level, timeout_ms };
        match change(turn, operation) {
            None => self.begin_read(turn, asked),
            Some(change) => self.begin_write(turn, asked, change, context),
        }
    }

    fn begin_read(&mut self, turn: &mut Turn, asked: Asked) -> Result<(), Failure> {
        let id = self.pending.insert(Pending::Read(Read::new(turn, asked)?));
        self.reads += 1;
        if let Some(Pending::Read(read)) = self.pending.get_mut(id) {
            self.wheel.insert(id, read.begin(turn, id));
        }
        Ok(())
    }

    fn begin_write(
        &mut self,
        turn: &mut Turn,
        asked: Asked,
        change: Change,
        context: Option<Bytes>,
    ) -> Result<(), Failure> {
        let id = self.pending.insert(Pending::Write(Write::new(turn, asked)?));
        self.writes += 1;
        if let Some(Pending::Write(write)) = self.pending.get_mut(id) {
            self.wheel.insert(id, write.begin(turn, id, change, context));
        }
        Ok(())
    }

    /// A replica answered.
    pub fn answer(&mut self, turn: &mut Turn, id: RequestId, from: NodeId, message: Message) {
        if id == NOBODY {
            return;
        }
        self.touch(turn, id, |pending, turn| pending.answer(turn, id, from, message));
    }

    /// Looks at the requests whose hedge or deadline is due.
    pub fn sweep(&mut self, turn: &mut Turn) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take_due(turn.now.mono_us, &mut due);
        for id in due.drain(..) {
            if !self.pending.contains(id) {
                continue;
            }
            let mut look_again = None;
            self.touch(turn, id, |pending, turn| look_again = pending.sweep(turn, id));
            match look_again {
                Some(at_us) => self.wheel.insert(id, at_us),
                None => drop(self.pending.remove(id)),
            }
        }
        self.due = due;
    }

    /// When to sweep next; None while nothing is pending.
    pub fn next_sweep_us(&self, now_us: u64) -> Option<u64> {
        (self.pending.len() > 0).then_some((now_us / TICK_US + 1) * TICK_US)
    }

    /// Changes one pending request and keeps the books.
    fn touch(
        &mut self,
        turn: &mut Turn,
        id: RequestId,
        change: impl FnOnce(&mut Pending, &mut Turn),
    ) {
        let Some(pending) = self.pending.get_mut(id) else {
            turn.counters.late_dropped += 1;
            return;
        };
        let waited = pending.is_waiting();
        change(pending, turn);
        let settled = waited && !pending.is_waiting();
        let finished = pending.is_finished();
        if settled {
            match pending {
                Pending::Read(_) => self.reads -= 1,
                Pending::Write(_) => self.writes -= 1,
            }
        }
        if finished {
            self.pending.remove(id);
        } else if settled {
            self.linger(turn, id);
        }
    }

    /// Remembers an answered request, and forgets the oldest one where too many linger: a replica
    /// that is silent but not yet known to be down must not use up the table.
    fn linger(&mut self, turn: &mut Turn, id: RequestId) {
        while let Some(oldest) = self.lingering.front().copied() {
            let gone = !self.pending.contains(oldest);
            if !gone && self.lingering.len() < turn.settings.limits.in_flight {
                break;
            }
            self.lingering.pop_front();
            if let Some(pending) = self.pending.remove(oldest) {
                pending.forget(turn);
            }
        }
        self.lingering.push_back(id);
    }

    pub fn in_flight(&self) -> InFlight {
        let waiting = self.reads + self.writes;
        InFlight {
            reads: self.reads,
            writes: self.writes,
            lingering: self.pending.len() - waiting,
            ..InFlight::default()
        }
    }
}

/// What can be judged without knowing the owners. Whatever a client can make grow, and a record or
/// a table would keep, has a bound.
fn check(settings: &Settings, request: &Request) -> Result<(), Failure> {
    let (length, limit) = (request.key.len(), settings.limits.key_bytes);
    if length == 0 || length > limit {
        return Err(Failure::Invalid(format!("the key has {length} bytes; allowed: 1 to {limit}")));
    }
    if let Some(found) = request.timeout_ms.filter(|it| !(1..=LONGEST_TIMEOUT_MS).contains(it)) {
        let allowed = format!("1 to {LONGEST_TIMEOUT_MS}");
        return Err(Failure::Invalid(format!("the timeout is {found} ms; allowed: {allowed}")));
    }
    at_most("the context", request.context.as_ref().map_or(0, Bytes::len), CONTEXT_BYTES)?;
    if let Operation::Put { value, ttl_ms, content_type, .. } = &request.operation {
        at_most("the value", value.len(), settings.limits.value_bytes)?;
        at_most("the content type", content_type.len(), CONTENT_TYPE_BYTES)?;
        if *ttl_ms == Some(0) {
            return Err(Failure::Invalid(
                "the time to live is 0 ms; allowed: 1 and more".to_string(),
            ));
        }
    }
    Ok(())
}

fn at_most(what: &str, length: usize, limit: usize) -> Result<(), Failure> {
    if length <= limit {
        return Ok(());
    }
    Err(Failure::Invalid(format!("{what} has {length} bytes; allowed: at most {limit}")))
}

/// What a writing operation changes; None for a read. A time to live becomes an instant here and
/// only here, so that all replicas hold the same one.
fn change(turn: &Turn, operation: Operation) -> Option<Change> {
    match operation {
        Operation::Get => None,
        Operation::Put { value, content_type, flags, ttl_ms } => {
            let expires_at_ms = ttl_ms.map(|ttl_ms| turn.wall_ms().saturating_add(ttl_ms));
            Some(Change::Put(Payload { value, content_type, flags, expires_at_ms }))
        }
        Operation::Delete => Some(Change::Delete),
        Operation::Increment(by) => Some(Change::Increment(by)),
    }
}

/// Replicas that `level` needs of `n`.
fn replicas_needed(level: Level, n: usize) -> Result<usize, Failure> {
    let needed = level.needed(n);
    if needed == 0 || needed > n {
        return Err(Failure::Invalid(format!(
            "level {level} needs {needed} replicas; allowed: 1 to {n}, the copies of each key"
        )));
    }
    Ok(needed)
}

/// A level that cannot be met is refused before anything is sent: certainly not done.
fn require_alive(needed: usize, alive: usize) -> Result<(), Failure> {
    if alive < needed {
        return Err(Failure::TooFewReplicas { needed: needed as u32, alive: alive as u32 });
    }
    Ok(())
}

fn describe(from: NodeId, reason: &Refused) -> String {
    format!("{from}: {reason}")
}
