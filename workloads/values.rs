//! Values that name their writer.
//!
//! ```text
//!   0      4          8        12         20         28                    length
//!   ├──────┼──────────┼────────┼──────────┼──────────┼──────────────────────┤
//!   │magic │ checksum │ writer │ sequence │ key hash │ filler, printable    │
//!   └──────┴──────────┴────────┴──────────┴──────────┴──────────────────────┘
//!               └──────────── covers all that follows ───────────────────┘
//! ```
//!
//! Integers are little-endian. A reader can tell which write it saw (writer and sequence are unique
//! in a run), whether the value belongs to the key that was asked for, and whether a byte changed
//! or is missing.
//!
//! A value below [`STAMP_BYTES`] has no room for that. It holds as much as fits of: the sequence (8
//! bytes), the writer (4 bytes), filler. From 12 bytes on it is therefore still unique in a run,
//! but it cannot be checked: [`check`] answers [`Verdict::Unverifiable`].
//!
//! The filler is drawn from 64 printable characters, six bits to a byte, so that compression finds
//! little (YCSB's own random bytes have between five and six).

use crate::seed::{Purpose, derive};
use bytes::{BufMut, Bytes, BytesMut};
use rand::{Rng, SeedableRng};
use rand_xoshiro::SplitMix64;
use xxhash_rust::xxh3::xxh3_64;

/// The smallest value that carries a whole stamp.
pub const STAMP_BYTES: usize = 28;
/// The writer of the loading phase.
pub const LOADER: u32 = u32::MAX;

const MAGIC: [u8; 4] = *b"qwv1";
/// Where the bytes begin that the checksum covers.
const COVERED_FROM: usize = 8;
/// Values are cut from chunks of this many bytes. A value that is kept for long keeps its chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Who wrote a value, and to which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The stream, or [`LOADER`].
    pub writer: u32,
    /// Counts the writer's values from 0; of the loader it is the number of the record.
    pub sequence: u64,
    /// [`key_hash`] of the key.
    pub key_hash: u64,
}

impl Stamp {
    /// The stamp of a value that is long enough to carry one and whose checksum holds.
    pub fn parse(value: &[u8]) -> Option<Stamp> {
        let (header, _) = value.split_first_chunk::<STAMP_BYTES>()?;
        let (magic, rest) = header.split_first_chunk::<4>()?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        if *magic != MAGIC || u32::from_le_bytes(*checksum) != checksum_of(value) {
            return None;
        }
        let (writer, rest) = rest.split_first_chunk::<4>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (key_hash, _) = rest.split_first_chunk::<8>()?;
        Some(Stamp {
            writer: u32::from_le_bytes(*writer),
            sequence: u64::from_le_bytes(*sequence),
            key_hash: u64::from_le_bytes(*key_hash),
        })
    }
}

/// The low half of xxh3 over everything behind the checksum.
fn checksum_of(value: &[u8]) -> u32 {
    xxh3_64(&value[COVERED_FROM..]) as u32
}

/// xxh3 of a key, as stamps carry it.
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// What a value that was read under a key turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Written by a stream or the loader, to this key, and unchanged.
    Genuine(Stamp),
    /// Unchanged, but written to another key.
    WrongKey(Stamp),
    /// Long enough for a stamp, but without a valid one: changed, cut, or not written by a
    /// workload.
    Corrupt,
    /// Too short to tell.
    Unverifiable,
}

/// Judges a value that was read under `key`.
pub fn check(key: &[u8], value: &[u8]) -> Verdict {
    if value.len() < STAMP_BYTES {
        return Verdict::Unverifiable;
    }
    match Stamp::parse(value) {
        Some(stamp) if stamp.key_hash == key_hash(key) => Verdict::Genuine(stamp),
        Some(stamp) => Verdict::WrongKey(stamp),
        None => Verdict::Corrupt,
    }
}

/// Writes the values of one writer, in its order, into chunks.
#[derive(Clone, Debug)]
pub struct Values {
    writer: u32,
    filler: u64,
    sequence: u64,
    chunk: BytesMut,
}

impl Values {
    pub fn new(seed: u64, writer: u32) -> Self {
        let filler = derive(seed, Purpose::Values, writer);
        Values { writer, filler, sequence: 0, chunk: BytesMut::new() }
    }

    /// The writer's next value, `length` bytes long.
    pub fn next(&mut self, key: &[u8], length: usize) -> Bytes {
        let sequence = self.sequence;
        self.sequence += 1;
        if self.chunk.capacity() < length {
            self.chunk.reserve(CHUNK_BYTES.max(length));
        }
        self.write(key, length, sequence);
        self.chunk.split().freeze()
    }

    /// The value with a sequence number of the caller's, in memory of its own.
    pub fn at(mut self, key: &[u8], length: usize, sequence: u64) -> Bytes {
        self.chunk = BytesMut::with_capacity(length);
        self.write(key, length, sequence);
        self.chunk.freeze()
    }

    fn write(&mut self, key: &[u8], length: usize, sequence: u64) {
        let out = &mut self.chunk;
        if length >= STAMP_BYTES {
            out.put_slice(&MAGIC);
            out.put_u32_le(0);
            out.put_u32_le(self.writer);
            out.put_u64_le(sequence);
            out.put_u64_le(key_hash(key));
        } else {
            let mut short = [0u8; 12];
            short[..8].copy_from_slice(&sequence.to_le_bytes());
            short[8..].copy_from_slice(&self.writer.to_le_bytes());
            out.put_slice(&short[..length.min(12)]);
        }
        fill(out, length, self.filler ^ sequence.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        if length >= STAMP_BYTES {
            let checksum = checksum_of(out);
            out[4..COVERED_FROM].copy_from_slice(&checksum.to_le_bytes());
        }
    }
}

/// Appends printable bytes until `out` is `length` long.
fn fill(out: &mut BytesMut, length: usize, seed: u64) {
    let mut random = SplitMix64::seed_from_u64(seed);
    while out.len() < length {
        let word = (random.next_u64() & 0x3F3F_3F3F_3F3F_3F3F) + 0x2020_2020_2020_2020;
        let missing = (length - out.len()).min(8);
        out.put_slice(&word.to_le_bytes()[..missing]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_value_names_writer_order_and_key() {
        let mut values = Values::new(7, 3);
        for sequence in 0..100 {
            let value = values.next(b"user1", 100);
            assert_eq!(value.len(), 100);
            let stamp = Stamp { writer: 3, sequence, key_hash: key_hash(b"user1") };
            assert_eq!(Stamp::parse(&value), Some(stamp));
            assert_eq!(check(b"user1", &value), Verdict::Genuine(stamp));
            assert_eq!(check(b"user2", &value), Verdict::WrongKey(stamp));
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let value = Values::new(7, 3).next(b"user1", 60);
        for at in 0..value.len() {
            let mut changed = value.to_vec();
            changed[at] ^= 0x10;
            assert_eq!(check(b"user1", &changed), Verdict::Corrupt, "byte {at}");
        }
        for length in STAMP_BYTES..value.len() {
            assert_eq!(check(b"user1", &value[..length]), Verdict::Corrupt, "cut to {length}");
        }
        assert_eq!(
            check(b"user1", b"{\"a value that some other client has written\"}"),
            Verdict::Corrupt
        );
    }

    #[test]
    fn every_length_is_met_exactly() {
        let mut values = Values::new(1, 0);
        for length in 0..200 {
            let value = values.next(b"k", length);
            assert_eq!(value.len(), length);
            let expected = length >= STAMP_BYTES;
            assert_eq!(Stamp::parse(&value).is_some(), expected, "{length} bytes");
            assert_eq!(check(b"k", &value) == Verdict::Unverifiable, !expected);
        }
        assert_eq!(values.next(b"k", 1 << 20).len(), 1 << 20);
    }

    #[test]
    fn short_values_are_still_unique_from_twelve_bytes_on() {
        let mut seen = BTreeSet::new();
        for writer in [0, 1, LOADER] {
            let mut values = Values::new(1, writer);
            for _ in 0..100 {
                assert!(seen.insert(values.next(b"k", 12)));
            }
        }
        let eight = Values::new(1, 5).at(b"k", 8, 0x0102_0304);
        assert_eq!(eight[..], 0x0102_0304u64.to_le_bytes());
    }

    #[test]
    fn filler_depends_on_seed_writer_and_sequence_and_is_printable() {
        let value = |seed, writer, sequence| {
            Values::new(seed, writer).at(b"k", 60, sequence).slice(STAMP_BYTES..)
        };
        let distinct: BTreeSet<Bytes> =
            [value(1, 1, 1), value(2, 1, 1), value(1, 2, 1), value(1, 1, 2)].into();
        assert_eq!(distinct.len(), 4);
        assert_eq!(value(1, 1, 1), value(1, 1, 1));
        assert!(value(1, 1, 1).iter().all(|byte| (0x20..0x60).contains(byte)));
    }
}
