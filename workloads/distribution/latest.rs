//! Popularity by recency: `latest` and `exponential` count back from the newest record.

use super::zipfian::{GrayZipf, YCSB_THETA};
use rand::{Rng, RngExt};

/// YCSB's `SkewedLatestGenerator`: the newest record is the most popular, by Gray's Zipf over the
/// age.
#[derive(Clone, Debug)]
pub struct Latest {
    pub(super) ages: GrayZipf,
}

impl Latest {
    pub fn new(records: u64) -> Self {
        Latest { ages: GrayZipf::new(records.saturating_sub(1), YCSB_THETA) }
    }

    /// A record number up to `newest`, the last acknowledged one. The item count is `newest`
    /// itself, one less than the records that exist, as in YCSB: the oldest record is never drawn.
    pub fn draw<R: Rng>(&mut self, newest: u64, random: &mut R) -> u64 {
        self.ages.grow(newest);
        newest.saturating_sub(self.ages.rank(random))
    }
}

/// YCSB's `ExponentialGenerator`: ages fall off exponentially, whatever is older than the oldest
/// record is drawn again.
#[derive(Clone, Debug)]
pub struct Exponential {
    pub(super) gamma: f64,
}

impl Exponential {
    /// `percentile` per cent of the draws fall on the newest `fraction` of `records`, before
    /// redraws.
    pub fn new(records: u64, percentile: f64, fraction: f64) -> Self {
        Exponential { gamma: -(1.0 - percentile / 100.0).ln() / (records as f64 * fraction) }
    }

    pub fn draw<R: Rng>(&self, newest: u64, random: &mut R) -> u64 {
        loop {
            // 1 - u lies in (0, 1], so the logarithm is finite.
            let age = -(1.0 - random.random::<f64>()).ln() / self.gamma;
            if age < newest as f64 + 1.0 {
                return newest - (age as u64).min(newest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, generator};

    #[test]
    fn the_newest_record_has_the_share_of_the_first_rank() {
        let mut random = generator(1, Purpose::Operations, 0);
        let mut latest = Latest::new(1_000);
        let draws = 400_000;
        let hits = (0..draws).filter(|_| latest.draw(999, &mut random) == 999).count();
        let expected = 1.0 / super::super::zipfian::zeta(999, YCSB_THETA);
        assert!((hits as f64 / f64::from(draws) - expected).abs() < 0.002, "{hits}");
    }

    #[test]
    fn the_newest_record_stays_the_newest_while_records_arrive() {
        let mut random = generator(2, Purpose::Operations, 0);
        let mut latest = Latest::new(1_000);
        for newest in [999, 1_500, 30_000] {
            let hits = (0..20_000).filter(|_| latest.draw(newest, &mut random) == newest).count();
            assert!(hits > 1_500, "record {newest}: {hits} of 20,000");
        }
    }

    #[test]
    fn one_or_two_records_are_enough() {
        let mut random = generator(3, Purpose::Operations, 0);
        for records in 1..4 {
            let mut latest = Latest::new(records);
            let exponential = Exponential::new(records, 95.0, 0.857);
            for _ in 0..1_000 {
                assert!(latest.draw(records - 1, &mut random) < records);
                assert!(exponential.draw(records - 1, &mut random) < records);
            }
        }
    }

    #[test]
    fn the_stated_percentile_falls_on_the_stated_fraction() {
        let mut random = generator(4, Purpose::Operations, 0);
        let exponential = Exponential::new(10_000, 95.0, 0.5);
        let draws = 400_000;
        let newer = (0..draws).filter(|_| exponential.draw(9_999, &mut random) >= 5_000).count();
        // Redraws cut off the ages above 10,000: 0.95 / (1 - 0.05^2).
        let expected = 0.95 / (1.0 - 0.05f64.powi(2));
        assert!((newer as f64 / f64::from(draws) - expected).abs() < 0.002, "{newer}");
    }
}
