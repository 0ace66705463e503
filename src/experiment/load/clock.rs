//! What time it is for a load: real time, or that of a simulated world.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Tells the nanoseconds since a load began.
#[derive(Clone, Debug)]
pub enum Clock {
    Real(Instant),
    /// Set by whoever drives the world, before anything happens at that instant.
    Virtual(Arc<AtomicU64>),
}

impl Clock {
    pub fn now_ns(&self) -> u64 {
        match self {
            // 584 years fit.
            Clock::Real(origin) => origin.elapsed().as_nanos() as u64,
            Clock::Virtual(now_ns) => now_ns.load(Ordering::Relaxed),
        }
    }
}
