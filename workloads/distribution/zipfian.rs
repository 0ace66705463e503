//! Zipf's law: Gray's closed form as YCSB draws it, and the law itself.

use super::Source;
use crate::keys::fnv;
use crate::seed::{Purpose, derive};
use rand::{Rng, RngExt};
use rand_distr::Distribution as _;
use rand_distr::Zipf;

/// The skew of YCSB's `zipfian`, fixed in its source (`ZipfianGenerator.ZIPFIAN_CONSTANT`).
pub const YCSB_THETA: f64 = 0.99;
/// YCSB draws a rank among 10^10 items and the one that an inclusive bound adds, however few keys
/// exist.
const YCSB_ITEMS: u64 = 10_000_000_001;
/// `ScrambledZipfianGenerator.ZETAN`: the sum of 1/i^0.99 for i = 1 .. 10^10, written out in YCSB.
pub const YCSB_ZETA: f64 = 26.469_028_201_783_02;

/// Terms that [`zeta`] adds one by one before it integrates the rest.
const SUMMED_TERMS: u64 = 256;

/// The generalised harmonic number: the sum of 1/i^theta for i = 1 .. `items`.
///
/// The first terms are added, the rest follows from the Euler-Maclaurin formula with two correction
/// terms; the error is below 1e-12 for theta from 0 to 10, at any size and in constant time.
pub fn zeta(items: u64, theta: f64) -> f64 {
    let head = items.min(SUMMED_TERMS);
    let sum: f64 = (1..=head).rev().map(|rank| (rank as f64).powf(-theta)).sum();
    if head == items { sum } else { sum + tail(head as f64, items as f64, theta) }
}

/// The sum for i = `from`+1 .. `to`, by Euler-Maclaurin.
fn tail(from: f64, to: f64, theta: f64) -> f64 {
    let term = |x: f64| x.powf(-theta);
    let slope = |x: f64| -theta * x.powf(-theta - 1.0);
    let third = |x: f64| -theta * (theta + 1.0) * (theta + 2.0) * x.powf(-theta - 3.0);
    // The integral of x^-theta, written so that theta = 1 is no special case.
    let exponent = (1.0 - theta) * (to / from).ln();
    let growth = if exponent == 0.0 { 1.0 } else { exponent.exp_m1() / exponent };
    let integral = from.powf(1.0 - theta) * (to / from).ln() * growth;
    integral + (term(to) - term(from)) / 2.0 + (slope(to) - slope(from)) / 12.0
        - (third(to) - third(from)) / 720.0
}

/// Gray's closed form for a rank, 0 the most popular (Gray et al., "Quickly Generating
/// Billion-Record Synthetic Databases", SIGMOD 1994, the section on non-uniform distributions).
///
/// Ranks 0 and 1 have their true probability; all others follow a continuous approximation. The
/// item count may grow: the sum is then continued, while `eta` keeps the first count, as in YCSB.
#[derive(Clone, Debug)]
pub struct GrayZipf {
    theta: f64,
    first_items: u64,
    items: u64,
    zeta: f64,
    eta: f64,
}

impl GrayZipf {
    pub fn new(items: u64, theta: f64) -> Self {
        Self::with_zeta(items, theta, zeta(items, theta))
    }

    /// For a sum that is known, as YCSB's constant is.
    pub fn with_zeta(items: u64, theta: f64, zeta: f64) -> Self {
        let mut zipf = GrayZipf { theta, first_items: items, items, zeta, eta: 0.0 };
        zipf.eta = zipf.eta_now();
        zipf
    }

    fn eta_now(&self) -> f64 {
        let span = (2.0 / self.first_items as f64).powf(1.0 - self.theta);
        (1.0 - span) / (1.0 - zeta(2, self.theta) / self.zeta)
    }

    /// Continues the sum to `items`. Fewer items than before change nothing (YCSB's rule).
    pub fn grow(&mut self, items: u64) {
        if items > self.items {
            self.zeta = if items - self.items < SUMMED_TERMS {
                let new = self.items + 1..=items;
                self.zeta + new.map(|rank| (rank as f64).powf(-self.theta)).sum::<f64>()
            } else {
                zeta(items, self.theta)
            };
            self.items = items;
            self.eta = self.eta_now();
        }
    }

    /// A rank below the item count.
    pub fn rank<R: Rng>(&self, random: &mut R) -> u64 {
        self.rank_of(random.random::<f64>())
    }

    fn rank_of(&self, uniform: f64) -> u64 {
        let scaled = uniform * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(self.theta) {
            return 1.min(self.items.saturating_sub(1));
        }
        let base = self.eta * uniform - self.eta + 1.0;
        let rank = self.items as f64 * base.powf(1.0 / (1.0 - self.theta));
        (rank as u64).min(self.items.saturating_sub(1))
    }

    /// The probability that a drawn rank is below `rank`: [`Self::rank`] inverted.
    pub fn below(&self, rank: u64) -> f64 {
        match rank {
            0 => 0.0,
            1 => (1.0 / self.zeta).min(1.0),
            _ if rank >= self.items => 1.0,
            _ => {
                let part = (rank as f64 / self.items as f64).powf(1.0 - self.theta);
                let head = (1.0 + 0.5f64.powf(self.theta)) / self.zeta;
                (1.0 - (1.0 - part) / self.eta).clamp(head, 1.0)
            }
        }
    }
}

/// YCSB's `ScrambledZipfianGenerator`: a rank among 10^10, hashed, modulo the number of keys.
///
/// The hash folds the long tail of 10^10 ranks evenly over the keys, so that popularity is far
/// flatter than Zipf's law over the keys would be: the top key has 1/26.469 = 3.778 % at any size.
#[derive(Clone, Debug)]
pub struct ScrambledZipf {
    pub(super) ranks: GrayZipf,
    pub(super) keys: u64,
}

impl ScrambledZipf {
    /// `keys` numbers are drawn; YCSB counts the records, twice the inserts to come, and one.
    pub fn new(keys: u64) -> Self {
        ScrambledZipf { ranks: GrayZipf::with_zeta(YCSB_ITEMS, YCSB_THETA, YCSB_ZETA), keys }
    }

    pub(super) fn key_of(&self, rank: u64) -> u64 {
        fnv(rank).rem_euclid(self.keys.min(i64::MAX as u64) as i64) as u64
    }
}

impl Source for ScrambledZipf {
    fn draw<R: Rng>(&mut self, random: &mut R) -> u64 {
        self.key_of(self.ranks.rank(random))
    }
}

/// Zipf's law over the keys themselves, exact, the ranks scattered over the keys by a seeded
/// permutation.
///
/// Ranks come from `rand_distr::Zipf`, a rejection sampler: constant time and memory, no
/// approximation.
#[derive(Clone, Debug)]
pub struct ExactZipf {
    ranks: Zipf<f64>,
    pub(super) theta: f64,
    pub(super) scatter: Permutation,
}

impl ExactZipf {
    /// `theta` must be finite and not negative; other values are drawn as 0, the uniform
    /// distribution.
    pub fn new(keys: u64, theta: f64, seed: u64) -> Self {
        let keys = keys.max(1);
        let theta = if theta.is_finite() { theta.max(0.0) } else { 0.0 };
        let ranks =
            Zipf::new(keys as f64, theta).expect("at least one key and a finite theta >= 0");
        ExactZipf { ranks, theta, scatter: Permutation::new(keys, seed) }
    }
}

impl Source for ExactZipf {
    fn draw<R: Rng>(&mut self, random: &mut R) -> u64 {
        let rank = (self.ranks.sample(random) as u64).clamp(1, self.scatter.items) - 1;
        self.scatter.at(rank)
    }
}

/// A seeded bijection of 0..items onto itself, in constant memory.
///
/// Multiplying by an odd number and folding the upper half onto the lower are both reversible on k
/// bits. Three rounds scatter well; what falls outside 0..items is sent round again ("cycle
/// walking", Black and Rogaway 2002, section 4), fewer than once on average because 2^k is below
/// twice the items.
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    pub(super) items: u64,
    mask: u64,
    fold: u32,
    rounds: [(u64, u64); 3],
}

impl Permutation {
    fn new(items: u64, seed: u64) -> Self {
        let bits = u64::BITS - items.saturating_sub(1).leading_zeros();
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        let constant = |round: u32| derive(seed, Purpose::Scatter, round);
        let rounds = std::array::from_fn(|round| {
            let round = round as u32;
            (constant(2 * round) | 1, constant(2 * round + 1))
        });
        Permutation { items, mask, fold: (bits / 2).max(1), rounds }
    }

    pub(super) fn at(&self, index: u64) -> u64 {
        let mut place = index;
        loop {
            for (factor, offset) in self.rounds {
                place = place.wrapping_mul(factor).wrapping_add(offset) & self.mask;
                place ^= place >> self.fold;
            }
            if place < self.items {
                return place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ycsbs_constant_is_the_sum_that_it_claims_to_be() {
        let computed = zeta(10_000_000_000, YCSB_THETA);
        assert!((computed - YCSB_ZETA).abs() < 1e-9, "{computed:.12}");
    }

    #[test]
    fn the_integrated_sum_equals_the_added_sum() {
        for theta in [0.0, 0.5, 0.99, 1.0, 1.5, 3.0] {
            for items in [1, 2, 255, 256, 257, 10_000, 300_000] {
                let added: f64 = (1..=items).rev().map(|rank| (rank as f64).powf(-theta)).sum();
                let error = (zeta(items, theta) - added).abs() / added;
                assert!(error < 1e-12, "theta {theta}, {items} items: off by {error:e}");
            }
        }
    }

    #[test]
    fn the_probability_below_a_rank_is_the_inverse_of_the_draw() {
        let zipf = GrayZipf::new(100_000, 0.99);
        for rank in [1, 2, 3, 10, 999, 50_000, 99_999] {
            let edge = zipf.below(rank);
            assert!(zipf.rank_of(edge - 1e-9) < rank, "just under the edge of {rank}");
            assert!(zipf.rank_of(edge + 1e-9) >= rank, "just over the edge of {rank}");
        }
        assert_eq!(zipf.below(100_000), 1.0);
    }

    #[test]
    fn tiny_and_growing_counts_stay_in_range() {
        for items in 0..5 {
            let mut zipf = GrayZipf::new(items, 0.99);
            for grown in items..items + 4 {
                zipf.grow(grown);
                for step in 0..1000 {
                    assert!(zipf.rank_of(f64::from(step) / 1000.0) < grown.max(1));
                }
            }
        }
    }

    #[test]
    fn growing_changes_the_head_as_a_fresh_generator_would() {
        let mut grown = GrayZipf::new(1_000, 0.99);
        grown.grow(50_000);
        assert_eq!(grown.below(1), GrayZipf::new(50_000, 0.99).below(1));
        for items in (50_000..60_000).step_by(7) {
            grown.grow(items);
        }
        let fresh = GrayZipf::new(grown.items, 0.99);
        assert!((grown.below(1) - fresh.below(1)).abs() < 1e-13, "small steps add up");
        let zeta_before = grown.zeta;
        grown.grow(10);
        assert_eq!(grown.zeta, zeta_before, "a smaller count changes nothing");
    }

    proptest! {
        #[test]
        fn the_permutation_hits_every_key_once(items in 1u64..3_000, seed: u64) {
            let permutation = Permutation::new(items, seed);
            let mut hit = vec![false; items as usize];
            for index in 0..items {
                let place = permutation.at(index) as usize;
                prop_assert!(!hit[place]);
                hit[place] = true;
            }
        }
    }
}
