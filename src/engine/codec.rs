//! Little-endian fields of the file formats, read without a panic whatever the bytes are.

/// The format of every file that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 2;

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
}
