//! A counter that many threads may raise at once without waiting for each other's caches.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

const STRIPES: usize = 8;

/// A line of the processor's cache of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// Each thread raises one of a few numbers; their sum is the count.
#[derive(Debug, Default)]
pub struct Counter([Stripe; STRIPES]);

thread_local! {
    static STRIPE: Cell<usize> = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Cell::new(NEXT.fetch_add(1, Relaxed) % STRIPES)
    };
}

impl Counter {
    pub fn add(&self, count: u64) {
        self.0[STRIPE.get()].0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_counts() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| (0..1_000).for_each(|_| counter.add(2)));
            }
        });
        assert_eq!(counter.get(), 24_000);
    }
}
