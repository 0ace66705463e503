//! The configuration of one node: one YAML file, every field with its cost and its limits.
//!
//! `quorate serve --config node.yaml` reads it; the experiment's launcher writes one per child
//! process. Unknown fields are errors that name the known ones.

use crate::engine;
use crate::level::Level;
use crate::node::{IN_FLIGHT_MAX, REPLICAS_MAX};
use crate::yaml::{self, Malformed};
use quorate_strategies::{Choice, Compaction, Conflict, Detection, Member, NodeId, Partitioning};
use serde::{Deserialize, Deserializer, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Everything that a node is started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Which of `members` this node is.
    pub id: NodeId,
    /// Folder of the engine's files and of the node's identity. Created if absent; one process at a
    /// time.
    pub data: PathBuf,
    /// Every node of the cluster, this one included. The same list on every node.
    pub members: Vec<MemberConfig>,
    #[serde(default)]
    pub cluster: ClusterConfig,
    /// Seeds the node's own random choices (gossip partners). None: drawn at start and logged.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Worker threads of the node's runtime. 1 runs everything but the disk on one thread, which is
    /// the fastest at a few cores per machine.
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
    #[serde(deserialize_with = "address")]
    pub grpc: SocketAddr,
    /// HTTP clients, probes and metrics.
    #[serde(deserialize_with = "address")]
    pub http: SocketAddr,
    #[serde(default = "unit_weight")]
    pub weight: u32,
    #[serde(default)]
    pub rack: String,
    #[serde(default)]
    pub data_center: String,
}

/// Names are refused: a node that resolved one differently would be another cluster's.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let allowed = "an IP address and a port, such as 10.0.0.1:7101";
        serde::de::Error::custom(format!("found `{text}`; allowed: {allowed}"))
    })
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
    /// Replicas that a read waits for where the request does not say: `one`, `two`, `quorum`, `all`
    /// or a number.
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
    /// Between two judgements of all peers; never longer than the heartbeat interval, which holds
    /// where this is larger. A shorter one finds a silent peer sooner after its detector's
    /// threshold was crossed, and costs one question to a detector per peer and judgement.
    pub judge_interval_ms: u32,
    /// When a judgement is late by more heartbeat intervals than this, this node has slept itself:
    /// it judges nobody, and listens for one heartbeat interval before it judges again.
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
            judge_interval_ms: 100,
            pause_guard_intervals: 1,
            gossip_interval_ms: 1_000,
            max_clock_drift_ms: 10_000,
        }
    }
}

impl Timing {
    /// The interval of judgements that holds.
    pub fn judged_every_ms(&self) -> u32 {
        self.judge_interval_ms.min(self.heartbeat_interval_ms)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// 1 to 65,535: its length is two bytes in every file.
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

/// Why a configuration cannot be taken. The text says where, what was found, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}{}{}: {}", line_suffix(.malformed.line), field_prefix(&.malformed.field),
        .malformed.message)]
    Parse { path: String, malformed: Malformed },
    #[error("{path}: `{field}` is {found}; allowed: {allowed}")]
    Invalid { path: String, field: String, found: String, allowed: String },
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(": {field}") }
}

/// A value that is out of range, before it is known in which file.
pub(crate) struct OutOfRange {
    pub field: String,
    pub found: String,
    pub allowed: String,
}

impl NodeConfig {
    /// Reads and checks a node's file. A relative `data` folder is relative to that file.
    pub fn load(path: &Path) -> Result<NodeConfig, ConfigError> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown(), source })?;
        let mut config: NodeConfig = yaml::read(&text).map_err(|error| ConfigError::Parse {
            path: shown(),
            malformed: Malformed::new(&text, &error),
        })?;
        config.check().map_err(|OutOfRange { field, found, allowed }| ConfigError::Invalid {
            path: shown(),
            field,
            found,
            allowed,
        })?;
        if let (true, Some(folder)) = (config.data.is_relative(), path.parent()) {
            config.data = folder.join(&config.data);
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), OutOfRange> {
        let members = &self.members;
        if members.is_empty() {
            return Err(out_of_range("members", "empty", "one node and more"));
        }
        if !members.iter().any(|member| member.id == self.id) {
            let known: Vec<_> = members.iter().map(|member| member.id.0.to_string()).collect();
            return Err(out_of_range("id", self.id.0, known.join(", ")));
        }
        for (index, member) in members.iter().enumerate() {
            member.check(index, &members[..index])?;
        }
        within("threads", self.threads as u64, 1, 256)?;
        self.cluster.check(members.len())
    }
}

impl MemberConfig {
    fn check(&self, index: usize, earlier: &[MemberConfig]) -> Result<(), OutOfRange> {
        let field = |name: &str| format!("members[{index}].{name}");
        if earlier.iter().any(|other| other.id == self.id) {
            return Err(out_of_range(field("id"), self.id.0, "each id once"));
        }
        let used = |address: SocketAddr| {
            earlier.iter().any(|other| other.grpc == address || other.http == address)
        };
        if used(self.grpc) {
            return Err(out_of_range(field("grpc"), self.grpc, "each address once"));
        }
        if used(self.http) || self.http == self.grpc {
            return Err(out_of_range(field("http"), self.http, "each address once"));
        }
        for (name, address) in [("grpc", self.grpc), ("http", self.http)] {
            if address.port() == 0 {
                return Err(out_of_range(field(name), address, "a port from 1 to 65535"));
            }
        }
        within(&field("weight"), self.weight.into(), 1, 1_000)
    }
}

impl ClusterConfig {
    /// Refuses what no cluster of `nodes` members can run with.
    pub(crate) fn check(&self, nodes: usize) -> Result<(), OutOfRange> {
        let Replication { n, r, w, .. } = self.replication;
        within("cluster.replication.n", n as u64, 1, REPLICAS_MAX.min(nodes) as u64)?;
        for (field, level) in [("cluster.replication.r", r), ("cluster.replication.w", w)] {
            let needed = level.needed(n);
            if needed == 0 || needed > n {
                let allowed = format!("a level that needs 1 to {n} replicas, since `n` is {n}");
                return Err(out_of_range(field, level, allowed));
            }
        }
        let hour_ms = 3_600_000;
        let timing = &self.timing;
        for (name, value) in [
            ("read_timeout_ms", timing.read_timeout_ms),
            ("write_timeout_ms", timing.write_timeout_ms),
            ("hedge_ms", timing.hedge_ms),
            ("heartbeat_interval_ms", timing.heartbeat_interval_ms),
            ("judge_interval_ms", timing.judge_interval_ms),
            ("gossip_interval_ms", timing.gossip_interval_ms),
        ] {
            within(&format!("cluster.timing.{name}"), value.into(), 1, hour_ms)?;
        }
        within(
            "cluster.timing.pause_guard_intervals",
            timing.pause_guard_intervals.into(),
            1,
            1_000,
        )?;
        let drift = timing.max_clock_drift_ms.into();
        within("cluster.timing.max_clock_drift_ms", drift, 1, 24 * hour_ms)?;
        let limits = &self.limits;
        within("cluster.limits.key_bytes", limits.key_bytes as u64, 1, 65_535)?;
        within("cluster.limits.value_bytes", limits.value_bytes as u64, 1, 16 << 20)?;
        within("cluster.limits.in_flight", limits.in_flight as u64, 1, IN_FLIGHT_MAX as u64 / 2)
    }
}

fn within(field: &str, found: u64, least: u64, most: u64) -> Result<(), OutOfRange> {
    match (least..=most).contains(&found) {
        true => Ok(()),
        false => Err(out_of_range(field, found, format!("{least} to {most}"))),
    }
}

fn out_of_range(
    field: impl Into<String>,
    found: impl ToString,
    allowed: impl Into<String>,
) -> OutOfRange {
    OutOfRange { field: field.into(), found: found.to_string(), allowed: allowed.into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const THREE: &str = "
id: 1
data: data/n1
members:
  - {id: 1, grpc: '127.0.0.1:1', http: '127.0.0.1:2'}
  - {id: 2, grpc: '127.0.0.1:3', http: '127.0.0.1:4'}
  - {id: 3, grpc: '127.0.0.1:5', http: '127.0.0.1:6'}
";

    fn load(text: &str) -> Result<NodeConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.yaml");
        std::fs::write(&path, text).unwrap();
        NodeConfig::load(&path)
    }

    #[test]
    fn a_data_folder_is_relative_to_its_file() {
        let config = load(THREE).unwrap();
        assert!(config.data.is_absolute() && config.data.ends_with("data/n1"));
    }

    #[test]
    fn a_written_configuration_reads_back() {
        let config = load(THREE).unwrap();
        assert_eq!(load(&serde_yaml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn what_cannot_run_is_refused_by_field() {
        let with = |cluster: &str| format!("{THREE}cluster: {cluster}\n");
        for (text, field) in [
            (THREE.replace("id: 1\ndata", "id: 9\ndata"), "`id` is 9"),
            (THREE.replace("id: 3", "id: 2"), "members[2].id"),
            (THREE.replace(":5'", ":2'"), "members[2].grpc"),
            (THREE.replace(":6'", ":5'"), "members[2].http"),
            (THREE.replace(":6'", ":0'"), "a port from 1"),
            (with("{replication: {n: 4}}"), "allowed: 1 to 3"),
            (with("{replication: {n: 2, w: 3}}"), "`cluster.replication.w` is 3"),
            (with("{timing: {hedge_ms: 0}}"), "hedge_ms"),
            (with("{timing: {judge_interval_ms: 0}}"), "judge_interval_ms"),
            (with("{limits: {key_bytes: 0}}"), "key_bytes"),
            (format!("{THREE}threads: 0\n"), "threads"),
        ] {
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(field) && error.contains("node.yaml"), "{field}: {error}");
        }
    }

    #[test]
    fn a_typo_is_refused_with_its_line() {
        let error = load(&THREE.replace("data:", "dta:")).unwrap_err().to_string();
        let said = "node.yaml:3: unknown field `dta`, did you mean `data`? allowed: id, data,";
        assert!(error.contains(said), "{error}");
        let error = load(&THREE.replace("127.0.0.1:3", "foo:27201")).unwrap_err().to_string();
        let said = "node.yaml:6: members[1].grpc: found `foo:27201`; allowed: an IP address and";
        assert!(error.contains(said), "{error}");
        assert!(matches!(
            NodeConfig::load(Path::new("/nowhere/node.yaml")),
            Err(ConfigError::Read { .. })
        ));
    }
}
