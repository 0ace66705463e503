//! The words that every family shares: who is a member, and where a key lies.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A node, for as long as its data lives. Never reused for another machine or an emptied disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// A position in the token space, which is the whole of `u64` for every partitioner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

/// What a partitioner may know of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub id: NodeId,
    /// Relative capacity, at least 1. A node of weight 2 owns twice the share of one of weight 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// Nodes of one rack fail together; owners are spread over racks first.
    #[serde(default)]
    pub rack: String,
    #[serde(default)]
    pub data_center: String,
}

fn one() -> u32 {
    1
}

impl Member {
    /// A member of weight 1 with no rack and no data centre.
    pub fn new(id: NodeId) -> Self {
        Member { id, weight: 1, rack: String::new(), data_center: String::new() }
    }
}

/// Who belongs to the cluster. Every message carries the epoch; replicas refuse older ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    pub epoch: u64,
    /// Ascending by id, no id twice.
    pub members: Vec<Member>,
}

impl Topology {
    /// Sorts the members by id. An id that occurs twice is kept once.
    pub fn new(epoch: u64, mut members: Vec<Member>) -> Self {
        members.sort_by_key(|member| member.id);
        members.dedup_by_key(|member| member.id);
        Topology { epoch, members }
    }
}
