//! The clock of an open loop: hands each operation over when it is due.

use super::flight::Flight;
use super::{CATCH_UP, PACE};
use crate::report::trial::{Latencies, latencies};
use quorate_workloads::{Arrival, Schedule};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// The kernel may delay a sleep by this much, 50 µs unless it is told otherwise.
const SLACK_NS: u64 = 1_000;
/// How often a full flight is asked for a free slot.
const FULL: Duration = Duration::from_micros(200);

/// What the pacer can tell when it is done.
#[derive(Clone, Debug)]
pub struct Paced {
    /// From the intended start to the send, of the operations of the measured phase.
    pub lag: Latencies,
    /// Operations whose intended start lies in the measured phase.
    pub due: u64,
    /// Of those, the ones that were never sent.
    pub unsent: u64,
}

impl Default for Paced {
    fn default() -> Self {
        Paced { lag: latencies(), due: 0, unsent: 0 }
    }
}

impl Paced {
    /// Counts an operation of the measured phase that was sent.
    pub fn sent(&mut self, due_ns: u64, sent_ns: u64) {
        self.due += 1;
        self.lag.saturating_record((sent_ns.saturating_sub(due_ns) / 1_000).max(1));
    }
}

/// Runs on a thread of its own.
pub struct Pacer {
    flight: Arc<Flight>,
    schedule: Schedule,
    free: Vec<u32>,
    paced: Paced,
}

impl Pacer {
    pub fn new(
        flight: Arc<Flight>,
        rate: f64,
        arrival: Arrival,
        seed: u64,
    ) -> std::io::Result<Pacer> {
        let schedule = Schedule::new(arrival, rate, seed, 0, 1).map_err(std::io::Error::other)?;
        Ok(Pacer { flight, schedule, free: Vec::new(), paced: Paced::default() })
    }

    /// Sends until the measured phase has ended and all that was due in it is sent or given up.
    pub fn run(mut self) -> Paced {
        // Without it a sleep is up to 50 µs longer; a kernel that refuses makes the lag so much
        // worse.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(SLACK_NS));
        let mut due_ns = self.schedule.next_ns();
        loop {
            let now_ns = self.flight.now_ns();
            if due_ns >= self.flight.end_ns() {
                return self.paced;
            }
            if due_ns > now_ns {
                let pause = Duration::from_nanos(due_ns - now_ns).max(PACE);
                std::thread::sleep(pause.min(Duration::from_millis(20)));
                continue;
            }
            let Some(slot) = self.free_slot() else {
                return self.give_up(due_ns);
            };
            let sent_ns = self.flight.launch(slot, due_ns);
            if due_ns >= self.flight.warm_up_ns() {
                self.paced.sent(due_ns, sent_ns);
            }
            due_ns = self.schedule.next_ns();
        }
    }

    /// Waits for a place in the flight; None when the time to catch up is over.
    fn free_slot(&mut self) -> Option<u32> {
        let last_ns = |flight: &Flight| flight.end_ns() + CATCH_UP.as_nanos() as u64;
        if self.flight.now_ns() >= last_ns(&self.flight) {
            return None;
        }
        loop {
            if let Some(slot) = self.free.pop() {
                return Some(slot);
            }
            self.flight.take_free(&mut self.free);
            if self.free.is_empty() {
                if self.flight.now_ns() >= last_ns(&self.flight) {
                    return None;
                }
                std::thread::sleep(FULL);
            }
        }
    }

    /// Counts what was due and will not be sent.
    fn give_up(mut self, first_due_ns: u64) -> Paced {
        let mut due_ns = first_due_ns;
        while due_ns < self.flight.end_ns() {
            if due_ns >= self.flight.warm_up_ns() {
                self.paced.due += 1;
                self.paced.unsent += 1;
            }
            due_ns = self.schedule.next_ns();
        }
        self.paced
    }
}
