//! A segment: one preallocated file of the log.
//!
//! The file is filled with zeros before its first use. An `fdatasync` after an append then has no
//! metadata to write, neither a new size nor a new extent, which nearly halves its time.

use crate::engine::EngineError;
use crate::engine::lsm::codec::{FORMAT_VERSION, Fields};
use crate::engine::lsm::files;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Magic, version, number, base sequence, checksum.
pub const HEADER_BYTES: usize = 28;
const MAGIC: &[u8; 4] = b"QWAL";

/// A file of zeros that no record was written to, under a temporary name.
#[derive(Debug)]
pub struct Spare {
    file: File,
    path: PathBuf,
}

/// How fast a segment is filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for it.
    AtOnce,
    /// In small steps, so that no commit waits long for the disk behind the zeros.
    Gentle,
}

/// Zeros that are written and synchronised at once where the pace is gentle.
const GENTLE_STEP_BYTES: usize = 256 << 10;
/// Left to the commits between two steps: a segment of 16 MiB takes about half a second.
const GENTLE_PAUSE: Duration = Duration::from_millis(5);

impl Spare {
    pub fn prepare(dir: &Path, name: &str, bytes: u64, pace: Pace) -> Result<Self, EngineError> {
        let path = files::temporary(dir, name);
        let file = fill(&path, bytes, pace).map_err(EngineError::io(&path))?;
        Ok(Spare { file, path })
    }

    /// Gives the file its header and then its name: a segment with a name has a header.
    pub fn activate(
        self,
        dir: &Path,
        number: u64,
        base: u64,
    ) -> Result<(File, PathBuf), EngineError> {
        let path = files::segment(dir, number);
        let header = header(number, base);
        self.file.write_all_at(&header, 0).map_err(EngineError::io(&self.path))?;
        self.file.sync_data().map_err(EngineError::io(&self.path))?;
        fs::rename(&self.path, &path).map_err(EngineError::io(&path))?;
        files::sync_dir(dir)?;
        Ok((self.file, path))
    }
}

fn fill(path: &Path, bytes: u64, pace: Pace) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).open(path)?;
    // Only a hint for one contiguous extent: the zeros below claim the space on any file system.
    let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    let zeros = vec![0; GENTLE_STEP_BYTES];
    let mut left = bytes;
    while left > 0 {
        let len = left.min(zeros.len() as u64);
        file.write_all(&zeros[..len as usize])?;
        left -= len;
        if pace == Pace::Gentle {
            file.sync_data()?;
            std::thread::sleep(GENTLE_PAUSE);
        }
    }
    file.sync_all()?;
    Ok(file)
}

fn header(number: u64, base: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[4..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&number.to_le_bytes());
    header[16..24].copy_from_slice(&base.to_le_bytes());
    let crc = crc32fast::hash(&header[..24]);
    header[24..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Checks the header of a segment and returns its base: the sequence number of its first record.
pub fn read_base(path: &Path, number: u64, bytes: &[u8]) -> Result<u64, EngineError> {
    let corrupt = |found: &str| EngineError::corrupt(path, 0, "a segment's header", found);
    let mut fields = Fields::new(bytes);
    let head = fields.slice(HEADER_BYTES - 4).ok_or_else(|| corrupt("a shorter file"))?;
    if !head.starts_with(MAGIC) {
        return Err(corrupt("another file's magic"));
    }
    if fields.u32() != Some(crc32fast::hash(head)) {
        return Err(corrupt("a wrong checksum"));
    }
    let mut fields = Fields::new(&head[4..]);
    let (version, found, base) = (fields.u32(), fields.u64(), fields.u64());
    if version != Some(FORMAT_VERSION) {
        let version = version.unwrap_or_default();
        let what = format!("format {version}; this build reads format {FORMAT_VERSION}");
        return Err(EngineError::refused(path, what));
    }
    if found != Some(number) {
        return Err(corrupt("the header of another segment"));
    }
    base.ok_or_else(|| corrupt("a shorter file"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_prepared_segment_is_all_zeros_behind_its_header() {
        let dir = tempfile::tempdir().unwrap();
        let spare = Spare::prepare(dir.path(), "spare", 3_000_000, Pace::Gentle).unwrap();
        let (_, path) = spare.activate(dir.path(), 5, 42).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 3_000_000);
        assert_eq!(read_base(&path, 5, &bytes).unwrap(), 42);
        assert!(bytes[HEADER_BYTES..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_wrong_header_is_told() {
        let path = Path::new("5.wal");
        for (at, message) in [(0, "magic"), (4, "checksum"), (20, "checksum"), (25, "checksum")] {
            let mut bytes = header(5, 42);
            bytes[at] ^= 1;
            let error = read_base(path, 5, &bytes).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let mut future = header(5, 42);
        future[4] = 9;
        let crc = crc32fast::hash(&future[..24]);
        future[24..].copy_from_slice(&crc.to_le_bytes());
        let error = read_base(path, 5, &future).unwrap_err().to_string();
        assert!(error.contains("format 9; this build reads format 1"), "{error}");
        assert!(read_base(path, 6, &header(5, 42)).is_err());
        assert!(read_base(path, 5, &header(5, 42)[..20]).is_err());
    }
}
