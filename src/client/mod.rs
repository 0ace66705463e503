//! The SDK: what the command line and the load generator use to talk to a cluster.

use crate::message::Reply;
use quorate_strategies::NodeId;

/// Takes the replies of requests that were sent with [`Client::submit`].
pub trait Sink: Send + Sync {
    /// Called once per submitted request, on the client's own thread: must be short and must not block.
    /// `node` is the coordinator that was asked.
    fn complete(&self, tag: u64, node: NodeId, reply: Reply);
}

/// Which node coordinates a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A live replica of the key, in turn: saves a hop.
    Replica,
    /// This node, whatever it owns.
    Node(NodeId),
}
