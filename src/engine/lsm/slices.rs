//! A large job, piece by piece: what a piece has rewritten is installed before the next one begins.
//!
//! ```text
//!   level 0   [a────────────────────z] x 8      stay until the last slice is installed
//!   base      [a──d][e──g]│[h──m][n──p]│[q──s][t──z]
//!   slices     1: up to h   2: up to q   3: the rest
//!   base now  [a─c][d─g']  [h──m][n──p]  [q──s][t──z]     after the first
//! ```
//!
//! A job that moves a few tables down and drags a whole level along would hold both lives of that
//! level until it ends: twice the room on the disk, and in memory as much of it as is cached. Cut
//! where tables of the output's run begin, its slices give back what they have rewritten one after
//! the other, and each writes over the files of the one before (`table/spares.rs`). ScyllaDB's
//! incremental compaction does so with fragments of runs.
//!
//! # Why readers see nothing of it
//!
//! An entry that a slice has carried down still lies above, in the tables that stay, and is the
//! same there: lookups meet that one first. A tombstone that was dropped with what it hid is still
//! met above, too. After a crash the tables that stay are merged down once more, with the same
//! outcome. Until then sequence numbers of a level lie among those of the one beneath, as far as
//! those of all that stays: nothing but the order of runs on one level depends on them.

use super::jobs::Claim;
use super::version::Placed;

/// Tables of the output's run with the keys that are theirs: from `start` to before `end`.
#[derive(Default)]
pub struct Slice {
    pub start: Vec<u8>,
    /// None: to the last key.
    pub end: Option<Vec<u8>>,
    /// Superfluous once the slice is installed.
    pub rewritten: Vec<Placed>,
}

impl Slice {
    pub fn holds(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_deref().is_none_or(|end| key < end)
    }
}

/// Takes what the slices rewrite out of the inputs of a claim: what is left there stays until the
/// last slice is installed. A job that cannot be cut is one slice that rewrites nothing by itself.
pub fn cut(claim: &mut Claim<'_>, slice_bytes: u64) -> Vec<Slice> {
    let job = &claim.job;
    let joins =
        |placed: &Placed| placed.level == job.output_level && Some(placed.run) == job.output_run;
    let sinks = |placed: &Placed| placed.level < job.output_level;
    if !claim.inputs.iter().all(|placed| joins(placed) || sinks(placed)) {
        return vec![Slice::default()];
    }
    let (mut joined, above): (Vec<_>, Vec<_>) =
        std::mem::take(&mut claim.inputs).into_iter().partition(joins);
    claim.inputs = above;
    joined.sort_by(|a, b| a.table.first_key().cmp(b.table.first_key()));
    let mut left: u64 = joined.iter().map(|placed| placed.table.bytes()).sum();
    let (mut slices, mut slice, mut bytes) = (Vec::new(), Slice::default(), 0);
    for placed in joined {
        // What is left at the end is a slice of its own only if it is worth it.
        if bytes >= slice_bytes && left >= slice_bytes / 2 {
            let start = placed.table.first_key().to_vec();
            slice.end = Some(start.clone());
            slices.push(std::mem::replace(&mut slice, Slice { start, ..Slice::default() }));
            bytes = 0;
        }
        bytes += placed.table.bytes();
        left -= placed.table.bytes();
        slice.rewritten.push(placed);
    }
    slices.push(slice);
    slices
}
