//! The write-ahead log: a batch is here, on disk, before anybody is told that it was taken.
//!
//! ```text
//!   000000000007.wal   [header: number, base] [record][record][record]   sealed until flushed
//!   000000000008.wal   [header: number, base] [record][rec00000000000…   the tail, then zeros
//!   spare-0.tmp        [0000000000000000000000000000000000000000000000…  made in the background
//! ```
//!
//! # Invariants
//!
//! * Records follow each other without a gap in their sequence numbers, across segments, too.
//! * Only the last segment can be torn: the one before is synchronised before the next gets a name.
//! * A record that was durable and does not verify is an error; a record that was not is cut.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A flipped bit in the very last record looks like a torn write and is cut. A checksum that
//!   was stored elsewhere, after the synchronisation, would tell them apart at the price of a
//!   second write.
//! * Used segments are removed, not recycled: filling a new one with zeros costs a second
//!   sequential write of the log in the background.

mod log;
mod record;
mod replay;
mod segment;

pub use log::Log;
pub use record::Record;
pub use replay::{Replayed, replay};
pub use segment::{Pace, Spare};
