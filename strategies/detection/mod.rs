//! Failure detection: is a peer up?
//!
//! ```text
//!   heartbeat arrives ─► heard(now)                silence grows ─► verdict(now)
//!                        remembers the interval                     Up ─► Suspect(score) ─► Down
//! ```
//!
//! One detector watches one peer. The verdict is this node's own opinion; it is never gossiped as a
//! fact.
//!
//! # Invariants (law tests, over every row of the registry)
//!
//! * Without hearing, a verdict never gets better as time goes on.
//! * Hearing makes the peer up at once; a peer that was never heard is down.
//! * A fresh detector knows nothing of a former life: forgetting is building a new one.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Observers do not agree and do not ask others to probe for them (SWIM); both need messages.
//! * A pause of this very node looks like the silence of all its peers. The node must notice that
//!   it was not running, and listen again before it judges.

mod heartbeat;
#[cfg(test)]
mod laws;
mod phi_accrual;

use crate::{Entry, Family};

/// A node's opinion of a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Up,
    /// Silent for longer than is usual. The score grows with the silence and is comparable within
    /// one strategy only.
    Suspect(f64),
    Down,
}

/// Watches one peer.
///
/// The node calls `heard` for every message of the peer's heartbeat and `verdict` at each of its
/// own ticks. Times are microseconds of a monotonic clock and never go back.
pub trait Detector: Send {
    fn heard(&mut self, now_us: u64);
    fn verdict(&self, now_us: u64) -> Verdict;
}

/// The family's marker: `Choice<Detection>` is what YAML says under `detection`.
pub enum Detection {}

impl Family for Detection {
    type Strategy = dyn Detector;
    const NAME: &'static str = "detection";
    const ABOUT: &'static str = "Is a peer up?";
    const DEFAULT: &'static str = "heartbeat";

    fn entries() -> &'static [Entry<dyn Detector>] {
        ENTRIES
    }
}

/// One row for each strategy.
#[rustfmt::skip]
const ENTRIES: &[Entry<dyn Detector>] = &[
    heartbeat::ENTRY,
    phi_accrual::ENTRY,
];
