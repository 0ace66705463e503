//! Sorted tables: written once, read often, checked on every read.
//!
//! ```text
//!   000000000012.table   [block][block] … [block] [filter] [index] [properties] [footer]
//!                         4 KiB of entries         Bloom    last key, offset     version, magic
//! ```
//!
//! A point read costs a look into the filter, a binary search in the index, both in memory, and
//! at most one read of one block.
//!
//! # Invariants
//!
//! * Keys ascend, each occurs once.
//! * Every section carries a checksum that is seeded with the table's number and its own offset:
//!   a block from the wrong place is as corrupt as a flipped bit.
//! * A table is complete and synchronised before the manifest names it.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Index and filter stay in memory, about 1.3 bytes per key and 30 per block. For tables far
//!   larger than memory they would become blocks of their own, behind the cache.

mod builder;
mod footer;
mod reader;

pub use builder::{Format, TableBuilder};
pub use reader::Table;
