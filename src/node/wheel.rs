//! A timer wheel: which requests to look at when, without a timer per request.
//!
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987, scheme 6. An id lies in the
//! slot of its tick, modulo the wheel's size; whoever looks at it decides whether it is due. Ids of
//! requests that ended in the meantime stay where they are and are recognised as unknown when their
//! tick comes.

/// How late a deadline may be noticed, in microseconds.
pub(super) const TICK_US: u64 = 5_000;
/// The wheel turns once in 5.12 s; what is due later is seen and put back once per turn.
const SLOTS: usize = 1_024;

#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<u64>>,
    /// Every tick before this one was looked at.
    next_tick: u64,
}

impl Wheel {
    pub fn new(now_us: u64) -> Self {
        Wheel { slots: vec![Vec::new(); SLOTS], next_tick: now_us / TICK_US }
    }

    /// Looks at `id` again in the first tick that lies wholly after `at_us`.
    pub fn insert(&mut self, id: u64, at_us: u64) {
        let tick = (at_us / TICK_US + 1).max(self.next_tick);
        self.slots[tick as usize % SLOTS].push(id);
    }

    /// Moves to `due` what lies in the ticks up to now. What is not yet due must be inserted again.
    pub fn take_due(&mut self, now_us: u64, due: &mut Vec<u64>) {
        let last = now_us / TICK_US;
        let first = self.next_tick.max((last + 1).saturating_sub(SLOTS as u64));
        for tick in first..=last {
            due.append(&mut self.slots[tick as usize % SLOTS]);
        }
        self.next_tick = self.next_tick.max(last + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(wheel: &mut Wheel, now_us: u64) -> Vec<u64> {
        let mut due = Vec::new();
        wheel.take_due(now_us, &mut due);
        due
    }

    #[test]
    fn an_id_is_seen_after_its_time_and_within_two_ticks() {
        let mut wheel = Wheel::new(1_000_000);
        wheel.insert(1, 1_010_000);
        assert!(take(&mut wheel, 1_010_000).is_empty());
        assert_eq!(take(&mut wheel, 1_010_000 + 2 * TICK_US), [1]);
        assert!(take(&mut wheel, 9_000_000).is_empty());
    }

    #[test]
    fn nothing_is_missed_over_a_long_pause() {
        let mut wheel = Wheel::new(0);
        for id in 0..2_000 {
            wheel.insert(id, id * TICK_US / 2);
        }
        let mut seen = take(&mut wheel, 3_600_000_000);
        seen.sort_unstable();
        assert_eq!(seen, (0..2_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_already_past_is_seen_at_the_next_look() {
        let mut wheel = Wheel::new(0);
        take(&mut wheel, 1_000_000);
        wheel.insert(1, 10);
        assert_eq!(take(&mut wheel, 1_000_000 + TICK_US), [1]);
    }
}
