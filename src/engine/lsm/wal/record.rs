//! One batch as bytes of the log.
//!
//! ```text
//!   header   header crc u32 │ payload crc u32 │ payload bytes u32 │ changes u32
//!            │ first sequence u64 │ durable sequence u64
//!   payload  for each change:  key bytes u16 │ value bytes u32, or MAX: removed │ key │ value
//! ```
//!
//! Both checksums are seeded with the segment's number, so that a block which the disk misplaced
//! from another segment does not pass for a record of this one.

use crate::engine::Write;
use crate::engine::lsm::codec::Fields;
use crate::engine::lsm::entry::Entry;
use bytes::Bytes;

pub const HEADER_BYTES: usize = 32;
/// The longest key: its length is a `u16` in every format.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;
/// The longest batch, encoded.
pub const MAX_BATCH_BYTES: usize = 1 << 30;
const REMOVED: u32 = u32::MAX;

/// A batch in its encoded form. The memtable's keys and values are slices of it: one allocation
/// each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub first_sequence: u64,
    pub changes: u32,
    pub payload: Bytes,
}

impl Record {
    /// Encodes a batch; its sequence numbers are given when its turn in the log has come.
    pub fn encode(batch: &[Write]) -> Result<Self, String> {
        let mut payload = Vec::with_capacity(batch.iter().map(encoded_bytes).sum());
        for write in batch {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value)),
                Write::Remove { key } => (key, None),
            };
            if key.len() > MAX_KEY_BYTES {
                return Err(format!("a key of {} bytes; at most {MAX_KEY_BYTES}", key.len()));
            }
            payload.extend_from_slice(&(key.len() as u16).to_le_bytes());
            let len = value.map_or(REMOVED, |value| value.len().min(MAX_BATCH_BYTES) as u32);
            payload.extend_from_slice(&len.to_le_bytes());
            payload.extend_from_slice(key);
            payload.extend_from_slice(value.map_or(&[], |value| value.as_ref()));
            if payload.len() > MAX_BATCH_BYTES {
                return Err(format!("a batch of more than {MAX_BATCH_BYTES} bytes"));
            }
        }
        Ok(Record { first_sequence: 0, changes: batch.len() as u32, payload: payload.into() })
    }

    pub fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.changes) - 1
    }

    /// Appends header and payload as they stand in segment `segment`.
    pub fn write(&self, segment: u64, durable_sequence: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&checksum(segment, &self.payload).to_le_bytes());
        out.extend_from_slice(&(self.payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.changes.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&durable_sequence.to_le_bytes());
        let crc = checksum(segment, &out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&self.payload);
    }

    /// The changes in order. Yields `None` in place of what is malformed, which the checksum
    /// rules out short of a bug in the writer.
    pub fn entries(&self) -> impl Iterator<Item = Option<Entry>> + '_ {
        let mut fields = Fields::new(&self.payload);
        (0..u64::from(self.changes)).map(move |index| {
            let (key_len, value_len) = (fields.u16()?, fields.u32()?);
            let key = self.payload.slice_ref(fields.slice(usize::from(key_len))?);
            let value = match value_len {
                REMOVED => None,
                len => Some(self.payload.slice_ref(fields.slice(len as usize)?)),
            };
            Some(Entry { key, sequence: self.first_sequence + index, value })
        })
    }
}

fn encoded_bytes(write: &Write) -> usize {
    match write {
        Write::Put { key, value } => 6 + key.len() + value.len(),
        Write::Remove { key } => 6 + key.len(),
    }
}

fn checksum(segment: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// A header whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    payload_crc: u32,
    pub payload_bytes: usize,
    changes: u32,
    pub first_sequence: u64,
    /// Everything up to here was on disk when this record was written.
    pub durable_sequence: u64,
}

impl Header {
    /// The header at the start of `bytes`, if there is one.
    pub fn read(segment: u64, bytes: &[u8]) -> Option<Header> {
        let mut fields = Fields::new(bytes);
        let header_crc = fields.u32()?;
        let header = Header {
            payload_crc: fields.u32()?,
            payload_bytes: fields.u32()? as usize,
            changes: fields.u32()?,
            first_sequence: fields.u64()?,
            durable_sequence: fields.u64()?,
        };
        let plausible = header.changes > 0
            && header.payload_bytes <= MAX_BATCH_BYTES
            && header.durable_sequence < header.first_sequence;
        (plausible && header_crc == checksum(segment, &bytes[4..HEADER_BYTES])).then_some(header)
    }

    /// The record below this header, which starts at `bytes[0]`, if its payload is complete and
    /// right.
    pub fn record(&self, segment: u64, bytes: &[u8]) -> Option<Record> {
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES + self.payload_bytes)?;
        (self.payload_crc == checksum(segment, payload)).then(|| Record {
            first_sequence: self.first_sequence,
            changes: self.changes,
            payload: Bytes::copy_from_slice(payload),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn batch() -> Vec<Write> {
        vec![
            Write::Put { key: "apple".into(), value: "red".into() },
            Write::Remove { key: "pear".into() },
            Write::Put { key: Bytes::new(), value: Bytes::new() },
        ]
    }

    fn written() -> (Record, Vec<u8>) {
        let mut record = Record::encode(&batch()).unwrap();
        record.first_sequence = 10;
        let mut bytes = Vec::new();
        record.write(3, 9, &mut bytes);
        (record, bytes)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let (record, bytes) = written();
        let header = Header::read(3, &bytes).unwrap();
        assert_eq!((header.first_sequence, header.durable_sequence), (10, 9));
        assert_eq!(header.record(3, &bytes).unwrap(), record);
        assert_eq!(record.last_sequence(), 12);
        let entries: Vec<Entry> = record.entries().map(Option::unwrap).collect();
        assert_eq!(entries[0].value.as_deref(), Some(b"red".as_slice()));
        assert_eq!(entries[1], Entry { key: "pear".into(), sequence: 11, value: None });
        assert_eq!(entries[2].value.as_deref(), Some(b"".as_slice()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (_, bytes) = written();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let record = Header::read(3, &bytes).and_then(|header| header.record(3, &bytes));
            assert_eq!(record, None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_segment_is_none() {
        let (_, bytes) = written();
        assert_eq!(Header::read(4, &bytes), None);
    }

    #[test]
    fn too_long_a_key_is_refused() {
        let long = Write::Remove { key: vec![0; MAX_KEY_BYTES + 1].into() };
        assert!(Record::encode(&[long]).unwrap_err().contains("at most 65535"));
    }
}
