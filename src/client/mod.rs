//! The SDK: what the command line and the load generator use to talk to a cluster.
//!
//! ```text
//!   submit ─► routing ─► connection: pending slab + queue ─► one ClientBatch per wake-up ─► node
//!             (placement   ▲                                                                 │
//!              as the      │ entries by wire tag                                             │
//!              nodes')     └──── Sink::complete, a whole batch at a time ◄── ReplyBatch ◄────┘
//! ```
//!
//! A client asks one seed for the cluster's status, builds the same placement as the nodes from the
//! same registry, and holds a session with every member. [`Client::submit`] is the hot path: a
//! request costs no task, no channel and no allocation, one short lock of its connection, and one
//! slot of a slab. [`Client::call`] and the methods on top of it are the comfortable path: they
//! await the reply and repeat what is safe to repeat.
//!
//! # Invariants
//!
//! * Each submitted request completes exactly once: by its reply, by its deadline plus a grace, by
//!   the loss of its connection, or by the refusal to queue it. Never from inside `submit`, so a
//!   sink may submit the next request while it is called, as closed loops do.
//! * A failure says what it knows. Reads are certainly not done. A write is unknown from the moment
//!   that the writer took it from the queue; one that is given up before that is withdrawn.
//! * `submit` repeats nothing. `call` repeats only what is certainly not done, at most twice, and
//!   at most for a tenth of all calls: retries must not multiply the load that a cluster sheds.
//! * Queues are bounded in requests and bytes. A full one is an answer, `Overloaded`.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * No TLS and no authentication: [`connection`] builds its endpoint in one place.
//! * No hedged reads across coordinators; a coordinator hedges across replicas.
//! * A node that is paused, not dead, is noticed by its first overdue request. Until then its share
//!   of the requests waits. Asking the verdicts in the status would notice it earlier.
//! * A removed member's address is forgotten only when another session breaks, since nodes do not
//!   push a new topology to clients.

mod calls;
mod connection;
mod pending;
mod retry;
mod routing;
mod tasks;

#[cfg(test)]
mod tests;

pub use calls::{CallOptions, NewValue};

use crate::message::{Failure, Operation, Reply, Request};
use crate::wire::StatusReply;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pending::Entry;
use quorate_strategies::NodeId;
use retry::Budget;
use routing::{NoRoute, Routing, Shape};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Takes the replies of requests that were sent with [`Client::submit`].
pub trait Sink: Send + Sync {
    /// Called once per submitted request, on the client's own thread: must be short and must not
    /// block. `node` is the coordinator that was asked.
    fn complete(&self, tag: u64, node: NodeId, reply: Reply);
}

/// Which node coordinates a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A live replica of the key, in turn: saves a hop. Passes over nodes whose connection is down
    /// and, while there are others, nodes that have let a request become overdue.
    Replica,
    /// This node, whatever it owns.
    Node(NodeId),
}

/// How a client behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Sessions with each node, at least 1. One carries more than a node can answer; several help
    /// where one thread of the client cannot encode fast enough.
    pub connections_per_node: usize,
    /// How long a request that brings no timeout of its own is waited for.
    pub timeout_ms: u32,
    /// Waited in addition to the request's timeout, because the coordinator answers at the
    /// deadline.
    pub grace_ms: u32,
    /// For the first answer of a seed and for each attempt to open a session.
    pub connect_timeout_ms: u32,
    /// Requests that one connection has open at once; one more is `Overloaded`.
    pub in_flight: usize,
    /// Retries as a share of all calls, 0 to 1. 0 turns them off.
    pub retry_share: f64,
    /// Seeds the pauses between retries. None: the process's own random hash keys.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connections_per_node: 1,
            timeout_ms: 5_000,
            grace_ms: 250,
            connect_timeout_ms: 1_000,
            in_flight: 16_384,
            retry_share: 0.1,
            seed: None,
        }
    }
}

/// Why a client cannot talk to a cluster, or to one of its nodes.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no node answers at {tried}")]
    NoSeed { tried: String },
    #[error("{node} describes its cluster in words that this client cannot read: {what}")]
    BadStatus { node: NodeId, what: String },
    #[error("none of the cluster's nodes can be reached: {tried}")]
    NoMember { tried: String },
    #[error("{node} is no member; members: {known}")]
    Stranger { node: NodeId, known: String },
    #[error("{node} does not answer at {address}: {cause}")]
    Unreachable { node: NodeId, address: String, cause: String },
}

/// Microseconds since the client was made.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now_us(self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// A request that was refused before it was queued; told by the next tick.
struct Refusal {
    tag: u64,
    sink: Arc<dyn Sink>,
    node: NodeId,
    failure: Failure,
}

/// What the clones of a client and its tasks share.
struct Shared {
    options: Options,
    clock: Clock,
    routing: ArcSwap<Routing>,
    refusals: Mutex<Vec<Refusal>>,
    budget: Budget,
    stop: CancellationToken,
    lost: Arc<Notify>,
}

/// A handle on a cluster. Clones share everything; the last one to go closes the sessions, and what
/// still waits completes as `Disconnected`.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    _stop: Arc<DropGuard>,
}

impl Client {
    /// Learns the cluster from the first seed that answers and opens sessions with all its members.
    ///
    /// Must run inside a tokio runtime, which from then on carries the client's tasks.
    ///
    /// # Errors
    /// If no seed answers, its answer makes no sense, or not one member can be reached.
    pub async fn connect(seeds: &[SocketAddr], options: Options) -> Result<Client, ClientError> {
        let timeout = Duration::from_millis(options.connect_timeout_ms.into());
        let shape = Shape::of(&tasks::first_status(seeds, timeout).await?)?;
        let stop = CancellationToken::new();
        let guard = Arc::new(stop.clone().drop_guard());
        let lost = Arc::new(Notify::new());
        let around = connection::Surroundings { lost: lost.clone(), connect_timeout: timeout };
        let (nodes, tried) = tasks::open_nodes(&shape, &[], &options, &around, &stop);
        for first_attempt in tried {
            // A sender that is dropped belongs to a task that ended: its attempt is over as well.
            let _ = first_attempt.await;
        }
        if !nodes.iter().any(|node| node.is_up()) {
            let addresses: Vec<_> = shape.addresses.iter().map(|(_, at)| at.as_str()).collect();
            return Err(ClientError::NoMember { tried: addresses.join(", ") });
        }
        let seed = options.seed.unwrap_or_else(process_seed);
        let shared = Arc::new(Shared {
            budget: Budget::new(options.retry_share, seed),
            clock: Clock(Instant::now()),
            routing: ArcSwap::from_pointee(Routing::new(shape, nodes)),
            refusals: Mutex::default(),
            options,
            stop,
            lost,
        });
        tokio::spawn(tasks::tick(shared.clone()));
        tokio::spawn(tasks::refresh(shared.clone(), around));
        Ok(Client { shared, _stop: guard })
    }

    /// Sends a request and returns at once; the reply goes to `sink` together with `tag`.
    ///
    /// Never blocks and never calls the sink itself. What cannot be queued (no live coordinator,
    /// too much in flight) is told to the sink by the next tick, within about 5 ms: a closed loop
    /// does not spin on a dead cluster.
    pub fn submit(&self, tag: u64, request: Request, route: Route, sink: &Arc<dyn Sink>) {
        self.shared.dispatch(tag, request, route, None, sink);
    }

    /// All members, ascending by id, whether reachable or not.
    pub fn members(&self) -> Vec<NodeId> {
        self.shared.routing.load().nodes.iter().map(|node| node.id).collect()
    }

    /// The epoch of the topology that this client routes by.
    pub fn epoch(&self) -> u64 {
        self.shared.routing.load().shape.epoch()
    }

    /// Whether a session with this member is open.
    pub fn is_up(&self, id: NodeId) -> bool {
        self.shared.routing.load().node(id).is_some_and(|node| node.is_up())
    }

    /// The preference list of a key.
    pub fn owners(&self, key: &[u8]) -> Vec<NodeId> {
        self.shared.routing.load().owners(key).to_vec()
    }

    /// What one node says of itself and of the others.
    ///
    /// # Errors
    /// If it is no member, or does not answer.
    pub async fn status(&self, id: NodeId) -> Result<StatusReply, ClientError> {
        let routing = self.shared.routing.load_full();
        let Some(node) = routing.node(id) else {
            let known: Vec<_> = self.members().iter().map(NodeId::to_string).collect();
            return Err(ClientError::Stranger { node: id, known: known.join(", ") });
        };
        let timeout = Duration::from_millis(self.shared.options.connect_timeout_ms.into());
        tasks::status_of(node, timeout).await
    }

    /// What every member says, all asked at once.
    pub async fn status_all(&self) -> Vec<(NodeId, Result<StatusReply, ClientError>)> {
        let asked = self.members().into_iter().map(async |id| (id, self.status(id).await));
        futures_util::future::join_all(asked).await
    }
}

/// Differs from process to process; the standard library draws it from the system.
fn process_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

impl Shared {
    fn dispatch(
        &self,
        tag: u64,
        request: Request,
        route: Route,
        avoid: Option<NodeId>,
        sink: &Arc<dyn Sink>,
    ) {
        let routing = self.routing.load();
        let connection = match routing.pick(&request.key, route, avoid) {
            Ok(connection) => connection,
            Err(NoRoute::Down(node)) => {
                let failure = Failure::Disconnected { maybe_done: false };
                return self.refuse(Refusal { tag, sink: sink.clone(), node, failure });
            }
            Err(NoRoute::Stranger(node)) => {
                let failure = Failure::Invalid(format!("{node} is no member of the cluster"));
                return self.refuse(Refusal { tag, sink: sink.clone(), node, failure });
            }
        };
        let write = request.operation != Operation::Get;
        let wait_ms = request.timeout_ms.unwrap_or(self.options.timeout_ms);
        let wait_us = 1000 * (u64::from(wait_ms) + u64::from(self.options.grace_ms));
        let deadline_us = self.clock.now_us() + wait_us;
        let entry = Entry { tag, sink: sink.clone(), deadline_us, write, sent: false };
        let message = crate::wire::encode_request(0, request);
        if let Err((entry, failure)) = connection.submit(entry, message) {
            self.refuse(Refusal { tag, sink: entry.sink, node: connection.node, failure });
        }
    }

    fn refuse(&self, refusal: Refusal) {
        self.refusals.lock().push(refusal);
    }
}
