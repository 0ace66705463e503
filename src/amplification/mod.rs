//! What compaction strategies cost, without an engine, a disk or a value: a model on metadata.
//!
//! ```text
//!   Workload ─► memtable ─flush─► Store: tables = TableMeta + Content ─► Sampler ─► Outcome
//!               shares of keys      ▲                     │ View
//!                                   │                     ▼
//!                            merge, cut, move ◄── Job ── Picker (strategies/compaction)
//!                            at the machine's speed
//! ```
//!
//! The pickers are the engine's own, and so are the rules by which jobs move, merge, cut and drop.
//! Only the entries are missing. In their place a table knows, for stretches of the key space, the
//! share of the keys that it holds. Which of them were overwritten is chance, and independent from
//! table to table, so two tables with shares a and b of a stretch merge into 1 − (1 − a)(1 − b) of
//! it. Where keys are not alike (Zipf's law), classes of keys by popularity, each twice as wide as
//! the one before, have shares of their own. What the fill wrote, each key once, adds up instead;
//! tombstones are a third share. A merge costs microseconds, however large the tables are.
//!
//! The idea of trying strategies on a simulator of the levels alone is that of mini-lsm's course.
//!
//! # Invariants
//!
//! * Deterministic: the same load, machine, picker and seed give the same outcome to the last bit.
//!   Time passes by what clients write; chance is in the cuts of tables alone, from the seed.
//! * Entries are conserved: a merge keeps what the shares say, a cut loses nothing.
//! * The tables that a picker sees keep its contract: tables of one run are disjoint, sequence
//!   ranges and times enclose their inputs', histograms of expiry add up to the entries.
//! * Write amplification is within 5 % of that of exact sets of keys, for every strategy, over
//!   uniform, zipfian and ordered loads, deletes and expiry, and within 10 % of the engine's own
//!   over uniform and zipfian overwrites (tests).
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Shares are means: fluctuations between flushes are left out, except where tables are cut.
//!   Below some hundred entries per table that shows.
//! * Within a table entries of all classes are equally likely to have expired, though popular ones
//!   are younger. It would take a histogram of expiry for each class.
//! * A key's popularity never changes, and no key is inserted after the fill.
//! * All running jobs share one bandwidth, in bytes written; reading, flushing and the processor
//!   cost nothing. Large jobs are not split, as the engine does: it lets the inputs go slice by
//!   slice, so that its space at worst is less. A flush is one table, where the engine cuts those
//!   of large memtables every 16 MiB.
//! * No time is quiet: what `leveled` keeps waiting on level 0 waits to the end.
//! * Of equal settings a strategy may make one level more or less where sizes lie on the edge; the
//!   engine, too, falls to either side then, and the two can differ by more than 10 %.
//! * Ordered writes leave the model's tables side by side, where the engine's may share a key range
//!   by a few keys: leveled, with memtables as small as tables, the engine wrote a quarter more.
//! * The engine flushes early when its log is four memtables long, which a load of very few popular
//!   keys reaches first; the model waits for the memtable.
//! * Compression and large values outside the tables are not modelled.

mod content;
mod measure;
mod run;
mod store;
#[cfg(test)]
mod tests;
mod workload;

pub use measure::{Reads, Sample};
pub use run::{Machine, Outcome, run};
pub use store::Counters;
pub use workload::{Distribution, MEMTABLE_OVERHEAD_BYTES, Workload, table_overhead_bytes};
