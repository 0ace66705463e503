//! Random exploration: scenarios drawn from seeds, and what must hold in all of them.
//!
//! ```text
//!   seed, shape ─► generate ─► Plan ─► statements ─► Player ─► World
//!                               ▲                      │ Invariants watch
//!                               └────── shrink ◄───────┘ a promise is broken
//!                                          │
//!                                          └─► a script in the scenario language
//! ```
//!
//! A plan is a cluster and a body: requests in the background, faults, cures, ticks. What the seed
//! draws varies from seed to seed, the subset of the faults too. Its end is always the same:
//! everything is healed, every key is read from all its replicas, all replicas must be equal.
//! Because the end follows from the body, any part of a body can be left out and the rest is a
//! scenario again; so shrinking is leaving out.
//!
//! The invariants watch from outside, through replies, disks and a node's own counts. They read
//! version tokens by themselves, since a resolver that merges wrongly must not judge itself. What
//! each of them promises, and which faults void it, stands with [`Promise`].
//!
//! # Invariants
//!
//! * Equal seeds and shapes give equal scenarios, and those equal runs.
//! * What holds for the player of a script holds here: a violation is a script, and the script is
//!   a violation, under `quorate sim --check --script FILE`.
//! * Every value is written once, so a value that is read names the write that it came from.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Each promise is checked where its proof is cheap. There is no search for a linear order of all
//!   requests; registers are checked against acknowledged writes and reads pair by pair, which
//!   finds lost and reordered ones, but not every cycle among concurrent ones.
//! * Increments are judged by their sum, and not at all once a key had a delete.
//! * No expiry: whether a value had to be gone at an instant depends on clocks that faults bend.
//! * The topology's epoch does not change, and nodes neither join nor leave.
//! * An emptied disk may repeat an incarnation if it comes back within the second; then reads are
//!   not required to succeed in the end, and replicas not to be equal.

mod fault;
mod generate;
mod invariants;
mod plan;
mod run;
mod scars;
mod shrink;
mod survey;
#[cfg(test)]
mod tests;

pub use fault::{Fault, Faults, UnknownFault};
pub use generate::{Shape, generate};
pub use invariants::{Invariants, Outcomes, Promise, Violation};
pub use plan::Plan;
pub use run::{Broken, Run, play};
pub use shrink::{Shrunk, shrink};
pub use survey::{Survey, explore, survey};
