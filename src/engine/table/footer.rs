//! The end of a table: where its sections lie, and which format this is.
//!
//! ```text
//!   top index, filter, properties: offset u64, bytes u32 each
//!   │ version u32 │ checksum u32 │ magic
//! ```
//!
//! Version and magic are where they have been since the first format, so that any build can say
//! which format a table has, although it may not be able to read it.

use super::FORMAT_VERSION;
use super::index::Place;
use crate::engine::codec::Fields;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub const FOOTER_BYTES: usize = 3 * 12 + 4 + 4 + 8;
const SECTIONS_BYTES: usize = 3 * 12;
const MAGIC: &[u8; 8] = b"QTABLE\r\n";

/// Where the sections lie that are read when a table is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    pub top: Place,
    pub filter: Place,
    pub properties: Place,
}

/// Why the end of a file is no footer.
#[derive(Debug, PartialEq, Eq)]
pub enum FooterError {
    Damaged { expected: String, found: String },
    Version(u32),
}

impl Footer {
    /// `table` is the table's number, which the checksum covers.
    pub fn encode(&self, table: u64) -> [u8; FOOTER_BYTES] {
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        for place in [self.top, self.filter, self.properties] {
            bytes.extend_from_slice(&place.offset.to_le_bytes());
            bytes.extend_from_slice(&place.bytes.to_le_bytes());
        }
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        let sum = checksum(table, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes.try_into().expect("three places, version, checksum and magic are so long")
    }

    pub fn decode(bytes: &[u8; FOOTER_BYTES], table: u64) -> Result<Self, FooterError> {
        if !bytes.ends_with(MAGIC) {
            let (expected, found) =
                (MAGIC.escape_ascii(), bytes[FOOTER_BYTES - 8..].escape_ascii());
            return Err(FooterError::Damaged {
                expected: format!("the magic \"{expected}\" of a table at its end"),
                found: format!("\"{found}\""),
            });
        }
        let mut fields = Fields::new(bytes);
        let mut place = || Some(Place { offset: fields.u64()?, bytes: fields.u32()? });
        let places = (place(), place(), place());
        let (version, stored) = (fields.u32(), fields.u32().unwrap_or_default());
        if version != Some(FORMAT_VERSION) {
            return Err(FooterError::Version(version.unwrap_or_default()));
        }
        let computed = checksum(table, &bytes[..SECTIONS_BYTES + 4]);
        match places {
            (Some(top), Some(filter), Some(properties)) if stored == computed => {
                Ok(Footer { top, filter, properties })
            }
            _ => Err(FooterError::Damaged {
                expected: format!("the footer of table {table}, checksum {computed:08x}"),
                found: format!("checksum {stored:08x}"),
            }),
        }
    }
}

fn checksum(table: u64, bytes: &[u8]) -> u32 {
    xxh3_64_with_seed(bytes, table) as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn footer() -> Footer {
        let place = |offset, bytes| Place { offset, bytes };
        Footer { top: place(1, 2), filter: place(3, 4), properties: place(5, 6) }
    }

    #[test]
    fn a_footer_of_another_format_says_so() {
        let bytes = footer().encode(7);
        assert_eq!(Footer::decode(&bytes, 7), Ok(footer()));
        for version in [1u32, 3, 900] {
            let mut other = bytes;
            other[SECTIONS_BYTES..SECTIONS_BYTES + 4].copy_from_slice(&version.to_le_bytes());
            assert_eq!(Footer::decode(&other, 7), Err(FooterError::Version(version)));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for bit in 0..FOOTER_BYTES * 8 {
            let mut bytes = footer().encode(7);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::decode(&bytes, 7).is_err(), "bit {bit}");
        }
        assert!(Footer::decode(&footer().encode(7), 8).is_err(), "of another table");
    }
}
