//! A cluster in one thread: nodes, a network, disks and a clock that only moves when nothing is
//! left to do before it does. Everything is ordered by (time, sequence), so that a run can be
//! repeated.
#![allow(clippy::unwrap_used)]

mod members;
mod reads;
mod replicas;
mod schedules;
mod writes;

use super::*;
use crate::config::{Limits, Replication, Timing};
use crate::message::{Failure, Level, Operation};
use quorate_strategies::conflict::{Answer, Record};
use quorate_strategies::{Choice, Detection, Member, Topology};
use std::collections::BTreeMap;

const MS: u64 = 1_000;
const NETWORK_US: u64 = 200;
const DISK_US: u64 = 500;
/// 2026, in microseconds: where every wall clock of the tests begins.
const WALL_US: u64 = 1_770_000_000_000_000;

/// What happens at some instant.
#[derive(Clone, Debug)]
enum Happening {
    Deliver { header: Header, message: Message },
    Load { node: NodeId, life: u64, ticket: Ticket, key: Bytes },
    Save { node: NodeId, life: u64, ticket: Ticket, key: Bytes, record: Bytes },
    Fire { node: NodeId, life: u64, timer: Timer },
}

/// Whether something befalls a message: sender, receiver, message.
type Rule = Box<dyn Fn(NodeId, NodeId, &Message) -> bool>;

struct Process {
    node: Node,
    life: u64,
    timers: BTreeMap<Timer, u64>,
    load_us: u64,
    save_us: u64,
    last_save_at_us: u64,
    fails_saves: bool,
}

struct Cluster {
    settings: Settings,
    now_us: u64,
    wall_offset_us: BTreeMap<NodeId, i64>,
    processes: BTreeMap<NodeId, Process>,
    disks: BTreeMap<NodeId, BTreeMap<Bytes, Bytes>>,
    agenda: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    /// Messages that are lost, and messages that arrive twice.
    loses: Vec<Rule>,
    repeats: Vec<Rule>,
    replies: BTreeMap<ClientTag, Reply>,
    replied_at_us: BTreeMap<ClientTag, u64>,
    next_tag: ClientTag,
    events: Vec<(NodeId, Event)>,
    /// Every effect of every node, as text.
    log: Vec<String>,
}

/// Settings of `n` copies on `members` nodes, with beats of 100 ms.
fn settings(members: u64, n: usize) -> Settings {
    let ids = (1..=members).map(NodeId);
    let detection = serde_json::json!(
        {"interval_ms": 100, "suspect_after_ms": 300, "down_after_ms": 600}
    );
    let detection = detection.as_object().cloned().unwrap();
    Settings {
        id: NodeId(1),
        topology: Topology::new(1, ids.clone().map(Member::new).collect()),
        addresses: ids
            .map(|id| (id, Address { grpc: format!("{id}:1"), http: format!("{id}:2") }))
            .collect(),
        replication: Replication {
            n,
            r: Level::Quorum,
            w: Level::Quorum,
            ..Replication::default()
        },
        timing: Timing { heartbeat_interval_ms: 100, gossip_interval_ms: 100, ..Timing::default() },
        limits: Limits { in_flight: 64, ..Limits::default() },
        partitioning: Choice::default(),
        conflict: Choice::default(),
        detection: Choice::<Detection>::new("heartbeat", detection).unwrap(),
        seed: 7,
    }
}

impl Cluster {
    /// Starts all nodes and lets them hear each other.
    fn start(settings: Settings) -> Cluster {
        let mut cluster = Cluster::empty(settings);
        for id in cluster.disks.keys().copied().collect::<Vec<_>>() {
            cluster.boot(id, 100);
        }
        cluster.run(50 * MS);
        cluster
    }

    fn empty(settings: Settings) -> Cluster {
        let ids: Vec<NodeId> = settings.topology.members.iter().map(|it| it.id).collect();
        Cluster {
            settings,
            now_us: 1_000_000,
            wall_offset_us: BTreeMap::new(),
            processes: BTreeMap::new(),
            disks: ids.iter().map(|id| (*id, BTreeMap::new())).collect(),
            agenda: BTreeMap::new(),
            sequence: 0,
            loses: Vec::new(),
            repeats: Vec::new(),
            replies: BTreeMap::new(),
            replied_at_us: BTreeMap::new(),
            next_tag: 1,
            events: Vec::new(),
            log: Vec::new(),
        }
    }

    fn three() -> Cluster {
        Cluster::start(settings(3, 3))
    }

    fn boot(&mut self, id: NodeId, incarnation: u64) {
        let settings = Settings { id, seed: self.settings.seed + id.0, ..self.settings.clone() };
        let boot = Boot { incarnation, actor: id.0 * 1_000 + incarnation };
        let mut out = Vec::new();
        let node = Node::new(settings, boot, self.now(id), &mut out).unwrap();
        let process = Process {
            node,
            life: incarnation,
            timers: BTreeMap::new(),
            load_us: 0,
            save_us: DISK_US,
            last_save_at_us: 0,
            fails_saves: false,
        };
        self.processes.insert(id, process);
        self.perform(id, out);
    }

    /// The process is gone with all that it had in memory or on the way to the disk.
    fn crash(&mut self, id: NodeId) {
        self.processes.remove(&id);
    }

    fn now(&self, id: NodeId) -> Now {
        let offset = self.wall_offset_us.get(&id).copied().unwrap_or(0);
        let wall_us = (WALL_US + self.now_us).saturating_add_signed(offset);
        Now { mono_us: self.now_us, wall_us }
    }

    fn node(&self, id: u64) -> &Node {
        &self.processes[&NodeId(id)].node
    }

    fn process(&mut self, id: u64) -> &mut Process {
        self.processes.get_mut(&NodeId(id)).unwrap()
    }

    fn step(&mut self, id: NodeId, input: Input) {
        let now = self.now(id);
        let Some(process) = self.processes.get_mut(&id) else { return };
        let mut out = Vec::new();
        process.node.step(now, input, &mut out);
        self.perform(id, out);
    }

    fn schedule(&mut self, at_us: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((at_us, self.sequence), happening);
    }

    fn perform(&mut self, id: NodeId, effects: Vec<Effect>) {
        for effect in effects {
            self.log.push(format!("{} {id} {effect:?}", self.now_us));
            let now = self.now(id);
            let process = self.processes.get_mut(&id).unwrap();
            let (node, life) = (id, process.life);
            match effect {
                Effect::Send { to, message } => {
                    assert_ne!(to, id, "a node sends nothing to itself");
                    let header = process.node.header(to, now, self.sequence + 1);
                    let meets = |rules: &[Rule]| rules.iter().any(|rule| rule(id, to, &message));
                    let copies =
                        if meets(&self.loses) { 0 } else { 1 + u64::from(meets(&self.repeats)) };
                    for copy in 1..=copies {
                        let message = message.clone();
                        let happening = Happening::Deliver { header, message };
                        self.schedule(self.now_us + copy * NETWORK_US, happening);
                    }
                }
                Effect::Load { ticket, key } => {
                    let at_us = self.now_us + process.load_us;
                    self.schedule(at_us, Happening::Load { node, life, ticket, key });
                }
                Effect::Save { ticket, key, record } => {
                    let at_us = (self.now_us + process.save_us).max(process.last_save_at_us);
                    process.last_save_at_us = at_us;
                    self.schedule(at_us, Happening::Save { node, life, ticket, key, record });
                }
                Effect::Reply { tag, reply } => {
                    self.replied_at_us.insert(tag, self.now_us);
                    let second = self.replies.insert(tag, reply);
                    assert_eq!(second, None, "request {tag} was answered twice");
                }
                Effect::Timer { at_us, timer } => {
                    process.timers.insert(timer, at_us);
                    self.schedule(at_us, Happening::Fire { node, life, timer });
                }
                Effect::Event(event) => self.events.push((id, event)),
            }
        }
    }

    /// Lets the next thing happen, if it happens by `until_us`.
    fn advance(&mut self, until_us: u64) -> bool {
        match self.agenda.first_key_value() {
            Some(((at_us, _), _)) if *at_us <= until_us => {}
            _ => return false,
        }
        let ((at_us, _), happening) = self.agenda.pop_first().unwrap();
        self.now_us = self.now_us.max(at_us);
        match happening {
            Happening::Deliver { header, message } => {
                self.step(header.to, Input::Peer { header, messages: vec![message] });
            }
            Happening::Load { node, life, ticket, key } if self.lives(node, life) => {
                let result = Ok(self.disks[&node].get(&key).cloned());
                self.step(node, Input::Loaded { ticket, result });
            }
            Happening::Save { node, life, ticket, key, record } if self.lives(node, life) => {
                let result = if self.processes[&node].fails_saves {
                    Err("disk full".to_string())
                } else {
                    self.disks.get_mut(&node).unwrap().insert(key, record);
                    Ok(())
                };
                self.step(node, Input::Saved { ticket, result });
            }
            Happening::Fire { node, life, timer } if self.lives(node, life) => {
                let timers = &mut self.processes.get_mut(&node).unwrap().timers;
                if timers.get(&timer) == Some(&at_us) {
                    timers.remove(&timer);
                    self.step(node, Input::Timer(timer));
                }
            }
            _ => {}
        }
        true
    }

    fn lives(&self, id: NodeId, life: u64) -> bool {
        self.processes.get(&id).is_some_and(|process| process.life == life)
    }

    fn run(&mut self, for_us: u64) {
        let until_us = self.now_us + for_us;
        while self.advance(until_us) {}
        self.now_us = until_us;
    }

    fn send(&mut self, node: u64, request: Request) -> ClientTag {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.step(NodeId(node), Input::Client { tag, request });
        tag
    }

    /// Asks a node and waits for the reply, which must come.
    fn call(&mut self, node: u64, request: Request) -> Reply {
        let tag = self.send(node, request);
        self.wait(tag)
    }

    fn wait(&mut self, tag: ClientTag) -> Reply {
        let until_us = self.now_us + 10_000 * MS;
        while !self.replies.contains_key(&tag) {
            assert!(self.advance(until_us), "request {tag} was never answered");
        }
        self.replies[&tag].clone()
    }

    /// Lets everything pending come to its end, and checks that it did.
    fn settle(&mut self) {
        self.loses.clear();
        self.run(6_000 * MS);
        for process in self.processes.values() {
            assert_eq!(process.node.status().in_flight, InFlight::default());
        }
    }

    /// From now on, messages for which `loses` holds are lost.
    fn lose(&mut self, loses: impl Fn(NodeId, NodeId, &Message) -> bool + 'static) {
        self.loses.push(Box::new(loses));
    }

    /// Cuts a node off, in both directions.
    fn isolate(&mut self, id: u64) {
        self.lose(move |from, to, _| from == NodeId(id) || to == NodeId(id));
    }

    fn heal(&mut self) {
        self.loses.clear();
    }

    /// What a node's disk holds for a key.
    fn stored(&self, id: u64, key: &'static str) -> Option<Record> {
        let bytes = self.disks[&NodeId(id)].get(key.as_bytes())?;
        Some(Record::decode(bytes.clone()).unwrap())
    }

    fn counters(&self, id: u64) -> &Counters {
        self.node(id).counters()
    }
}

fn request(key: &'static str, operation: Operation) -> Request {
    let key = Bytes::from_static(key.as_bytes());
    Request { key, operation, level: None, context: None, timeout_ms: None }
}

fn put(key: &'static str, value: &'static str) -> Request {
    let value = Bytes::from_static(value.as_bytes());
    let content_type = Bytes::new();
    request(key, Operation::Put { value, content_type, flags: 0, ttl_ms: None })
}

fn get(key: &'static str) -> Request {
    request(key, Operation::Get)
}

fn delete(key: &'static str) -> Request {
    request(key, Operation::Delete)
}

fn at(level: Level, request: Request) -> Request {
    Request { level: Some(level), ..request }
}

fn answer(reply: Reply) -> Answer {
    match reply {
        Reply::Read(answer) => answer,
        other => panic!("expected an answer, found {other:?}"),
    }
}

fn values(reply: Reply) -> Vec<Bytes> {
    answer(reply).values.into_iter().map(|shown| shown.payload.value).collect()
}

fn token(reply: Reply) -> Bytes {
    match reply {
        Reply::Written { context } => context,
        other => panic!("expected a written, found {other:?}"),
    }
}

fn failure(reply: Reply) -> Failure {
    match reply {
        Reply::Failed(failure) => failure,
        other => panic!("expected a failure, found {other:?}"),
    }
}
