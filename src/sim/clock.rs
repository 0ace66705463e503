//! A machine's two clocks, as its processes see them: off by a constant, and too fast or too slow.

use crate::node::Now;

/// Where every undisturbed wall clock begins: 1 February 2026, in microseconds since 1970.
pub const WALL_START_US: u64 = 1_769_904_000_000_000;

/// The monotonic clock runs at a rate of its own; the wall clock is the same plus an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset_us: i64,
    drift_ppm: i32,
    /// Since when the rate is what it is: in true time, and on this clock.
    since_us: u64,
    since_mono_us: u64,
}

impl Clock {
    pub fn true_time() -> Self {
        Clock { offset_us: 0, drift_ppm: 0, since_us: 0, since_mono_us: 0 }
    }

    /// Steps the wall clock to `offset_us` from where it would be; the monotonic one does not jump.
    pub fn set_offset(&mut self, offset_us: i64) {
        self.offset_us = offset_us;
    }

    /// Parts per million that the clock gains from now on; negative: loses. Both clocks keep their
    /// reading.
    pub fn set_drift(&mut self, now_us: u64, drift_ppm: i32) {
        self.since_mono_us = self.mono_us(now_us);
        self.since_us = now_us;
        self.drift_ppm = drift_ppm;
    }

    pub fn now(&self, now_us: u64) -> Now {
        let mono_us = self.mono_us(now_us);
        let wall_us = (WALL_START_US + mono_us).saturating_add_signed(self.offset_us);
        Now { mono_us, wall_us }
    }

    fn mono_us(&self, now_us: u64) -> u64 {
        let passed = now_us.saturating_sub(self.since_us);
        if self.drift_ppm == 0 {
            return self.since_mono_us + passed;
        }
        let gained = i128::from(passed) * i128::from(self.drift_ppm) / 1_000_000;
        self.since_mono_us + (i128::from(passed) + gained) as u64
    }

    /// The first instant of true time at which this clock shows `mono_us`, by its present rate.
    pub fn true_us(&self, mono_us: u64) -> u64 {
        let wanted = mono_us.saturating_sub(self.since_mono_us);
        if self.drift_ppm == 0 {
            return self.since_us + wanted;
        }
        let rate = 1_000_000 + i128::from(self.drift_ppm);
        let passed = (i128::from(wanted) * 1_000_000 + rate - 1) / rate;
        let at_us = self.since_us + passed as u64;
        // Both divisions round; one more microsecond is late enough.
        if self.mono_us(at_us) < mono_us { at_us + 1 } else { at_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_gains_and_keeps_its_reading_when_its_rate_changes() {
        let mut clock = Clock::true_time();
        clock.set_drift(1_000_000, 1_000);
        assert_eq!(clock.now(2_000_000).mono_us, 2_001_000);
        clock.set_drift(2_000_000, -1_000);
        assert_eq!(clock.now(2_000_000).mono_us, 2_001_000);
        assert_eq!(clock.now(3_000_000).mono_us, 3_000_000);
        clock.set_offset(-5_000_000);
        assert_eq!(clock.now(3_000_000).wall_us, WALL_START_US - 2_000_000);
    }

    #[test]
    fn a_timer_is_never_early_and_at_most_two_microseconds_late() {
        for drift_ppm in [-200_000, -333, -1, 0, 1, 777, 500_000] {
            let mut clock = Clock::true_time();
            clock.set_drift(12_345, drift_ppm);
            for mono_us in (20_000..60_000).step_by(7) {
                let shown = clock.now(clock.true_us(mono_us)).mono_us;
                assert!((mono_us..mono_us + 3).contains(&shown), "{drift_ppm}: {mono_us} {shown}");
            }
        }
    }
}
