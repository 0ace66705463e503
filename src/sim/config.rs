//! What a world is made of.

use super::delay::Delay;
use super::network::Link;
use super::random::{Purpose, stream};
use crate::config::ClusterConfig;
use crate::node::{Address, Settings};
use quorate_strategies::{Member, NodeId, Topology};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// A cluster, its network and its disks.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Nodes n1 to nN.
    pub nodes: u16,
    /// What the nodes are configured with. Of the engine only durability counts: whether it keeps
    /// anything, its `sync`, and what the death of its process takes.
    pub cluster: ClusterConfig,
    pub network: Link,
    pub disk: DiskSpeed,
    /// Every random choice of nodes, network and disks follows from it.
    pub seed: u64,
}

/// How long a healthy disk works.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSpeed {
    /// A group commit, synchronisation included.
    pub commit: Delay,
    /// A look-up; 0 answers within the node's own step, as memory does.
    pub read: Delay,
}

impl Default for DiskSpeed {
    fn default() -> Self {
        DiskSpeed { commit: Delay::constant_us(150), read: Delay::constant_us(0) }
    }
}

impl Config {
    /// `nodes` machines with the defaults of everything.
    pub fn of(nodes: u16, seed: u64) -> Self {
        Config {
            nodes,
            cluster: ClusterConfig::default(),
            network: Link::default(),
            disk: DiskSpeed::default(),
            seed,
        }
    }

    /// Each node's own settings, in the order of their ids.
    pub(super) fn settings(&self) -> Vec<Settings> {
        let ids = || (1..=u64::from(self.nodes)).map(NodeId);
        let address = |id: NodeId| Address { grpc: format!("{id}"), http: format!("{id}") };
        let addresses: std::collections::BTreeMap<_, _> =
            ids().map(|id| (id, address(id))).collect();
        let topology = Topology::new(1, ids().map(Member::new).collect());
        let strategies = &self.cluster.strategies;
        let settings = |id: NodeId| Settings {
            id,
            topology: topology.clone(),
            addresses: addresses.clone(),
            replication: self.cluster.replication.clone(),
            timing: self.cluster.timing.clone(),
            limits: self.cluster.limits.clone(),
            partitioning: strategies.partitioning.clone(),
            conflict: strategies.conflict.clone(),
            detection: strategies.detection.clone(),
            seed: stream(self.seed, Purpose::Node(id.0)),
        };
        ids().map(settings).collect()
    }

    /// Between two synchronisations where `sync` is `interval`.
    pub(super) fn sync_interval_us(&self) -> u64 {
        self.cluster.engine.sync().map_or(0, |(_, interval_ms)| interval_ms * 1_000)
    }

    pub(super) fn random(&self, purpose: Purpose) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(stream(self.seed, purpose))
    }
}
