//! Holds a measured latency against the targets of the run.

use super::number;
use super::trial::{Latencies, OperationResult, Target, Trial};
use rayon::prelude::*;

/// Whether one kind of operation of one trial met its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No target names this kind.
    NoTarget,
    /// A target names it, but nothing was acknowledged that could be held against it.
    NoData,
    Met,
    /// The percentiles that were too high, such as `p99`.
    Missed(Vec<String>),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NoTarget => "none",
            Self::NoData => "no_data",
            Self::Met => "met",
            Self::Missed(_) => "missed",
        }
    }
}

/// Kinds that only read; a target named `write` holds for all others.
const READING: [&str; 3] = ["read", "scan", "get"];

/// The targets that hold for operations of `kind`.
pub(super) fn targets_of<'a>(targets: &'a [Target], kind: &str) -> Vec<&'a Target> {
    let writes = !READING.contains(&kind);
    targets
        .iter()
        .filter(|target| target.kind == kind || (target.kind == "write" && writes))
        .collect()
}

/// Judges by response time: the promise is to the user, who waits from the intended start.
pub fn judge(operation: &OperationResult, targets: &[Target]) -> Verdict {
    let targets = targets_of(targets, &operation.kind);
    if targets.is_empty() {
        return Verdict::NoTarget;
    }
    if operation.response.is_empty() {
        return Verdict::NoData;
    }
    let missed: Vec<String> = targets
        .iter()
        .filter(|target| at(&operation.response, target.percentile) / 1_000.0 >= target.below_ms)
        .map(|target| number::percentile(target.percentile))
        .collect();
    if missed.is_empty() { Verdict::Met } else { Verdict::Missed(missed) }
}

/// Microseconds at a percentile from 0 to 100; not a number when the histogram is empty.
pub(super) fn at(latencies: &Latencies, percentile: f64) -> f64 {
    if latencies.is_empty() {
        return f64::NAN;
    }
    latencies.value_at_quantile(percentile / 100.0) as f64
}

/// How many rows of the card missed a target or had no data for one.
pub(super) fn count_missed(trials: &[Trial], targets: &[Target]) -> usize {
    trials
        .par_iter()
        .flat_map_iter(|trial| trial.operations.iter())
        .filter(|operation| {
            matches!(judge(operation, targets), Verdict::Missed(_) | Verdict::NoData)
        })
        .count()
}
