//! What frames each part of a table: compression and checksum.
//!
//! ```text
//!   bytes │ compression u8 │ checksum u32
//!   compressed bytes: plain length u32 │ what the algorithm made of them
//! ```
//!
//! The checksum covers all that is before it, and the table's number and the section's offset with
//! it: a sound block in the wrong place is as wrong as a flipped bit.

use crate::engine::Compression;
use bytes::Bytes;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// Behind the bytes of each section.
pub const SEAL_BYTES: usize = 5;
/// A section that claims to become longer than this is damaged, and longer ones are not compressed.
const MOST_PLAIN_BYTES: usize = 64 << 20;
const SIZE_BYTES: usize = 4;
/// The quickest of zstd's regular levels: blocks of a few KiB gain little from slower ones.
const ZSTD_LEVEL: i32 = 1;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;

/// Seals sections of one table, with buffers that are used again.
pub struct Sealer {
    table: u64,
    zstd: Option<Compressor<'static>>,
    compressed: Vec<u8>,
}

impl Sealer {
    pub fn new(table: u64) -> Self {
        Sealer { table, zstd: None, compressed: Vec::new() }
    }

    /// Appends a section, which will lie at `offset`, to `out`. It is compressed if that saves an
    /// eighth at least: less is not worth the time of every later read.
    pub fn seal(&mut self, bytes: &[u8], offset: u64, compression: Compression, out: &mut Vec<u8>) {
        let start = out.len();
        let enough = bytes.len() - bytes.len() / 8;
        let code = self.compress(bytes, compression);
        match code.filter(|_| self.compressed.len() + SIZE_BYTES < enough) {
            Some(code) => {
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(&self.compressed);
                out.push(code);
            }
            None => {
                out.extend_from_slice(bytes);
                out.push(PLAIN);
            }
        }
        let sum = checksum(self.table, offset, &out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Fills `compressed`. None where that was not wanted or failed: then it is stored plain.
    fn compress(&mut self, bytes: &[u8], compression: Compression) -> Option<u8> {
        if bytes.len() > MOST_PLAIN_BYTES {
            return None;
        }
        match compression {
            Compression::None => None,
            Compression::Lz4 => {
                let most = lz4_flex::block::get_maximum_output_size(bytes.len());
                self.compressed.resize(most, 0);
                let len = lz4_flex::block::compress_into(bytes, &mut self.compressed).ok()?;
                self.compressed.truncate(len);
                Some(LZ4)
            }
            Compression::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = Compressor::new(ZSTD_LEVEL).ok();
                }
                self.compressed.clear();
                self.compressed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
                let compressor = self.zstd.as_mut()?;
                compressor.compress_to_buffer(bytes, &mut self.compressed).ok()?;
                Some(ZSTD)
            }
        }
    }
}

/// CRC-32 finds every flipped bit, and at 11 ns per KiB it is the cheapest here that does; xxh3,
/// compiled for any x86-64, takes three times as long.
fn checksum(table: u64, offset: u64, bytes: &[u8]) -> u32 {
    // The multipliers are odd, so that tables and offsets do not repeat each other's seeds; the
    // high half is where a multiplication mixes best.
    let seed = table.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ offset;
    crc32fast::hash(bytes) ^ (seed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 32) as u32
}

/// Checks a section: the bytes it was made of, or what was found instead.
pub fn unseal(table: u64, offset: u64, sealed: &[u8]) -> Result<Plain, String> {
    let Some((rest, sum)) = sealed.split_last_chunk::<4>() else {
        return Err(format!("a section of {} bytes", sealed.len()));
    };
    let (stored, computed) = (u32::from_le_bytes(*sum), checksum(table, offset, rest));
    if stored != computed {
        return Err(format!("checksum {stored:08x} over bytes of {computed:08x}"));
    }
    match rest.split_last() {
        Some((&PLAIN, body)) => Ok(Plain::First(body.len())),
        Some((&code, body)) => {
            decompress(code, body).map(|bytes| Plain::Decompressed(bytes.into()))
        }
        None => Err("a section without a byte for its compression".into()),
    }
}

/// The bytes of a section that was checked.
#[derive(Debug, PartialEq, Eq)]
pub enum Plain {
    /// They lie in the section itself: the first so many.
    First(usize),
    Decompressed(Bytes),
}

impl Plain {
    /// Where the section stands alone in a buffer: no copy.
    pub fn of_own(self, mut sealed: Vec<u8>) -> Bytes {
        match self {
            Plain::First(len) => {
                sealed.truncate(len);
                sealed.into()
            }
            Plain::Decompressed(bytes) => bytes,
        }
    }

    /// A slice of the buffer that the section was found in, which it keeps in memory.
    pub fn of_shared(self, sealed: &Bytes) -> Bytes {
        match self {
            Plain::First(len) => sealed.slice(..len),
            Plain::Decompressed(bytes) => bytes,
        }
    }

    /// Bytes of their own, whatever becomes of the buffer.
    pub fn copied(self, sealed: &[u8]) -> Bytes {
        match self {
            Plain::First(len) => Bytes::copy_from_slice(&sealed[..len]),
            Plain::Decompressed(bytes) => bytes,
        }
    }
}

thread_local! {
    /// A context of zstd's takes longer to make than a block to decompress.
    static ZSTD_CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(code: u8, body: &[u8]) -> Result<Vec<u8>, String> {
    let (size, compressed) = body.split_first_chunk().ok_or("no length before compressed bytes")?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > MOST_PLAIN_BYTES {
        return Err(format!("a section that would decompress to {size} bytes"));
    }
    let bytes = match code {
        LZ4 => lz4_flex::block::decompress(compressed, size).map_err(|error| error.to_string())?,
        ZSTD => ZSTD_CONTEXT.with_borrow_mut(|context| {
            let fresh = || Decompressor::new().map_err(|error| error.to_string());
            let decompressor = match context {
                Some(decompressor) => decompressor,
                None => context.insert(fresh()?),
            };
            decompressor.decompress(compressed, size).map_err(|error| error.to_string())
        })?,
        _ => return Err(format!("compression {code}")),
    };
    match bytes.len() == size {
        true => Ok(bytes),
        false => Err(format!("{} bytes where {size} were compressed", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::table::hash;
    use proptest::prelude::*;

    const ALL: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

    fn sealed(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut out = Vec::new();
        Sealer::new(1).seal(bytes, 2, compression, &mut out);
        out
    }

    #[test]
    fn sections_are_unsealed_as_they_were_sealed() {
        for compression in ALL {
            for bytes in [vec![], vec![7; 4_000], (0..=255).collect::<Vec<u8>>()] {
                let sealed = sealed(&bytes, compression);
                let plain = || unseal(1, 2, &sealed).unwrap();
                assert_eq!(plain().copied(&sealed), bytes);
                assert_eq!(plain().of_own(sealed.clone()), bytes);
                assert_eq!(plain().of_shared(&sealed.clone().into()), bytes);
                assert!(unseal(1, 3, &sealed).is_err(), "misplaced within the table");
                assert!(unseal(9, 2, &sealed).is_err(), "of another table");
            }
        }
        assert!(sealed(&[7; 4_000], Compression::Lz4).len() < 100);
        assert!(sealed(&[7; 4_000], Compression::Zstd).len() < 100);
    }

    /// A sealer's buffers carry nothing over from one section to the next.
    #[test]
    fn one_sealer_seals_many() {
        for compression in ALL {
            let mut sealer = Sealer::new(1);
            for len in [5_000, 10, 0, 300, 9_000] {
                let bytes: Vec<u8> = (0..len).map(|at| (at / 50) as u8).collect();
                let mut out = b"before".to_vec();
                sealer.seal(&bytes, 2, compression, &mut out);
                assert_eq!(unseal(1, 2, &out[6..]).unwrap().copied(&out[6..]), bytes);
            }
        }
    }

    #[test]
    fn what_does_not_shrink_is_stored_plain() {
        let random: Vec<u8> = (0..500u64).map(|at| hash(&at.to_le_bytes()) as u8).collect();
        for compression in ALL {
            let sealed = sealed(&random, compression);
            assert_eq!(sealed.len(), random.len() + SEAL_BYTES);
            assert_eq!(unseal(1, 2, &sealed), Ok(Plain::First(random.len())));
        }
    }

    /// The bytes with a checksum that holds, as no accident makes them.
    fn forged(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = checksum(1, 2, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_length_out_of_all_proportion_is_refused() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[1, 2, 3, ZSTD]);
        let error = unseal(1, 2, &forged(bytes)).unwrap_err();
        assert!(error.contains("4294967295"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..60), code in 0u8..4
        ) {
            if let Some(high) = bytes.get_mut(2..4) {
                high.fill(0);
            }
            bytes.push(code);
            let sealed = forged(bytes);
            if let Ok(plain) = unseal(1, 2, &sealed) {
                plain.copied(&sealed);
            }
        }
    }
}
