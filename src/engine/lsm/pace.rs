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
//! Two debts count. Where every memtable but the active one waits for its flush, commits share the
//! room that is left in the active one over the time that the flush at work will still take, as far
//! as its progress tells: so a disk that falls behind slows them down and does not stop them. Where
//! level 0 grows, they may come as fast as compaction empties it, times a factor that falls from
//! 1.2 to 0.2.

use super::tree::Tree;
use crate::engine::EngineError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const UNLIMITED: u64 = u64::MAX;
/// No debt slows commits below this.
const LEAST_BYTES_PER_S: f64 = (1 << 20) as f64;
/// A commit sleeps once it is this far ahead; shorter sleeps cost more than they give.
const LEAST_SLEEP_US: u64 = 500;
/// One sleep, whatever the size of the batch.
const LONGEST_SLEEP_US: u64 = 20_000;
/// What a flush is taken to write in a second before one was measured.
const FIRST_FLUSH_BYTES_PER_S: u64 = 100 << 20;
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
    /// Whether only the active memtable has room.
    last_room: AtomicBool,
    /// When the flush at work began, what it has to write, and what it has written.
    flush_start_us: AtomicU64,
    flush_bytes: AtomicU64,
    flushed_bytes: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            start: Instant::now(),
            allowed: AtomicU64::new(UNLIMITED),
            next_us: AtomicU64::new(0),
            flushed_bytes_per_s: AtomicU64::new(0),
            level0_bytes_per_s: AtomicU64::new(0),
            last_room: AtomicBool::new(false),
            flush_start_us: AtomicU64::new(0),
            flush_bytes: AtomicU64::new(0),
            flushed_bytes: AtomicU64::new(0),
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
    fn now_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Whether there is a debt: without one, a commit need not even look at the time.
    fn limits(&self) -> bool {
        self.last_room.load(Relaxed) || self.allowed.load(Relaxed) != UNLIMITED
    }

    /// A flush of so many bytes begins.
    pub fn flush_begins(&self, bytes: u64) {
        self.flush_begins_at(self.now_us(), bytes);
    }

    fn flush_begins_at(&self, now_us: u64, bytes: u64) {
        self.flushed_bytes.store(0, Relaxed);
        self.flush_bytes.store(bytes, Relaxed);
        self.flush_start_us.store(now_us, Relaxed);
    }

    /// So much of it is written.
    pub fn flush_has(&self, bytes: u64) {
        self.flushed_bytes.store(bytes, Relaxed);
    }

    /// How long the flush at work, begun so long ago, will still take: as the last ones went, while
    /// it is young; then as it goes itself, if that is worse.
    fn flush_left_us(&self, elapsed_us: u64) -> u64 {
        let measured = match self.flushed_bytes_per_s.load(Relaxed) {
            0 => FIRST_FLUSH_BYTES_PER_S,
            measured => measured,
        };
        let bytes = self.flush_bytes.load(Relaxed);
        let expected_us = bytes.saturating_mul(1_000_000) / measured;
        let by_plan_us = expected_us.saturating_sub(elapsed_us);
        if elapsed_us < expected_us / 2 {
            return by_plan_us;
        }
        // What follows the last entry takes its time, too.
        let done = self.flushed_bytes.load(Relaxed).clamp(1, bytes.max(1));
        let left = (bytes - done.min(bytes)).max(bytes / 10);
        by_plan_us.max((elapsed_us as f64 * left as f64 / done as f64) as u64)
    }

    /// Bytes of commits per second at this time while so many still fit into memory.
    fn allowed(&self, now_us: u64, room: impl FnOnce() -> u64) -> u64 {
        let allowed = self.allowed.load(Relaxed);
        if !self.last_room.load(Relaxed) {
            return allowed;
        }
        let elapsed_us = now_us.saturating_sub(self.flush_start_us.load(Relaxed));
        let shared = room() as f64 * 1e6 / self.flush_left_us(elapsed_us).max(1) as f64;
        allowed.min(shared.max(LEAST_BYTES_PER_S) as u64)
    }

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

    /// How long a commit of so many bytes has to wait at this time.
    fn reserve(&self, now_us: u64, bytes: usize, room: impl FnOnce() -> u64) -> Option<Duration> {
        let allowed = self.allowed(now_us, room);
        if allowed == UNLIMITED {
            return None;
        }
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
        if !self.pace.limits() {
            return;
        }
        let active_bytes = || self.state.load().active.bytes();
        let room = || self.options.memtable_bytes.saturating_sub(active_bytes());
        if let Some(wait) = self.pace.reserve(self.pace.now_us(), bytes, room) {
            std::thread::sleep(wait);
            self.counters.slowed_us.fetch_add(wait.as_micros() as u64, Relaxed);
        }
    }

    /// Looks at the debts again, after a memtable was frozen or the tables changed.
    pub fn set_pace(&self) {
        let state = self.state.load();
        self.pace.last_room.store(state.frozen.len() >= self.options.max_frozen, Relaxed);
        let mut allowed = f64::INFINITY;
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_less_room_the_slower_and_never_nothing() {
        let pace = Pace::default();
        pace.flush_begins_at(1_000, 64 * MIB);
        assert!(!pace.limits());
        assert_eq!(pace.allowed(1_000, || 0), UNLIMITED, "there are other memtables");
        pace.last_room.store(true, Relaxed);
        assert!(pace.limits());
        assert_eq!(pace.allowed(1_000, || 0), LEAST_BYTES_PER_S as u64);
        let allowed = [64, 16, 4].map(|mib| pace.allowed(1_000, || mib * MIB));
        assert!(allowed.is_sorted_by(|more, less| more > less), "{allowed:?}");
    }

    #[test]
    fn a_commit_waits_for_those_before_it_and_a_step_at_most() {
        let pace = Pace::default();
        pace.allowed.store(MIB, Relaxed);
        assert_eq!(pace.reserve(5_000, MIB as usize / 64, || 0), None, "the first is in time");
        assert_eq!(pace.reserve(5_000, MIB as usize, || 0), Some(Duration::from_micros(15_625)));
        let longest = Some(Duration::from_micros(LONGEST_SLEEP_US));
        assert_eq!(pace.reserve(5_000, 1, || 0), longest, "a second is due");
        assert_eq!(pace.reserve(2_000_000, 1, || 0), None, "it has passed");
    }

    #[test]
    fn a_flush_that_is_slower_than_planned_takes_longer() {
        let pace = Pace::default();
        pace.flushed(64 * MIB, Duration::from_millis(100));
        pace.flush_begins_at(0, 64 * MIB);
        assert_eq!(pace.flush_left_us(40_000), 60_000, "as planned");
        pace.flush_has(8 * MIB);
        let early = pace.flush_left_us(60_000);
        assert_eq!(early, 7 * 60_000, "an eighth of it took 60 ms");
        pace.flush_has(48 * MIB);
        assert_eq!(pace.flush_left_us(60_000), 40_000, "the plan is worse than its third");
        pace.flush_has(1 << 30);
        assert!(pace.flush_left_us(200_000) > 0, "more than was announced");
    }
}
