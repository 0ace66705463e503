//! What an experiment's YAML file says: plain data, one struct per block, every field with its
//! unit.
//!
//! [`super::parse`] reads it, [`super::validate`] checks what a type cannot say, and
//! [`super::matrix`] multiplies it into trials.

use crate::config::{ClusterConfig, Limits, Replication, Strategies, Timing};
use crate::engine;
use crate::report::trial::{PROCESSES, SIMULATION, Target};
use crate::sim::{DiskSpeed, Link};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;

/// One question, the cluster that answers it, and the load that asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Names the folder of the results: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The question in one sentence; printed above the answer.
    pub question: String,
    /// Every random choice of the load and of the order of trials follows from it.
    #[serde(default = "one_seed")]
    pub seed: u64,
    #[serde(default)]
    pub backend: Backend,
    #[serde(default)]
    pub cluster: ClusterSpec,
    /// Every link between two nodes; simulation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Link>,
    /// Every node's disk; simulation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpeed>,
    #[serde(default)]
    pub workload: WorkloadRef,
    /// Records in the store before the first operation.
    #[serde(default = "default_records")]
    pub records: u64,
    #[serde(default)]
    pub load: Load,
    #[serde(default)]
    pub phases: Phases,
    /// Lists of values: one trial for each element of their product.
    #[serde(default, skip_serializing_if = "Matrix::is_empty")]
    pub matrix: Matrix,
    /// How often each cell is measured. Repeats are interleaved: all cells once, then all cells
    /// again.
    #[serde(default = "one")]
    pub repeats: u32,
    #[serde(default)]
    pub order: Order,
    #[serde(default)]
    pub targets: Vec<Target>,
    /// What is done to the nodes during each measured phase.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Run only the trials that agree with every `name=value`, as `--only` says; those of the
    /// command line are added, so that the specification of a run tells which trials it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// What is measured besides latencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measure: Vec<Wanted>,
}

fn one_seed() -> u64 {
    1
}

fn default_records() -> u64 {
    1_000
}

fn one() -> u32 {
    1
}

/// A group of measures; what each holds stands in [`crate::report::measure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Messages and bytes between nodes by acknowledged operation.
    Messages,
    /// The share of stale reads. Takes a fresh cluster for each trial, and values that name their
    /// writer.
    Staleness,
    /// How long the others take to notice a killed node. Needs a `kill` among the faults. In a
    /// simulation also how often they are mistaken, and for how long.
    Detection,
    /// How far and at what cost news travels: rounds until all know that a node has started again,
    /// bytes by node and second. Simulation only; needs a `kill` with `restart_after_s`.
    Gossip,
    /// What the engines write, read in vain and hold, by what they were given; and their longest
    /// stall. Real nodes with the engine `lsm` only.
    Storage,
}

/// What the nodes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// Real processes of this program on loopback sockets.
    #[default]
    Processes,
    /// The same nodes in virtual time, in this process: up to 1,000 of them, and repeatable.
    Simulation,
}

impl Backend {
    /// The word in YAML, titles and labels.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Processes => PROCESSES,
            Backend::Simulation => SIMULATION,
        }
    }

    /// The largest cluster that it can run.
    pub fn most_nodes(self) -> u16 {
        match self {
            Backend::Processes => 64,
            Backend::Simulation => 1_000,
        }
    }
}

/// The `cluster:` block: how many nodes, and what they are all configured with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSpec {
    /// 1 to 64 processes, or up to 1,000 simulated nodes.
    pub nodes: u16,
    /// Worker threads of each node's process, 1 to 64.
    pub threads: usize,
    pub fresh: Fresh,
    pub replication: Replication,
    pub strategies: Strategies,
    pub engine: engine::Config,
    pub timing: Timing,
    pub limits: Limits,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        let ClusterConfig { replication, strategies, engine, timing, limits } = Default::default();
        let fresh = Fresh::WhenNeeded;
        ClusterSpec { nodes: 3, threads: 1, fresh, replication, strategies, engine, timing, limits }
    }
}

impl ClusterSpec {
    /// What each node's own file has under `cluster:`.
    pub fn config(&self) -> ClusterConfig {
        ClusterConfig {
            replication: self.replication.clone(),
            strategies: self.strategies.clone(),
            engine: self.engine.clone(),
            timing: self.timing.clone(),
            limits: self.limits.clone(),
        }
    }
}

/// When a trial gets a cluster of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fresh {
    /// When its settings or its records differ from the trial before, or when that trial added
    /// records or killed a node. Other trials share a cluster and its data.
    WhenNeeded,
    /// Always. Costs a start and a loading phase each time.
    PerTrial,
}

/// A workload by name (`a` to `f`), by file, or as a map of changes to a named `base`. A file's
/// path is relative to the experiment's folder, and to the current one where nothing is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "no workload; allowed: a name, a path, or a map of fields")]
pub enum WorkloadRef {
    Named(String),
    Inline(Map<String, Value>),
}

impl Default for WorkloadRef {
    fn default() -> Self {
        WorkloadRef::Named("a".to_string())
    }
}

/// How requests are offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    pub mode: LoadMode,
    /// Operations per second that an open loop offers, of all connections together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Operations that a closed loop keeps in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outstanding: Option<u32>,
    pub arrival: Arrivals,
    /// Streams to each node, 1 to 16.
    pub connections: u16,
    pub route: RouteSpec,
    pub context: ContextUse,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            mode: LoadMode::Open,
            rate: None,
            outstanding: None,
            arrival: Arrivals::Constant,
            connections: 1,
            route: RouteSpec::Replica,
            context: ContextUse::None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// A request is sent when it is due, whether or not earlier ones were answered.
    Open,
    /// A request is sent when an earlier one was answered.
    Closed,
    /// Nothing is loaded and nothing is asked: for what nodes do among themselves.
    #[serde(rename = "none")]
    Idle,
}

/// The gaps between the requests of an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    Constant,
    /// Exponential gaps: many independent users.
    Poisson,
}

/// Whom a request is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteSpec {
    /// A live replica of its key, in turn.
    Replica,
    /// Every node in turn, whatever it owns.
    Any,
}

/// Whether updates say what their writer had seen. The update of a read-modify-write always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextUse {
    /// Blind, as in YCSB. Under `vector_clock` each such update leaves a sibling.
    None,
    /// The newest token that the load has seen for the key. Costs it a map of all keys touched.
    LastSeen,
}

/// The lengths of a trial's phases, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// Idle time before a trial, so that the one before it (flushes, compaction) does not bleed in.
    pub settle_s: f64,
    /// Load that is offered but not counted.
    pub warm_up_s: f64,
    pub measure_s: f64,
}

impl Default for Phases {
    fn default() -> Self {
        Phases { settle_s: 0.5, warm_up_s: 2.0, measure_s: 10.0 }
    }
}

/// In which order the trials of one repeat run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Listed,
    /// Shuffled by the seed. Trials that share a cluster stay together.
    Shuffled,
}

/// Something that is done to a node. Times are seconds since the measured phase began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The node's process is stopped (SIGSTOP) and goes on (SIGCONT), again and again.
    Pause(Pause),
    /// The node's process is killed (SIGKILL), and stays dead unless a restart is asked for.
    Kill(Kill),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// 1 to the number of nodes.
    pub node: u16,
    /// From the start of one pause to the start of the next.
    pub every_s: f64,
    pub for_s: f64,
    /// Start of the first pause.
    #[serde(default)]
    pub first_at_s: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// 1 to the number of nodes.
    pub node: u16,
    /// Of the first kill.
    pub at_s: f64,
    /// The node is started again on its data so long after each kill. None: it stays dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_after_s: Option<f64>,
    /// From one kill to the next. None: it is killed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<f64>,
    /// Each kill comes later than that by up to so much: evenly spread over the kills, from a place
    /// that the seed draws. A node's heartbeats begin with its start, so without it every death
    /// comes at the same moment between two heartbeats.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter_s: f64,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// A sequence with this step, modulo 1, leaves no gap and no heap (Weyl 1916): the golden ratio.
const EVENLY: f64 = 0.618_033_988_749_894_9;

impl Kill {
    /// When it is killed, in seconds since the measured phase of `measure_s` began.
    pub fn times_s(&self, measure_s: f64, seed: u64) -> impl Iterator<Item = f64> {
        let (first, every, jitter_s) = (self.at_s, self.every_s, self.jitter_s);
        let drawn = SplitMix64::seed_from_u64(seed ^ u64::from(self.node)).random::<f64>();
        // What must lie evenly is the life between a start and the next kill. Starts follow kills,
        // so that is the difference of two neighbours: of this sequence, the even one.
        let late_s = move |n: u32| {
            let n = f64::from(n);
            jitter_s * (drawn * (n + 1.0) + n * (n + 1.0) / 2.0 * EVENLY).fract()
        };
        let kills = if every.is_some() { u32::MAX } else { 1 };
        let times =
            (0..kills).map(move |n| first + f64::from(n) * every.unwrap_or_default() + late_s(n));
        times.take_while(move |at_s| *at_s < measure_s)
    }
}

/// The axes of the matrix, in the order of the file. The last one varies fastest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix(pub Vec<(String, Vec<Value>)>);

impl Matrix {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a field has its value from: its axis if the matrix has it, else the field itself.
    pub fn place(&self, axis: &str, field: &str) -> String {
        let path = field.strip_prefix("cluster.").unwrap_or(field);
        let gives =
            |name: &str| name == axis || name.strip_prefix("cluster.").unwrap_or(name) == path;
        match self.0.iter().find(|(name, _)| gives(name)) {
            Some((name, _)) => format!("matrix.{name}"),
            None => field.to_string(),
        }
    }
}

impl Serialize for Matrix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (axis, values) in &self.0 {
            map.serialize_entry(axis, values)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Matrix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MatrixVisitor)
    }
}

struct MatrixVisitor;

impl<'de> Visitor<'de> for MatrixVisitor {
    type Value = Matrix;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from an axis (quorum, workload, rate, ...) to its list of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Matrix, A::Error> {
        let mut axes = Vec::new();
        while let Some((axis, values)) = map.next_entry::<String, Value>()? {
            let Value::Array(values) = values else {
                let allowed = "a list of values, even of one, such as [2]";
                let message = format!("axis `{axis}` is {values}; allowed: {allowed}");
                return Err(serde::de::Error::custom(message));
            };
            axes.push((axis, values));
        }
        Ok(Matrix(axes))
    }
}
