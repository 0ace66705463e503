//! The configuration of one node: one YAML file, every field with its cost and its limits.
//!
//! `quorate serve --config node.yaml` reads it; the experiment's launcher writes one per child process.
//! Unknown fields are errors that name the known ones.

use crate::engine;
use crate::level::Level;
use quorate_strategies::{Choice, Compaction, Conflict, Detection, Member, NodeId, Partitioning};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that a node is started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Which of `members` this node is.
    pub id: NodeId,
    /// Folder of the engine's files and of the node's identity. Created if absent; one process at a time.
    pub data: PathBuf,
    /// Every node of the cluster, this one included. The same list on every node.
    pub members: Vec<MemberConfig>,
    #[serde(default)]
    pub cluster: ClusterConfig,
    /// Seeds the node's own random choices (gossip partners). None: drawn at start and logged.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Worker threads of the node's runtime. 1 runs everything but the disk on one thread, which is the
    /// fastest at a few cores per machine.
    #[serde(default = "one")]
    pub threads: usize,
}

fn one() -> usize {
    1
}

/// Where a member is reached and what it can carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    pub id: NodeId,
    /// Peers and the SDK connect here.
    pub grpc: SocketAddr,
    /// HTTP clients, probes and metrics.
    pub http: SocketAddr,
    #[serde(default = "unit_weight")]
    pub weight: u32,
    #[serde(default)]
    pub rack: String,
    #[serde(default)]
    pub data_center: String,
}

fn unit_weight() -> u32 {
    1
}

impl MemberConfig {
    /// What a partitioner may know of it.
    pub fn member(&self) -> Member {
        Member {
            id: self.id,
            weight: self.weight,
            rack: self.rack.clone(),
            data_center: self.data_center.clone(),
        }
    }
}

/// What must be equal on every node of a cluster. An experiment's YAML has this block, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    pub replication: Replication,
    pub strategies: Strategies,
    pub engine: engine::Config,
    pub timing: Timing,
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replication {
    /// Copies of each key, 1 to 16. A cluster of fewer nodes is refused.
    pub n: usize,
    /// Replicas that a read waits for where the request does not say: `one`, `two`, `quorum`, `all` or a number.
    pub r: Level,
    /// Replicas that a write waits for where the request does not say.
    pub w: Level,
    /// Whom a read asks at first: the `needed` R replicas, or `all` N of them.
    pub read_fanout: ReadFanout,
}

impl Default for Replication {
    fn default() -> Self {
        let quorum = Level::Quorum;
        Replication { n: 3, r: quorum, w: quorum, read_fanout: ReadFanout::Needed }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFanout {
    Needed,
    All,
}

/// One strategy of each family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Strategies {
    pub partitioning: Choice<Partitioning>,
    pub conflict: Choice<Conflict>,
    pub compaction: Choice<Compaction>,
    pub detection: Choice<Detection>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Deadline of a read where the request does not say.
    pub read_timeout_ms: u32,
    /// Deadline of a write where the request does not say.
    pub write_timeout_ms: u32,
    /// After this silence a read asks the replicas that it had left out.
    pub hedge_ms: u32,
    /// Between two heartbeats to every peer. Detectors measure in multiples of it.
    pub heartbeat_interval_ms: u32,
    /// When this node's own heartbeat is late by more intervals than this, it has slept itself and
    /// judges nobody in that round.
    pub pause_guard_intervals: u32,
    /// Between two rounds of gossip with one peer.
    pub gossip_interval_ms: u32,
    /// A peer's clock may be ahead of ours by this much before we refuse to follow it.
    pub max_clock_drift_ms: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            read_timeout_ms: 5_000,
            write_timeout_ms: 2_000,
            hedge_ms: 50,
            heartbeat_interval_ms: 1_000,
            pause_guard_intervals: 5,
            gossip_interval_ms: 1_000,
            max_clock_drift_ms: 10_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// 1 to 65,536.
    pub key_bytes: usize,
    /// 1 to 16 MiB. HTTP answers 413 above it.
    pub value_bytes: usize,
    /// Requests that one coordinator has open at once; one more is answered with "overloaded".
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { key_bytes: 256, value_bytes: 1 << 20, in_flight: 65_536 }
    }
}
