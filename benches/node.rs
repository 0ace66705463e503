//! The protocol with nothing else to do: three nodes, messages handed over in memory, disks that
//! are maps. What remains is the price of a step.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate::config::{Limits, Replication, Timing};
use quorate::message::{Operation, Reply, Request};
use quorate::node::{Address, Boot, Effect, Input, Node, Now, Settings};
use quorate_strategies::{Choice, Member, NodeId, Topology};
use std::collections::{BTreeMap, HashMap, VecDeque};

const NODES: u64 = 3;
const KEYS: usize = 10_000;
const WALL_US: u64 = 1_770_000_000_000_000;

/// Three nodes and what lies between them: a queue of inputs, first in, first out.
struct Cluster {
    nodes: Vec<Node>,
    disks: Vec<HashMap<Bytes, Bytes>>,
    inputs: VecDeque<(usize, Input)>,
    effects: Vec<Effect>,
    /// Timers that are due at some time, for the nodes to sweep their tables.
    timers: BTreeMap<(u64, usize), Input>,
    now: Now,
    steps: u64,
    replies: u64,
    /// Batches so far.
    sent: u64,
}

fn settings(id: NodeId) -> Settings {
    let ids = (1..=NODES).map(NodeId);
    Settings {
        id,
        topology: Topology::new(1, ids.clone().map(Member::new).collect()),
        addresses: ids.map(|id| (id, Address::default())).collect(),
        replication: Replication::default(),
        timing: Timing::default(),
        limits: Limits::default(),
        partitioning: Choice::default(),
        conflict: Choice::default(),
        detection: Choice::default(),
        seed: 1,
    }
}

impl Cluster {
    fn new() -> Cluster {
        let now = Now { mono_us: 1_000_000, wall_us: WALL_US };
        let mut cluster = Cluster {
            nodes: Vec::new(),
            disks: vec![HashMap::new(); NODES as usize],
            inputs: VecDeque::new(),
            effects: Vec::new(),
            timers: BTreeMap::new(),
            now,
            steps: 0,
            replies: 0,
            sent: 0,
        };
        let mut first = Vec::new();
        for id in 1..=NODES {
            let boot = Boot { incarnation: 1, actor: id };
            let mut effects = Vec::new();
            let node = Node::new(settings(NodeId(id)), boot, now, &mut effects);
            cluster.nodes.push(node.expect("the settings are valid"));
            first.push(effects);
        }
        for (index, effects) in first.into_iter().enumerate() {
            cluster.effects = effects;
            cluster.perform(index);
        }
        cluster.timers.clear();
        cluster.drain();
        assert!(cluster.nodes.iter().all(Node::is_ready));
        cluster
    }

    /// Only sweeps fire: heartbeats would measure the detector instead.
    fn perform(&mut self, index: usize) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Send { to, message } => {
                    self.sent += 1;
                    let header = self.nodes[index].header(to, self.now, self.sent);
                    let input = Input::Peer { header, messages: vec![message] };
                    self.inputs.push_back((to.0 as usize - 1, input));
                }
                Effect::Load { ticket, key } => {
                    let result = Ok(self.disks[index].get(&key).cloned());
                    self.inputs.push_back((index, Input::Loaded { ticket, result }));
                }
                Effect::Save { ticket, key, record } => {
                    self.disks[index].insert(key, record);
                    self.inputs.push_back((index, Input::Saved { ticket, result: Ok(()) }));
                }
                Effect::Reply { reply: Reply::Failed(failure), .. } => panic!("{failure}"),
                Effect::Reply { .. } => self.replies += 1,
                Effect::Timer { at_us, timer } => {
                    self.timers.insert((at_us, index), Input::Timer(timer));
                }
                Effect::Event(_) => {}
            }
        }
    }

    fn drain(&mut self) {
        while let Some((index, input)) = self.inputs.pop_front() {
            self.nodes[index].step(self.now, input, &mut self.effects);
            self.steps += 1;
            self.perform(index);
        }
    }

    /// One request from its beginning until the last replica has answered.
    fn request(&mut self, coordinator: usize, key: Bytes, operation: Operation) {
        let request = Request { key, operation, level: None, context: None, timeout_ms: None };
        self.now.mono_us += 20;
        self.now.wall_us += 20;
        while let Some(entry) = self.timers.first_entry() {
            if entry.key().0 > self.now.mono_us {
                break;
            }
            let ((_, index), input) = entry.remove_entry();
            self.inputs.push_back((index, input));
        }
        self.inputs.push_back((coordinator, Input::Client { tag: 1, request }));
        self.drain();
    }
}

fn put() -> Operation {
    let value = Bytes::from(vec![7; 100]);
    Operation::Put { value, content_type: Bytes::new(), flags: 0, ttl_ms: None }
}

/// Steps that one request takes, counted over many.
fn steps_per_request(cluster: &mut Cluster, keys: &[Bytes], operation: &Operation) -> u64 {
    let before = cluster.steps;
    for (index, key) in keys.iter().enumerate() {
        cluster.request(index % NODES as usize, key.clone(), operation.clone());
    }
    (cluster.steps - before) / keys.len() as u64
}

fn quorum(criterion: &mut Criterion) {
    let keys = (0..KEYS).map(|key| Bytes::from(format!("user{key}"))).collect::<Vec<_>>();
    let mut cluster = Cluster::new();
    let mut group = criterion.benchmark_group("node");
    for (name, operation) in [("put", put()), ("get", Operation::Get)] {
        let steps = steps_per_request(&mut cluster, &keys, &operation);
        group.throughput(Throughput::Elements(steps));
        let mut next = 0;
        group.bench_function(format!("{name} at quorum of {NODES}, per step"), |bencher| {
            bencher.iter(|| {
                next += 1;
                let key = keys[next % KEYS].clone();
                cluster.request(next % NODES as usize, key, operation.clone());
            });
        });
    }
    group.finish();
    assert!(cluster.replies > 0);
}

criterion_group!(benches, quorum);
criterion_main!(benches);
