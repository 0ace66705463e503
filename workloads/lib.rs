//! Workloads: what the clients of an experiment ask for, drawn from a seed.
//!
//! A workload is a description, not a program: how many records there are and how large they are,
//! what part of the operations read, update, insert, scan or delete, and which keys are popular.
//! From the description and a seed come streams of operations, one for each concurrent driver:
//!
//! ```text
//!   YAML or name ─► Workload ─┬─► record(seed, i)          the loading phase: every record once
//!                             ├─► OperationStream 0..k ──► Operation { kind, key, value, .. }
//!                             │        ▲
//!                             │        └── Inserts          the one counter that all streams share
//!                             ├─► Skew                      how skewed it really is
//!                             └─► Schedule                  when each operation is meant to start
//! ```
//!
//! The workloads `a` to `f` are those of YCSB (Cooper et al., "Benchmarking Cloud Serving Systems
//! with YCSB", SoCC 2010, table 2; files `workloads/workload{a..f}` and class `CoreWorkload` of its
//! source): the same key names, the same proportions, and key choosers that draw the same
//! distribution down to YCSB's own approximations. Where YCSB's `zipfian` is not Zipf's law, the
//! name says so: `zipfian: ycsb` draws what YCSB draws and `zipfian: exact` draws the law. [`Skew`]
//! tells the two apart in figures.
//!
//! # Invariants
//!
//! * No clock, no thread, no unseeded randomness: the same seed and stream give the same bytes.
//! * A drawn operation allocates nothing but its key and its value, and those come out of chunks.
//! * Each value names its writer, its place in that writer's order and its key ([`Stamp`]), so that
//!   a reader knows which write it saw and a value under the wrong key is noticed.
//! * A [`Workload`] is valid from the moment that it exists: it is checked while it is read.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * The store has no fields. A record is one value of `field_count * field_length` bytes, and what
//!   an update writes is a choice that [`Update`] explains. True fields would need a merge on the
//!   replica.
//! * Field lengths are constant. YCSB also knows uniform, zipfian and histogram lengths; they would
//!   be one more enum in [`Workload`] and a draw in [`values`].
//! * YCSB draws from an unseeded generator, so the streams equal YCSB's in distribution, never in
//!   order.
//! * Popularity does not move during a run, except with `latest`. A drifting hot set would be a
//!   further [`distribution::Distribution`] that takes the operation's number.
//! * Powers and logarithms are the platform's; another libm may differ in the last bit of a draw.

pub mod arrival;
pub mod distribution;
mod error;
mod inserts;
pub mod keys;
mod load;
mod seed;
mod skew;
mod spec;
mod stream;
pub mod values;

pub use arrival::{Arrival, Schedule};
pub use distribution::{Distribution, Zipfian};
pub use error::{Invalid, WorkloadError};
pub use inserts::{Inserts, WindowFull};
pub use keys::InsertOrder;
pub use load::{NAMES, Overrides};
pub use skew::{Skew, SkewCounter};
pub use spec::{Proportions, ScanLength, ScanLengthDistribution, Update, Workload};
pub use stream::{Kind, Operation, OperationStream};
pub use values::{LOADER, Stamp, Verdict, check};
