//! The world: machines, the network between them, and the only clock that there is.

mod faults;
mod pending;
mod step;

pub use faults::Return;

use crate::engine::Engine;
use crate::message::{Failure, Operation, Reply, Request};
use crate::node::{
    BadSettings, Boot, ClientTag, Effect, Event, Input, Node, Routing, Settings, Ticket, Timer,
};
use crate::sim::agenda::Agenda;
use crate::sim::config::Config;
use crate::sim::disk::Durability;
use crate::sim::log::Log;
use crate::sim::machine::{Machine, Process};
use crate::sim::network::{Network, Packet};
use crate::sim::random::{Purpose, stream};
use crate::sim::tally::Tally;
use bytes::Bytes;
use quorate_strategies::NodeId;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What is on the agenda.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Deliver(Packet),
    /// A read from the disk has ended.
    Loaded {
        node: NodeId,
        life: u32,
        ticket: Ticket,
        key: Bytes,
    },
    /// The commit that was on its way has ended.
    Committed {
        node: NodeId,
        life: u32,
    },
    /// The disk synchronises by interval.
    Synced {
        node: NodeId,
        life: u32,
    },
    Fire {
        node: NodeId,
        life: u32,
        timer: Timer,
    },
    /// A client's request arrives.
    Ask {
        node: NodeId,
        life: u32,
        tag: ClientTag,
        request: Request,
    },
    /// For the driver of the world.
    Alarm(u64),
}

/// What the driver of a world is told, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Occurrence {
    Reply {
        tag: ClientTag,
        node: NodeId,
        reply: Reply,
    },
    Event {
        node: NodeId,
        event: Event,
    },
    /// An alarm that the driver had set.
    Alarm(u64),
}

/// What a node cannot be made to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    #[error("there is no node {found}; the cluster has n1 to n{nodes}")]
    NoSuchNode { found: NodeId, nodes: usize },
    #[error("{node} is not running")]
    NotRunning { node: NodeId },
    #[error("{node} is running; only a node that was stopped can be started")]
    Running { node: NodeId },
    #[error("{node} cannot start: {reason}")]
    CannotStart { node: NodeId, reason: String },
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Killed: what it had handed to the operating system survives.
    Crash,
    /// The machine lost power: what was not synchronised may be gone.
    PowerCut,
}

struct Client {
    node: NodeId,
    writes: bool,
}

/// A cluster in virtual time. Equal configurations and equal calls give equal occurrences.
pub struct World {
    config: Config,
    now_us: u64,
    agenda: Agenda<Happening>,
    network: Network,
    machines: Vec<Machine>,
    routing: Arc<Routing>,
    random: Xoshiro256PlusPlus,
    clients: BTreeMap<ClientTag, Client>,
    occurrences: VecDeque<Occurrence>,
    /// Inputs of the node that is being stepped which follow at the same instant.
    inputs: VecDeque<Input>,
    /// Kept for their memory.
    effects: Vec<Effect>,
    packets: Vec<Packet>,
    log: Log,
    tally: Tally,
}

impl World {
    /// A world in which all nodes have just started.
    ///
    /// # Errors
    /// Settings that the nodes refuse.
    pub fn new(config: Config, log: Log) -> Result<World, BadSettings> {
        let mut world = World::stopped(config, log)?;
        for node in world.ids().collect::<Vec<_>>() {
            world.boot(node).expect("settings were checked and an empty disk opens");
        }
        Ok(world)
    }

    /// A world in which no node has started.
    ///
    /// # Errors
    /// Settings that the nodes refuse.
    pub fn stopped(config: Config, log: Log) -> Result<World, BadSettings> {
        let settings = config.settings();
        if let Some(first) = settings.first() {
            first.check()?;
        }
        let routing = settings.first().map(Routing::new);
        let durability = Durability::of(&config.cluster.engine);
        let nodes = settings.len();
        Ok(World {
            now_us: 0,
            agenda: Agenda::new(),
            network: Network::new(nodes, config.network, stream(config.seed, Purpose::Network)),
            machines: settings.into_iter().map(|it| Machine::new(it, durability)).collect(),
            routing: Arc::new(routing.ok_or(BadSettings::NotAMember(NodeId(1)))?),
            random: config.random(Purpose::Machines),
            clients: BTreeMap::new(),
            occurrences: VecDeque::new(),
            inputs: VecDeque::new(),
            effects: Vec::new(),
            packets: Vec::new(),
            log,
            tally: Tally::default(),
            config,
        })
    }

    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// All ids, ascending: 1 to the number of nodes.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.machines.len() as u64).map(NodeId)
    }

    /// The preference list of a key.
    pub fn owners(&self, key: &[u8]) -> &[NodeId] {
        self.routing.owners(key)
    }

    /// The placement that a node with these settings routes by. All nodes of one epoch share one.
    fn routing_for(&self, settings: &Settings) -> Arc<Routing> {
        if settings.topology.epoch == self.routing.epoch() {
            return Arc::clone(&self.routing);
        }
        Arc::new(Routing::new(settings))
    }

    /// Counts the bytes of all packets from now on.
    pub fn weigh(&mut self) {
        self.tally.weigh();
    }

    /// A running node, also one that is paused.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.machine(id).ok()?.process.as_ref().map(|process| &process.node)
    }

    pub fn is_paused(&self, id: NodeId) -> bool {
        let process = self.machine(id).ok().and_then(|machine| machine.process.as_ref());
        process.is_some_and(|process| process.paused.is_some())
    }

    /// What was persisted of a node's last start.
    pub fn boot_of(&self, id: NodeId) -> Option<Boot> {
        self.machine(id).ok()?.boot
    }

    /// What a machine's disk holds, whether or not its node runs.
    pub fn disk(&self, id: NodeId) -> Result<&dyn Engine, Impossible> {
        self.machine(id).map(|machine| &*machine.disk as &dyn Engine)
    }

    /// Takes the next occurrence.
    pub fn occurrence(&mut self) -> Option<Occurrence> {
        self.occurrences.pop_front()
    }

    /// Tells the driver `token` at an instant.
    pub fn alarm(&mut self, at_us: u64, token: u64) {
        self.agenda.put(at_us.max(self.now_us), Happening::Alarm(token));
    }

    /// Hands a client's request to a node, at this instant. A node that is not running refuses the
    /// connection; one that is paused finds the request when it goes on.
    ///
    /// # Errors
    /// There is no such node.
    pub fn submit(
        &mut self,
        node: NodeId,
        tag: ClientTag,
        request: Request,
    ) -> Result<(), Impossible> {
        let machine = self.machine(node)?;
        let (running, life) = (machine.process.is_some(), machine.life);
        self.log.note(self.now_us, format_args!("client {tag} asks {node} {request:?}"));
        if !running {
            let reply = Reply::Failed(Failure::Disconnected { maybe_done: false });
            self.occurrences.push_back(Occurrence::Reply { tag, node, reply });
            return Ok(());
        }
        let writes = !matches!(request.operation, Operation::Get);
        self.clients.insert(tag, Client { node, writes });
        self.happen(Happening::Ask { node, life, tag, request });
        Ok(())
    }

    /// Lets the next thing happen if it is due by `until_us`; else the clock moves there, and the
    /// answer is false.
    pub fn advance(&mut self, until_us: u64) -> bool {
        let Some((at_us, happening)) = self.agenda.pop(until_us) else {
            self.now_us = self.now_us.max(until_us);
            return false;
        };
        self.now_us = self.now_us.max(at_us);
        self.tally.happenings += 1;
        self.happen(happening);
        true
    }

    fn machine(&self, id: NodeId) -> Result<&Machine, Impossible> {
        let nodes = self.machines.len();
        let index = (id.0 as usize).wrapping_sub(1);
        self.machines.get(index).ok_or(Impossible::NoSuchNode { found: id, nodes })
    }

    fn machine_mut(&mut self, id: NodeId) -> Result<&mut Machine, Impossible> {
        let nodes = self.machines.len();
        let index = (id.0 as usize).wrapping_sub(1);
        self.machines.get_mut(index).ok_or(Impossible::NoSuchNode { found: id, nodes })
    }

    /// The running process that a happening belongs to. None: that process is gone.
    fn process(&mut self, node: NodeId, life: u32) -> Option<&mut Process> {
        let machine = self.machine_mut(node).ok()?;
        machine.process.as_mut().filter(|_| machine.life == life)
    }
}
