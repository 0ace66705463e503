//! One trial on a world: start the nodes, load the records, warm up, measure.

use super::client::Client;
use super::measures::{self, Seen};
use super::pace::Pace;
use super::rumours::Rumours;
use super::stage::{Interrupted, Stage};
use crate::experiment::error::Error;
use crate::experiment::interrupt::Interrupt;
use crate::experiment::load::populate::Loader;
use crate::experiment::load::{Clock, Flight, Measured};
use crate::experiment::matrix::Planned;
use crate::experiment::script::{self, Deed, Step};
use crate::experiment::spec::{Fault, Phases, Spec, Wanted};
use crate::experiment::trial::{parameters, realised_skew};
use crate::report::trial::{Mode, Trial};
use crate::sim::{Config, Log, Purpose, Tally, World, stream};
use quorate_strategies::NodeId;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// Between two looks whether nodes are ready, records written or answers there.
const POLL_US: u64 = 10_000;
/// A cluster that is not ready so long after its last start never will be.
const START_LIMIT_US: u64 = 60_000_000;

/// What all trials of a run share.
pub struct Bench<'a> {
    pub phases: Phases,
    pub faults: &'a [Fault],
    pub interrupt: &'a Interrupt,
}

/// Why a trial has no result.
enum End {
    Interrupted,
    Failed(Error),
}

impl From<Interrupted> for End {
    fn from(_: Interrupted) -> End {
        End::Interrupted
    }
}

impl<'a> Bench<'a> {
    pub fn new(spec: &'a Spec, interrupt: &'a Interrupt) -> Bench<'a> {
        Bench { phases: spec.phases, faults: &spec.faults, interrupt }
    }

    /// Runs a trial. None: it was interrupted.
    ///
    /// # Errors
    /// Settings that nodes refuse, nodes that do not find each other, records that cannot be
    /// written.
    pub fn run(&self, id: &str, planned: &Planned) -> Result<Option<Trial>, Error> {
        match self.complete(id, planned) {
            Ok(trial) => Ok(Some(trial)),
            Err(End::Interrupted) => Ok(None),
            Err(End::Failed(error)) => Err(error),
        }
    }

    fn complete(&self, id: &str, planned: &Planned) -> Result<Trial, End> {
        let mut stage = self.stage(planned)?;
        start(&mut stage, planned)?;
        load(&mut stage, planned)?;
        let settled_us = stage.world.now_us() + us(self.phases.settle_s);
        stage.run_to(settled_us)?;
        let (measured, seen) = self.measure(&mut stage, planned)?;
        let measures = measures::measures(planned, &measured, &seen);
        let Measured { measured_s, operations, by_node, seconds, schedule, saturated, .. } =
            measured;
        Ok(Trial {
            id: id.to_string(),
            cell: planned.cell.clone(),
            seed: planned.seed,
            measured_s,
            operations,
            by_node,
            seconds,
            processes: Vec::new(),
            schedule,
            saturated,
            cut: false,
            faults: script::windows(&self.steps(planned), measured_s),
            counters: counters(&seen),
            realised_skew: realised_skew(planned),
            measures,
        })
    }

    fn stage(&self, planned: &Planned) -> Result<Stage<'_>, End> {
        let config = Config {
            nodes: planned.cluster.nodes,
            cluster: planned.cluster.config(),
            network: planned.network,
            disk: planned.disk,
            seed: planned.seed,
        };
        let refused = |bad: &dyn std::fmt::Display| End::Failed(Error::Simulation(bad.to_string()));
        let mut world = World::stopped(config, Log::Off).map_err(|bad| refused(&bad))?;
        let weighed = |wanted: &Wanted| matches!(wanted, Wanted::Messages | Wanted::Gossip);
        if planned.measure.iter().any(weighed) {
            world.weigh();
        }
        let timing = &planned.cluster.timing;
        let client = Client::new(timing.read_timeout_ms.max(timing.write_timeout_ms));
        Ok(Stage::new(world, client, self.interrupt))
    }

    fn measure(&self, stage: &mut Stage, planned: &Planned) -> Result<(Measured, Seen), End> {
        let nodes = stage.world.ids().collect();
        let parameters = parameters(planned, self.phases, nodes);
        let limit_us = parameters.answer_limit.as_micros() as u64;
        let origin_us = stage.world.now_us();
        let clock = Clock::Virtual(stage.clock());
        let flight = Flight::new(stage.client.store(), &parameters, clock);
        let mut pace = Pace::new(&flight, &parameters.offer, planned.seed, origin_us)
            .map_err(|bad| End::Failed(Error::Client(bad.to_string())))?;
        let begin_us = origin_us + us(self.phases.warm_up_s);
        let end_us = begin_us + us(self.phases.measure_s);
        pace.run_to(stage, begin_us)?;
        stage.watch.begin(begin_us);
        let began = stage.world.tally().clone();
        let mut rumours = Rumours::new(planned.cluster.timing.gossip_interval_ms);
        for step in self.steps(planned) {
            pass(stage, &mut pace, &mut rumours, begin_us + us(step.at_s))?;
            perform(stage, &mut rumours, step);
        }
        pass(stage, &mut pace, &mut rumours, end_us)?;
        flight.end_now();
        let ended = stage.world.tally().clone();
        let (opinions, rumours) = (stage.watch.end(end_us), rumours.end());
        pace.catch_up(stage, end_us)?;
        let given_up_us = stage.world.now_us() + limit_us;
        while flight.in_flight() > 0 && stage.world.now_us() < given_up_us {
            stage.run_to((stage.world.now_us() + POLL_US).min(given_up_us))?;
        }
        Ok((flight.measured(pace.paced), Seen { began, ended, opinions, rumours }))
    }

    fn steps(&self, planned: &Planned) -> Vec<Step> {
        script::steps(self.faults, self.phases.measure_s, planned.seed)
    }
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// Lets time pass, and looks who has heard what meanwhile.
fn pass(
    stage: &mut Stage,
    pace: &mut Pace,
    rumours: &mut Rumours,
    until_us: u64,
) -> Result<(), Interrupted> {
    while let Some(at_us) = rumours.next_us().filter(|at_us| *at_us <= until_us) {
        pace.run_to(stage, at_us)?;
        rumours.look(&stage.world);
    }
    pace.run_to(stage, until_us)
}

fn perform(stage: &mut Stage, rumours: &mut Rumours, step: Step) {
    let node = NodeId(step.node.into());
    match step.deed {
        Deed::Pause => stage.pause(node),
        Deed::Resume => stage.resume(node),
        Deed::Kill => {
            stage.kill(node);
            rumours.died(node);
        }
        Deed::Start => {
            stage.start(node);
            rumours.begin(&stage.world, node);
        }
    }
}

/// Starts the nodes one by one, spread over the longest of their intervals: nodes that beat in step
/// would be a special case.
fn start(stage: &mut Stage, planned: &Planned) -> Result<(), End> {
    let timing = &planned.cluster.timing;
    let spread_us = u64::from(timing.heartbeat_interval_ms.max(timing.gossip_interval_ms)) * 1_000;
    let seed = stream(planned.seed, Purpose::Scenario);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let ids = stage.world.ids();
    let mut starts: Vec<(u64, NodeId)> =
        ids.map(|id| (random.random_range(0..spread_us), id)).collect();
    starts.sort_unstable();
    for (at_us, id) in starts {
        stage.run_to(at_us)?;
        stage.start(id);
    }
    stage.run_to(spread_us)?;
    if planned.cell.mode == Mode::Idle {
        return Ok(());
    }
    let ready = |stage: &Stage| {
        stage.world.ids().all(|id| stage.world.node(id).is_some_and(|node| node.is_ready()))
    };
    while !ready(stage) {
        if stage.world.now_us() > spread_us + START_LIMIT_US {
            let late_s = START_LIMIT_US / 1_000_000;
            let message = format!("some node has not heard of a majority after {late_s} s");
            return Err(End::Failed(Error::Simulation(message)));
        }
        stage.run_to(stage.world.now_us() + POLL_US)?;
    }
    Ok(())
}

/// Writes all records. Without a load nobody would read them.
fn load(stage: &mut Stage, planned: &Planned) -> Result<(), End> {
    if planned.cell.mode == Mode::Idle {
        return Ok(());
    }
    let records = planned.records;
    let store = stage.client.store();
    let loader = Loader::new(store, planned.workload.clone(), records, planned.seed);
    loader.begin();
    while loader.written() < records {
        stage.run_to(stage.world.now_us() + POLL_US)?;
        loader.again().map_err(|message| End::Failed(Error::Loading(message)))?;
    }
    Ok(())
}

fn counters(seen: &Seen) -> BTreeMap<String, f64> {
    let Seen { began, ended, .. } = seen;
    let count = |name: &str, of: fn(&Tally) -> u64| {
        (format!("simulated_{name}_total"), (of(ended) - of(began)) as f64)
    };
    let all = [
        count("happenings", |tally| tally.happenings),
        count("packets", |tally| tally.packets),
        count("packets_lost", |tally| tally.lost),
        count("heartbeats", |tally| tally.heartbeats),
        count("gossip_messages", |tally| tally.gossip_messages),
        count("request_messages", |tally| tally.request_messages),
    ];
    all.into_iter().filter(|(_, count)| *count > 0.0).collect()
}
