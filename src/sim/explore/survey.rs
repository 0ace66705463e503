//! Many seeds: in parallel, told in the order of the seeds.

use super::generate::{Shape, generate};
use super::invariants::Outcomes;
use super::run::{Broken, Run, play};
use crate::sim::scenario::Stopped;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Seeds that are played between two reports. A violation ends the survey after its batch.
const BATCH: u64 = 64;

/// What all seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    pub seeds: u64,
    pub happenings: u64,
    pub simulated_us: u64,
    pub packets_lost: u64,
    pub outcomes: Outcomes,
    pub faults: BTreeMap<&'static str, u64>,
    /// Seeds that broke a promise, ascending.
    pub broken: Vec<(u64, Broken)>,
}

impl Survey {
    fn add(&mut self, seed: u64, run: Run) {
        self.seeds += 1;
        self.happenings += run.happenings;
        self.simulated_us += run.simulated_us;
        self.packets_lost += run.packets_lost;
        self.outcomes.done += run.outcomes.done;
        self.outcomes.not_done += run.outcomes.not_done;
        self.outcomes.unknown += run.outcomes.unknown;
        for (fault, count) in run.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.broken.extend(run.broken.map(|broken| (seed, broken)));
    }
}

/// Plays the scenarios of all seeds, or until one breaks a promise unless `goes_on`. `report` is
/// called after each batch.
///
/// # Errors
/// A shape that no cluster has.
pub fn survey(
    seeds: Range<u64>,
    shape: &Shape,
    goes_on: bool,
    mut report: impl FnMut(&Survey),
) -> Result<Survey, Stopped> {
    let mut survey = Survey::default();
    let mut next = seeds.start;
    while next < seeds.end && (goes_on || survey.broken.is_empty()) {
        let end = next.saturating_add(BATCH).min(seeds.end);
        let runs: Result<Vec<Run>, Stopped> =
            (next..end).into_par_iter().map(|seed| explore(seed, shape)).collect();
        for (seed, run) in (next..end).zip(runs?) {
            survey.add(seed, run);
        }
        report(&survey);
        next = end;
    }
    Ok(survey)
}

/// Plays the scenario of one seed.
///
/// # Errors
/// A shape that no cluster has.
pub fn explore(seed: u64, shape: &Shape) -> Result<Run, Stopped> {
    play(&generate(seed, shape)?.statements()?)
}
