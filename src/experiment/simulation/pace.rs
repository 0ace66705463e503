//! The clock of a load in virtual time: sends what is due in an open loop, begins a closed one.

use super::stage::{Interrupted, Stage};
use crate::experiment::load::{CATCH_UP, Flight, Offer, Paced};
use quorate_workloads::{Invalid, Schedule};
use std::sync::Arc;

/// How often a full flight is asked for a free slot.
const FULL_US: u64 = 200;

/// The schedule of an open loop and what became of it; closed loops drive themselves.
pub struct Pace {
    flight: Arc<Flight>,
    schedule: Option<Schedule>,
    origin_us: u64,
    /// The intended start of the next operation, in whole microseconds since `origin_us`: the world
    /// knows nothing finer.
    due_us: u64,
    free: Vec<u32>,
    pub paced: Paced,
}

impl Pace {
    /// Of a load that begins at `origin_us`, which is now.
    ///
    /// # Errors
    /// A rate that is none.
    pub fn new(
        flight: &Arc<Flight>,
        offer: &Offer,
        seed: u64,
        origin_us: u64,
    ) -> Result<Pace, Invalid> {
        let schedule = match *offer {
            Offer::Open { rate, arrival } => Some(Schedule::new(arrival, rate, seed, 0, 1)?),
            Offer::Closed { .. } | Offer::Idle => None,
        };
        if let Offer::Closed { .. } = offer {
            flight.fill();
        }
        let (flight, free, paced) = (Arc::clone(flight), Vec::new(), Paced::default());
        let mut pace = Pace { flight, schedule, origin_us, due_us: 0, free, paced };
        pace.draw();
        Ok(pace)
    }

    fn draw(&mut self) {
        self.due_us = self.schedule.as_mut().map_or(u64::MAX, |all| all.next_ns() / 1_000);
    }

    /// When the next operation is due, on the world's clock.
    fn due_at_us(&self) -> u64 {
        self.origin_us.saturating_add(self.due_us)
    }

    /// Lets time pass, and sends what is due before `until_us`. What is due at that very instant
    /// belongs to what follows.
    pub fn run_to(&mut self, stage: &mut Stage, until_us: u64) -> Result<(), Interrupted> {
        self.send(stage, until_us, until_us)?;
        stage.run_to(until_us)
    }

    /// After the end of the measured phase: sends what was due in it and found no free slot, as
    /// long as that is allowed, and counts the rest as unsent.
    pub fn catch_up(&mut self, stage: &mut Stage, end_us: u64) -> Result<(), Interrupted> {
        self.send(stage, end_us, end_us + CATCH_UP.as_micros() as u64)?;
        while self.due_at_us() < end_us {
            let measured = self.due_us * 1_000 >= self.flight.warm_up_ns();
            self.paced.due += u64::from(measured);
            self.paced.unsent += u64::from(measured);
            self.draw();
        }
        Ok(())
    }

    /// Sends what is due before `due_before_us`; waits for free slots until `limit_us`.
    fn send(
        &mut self,
        stage: &mut Stage,
        due_before_us: u64,
        limit_us: u64,
    ) -> Result<(), Interrupted> {
        while self.due_at_us() < due_before_us {
            stage.run_to(self.due_at_us())?;
            if self.free.is_empty() {
                self.flight.take_free(&mut self.free);
            }
            let now_us = stage.world.now_us();
            match self.free.pop() {
                Some(slot) => self.launch(slot),
                None if now_us >= limit_us => return Ok(()),
                None => stage.run_to((now_us + FULL_US).min(limit_us))?,
            }
        }
        Ok(())
    }

    fn launch(&mut self, slot: u32) {
        let intended_ns = self.due_us * 1_000;
        let sent_ns = self.flight.launch(slot, intended_ns);
        if intended_ns >= self.flight.warm_up_ns() {
            self.paced.sent(intended_ns, sent_ns);
        }
        self.draw();
    }
}
