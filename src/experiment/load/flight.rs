//! The operations in flight: what was asked, when, and what to do with the answer.

use super::freshness::{Freshness, Write};
use super::pacer::Paced;
use super::recorder::{Done, Fate, Measured, Recorder};
use super::{Clock, OPEN_LIMIT, Offer, Parameters, Store};
use crate::client::{Route, Sink};
use crate::experiment::spec::{ContextUse, RouteSpec};
use crate::message::{Level, Operation as Ask, Outcome, Reply, Request};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::Answer;
use quorate_workloads::{Kind, Operation, OperationStream, Verdict, check};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// All operations of one trial: one slot for each that may be in flight, named by its tag.
pub struct Flight {
    store: Arc<dyn Store>,
    clock: Clock,
    warm_up_ns: u64,
    /// End of the measured phase; moved forward by an interruption.
    end_ns: AtomicU64,
    answer_limit: Duration,
    closed: bool,
    read_level: Level,
    write_level: Level,
    route: RouteSpec,
    nodes: Vec<NodeId>,
    turn: AtomicUsize,
    stream: Mutex<OperationStream>,
    slots: Box<[Mutex<Option<Pending>>]>,
    in_flight: AtomicUsize,
    answered: AtomicU64,
    /// Only the client's thread takes this lock often; the pacer does when it runs out of free
    /// slots.
    landed: Mutex<Landed>,
    /// Newest token of each key; None when updates are blind.
    contexts: Option<Mutex<HashMap<Bytes, Bytes>>>,
    /// None when reads are not judged.
    freshness: Option<Freshness>,
    own: Weak<Flight>,
}

struct Landed {
    recorder: Recorder,
    free: Vec<u32>,
}

struct Pending {
    kind: Kind,
    number: u64,
    key: Bytes,
    /// What the second half of a read-modify-write writes; taken when it is sent.
    second: Option<Bytes>,
    /// What is being written, where reads are judged.
    write: Option<Write>,
    intended_ns: u64,
    sent_ns: u64,
}

impl Flight {
    pub fn new(store: Arc<dyn Store>, parameters: &Parameters, clock: Clock) -> Arc<Flight> {
        let (closed, limit) = match parameters.offer {
            Offer::Closed { outstanding } => (true, outstanding),
            Offer::Open { .. } => (false, OPEN_LIMIT),
            Offer::Idle => (false, 0),
        };
        let Parameters { workload, records, seed, .. } = parameters;
        let stream = OperationStream::new(workload, *records, *seed, 0);
        let warm_up_ns = nanoseconds(parameters.warm_up);
        let remembers = parameters.context == ContextUse::LastSeen;
        let landed = Landed { recorder: Recorder::new(warm_up_ns), free: (0..limit).collect() };
        Arc::new_cyclic(|own| Flight {
            store,
            clock,
            warm_up_ns,
            end_ns: AtomicU64::new(warm_up_ns + nanoseconds(parameters.measure)),
            answer_limit: parameters.answer_limit,
            closed,
            read_level: Level::Exactly(parameters.r),
            write_level: Level::Exactly(parameters.w),
            route: parameters.route,
            nodes: parameters.nodes.clone(),
            turn: AtomicUsize::new(0),
            stream: Mutex::new(stream),
            slots: (0..limit).map(|_| Mutex::new(None)).collect(),
            in_flight: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            landed: Mutex::new(landed),
            contexts: remembers.then(Mutex::default),
            freshness: parameters.judges_reads.then(Freshness::default),
            own: own.clone(),
        })
    }

    pub fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    pub fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Relaxed)
    }

    pub fn warm_up_ns(&self) -> u64 {
        self.warm_up_ns
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Operations that wait for their answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Operations that were due until now and not later than this are the last.
    pub fn end_now(&self) {
        self.end_ns.fetch_min(self.now_ns(), Ordering::Relaxed);
    }

    /// Moves the free slots to `into`.
    pub fn take_free(&self, into: &mut Vec<u32>) {
        std::mem::swap(into, &mut self.landed.lock().free);
    }

    /// Starts a closed loop: every slot gets its first operation.
    pub fn fill(&self) {
        let mut free = Vec::new();
        self.take_free(&mut free);
        for slot in free {
            let now = self.now_ns();
            self.launch(slot, now);
        }
    }

    /// Draws the next operation into a free slot and sends it. Returns when it was sent.
    pub fn launch(&self, slot: u32, intended_ns: u64) -> u64 {
        let Operation { kind, number, key, value, .. } = self.stream.lock().draw();
        let context = self.context_of(kind, &key);
        let (operation, second) = match (kind, value) {
            (Kind::Update | Kind::Insert, Some(value)) => (put(value), None),
            (Kind::ReadModifyWrite, value) => (Ask::Get, value),
            (Kind::Delete, _) => (Ask::Delete, None),
            // Workloads that scan are refused when the specification is read.
            _ => (Ask::Get, None),
        };
        let sent_ns = self.now_ns();
        // In a closed loop nothing waits for its turn.
        let intended_ns = if self.closed { sent_ns } else { intended_ns };
        let write = self.begins(&key, &operation, sent_ns);
        let pending =
            Pending { kind, number, key: key.clone(), second, write, intended_ns, sent_ns };
        *self.slots[slot as usize].lock() = Some(pending);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.send(slot, key, operation, context);
        sent_ns
    }

    /// Tells the judge of a write that is about to be sent.
    fn begins(&self, key: &[u8], operation: &Ask, now_ns: u64) -> Option<Write> {
        let freshness = self.freshness.as_ref()?;
        match operation {
            Ask::Put { value, .. } => freshness.began(key, Some(value), now_ns),
            Ask::Delete => freshness.began(key, None, now_ns),
            Ask::Get | Ask::Increment(_) => None,
        }
    }

    /// Tells the judge of an answer; reads count when they were meant for the measured phase.
    fn judge(&self, pending: &Pending, reply: &Reply) {
        let Some(freshness) = &self.freshness else { return };
        match (pending.write, reply) {
            (Some(write), _) => freshness.ended(&pending.key, write, self.now_ns(), reply),
            (None, Reply::Read(answer)) => {
                if (self.warm_up_ns..self.end_ns()).contains(&pending.intended_ns) {
                    freshness.read(&pending.key, pending.sent_ns, answer);
                }
            }
            (None, _) => {}
        }
    }

    fn context_of(&self, kind: Kind, key: &Bytes) -> Option<Bytes> {
        let contexts = self.contexts.as_ref()?;
        matches!(kind, Kind::Update | Kind::Delete).then(|| contexts.lock().get(key).cloned())?
    }

    fn send(&self, slot: u32, key: Bytes, operation: Ask, context: Option<Bytes>) {
        let reads = operation == Ask::Get;
        let level = if reads { self.read_level } else { self.write_level };
        let request = Request { key, operation, level: Some(level), context, timeout_ms: None };
        let route = match self.route {
            RouteSpec::Replica => Route::Replica,
            RouteSpec::Any => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                Route::Node(self.nodes[turn % self.nodes.len()])
            }
        };
        // None only while the last owner lets go, and then nobody waits for the answer.
        if let Some(own) = self.own.upgrade() {
            let sink: Arc<dyn Sink> = own;
            self.store.submit(slot.into(), request, route, &sink);
        }
    }

    /// The second half of a read-modify-write, once its read was answered.
    fn modify(&self, pending: &mut Pending, answer: &Answer) -> Option<(Bytes, Bytes)> {
        let value = pending.second.take()?;
        let genuine =
            answer.values.iter().all(|shown| is_genuine(&pending.key, &shown.payload.value));
        if !genuine {
            self.landed.lock().recorder.invalid(pending.kind, pending.intended_ns, self.end_ns());
        }
        Some((pending.key.clone(), value))
    }

    fn land(&self, slot: u32, pending: Pending, node: NodeId, reply: &Reply) {
        if pending.kind == Kind::Insert {
            // Refused only when 2^20 inserts wait behind one that is open, more than can be in
            // flight.
            let _ = self.stream.lock().inserts().acknowledge(pending.number);
        }
        let now_ns = self.now_ns();
        let done = Done {
            kind: pending.kind,
            node,
            intended_ns: pending.intended_ns,
            sent_ns: pending.sent_ns,
            answered_ns: now_ns,
        };
        let fate = fate(&pending, reply);
        let end_ns = self.end_ns();
        {
            let mut landed = self.landed.lock();
            landed.recorder.record(&done, fate, end_ns);
            if !self.closed {
                landed.free.push(slot);
            }
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        if self.closed && now_ns < end_ns {
            self.launch(slot, now_ns);
        }
        // Last, so that none is in flight only when nothing will follow.
        self.in_flight.fetch_sub(1, Ordering::Release);
    }

    fn remember(&self, key: &Bytes, reply: &Reply) {
        let Some(contexts) = &self.contexts else { return };
        let token = match reply {
            Reply::Read(answer) => &answer.context,
            Reply::Written { context } => context,
            Reply::Failed(_) => return,
        };
        contexts.lock().insert(key.clone(), token.clone());
    }

    /// Waits until nothing is in flight, or no answer can come any more.
    pub fn await_answers(&self) {
        let begin = Instant::now();
        while self.in_flight() > 0 && begin.elapsed() < self.answer_limit {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What was recorded. Operations that still have no answer are counted with their fate unknown.
    pub fn measured(&self, paced: Paced) -> Measured {
        let end_ns = self.end_ns();
        let left = self.slots.iter().filter_map(|slot| slot.lock().take());
        let left: Vec<(Kind, u64)> = left.map(|p| (p.kind, p.intended_ns)).collect();
        let mut landed = self.landed.lock();
        for (kind, intended_ns) in left {
            landed.recorder.unanswered(kind, intended_ns, end_ns);
        }
        let recorder = std::mem::replace(&mut landed.recorder, Recorder::new(self.warm_up_ns));
        let measured = recorder.measured(end_ns, paced, !self.closed);
        let reads = self.freshness.as_ref().map(Freshness::tally).unwrap_or_default();
        Measured { reads, ..measured }
    }
}

impl Sink for Flight {
    fn complete(&self, tag: u64, node: NodeId, reply: Reply) {
        let slot = tag as u32;
        let taken = self.slots.get(slot as usize).and_then(|slot| slot.lock().take());
        // An answer after the trial gave it up: counted already.
        let Some(mut pending) = taken else { return };
        self.remember(&pending.key, &reply);
        self.judge(&pending, &reply);
        if let (Kind::ReadModifyWrite, Reply::Read(answer)) = (pending.kind, &reply)
            && let Some((key, value)) = self.modify(&mut pending, answer)
        {
            let operation = put(value);
            pending.write = self.begins(&key, &operation, self.now_ns());
            *self.slots[slot as usize].lock() = Some(pending);
            self.send(slot, key, operation, Some(answer.context.clone()));
            return;
        }
        self.land(slot, pending, node, &reply);
    }
}

fn fate<'a>(pending: &Pending, reply: &'a Reply) -> Fate<'a> {
    match reply {
        Reply::Read(answer) => Fate::Acknowledged {
            found: !answer.values.is_empty(),
            genuine: answer
                .values
                .iter()
                .all(|shown| is_genuine(&pending.key, &shown.payload.value)),
        },
        Reply::Written { .. } => Fate::Acknowledged { found: true, genuine: true },
        Reply::Failed(failure) => match failure.outcome() {
            Outcome::NotDone => Fate::Failed(failure),
            Outcome::Unknown => Fate::Unknown(failure),
        },
    }
}

fn is_genuine(key: &[u8], value: &[u8]) -> bool {
    matches!(check(key, value), Verdict::Genuine(_) | Verdict::Unverifiable)
}

pub fn put(value: Bytes) -> Ask {
    Ask::Put { value, content_type: Bytes::new(), flags: 0, ttl_ms: None }
}

/// 584 years fit.
fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
