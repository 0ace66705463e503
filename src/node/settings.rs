//! What a node is started with, checked before it starts.

use crate::config::{Limits, NodeConfig, Replication, Timing};
use quorate_strategies::{Choice, Conflict, Detection, NodeId, Partitioning, Topology};
use std::collections::BTreeMap;

/// Owners that a replica set can name: the width of its bits.
pub const REPLICAS_MAX: usize = 16;

/// Requests that a table can name: the width of the slot in a request's id.
pub const IN_FLIGHT_MAX: usize = 1 << 20;

/// Everything that stays the same while a node runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which member of the topology this node is.
    pub id: NodeId,
    pub topology: Topology,
    /// Where each member is reached, this node included.
    pub addresses: BTreeMap<NodeId, Address>,
    pub replication: Replication,
    pub timing: Timing,
    pub limits: Limits,
    pub partitioning: Choice<Partitioning>,
    pub conflict: Choice<Conflict>,
    pub detection: Choice<Detection>,
    /// Seeds the choice of gossip partners. Equal seeds and equal inputs give equal effects.
    pub seed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub grpc: String,
    pub http: String,
}

/// What distinguishes this start of the node from every other, persisted before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// max(stored + 1, unix seconds): peers drop what an earlier life of this node said.
    pub incarnation: u64,
    /// The identity under which versions are issued: random, drawn anew at every start.
    pub actor: u64,
}

impl Boot {
    /// The life that follows `earlier`. `wall_s`: seconds since 1970; `actor`: random, never used
    /// before.
    ///
    /// No life goes on under the actor of another one. Peers hold versions that never reached this
    /// disk: a record is handed to the coordinator, and spreads, while the disk still works. A life
    /// that continued from what the disk has would issue some of those names again, for other
    /// values, and peers would drop them as known.
    pub fn after(earlier: Option<Boot>, actor: u64, wall_s: u64) -> Boot {
        let incarnation = earlier.map_or(0, |earlier| earlier.incarnation + 1).max(wall_s);
        Boot { incarnation, actor }
    }
}

/// Settings under which no node can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    #[error("node {0} is not among the members")]
    NotAMember(NodeId),
    #[error("member {0} has no address")]
    NoAddress(NodeId),
    #[error("`{name}` is {found}; allowed: {allowed}")]
    OutOfRange { name: &'static str, found: u64, allowed: String },
}

impl Settings {
    /// The node's part of its configuration. `seed` stands in where the configuration has none.
    pub fn from_config(config: &NodeConfig, seed: u64) -> Settings {
        let address = |member: &crate::config::MemberConfig| Address {
            grpc: member.grpc.to_string(),
            http: member.http.to_string(),
        };
        let strategies = &config.cluster.strategies;
        Settings {
            id: config.id,
            topology: Topology::new(1, config.members.iter().map(|it| it.member()).collect()),
            addresses: config.members.iter().map(|it| (it.id, address(it))).collect(),
            replication: config.cluster.replication.clone(),
            timing: config.cluster.timing.clone(),
            limits: config.cluster.limits.clone(),
            partitioning: strategies.partitioning.clone(),
            conflict: strategies.conflict.clone(),
            detection: strategies.detection.clone(),
            seed: config.seed.unwrap_or(seed),
        }
    }

    /// Refuses what would only fail later, request by request.
    pub fn check(&self) -> Result<(), BadSettings> {
        let members = &self.topology.members;
        if !members.iter().any(|member| member.id == self.id) {
            return Err(BadSettings::NotAMember(self.id));
        }
        if let Some(member) = members.iter().find(|it| !self.addresses.contains_key(&it.id)) {
            return Err(BadSettings::NoAddress(member.id));
        }
        let n = self.replication.n;
        let owners = members.len().min(REPLICAS_MAX) as u64;
        let level = |level: crate::level::Level| level.needed(n) as u64;
        within("replication.n", n as u64, 1, owners)?;
        within("replication.r", level(self.replication.r), 1, n as u64)?;
        within("replication.w", level(self.replication.w), 1, n as u64)?;
        let hour_ms = 3_600_000;
        let timing = &self.timing;
        within("timing.read_timeout_ms", timing.read_timeout_ms.into(), 1, hour_ms)?;
        within("timing.write_timeout_ms", timing.write_timeout_ms.into(), 1, hour_ms)?;
        within("timing.hedge_ms", timing.hedge_ms.into(), 1, hour_ms)?;
        within("timing.heartbeat_interval_ms", timing.heartbeat_interval_ms.into(), 1, hour_ms)?;
        within("timing.judge_interval_ms", timing.judge_interval_ms.into(), 1, hour_ms)?;
        within("timing.gossip_interval_ms", timing.gossip_interval_ms.into(), 1, hour_ms)?;
        within("timing.pause_guard_intervals", timing.pause_guard_intervals.into(), 1, 1_000)?;
        within("timing.max_clock_drift_ms", timing.max_clock_drift_ms.into(), 1, 24 * hour_ms)?;
        within("limits.key_bytes", self.limits.key_bytes as u64, 1, 65_535)?;
        within("limits.value_bytes", self.limits.value_bytes as u64, 1, 16 << 20)?;
        within("limits.in_flight", self.limits.in_flight as u64, 1, IN_FLIGHT_MAX as u64 / 2)
    }
}

fn within(name: &'static str, found: u64, least: u64, most: u64) -> Result<(), BadSettings> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(BadSettings::OutOfRange { name, found, allowed: format!("{least} to {most}") })
}
