//! The index of a table: a small one in memory over partitions that lie behind the cache.
//!
//! ```text
//!   top         [≤ g: partition 0] [≤ p: partition 1] …   in memory, one for thousands of keys
//!   partition 0 [≤ b: block 0] [≤ d: block 1] … [≤ g: …]  about 4 KiB, read like any block
//!
//!   both:  [head u64] … │ [end of entry u32] … │ [entry] …
//!          │ prefix │ prefix bytes u32 │ entries u32
//!   entry: key bytes │ key behind the head, if any │ offset │ bytes, as varints
//! ```
//!
//! An entry's key is a separator: not below the last key of what it leads to, and below the first
//! key of what follows; the shortest there is, so that long keys do not make a long index. What all
//! separators begin with is kept once, as the prefix. The eight bytes behind it are the head, a
//! number that compares like them, and mostly all that is left of a separator. So a search is one
//! over an array of numbers, which lie close together; only equal heads need a look at the entries.

use super::block::{Malformed, OVERHEAD_BYTES, allocated_bytes};
use super::keys::{HEAD_BYTES, common_prefix, head};
use crate::engine::codec::{Fields, put_varint, varint};
use bytes::Bytes;
use std::cmp::Ordering;

/// Partitions are closed at about this size.
const PARTITION_BYTES: usize = 4 << 10;
const END_BYTES: usize = 4;
const TRAILER_BYTES: usize = 8;
/// Of an entry without its key, about: two lengths and an offset.
const PLACE_BYTES: usize = 8;

/// Where a section lies, with its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    pub bytes: u32,
}

impl Place {
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.bytes))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.offset);
        put_varint(out, u64::from(self.bytes));
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let (offset, bytes) = (fields.varint()?, fields.varint()?);
        let place = Place { offset, bytes: u32::try_from(bytes).ok()? };
        fields.is_done().then_some(place)
    }
}

/// What is left of a key behind its head.
fn tail(key: &[u8]) -> &[u8] {
    key.get(HEAD_BYTES..).unwrap_or_default()
}

/// Collects the entries of one index block.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    keys: Vec<u8>,
    /// Where each key ends, and what it leads to.
    entries: Vec<(usize, Place)>,
    /// Bytes that all keys begin with.
    shared: usize,
    bytes: Vec<u8>,
}

impl IndexBuilder {
    pub fn add(&mut self, separator: &[u8], place: Place) {
        self.shared = match self.entries.is_empty() {
            true => separator.len(),
            false => self.shared.min(common_prefix(self.key(0), separator)),
        };
        self.keys.extend_from_slice(separator);
        self.entries.push((self.keys.len(), place));
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.entries[at - 1].0 };
        &self.keys[start..self.entries[at].0]
    }

    /// Whether the block has about the size of a partition.
    pub fn is_full(&self) -> bool {
        let count = self.entries.len();
        let tails = self.keys.len().saturating_sub(count * (self.shared + HEAD_BYTES));
        count * (HEAD_BYTES + END_BYTES + PLACE_BYTES) + tails >= PARTITION_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last separator, of a block that is not empty.
    pub fn last_key(&self) -> &[u8] {
        self.key(self.entries.len() - 1)
    }

    /// Completes the block. It stays until `clear`.
    pub fn finish(&mut self) -> &[u8] {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let count = self.entries.len();
        let keys = || (0..count).map(|at| &self.key(at)[self.shared..]);
        keys().for_each(|key| bytes.extend_from_slice(&head(key).to_le_bytes()));
        let ends_at = bytes.len();
        bytes.resize(ends_at + count * END_BYTES, 0);
        let entries_at = bytes.len();
        for (at, key) in keys().enumerate() {
            put_varint(&mut bytes, key.len() as u64);
            bytes.extend_from_slice(tail(key));
            self.entries[at].1.encode(&mut bytes);
            let end = (bytes.len() - entries_at) as u32;
            bytes[ends_at + at * END_BYTES..][..END_BYTES].copy_from_slice(&end.to_le_bytes());
        }
        bytes.extend_from_slice(self.keys.get(..self.shared).unwrap_or_default());
        bytes.extend_from_slice(&(self.shared as u32).to_le_bytes());
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        self.bytes = bytes;
        &self.bytes
    }

    pub fn clear(&mut self) {
        self.keys.clear();
        self.entries.clear();
    }
}

/// An index block that was read: the top, or a partition. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Index {
    bytes: Bytes,
    len: u32,
    prefix_at: u32,
}

/// One entry: the length of its separator behind the prefix, that behind the head, and the place.
struct Entry<'a> {
    key_bytes: usize,
    tail: &'a [u8],
    place: Place,
}

impl Index {
    /// Looks at the end of the bytes alone.
    pub fn open(bytes: Bytes) -> Result<Index, Malformed> {
        Self::checked(bytes).ok_or(Malformed)
    }

    fn checked(bytes: Bytes) -> Option<Index> {
        let (rest, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
        let mut fields = Fields::new(trailer);
        let (prefix, len) = (fields.u32()?, fields.u32()?);
        let prefix_at = u32::try_from(rest.len()).ok()?.checked_sub(prefix)?;
        let fixed = u64::from(len) * (HEAD_BYTES + END_BYTES) as u64;
        (len > 0 && fixed <= u64::from(prefix_at)).then_some(Index { bytes, len, prefix_at })
    }

    pub fn entries(&self) -> usize {
        self.len as usize
    }

    /// Memory that it takes in a cache, if nobody else holds it.
    pub fn memory_bytes(&self) -> usize {
        allocated_bytes(self.bytes.len()) + OVERHEAD_BYTES
    }

    fn prefix(&self) -> &[u8] {
        &self.bytes[self.prefix_at as usize..self.bytes.len() - TRAILER_BYTES]
    }

    fn heads(&self) -> &[[u8; HEAD_BYTES]] {
        self.bytes[..self.entries() * HEAD_BYTES].as_chunks().0
    }

    /// Where an entry ends, counted from the first.
    fn end(&self, at: usize) -> Option<usize> {
        let at = self.entries() * HEAD_BYTES + at * END_BYTES;
        let bytes = self.bytes.get(at..)?.first_chunk::<END_BYTES>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    }

    fn entry(&self, at: usize) -> Result<Entry<'_>, Malformed> {
        self.parse(at).ok_or(Malformed)
    }

    fn parse(&self, at: usize) -> Option<Entry<'_>> {
        let entries = self.entries() * (HEAD_BYTES + END_BYTES);
        let entries = self.bytes.get(entries..self.prefix_at as usize)?;
        let start = if at == 0 { 0 } else { self.end(at - 1)? };
        let bytes = entries.get(start..self.end(at)?)?;
        let mut at = 0;
        let key_bytes = usize::try_from(varint(bytes, &mut at)?).ok()?;
        let place_at = at.checked_add(key_bytes.saturating_sub(HEAD_BYTES))?;
        let tail = bytes.get(at..place_at)?;
        Some(Entry { key_bytes, tail, place: Place::decode(&bytes[place_at..])? })
    }

    /// The number of the entry that leads to `key`, or to the first key above it; `entries` if all
    /// keys are below.
    pub fn position(&self, key: &[u8]) -> Result<usize, Malformed> {
        let prefix = self.prefix();
        let shared = key.len().min(prefix.len());
        match key[..shared].cmp(prefix) {
            Ordering::Less => return Ok(0),
            Ordering::Greater => return Ok(self.entries()),
            Ordering::Equal => {}
        }
        let (rest, heads) = (&key[shared..], self.heads());
        let wanted = head(rest);
        let mut low = heads.partition_point(|head| u64::from_le_bytes(*head) < wanted);
        let equal = heads[low..].iter().take_while(|head| u64::from_le_bytes(**head) == wanted);
        let mut high = low + equal.count();
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(middle)?;
            // Behind equal heads the tails decide, or else the length, since zeros were filled in.
            let order = entry.tail.cmp(tail(rest)).then(entry.key_bytes.cmp(&rest.len()));
            if order == Ordering::Less { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Where an entry leads; None behind the last.
    pub fn place(&self, position: usize) -> Result<Option<Place>, Malformed> {
        match position < self.entries() {
            true => self.entry(position).map(|entry| Some(entry.place)),
            false => Ok(None),
        }
    }

    /// The separator of an entry; None behind the last.
    pub fn separator(&self, position: usize) -> Result<Option<Vec<u8>>, Malformed> {
        let Some(head) = self.heads().get(position) else { return Ok(None) };
        let (entry, head) = (self.entry(position)?, u64::from_le_bytes(*head).to_be_bytes());
        let head = &head[..entry.key_bytes.min(HEAD_BYTES)];
        Ok(Some([self.prefix(), head, entry.tail].concat()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn edgy_key() -> impl Strategy<Value = Vec<u8>> {
        let byte = || prop_oneof![Just(0), Just(254), Just(255), 0..4u8];
        prop_oneof![
            4 => proptest::collection::vec(byte(), 0..6),
            1 => proptest::collection::vec(Just(0), 0..12),
            1 => proptest::collection::vec(byte(), 7..14),
        ]
    }

    fn place(at: usize) -> Place {
        Place { offset: at as u64 * 4_000, bytes: at as u32 + 7 }
    }

    fn build(builder: &mut IndexBuilder, keys: &BTreeSet<Vec<u8>>) -> Index {
        keys.iter().enumerate().for_each(|(at, key)| builder.add(key, place(at)));
        assert_eq!(builder.last_key(), keys.last().unwrap());
        let index = Index::open(builder.finish().to_vec().into()).unwrap();
        builder.clear();
        assert!(builder.is_empty());
        index
    }

    /// Uses everything that there is to use.
    fn visit(bytes: Bytes, keys: &BTreeSet<Vec<u8>>) {
        let Ok(index) = Index::open(bytes) else { return };
        for at in 0..index.entries().min(100) + 1 {
            let _ = (index.place(at), index.separator(at));
        }
        for key in keys {
            assert!(index.position(key).unwrap_or_default() <= index.entries());
        }
    }

    proptest! {
        #[test]
        fn entries_are_found_by_key_and_by_number(
            prefixes in proptest::collection::vec("(common )?prefix", 2),
            keys in proptest::collection::vec(
                proptest::collection::btree_set(edgy_key(), 1..40), 2),
            others in proptest::collection::vec(edgy_key(), 10),
        ) {
            let mut builder = IndexBuilder::default();
            for (prefix, keys) in prefixes.iter().zip(&keys) {
                let with = |key: &Vec<u8>| [prefix.as_bytes(), key].concat();
                let model: BTreeSet<Vec<u8>> = keys.iter().map(with).collect();
                let index = build(&mut builder, &model);
                prop_assert_eq!(index.entries(), model.len());
                for (at, key) in model.iter().enumerate() {
                    prop_assert_eq!(index.separator(at), Ok(Some(key.clone())));
                    prop_assert_eq!(index.place(at), Ok(Some(place(at))));
                }
                prop_assert_eq!(index.place(model.len()), Ok(None));
                let cut = model.iter().map(|key| key[..key.len() / 2].to_vec());
                let others = others.iter().flat_map(|key| [with(key), key.clone()]);
                for key in model.iter().cloned().chain(cut).chain(others) {
                    let expected = model.iter().filter(|found| **found < key).count();
                    prop_assert_eq!(index.position(&key), Ok(expected), "{:?}", key);
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic(
            keys in proptest::collection::btree_set(edgy_key(), 1..20),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
            random in proptest::collection::vec(0_u8..8, 0..60),
        ) {
            let mut bytes = build(&mut IndexBuilder::default(), &keys).bytes.to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            visit(bytes.clone().into(), &keys);
            bytes.truncate(cut.index(bytes.len()));
            visit(bytes.into(), &keys);
            visit(random.into(), &keys);
        }
    }

    /// Twenty bytes for a key of sixteen, whatever the keys have in common.
    #[test]
    fn a_partition_has_about_four_kib() {
        for prefix in ["", "a prefix that all keys have in common "] {
            let mut builder = IndexBuilder::default();
            let mut count = 0;
            while !builder.is_full() {
                let key = format!("{prefix}{count:016}");
                builder.add(key.as_bytes(), place(count));
                count += 1;
            }
            let bytes = builder.finish().len();
            assert!((3_500..4_500).contains(&bytes), "{bytes}");
            assert!(count > 180, "{count}");
        }
    }
}
