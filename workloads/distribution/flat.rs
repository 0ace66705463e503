//! Distributions without a law of ranks: a hot set, and one key after the other.

use super::Source;
use rand::{Rng, RngExt};

/// YCSB's `HotspotIntegerGenerator`: a part of the operations falls on a part of the records.
///
/// The hot records are the lowest numbers, uniform inside; hashing the names scatters them.
#[derive(Clone, Debug)]
pub struct Hotspot {
    records: u64,
    pub(super) hot_records: u64,
    pub(super) hot_operations: f64,
}

impl Hotspot {
    /// Both fractions lie in 0..=1. Where one of the two sets is empty, all draws go to the other;
    /// YCSB divides by zero there.
    pub fn new(records: u64, data_fraction: f64, operation_fraction: f64) -> Self {
        let hot_records = ((records as f64 * data_fraction) as u64).min(records);
        let hot_operations = match hot_records {
            0 => 0.0,
            all if all == records => 1.0,
            _ => operation_fraction,
        };
        Hotspot { records, hot_records, hot_operations }
    }
}

impl Source for Hotspot {
    fn draw<R: Rng>(&mut self, random: &mut R) -> u64 {
        if random.random::<f64>() < self.hot_operations {
            random.random_range(0..self.hot_records)
        } else {
            random.random_range(self.hot_records..self.records)
        }
    }
}

/// One record after the other, round and round.
///
/// YCSB's threads share one counter. Streams here share nothing, so that each is reproducible
/// alone: every stream walks all records, from a start that the golden ratio spreads over the key
/// space.
#[derive(Clone, Debug)]
pub struct Sequential {
    records: u64,
    next: u64,
}

impl Sequential {
    pub fn new(records: u64, stream: u32) -> Self {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let part = u128::from(u64::from(stream).wrapping_mul(GOLDEN));
        Sequential { records, next: ((part * u128::from(records)) >> 64) as u64 }
    }
}

impl Source for Sequential {
    fn draw<R: Rng>(&mut self, _random: &mut R) -> u64 {
        let number = self.next;
        self.next = if number + 1 < self.records { number + 1 } else { 0 };
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, generator};

    #[test]
    fn the_hot_set_gets_its_part_and_is_uniform_inside() {
        let mut random = generator(1, Purpose::Operations, 0);
        let mut hotspot = Hotspot::new(1_000, 0.2, 0.8);
        let mut counts = vec![0u32; 1_000];
        for _ in 0..1_000_000 {
            counts[hotspot.draw(&mut random) as usize] += 1;
        }
        let hot: u32 = counts[..200].iter().sum();
        assert!((f64::from(hot) / 1e6 - 0.8).abs() < 0.002, "{hot}");
        assert!(counts[..200].iter().all(|count| (3_600..4_400).contains(count)));
        assert!(counts[200..].iter().all(|count| (150..360).contains(count)));
    }

    #[test]
    fn an_empty_side_sends_every_draw_to_the_other() {
        let mut random = generator(2, Purpose::Operations, 0);
        for fraction in [0.0, 0.01, 1.0] {
            let mut hotspot = Hotspot::new(10, fraction, 0.8);
            let mut hit = [false; 10];
            for _ in 0..1_000 {
                hit[hotspot.draw(&mut random) as usize] = true;
            }
            assert_eq!(hit, [true; 10]);
        }
    }

    #[test]
    fn a_walk_visits_every_record_once_from_where_its_stream_starts() {
        let mut random = generator(3, Purpose::Operations, 0);
        for stream in [0, 1, 17, u32::MAX] {
            let mut walk = Sequential::new(37, stream);
            let mut seen: Vec<u64> = (0..37).map(|_| walk.draw(&mut random)).collect();
            let first = seen[0];
            assert_eq!(walk.draw(&mut random), first);
            seen.sort_unstable();
            assert_eq!(seen, (0..37).collect::<Vec<_>>());
        }
        assert_ne!(Sequential::new(1_000, 1).next, Sequential::new(1_000, 2).next);
    }
}
