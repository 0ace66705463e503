//! One trial: warm up, measure, inject the faults, and ask what it cost.

use super::cluster::Cluster;
use super::error::Error;
use super::faults::{Injected, Timeline};
use super::interrupt::Interrupt;
use super::load::{Measured, Offer, Parameters, Running, Store};
use super::matrix::Planned;
use super::measures::{Looks, Observed, measures};
use super::progress::Progress;
use super::resources::Snapshot;
use super::spec::{Arrivals, Fault, Phases, Wanted};
use crate::report::measure::Measure;
use crate::report::trial::{Mode, ProcessUse, Trial};
use quorate_strategies::NodeId;
use quorate_workloads::Arrival;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks at the clock, the nodes and Ctrl-C.
const POLL: Duration = Duration::from_millis(50);
/// Draws that tell how skewed the requests are; enough for 100,000 keys (20 each).
const SKEW_DRAWS: u64 = 2_000_000;
/// A client's own grace on top of a request's deadline, and then some.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// What a trial needs besides its plan.
pub struct Bench<'a> {
    pub cluster: &'a mut Cluster,
    pub store: &'a Arc<dyn Store>,
    pub phases: Phases,
    pub faults: &'a [Fault],
    pub progress: &'a Progress,
    pub interrupt: &'a Interrupt,
}

/// What was seen from outside during the measured phase.
struct Seen {
    /// Ctrl-C ended the phase early.
    cut: bool,
    processes: Vec<ProcessUse>,
    counters: BTreeMap<String, f64>,
    /// Of each node, at the end.
    gauges: Vec<BTreeMap<String, f64>>,
    looks: Looks,
    faults: Injected,
}

impl Bench<'_> {
    /// Runs a trial. None: it was interrupted before its measured phase began.
    ///
    /// # Errors
    /// If a node ends that no fault killed: its last log lines are in the error.
    pub fn run(&mut self, id: &str, planned: &Planned) -> Result<Option<Trial>, Error> {
        let realised_skew = realised_skew(planned);
        if !self.pause(Duration::from_secs_f64(self.phases.settle_s))? {
            return Ok(None);
        }
        let nodes = self.cluster.members().map(|member| member.id).collect();
        let parameters = parameters(planned, self.phases, nodes);
        let load = Running::start(Arc::clone(self.store), parameters)
            .map_err(|error| Error::Client(error.to_string()))?;
        let seen = self.watch(&load, planned);
        let measured = load.finish();
        let seen = match seen? {
            Some(seen) if measured.measured_s > 0.0 => seen,
            _ => return Ok(None),
        };
        let measures = self.measures(planned, &measured, &seen);
        let Measured { measured_s, operations, by_node, seconds, schedule, saturated, .. } =
            measured;
        Ok(Some(Trial {
            id: id.to_string(),
            cell: planned.cell.clone(),
            seed: planned.seed,
            measured_s,
            cut: seen.cut,
            operations,
            by_node,
            seconds,
            processes: seen.processes,
            schedule,
            saturated,
            faults: seen.faults.windows,
            counters: seen.counters,
            realised_skew,
            measures,
        }))
    }

    fn measures(&self, planned: &Planned, measured: &Measured, seen: &Seen) -> Vec<Measure> {
        let acknowledged = measured.operations.iter().map(|all| all.outcomes.acknowledged);
        let observed = Observed {
            acknowledged: acknowledged.sum(),
            counters: &seen.counters,
            gauges: &seen.gauges,
            table_entries: &seen.looks.table_entries,
            reads: measured.reads,
            noticed: &seen.faults.noticed,
        };
        measures(planned, &observed)
    }

    /// Idle time. False: interrupted.
    fn pause(&mut self, length: Duration) -> Result<bool, Error> {
        let begin = Instant::now();
        while begin.elapsed() < length {
            if self.interrupt.is_set() {
                return Ok(false);
            }
            self.cluster.check()?;
            std::thread::sleep(POLL.min(length.saturating_sub(begin.elapsed())));
        }
        Ok(!self.interrupt.is_set())
    }

    /// Accompanies the load to the end of its measured phase; `deaths`: and asks when one is
    /// noticed. None: it did not begin.
    fn watch(&mut self, load: &Running, planned: &Planned) -> Result<Option<Seen>, Error> {
        let warm_up_s = self.phases.warm_up_s;
        let mut none = Timeline::new(&[], 0.0, 0, false);
        if !self.until(load, warm_up_s, &mut none, None)? {
            return Ok(None);
        }
        let me = std::iter::once(("load".to_string(), std::process::id()));
        let snapshot = Snapshot::begin(self.cluster.processes().chain(me));
        let before = self.cluster.counters();
        let deaths = planned.measure.contains(&Wanted::Detection);
        let measure_s = self.phases.measure_s;
        let mut timeline = Timeline::new(self.faults, measure_s, planned.seed, deaths);
        let mut looks = Looks::default();
        let wanted = planned.measure.contains(&Wanted::Storage).then_some(&mut looks);
        let outcome = self.until(load, warm_up_s + measure_s, &mut timeline, wanted);
        load.end_now();
        let processes = snapshot.end();
        timeline.heal(load.origin().elapsed().as_secs_f64() - warm_up_s, self.cluster);
        let cut = !outcome?;
        let after = self.cluster.counters();
        let delta = |(name, end): (String, f64)| {
            let begin = before.get(&name).copied().unwrap_or_default();
            (name, end - begin)
        };
        let counters = after.into_iter().map(delta).filter(|(_, delta)| *delta > 0.0).collect();
        let gauges = self.cluster.gauges();
        Ok(Some(Seen { cut, processes, counters, gauges, looks, faults: timeline.finish() }))
    }

    /// Waits until `end_s` after the load's origin, injects faults on the way and looks at what the
    /// nodes hold. False: interrupted.
    fn until(
        &mut self,
        load: &Running,
        end_s: f64,
        timeline: &mut Timeline,
        mut looks: Option<&mut Looks>,
    ) -> Result<bool, Error> {
        let warm_up_s = self.phases.warm_up_s;
        loop {
            let now_s = load.origin().elapsed().as_secs_f64();
            if self.interrupt.is_set() {
                return Ok(false);
            }
            timeline.advance(now_s - warm_up_s, self.cluster)?;
            if let Some(looks) = &mut looks {
                looks.at(now_s - warm_up_s, || self.cluster.gauges());
            }
            if now_s >= end_s {
                return Ok(true);
            }
            self.cluster.check()?;
            let total_s = warm_up_s + self.phases.measure_s;
            let rate = load.answered() as f64 / now_s.max(0.001);
            self.progress.at(now_s / total_s, || format!("{rate:.0} answers/s"));
            let next_s = timeline.next_s().map_or(end_s, |step| (step + warm_up_s).min(end_s));
            let left = Duration::from_secs_f64((next_s - now_s).max(0.000_1));
            std::thread::sleep(left.min(POLL));
        }
    }
}

/// What the load of a trial offers to these nodes.
pub(super) fn parameters(planned: &Planned, phases: Phases, nodes: Vec<NodeId>) -> Parameters {
    let timing = &planned.cluster.timing;
    let longest_ms = timing.read_timeout_ms.max(timing.write_timeout_ms);
    let offer = match planned.cell.mode {
        Mode::Closed { outstanding } => Offer::Closed { outstanding },
        Mode::Idle => Offer::Idle,
        Mode::Open { rate } => {
            let arrival = match planned.load.arrival {
                Arrivals::Constant => Arrival::Constant,
                Arrivals::Poisson => Arrival::Poisson,
            };
            Offer::Open { rate, arrival }
        }
    };
    Parameters {
        workload: planned.workload.clone(),
        records: planned.records,
        seed: planned.seed,
        // At most 16: the specification was checked.
        r: planned.cell.r as u8,
        w: planned.cell.w as u8,
        route: planned.load.route,
        nodes,
        context: planned.load.context,
        offer,
        warm_up: Duration::from_secs_f64(phases.warm_up_s),
        measure: Duration::from_secs_f64(phases.measure_s),
        judges_reads: planned.measure.contains(&Wanted::Staleness),
        answer_limit: Duration::from_millis(longest_ms.into()) + ANSWER_GRACE,
    }
}

/// How skewed the requests of a trial are; nothing where there are none.
pub(super) fn realised_skew(planned: &Planned) -> Option<[f64; 4]> {
    if planned.cell.mode == Mode::Idle {
        return None;
    }
    let draws = (20 * planned.records).clamp(20_000, SKEW_DRAWS);
    let skew = planned.workload.realised_skew(planned.records, planned.seed, draws);
    Some([skew.top_key, skew.top_1_percent, skew.top_10_percent, skew.top_20_percent])
}
