//! Sorted tables: written once, read often, checked whenever they come from the disk.
//!
//! ```text
//!   000000000012.table
//!   [block] … [block] [partition] [block] … [partition] [top index] [filter] [properties] [footer]
//!
//!   get ─► filter ─► top index ─► partition ─► block ─► entry
//!          memory    memory       cache        cache
//! ```
//!
//! * A **block** is 4 KiB (`block_kib`) of entries in the order of their keys, with shared
//!   prefixes, restart points and, if wanted, an index by hash. It may be compressed, by LZ4 or
//!   Zstandard; the sections around the blocks are not.
//! * An index **partition** is about 4 KiB: a separator and a place for some hundred blocks. The
//!   **top index** says the same of the partitions.
//! * The **filter** is a Bloom filter that looks at one line of the processor's cache.
//! * **Properties** are what pickers and reports want to know. The **footer** says where all that
//!   lies, and in which format.
//!
//! So what grows with the data and must be in memory is the filter, 10 bits per key, and an entry
//! of the top index for thousands of keys, a small part of a bit each. All else lies behind the
//! cache, unless the index is pinned; both are counted (`Table::memory_bytes`,
//! `BlockCache::usage_bytes`).
//!
//! Entries have no sequence numbers. Which of two entries of a key is newer follows from the places
//! of their tables in the tree (`Rank`), since a table never holds two entries of a key. Cursors
//! walk a table, a run of disjoint tables, or merge many sources; all speak
//! `engine::entry::Cursor`.
//!
//! A table that is gone may leave its file to a new one (`spares.rs`): the engine decides how much
//! of the disk may wait so.
//!
//! # Invariants
//!
//! * Keys ascend, each occurs once; the builder refuses anything else.
//! * Every section carries a checksum over its bytes, its offset and the table's number. What comes
//!   from the disk is checked before it is used or cached; what is in the cache is not checked
//!   again.
//! * Whatever the bytes of a file are, reading it ends with an answer or an error that names the
//!   place, never in a panic; and allocates no more than the file is long, or 64 MiB for a section
//!   that claims to be compressed.
//! * A separator is not below any key of what it leads to, and below all keys of what follows.
//! * A table is complete and synchronised before `TableBuilder::finish` returns; its name is, once
//!   the folder has been synchronised.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A value that is handed out is a slice of its block and keeps all of it in memory, 4 KiB for
//!   100 bytes, though the cache may have evicted it; that of a long scan a slice of up to 256 KiB
//!   that were read at once. Answers live for microseconds; who keeps values for long copies them.
//! * What a scan reads in steps above 32 KiB does not enter the cache. So a load of long scans
//!   alone lives from the page cache of the system, whatever the size of this one.
//! * Separators of keys that differ late are as long as the keys, so with keys of 256 bytes and
//!   values of 4 KiB the top index takes more than the 2 bits per key that it has elsewhere. A
//!   third level would mend that.
//! * The filter is read whole when the table is opened, and stays. For tables far larger than
//!   memory it would become partitions of its own, as the index has them.
//! * The cache has no priorities; partitions stay in it because they are asked for so often. Blocks
//!   of a table that a compaction has replaced stay until they are evicted.
//! * A table that is being written holds 8 bytes per key for its filter. It could be built in
//!   parts.
//! * Two readers that miss the same block at once both read it.
//! * Filters and blocks use a hash without a secret: who chooses keys that collide in it makes the
//!   filter answer "maybe" for them, which costs a read.

mod block;
mod builder;
mod cache;
mod cursor;
mod expiry;
mod filter;
mod footer;
mod index;
mod keys;
mod merge;
mod output;
mod properties;
mod readahead;
mod reader;
mod run;
mod section;
mod spares;
#[cfg(test)]
mod tests;
mod verify;

#[doc(hidden)]
pub use block::{Block, BlockBuilder, BlockCursor};
pub use builder::{Format, TableBuilder};
pub use cache::BlockCache;
pub use cursor::TableCursor;
pub use expiry::Expiry;
#[doc(hidden)]
pub use filter::Filter;
#[doc(hidden)]
pub use index::Index;
pub use merge::MergeCursor;
pub use properties::{Origin, Properties};
pub use readahead::Access;
pub use reader::Table;
pub use run::RunCursor;
pub use spares::{Spares, is_spare};
pub use verify::{Verified, verify, verify_on};

use xxhash_rust::xxh3::xxh3_64;

/// The format of the tables that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 2;

/// The hash of a key that memtables, filters and blocks share, so that a request hashes once. It is
/// part of the format.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}
