//! A ceiling on what compaction writes, so that it leaves the disk to those who wait for it.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Credit that may pile up while nothing is written.
const BURST: Duration = Duration::from_millis(50);

/// Shared by all compacting threads.
pub struct Limiter {
    bytes_per_s: u64,
    /// Until when what was written so far takes at that rate.
    paid_until: Mutex<Instant>,
}

impl Limiter {
    /// 0: no ceiling.
    pub fn new(bytes_per_s: u64) -> Self {
        Limiter { bytes_per_s, paid_until: Mutex::new(Instant::now()) }
    }

    /// Accounts for bytes that were written and waits until they are within the rate.
    pub fn wrote(&self, bytes: u64) {
        if self.bytes_per_s == 0 {
            return;
        }
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        let now = Instant::now();
        let until = {
            let mut paid_until = self.paid_until.lock();
            *paid_until = (*paid_until).max(now.checked_sub(BURST).unwrap_or(now)) + cost;
            *paid_until
        };
        std::thread::sleep(until.saturating_duration_since(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_takes_its_time() {
        let limiter = Limiter::new(1_000_000);
        let start = Instant::now();
        for _ in 0..20 {
            limiter.wrote(10_000);
        }
        // 0.2 s of credit were used, 0.05 of which may have been there: never less than the rest.
        assert!(start.elapsed() >= Duration::from_millis(149));
        let start = Instant::now();
        Limiter::new(0).wrote(u64::MAX);
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
