//! Large values in files of their own, so that compaction moves keys and leaves them where they
//! are.
//!
//! ```text
//!   000000000009.blob   [magic, version, number, crc] [value][value] …
//!   pointer in a table  number u64 │ offset u64 │ bytes u32 │ crc u32
//! ```
//!
//! Lu, Pillai, Arpaci-Dusseau, Arpaci-Dusseau, "WiscKey: Separating Keys from Values in
//! SSD-conscious Storage", FAST 2016. There the log itself is the home of the values; here the
//! flush writes them, in the order of their keys, so that a scan reads forwards.
//!
//! Each table knows how many bytes of which file it points to. What a file holds beyond the sum of
//! these is dead. A file that is mostly dead is a victim: whoever compacts a table that points into
//! it takes the values along into a new file, and where the picker has no job the tables that point
//! into a victim are rewritten for its sake. A file to which no table points is removed.
//!
//! # Invariants
//!
//! * A file is synchronised, and its name is, before the manifest names a table that points into
//!   it.
//! * The checksum of a pointer covers the file's number and the place: a value from the wrong place
//!   is as corrupt as a flipped bit.

use super::files;
use crate::engine::EngineError;
use crate::engine::codec::{FORMAT_VERSION, Fields};
use crate::engine::disk::{Folder, Handle, Mode};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const MAGIC: &[u8; 4] = b"QBLB";
const HEADER_BYTES: usize = 20;
/// Written with one call, and synchronised at once: a commit of the log waits behind this much.
const STEP_BYTES: usize = 1 << 20;

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    pub file: u64,
    pub offset: u64,
    pub bytes: u32,
    pub crc: u32,
}

impl Pointer {
    pub const BYTES: usize = 24;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.file.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[20..].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let (file, offset) = (fields.u64()?, fields.u64()?);
        let pointer = Pointer { file, offset, bytes: fields.u32()?, crc: fields.u32()? };
        fields.is_done().then_some(pointer)
    }
}

fn checksum(file: u64, offset: u64, value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(value);
    hasher.finalize()
}

fn header(number: u64) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.extend_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&header);
    header.extend_from_slice(&crc.to_le_bytes());
    header
}

/// A complete file of values. Once it is obsolete it goes with the last reader that holds it.
pub struct BlobFile {
    folder: Folder,
    number: u64,
    file: Handle,
    bytes: u64,
    obsolete: AtomicBool,
}

impl BlobFile {
    pub fn open(folder: &Folder, number: u64) -> Result<Self, EngineError> {
        let name = files::blob(number);
        let path = folder.path_of(&name);
        let file = folder.open(&name, Mode::Read).map_err(|error| match error {
            EngineError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                EngineError::refused(&path, "missing, but a table points into it")
            }
            error => error,
        })?;
        let bytes = file.bytes()?;
        let mut found = [0; HEADER_BYTES];
        if bytes < HEADER_BYTES as u64 {
            let found = format!("a file of {bytes} bytes");
            return Err(EngineError::corrupt(&path, 0, "a header", found));
        }
        file.read(&mut found, 0)?;
        check_header(number, &found).map_err(|what| match what {
            Header::Version(version) => EngineError::refused(
                &path,
                format!("format {version}; this build reads format {FORMAT_VERSION}"),
            ),
            Header::Damaged(found) => EngineError::corrupt(&path, 0, "a header", found),
        })?;
        let folder = folder.clone();
        Ok(BlobFile { folder, number, file, bytes, obsolete: AtomicBool::new(false) })
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn read(&self, pointer: &Pointer) -> Result<Bytes, EngineError> {
        let path = self.file.path();
        let end = pointer.offset.checked_add(u64::from(pointer.bytes));
        if end.is_none_or(|end| end > self.bytes) {
            let expected = format!("a value of {} bytes", pointer.bytes);
            let found = format!("an end of file at {}", self.bytes);
            return Err(EngineError::corrupt(path, pointer.offset, &expected, found));
        }
        let mut value = vec![0; pointer.bytes as usize];
        self.file.read(&mut value, pointer.offset)?;
        let crc = checksum(self.number, pointer.offset, &value);
        if crc != pointer.crc {
            let expected = format!("checksum {:08x}", pointer.crc);
            let found = format!("bytes of {crc:08x}");
            return Err(EngineError::corrupt(path, pointer.offset, &expected, found));
        }
        Ok(value.into())
    }

    /// Lets the file be removed when the last reader has gone.
    pub fn retire(&self) {
        self.obsolete.store(true, Relaxed);
    }
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        if self.obsolete.load(Relaxed) {
            self.folder.remove(&files::blob(self.number));
        }
    }
}

enum Header {
    Damaged(&'static str),
    Version(u32),
}

fn check_header(number: u64, bytes: &[u8]) -> Result<(), Header> {
    let mut fields = Fields::new(&bytes[4..]);
    let (version, found, crc) = (fields.u32(), fields.u64(), fields.u32());
    if !bytes.starts_with(MAGIC) || crc != Some(crc32fast::hash(&bytes[..16])) {
        return Err(Header::Damaged("a wrong magic or checksum"));
    }
    if version != Some(FORMAT_VERSION) {
        return Err(Header::Version(version.unwrap_or_default()));
    }
    if found == Some(number) { Ok(()) } else { Err(Header::Damaged("the header of another file")) }
}

/// Writes one file of values. Dropped before it is finished, it leaves no file.
pub struct BlobWriter {
    folder: Folder,
    number: u64,
    file: Option<Handle>,
    buffer: Vec<u8>,
    written: u64,
}

impl BlobWriter {
    pub fn create(folder: &Folder, number: u64) -> Result<Self, EngineError> {
        let file = Some(folder.open(&files::blob(number), Mode::Create)?);
        Ok(BlobWriter { folder: folder.clone(), number, file, buffer: header(number), written: 0 })
    }

    pub fn add(&mut self, value: &[u8]) -> Result<Pointer, EngineError> {
        let offset = self.written + self.buffer.len() as u64;
        let crc = checksum(self.number, offset, value);
        self.buffer.extend_from_slice(value);
        if self.buffer.len() >= STEP_BYTES {
            self.write()?;
        }
        Ok(Pointer { file: self.number, offset, bytes: value.len() as u32, crc })
    }

    fn write(&mut self) -> Result<(), EngineError> {
        let file = self.file.as_ref().expect("the file is there until finish");
        file.write(&self.buffer, self.written)?;
        file.sync()?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Waits until all of it is on disk. The name is durable once the folder is synchronised.
    pub fn finish(mut self) -> Result<Arc<BlobFile>, EngineError> {
        self.write()?;
        let blob = BlobFile::open(&self.folder, self.number)?;
        self.file = None;
        Ok(Arc::new(blob))
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.folder.remove(&files::blob(self.number));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::disk::Real;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Arc::new(Real), dir.path());
        (dir, folder)
    }

    #[test]
    fn values_are_read_where_they_were_written() {
        let (_dir, folder) = folder();
        let mut writer = BlobWriter::create(&folder, 7).unwrap();
        let values: Vec<Vec<u8>> = (0..40).map(|n| vec![n; 100_000 + n as usize]).collect();
        let pointers: Vec<Pointer> =
            values.iter().map(|value| writer.add(value).unwrap()).collect();
        let blob = writer.finish().unwrap();
        for (value, pointer) in values.iter().zip(&pointers) {
            assert_eq!(Pointer::decode(&pointer.encode()).as_ref(), Some(pointer));
            assert_eq!(blob.read(pointer).unwrap(), value);
        }
        let misplaced = Pointer { offset: pointers[1].offset + 1, ..pointers[1] };
        let error = blob.read(&misplaced).unwrap_err().to_string();
        assert!(error.contains("000000000007.blob: corrupt at byte"), "{error}");
        let behind = Pointer { offset: blob.bytes(), ..pointers[0] };
        assert!(blob.read(&behind).unwrap_err().to_string().contains("an end of file at"));
        blob.retire();
        drop(blob);
        assert!(folder.list().unwrap().is_empty());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (_dir, folder) = folder();
        let mut writer = BlobWriter::create(&folder, 7).unwrap();
        let pointer = writer.add(b"some value").unwrap();
        drop(writer.finish().unwrap());
        let bytes = folder.read(&files::blob(7)).unwrap().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            folder.open(&files::blob(7), Mode::Create).unwrap().write(&bytes, 0).unwrap();
            let found = BlobFile::open(&folder, 7).and_then(|blob| blob.read(&pointer));
            assert!(found.is_err(), "bit {bit}");
        }
        assert!(BlobFile::open(&folder, 8).is_err());
    }

    #[test]
    fn an_unfinished_file_is_removed() {
        let (_dir, folder) = folder();
        let mut writer = BlobWriter::create(&folder, 7).unwrap();
        writer.add(b"some value").unwrap();
        drop(writer);
        assert!(folder.list().unwrap().is_empty());
    }
}
