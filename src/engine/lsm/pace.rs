//! How fast commits may come: slower as the flushes and compactions that they cause pile up, so
//! that they need not stop.
//!
//! ```text
//!   allowed rate
//!     ▲ no limit ────────┐
//!     │                  └─ 1.2 x what level 0 gets rid of ─╲
//!     │                                                      ╲─ 0.2 x ─┐ stop
//!     └──────────────────┬─────────────────────────────────────────────┬──► runs on level 0
//!                    `slowdown`                                      `stop`
//! ```
//!
//! Without this, a writer runs at full speed until memory or level 0 is full and then stands still
//! for as long as a compaction takes. With it, the writer settles at the rate at which the tree
//! digests: RocksDB's delayed writes do the same by steps ("Write Stalls"), here the rate follows
//! what was measured of the last flushes and compactions.
//!
//! Two debts count. Where every memtable but the active one waits for its flush, commits may come
//! as fast as the last flush went, so that the active one is not full before there is room. Where
//! level 0 grows, they may come as fast as compaction empties it, times a factor that falls from
//! 1.2 to 0.2.

use super::tree::Tree;
use crate::engine::EngineError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const UNLIMITED: u64 = u64::MAX;
/// No debt slows commits below this.
const LEAST_BYTES_PER_S: f64 = (1 << 20) as f64;
/// A commit sleeps once it is this far ahead; shorter sleeps cost more than they give.
const LEAST_SLEEP_US: u64 = 500;
/// One sleep, whatever the size of the batch.
const LONGEST_SLEEP_US: u64 = 20_000;
/// Share of the newest measurement in the running rate.
const NEWEST_SHARE: f64 = 0.3;

pub struct Pace {
    start: Instant,
    /// Bytes of commits per second; [`UNLIMITED`] while there is no debt.
    allowed: AtomicU64,
    /// When the next commit may come, since the start.
    next_us: AtomicU64,
    flushed_bytes_per_s: AtomicU64,
    level0_bytes_per_s: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            start: Instant::now(),
            allowed: AtomicU64::new(UNLIMITED),
            next_us: AtomicU64::new(0),
            flushed_bytes_per_s: AtomicU64::new(0),
            level0_bytes_per_s: AtomicU64::new(0),
        }
    }
}

fn measure(rate: &AtomicU64, bytes: u64, took: Duration) {
    let newest = bytes as f64 / took.as_secs_f64().max(1e-6);
    let held = rate.load(Relaxed) as f64;
    let mean = if held == 0.0 { newest } else { held + NEWEST_SHARE * (newest - held) };
    rate.store(mean as u64, Relaxed);
}

impl Pace {
    /// A memtable of so many bytes was flushed.
    pub fn flushed(&self, bytes: u64, took: Duration) {
        measure(&self.flushed_bytes_per_s, bytes, took);
    }

    /// A job took so many bytes away from level 0.
    pub fn left_level0(&self, bytes: u64, took: Duration) {
        if bytes > 0 {
            measure(&self.level0_bytes_per_s, bytes, took);
        }
    }

    /// How long a commit of so many bytes has to wait.
    fn reserve(&self, bytes: usize) -> Option<Duration> {
        let allowed = self.allowed.load(Relaxed);
        if allowed == UNLIMITED {
            return None;
        }
        let now_us = self.start.elapsed().as_micros() as u64;
        let cost_us = (bytes as f64 * 1e6 / allowed as f64) as u64;
        let after = |next: u64| Some(next.max(now_us).saturating_add(cost_us));
        let next = self.next_us.fetch_update(Relaxed, Relaxed, after).unwrap_or(now_us);
        let wait_us = next.saturating_sub(now_us);
        (wait_us >= LEAST_SLEEP_US).then(|| Duration::from_micros(wait_us.min(LONGEST_SLEEP_US)))
    }
}

impl Tree {
    /// Lets a commit of so many bytes wait as long as the debt demands.
    pub fn slow_down(&self, bytes: usize) {
        if self.options.inline {
            return;
        }
        if let Some(wait) = self.pace.reserve(bytes) {
            std::thread::sleep(wait);
            self.counters.slowed_us.fetch_add(wait.as_micros() as u64, Relaxed);
        }
    }

    /// Looks at the debts again, after a memtable was frozen or the tables changed.
    pub fn set_pace(&self) {
        let state = self.state.load();
        let mut allowed = f64::INFINITY;
        if state.frozen.len() >= self.options.max_frozen {
            let rate = self.pace.flushed_bytes_per_s.load(Relaxed);
            allowed = if rate == 0 { f64::INFINITY } else { rate as f64 };
        }
        let (runs, slowdown) = (state.version.level0_runs(), self.options.level0_slowdown);
        let rate = self.pace.level0_bytes_per_s.load(Relaxed);
        if runs >= slowdown && rate > 0 {
            let range = self.options.level0_stop.saturating_sub(slowdown).max(1);
            let depth = (runs - slowdown) as f64 / range as f64;
            allowed = allowed.min(rate as f64 * (1.2 - depth.min(1.0)));
        }
        let allowed = match allowed.is_finite() {
            true => allowed.max(LEAST_BYTES_PER_S) as u64,
            false => UNLIMITED,
        };
        self.pace.allowed.store(allowed, Relaxed);
    }

    /// Waits while memory or level 0 is full. The stall is told by `stats`.
    pub fn wait_for_room(&self) -> Result<(), EngineError> {
        if self.options.inline {
            return self.work();
        }
        let start = Instant::now();
        let mut signals = self.signals.lock();
        while !self.may_freeze() {
            self.check_writable()?;
            self.changed.wait(&mut signals);
        }
        let stall_us = start.elapsed().as_micros() as u64;
        self.counters.longest_stall_us.fetch_max(stall_us, Relaxed);
        Ok(())
    }
}
