//! Where a request goes: the cluster as one status told it.

use super::connection::Connection;
use super::{ClientError, Route};
use crate::wire::StatusReply;
use quorate_strategies::partitioning::{Partitioner, Placement};
use quorate_strategies::{Choice, Member, NodeId, Partitioning, Topology};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;

/// A member and the connections to it.
#[derive(Clone)]
pub(super) struct Node {
    pub id: NodeId,
    /// At least one.
    pub connections: Vec<Arc<Connection>>,
    /// Ends the connections' tasks.
    pub stop: CancellationToken,
}

impl Node {
    /// One of the connections that are up, in turn.
    fn connection(&self, turn: usize, good: fn(&Connection) -> bool) -> Option<&Arc<Connection>> {
        let count = self.connections.len();
        let mut candidates = (0..count).map(|step| &self.connections[(turn + step) % count]);
        candidates.find(|connection| good(connection))
    }

    /// Where the node is reached; all its connections go there.
    pub fn address(&self) -> &str {
        self.connections[0].address()
    }

    pub fn is_up(&self) -> bool {
        self.connections.iter().any(|connection| connection.is_up())
    }
}

/// What decides the placement; equal ones need no rebuilding.
#[derive(Clone, PartialEq)]
pub(super) struct Shape {
    topology: Topology,
    partitioning: Choice<Partitioning>,
    replicas: usize,
    /// Ascending by id, like the topology's members.
    pub addresses: Vec<(NodeId, String)>,
}

impl Shape {
    /// Reads what a node said. An error names the node's field that makes no sense.
    pub fn of(status: &StatusReply) -> Result<Shape, ClientError> {
        let bad = |what: String| ClientError::BadStatus { node: NodeId(status.id), what };
        let partitioning: Choice<Partitioning> = serde_json::from_str(&status.partitioning)
            .map_err(|error| bad(format!("partitioning {}: {error}", status.partitioning)))?;
        if status.members.is_empty() || status.replicas == 0 {
            return Err(bad("no members or no replicas".to_string()));
        }
        let members = status.members.iter().map(|member| Member {
            id: NodeId(member.id),
            weight: member.weight,
            rack: member.rack.clone(),
            data_center: member.data_center.clone(),
        });
        let topology = Topology::new(status.epoch, members.collect());
        let mut addresses: Vec<_> =
            status.members.iter().map(|m| (NodeId(m.id), m.grpc.clone())).collect();
        addresses.sort();
        Ok(Shape { topology, partitioning, replicas: status.replicas as usize, addresses })
    }

    pub fn epoch(&self) -> u64 {
        self.topology.epoch
    }
}

/// Shape, placement and connections of one epoch; replaced as a whole.
pub(super) struct Routing {
    pub shape: Shape,
    /// Ascending by id.
    pub nodes: Vec<Node>,
    partitioner: Box<dyn Partitioner>,
    placement: Placement,
    turn: AtomicUsize,
}

/// Why no connection can take a request.
pub(super) enum NoRoute {
    /// Every candidate's connection is down; the first of them.
    Down(NodeId),
    /// The id is no member.
    Stranger(NodeId),
}

impl Routing {
    pub fn new(shape: Shape, nodes: Vec<Node>) -> Self {
        let partitioner = shape.partitioning.build();
        let placement = partitioner.place(&shape.topology, shape.replicas);
        Routing { shape, nodes, partitioner, placement, turn: AtomicUsize::new(0) }
    }

    /// The preference list of a key.
    pub fn owners(&self, key: &[u8]) -> &[NodeId] {
        self.placement.owners(self.partitioner.token(key))
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        let index = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        Some(&self.nodes[index])
    }

    /// The connection for a request, preferably not to `avoid`.
    pub fn pick(
        &self,
        key: &[u8],
        route: Route,
        avoid: Option<NodeId>,
    ) -> Result<&Arc<Connection>, NoRoute> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match route {
            Route::Node(id) => {
                let node = self.node(id).ok_or(NoRoute::Stranger(id))?;
                node.connection(turn, Connection::is_up).ok_or(NoRoute::Down(id))
            }
            Route::Replica => self.replica(self.owners(key), turn, avoid),
        }
    }

    /// In turn among the responsive owners; failing that, among those that are connected at all.
    fn replica(
        &self,
        owners: &[NodeId],
        turn: usize,
        avoid: Option<NodeId>,
    ) -> Result<&Arc<Connection>, NoRoute> {
        let others = |id: NodeId| Some(id) != avoid;
        self.in_turn(owners, turn, |id| others(id) && self.has(id, Connection::is_responsive))
            .or_else(|| self.in_turn(owners, turn, |id| self.has(id, Connection::is_up)))
            .ok_or_else(|| NoRoute::Down(owners.first().copied().unwrap_or(NodeId(0))))
    }

    fn has(&self, id: NodeId, good: fn(&Connection) -> bool) -> bool {
        self.node(id).is_some_and(|node| node.connections.iter().any(|c| good(c)))
    }

    /// Each of the candidates has the same share, also where others are passed over.
    fn in_turn(
        &self,
        owners: &[NodeId],
        turn: usize,
        candidate: impl Fn(NodeId) -> bool,
    ) -> Option<&Arc<Connection>> {
        // One bit for each owner: N is at most 16.
        let mut left = 0u64;
        for (index, id) in owners.iter().take(64).enumerate() {
            left |= u64::from(candidate(*id)) << index;
        }
        let count = left.count_ones() as usize;
        for _ in 0..turn.checked_rem(count)? {
            left &= left - 1;
        }
        let node = self.node(owners[left.trailing_zeros() as usize])?;
        node.connection(turn / count, Connection::is_up)
    }
}
