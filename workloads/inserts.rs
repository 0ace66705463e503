//! The counter of inserted records, shared by all streams of a run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The most inserts that may wait behind one that is not acknowledged: 2^20, as in YCSB.
const WINDOW: u64 = 1 << 20;

/// Counts inserts as they are issued and as they are acknowledged, in order.
///
/// Numbers are issued in sequence, answers arrive in any order. A reader may choose a record only
/// when it and every record before it was acknowledged (YCSB's `AcknowledgedCounterGenerator`): a
/// bitmap of 2^20 pending acknowledgements lets the limit advance over what is contiguous. All
/// methods are cheap and callable from any thread.
#[derive(Debug)]
pub struct Inserts {
    records: u64,
    issued: AtomicU64,
    /// Records below this number exist: they were loaded or acknowledged.
    acknowledged: AtomicU64,
    pending: Box<[AtomicU64]>,
    advancing: AtomicBool,
}

/// An insert was answered more than 2^20 inserts after an older one that never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "insert {number} was acknowledged while insert {oldest} is still open, or twice; \
     at most {WINDOW} may wait behind an open one"
)]
pub struct WindowFull {
    pub number: u64,
    pub oldest: u64,
}

impl Inserts {
    /// Counts on from `records`, the number of records that the loading phase writes.
    pub fn new(records: u64) -> Self {
        Inserts {
            records,
            issued: AtomicU64::new(records),
            acknowledged: AtomicU64::new(records),
            pending: (0..WINDOW / 64).map(|_| AtomicU64::new(0)).collect(),
            advancing: AtomicBool::new(false),
        }
    }

    /// The number of records that were loaded.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// How many record numbers were given out, the loaded ones included.
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// Records `0..acknowledged()` may be read.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// The number of the next record to insert.
    pub fn issue(&self) -> u64 {
        self.issued.fetch_add(1, Ordering::Relaxed)
    }

    /// Says that the insert of `number` has ended, once for each issued number and whatever its
    /// outcome: a number that stays open holds all later ones back. (YCSB acknowledges failed
    /// inserts as well.)
    pub fn acknowledge(&self, number: u64) -> Result<(), WindowFull> {
        let (word, bit) = self.slot(number);
        let oldest = self.acknowledged();
        let far = number >= oldest.saturating_add(WINDOW);
        if far || word.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return Err(WindowFull { number, oldest });
        }
        self.advance();
        Ok(())
    }

    fn slot(&self, number: u64) -> (&AtomicU64, u64) {
        let at = number % WINDOW;
        (&self.pending[(at / 64) as usize], 1 << (at % 64))
    }

    fn is_pending(&self, number: u64) -> bool {
        let (word, bit) = self.slot(number);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Moves the limit over everything contiguous. Whoever finds the flag taken may leave: the
    /// holder looks once more after giving the flag back, so that no acknowledgement is stranded.
    fn advance(&self) {
        while self.is_pending(self.acknowledged()) {
            if self.advancing.swap(true, Ordering::AcqRel) {
                return;
            }
            let mut limit = self.acknowledged();
            while self.is_pending(limit) {
                let (word, bit) = self.slot(limit);
                word.fetch_and(!bit, Ordering::AcqRel);
                limit += 1;
                self.acknowledged.store(limit, Ordering::Release);
            }
            self.advancing.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_limit_waits_for_the_oldest() {
        let inserts = Inserts::new(10);
        assert_eq!((inserts.issue(), inserts.issue(), inserts.issue()), (10, 11, 12));
        inserts.acknowledge(12).unwrap();
        inserts.acknowledge(11).unwrap();
        assert_eq!(inserts.acknowledged(), 10);
        inserts.acknowledge(10).unwrap();
        assert_eq!(inserts.acknowledged(), 13);
    }

    #[test]
    fn a_second_answer_and_one_beyond_the_window_are_refused() {
        let inserts = Inserts::new(0);
        inserts.acknowledge(5).unwrap();
        assert_eq!(inserts.acknowledge(5), Err(WindowFull { number: 5, oldest: 0 }));
        inserts.acknowledge(WINDOW - 1).unwrap();
        assert_eq!(inserts.acknowledge(WINDOW), Err(WindowFull { number: WINDOW, oldest: 0 }));
    }

    #[test]
    fn slots_are_used_again_after_the_window_has_passed() {
        let inserts = Inserts::new(0);
        for _ in 0..2 * WINDOW + 5 {
            inserts.acknowledge(inserts.issue()).unwrap();
        }
        assert_eq!(inserts.acknowledged(), 2 * WINDOW + 5);
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn no_acknowledgement_is_stranded_between_threads() {
        let inserts = Inserts::new(7);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        inserts.acknowledge(inserts.issue()).unwrap();
                    }
                });
            }
        });
        assert_eq!(inserts.acknowledged(), 80_007);
    }

    proptest! {
        #[test]
        fn any_order_of_answers_ends_at_the_same_limit(
            order in Just((0u64..200).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let inserts = Inserts::new(0);
            let mut open: std::collections::BTreeSet<u64> = order.iter().copied().collect();
            for number in order {
                inserts.acknowledge(number).unwrap();
                open.remove(&number);
                prop_assert_eq!(inserts.acknowledged(), open.first().copied().unwrap_or(200));
            }
        }
    }
}
