//! The hybrid logical clock: close to the wall clock, yet never behind anything that was heard.
//!
//! Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical Physical Clocks and Consistent Snapshots in
//! Globally Distributed Databases", 2014. A time is one `u64`:
//!
//! ```text
//!   63                                        12 11          0
//!   [ microseconds since 1970, good until 2112  |  counter   ]
//! ```
//!
//! A counter that runs over carries into the microseconds, which is harmless: order is all that
//! counts.

const COUNTER_BITS: u32 = 12;
const WALL_US_MAX: u64 = u64::MAX >> COUNTER_BITS;

/// One node's clock. Its times strictly increase, whatever the wall clock does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    last: u64,
    drift_max_us: u64,
}

/// A time that is further ahead of this node's wall clock than is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drift {
    pub ahead_ms: u64,
}

impl Clock {
    pub fn new(drift_max_ms: u32) -> Self {
        Clock { last: 0, drift_max_us: u64::from(drift_max_ms) * 1_000 }
    }

    /// A time of which no other is equal: for stamps.
    ///
    /// # Errors
    /// The wall clock had been ahead of what it shows now by more than the bound. A time from then
    /// is no time for a stamp: it would be later than whatever others write for as long.
    pub fn tick(&mut self, wall_us: u64) -> Result<u64, Drift> {
        let ahead_us = (self.last >> COUNTER_BITS).saturating_sub(wall_us);
        if ahead_us > self.drift_max_us {
            return Err(Drift { ahead_ms: ahead_us / 1_000 });
        }
        self.last = (self.last + 1).max(at(wall_us));
        Ok(self.last)
    }

    /// The present, without making it unique: for headers.
    pub fn peek(&self, wall_us: u64) -> u64 {
        self.last.max(at(wall_us))
    }

    /// The present in milliseconds since 1970: for expiry, which so never goes back.
    pub fn wall_ms(&self, wall_us: u64) -> u64 {
        (self.peek(wall_us) >> COUNTER_BITS) / 1_000
    }

    /// Follows a time that a peer sent, unless that peer's own wall clock is too far ahead. A time
    /// that the peer has from others is followed up to the bound, and the peer is not blamed for
    /// it; the bound does not bite while no two clocks of the cluster differ by more. It is against
    /// the wall clock, not against `last`, so that a chain of peers cannot pull each other ahead.
    pub fn observe(&mut self, remote: u64, remote_us: u64, wall_us: u64) -> Result<(), Drift> {
        let ahead_us = remote_us.saturating_sub(wall_us);
        if ahead_us > self.drift_max_us {
            return Err(Drift { ahead_ms: ahead_us / 1_000 });
        }
        let most = at(wall_us.saturating_add(self.drift_max_us));
        self.last = self.last.max(remote.min(most));
        Ok(())
    }
}

fn at(wall_us: u64) -> u64 {
    wall_us.min(WALL_US_MAX) << COUNTER_BITS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn times_increase_while_the_wall_clock_stands_or_jumps_back() {
        let mut clock = Clock::new(10_000);
        let first = clock.tick(10 * SECOND).unwrap();
        let second = clock.tick(10 * SECOND).unwrap();
        let third = clock.tick(3 * SECOND).unwrap();
        assert!(first < second && second < third);
        assert_eq!(clock.wall_ms(3 * SECOND), 10_000);
    }

    #[test]
    fn a_clock_follows_a_peer_that_is_ahead() {
        let mut clock = Clock::new(1_000);
        let remote = at(10 * SECOND + 900_000) + 7;
        clock.observe(remote, 10 * SECOND, 10 * SECOND).unwrap();
        assert_eq!(clock.tick(10 * SECOND).unwrap(), remote + 1);
    }

    #[test]
    fn a_drift_beyond_the_bound_is_refused_and_not_followed() {
        let mut clock = Clock::new(1_000);
        let before = clock.tick(10 * SECOND).unwrap();
        let ahead_us = 11 * SECOND + 1_000;
        let refused = clock.observe(at(ahead_us), ahead_us, 10 * SECOND);
        assert_eq!(refused, Err(Drift { ahead_ms: 1_001 }));
        assert_eq!(clock.tick(10 * SECOND).unwrap(), before + 1);
    }

    #[test]
    fn a_time_from_when_the_wall_clock_was_wrong_is_no_time_for_a_stamp() {
        let mut clock = Clock::new(1_000);
        clock.tick(700 * SECOND).unwrap();
        assert_eq!(clock.tick(100 * SECOND), Err(Drift { ahead_ms: 600_000 }));
        clock.tick(699 * SECOND).unwrap();
    }

    #[test]
    fn a_peer_is_not_blamed_for_the_clock_of_a_third() {
        let mut clock = Clock::new(1_000);
        let of_third = at(11 * SECOND + 500_000);
        clock.observe(of_third, 10 * SECOND + 100, 10 * SECOND).unwrap();
        assert_eq!(clock.wall_ms(10 * SECOND), 11_000, "followed up to the bound");
    }

    #[test]
    fn peers_cannot_pull_each_other_ahead_step_by_step() {
        let (mut left, mut right) = (Clock::new(1_000), Clock::new(1_000));
        let now = 10 * SECOND;
        left.observe(at(now + 900_000), now + 900_000, now).unwrap();
        right.observe(left.tick(now).unwrap(), now, now).unwrap();
        for _ in 0..100 {
            left.observe(right.tick(now).unwrap(), now, now).unwrap();
            right.observe(left.tick(now).unwrap(), now, now).unwrap();
        }
        assert!(right.wall_ms(now) <= 10_900);
    }
}
