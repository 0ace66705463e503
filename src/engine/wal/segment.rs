//! A segment's file: its names, its header, and how it is made.
//!
//! ```text
//!   magic "QWAL" │ version u32 │ log id u64 │ number u64 │ previous u64 │ durable u64 │ check u64
//! ```
//!
//! The header is written before the segment is needed, so it does not know its first sequence
//! number. It knows which segment it follows, so that one which is missing is noticed, and up to
//! where the log was durable, which is proof that those records existed.

use super::record::Seal;
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Handle, Mode};
use std::path::Path;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The format of every segment that this build writes, and the only one that it reads.
pub const FORMAT_VERSION: u32 = 3;
/// Where the records begin.
pub const HEADER_BYTES: u64 = 48;
const MAGIC: &[u8; 4] = b"QWAL";

/// The name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:012}.wal")
}

/// The name of a file that waits to become a segment.
pub(super) fn spare_name(id: u64) -> String {
    format!("{id:012}.spare")
}

/// The name of a segment, or a copy of one, that a salvage has set aside.
pub(super) fn salvaged_name(number: u64) -> String {
    format!("{number:012}.salvaged")
}

/// Numbers above are not given, so that there is always a next one.
pub(super) const MAX_NUMBER: u64 = u64::MAX >> 1;

/// The numbers of the files whose name ends so, in order.
pub(super) fn numbers(names: &[String], extension: &str) -> Vec<u64> {
    let number = |name: &String| {
        let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
        let plain = digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|number| plain && *number <= MAX_NUMBER)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Tells the logs of several folders apart.
    pub log_id: u64,
    pub number: u64,
    /// The segment before this one; 0: there was none.
    pub previous: u64,
    /// Everything up to here was on disk when the header was written.
    pub durable_sequence: u64,
}

impl Header {
    pub(super) fn buffer() -> [u8; HEADER_BYTES as usize] {
        [0; HEADER_BYTES as usize]
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = Header::buffer();
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let fields = [self.log_id, self.number, self.previous, self.durable_sequence];
        for (place, field) in bytes[8..40].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let check = xxh3_64(&bytes[..40]);
        bytes[40..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`, of whatever segment it is. `path` is for errors.
    /// Never panics, whatever the bytes are.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Header, EngineError> {
        let corrupt = |found: &str| EngineError::corrupt(path, 0, "a segment's header", found);
        let (magic, rest) = bytes.split_first_chunk().ok_or_else(|| corrupt("a shorter file"))?;
        if magic != MAGIC {
            return Err(corrupt("another file's magic"));
        }
        let version = rest.first_chunk().ok_or_else(|| corrupt("a shorter file"))?;
        let version = u32::from_le_bytes(*version);
        if version != FORMAT_VERSION {
            let what = format!("format {version}; this build reads format {FORMAT_VERSION}");
            return Err(EngineError::refused(path, what));
        }
        let head = bytes.first_chunk::<{ HEADER_BYTES as usize }>();
        let head = head.ok_or_else(|| corrupt("a shorter file"))?;
        let field = |at: usize| {
            head[at..].first_chunk().map_or(0, |bytes: &[u8; 8]| u64::from_le_bytes(*bytes))
        };
        if field(40) != xxh3_64(&head[..40]) {
            return Err(corrupt("a wrong check"));
        }
        let (previous, durable_sequence) = (field(24), field(32));
        Ok(Header { log_id: field(8), number: field(16), previous, durable_sequence })
    }

    pub fn seal(&self) -> Seal {
        Seal::new(self.log_id, self.number)
    }
}

/// How fast a segment is filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for it, or nobody can be disturbed.
    AtOnce,
    /// In small steps, so that no commit waits long for the disk behind the zeros.
    Gentle,
}

/// Zeros that are written and synchronised at once where the pace is gentle.
const GENTLE_STEP_BYTES: usize = 256 << 10;
/// Left to the commits between two steps: a segment of 16 MiB takes about half a second.
const GENTLE_PAUSE: Duration = Duration::from_millis(5);

/// What whoever waits for a segment says after each gentle step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoOn {
    Gently,
    /// Without a pause: it would come too late.
    InHaste,
    No,
}

/// A file that waits to become a segment. What it holds is of no account: zeros, or the records of
/// an earlier life.
pub(super) struct Spare {
    pub name: String,
    pub handle: Handle,
    /// Up to here every block was written once, so that writing it again changes no metadata.
    pub filled: u64,
}

impl Spare {
    /// Makes a new file of zeros, durable in content though not in name. Where the pace is gentle,
    /// `go_on` is asked after each step, with the bytes that are filled; None if it said no.
    pub fn fill(
        folder: &Folder,
        id: u64,
        bytes: u64,
        pace: Pace,
        go_on: &dyn Fn(u64) -> Result<GoOn, EngineError>,
    ) -> Result<Option<Spare>, EngineError> {
        let temporary = temporary_name(id);
        let handle = folder.open(&temporary, Mode::Create)?;
        // Only a hint for one contiguous extent: the zeros below claim the space on any disk.
        handle.allocate(bytes);
        let zeros = vec![0; GENTLE_STEP_BYTES];
        let mut at = 0;
        while at < bytes {
            let step = (bytes - at).min(zeros.len() as u64);
            handle.write(&zeros[..step as usize], at)?;
            at += step;
            if pace == Pace::Gentle {
                handle.sync()?;
                match go_on(at)? {
                    GoOn::Gently => std::thread::sleep(GENTLE_PAUSE),
                    GoOn::InHaste => {}
                    GoOn::No => {
                        folder.remove(&temporary);
                        return Ok(None);
                    }
                }
            }
        }
        handle.sync()?;
        Spare::named(folder, &temporary, id, bytes).map(Some)
    }

    /// Makes a file of the right length without writing zeros, for a writer who cannot wait for
    /// them: 16 MiB on ext4 take .5 ms instead of 56 ms, header and name included. The writer fills
    /// it as it goes.
    pub fn unfilled(folder: &Folder, id: u64, bytes: u64) -> Result<Spare, EngineError> {
        let temporary = temporary_name(id);
        let handle = folder.open(&temporary, Mode::Create)?;
        handle.allocate(bytes);
        handle.set_bytes(bytes)?;
        Spare::named(folder, &temporary, id, 0)
    }

    /// Takes a segment's name from its file, durably.
    pub fn of_segment(folder: &Folder, number: u64, id: u64) -> Result<Spare, EngineError> {
        let mut spare = Spare::named(folder, &segment_name(number), id, 0)?;
        folder.sync()?;
        spare.filled = spare.handle.bytes()?;
        Ok(spare)
    }

    fn named(folder: &Folder, old_name: &str, id: u64, filled: u64) -> Result<Spare, EngineError> {
        let name = spare_name(id);
        folder.rename(old_name, &name)?;
        let handle = folder.open(&name, Mode::Write)?;
        Ok(Spare { name, handle, filled })
    }

    /// Gives the file the header of its next life, durably.
    pub fn write_header(&self, header: &Header) -> Result<(), EngineError> {
        self.handle.write(&header.encode(), 0)?;
        self.handle.sync()
    }

    /// Gives the file its name as a segment, durable once the folder is synchronised. The header
    /// must be durable already: a segment with a name has a header.
    pub fn into_segment(self, folder: &Folder, number: u64) -> Result<Handle, EngineError> {
        let name = segment_name(number);
        folder.rename(&self.name, &name)?;
        folder.open(&name, Mode::Write)
    }
}

fn temporary_name(id: u64) -> String {
    format!("spare-{id}.tmp")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::disk::Real;
    use std::sync::Arc;

    const HEADER: Header = Header { log_id: 7, number: 5, previous: 4, durable_sequence: 42 };

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Arc::new(Real), dir.path());
        (dir, folder)
    }

    #[test]
    fn a_fresh_segment_is_all_zeros_behind_its_header() {
        let (_dir, folder) = folder();
        let bytes = 600_000;
        for (number, pace) in [(5, Some(Pace::Gentle)), (6, Some(Pace::AtOnce)), (7, None)] {
            let header = Header { number, ..HEADER };
            let spare = match pace {
                Some(pace) => {
                    let go_on = |_| Ok(GoOn::InHaste);
                    Spare::fill(&folder, 1, bytes, pace, &go_on).unwrap().unwrap()
                }
                None => Spare::unfilled(&folder, 1, bytes).unwrap(),
            };
            assert_eq!(folder.list().unwrap().first().unwrap(), "000000000001.spare");
            spare.write_header(&header).unwrap();
            let handle = spare.into_segment(&folder, number).unwrap();
            let found = handle.read_all().unwrap();
            assert_eq!(found.len() as u64, bytes);
            assert_eq!(Header::decode(handle.path(), &found).unwrap(), header);
            assert!(found[HEADER_BYTES as usize..].iter().all(|byte| *byte == 0));
        }
        let names = ["000000000005.wal", "000000000006.wal", "000000000007.wal"];
        assert_eq!(folder.list().unwrap(), names);
    }

    #[test]
    fn filling_stops_when_told() {
        let (_dir, folder) = folder();
        let spare = Spare::fill(&folder, 1, 1 << 20, Pace::Gentle, &|_| Ok(GoOn::No)).unwrap();
        assert!(spare.is_none());
        assert!(folder.list().unwrap().is_empty());
    }

    #[test]
    fn a_wrong_header_is_told() {
        let path = Path::new("5.wal");
        let decode = |bytes: &[u8]| Header::decode(path, bytes).unwrap_err().to_string();
        for (at, message) in [(0, "magic"), (4, "format 2; this build reads format 3")] {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 1;
            assert!(decode(&bytes).contains(message), "{}", decode(&bytes));
        }
        for at in 8..HEADER_BYTES as usize {
            let mut bytes = HEADER.encode();
            bytes[at] ^= 1;
            assert!(decode(&bytes).contains("a wrong check"), "byte {at}");
        }
        for cut in 0..HEADER_BYTES as usize {
            assert!(decode(&HEADER.encode()[..cut]).contains("a shorter file"), "cut at {cut}");
        }
    }

    #[test]
    fn numbers_are_read_from_names() {
        let names = ["000000000012.wal", "000000000003.wal", "12.wal", "+00000000012.wal", "x.wal"];
        let names = names.map(String::from);
        assert_eq!(numbers(&names, "wal"), [3, 12]);
        assert_eq!(numbers(&[segment_name(MAX_NUMBER)], "wal"), [MAX_NUMBER]);
        assert!(numbers(&[segment_name(u64::MAX)], "wal").is_empty());
        assert!(numbers(&[spare_name(9)], "wal").is_empty());
    }
}
