//! Partitioning: which nodes own a key.
//!
//! ```text
//!   key ──token()──► Token ──Placement::owners()──► [n4, n1, n3]   the preference list
//!                               ▲
//!   Topology ──place()──────────┘   once per epoch, then every lookup is a table walk of O(1)
//! ```
//!
//! All partitioners share one token space, the whole of `u64`, so that ranges, ownership and
//! movements read the same whatever the strategy.
//!
//! # Invariants (law tests, over every row of the registry)
//!
//! * A range has `min(N, members)` owners, all distinct; they stand in distinct racks as far as
//!   there are racks.
//! * The same topology gives the same placement, in any process and any order of members.
//! * A join moves only what the joiner gains: no range changes hands between two old members.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A data centre is a part of a rack's name and no more. A number of replicas per data centre
//!   would be another parameter of `place`, and quorums would have to count by it.
//! * Load is taken for even over the keys. Bounded loads or splitting a hot range would need
//!   figures that the topology does not carry.
//! * `hash_slots` promises the last invariant for members that join with rising ids.

mod hash_slots;
#[cfg(test)]
mod laws;
mod placement;
mod racks;
mod vnodes;

pub use placement::{Move, Placement, Share, TokenRange};

use crate::{Entry, Family, Token, Topology};

/// Decides who owns which tokens.
///
/// The node calls `token` for every request and `place` once per topology epoch. Both must be pure:
/// two processes that hold the same topology route alike, or replicas would refuse each other.
pub trait Partitioner: Send + Sync {
    /// Where a key lies.
    fn token(&self, key: &[u8]) -> Token;

    /// The preference list of every range: `min(replicas, members)` distinct owners, first choice
    /// first. An empty topology gives a placement whose ranges have no owners.
    fn place(&self, topology: &Topology, replicas: usize) -> Placement;
}

/// The family's marker: `Choice<Partitioning>` is what YAML says under `partitioning`.
pub enum Partitioning {}

impl Family for Partitioning {
    type Strategy = dyn Partitioner;
    const NAME: &'static str = "partitioning";
    const ABOUT: &'static str = "Which nodes own a key?";
    const DEFAULT: &'static str = "vnodes";

    fn entries() -> &'static [Entry<dyn Partitioner>] {
        ENTRIES
    }
}

/// One row for each strategy.
#[rustfmt::skip]
const ENTRIES: &[Entry<dyn Partitioner>] = &[
    vnodes::ENTRY,
    hash_slots::ENTRY,
];
