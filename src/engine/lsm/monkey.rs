//! How many filter bits each level's tables get.
//!
//! With as many bits per key everywhere, the largest level takes nearly all of the memory, and
//! every level costs the same share of reads in vain. Dayan, Athanassoulis, Idreos, "Monkey:
//! Optimal Navigable Key-Value Store", SIGMOD 2017, section 4: the sum of the false positives is
//! least, for a given memory, where the rate of a level is in proportion to its entries. A level a
//! tenth as large then has a tenth of the rate, which costs `ln 10 / (ln 2)^2` = 4.8 more bits per
//! key, of few keys.

use std::f64::consts::LN_2;

/// No filter gains from more than this.
const MOST_BITS: f64 = 20.0;

/// Bits per key for a table of `level`, where the levels hold `entries` and every key was to have
/// `mean_bits`.
pub fn bits(mean_bits: u32, level: usize, entries: &[u64]) -> u32 {
    let largest = entries.iter().copied().max().unwrap_or_default();
    let total: f64 = entries.iter().map(|entries| *entries as f64).sum();
    if largest == 0 || mean_bits == 0 {
        return mean_bits;
    }
    // A level that is not there yet is as good as a small one.
    let extra = |entries: u64| (largest as f64 / entries.max(1) as f64).ln() / (LN_2 * LN_2);
    let spent: f64 = entries.iter().map(|entries| *entries as f64 * extra(*entries)).sum();
    let of_largest = f64::from(mean_bits) - spent / total;
    let own = of_largest + extra(entries.get(level).copied().unwrap_or_default());
    own.clamp(1.0, MOST_BITS).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// False positives of one look into each level: e^(-bits (ln 2)^2).
    fn in_vain(bits: impl Iterator<Item = u32>) -> f64 {
        bits.map(|bits| (-f64::from(bits) * LN_2 * LN_2).exp()).sum()
    }

    #[test]
    fn small_levels_get_more_bits_and_reads_in_vain_get_fewer() {
        let entries = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
        let spread: Vec<u32> = (0..5).map(|level| bits(10, level, &entries)).collect();
        assert_eq!(spread, [20, 20, 19, 14, 9]);
        let memory: f64 = spread
            .iter()
            .zip(entries)
            .map(|(bits, entries)| f64::from(*bits) * entries as f64)
            .sum();
        assert!(memory < 10.05 * entries.iter().sum::<u64>() as f64);
        let uniform = in_vain((0..5).map(|_| 10));
        assert!(in_vain(spread.into_iter()) < uniform / 2.5);
    }

    #[test]
    fn one_level_gets_what_was_asked_for() {
        assert_eq!(bits(10, 0, &[0]), 10);
        assert_eq!(bits(10, 2, &[0, 0, 5_000]), 10);
        assert_eq!(bits(0, 1, &[5, 50]), 0);
    }
}
