//! How skewed a workload really is.
//!
//! "Zipfian 0.99" does not say it: YCSB's generator gives the top key 3.8 % of a million keys where
//! the law gives 6.5 %, and the top hundredth 40 % where the law gives 66 %. So the shares are
//! measured from the chooser itself, outside the measured run, and printed with every result.

use crate::distribution::KeyChooser;
use crate::seed::{Purpose, generator};
use crate::spec::Workload;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The parts of the draws, 0 to 1, that fell on the most popular keys.
///
/// "Top 1 %" is a hundredth of all keys, rounded up. Which keys these are follows from their true
/// popularity, not from the draws themselves, so the shares are unbiased however few draws there
/// are; their standard error is at most 0.5/sqrt(draws), 0.16 % at 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    pub keys: u64,
    pub draws: u64,
    pub top_key: f64,
    pub top_1_percent: f64,
    pub top_10_percent: f64,
    pub top_20_percent: f64,
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "top key {:.2} %, top 1 % of keys {:.1} %, top 10 % {:.1} %, top 20 % {:.1} % \
             ({} draws over {} keys)",
            100.0 * self.top_key,
            100.0 * self.top_1_percent,
            100.0 * self.top_10_percent,
            100.0 * self.top_20_percent,
            self.draws,
            self.keys
        )
    }
}

/// How many keys each of the four sets has: the top key, and the top 1, 10 and 20 %.
fn set_sizes(keys: usize) -> [usize; 4] {
    [1, keys.div_ceil(100), keys.div_ceil(10), keys.div_ceil(5)]
}

/// A key outside all four sets.
const OUTSIDE: u8 = 4;

/// Counts draws by the popularity of what was drawn: a byte for each key, one look-up for each
/// draw.
///
/// The sets are those of the loaded records before any insert. Under `latest` and `exponential`
/// popularity moves on with the inserts, so there the counter tells about the start of a run.
#[derive(Clone, Debug)]
pub struct SkewCounter {
    /// The smallest set, 0 to 3, that each key belongs to.
    sets: Vec<u8>,
    /// Draws whose smallest set is this one; the last counts what is outside of all.
    counts: [u64; 5],
}

impl SkewCounter {
    /// Ranks the keys of `workload` over `records` records for a run's seed.
    ///
    /// Costs some 0.3 s and 13 MB for a million records, once.
    pub fn new(workload: &Workload, records: u64, seed: u64) -> Self {
        Self::of(&chooser(workload, records, seed).popularity(records))
    }

    fn of(popularity: &[f64]) -> Self {
        let mut sets = vec![OUTSIDE; popularity.len()];
        let mut ranked: Vec<u32> = (0..popularity.len() as u32).collect();
        let mut inside = &mut ranked[..];
        for (set, size) in set_sizes(popularity.len()).into_iter().enumerate().rev() {
            if size < inside.len() {
                inside.select_nth_unstable_by(size, |a, b| {
                    popularity[*b as usize].total_cmp(&popularity[*a as usize])
                });
                inside = &mut inside[..size];
            }
            inside.iter().for_each(|key| sets[*key as usize] = set as u8);
        }
        SkewCounter { sets, counts: [0; 5] }
    }

    /// Counts one draw of a record's number; inserted records count as unpopular.
    pub fn observe(&mut self, number: u64) {
        let set = self.sets.get(number as usize).copied().unwrap_or(OUTSIDE);
        self.counts[usize::from(set)] += 1;
    }

    /// The shares of what was counted so far.
    pub fn skew(&self) -> Skew {
        let draws: u64 = self.counts.iter().sum();
        let share = |sets: usize| {
            let inside: u64 = self.counts[..sets].iter().sum();
            inside as f64 / draws.max(1) as f64
        };
        Skew {
            keys: self.sets.len() as u64,
            draws,
            top_key: share(1),
            top_1_percent: share(2),
            top_10_percent: share(3),
            top_20_percent: share(4),
        }
    }
}

/// The chooser that stream 0 of a run with this seed would have.
fn chooser(workload: &Workload, records: u64, seed: u64) -> KeyChooser {
    let inserts = workload.expected_inserts();
    KeyChooser::new(workload.request_distribution, records, inserts, seed, 0)
}

impl Workload {
    /// The skew of `draws` requests over `records` records, before any insert: some 50 ns for each
    /// draw, and what [`SkewCounter::new`] costs.
    pub fn realised_skew(&self, records: u64, seed: u64, draws: u64) -> Skew {
        let mut chooser = chooser(self, records, seed);
        let mut random = generator(seed, Purpose::Sample, 0);
        let mut counter = SkewCounter::new(self, records, seed);
        for _ in 0..draws {
            counter.observe(chooser.draw(records, &mut random));
        }
        counter.skew()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::{Distribution, Zipfian, zeta};

    fn workload(request_distribution: Distribution) -> Workload {
        Workload { request_distribution, ..Workload::default() }
    }

    fn shares(skew: &Skew) -> [f64; 4] {
        [skew.top_key, skew.top_1_percent, skew.top_10_percent, skew.top_20_percent]
    }

    fn assert_percents(what: &str, skew: &Skew, expected: [f64; 4], tolerance: f64) {
        for (found, expected) in shares(skew).into_iter().zip(expected) {
            let off = (100.0 * found - expected).abs();
            assert!(off < tolerance, "{what}: {skew}; {expected} expected");
        }
    }

    /// The shares that the probabilities themselves give.
    fn expected(workload: &Workload, keys: u64) -> [f64; 4] {
        let mut weights = chooser(workload, keys, 42).popularity(keys);
        weights.sort_unstable_by(|a, b| b.total_cmp(a));
        let total: f64 = weights.iter().sum();
        set_sizes(weights.len()).map(|size| weights[..size].iter().sum::<f64>() / total)
    }

    #[test]
    fn exact_zipfian_has_the_shares_of_the_law() {
        let exact = workload(Distribution::Zipfian(Zipfian::Exact { theta: 0.99 }));
        for (keys, percents) in [
            (1_000, [12.94, 38.3, 68.5, 77.9]),
            (100_000, [7.83, 60.5, 80.0, 86.0]),
            (1_000_000, [6.50, 66.4, 83.0, 88.1]),
        ] {
            let skew = exact.realised_skew(keys, 42, 2_000_000);
            assert_percents("exact", &skew, percents, 0.15);
        }
    }

    /// 1/26.469: the closed form gives rank 0 its true probability among 10^10, and no other
    /// popular rank falls on the same key.
    #[test]
    fn the_top_key_of_ycsb_has_3_778_per_cent_at_any_size() {
        let ycsb = workload(Distribution::Zipfian(Zipfian::Ycsb));
        for keys in [100_000, 1_000_000] {
            let skew = ycsb.realised_skew(keys, 42, 4_000_000);
            assert!((skew.top_key - 0.037_78).abs() < 0.000_4, "{skew}");
        }
    }

    #[test]
    fn every_distribution_draws_by_its_stated_popularity() {
        for distribution in [
            Distribution::Zipfian(Zipfian::Ycsb),
            Distribution::Zipfian(Zipfian::Exact { theta: 0.5 }),
            Distribution::Zipfian(Zipfian::Exact { theta: 1.5 }),
            Distribution::Latest,
            Distribution::Hotspot { data_fraction: 0.05, operation_fraction: 0.7 },
            Distribution::Uniform,
            Distribution::Exponential { percentile: 95.0, fraction: 0.4 },
            Distribution::Sequential,
        ] {
            let workload = workload(distribution);
            for keys in [1_000, 20_000] {
                let skew = workload.realised_skew(keys, 42, 1_000_000);
                let percents = expected(&workload, keys).map(|share| 100.0 * share);
                assert_percents(distribution.name(), &skew, percents, 0.25);
            }
        }
    }

    #[test]
    fn a_small_sample_is_not_biased_by_its_own_luck() {
        let skew = workload(Distribution::Uniform).realised_skew(1_000_000, 42, 100_000);
        assert_percents("uniform", &skew, [0.0, 1.0, 10.0, 20.0], 0.6);
    }

    #[test]
    fn another_theta_is_the_law_of_that_theta() {
        for theta in [0.0, 0.5, 1.0, 1.5] {
            let exact = workload(Distribution::Zipfian(Zipfian::Exact { theta }));
            let law = set_sizes(5_000).map(|top| zeta(top as u64, theta) / zeta(5_000, theta));
            let skew = exact.realised_skew(5_000, 42, 1_000_000);
            assert_percents("exact", &skew, law.map(|share| 100.0 * share), 0.25);
        }
    }

    #[test]
    fn a_share_counts_the_keys_that_are_popular() {
        let mut popularity = vec![1.0; 200];
        popularity[7] = 9.0;
        popularity[150] = 8.0;
        let mut counter = SkewCounter::of(&popularity);
        for (number, times) in [(7, 50), (150, 30), (200, 20)] {
            (0..times).for_each(|_| counter.observe(number));
        }
        let skew = counter.skew();
        assert_eq!((skew.keys, skew.draws), (200, 100));
        assert_eq!(shares(&skew), [0.5, 0.8, 0.8, 0.8]);
        assert!(skew.to_string().starts_with("top key 50.00 %, top 1 % of keys 80.0 %"), "{skew}");
    }

    #[test]
    fn one_key_and_no_draw_are_no_trouble() {
        let uniform = workload(Distribution::Uniform);
        assert_eq!(shares(&uniform.realised_skew(1, 42, 10)), [1.0; 4]);
        assert_eq!(shares(&uniform.realised_skew(10, 42, 0)), [0.0; 4]);
    }
}
