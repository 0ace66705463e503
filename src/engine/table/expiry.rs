//! When entries expire: few numbers that never promise too much.

use crate::engine::codec::{Fields, put_varint};

/// A picker sees no more than so many buckets.
const MOST_BUCKETS: usize = 32;
/// So many are kept while a table is written, so that they are merged now and then only.
const MOST_WHILE_COUNTING: usize = 2 * MOST_BUCKETS;

/// Entries that expire, by time: ranges of seconds since 1970, and how many entries lie in each.
///
/// Like the streaming histogram of Ben-Haim and Tom-Tov (JMLR 2010) it merges the two buckets that
/// lie closest when there are too many; but a bucket keeps its range instead of its mean, so that
/// what it says holds: by its last second all of its entries have expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    first_s: u64,
    last_s: u64,
    entries: u64,
}

impl Expiry {
    pub fn add(&mut self, expires_s: u64) {
        let at = self.buckets.partition_point(|bucket| bucket.last_s < expires_s);
        match self.buckets.get_mut(at) {
            Some(bucket) if bucket.first_s <= expires_s => bucket.entries += 1,
            _ => {
                let bucket = Bucket { first_s: expires_s, last_s: expires_s, entries: 1 };
                self.buckets.insert(at, bucket);
                if self.buckets.len() > MOST_WHILE_COUNTING {
                    self.shrink();
                }
            }
        }
    }

    /// Merges what lies closest until a picker may see it.
    pub fn shrink(&mut self) {
        while self.buckets.len() > MOST_BUCKETS {
            let widths = self.buckets.windows(2).map(|pair| pair[1].last_s - pair[0].first_s);
            let closest = widths.enumerate().min_by_key(|(_, width)| *width);
            let Some((at, _)) = closest else { return };
            let earlier = self.buckets.remove(at);
            self.buckets[at].first_s = earlier.first_s;
            self.buckets[at].entries += earlier.entries;
        }
    }

    /// (No later than this second since 1970, how many), ascending.
    pub fn upper_bounds(&self) -> Vec<(u64, u64)> {
        self.buckets.iter().map(|bucket| (bucket.last_s, bucket.entries)).collect()
    }

    pub fn entries(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.entries).sum()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.buckets.len() as u64);
        for bucket in &self.buckets {
            put_varint(out, bucket.first_s);
            put_varint(out, bucket.last_s - bucket.first_s);
            put_varint(out, bucket.entries);
        }
    }

    pub fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let count = fields.varint().filter(|count| *count <= MOST_BUCKETS as u64)?;
        let mut buckets: Vec<Bucket> = Vec::new();
        for _ in 0..count {
            let first_s = fields.varint()?;
            let last_s = first_s.checked_add(fields.varint()?)?;
            if buckets.last().is_some_and(|before| before.last_s >= first_s) {
                return None;
            }
            buckets.push(Bucket { first_s, last_s, entries: fields.varint()? });
        }
        Some(Expiry { buckets })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_seconds_are_told_exactly() {
        let mut expiry = Expiry::default();
        (0..1_000u64).for_each(|n| expiry.add(100 + n % 30 * 7));
        expiry.shrink();
        let expected: Vec<(u64, u64)> =
            (0..30).map(|n| (100 + n * 7, if n < 10 { 34 } else { 33 })).collect();
        assert_eq!(expiry.upper_bounds(), expected);
    }

    #[test]
    fn a_far_second_does_not_blur_the_near_ones() {
        let mut expiry = Expiry::default();
        expiry.add(u64::MAX);
        (0..20_000u64).for_each(|n| expiry.add(1_000 + n * 7_919 % 3_000));
        expiry.shrink();
        let widest = expiry.buckets.iter().map(|bucket| bucket.last_s - bucket.first_s).max();
        assert!(widest.unwrap() < 500, "{:?}", expiry.upper_bounds());
    }

    proptest! {
        /// Never more is said to have expired than has, and in the end all of it.
        #[test]
        fn it_never_promises_too_much(seconds in proptest::collection::vec(1u64..5_000, 0..400)) {
            let mut expiry = Expiry::default();
            seconds.iter().for_each(|second| expiry.add(*second));
            expiry.shrink();
            let bounds = expiry.upper_bounds();
            prop_assert!(bounds.len() <= MOST_BUCKETS);
            prop_assert!(bounds.is_sorted_by(|a, b| a.0 < b.0));
            for (at, _) in &bounds {
                let told: u64 = bounds.iter().filter(|(s, _)| s <= at).map(|(_, n)| n).sum();
                let truth = seconds.iter().filter(|second| *second <= at).count() as u64;
                prop_assert_eq!(told, truth, "at the end of a bucket it is exact");
            }
            prop_assert_eq!(expiry.entries(), seconds.len() as u64);
            let mut bytes = Vec::new();
            expiry.encode(&mut bytes);
            prop_assert_eq!(Expiry::decode(&mut Fields::new(&bytes)), Some(expiry));
        }
    }
}
