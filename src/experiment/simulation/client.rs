//! The load's client in virtual time: where a request goes, how long it travels, and when nobody
//! waits for its answer any more.
//!
//! It does what [`crate::client`] does for real nodes, with the load's settings: a live replica in
//! turn, no retries, one deadline of its own on top of the nodes' deadlines.

use crate::client::{Route, Sink};
use crate::experiment::load::Store;
use crate::message::{Failure, Operation, Reply, Request};
use crate::sim::World;
use parking_lot::Mutex;
use quorate_strategies::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Between a client and a node, each way: a client in the same rack. It is why a closed loop cannot
/// ask for ever without time going on.
pub const LEG_US: u64 = 50;
/// What the client waits longer than the node, as the real one does.
const GRACE_US: u64 = 250_000;

/// Where the load puts its requests; they leave at the instant at which they were put here.
#[derive(Default)]
pub struct Outbox(Mutex<Vec<Question>>);

struct Question {
    tag: u64,
    request: Request,
    route: Route,
    sink: Arc<dyn Sink>,
}

impl Store for Outbox {
    fn submit(&self, tag: u64, request: Request, route: Route, sink: &Arc<dyn Sink>) {
        let sink = Arc::clone(sink);
        self.0.lock().push(Question { tag, request, route, sink });
    }
}

/// On its way between client and node.
enum Crossing {
    Request(NodeId, u64, Request),
    Reply(NodeId, u64, Reply),
}

/// A request without an answer.
struct Asked {
    /// The load's own name for it.
    tag: u64,
    sink: Arc<dyn Sink>,
    node: NodeId,
    writes: bool,
    expires_us: u64,
}

pub struct Client {
    outbox: Arc<Outbox>,
    timeout_us: u64,
    /// In the order of time, because every way takes equally long.
    crossings: VecDeque<(u64, Crossing)>,
    /// By the world's name for it.
    asked: BTreeMap<u64, Asked>,
    /// (when, the world's name).
    expiries: BTreeSet<(u64, u64)>,
    /// Nodes that let a request expire and have not answered since.
    silent: BTreeSet<NodeId>,
    last_tag: u64,
    turn: usize,
}

impl Client {
    /// `timeout_ms`: the longest deadline of a request that names none.
    pub fn new(timeout_ms: u32) -> Client {
        Client {
            outbox: Arc::default(),
            timeout_us: u64::from(timeout_ms) * 1_000,
            crossings: VecDeque::new(),
            asked: BTreeMap::new(),
            expiries: BTreeSet::new(),
            silent: BTreeSet::new(),
            last_tag: 0,
            turn: 0,
        }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.outbox) as Arc<dyn Store>
    }

    /// When something is due here.
    pub fn next_us(&self) -> Option<u64> {
        let crossing = self.crossings.front().map(|(at_us, _)| *at_us);
        let expiry = self.expiries.first().map(|(at_us, _)| *at_us);
        [crossing, expiry].into_iter().flatten().min()
    }

    /// Sends off what the load has asked for since the last call.
    pub fn send(&mut self, world: &World) {
        let questions = std::mem::take(&mut *self.outbox.0.lock());
        let now_us = world.now_us();
        for Question { tag, request, route, sink } in questions {
            let node = self.pick(world, &request.key, route);
            let asked_us = request.timeout_ms.map(|ms| u64::from(ms) * 1_000);
            let expires_us = now_us + asked_us.unwrap_or(self.timeout_us) + GRACE_US;
            let writes = request.operation != Operation::Get;
            self.last_tag += 1;
            self.asked.insert(self.last_tag, Asked { tag, sink, node, writes, expires_us });
            self.expiries.insert((expires_us, self.last_tag));
            let crossing = Crossing::Request(node, self.last_tag, request);
            self.crossings.push_back((now_us + LEG_US, crossing));
        }
    }

    /// A node answers at this instant.
    pub fn answered(&mut self, world: &World, node: NodeId, tag: u64, reply: Reply) {
        let crossing = Crossing::Reply(node, tag, reply);
        self.crossings.push_back((world.now_us() + LEG_US, crossing));
    }

    /// Does what is due at this instant: requests reach their nodes, answers the load.
    pub fn due(&mut self, world: &mut World) {
        let now_us = world.now_us();
        while self.crossings.front().is_some_and(|(at_us, _)| *at_us <= now_us) {
            match self.crossings.pop_front() {
                Some((_, Crossing::Request(node, tag, request))) => {
                    world.submit(node, tag, request).expect("owners and members are in the world");
                }
                Some((_, Crossing::Reply(node, tag, reply))) => self.complete(node, tag, reply),
                None => {}
            }
        }
        while let Some((_, tag)) = self.expiries.first().copied().filter(|it| it.0 <= now_us) {
            self.expire(tag);
        }
    }

    fn complete(&mut self, node: NodeId, tag: u64, reply: Reply) {
        // An answer after its request was given up finds nobody.
        let Some(asked) = self.asked.remove(&tag) else { return };
        self.expiries.remove(&(asked.expires_us, tag));
        self.silent.remove(&node);
        asked.sink.complete(asked.tag, node, reply);
    }

    fn expire(&mut self, tag: u64) {
        let Some(asked) = self.asked.remove(&tag) else { return };
        self.expiries.remove(&(asked.expires_us, tag));
        self.silent.insert(asked.node);
        let failure = Failure::TimedOut { acks: 0, needed: 0, maybe_done: asked.writes };
        asked.sink.complete(asked.tag, asked.node, Reply::Failed(failure));
    }

    /// The node for a request: one that is named, or in turn among the owners that run and answer,
    /// else among those that run, else the first, who will refuse.
    fn pick(&mut self, world: &World, key: &[u8], route: Route) -> NodeId {
        let turn = self.turn;
        self.turn += 1;
        let owners = match route {
            Route::Node(id) => return id,
            Route::Replica => world.owners(key),
        };
        let runs = |id: &NodeId| world.node(*id).is_some();
        let running: Vec<NodeId> = owners.iter().copied().filter(runs).collect();
        let answers = |id: &NodeId| !self.silent.contains(id);
        let answering: Vec<NodeId> = running.iter().copied().filter(answers).collect();
        let candidates = if answering.is_empty() { &running } else { &answering };
        match candidates.len() {
            0 => owners.first().copied().unwrap_or(NodeId(1)),
            count => candidates[turn % count],
        }
    }
}
