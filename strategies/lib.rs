//! The decisions that the literature on Dynamo-style stores argues about, one small trait each.
//!
//! ```text
//!   family         trait         sees                            decides
//!   partitioning   Partitioner   members, a key                  who owns which tokens
//!   conflict       Resolver      records, the writer's context   what survives a write or a merge
//!   compaction     Picker        metadata of the sorted tables   the next job, or none
//!   detection      Detector      times of arrival                up, suspect or down
//! ```
//!
//! A strategy is one file and one row of its family's registry. The row makes it exist everywhere:
//! in YAML, in `quorate list`, in the benches, and in the family's law tests, which loop over the
//! registry.
//!
//! # Invariants
//!
//! * No sockets, threads, clocks, disk or unseeded randomness: time and bytes are arguments.
//! * A strategy sees plain data, never the engine or the node, so it runs in a unit test, a bench,
//!   the simulator and a real process alike.
//! * A [`Choice`] is valid from the moment that it exists: names and settings are checked when YAML
//!   is read, not when a node is half started.

pub mod compaction;
pub mod conflict;
pub mod detection;
pub mod partitioning;
mod registry;
mod types;

pub use compaction::Compaction;
pub use conflict::Conflict;
pub use detection::Detection;
pub use partitioning::Partitioning;
pub use registry::{Choice, Entry, Family, Invalid, Parameter, Settings, defaults, nearest, read};
pub use types::{Member, NodeId, Token, Topology};
