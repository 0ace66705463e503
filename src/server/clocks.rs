//! The clocks of a node: the only place below the laboratory where a node learns what time it is.

use crate::node::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks. Monotonic time counts from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    start: Instant,
}

impl Clocks {
    pub fn start() -> Self {
        Clocks { start: Instant::now() }
    }

    /// Both clocks, read once per wake-up of the driver: every input of a batch shares them.
    pub fn now(&self) -> Now {
        Now { mono_us: self.start.elapsed().as_micros() as u64, wall_us: wall_us() }
    }

    /// The instant of a monotonic time in microseconds, for the runtime's timer.
    pub fn instant(&self, mono_us: u64) -> Instant {
        self.start + std::time::Duration::from_micros(mono_us)
    }
}

/// Microseconds since 1970; 0 if the machine's clock stands before that.
pub fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
