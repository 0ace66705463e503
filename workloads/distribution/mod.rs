//! Which record an operation touches.
//!
//! ```text
//!   YAML          class in YCSB                  popular are            grows with inserts
//!   zipfian       ScrambledZipfianGenerator      hashed ranks           by redraws
//!   zipfian:      (none: the law itself)         permuted ranks         by redraws
//!     exact
//!   latest        SkewedLatestGenerator          the newest             yes
//!   exponential   ExponentialGenerator           the newest             yes
//!   hotspot       HotspotIntegerGenerator        the first fifth        no
//!   uniform       UniformLongGenerator           none                   no
//!   sequential    SequentialGenerator            none                   no
//! ```
//!
//! [`Distribution`] is what YAML says, [`KeyChooser`] draws. "By redraws" is YCSB's rule: the key
//! space is made larger at the start by twice the expected inserts, so that inserts do not change
//! which keys are popular, and a draw beyond the last acknowledged insert is drawn again.
//!
//! # Invariants
//!
//! * A drawn number is below the number of acknowledged records.
//! * A draw costs constant time and no memory, at any number of records.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * YCSB narrows a drawn number to 32 bits on the way (`intValue()`), which breaks above 2^31
//!   records. That is not copied.
//! * The popular keys of `zipfian: exact` depend on the seed, those of `zipfian: ycsb` never do. To
//!   keep them fixed over several seeds, the permutation would need a seed of its own.

mod choice;
mod flat;
mod latest;
mod popularity;
mod zipfian;

pub use flat::{Hotspot, Sequential};
pub use latest::{Exponential, Latest};
pub use zipfian::{ExactZipf, GrayZipf, ScrambledZipf, YCSB_THETA, YCSB_ZETA, zeta};

use rand::{Rng, RngExt};

/// Draws record numbers without looking at the counter of inserts.
trait Source {
    fn draw<R: Rng>(&mut self, random: &mut R) -> u64;
}

/// The distribution of requests over the records, by name or as `name: {settings}` in YAML.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    Zipfian(Zipfian),
    /// Zipf over the age of the records, newest first.
    Latest,
    Hotspot {
        /// The part of the records that is hot, 0 to 1.
        data_fraction: f64,
        /// The part of the operations that goes there, 0 to 1.
        operation_fraction: f64,
    },
    /// Over the loaded records; inserted ones are never drawn, as in YCSB.
    Uniform,
    Exponential {
        /// This many per cent of the draws, above 0 and below 100, ...
        percentile: f64,
        /// ... fall on this newest part of the loaded records, above 0.
        fraction: f64,
    },
    Sequential,
}

/// The two meanings of "zipfian".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zipfian {
    /// What YCSB draws: theta 0.99 over 10^10 ranks, hashed onto the keys.
    Ycsb,
    /// Zipf's law over the keys: the k-th popular key has a share proportional to 1/k^theta.
    Exact { theta: f64 },
}

impl Distribution {
    /// Every name that YAML may use.
    pub const NAMES: [&'static str; 6] =
        ["zipfian", "latest", "hotspot", "uniform", "exponential", "sequential"];

    pub fn name(&self) -> &'static str {
        match self {
            Distribution::Zipfian(_) => "zipfian",
            Distribution::Latest => "latest",
            Distribution::Hotspot { .. } => "hotspot",
            Distribution::Uniform => "uniform",
            Distribution::Exponential { .. } => "exponential",
            Distribution::Sequential => "sequential",
        }
    }
}

/// YCSB's default is uniform; its six workload files all name another.
impl Default for Distribution {
    fn default() -> Self {
        Distribution::Uniform
    }
}

/// Draws the numbers of existing records by one [`Distribution`].
#[derive(Clone, Debug)]
pub struct KeyChooser {
    law: Law,
}

#[derive(Clone, Debug)]
enum Law {
    Scrambled(ScrambledZipf),
    Exact(ExactZipf),
    Latest(Latest),
    Hotspot(Hotspot),
    Uniform(u64),
    Exponential(Exponential),
    Sequential(Sequential),
}

impl KeyChooser {
    /// `records` were loaded, `expected_inserts` are still to come (an estimate); `seed` is the
    /// run's, and the same for all streams of the run, `stream` is this one's number.
    pub fn new(
        distribution: Distribution,
        records: u64,
        expected_inserts: u64,
        seed: u64,
        stream: u32,
    ) -> Self {
        let records = records.max(1);
        let enlarged = records.saturating_add(expected_inserts.saturating_mul(2));
        let law = match distribution {
            // YCSB gives an inclusive upper bound, which is one key more than it means.
            Distribution::Zipfian(Zipfian::Ycsb) => {
                Law::Scrambled(ScrambledZipf::new(enlarged.saturating_add(1)))
            }
            Distribution::Zipfian(Zipfian::Exact { theta }) => {
                Law::Exact(ExactZipf::new(enlarged, theta, seed))
            }
            Distribution::Latest => Law::Latest(Latest::new(records)),
            Distribution::Hotspot { data_fraction, operation_fraction } => {
                Law::Hotspot(Hotspot::new(records, data_fraction, operation_fraction))
            }
            Distribution::Uniform => Law::Uniform(records),
            Distribution::Exponential { percentile, fraction } => {
                Law::Exponential(Exponential::new(records, percentile, fraction))
            }
            Distribution::Sequential => Law::Sequential(Sequential::new(records, stream)),
        };
        KeyChooser { law }
    }

    /// The number of a record below `acknowledged`, the count of records that exist (at least those
    /// that were loaded).
    pub fn draw<R: Rng>(&mut self, acknowledged: u64, random: &mut R) -> u64 {
        let newest = acknowledged.saturating_sub(1);
        loop {
            let number = match &mut self.law {
                Law::Scrambled(zipf) => zipf.draw(random),
                Law::Exact(zipf) => zipf.draw(random),
                Law::Latest(latest) => latest.draw(newest, random),
                Law::Hotspot(hotspot) => hotspot.draw(random),
                Law::Uniform(records) => random.random_range(0..*records),
                Law::Exponential(exponential) => exponential.draw(newest, random),
                Law::Sequential(sequential) => sequential.draw(random),
            };
            if number <= newest {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, generator};

    fn every() -> [Distribution; 7] {
        [
            Distribution::Zipfian(Zipfian::Ycsb),
            Distribution::Zipfian(Zipfian::Exact { theta: 0.99 }),
            Distribution::Latest,
            Distribution::Hotspot { data_fraction: 0.2, operation_fraction: 0.8 },
            Distribution::Uniform,
            Distribution::Exponential { percentile: 95.0, fraction: 0.857_142_857_1 },
            Distribution::Sequential,
        ]
    }

    #[test]
    fn every_distribution_draws_only_records_that_exist() {
        let mut random = generator(1, Purpose::Operations, 0);
        for distribution in every() {
            for (records, acknowledged) in [(1, 1), (2, 2), (1_000, 1_000), (1_000, 1_137)] {
                let mut chooser = KeyChooser::new(distribution, records, 500, 1, 0);
                for _ in 0..3_000 {
                    let number = chooser.draw(acknowledged, &mut random);
                    assert!(number < acknowledged, "{distribution:?}: {number}");
                }
            }
        }
    }

    #[test]
    fn inserted_records_are_drawn_by_those_that_grow_only() {
        let mut random = generator(2, Purpose::Operations, 0);
        for distribution in every() {
            let mut chooser = KeyChooser::new(distribution, 1_000, 500, 1, 0);
            let newer = (0..20_000).filter(|_| chooser.draw(1_500, &mut random) >= 1_000).count();
            let grows = matches!(
                distribution,
                Distribution::Zipfian(_) | Distribution::Latest | Distribution::Exponential { .. }
            );
            assert_eq!(newer > 0, grows, "{distribution:?}: {newer} of 20,000");
        }
    }

    #[test]
    fn expected_inserts_do_not_change_which_key_is_popular() {
        let mut random = generator(3, Purpose::Operations, 0);
        let mut chooser = KeyChooser::new(Distribution::Zipfian(Zipfian::Ycsb), 1_000, 1_000, 1, 0);
        let mut counts = vec![0u32; 3_001];
        for acknowledged in [1_000, 2_000, 3_001] {
            counts.fill(0);
            for _ in 0..200_000 {
                counts[chooser.draw(acknowledged, &mut random) as usize] += 1;
            }
            let top = (0..counts.len()).max_by_key(|number| counts[*number]);
            // Ranks 0, 1, 2 hash onto these numbers; the first that exists is the most popular.
            let first = [0, 1, 2].map(|rank| crate::keys::fnv(rank) as usize % 3_001);
            assert_eq!(top, first.into_iter().find(|number| *number < acknowledged as usize));
        }
    }
}
