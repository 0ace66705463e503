//! The write-ahead log: a batch is here, on disk, before anybody is told that it was taken.
//!
//! ```text
//!   000000000007.wal     [header 7][record][record][record]…old…   sealed, until tables hold it
//!   000000000008.wal     [header 8][record][record]…old records…   active: the tail, then garbage
//!   000000000009.wal     [header 9]…old records, or zeros………………   next: has its header and name
//!   000000000004.spare   …old records…………………………………………………………   waits for another life
//!
//!                 header, sync, rename,                    switch           switch
//!     ┌─► spare ──── sync folder ──────► next ─────────────► active ─────────► sealed ──┐
//!     │     ▲                                                                           │
//!   zeros   └────────── rename, sync folder ◄── retire: the tables hold all of it ◄─────┘
//! ```
//!
//! Where commits wait for the disk, a file is filled with zeros once; and it serves again and
//! again. So an `fdatasync` after an append has no metadata to write, neither a length nor an
//! extent, and a steady state writes nothing but records, and zeros behind them to the end of each
//! page that they begin, so that none has to be read first. What a recycled segment held before
//! stays there, behind the new records. It never passes for new: the checks
//! of a record are seeded with the log's id, the segment's number and the place, and a number is
//! never given twice.
//!
//! The next segment has its header and its name, durably, before it is needed: to go on in it costs
//! the writer nothing. The sealed one is not waited for either. It is synchronised by the next
//! `sync`, or by [`tend`] in the background whatever the `sync` setting says; only a writer that is
//! a whole segment ahead of the disk waits for it. Where nobody has prepared a segment in time, the
//! writer makes one at once, from a spare or without zeros, and pays with a synchronised header and
//! name. The first segment of a folder has no zeros either. Into such a one the writer puts them
//! itself, a quarter of a MiB ahead of the records.
//!
//! # Invariants
//!
//! * Records follow each other without a gap in their sequence numbers, across segments, too,
//!   except for a gap whose records the tables hold. Segments name the one before them.
//! * A segment with a name has a header, both durable before its first record. So there is no
//!   moment in its recycling at which a crash leaves a name that does not fit the content:
//!   - renamed to a spare, not durably: it is still the old segment, which is flushed;
//!   - a spare with the header of its next life, or of its last one: a spare is not read;
//!   - renamed to its next number, not durably: still a spare, and no record was written to it.
//! * A record, and the header of a segment, say up to where the log was durable when they were
//!   written. So a record that was durable and does not verify is proved by what is behind it, and
//!   is an error. One that nobody was promised ends the log, with everything behind it.
//! * After a recovery the log goes on in a new segment. Nothing that was read is changed, and what
//!   was dropped has lost its name before new records get the same sequence numbers.
//! * After a failure nothing more is written: a synchronisation that succeeds after one that failed
//!   proves nothing.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A flipped bit in the last record that was synchronised, or in the last group of them, looks
//!   like a torn write and ends the log there: no header behind says that it was durable. A mark
//!   that is written after each synchronisation would tell them apart, at the price of a second
//!   write.
//! * For the same reason a log whose newest segments were all deleted by hand looks like a shorter
//!   log, unless the next one is left.
//! * A salvage keeps what is before the first hole. The rest, in files `*.salvaged`, is not merged
//!   back: that would take a tool which knows what may be applied out of order.
//! * What was dropped is counted as far as headers are left. Where the torn record's own header is
//!   gone, it cannot be told from an old one.

mod log;
mod pool;
mod reader;
mod record;
mod replay;
mod segment;
mod start;
mod upkeep;

pub use log::{Appended, Log, Segment, Settings};
pub use reader::read_segment;
pub use record::{
    Change, Changes, Group, HEADER_BYTES as RECORD_HEADER_BYTES, Header as RecordHeader,
    MAX_BATCH_BYTES, MAX_KEY_BYTES, Seal, check_batch, find_headers,
};
pub use replay::{Replayed, Salvage, Salvaged, Torn, replay};
pub use segment::{
    FORMAT_VERSION, HEADER_BYTES as SEGMENT_HEADER_BYTES, Header as SegmentHeader, Pace,
    segment_name,
};
pub use upkeep::{retire, sync, tend};

#[cfg(test)]
mod tests;
