//! What a run leaves behind: the plain data between the one who measures and the one who shows.
//!
//! `experiment/` fills these and hands them over trial by trial; `report/` writes them as files,
//! reads them back, and draws. Nothing here is computed twice: a redrawn report is the first one.

pub use super::measure::Measure;
use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::BTreeMap;
use std::fmt;

/// Latencies in microseconds, three significant digits, up to an hour.
pub type Latencies = Histogram<u64>;

/// An empty histogram of the kind that every file of a run holds.
pub fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("constant bounds are valid")
}

// Histograms are skipped by serde: they live in the interval logs beside `trial.json`.

/// How requests are offered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A fixed number outstanding; the next is sent when one returns.
    Closed { outstanding: u32 },
    /// Sent when due, whether or not earlier ones returned: operations per second.
    Open { rate: f64 },
    /// Nothing is asked.
    #[serde(rename = "none")]
    Idle,
}

/// The coordinates of a trial in the experiment's matrix, as they stand in the tables and plots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub workload: String,
    /// Copies of each key.
    pub n: u32,
    pub r: u32,
    pub w: u32,
    pub mode: Mode,
    pub repeat: u32,
    /// Further coordinates by name, such as a strategy that the matrix varies.
    pub labels: BTreeMap<String, String>,
}

/// Counts of one kind of operation in the measured phase; the three outcomes apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    pub acknowledged: u64,
    /// Certainly not done.
    pub failed: u64,
    /// Perhaps done.
    pub unknown: u64,
    /// Acknowledged reads that found nothing.
    pub not_found: u64,
    /// Acknowledged reads whose value was not one that this experiment wrote for that key.
    pub invalid: u64,
}

/// One kind of operation (`read`, `update`, `insert`, `read_modify_write`, ...) of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationResult {
    pub kind: String,
    pub outcomes: Outcomes,
    /// From the intended start to the answer; of acknowledged operations.
    #[serde(skip, default = "latencies")]
    pub response: Latencies,
    /// From the send to the answer; of acknowledged operations.
    #[serde(skip, default = "latencies")]
    pub service: Latencies,
    /// The most frequent error messages, with their counts.
    pub errors: BTreeMap<String, u64>,
}

/// One second of the measured phase, of all kinds together unless `kind` says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Whole seconds since the measured phase began.
    pub second: u32,
    pub kind: String,
    pub acknowledged: u64,
    pub failed: u64,
    pub unknown: u64,
    pub response_p50_us: u64,
    pub response_p99_us: u64,
    pub response_max_us: u64,
    pub service_p99_us: u64,
}

/// CPU and memory of one process over the measured phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// `n1` … or `load` for the process that offers the load.
    pub name: String,
    pub cpu_user_s: f64,
    pub cpu_system_s: f64,
    pub resident_peak_mib: f64,
}

/// The load's own honesty: how late it was itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleLag {
    /// From the intended start to the send, of every operation.
    #[serde(skip, default = "latencies")]
    pub lag: Latencies,
    /// Intended but never sent, because the run ended first.
    pub unsent: u64,
}

/// A fault that was injected during the trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultWindow {
    pub what: String,
    pub node: String,
    /// Seconds since the measured phase began.
    pub from_s: f64,
    pub to_s: f64,
}

/// One cell of the matrix, measured once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// `001`, `002` … in the order of execution; names the trial's folder.
    pub id: String,
    pub cell: Cell,
    pub seed: u64,
    /// Length of the measured phase.
    pub measured_s: f64,
    /// The run was interrupted in the middle of it: shorter than it was meant to be.
    #[serde(default)]
    pub cut: bool,
    pub operations: Vec<OperationResult>,
    /// Response times by node that coordinated, all kinds together.
    #[serde(skip)]
    pub by_node: BTreeMap<String, Latencies>,
    pub seconds: Vec<Second>,
    pub processes: Vec<ProcessUse>,
    pub schedule: ScheduleLag,
    /// The offered rate was not reached, or the load fell behind its schedule: latencies of an open
    /// loop then measure the backlog, not the store.
    pub saturated: bool,
    pub faults: Vec<FaultWindow>,
    /// Selected counters of the nodes' /metrics over the measured phase, summed over nodes.
    pub counters: BTreeMap<String, f64>,
    /// Realised share of requests on the top key and the top 1, 10 and 20 % of keys, in that order.
    pub realised_skew: Option<[f64; 4]>,
    /// Scalars of this trial besides its latencies, each name once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
}

/// A latency that a trial is held against, per kind of operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `read`, `update` … or `write` for every kind that writes.
    pub kind: String,
    /// 0 to 100.
    #[serde(deserialize_with = "percentile")]
    pub percentile: f64,
    pub below_ms: f64,
}

/// Says what is allowed where a percentile is no number, such as `p99`.
fn percentile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;
    impl de::Visitor<'_> for Number {
        type Value = f64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a percentile: a number from 0 to 100, such as 99.9")
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
            Ok(number)
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<f64, E> {
            Ok(number as f64)
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
            Ok(number as f64)
        }
    }
    deserializer.deserialize_any(Number)
}

/// What holds for all trials of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    pub experiment: String,
    pub question: String,
    /// [`PROCESSES`], [`SIMULATION`], or both in words where a run has trials of both.
    pub backend: String,
    pub targets: Vec<Target>,
    /// True when Ctrl-C or an error ended it before the last trial.
    pub interrupted: bool,
    pub provenance: Provenance,
}

/// The backend of real processes.
pub const PROCESSES: &str = "processes";
/// The backend of virtual time.
pub const SIMULATION: &str = "simulation";
/// The label of a trial's coordinates that names its backend, in a run that has several.
pub const BACKEND_LABEL: &str = "backend";

impl RunInfo {
    /// What a title says of the backend: nothing where everything is real.
    pub fn backend_in_title(&self) -> Option<&str> {
        match self.backend.as_str() {
            PROCESSES => None,
            SIMULATION => Some("simulated"),
            several => Some(several),
        }
    }
}

/// Enough to run it again and to doubt it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub command: String,
    pub started_utc: String,
    pub version: String,
    /// Commit of the build, with `-dirty` where the tree had changes; `unknown` without git.
    pub commit: String,
    pub compiler: String,
    pub profile: String,
    pub kernel: String,
    pub cpu: String,
    pub cores: u32,
    pub memory_gib: f64,
    pub file_system: String,
    pub seed: u64,
    /// `always`, `interval 100 ms`, `never`: what an acknowledged write means on one node.
    pub durability: String,
}
