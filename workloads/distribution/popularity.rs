//! The true popularity of every record, known rather than sampled.
//!
//! A sample that ranks records by its own counts overstates skew: among records of equal popularity
//! some are drawn more often by luck, and these make up its "top". So the ranking comes from the
//! probabilities.

use super::{ExactZipf, Exponential, GrayZipf, Hotspot, KeyChooser, Law, ScrambledZipf};

/// Ranks of the scrambled Zipf that are placed one by one: this many for each record, and at least
/// [`LEAST_PLACED_RANKS`]. The millions of ranks behind them fall evenly on all records.
const PLACED_RANKS_PER_RECORD: u64 = 4;
const LEAST_PLACED_RANKS: u64 = 1 << 20;

impl KeyChooser {
    /// A weight for each of the first `records` records, proportional to the probability that it is
    /// drawn while exactly these exist. `records` is the number that the chooser was made for.
    pub fn popularity(&self, records: u64) -> Vec<f64> {
        let mut weights = vec![0.0; records as usize];
        match &self.law {
            Law::Scrambled(zipf) => zipf.weigh(&mut weights),
            Law::Exact(zipf) => zipf.weigh(&mut weights),
            Law::Latest(latest) => weigh_ages(&latest.ages, &mut weights),
            Law::Hotspot(hotspot) => hotspot.weigh(&mut weights),
            Law::Exponential(exponential) => exponential.weigh(&mut weights),
            Law::Uniform(_) | Law::Sequential(_) => weights.fill(1.0),
        }
        weights
    }
}

impl ScrambledZipf {
    fn weigh(&self, weights: &mut [f64]) {
        let placed = (self.keys.saturating_mul(PLACED_RANKS_PER_RECORD)).max(LEAST_PLACED_RANKS);
        weights.fill((1.0 - self.ranks.below(placed)) / self.keys as f64);
        let mut below = 0.0;
        for rank in 0..placed {
            let end = self.ranks.below(rank + 1);
            if let Some(weight) = weights.get_mut(self.key_of(rank) as usize) {
                *weight += end - below;
            }
            below = end;
        }
    }
}

impl ExactZipf {
    fn weigh(&self, weights: &mut [f64]) {
        for rank in 0..self.scatter.items {
            if let Some(weight) = weights.get_mut(self.scatter.at(rank) as usize) {
                *weight = ((rank + 1) as f64).powf(-self.theta);
            }
        }
    }
}

/// The newest record has age 0; the oldest of several is never drawn.
fn weigh_ages(ages: &GrayZipf, weights: &mut [f64]) {
    let drawn = weights.len().saturating_sub(1).max(1);
    for (age, weight) in weights.iter_mut().rev().take(drawn).enumerate() {
        *weight = ages.below(age as u64 + 1) - ages.below(age as u64);
    }
}

impl Exponential {
    fn weigh(&self, weights: &mut [f64]) {
        for (age, weight) in weights.iter_mut().rev().enumerate() {
            *weight = (-self.gamma * age as f64).exp();
        }
    }
}

impl Hotspot {
    fn weigh(&self, weights: &mut [f64]) {
        let (hot, cold) = weights.split_at_mut((self.hot_records as usize).min(weights.len()));
        hot.fill(self.hot_operations / hot.len() as f64);
        cold.fill((1.0 - self.hot_operations) / cold.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::{Distribution, Zipfian};
    use crate::seed::{Purpose, generator};

    /// Per cent of the weight on the top key and on the top 1, 10 and 20 % of keys.
    fn percents(mut weights: Vec<f64>) -> [f64; 4] {
        weights.sort_unstable_by(|a, b| b.total_cmp(a));
        let keys = weights.len();
        let total: f64 = weights.iter().sum();
        [1, keys / 100, keys / 10, keys / 5]
            .map(|top| 100.0 * weights[..top].iter().sum::<f64>() / total)
    }

    fn assert_near(found: [f64; 4], expected: [f64; 4], what: &str) {
        for (found_one, expected_one) in found.into_iter().zip(expected) {
            let off = (found_one - expected_one).abs();
            assert!(off < 0.1, "{what}: {found:.2?}, expected {expected:?}");
        }
    }

    /// What twenty million draws of the generator over a round number of keys give when the keys
    /// are ranked by these draws, beside what the probabilities give: the sample's own ranking adds
    /// more than a point to the top 20 % of a million keys.
    #[test]
    fn the_scrambled_generator_has_the_shares_that_were_measured() {
        for (keys, draws, sampled, known) in [
            (1_000, 4_000_000, [3.88, 13.1, 29.6, 39.0], [3.89, 13.13, 29.57, 39.05]),
            (100_000, 20_000_000, [3.78, 30.4, 44.8, 53.4], [3.78, 30.40, 44.75, 53.25]),
            (1_000_000, 20_000_000, [3.77, 40.0, 54.9, 63.4], [3.78, 39.92, 54.38, 62.29]),
        ] {
            let mut chooser = KeyChooser { law: Law::Scrambled(ScrambledZipf::new(keys)) };
            assert_near(percents(chooser.popularity(keys)), known, "known");
            let mut random = generator(42, Purpose::Sample, 0);
            let mut counts = vec![0.0; keys as usize];
            for _ in 0..draws {
                counts[chooser.draw(keys, &mut random) as usize] += 1.0;
            }
            assert_near(percents(counts), sampled, "sampled");
        }
    }

    /// `CoreWorkload` makes that generator for one key more than there are records, so the hash
    /// falls differently.
    #[test]
    fn core_workload_draws_from_one_key_more_than_there_are_records() {
        for (keys, expected) in [
            (1_000, [3.86, 12.61, 29.00, 40.08]),
            (100_000, [3.78, 30.41, 44.88, 53.23]),
            (1_000_000, [3.78, 39.99, 54.39, 61.97]),
        ] {
            let zipfian = Distribution::Zipfian(Zipfian::Ycsb);
            let chooser = KeyChooser::new(zipfian, keys, 0, 42, 0);
            assert_near(percents(chooser.popularity(keys)), expected, "known");
        }
    }

    /// The law over a round number of keys, by the table that the exact mode is held to.
    #[test]
    fn exact_zipfian_is_weighed_by_the_law() {
        for (keys, expected) in [
            (1_000, [12.94, 38.3, 68.5, 77.9]),
            (100_000, [7.83, 60.5, 80.0, 86.0]),
            (1_000_000, [6.50, 66.4, 83.0, 88.1]),
        ] {
            let zipfian = Distribution::Zipfian(Zipfian::Exact { theta: 0.99 });
            let chooser = KeyChooser::new(zipfian, keys, 0, 42, 0);
            assert_near(percents(chooser.popularity(keys)), expected, "exact");
        }
    }
}
