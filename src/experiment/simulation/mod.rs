//! `backend: simulation`: the same trials on the same nodes, in virtual time.
//!
//! ```text
//!   Planned ─► trial ─┬─► stage: World ◄─► client ◄─► load::Flight ─► load::Recorder ─► Trial
//!                     │         │ events
//!                     ├─► pace  └─► watch: deaths noticed, mistakes
//!                     ├─► super::script: pauses, kills, starts
//!                     └─► rumours: news that gossip spreads
//! ```
//!
//! Operations, values, arrivals, slots, outcomes and histograms are those of the real load
//! ([`super::load`]); only its clock, its client and its cluster are others. So a cell that runs on
//! both backends is asked the same questions in the same words, and what differs is the world.
//!
//! # Invariants
//!
//! * A trial depends on its plan alone: not on the machine, nor on the trials beside it. Equal
//!   seeds give equal `trial.json`, to the byte.
//! * Trials run in parallel, one world each; they are recorded in the order of the plan.
//! * Nodes start at instants that the seed spreads over the longest of their intervals. A cluster
//!   whose timers beat in step is a special case that flatters or damns by chance.
//! * What is due at one instant happens in a fixed order: the world, then the client's answers,
//!   then what the load has due, then the faults.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * **Computing takes no time.** Nodes are never busy, so throughput means nothing, no load is too
//!   high, and latencies tell of waiting alone: network, disks, timers. A closed loop asks as fast
//!   as answers travel; its rate is a property of the delays, not of the store.
//! * Client and nodes are [`client::LEG_US`] apart each way, over links that neither lose nor
//!   queue.
//! * Each trial has a world of its own, loaded anew; nothing is left over from an earlier trial.
//! * An interrupted trial leaves no result: what was measured of it is as worthless as it is cheap
//!   to repeat.
//! * There are no processes, so no CPU and memory of theirs, and no counters but the world's own.

mod client;
mod measures;
mod pace;
mod rumours;
mod stage;
mod trial;
mod watch;

pub use trial::Bench;

use super::error::Error;
use super::matrix::Planned;
use super::spec::{LoadMode, Phases};
use crate::report::trial::Trial;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

/// Runs trials in parallel and hands each one over in their order, with its place among them.
/// False: the user ended the run.
///
/// # Errors
/// That of the first trial that fails, or of `keep`. Trials before it were handed over.
pub fn run(
    bench: &Bench,
    trials: &[(String, &Planned)],
    mut keep: impl FnMut(usize, Trial) -> Result<(), Error>,
) -> Result<bool, Error> {
    let (results, ended) = mpsc::channel();
    let stop = AtomicBool::new(false);
    rayon::in_place_scope_fifo(|scope| {
        for (place, (id, planned)) in trials.iter().enumerate() {
            let (results, stop) = (results.clone(), &stop);
            scope.spawn_fifo(move |_| {
                if !stop.load(Ordering::Relaxed) {
                    // Nobody listens any more once a trial has failed.
                    let _ = results.send((place, bench.run(id, planned)));
                }
            });
        }
        drop(results);
        let outcome = in_order(ended, &mut keep);
        stop.store(true, Ordering::Relaxed);
        outcome.map(|kept| kept == trials.len())
    })
}

/// About what a core steps through in a second.
const HAPPENINGS_PER_S: f64 = 1e6;

/// How long simulated trials are expected to take on this machine: by what their timers and
/// requests make happen.
pub fn expected_s<'a>(phases: &Phases, trials: impl Iterator<Item = &'a Planned>) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let happenings = |planned: &Planned| {
        let timing = &planned.cluster.timing;
        let per_s = |interval_ms: u32| 1e3 / f64::from(interval_ms.max(1));
        let nodes = f64::from(planned.cluster.nodes);
        // A read or a write is some packets, commits and timers for each replica.
        let per_operation = 6.0 * planned.cluster.replication.n as f64;
        let rate = match planned.load.mode {
            LoadMode::Open => planned.load.rate.unwrap_or_default(),
            // What answers within a millisecond allow.
            LoadMode::Closed => 1e3 * f64::from(planned.load.outstanding.unwrap_or_default()),
            LoadMode::Idle => 0.0,
        };
        let timers = per_s(timing.judged_every_ms()) + 4.0 * per_s(timing.gossip_interval_ms);
        let beats = nodes * per_s(timing.heartbeat_interval_ms);
        // An exchange compares, and its bytes are counted by, what is known of every node.
        let digests = 0.4 * nodes * nodes * per_s(timing.gossip_interval_ms);
        nodes * (timers + beats) + digests + rate * per_operation
    };
    let virtual_s = phases.settle_s + phases.warm_up_s + phases.measure_s;
    trials.map(happenings).sum::<f64>() * virtual_s / HAPPENINGS_PER_S / cores as f64
}

/// Hands over what has ended in the order of its place, until something is missing. Answers how
/// much that was.
fn in_order(
    ended: mpsc::Receiver<(usize, Result<Option<Trial>, Error>)>,
    keep: &mut impl FnMut(usize, Trial) -> Result<(), Error>,
) -> Result<usize, Error> {
    let mut waiting = std::collections::BTreeMap::new();
    let mut next = 0;
    for (place, result) in ended {
        waiting.insert(place, result);
        while let Some(result) = waiting.remove(&next) {
            let Some(trial) = result? else { return Ok(next) };
            keep(next, trial)?;
            next += 1;
        }
    }
    Ok(next)
}
