//! What frames the parts of a table: trailers, properties and the footer.
//!
//! ```text
//!   section   bytes │ compression u8 │ crc u32, over table id, offset, bytes and compression
//!   footer    filter, index, properties: (offset u64, bytes u32) each
//!             │ version u32 │ crc u32 │ magic
//! ```

use crate::engine::Compression;
use crate::engine::lsm::codec::{FORMAT_VERSION, Fields, put_short};
use bytes::Bytes;

const TRAILER_BYTES: usize = 5;
pub const FOOTER_BYTES: usize = 3 * 12 + 4 + 4 + 8;
const MAGIC: &[u8; 8] = b"QTABLE\r\n";

/// Compresses a section where that pays, and appends its trailer.
pub fn seal(table: u64, offset: u64, bytes: Vec<u8>, compression: Compression) -> Vec<u8> {
    let compressed = match compression {
        Compression::None => None,
        Compression::Lz4 => Some((lz4_flex::block::compress_prepend_size(&bytes), 1)),
        Compression::Zstd => zstd::encode_all(&bytes[..], 1).ok().map(|bytes| (bytes, 2)),
    };
    // Less than an eighth saved is not worth the time of every later read.
    let small = compressed.filter(|(found, _)| found.len() < bytes.len() - bytes.len() / 8);
    let (mut sealed, kind) = small.unwrap_or((bytes, 0));
    sealed.push(kind);
    let crc = checksum(table, offset, &sealed);
    sealed.extend_from_slice(&crc.to_le_bytes());
    sealed
}

/// Checks and undoes `seal`; the error says what was found.
pub fn unseal(table: u64, offset: u64, sealed: Bytes) -> Result<Bytes, String> {
    let Some(crc_at) = sealed.len().checked_sub(4).filter(|at| *at >= TRAILER_BYTES - 4) else {
        return Err(format!("a section of {} bytes", sealed.len()));
    };
    let stored = Fields::new(&sealed[crc_at..]).u32().unwrap_or_default();
    let computed = checksum(table, offset, &sealed[..crc_at]);
    if stored != computed {
        return Err(format!("checksum {stored:08x} over bytes of {computed:08x}"));
    }
    let body = sealed.slice(..crc_at - 1);
    match sealed[crc_at - 1] {
        0 => Ok(body),
        1 => lz4_flex::block::decompress_size_prepended(&body)
            .map(Bytes::from)
            .map_err(|error| error.to_string()),
        2 => zstd::decode_all(&body[..]).map(Bytes::from).map_err(|error| error.to_string()),
        kind => Err(format!("compression {kind}")),
    }
}

fn checksum(table: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&table.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// What a picker and a reader want to know without reading a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    pub id: u64,
    pub entries: u64,
    pub tombstones: u64,
    pub min_sequence: u64,
    pub max_sequence: u64,
    pub first_key: Bytes,
    pub last_key: Bytes,
}

impl Properties {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let counts = [self.id, self.entries, self.tombstones, self.min_sequence, self.max_sequence];
        for count in counts {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        put_short(&mut bytes, &self.first_key);
        put_short(&mut bytes, &self.last_key);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        Some(Properties {
            id: fields.u64()?,
            entries: fields.u64()?,
            tombstones: fields.u64()?,
            min_sequence: fields.u64()?,
            max_sequence: fields.u64()?,
            first_key: Bytes::copy_from_slice(fields.short()?),
            last_key: Bytes::copy_from_slice(fields.short()?),
        })
    }
}

/// Where the sections lie: offset and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    pub filter: (u64, u32),
    pub index: (u64, u32),
    pub properties: (u64, u32),
}

impl Footer {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_BYTES);
        for (offset, len) in [self.filter, self.index, self.properties] {
            bytes.extend_from_slice(&offset.to_le_bytes());
            bytes.extend_from_slice(&len.to_le_bytes());
        }
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FooterError> {
        let damaged = |found: &str| FooterError::Damaged(found.to_string());
        if !bytes.ends_with(MAGIC) {
            return Err(damaged("another file's magic"));
        }
        let read = |fields: &mut Fields<'_>| Some((fields.u64()?, fields.u32()?));
        let mut fields = Fields::new(bytes);
        let sections = [read(&mut fields), read(&mut fields), read(&mut fields)];
        let (version, crc) = (fields.u32(), fields.u32());
        if bytes.len() != FOOTER_BYTES || crc != Some(crc32fast::hash(&bytes[..40])) {
            return Err(damaged("a wrong checksum"));
        }
        match (sections, version) {
            ([Some(filter), Some(index), Some(properties)], Some(FORMAT_VERSION)) => {
                Ok(Footer { filter, index, properties })
            }
            (_, version) => Err(FooterError::Version(version.unwrap_or_default())),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum FooterError {
    Damaged(String),
    Version(u32),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sections_are_unsealed_as_they_were_sealed() {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            for bytes in [vec![], vec![7; 4_000], (0..=255).collect::<Vec<u8>>()] {
                let sealed = Bytes::from(seal(1, 2, bytes.clone(), compression));
                assert_eq!(unseal(1, 2, sealed.clone()).unwrap(), bytes);
                assert!(unseal(1, 3, sealed.clone()).is_err(), "misplaced within the table");
                assert!(unseal(9, 2, sealed).is_err(), "of another table");
            }
        }
        assert!(seal(1, 2, vec![7; 4_000], Compression::Lz4).len() < 100);
        assert!(unseal(1, 2, Bytes::from_static(&[1, 2, 3])).is_err());
    }

    #[test]
    fn a_footer_of_another_format_says_so() {
        let footer = Footer { filter: (1, 2), index: (3, 4), properties: (5, 6) };
        let bytes = footer.encode();
        assert_eq!(bytes.len(), FOOTER_BYTES);
        assert_eq!(Footer::decode(&bytes), Ok(footer));
        let mut future = bytes.clone();
        future[36] = 9;
        let crc = crc32fast::hash(&future[..40]);
        future[40..44].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Footer::decode(&future), Err(FooterError::Version(9)));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn properties_are_read_as_they_were_written() {
        let properties =
            Properties { id: 1, entries: 2, first_key: "a".into(), ..Default::default() };
        assert_eq!(Properties::decode(&properties.encode()), Some(properties));
        assert_eq!(Properties::decode(&[0; 41]), None);
    }
}
