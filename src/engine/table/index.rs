//! The index of a table: a small one in memory over partitions that lie behind the cache.
//!
//! ```text
//!   top         [≤ g: partition 0] [≤ p: partition 1] …     in memory, an entry for thousands of keys
//!   partition 0 [≤ b: block 0] [≤ d: block 1] … [≤ g: …]    about 4 KiB, read like any block
//! ```
//!
//! Both are blocks in which every entry is a restart point. An entry's key is a separator: not
//! below the last key of what it leads to, and below the first key of what follows; the shortest
//! there is, so that long keys do not make a long index. Its value says where that lies.

use super::block::{Block, BlockBuilder, Malformed};
use super::codec::{Fields, put_varint};
use crate::engine::entry::{Item, Kind};

/// Partitions are closed at this size.
const PARTITION_BYTES: usize = 4 << 10;

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

/// Replaces `out` by the shortest key that is not below `last` and below `next`, or `last` itself.
/// `shared` is how many bytes both begin with.
pub fn separator(last: &[u8], next: &[u8], shared: usize, out: &mut Vec<u8>) {
    out.clear();
    let Some(&low) = last.get(shared) else {
        out.extend_from_slice(last);
        return;
    };
    out.extend_from_slice(&last[..shared]);
    let high = next.get(shared).copied().unwrap_or(u8::MAX);
    if low + 1 < high || (low + 1 == high && next.len() > shared + 1) {
        // The byte where they part, raised by one, is still below the next key.
        out.push(low + 1);
        return;
    }
    // Else the first byte behind it that can be raised.
    out.push(low);
    for byte in &last[shared + 1..] {
        out.push(byte.saturating_add(1));
        if *byte < u8::MAX {
            return;
        }
    }
}

/// Collects the entries of one index block.
pub struct IndexBuilder {
    block: BlockBuilder,
    /// The last separator.
    key: Vec<u8>,
    value: Vec<u8>,
}

impl IndexBuilder {
    pub fn new() -> Self {
        IndexBuilder { block: BlockBuilder::new(1), key: Vec::new(), value: Vec::new() }
    }

    pub fn add(&mut self, separator: &[u8], place: Place) {
        self.value.clear();
        place.encode(&mut self.value);
        let item = Item { kind: Kind::Value, expires_s: 0, value: &self.value };
        self.block.add(0, separator, item, None);
        self.key.clear();
        self.key.extend_from_slice(separator);
    }

    pub fn is_full(&self) -> bool {
        self.block.bytes() >= PARTITION_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    pub fn finish(&mut self) -> &[u8] {
        self.block.finish()
    }

    /// The last separator, of a block that is not empty.
    pub fn last_key(&self) -> &[u8] {
        &self.key
    }

    pub fn clear(&mut self) {
        self.block.clear();
    }
}

/// An index block: the top, or a partition.
#[derive(Clone, Debug)]
pub struct Index(Block);

impl Index {
    pub fn new(block: Block) -> Self {
        Index(block)
    }

    pub fn len(&self) -> usize {
        self.0.restarts()
    }

    pub fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    /// The number of the entry that leads to `key`, or to the first key above it; `len` if all
    /// keys are below.
    pub fn position(&self, key: &[u8]) -> Result<usize, Malformed> {
        self.0.position(key)
    }

    /// Separator and place of an entry; None behind the last.
    pub fn nth(&self, position: usize) -> Result<Option<(&[u8], Place)>, Malformed> {
        if position >= self.len() {
            return Ok(None);
        }
        let (key, value) = self.0.nth(position)?;
        Ok(Some((key, Place::decode(value).ok_or(Malformed)?)))
    }

    pub fn place(&self, position: usize) -> Result<Option<Place>, Malformed> {
        self.nth(position).map(|entry| entry.map(|(_, place)| place))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::table::codec::common_prefix;
    use proptest::prelude::*;

    fn separated(low: &[u8], high: &[u8]) -> Vec<u8> {
        let mut found = b"rest".to_vec();
        separator(low, high, common_prefix(low, high), &mut found);
        found
    }

    fn edgy_key() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0), Just(254), Just(255), 0..4u8];
        proptest::collection::vec(byte, 0..6)
    }

    proptest! {
        #[test]
        fn a_separator_separates(
            a in edgy_key(),
            b in edgy_key(),
        ) {
            prop_assume!(a != b);
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let found = separated(&low, &high);
            prop_assert!(low <= found && found < high, "{low:?} {found:?} {high:?}");
            prop_assert!(found.len() <= low.len());
        }
    }

    #[test]
    fn separators_are_short() {
        for (low, high, expected) in [
            ("apple pie", "banana", "b"),
            ("apple pie", "apricot", "apq"),
            ("user00000017", "user00000018", "user00000017"),
            ("user00000017 and more", "user00000018", "user00000017!"),
            ("a", "ab", "a"),
            ("ab", "b", "ac"),
            ("ab", "bb", "b"),
        ] {
            let found = separated(low.as_bytes(), high.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{low} {high}");
        }
    }

    #[test]
    fn entries_are_found_by_key_and_by_number() {
        let mut builder = IndexBuilder::new();
        for (at, key) in ["b", "dd", "f"].iter().enumerate() {
            builder.add(key.as_bytes(), Place { offset: at as u64 * 1_000, bytes: 77 });
        }
        assert_eq!(builder.last_key(), b"f");
        let block = Block::open(builder.finish().to_vec().into()).unwrap();
        let index = Index::new(block);
        assert_eq!(index.len(), 3);
        let found = ["a", "b", "c", "dd", "de", "z"].map(|key| index.position(key.as_bytes()));
        assert_eq!(found, [0, 0, 1, 1, 2, 3].map(Ok));
        let dd = Place { offset: 1_000, bytes: 77 };
        assert_eq!(index.nth(1), Ok(Some((&b"dd"[..], dd))));
        assert_eq!(index.place(3), Ok(None));
    }
}
