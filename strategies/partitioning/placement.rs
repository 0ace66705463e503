//! A placement: the preference list of every range of one epoch, laid out for lookups.

use crate::{NodeId, Token};

/// All tokens from `start` to `end`, both included. Ranges never wrap: a ring's last arc is two ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRange {
    pub start: Token,
    pub end: Token,
}

/// A range that `to` gains between two placements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub range: TokenRange,
    pub to: NodeId,
    /// Those who owned the range before and may hand it over.
    pub from: Vec<NodeId>,
}

/// Who owns what, for one topology. Lookups take a bucket by the token's top bits and a short walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Ascending ends of the ranges, both bounds included; the last is `u64::MAX`.
    ends: Vec<u64>,
    /// `width` owners for each range, flat.
    owners: Vec<NodeId>,
    width: usize,
    /// For each value of a token's top bits, the first range that may hold it.
    buckets: Vec<u32>,
}

const BUCKET_BITS: u32 = 12;
