//! Compaction: which sorted tables to merge next.
//!
//! ```text
//!   writes ─► memtable ─flush─► level 0: [t9][t8][t7]       newest first, may overlap
//!                               level 1: [a──f][g──p][q─z]  a sorted run: disjoint
//!                                        [b────k][m─────y]  a level may hold several
//!                               level 2: …
//!   Picker::pick(all tables) ─► Job { inputs, output_level } ─► the engine merges and installs
//! ```
//!
//! A picker trades write amplification against read and space amplification. It sees metadata
//! alone, so the same code runs in the engine, in a unit test and over a million simulated flushes.
//!
//! Lookups go level by level, and within a level from the newest run to the oldest. So a picker has
//! two ways to say what is older: a deeper level, or a place in the order of age on one level.
//! `leveled` and `lazy_leveled` use levels. `size_tiered`, `time_window` and `unified` go by age:
//! level 0 holds the runs that wait for their first merge, level 1 all the others. So the number of
//! runs on level 0 is a measure of debt under every strategy. A store can change its strategy
//! between two starts: each takes over the tables as they are.
//!
//! # Invariants (law tests, over every row of the registry)
//!
//! * Inputs exist, are not busy, and are named once.
//! * A job never skips a newer overlapping table: whatever lies outside the job and overlaps an
//!   input is met by lookups before the output if it was met before the input, and after it
//!   otherwise.
//! * Overlapping tables of one level never have sequence ranges that interleave.
//! * Without further flushes a picker comes to rest: the jobs end.
//!
//! # What an engine does with a job
//!
//! * Inputs that all come from above the output level and overlap neither each other nor the run
//!   that they join may be moved: they change level and run without being rewritten.
//! * What comes out is one run, with sequence numbers and times of writing that enclose those of
//!   the inputs.
//! * An entry that is dead (a tombstone, or expired by the clock that the picker was shown) is
//!   dropped if no table that lookups meet after the output covers its key. Pickers count on it: a
//!   job for the sake of dead entries is asked for again until they are gone. If all entries are
//!   dropped, nothing comes out; a job whose inputs have all expired needs no reading at all.
//! * Where all inputs come from above the output level or from the run that the output joins, the
//!   job may be done in pieces, key by key: the part of that run that is done is replaced, and the
//!   inputs from above stay until the end. After a crash in between they are still there, with
//!   sequence numbers that lie among those of the run.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A picker does not say where to cut: an engine may merge a job in parallel parts by keys, but
//!   tables of different runs are not cut at the same keys. That would take boundaries in `Job`.
//! * A picker does not see how busy the disk is, only whether little is written. When to pause is
//!   for the engine to decide.
//! * Only `leveled` starts jobs for the sake of tombstones, and only it and `time_window` for the
//!   sake of expiry.

#[cfg(test)]
mod amplification;
#[cfg(test)]
mod laws;
mod lazy_leveled;
mod leveled;
mod runs;
mod size_tiered;
mod time_window;
mod unified;

use crate::{Entry, Family};
use bytes::Bytes;

/// A sorted table as a picker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableMeta {
    pub id: u64,
    /// 0 holds what was flushed.
    pub level: u32,
    /// Tables of one level with the same run are disjoint: together they are one sorted run. Runs
    /// of a level may overlap; the one with the newest entry is read first.
    pub run: u64,
    /// Size of the file.
    pub bytes: u64,
    pub entries: u64,
    /// Entries that only shadow older ones.
    pub tombstones: u64,
    pub first_key: Bytes,
    pub last_key: Bytes,
    /// Write sequence numbers that enclose those of the entries.
    pub min_sequence: u64,
    pub max_sequence: u64,
    /// When the oldest and the newest entry were flushed for the first time, in seconds since 1970;
    /// 0 where no clock was given.
    pub min_written_s: u64,
    pub max_written_s: u64,
    /// Entries that expire: (no later than this second since 1970, how many), ascending.
    pub expiry: Vec<(u64, u64)>,
    /// A running job reads it; it must not be picked again.
    pub busy: bool,
}

impl TableMeta {
    /// Whether the key ranges have a key in common.
    pub fn overlaps(&self, other: &TableMeta) -> bool {
        self.first_key <= other.last_key && other.first_key <= self.last_key
    }

    /// Entries that have certainly expired by `now_s`; none where no clock was given.
    pub fn expired_entries(&self, now_s: u64) -> u64 {
        let past = self.expiry.iter().take_while(|(by_s, _)| *by_s <= now_s);
        if now_s == 0 { 0 } else { past.map(|(_, entries)| entries).sum() }
    }
}

/// What to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Ids of the tables to merge.
    pub inputs: Vec<u64>,
    pub output_level: u32,
    /// The run of the output level that the output joins, which then must stay disjoint; None: a
    /// run of its own.
    pub output_run: Option<u64>,
    /// The merged run is cut into tables of about this size.
    pub table_bytes: u64,
    /// One short phrase for logs and metrics: why this job.
    pub reason: &'static str,
}

/// What a picker decides upon.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub tables: &'a [TableMeta],
    /// Seconds since 1970, for what depends on age; 0 where no clock was given.
    pub now_s: u64,
    /// Little is written at present: a job that waits for more to come need not wait.
    pub quiet: bool,
}

/// Decides the next compaction.
///
/// The engine calls `pick` after every flush and every finished job, until it answers `None`; and
/// now and then without a change, since time passes.
pub trait Picker: Send + Sync {
    fn pick(&self, view: &View<'_>) -> Option<Job>;
}

/// The family's marker: `Choice<Compaction>` is what YAML says under `compaction`.
pub enum Compaction {}

impl Family for Compaction {
    type Strategy = dyn Picker;
    const NAME: &'static str = "compaction";
    const ABOUT: &'static str = "Which sorted tables are merged next?";
    const DEFAULT: &'static str = "leveled";

    fn entries() -> &'static [Entry<dyn Picker>] {
        ENTRIES
    }
}

/// One row for each strategy.
#[rustfmt::skip]
const ENTRIES: &[Entry<dyn Picker>] = &[
    leveled::ENTRY,
    size_tiered::ENTRY,
    lazy_leveled::ENTRY,
    time_window::ENTRY,
    unified::ENTRY,
];
