//! What is known of a table without reading its blocks.

use super::expiry::Expiry;
use crate::engine::codec::{Fields, put_string, put_varint};
use crate::engine::entry::{Item, Kind};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Where the entries of a table come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Sequence numbers that enclose those of the entries.
    pub min_sequence: u64,
    pub max_sequence: u64,
    /// When the oldest and the newest entry were flushed for the first time, in seconds since 1970.
    pub min_written_s: u64,
    pub max_written_s: u64,
}

impl Origin {
    /// The origin of entries of both.
    pub fn union(self, other: Origin) -> Origin {
        Origin {
            min_sequence: self.min_sequence.min(other.min_sequence),
            max_sequence: self.max_sequence.max(other.max_sequence),
            min_written_s: self.min_written_s.min(other.min_written_s),
            max_written_s: self.max_written_s.max(other.max_written_s),
        }
    }
}

/// What a picker, a reader and a collector of large values want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub id: u64,
    pub entries: u64,
    pub tombstones: u64,
    pub origin: Origin,
    pub first_key: Bytes,
    pub last_key: Bytes,
    /// Before prefixes were shared and blocks compressed.
    pub raw_key_bytes: u64,
    pub raw_value_bytes: u64,
    pub expiry: Expiry,
    /// Files of large values that pointers lead to, by number: how many bytes of each.
    pub blob_references: Vec<(u64, u64)>,
}

impl Properties {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let origin = &self.origin;
        for number in [
            self.id,
            self.entries,
            self.tombstones,
            origin.min_sequence,
            origin.max_sequence,
            origin.min_written_s,
            origin.max_written_s,
            self.raw_key_bytes,
            self.raw_value_bytes,
        ] {
            put_varint(&mut bytes, number);
        }
        put_string(&mut bytes, &self.first_key);
        put_string(&mut bytes, &self.last_key);
        self.expiry.encode(&mut bytes);
        put_varint(&mut bytes, self.blob_references.len() as u64);
        for (file, referenced) in &self.blob_references {
            put_varint(&mut bytes, *file);
            put_varint(&mut bytes, *referenced);
        }
        bytes
    }

    /// None where the bytes are no properties.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let (id, entries, tombstones) = (fields.varint()?, fields.varint()?, fields.varint()?);
        let origin = Origin {
            min_sequence: fields.varint()?,
            max_sequence: fields.varint()?,
            min_written_s: fields.varint()?,
            max_written_s: fields.varint()?,
        };
        let (raw_key_bytes, raw_value_bytes) = (fields.varint()?, fields.varint()?);
        let first_key = Bytes::copy_from_slice(fields.string()?);
        let last_key = Bytes::copy_from_slice(fields.string()?);
        let expiry = Expiry::decode(&mut fields)?;
        // The count is not trusted with an allocation: the bytes run out before it does.
        let mut blob_references = Vec::new();
        for _ in 0..fields.varint()? {
            blob_references.push((fields.varint()?, fields.varint()?));
        }
        let sound = fields.is_done() && first_key <= last_key && tombstones <= entries;
        sound.then_some(Properties {
            id,
            entries,
            tombstones,
            origin,
            first_key,
            last_key,
            raw_key_bytes,
            raw_value_bytes,
            expiry,
            blob_references,
        })
    }

    /// Memory that they take beside the struct.
    pub fn heap_bytes(&self) -> usize {
        self.first_key.len() + self.last_key.len() + self.blob_references.capacity() * 16
    }
}

/// Counts entries as they pass: what properties say of them.
#[derive(Debug, Default)]
pub struct Tally {
    pub entries: u64,
    pub tombstones: u64,
    pub raw_key_bytes: u64,
    pub raw_value_bytes: u64,
    pub expiry: Expiry,
    blob_references: BTreeMap<u64, u64>,
}

impl Tally {
    #[inline]
    pub fn count(&mut self, key: &[u8], item: Item<'_>) {
        self.entries += 1;
        self.raw_key_bytes += key.len() as u64;
        self.raw_value_bytes += item.value.len() as u64;
        if item.expires_s != 0 {
            self.expiry.add(item.expires_s);
        }
        match item.kind {
            Kind::Value => {}
            Kind::Tombstone => self.tombstones += 1,
            Kind::Pointer => self.refer(item.value),
        }
    }

    /// A pointer begins with the file's number and an offset in it, u64 each, and the length, u32,
    /// all little-endian. One that is shorter refers to nothing that could be counted.
    fn refer(&mut self, pointer: &[u8]) {
        let mut fields = Fields::new(pointer);
        if let (Some(file), Some(_), Some(bytes)) = (fields.u64(), fields.u64(), fields.u32()) {
            *self.blob_references.entry(file).or_default() += u64::from(bytes);
        }
    }

    pub fn blob_references(&self) -> Vec<(u64, u64)> {
        self.blob_references.iter().map(|(file, bytes)| (*file, *bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn properties_are_read_as_they_were_written() {
        let mut expiry = Expiry::default();
        (1..20).for_each(|second| expiry.add(second * second));
        let properties = Properties {
            id: 1,
            entries: 2,
            tombstones: 1,
            origin: Origin { min_sequence: 5, max_sequence: u64::MAX, ..Origin::default() },
            first_key: "a".into(),
            last_key: vec![200; 300].into(),
            raw_key_bytes: 301,
            raw_value_bytes: 1 << 40,
            expiry,
            blob_references: vec![(7, 1_000), (9, 1)],
        };
        let bytes = properties.encode();
        assert_eq!(Properties::decode(&bytes), Some(properties));
        for cut in 0..bytes.len() {
            assert_eq!(Properties::decode(&bytes[..cut]), None);
        }
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(Properties::decode(&more), None);
    }

    #[test]
    fn pointers_are_counted_by_file() {
        let pointer = |file: u64, bytes: u32| {
            let numbers = [&file.to_le_bytes()[..], &[0; 8], &bytes.to_le_bytes(), b"rest"];
            numbers.concat()
        };
        let mut tally = Tally::default();
        for pointer in [pointer(3, 100), pointer(1, 7), pointer(3, 50), vec![1, 2]] {
            let item = Item { kind: Kind::Pointer, expires_s: 0, value: &pointer };
            tally.count(b"key", item);
        }
        assert_eq!(tally.blob_references(), [(1, 7), (3, 150)]);
        assert_eq!((tally.entries, tally.raw_key_bytes), (4, 12));
    }
}
