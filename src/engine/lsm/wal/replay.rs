//! Reading the log back: what was durable is found, what was torn is cut, what was destroyed is
//! refused.
//!
//! Where a record does not verify, two histories are possible. Either the process or the machine
//! died while the record was being written: nobody was promised anything, and the log ends here.
//! Or the disk lost what it had promised. The two are told apart by the durable sequence in the
//! headers behind the hole: a record that was written after the lost one was on disk proves the
//! second.

use super::log::Sealed;
use super::record::{HEADER_BYTES, Header, Record};
use super::segment;
use crate::engine::EngineError;
use crate::engine::lsm::files;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

/// What a replay found.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The newest sequence number of the log or of the tables.
    pub last_sequence: u64,
    pub records: u64,
    pub bytes: u64,
    /// Bytes of the torn tail.
    pub dropped_bytes: u64,
    /// Segments that hold records, oldest first.
    pub segments: Vec<Sealed>,
    /// Segments that hold none. They go once a new one has taken their place: the folder of an
    /// engine that has flushed is never without a segment, so that a lost log is noticed.
    pub empty: Vec<PathBuf>,
}

/// Reads the segments with the given numbers in order and hands over each record that is not in a
/// table yet. Cuts the torn tail off its file.
pub fn replay(
    dir: &Path,
    mut numbers: Vec<u64>,
    flushed_sequence: u64,
    mut apply: impl FnMut(Record) -> Result<(), EngineError>,
) -> Result<Replayed, EngineError> {
    numbers.sort_unstable();
    let mut replayed = Replayed { last_sequence: flushed_sequence, ..Replayed::default() };
    let mut log_end = None;
    let mut torn: Option<Torn> = None;
    for number in numbers {
        let path = files::segment(dir, number);
        let bytes = fs::read(&path).map_err(EngineError::io(&path))?;
        let base = segment::read_base(&path, number, &bytes)?;
        if let Some(torn) = &torn {
            torn.refuse_if_followed_by(&path, base)?;
        }
        let mut reader = Reader { path: &path, number, bytes: &bytes, at: segment::HEADER_BYTES };
        let expected = Expected { next: log_end.map(|end| end + 1), flushed: flushed_sequence };
        expected.check(&path, 16, base)?;
        while let Some(record) = reader.next() {
            let expected = Expected { next: log_end.map(|end| end + 1), flushed: flushed_sequence };
            expected.check(&path, reader.at as u64, record.first_sequence)?;
            reader.at += HEADER_BYTES + record.payload.len();
            log_end = Some(record.last_sequence());
            replayed.records += 1;
            replayed.bytes += record.payload.len() as u64;
            if record.first_sequence > flushed_sequence {
                apply(record)?;
            }
        }
        // What the tables hold is not lost, whatever became of its records.
        let lost = log_end.map_or(base, |end| end + 1).max(flushed_sequence + 1);
        torn = reader.torn(lost)?;
        replayed.dropped_bytes += torn.as_ref().map_or(0, |torn| torn.bytes);
        let end = reader.at;
        finish(path, number, log_end.filter(|end| *end >= base), end, &mut replayed)?;
    }
    replayed.last_sequence = replayed.last_sequence.max(log_end.unwrap_or_default());
    Ok(replayed)
}

/// Cuts what lies behind the last record, so that a later replay meets a clean end.
fn finish(
    path: PathBuf,
    number: u64,
    last: Option<u64>,
    end: usize,
    replayed: &mut Replayed,
) -> Result<(), EngineError> {
    let Some(last_sequence) = last else {
        replayed.empty.push(path);
        return Ok(());
    };
    let file = OpenOptions::new().write(true).open(&path).map_err(EngineError::io(&path))?;
    file.set_len(end as u64).and_then(|()| file.sync_all()).map_err(EngineError::io(&path))?;
    replayed.segments.push(Sealed { number, path, last_sequence });
    Ok(())
}

/// The sequence numbers that may come next. A gap is allowed below what the tables hold: with
/// `sync` other than `always`, a power failure may take the log's end after the tables were made
/// durable.
struct Expected {
    next: Option<u64>,
    flushed: u64,
}

impl Expected {
    fn check(&self, path: &Path, offset: u64, found: u64) -> Result<(), EngineError> {
        let highest = self.next.unwrap_or_default().max(self.flushed + 1);
        let lowest = self.next.unwrap_or_default();
        if (lowest..=highest).contains(&found) {
            return Ok(());
        }
        let expected = format!("sequence number {highest}: records are missing");
        Err(EngineError::corrupt(path, offset, &expected, found.to_string()))
    }
}

struct Reader<'a> {
    path: &'a Path,
    number: u64,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn next(&self) -> Option<Record> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        Header::read(self.number, rest)?.record(self.number, rest)
    }

    /// What lies behind the last record: nothing, or a torn tail that lost `sequence` and what
    /// followed.
    fn torn(&self, sequence: u64) -> Result<Option<Torn>, EngineError> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let Some(last) = rest.iter().rposition(|byte| *byte != 0) else { return Ok(None) };
        let torn = Torn {
            path: self.path.to_path_buf(),
            offset: self.at as u64,
            sequence,
            bytes: last as u64 + 1,
        };
        let end = (last + HEADER_BYTES).min(rest.len());
        torn.refuse_if_followed(self.path, self.number, &rest[1..end])?;
        Ok(Some(torn))
    }
}

/// The place where the log stopped to verify.
struct Torn {
    path: PathBuf,
    offset: u64,
    /// The first sequence number that was lost.
    sequence: u64,
    bytes: u64,
}

impl Torn {
    /// Refuses a segment that began behind the lost record: this one was durable by then. A
    /// segment that begins with the lost number was made, empty, by an earlier recovery or never
    /// written to.
    fn refuse_if_followed_by(&self, path: &Path, base: u64) -> Result<(), EngineError> {
        if base <= self.sequence {
            return Ok(());
        }
        let expected = format!("the record of sequence number {}", self.sequence);
        let found = format!("a hole before segment {}", path.display());
        Err(EngineError::corrupt(&self.path, self.offset, &expected, found))
    }

    /// Refuses if some record in `bytes` was written when the lost one was durable already.
    fn refuse_if_followed(
        &self,
        path: &Path,
        number: u64,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        let survivor = (0..bytes.len())
            .filter_map(|at| Header::read(number, &bytes[at..]))
            .find(|header| header.durable_sequence >= self.sequence);
        let Some(survivor) = survivor else { return Ok(()) };
        let expected = format!("the record of sequence number {}", self.sequence);
        let found = format!(
            "a hole before the durable record of sequence number {} in {}",
            survivor.first_sequence,
            path.display()
        );
        Err(EngineError::corrupt(&self.path, self.offset, &expected, found))
    }
}
