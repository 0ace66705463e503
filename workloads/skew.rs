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
/// "Top 1 %" is a hundredth of all keys, rounded up, whether they were drawn or not. A sample ranks
/// keys by its own counts, so it overstates a flat tail when there are few draws for each key: by a
/// draw or two of noise for every key in the set. Some 20 draws per key keep the error within a few
/// hundredths.
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

/// Counts how often each key is drawn: four bytes for each key.
#[derive(Clone, Debug)]
pub struct SkewCounter {
    counts: Vec<u32>,
}

impl SkewCounter {
    /// For record numbers below `keys`; it grows when a larger one comes.
    pub fn new(keys: u64) -> Self {
        SkewCounter { counts: vec![0; keys as usize] }
    }

    /// Counts one draw of a record's number.
    pub fn observe(&mut self, number: u64) {
        let at = number as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(1);
    }

    /// The shares of what was counted.
    pub fn skew(mut self) -> Skew {
        let keys = self.counts.len();
        self.counts.sort_unstable_by(|a, b| b.cmp(a));
        let sum =
            |top: usize| self.counts[..top].iter().map(|count| u64::from(*count)).sum::<u64>();
        let draws = sum(keys);
        let share = |top: usize| sum(top.min(keys)) as f64 / draws.max(1) as f64;
        Skew {
            keys: keys as u64,
            draws,
            top_key: share(1),
            top_1_percent: share(keys.div_ceil(100)),
            top_10_percent: share(keys.div_ceil(10)),
            top_20_percent: share(keys.div_ceil(5)),
        }
    }
}

impl Workload {
    /// The skew of `draws` requests over `records` records, before any insert.
    ///
    /// Costs some 50 ns for each draw and four bytes for each record.
    pub fn realised_skew(&self, records: u64, seed: u64, draws: u64) -> Skew {
        let inserts = self.expected_inserts();
        let mut chooser = KeyChooser::new(self.request_distribution, records, inserts, seed, 0);
        let mut random = generator(seed, Purpose::Sample, 0);
        let mut counter = SkewCounter::new(records);
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

    /// Draws per key settle the tail that a sample ranks by its own counts.
    fn measured(zipfian: Zipfian, keys: u64, draws: u64) -> Skew {
        let workload = Workload {
            request_distribution: Distribution::Zipfian(zipfian),
            ..Workload::default()
        };
        workload.realised_skew(keys, 42, draws)
    }

    /// Shares in per cent, measured with twenty million draws of YCSB's and of an exact generator.
    fn assert_shares(zipfian: Zipfian, keys: u64, draws: u64, expected: [f64; 4], tolerance: f64) {
        let skew = measured(zipfian, keys, draws);
        let found = [skew.top_key, skew.top_1_percent, skew.top_10_percent, skew.top_20_percent];
        for (found, expected) in found.into_iter().zip(expected) {
            let off = (100.0 * found - expected).abs();
            assert!(off < tolerance, "{zipfian:?}, {skew}: {expected} expected");
        }
    }

    const EXACT: Zipfian = Zipfian::Exact { theta: 0.99 };

    #[test]
    fn exact_zipfian_has_the_shares_of_the_law() {
        assert_shares(EXACT, 1_000, 3_000_000, [12.94, 38.3, 68.5, 77.9], 0.15);
        assert_shares(EXACT, 100_000, 5_000_000, [7.83, 60.5, 80.0, 86.0], 0.25);
        assert_shares(EXACT, 1_000_000, 20_000_000, [6.50, 66.4, 83.0, 88.1], 0.6);
    }

    #[test]
    fn ycsbs_zipfian_has_the_shares_that_ycsb_really_draws() {
        assert_shares(Zipfian::Ycsb, 1_000, 3_000_000, [3.88, 13.1, 29.6, 39.0], 1.1);
        assert_shares(Zipfian::Ycsb, 100_000, 20_000_000, [3.78, 30.4, 44.8, 53.4], 0.15);
        assert_shares(Zipfian::Ycsb, 1_000_000, 20_000_000, [3.77, 40.0, 54.9, 63.4], 0.4);
    }

    /// 1/26.469: the closed form gives rank 0 its true probability among 10^10, and no other
    /// popular rank falls on the same key.
    #[test]
    fn the_top_key_of_ycsb_has_3_778_per_cent_at_any_size() {
        for keys in [100_000, 3_000_000] {
            let skew = measured(Zipfian::Ycsb, keys, 4_000_000);
            assert!((skew.top_key - 0.037_78).abs() < 0.000_4, "{skew}");
        }
    }

    #[test]
    fn another_theta_is_the_law_of_that_theta() {
        for theta in [0.0, 0.5, 1.0, 1.5] {
            let skew = measured(Zipfian::Exact { theta }, 1_000, 2_000_000);
            let share = |top| zeta(top, theta) / zeta(1_000, theta);
            assert!((skew.top_10_percent - share(100)).abs() < 0.006, "theta {theta}: {skew}");
            assert!((skew.top_20_percent - share(200)).abs() < 0.010, "theta {theta}: {skew}");
        }
    }

    #[test]
    fn a_share_counts_the_most_popular_keys_of_all_keys() {
        let mut counter = SkewCounter::new(200);
        for (number, times) in [(7, 50), (150, 30), (3, 15), (9, 5)] {
            (0..times).for_each(|_| counter.observe(number));
        }
        let skew = counter.skew();
        assert_eq!((skew.keys, skew.draws), (200, 100));
        let shares = [skew.top_key, skew.top_1_percent, skew.top_10_percent, skew.top_20_percent];
        assert_eq!(shares, [0.5, 0.8, 1.0, 1.0]);
        assert!(skew.to_string().starts_with("top key 50.00 %, top 1 % of keys 80.0 %"), "{skew}");
    }

    #[test]
    fn nothing_observed_and_a_number_beyond_are_no_trouble() {
        assert_eq!(SkewCounter::new(10).skew().top_key, 0.0);
        let mut counter = SkewCounter::new(0);
        counter.observe(4);
        assert_eq!((counter.clone().skew().keys, counter.skew().top_key), (5, 1.0));
    }
}
