//! Draws a whole scenario from a seed.
//!
//! Swarm testing (Groce, Zhang, Eide, Chen, Regehr: "Swarm Testing", ISSTA 2012): each seed takes a
//! random subset of the faults, and sizes of its own. A scenario that has everything rarely goes
//! deep into anything.

mod cluster;
mod disturb;
mod load;

use super::fault::{Fault, Faults};
use super::plan::Plan;
use super::scars::Scars;
use crate::sim::random::{Purpose, stream};
use crate::sim::scenario::{BadPair, Setup, Statement};
use quorate_strategies::NodeId;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;

/// What the user asked of all scenarios.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    pub nodes: u16,
    pub n: usize,
    /// Those that may occur; each seed takes a subset.
    pub faults: Faults,
    /// A conflict resolver, or one drawn for each seed.
    pub conflict: Option<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { nodes: 5, n: 3, faults: Faults::default(), conflict: None }
    }
}

/// The scenario of a seed. Equal seeds and shapes give equal scenarios.
///
/// # Errors
/// A shape that no cluster has, such as more copies than nodes.
pub fn generate(seed: u64, shape: &Shape) -> Result<Plan, BadPair> {
    let random = Xoshiro256PlusPlus::seed_from_u64(stream(seed, Purpose::Scenario));
    let mut generator = Generator::new(random, shape);
    let setup = generator.cluster(seed, shape);
    let config = setup.config()?;
    generator.counts = counts(&setup);
    generator.scars = Scars::new(&config.network);
    generator.body();
    Ok(Plan { setup, body: generator.body })
}

/// Whether keys hold counters.
fn counts(setup: &Setup) -> bool {
    setup.get("conflict.type").is_some_and(|kind| kind.ends_with("_counter"))
}

struct Generator {
    random: Xoshiro256PlusPlus,
    nodes: u16,
    /// The subset of this seed.
    faults: BTreeSet<Fault>,
    body: Vec<Statement>,
    scars: Scars,
    counts: bool,
    grows_only: bool,
    /// Nodes bear only small differences between clocks.
    strict_clocks: bool,
    /// Sizes of this seed.
    rounds: u32,
    keys: u32,
    clients: u32,
    /// In percent: what a round does, and what a request is.
    fault_share: u32,
    heal_share: u32,
    get_share: u32,
    delete_share: u32,
    context_share: u32,
    level_share: u32,
    /// The longest time between two rounds, in microseconds.
    pace_us: u64,
    asked: u32,
}

impl Generator {
    fn new(mut random: Xoshiro256PlusPlus, shape: &Shape) -> Self {
        let mut share = |of: &[u32]| of[random.random_range(0..of.len())];
        let rounds = share(&[8, 20, 40, 80]);
        let (keys, clients) = (share(&[1, 1, 2, 4]), share(&[1, 2, 4]));
        let (fault_share, heal_share) = (share(&[10, 25, 50]), share(&[10, 30, 60]));
        let (get_share, delete_share) = (share(&[10, 30, 60]), share(&[0, 0, 5, 20]));
        let (context_share, level_share) = (share(&[0, 30, 70]), share(&[0, 0, 20]));
        let pace_us = [2_000, 20_000, 100_000, 500_000][share(&[0, 1, 2, 3]) as usize];
        let chance = share(&[15, 30, 60]);
        let faults = shape.faults.0.iter().copied();
        let faults = faults.filter(|_| random.random_range(0..100) < chance).collect();
        Generator {
            random,
            nodes: shape.nodes,
            faults,
            body: Vec::new(),
            scars: Scars::default(),
            counts: false,
            grows_only: false,
            strict_clocks: false,
            rounds,
            keys,
            clients,
            fault_share,
            heal_share,
            get_share,
            delete_share,
            context_share,
            level_share,
            pace_us,
            asked: 0,
        }
    }

    fn body(&mut self) {
        // The nodes hear of each other first.
        self.tick(300_000);
        for _ in 0..self.rounds {
            if self.chance(self.heal_share) {
                self.mend_one();
            }
            if !self.faults.is_empty() && self.chance(self.fault_share) {
                self.disturb();
            }
            for _ in 0..self.range(1..=4) {
                self.ask_anywhere();
            }
            let us = self.log_uniform(100, self.pace_us);
            self.tick(us);
        }
    }

    /// Adds what is possible.
    fn add(&mut self, statement: Statement) {
        if self.scars.takes(&statement) {
            self.scars.note(&statement);
            self.body.push(statement);
        }
    }

    fn tick(&mut self, us: u64) {
        self.add(Statement::Tick(us));
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn range(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.random.random_range(range)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.random_range(0..of.len())]
    }

    /// Each order of magnitude is as likely as every other; two digits are enough for a reader.
    fn log_uniform(&mut self, least: u64, most: u64) -> u64 {
        let (low, high) = ((least as f64).ln(), (most as f64).ln());
        let drawn = (low + (high - low) * self.random.random::<f64>()).exp() as u64;
        let unit = 10u64.pow(drawn.max(1).ilog10().saturating_sub(1));
        (drawn / unit * unit).clamp(least, most)
    }

    fn node(&mut self) -> NodeId {
        NodeId(self.random.random_range(1..=u64::from(self.nodes)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_seed_is_a_scenario_and_another_seed_another_one() {
        let shape = Shape::default();
        assert_eq!(generate(7, &shape).unwrap(), generate(7, &shape).unwrap());
        assert_ne!(generate(7, &shape).unwrap(), generate(8, &shape).unwrap());
    }

    #[test]
    fn only_allowed_faults_occur_and_all_of_them_do() {
        let text = |faults: &str| {
            let shape = Shape { faults: faults.parse().unwrap(), ..Shape::default() };
            let plans = (0..300).map(|seed| generate(seed, &shape).unwrap());
            let lines = plans.flat_map(|plan| {
                [plan.setup.to_string()]
                    .into_iter()
                    .chain(plan.body.into_iter().map(|statement| statement.to_string()))
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let words = [
            "crash ",
            "power_cut ",
            "empty",
            " rot",
            "partition ",
            "cut n",
            "hold ",
            "pause ",
            "offset=",
            " full",
            " slow=",
            "loss=",
            "duplicate=",
            "reorder=",
        ];
        let (calm, wild) = (text("none"), text("all"));
        for word in words {
            assert!(!calm.contains(word), "{word}");
            assert!(wild.contains(word), "{word}");
        }
    }

    #[test]
    fn more_copies_than_nodes_are_refused() {
        let shape = Shape { nodes: 2, ..Shape::default() };
        assert!(generate(1, &shape).is_err());
    }
}
