//! Conflict resolution: what survives a write, and what survives a merge.
//!
//! ```text
//!   a client's change ─► apply(local record, change, context, stamp) ─► the finished record
//!                        at exactly one replica of the key                 │ sent to the others
//!   two records of a key ─► merge(a, b) ─► what both together mean  ◄──────┘ and by repair
//!   a record ─► answer(record, now) ─► what a reader is shown, and the context to give back
//! ```
//!
//! The replica that coordinates a write stamps it once; everyone else only merges. So one write is
//! one version, whatever path its copies take.
//!
//! # Invariants (law tests, over every row of the registry)
//!
//! * `merge` is commutative, associative and idempotent, to the byte of the encoded record.
//! * A write that saw X (its context covers X) replaces X.
//! * A concurrent write is never lost unless the strategy says so ([`Resolver::keeps_concurrent`]).
//! * No decision reads a clock: ties are broken by what is in the versions.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A cluster has one resolver, for all keys and for its life: versions of another one are not
//!   converted but count as old. Choosing by key would need the resolver's name in the record.
//! * Tombstones stay. Collecting one is safe only when every owner has it, and that is for the node
//!   to find out.
//! * Tokens are not signed. A client that makes one up can replace what it has not seen; only times
//!   from beyond tomorrow are refused.

mod crdt;
#[cfg(test)]
mod laws;
mod lww;
mod record;
mod vector_clock;

pub use record::{Content, Malformed, Payload, Record, Sibling, Version};

use crate::{Entry, Family};
use bytes::Bytes;

/// What a client wants done to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Replace what the context covers.
    Put(Payload),
    /// Replace what the context covers by a tombstone. Without a context: all that the replica
    /// knows.
    Delete,
    /// Add to a counter. Only counters take it.
    Increment(i64),
}

/// A [`Stamp`]'s time is microseconds since 1970, shifted left by this; the bits below count events
/// of the same microsecond.
pub const LOGICAL_BITS: u32 = 12;

/// What makes a new version unique and ordered: given by the node, never read from a clock here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The identity under which this replica issues versions; random, persisted, never reused after
    /// its disk was lost.
    pub actor: u64,
    /// Hybrid logical time, see [`LOGICAL_BITS`]. Strictly increasing per actor.
    pub time: u64,
}

impl Stamp {
    /// Whether a context claims to know of a time that this replica's clock cannot be so far behind
    /// of. Such a token is damaged or made up; believing it would shadow honest writes until that
    /// day.
    fn disbelieves(&self, time: u64) -> bool {
        const DAY: u64 = 86_400_000_000 << LOGICAL_BITS;
        time > self.time.saturating_add(DAY)
    }
}

/// One value as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub payload: Payload,
    pub version: Version,
}

/// What a reader is shown of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// None: never written, deleted or expired. Several: siblings, which the client must reconcile.
    pub values: Vec<Shown>,
    /// Covers all that the record holds, tombstones too; given back with the next write.
    pub context: Bytes,
}

/// Why a change cannot be applied. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the {strategy} resolver takes no {change}: {instead}")]
    WrongChange { strategy: &'static str, change: &'static str, instead: &'static str },
    #[error("the context is no version token of the {strategy} resolver")]
    BadContext { strategy: &'static str },
    #[error(
        "{found} siblings of one key are at their limit of {limit}: read, reconcile and write back"
    )]
    TooManySiblings { found: usize, limit: usize },
    #[error("the counter would overflow")]
    Overflow,
}

/// Decides between versions.
///
/// The replica that coordinates a write calls `apply` under the key's latch and stores what comes
/// back; every replica calls `merge` for what it receives; coordinators call `merge` and `answer`
/// for reads.
pub trait Resolver: Send + Sync {
    /// The record after `change`, given what this replica holds and what the writer had seen.
    fn apply(
        &self,
        local: Option<&Record>,
        change: &Change,
        context: Option<&[u8]>,
        stamp: Stamp,
    ) -> Result<Record, Refusal>;

    /// What two records of one key mean together. Canonical: equal meaning is equal bytes.
    fn merge(&self, left: &Record, right: &Record) -> Record;

    /// What a reader is shown at `now_ms` (milliseconds since 1970; decides only what has expired).
    fn answer(&self, record: &Record, now_ms: u64) -> Answer;

    /// The stamp that a version of this resolver was issued under, for people who look at records.
    /// None: its versions carry none, or the bytes are no version of its own.
    fn origin(&self, _version: &Version) -> Option<Stamp> {
        None
    }

    /// Whether two concurrent writes both stay visible until a writer reconciles them (or merge
    /// into one value that holds both). `false` is an honest "one of them is lost".
    fn keeps_concurrent(&self) -> bool;
}

/// The family's marker: `Choice<Conflict>` is what YAML says under `conflict`.
pub enum Conflict {}

impl Family for Conflict {
    type Strategy = dyn Resolver;
    const NAME: &'static str = "conflict";
    const ABOUT: &'static str = "What survives when writes meet?";
    const DEFAULT: &'static str = "lww";

    fn entries() -> &'static [Entry<dyn Resolver>] {
        ENTRIES
    }
}

/// One row for each strategy.
#[rustfmt::skip]
const ENTRIES: &[Entry<dyn Resolver>] = &[
    lww::ENTRY,
    vector_clock::ENTRY,
    crdt::ENTRY,
];
