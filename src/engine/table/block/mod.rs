//! A block: the unit of reading, caching and checksums.
//!
//! ```text
//!   [entry] … │ [restart point u32] … │ [bucket u8] … │ buckets u16 │ restart points u32
//!
//!   entry:  shared 5 bits, expires 1 bit, kind 2 bits │ [shared, if 31 or more] │ suffix bytes
//!           │ [value bytes, but for a tombstone] │ [expires_s] │ suffix │ value
//! ```
//!
//! Numbers of an entry are varints. An entry shares the beginning of its key, as long as it goes,
//! with the key before it; at a restart point it shares nothing. A search is a binary search over
//! the restart points, and a walk from there. The walk copies nothing: as long as the entries are
//! below the wanted key, how much of the wanted key they begin with and how much the next one
//! shares with them tells most of the time, without a look at its bytes, on which side it lies.
//!
//! Where there are buckets, the hash of a key names its restart point at once (Wu, "Improving
//! Point-Lookup Using Data Block Hash Index", RocksDB, 2018). 255 is an empty bucket: the key is
//! not here. 254 is one that keys of several restart points fell into: the binary search decides.
//!
//! Opening a block looks at its end alone; an entry is checked when it is read.

mod builder;
mod cursor;
#[cfg(test)]
mod tests;

pub use builder::BlockBuilder;
pub use cursor::BlockCursor;

use super::keys::common_prefix;
use crate::engine::codec::varint;
use crate::engine::entry::{Found, Kind};
use bytes::{Buf, Bytes};
use std::cmp::Ordering;

const TRAILER_BYTES: usize = 6;
const KIND_BITS: u8 = 3;
const EXPIRES: u8 = 4;
/// Shared bytes that the first byte of an entry has no room for: a varint follows.
const SHARED_ELSEWHERE: usize = 31;
const EMPTY_BUCKET: u8 = 255;
const CROWDED_BUCKET: u8 = 254;
/// Memory of a cached block beside its bytes: the handle, its counter, the place in the cache.
pub const OVERHEAD_BYTES: usize = 160;

/// What the allocator takes for so many bytes: jemalloc has four sizes to each doubling. Four
/// values of 1 KiB make a block of 4,240 bytes, and that takes 5,120.
pub fn allocated_bytes(bytes: usize) -> usize {
    let step = bytes.checked_next_power_of_two().map_or(bytes, |above| above / 8);
    bytes.next_multiple_of(step.max(16))
}

/// The bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

fn bucket_of(hash: u64, buckets: usize) -> usize {
    (((hash & 0xffff_ffff) * buckets as u64) >> 32) as usize
}

/// A block that was read. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Block {
    bytes: Bytes,
    /// Where the entries end and the restart points begin.
    entries_end: u32,
    restarts: u32,
    buckets: u32,
}

/// One entry: where its parts lie.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Bytes of its key that the key before it begins with, too.
    shared: usize,
    suffix_at: usize,
    value_at: usize,
    end: usize,
    kind: Kind,
    expires_s: u64,
}

impl Entry {
    /// None where the entry is malformed or reaches behind the end.
    #[inline]
    fn parse(entries: &[u8], mut at: usize) -> Option<Entry> {
        let tag = *entries.get(at)?;
        at += 1;
        let mut shared = usize::from(tag >> 3);
        if shared == SHARED_ELSEWHERE {
            shared = usize::try_from(varint(entries, &mut at)?).ok()?;
        }
        let suffix = usize::try_from(varint(entries, &mut at)?).ok()?;
        let kind = Kind::from_code(tag & KIND_BITS)?;
        let value = match kind {
            Kind::Tombstone => 0,
            Kind::Value | Kind::Pointer => usize::try_from(varint(entries, &mut at)?).ok()?,
        };
        let expires_s = if tag & EXPIRES == 0 { 0 } else { varint(entries, &mut at)? };
        let value_at = at.checked_add(suffix)?;
        let end = value_at.checked_add(value)?;
        let entry = Entry { shared, suffix_at: at, value_at, end, kind, expires_s };
        (end <= entries.len()).then_some(entry)
    }
}

impl Block {
    /// Looks at the end of the bytes alone.
    pub fn open(bytes: Bytes) -> Result<Block, Malformed> {
        Self::checked(bytes).ok_or(Malformed)
    }

    fn checked(bytes: Bytes) -> Option<Block> {
        let (rest, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
        let buckets = u32::from(u16::from_le_bytes([trailer[0], trailer[1]]));
        let restarts = u32::from_le_bytes([trailer[2], trailer[3], trailer[4], trailer[5]]);
        let index_bytes = u64::from(restarts) * 4 + u64::from(buckets);
        let entries_end = u32::try_from((rest.len() as u64).checked_sub(index_bytes)?).ok()?;
        let sound = restarts > 0 && entries_end > 0;
        sound.then_some(Block { bytes, entries_end, restarts, buckets })
    }

    /// Memory that it takes in a cache, if nobody else holds it.
    pub fn memory_bytes(&self) -> usize {
        allocated_bytes(self.bytes.len()) + OVERHEAD_BYTES
    }

    fn restarts(&self) -> usize {
        self.restarts as usize
    }

    #[inline]
    fn entries(&self) -> &[u8] {
        &self.bytes[..self.entries_end as usize]
    }

    /// Where a restart point leads.
    #[inline]
    fn restart(&self, index: usize) -> Result<usize, Malformed> {
        let at = self.entries_end as usize + index * 4;
        let bytes = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
        bytes.map(|bytes| u32::from_le_bytes(*bytes) as usize).ok_or(Malformed)
    }

    fn restart_entry(&self, index: usize) -> Result<Entry, Malformed> {
        let entry = Entry::parse(self.entries(), self.restart(index)?);
        entry.filter(|entry| entry.shared == 0).ok_or(Malformed)
    }

    /// How many restart points lead to keys that are not above `key`.
    fn restarts_up_to(&self, key: &[u8]) -> Result<usize, Malformed> {
        let (mut low, mut high) = (0, self.restarts());
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.restart_entry(middle)?;
            if &self.entries()[entry.suffix_at..entry.value_at] <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Walks on from the entry at `at`, which shares nothing with the one before it, to the first
    /// one that is not below `key`: it is equal, or greater. Its first `shared` bytes are those of
    /// `key`.
    fn walk(&self, mut at: usize, key: &[u8]) -> Result<Option<(Entry, Ordering)>, Malformed> {
        let entries = self.entries();
        // Bytes of `key` that the last entry, which is below it, begins with.
        let mut matched = 0;
        while at < entries.len() {
            let entry = Entry::parse(entries, at).ok_or(Malformed)?;
            at = entry.end;
            match entry.shared.cmp(&matched) {
                // It agrees with its predecessor where that one fell below.
                Ordering::Greater => continue,
                // It rose above its predecessor where that one still agreed with `key`.
                Ordering::Less => return Ok(Some((entry, Ordering::Greater))),
                Ordering::Equal => {}
            }
            let (found, wanted) = (&entries[entry.suffix_at..entry.value_at], &key[matched..]);
            let common = common_prefix(found, wanted);
            match found.get(common).cmp(&wanted.get(common)) {
                Ordering::Less => matched += common,
                order => return Ok(Some((entry, order))),
            }
        }
        Ok(None)
    }

    /// The first entry that is not below `key`.
    fn lower_bound(&self, key: &[u8]) -> Result<Option<(Entry, Ordering)>, Malformed> {
        let restarts = self.restarts_up_to(key)?;
        self.walk(self.restart(restarts.saturating_sub(1))?, key)
    }

    /// The bucket of a hash: its restart point; or one of the two special numbers.
    fn bucket(&self, hash: u64) -> u8 {
        if self.buckets == 0 {
            return CROWDED_BUCKET;
        }
        let first = self.entries_end as usize + self.restarts() * 4;
        let at = first + bucket_of(hash, self.buckets as usize);
        self.bytes.get(at).copied().unwrap_or(CROWDED_BUCKET)
    }

    fn find(&self, key: &[u8], hash: u64) -> Result<Option<Entry>, Malformed> {
        let entry = match self.bucket(hash) {
            EMPTY_BUCKET => None,
            CROWDED_BUCKET => self.lower_bound(key)?,
            restart => self.walk(self.restart(usize::from(restart))?, key)?,
        };
        Ok(entry.filter(|(_, order)| *order == Ordering::Equal).map(|(entry, _)| entry))
    }

    /// The entry of a key whose hash is `hash`. The value is a slice of the block and keeps it in
    /// memory.
    pub fn get(&self, key: &[u8], hash: u64) -> Result<Option<Found>, Malformed> {
        self.clone().into_found(key, hash)
    }

    /// The same where the block is not needed any more: its count of users, which all readers of a
    /// hot block write, is left alone.
    pub fn into_found(self, key: &[u8], hash: u64) -> Result<Option<Found>, Malformed> {
        let Some(entry) = self.find(key, hash)? else { return Ok(None) };
        let mut value = self.bytes;
        value.truncate(entry.end);
        value.advance(entry.value_at);
        Ok(Some(Found { kind: entry.kind, expires_s: entry.expires_s, value }))
    }
}
