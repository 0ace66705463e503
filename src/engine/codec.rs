//! Fields of the file formats: little-endian numbers, short numbers in few bytes, and byte strings.
//! They are read without a panic whatever the bytes are.

/// The format of every file that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 3;

/// Appends a number in groups of seven bits, the lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at `at`, which moves behind it; None where the bytes end before.
#[inline]
pub fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    if first < 128 { Some(u64::from(first)) } else { long_varint(bytes, at, first) }
}

fn long_varint(bytes: &[u8], at: &mut usize, first: u8) -> Option<u64> {
    let mut number = u64::from(first & 127);
    for shift in (7..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

/// Walks over bytes; every step answers `None` at the end.
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Fields { bytes, at: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let slice = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(slice)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.slice(4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.slice(8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
    }

    pub fn varint(&mut self) -> Option<u64> {
        varint(self.bytes, &mut self.at)
    }

    /// A length as varint, then as many bytes.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.varint()?;
        self.slice(usize::try_from(len).ok()?)
    }
}

/// Appends a length as varint and the bytes.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let shifts = (0..64).flat_map(|shift| [(1u64 << shift) - 1, 1 << shift]);
        for number in shifts.chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            let mut at = 0;
            assert_eq!(varint(&bytes, &mut at), Some(number));
            assert_eq!(at, bytes.len());
            for cut in 0..bytes.len() {
                assert_eq!(varint(&bytes[..cut], &mut 0), None);
            }
        }
        assert_eq!(varint(&[255; 20], &mut 0), None, "a number has at most ten bytes");
    }

    #[test]
    fn a_string_longer_than_the_bytes_is_none() {
        let mut bytes = Vec::new();
        put_string(&mut bytes, b"abc");
        assert_eq!(Fields::new(&bytes).string(), Some(&b"abc"[..]));
        assert_eq!(Fields::new(&bytes[..3]).string(), None);
        put_varint(&mut bytes, u64::MAX);
        assert_eq!(Fields::new(&bytes[4..]).string(), None);
    }
}
