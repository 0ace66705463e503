//! A data block: the unit of reading, caching and checksums.
//!
//! ```text
//!   [entry 0][entry 1] … [entry n-1] [offset 0: u32] … [offset n-1] [n: u32]
//!   entry: key bytes u16 │ sequence << 1 | has a value, u64 │ key │ value, up to the next entry
//! ```
//!
//! Every entry has its offset, so that a search is a plain binary search and a key is a slice of
//! the block. Shared prefixes are left to the block's compression.

use super::codec::{Fields, put_short};
use super::entry::{Entry, Slot};
use bytes::Bytes;

/// Of an entry, beside key and value: its length, its tag and its offset.
const ENTRY_OVERHEAD_BYTES: usize = 2 + 8 + 4;

/// Collects entries in key order.
#[derive(Debug, Default)]
pub struct BlockBuilder {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl BlockBuilder {
    pub fn add(&mut self, entry: &Entry) {
        self.offsets.push(self.bytes.len() as u32);
        let tag = entry.sequence << 1 | u64::from(entry.value.is_some());
        self.bytes.extend_from_slice(&(entry.key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(&tag.to_le_bytes());
        self.bytes.extend_from_slice(&entry.key);
        self.bytes.extend_from_slice(entry.value.as_deref().unwrap_or_default());
    }

    /// Size of the block with one more entry.
    pub fn bytes_with(&self, entry: &Entry) -> usize {
        let value = entry.value.as_ref().map_or(0, Bytes::len);
        self.bytes.len() + self.offsets.len() * 4 + ENTRY_OVERHEAD_BYTES + entry.key.len() + value
    }

    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The finished block; the builder is empty again.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        for offset in &self.offsets {
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.offsets.len() as u32).to_le_bytes());
        self.offsets.clear();
        bytes
    }
}

/// A block that was read and whose structure holds: every entry lies within its bounds.
#[derive(Clone, Debug)]
pub struct Block {
    data: Bytes,
    offsets_at: usize,
}

impl Block {
    /// Checks the structure once, so that the accessors need not.
    pub fn decode(data: Bytes) -> Option<Self> {
        let tail = data.len().checked_sub(4)?;
        let count = Fields::new(&data[tail..]).u32()? as usize;
        let offsets_at = tail.checked_sub(count.checked_mul(4)?)?;
        let block = Block { data, offsets_at };
        let starts_at_zero = count == 0 || block.offset(0) == 0;
        let sound = starts_at_zero && (0..count).all(|index| block.is_sound(index));
        sound.then_some(block)
    }

    fn is_sound(&self, index: usize) -> bool {
        let (start, end) = (self.offset(index), self.offset(index + 1));
        start <= end && end <= self.offsets_at && {
            let mut fields = Fields::new(&self.data[start..end]);
            let key = fields.u16().filter(|_| fields.u64().is_some());
            key.is_some_and(|len| fields.slice(usize::from(len)).is_some())
        }
    }

    pub fn len(&self) -> usize {
        (self.data.len() - 4 - self.offsets_at) / 4
    }

    /// Memory that it holds.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Where entry `index` starts; where the entries end for the index behind the last.
    fn offset(&self, index: usize) -> usize {
        if index == self.len() {
            return self.offsets_at;
        }
        let at = self.offsets_at + index * 4;
        let bytes: [u8; 4] = self.data[at..at + 4].try_into().expect("four bytes were taken");
        u32::from_le_bytes(bytes) as usize
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = self.offset(index);
        let len = u16::from_le_bytes([self.data[start], self.data[start + 1]]);
        &self.data[start + 10..start + 10 + usize::from(len)]
    }

    fn slot(&self, index: usize) -> Slot {
        let start = self.offset(index);
        let tag: [u8; 8] = self.data[start + 2..start + 10].try_into().expect("eight bytes");
        let tag = u64::from_le_bytes(tag);
        let value_at = start + 10 + self.key(index).len();
        let value = (tag & 1 == 1).then(|| self.data.slice(value_at..self.offset(index + 1)));
        Slot { sequence: tag >> 1, value }
    }

    pub fn entry(&self, index: usize) -> Entry {
        let Slot { sequence, value } = self.slot(index);
        Entry { key: self.data.slice_ref(self.key(index)), sequence, value }
    }

    /// Index of the first entry whose key is not below `key`.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub fn get(&self, key: &[u8]) -> Option<Slot> {
        let index = self.lower_bound(key);
        (index < self.len() && self.key(index) == key).then(|| self.slot(index))
    }
}

/// Where a block lies in its table, and the last key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub last_key: Bytes,
    pub offset: u64,
    pub len: u32,
}

/// The index of a table as bytes: `last key │ offset u64 │ bytes u32` per block.
pub fn encode_index(index: &[IndexEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in index {
        put_short(&mut bytes, &entry.last_key);
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.len.to_le_bytes());
    }
    bytes
}

pub fn decode_index(bytes: &[u8]) -> Option<Vec<IndexEntry>> {
    let mut fields = Fields::new(bytes);
    let mut index = Vec::new();
    while !fields.is_done() {
        let last_key = Bytes::copy_from_slice(fields.short()?);
        index.push(IndexEntry { last_key, offset: fields.u64()?, len: fields.u32()? });
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn entry(key: &str, sequence: u64, value: Option<&str>) -> Entry {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        Entry { key: Bytes::copy_from_slice(key.as_bytes()), sequence, value }
    }

    #[test]
    fn entries_are_found_by_key_and_by_index() {
        let entries =
            [entry("", 9, Some("")), entry("b", 1, None), entry("bb", 1 << 60, Some("x"))];
        let mut builder = BlockBuilder::default();
        for entry in &entries {
            let expected = builder.bytes_with(entry);
            builder.add(entry);
            assert_eq!(builder.bytes.len() + builder.offsets.len() * 4, expected);
        }
        let block = Block::decode(builder.finish().into()).unwrap();
        assert!(builder.is_empty());
        assert_eq!((0..block.len()).map(|i| block.entry(i)).collect::<Vec<_>>(), entries);
        assert_eq!(block.get(b"b"), Some(Slot { sequence: 1, value: None }));
        assert_eq!(block.get(b"ba"), None);
        assert_eq!(block.lower_bound(b"ba"), 2);
        assert_eq!(block.lower_bound(b"c"), 3);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8..20, 0..80)) {
            if let Some(block) = Block::decode(bytes.clone().into()) {
                let entries = (0..block.len()).map(|index| block.entry(index));
                for entry in entries {
                    block.get(&entry.key);
                }
            }
            decode_index(&bytes);
        }
    }
}
