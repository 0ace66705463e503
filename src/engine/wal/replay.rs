//! Reading the log back: what was durable is found, what was torn is left, what was destroyed is
//! refused.
//!
//! Where a record does not verify, three histories are possible. The log ended there, and what
//! follows is zeros or the records of the segment's earlier life. Or the process or the machine
//! died while the record was being written: nobody was promised anything, and the log ends here,
//! too. Or the disk lost what it had promised. The third is told apart by the durable sequence in
//! the headers behind, of records and of segments: one that was written after the lost record was
//! on disk proves it. No more than a header need be left of such a record, so every place behind
//! is searched for one.
//!
//! A replay only reads. What it has decided is done by [`Log::start`](super::Log::start).

use super::log::Segment;
use super::reader::Reader;
use super::record::Changes;
use super::segment::{self, HEADER_BYTES, segment_name};
use crate::engine::EngineError;
use crate::engine::disk::Folder;
use crate::engine::entry::Item;
use std::path::PathBuf;

/// What becomes of a log with a hole in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvage {
    /// An error that says where.
    No,
    /// What is before the hole is kept. What is behind it will be set aside, in files `*.salvaged`.
    Yes,
}

/// What a replay found.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The newest sequence number of the log or of the tables.
    pub last_sequence: u64,
    /// Records that were read, and the changes that were handed over: those that no table holds.
    pub records: u64,
    pub changes: u64,
    /// Bytes of the records that were read.
    pub bytes: u64,
    /// Where a write was cut short that nobody was promised anything of, or the first of several.
    pub torn: Option<Torn>,
    /// Bytes of such records, as far as their headers are left.
    pub dropped_bytes: u64,
    /// Segments up to the last that holds a record, oldest first.
    pub segments: Vec<Segment>,
    /// Why what is behind a hole will be set aside, and the segments that lie there whole.
    pub salvaged: Option<Salvaged>,
    /// Segments behind the last record: they hold nothing that counts.
    pub(super) behind: Vec<u64>,
    pub(super) log_id: Option<u64>,
}

/// The place of a write that was cut short: the segment, and the byte in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    pub path: PathBuf,
    pub offset: u64,
}

/// What a salvage sets aside, and why.
#[derive(Debug)]
pub struct Salvaged {
    /// The error that there would have been otherwise.
    pub hole: EngineError,
    /// Segments behind the hole.
    pub segments: Vec<u64>,
    /// The segment with the hole in it, and where that is.
    pub cut: Option<(u64, u64)>,
}

/// Reads the segments of a folder in order and hands over each change that no table holds: its
/// sequence number, its key and the rest.
///
/// Refused as corrupt: a hole, a missing segment, a header that cannot be read, unless `salvage`
/// says otherwise. Refused in any case: a segment of another format or of another folder's log.
pub fn replay(
    folder: &Folder,
    flushed_sequence: u64,
    salvage: Salvage,
    mut apply: impl FnMut(u64, &[u8], Item<'_>) -> Result<(), EngineError>,
) -> Result<Replayed, EngineError> {
    let numbers = segment::numbers(&folder.list()?, "wal");
    if numbers.is_empty() && flushed_sequence > 0 && salvage == Salvage::No {
        let what = "the write-ahead log is missing: no file *.wal; `quorate engine salvage` starts \
                    a new one";
        return Err(EngineError::refused(folder.path(), what));
    }
    let mut replay = Replay::new(folder, &numbers, flushed_sequence);
    let hole = match replay.read_all(&mut apply)? {
        Some(hole) => Some(hole),
        None => replay.search_behind()?,
    };
    replay.finish(hole, salvage)
}

/// Where the records end so far.
struct End {
    /// Index of the segment.
    index: usize,
    path: PathBuf,
    offset: u64,
}

struct Replay<'a> {
    folder: &'a Folder,
    numbers: &'a [u64],
    flushed_sequence: u64,
    /// The sequence number behind the last record, once there was one.
    next: Option<u64>,
    end: Option<End>,
    /// Segments from this index on hold no record.
    empty_from: usize,
    /// Kept from segment to segment for its capacity.
    chunk: Vec<u8>,
    replayed: Replayed,
}

/// What the first record of a segment says of those before it.
enum Begin {
    Nothing,
    InOrder,
    /// Records before this sequence number are missing.
    Ahead(u64),
}

impl<'a> Replay<'a> {
    fn new(folder: &'a Folder, numbers: &'a [u64], flushed_sequence: u64) -> Self {
        let last_sequence = flushed_sequence;
        Replay {
            folder,
            numbers,
            flushed_sequence,
            next: None,
            end: None,
            empty_from: 0,
            chunk: Vec::new(),
            replayed: Replayed { last_sequence, ..Replayed::default() },
        }
    }

    /// The first sequence number that is lost if there is no further record.
    fn lost(&self) -> u64 {
        self.next.unwrap_or_default().max(self.flushed_sequence + 1)
    }

    /// Reads until the records end. The answer is a hole that shows by itself.
    fn read_all(
        &mut self,
        apply: &mut impl FnMut(u64, &[u8], Item<'_>) -> Result<(), EngineError>,
    ) -> Result<Option<EngineError>, EngineError> {
        for index in 0..self.numbers.len() {
            let mut reader = match self.open(index)? {
                Ok(reader) => reader,
                Err(hole) => return Ok(Some(hole)),
            };
            match self.begin(&mut reader)? {
                Begin::Nothing => {}
                Begin::InOrder => {
                    self.read_segment(&mut reader, apply)?;
                    self.empty_from = index + 1;
                    self.end_at(index, &reader);
                }
                Begin::Ahead(found) => {
                    return Ok(self.end.is_none().then(|| self.missing(&reader, found)));
                }
            }
            if self.end.is_none() {
                self.end_at(index, &reader);
            }
            let last_sequence = self.next.map_or(self.flushed_sequence, |next| next - 1);
            let number = self.numbers[index];
            self.replayed.segments.push(Segment { number, bytes: reader.at, last_sequence });
            self.chunk = reader.into_chunk();
        }
        Ok(None)
    }

    fn missing(&self, reader: &Reader, found: u64) -> EngineError {
        let expected = format!("sequence number {}: records are missing", self.lost());
        let found = found.to_string();
        hole(EngineError::corrupt(reader.path(), HEADER_BYTES, &expected, found))
    }

    fn end_at(&mut self, index: usize, reader: &Reader) {
        self.end = Some(End { index, path: reader.path().to_path_buf(), offset: reader.at });
    }

    /// Opens a segment and checks that it is the one behind the segment before it.
    fn open(&mut self, index: usize) -> Result<Result<Reader, EngineError>, EngineError> {
        let opened =
            Reader::open(self.folder, self.numbers[index], std::mem::take(&mut self.chunk));
        let reader = match opened {
            Ok(reader) => reader,
            Err(error @ EngineError::Corrupt { .. }) => return Ok(Err(hole(error))),
            Err(error) => return Err(error),
        };
        let header = reader.header;
        let log_id = *self.replayed.log_id.get_or_insert(header.log_id);
        if log_id != header.log_id {
            let what = "a segment of another folder's log";
            return Err(EngineError::refused(reader.path(), what));
        }
        let corrupt = |at: u64, expected: &str, found: &str| {
            Ok(Err(hole(EngineError::corrupt(reader.path(), at, expected, found))))
        };
        let (previous, durable) = (header.previous, header.durable_sequence);
        match index.checked_sub(1).map(|before| self.numbers[before]) {
            Some(before) if before != previous => {
                let found = format!("segment {previous}: {} is missing", segment_name(previous));
                corrupt(24, &format!("segment {before} as the one before"), &found)
            }
            None if durable > self.flushed_sequence => {
                let flushed = self.flushed_sequence;
                let expected = format!("that the records up to {flushed} are the durable ones");
                corrupt(32, &expected, &format!("{durable}: the segments before are missing"))
            }
            _ => Ok(Ok(reader)),
        }
    }

    /// Looks at the first record. A gap is allowed below what the tables hold: where not every
    /// write is waited for, a power failure may take the log's end after the tables were made
    /// durable.
    fn begin(&self, reader: &mut Reader) -> Result<Begin, EngineError> {
        let Some((header, _)) = reader.record()? else { return Ok(Begin::Nothing) };
        let found = header.first_sequence;
        if found > self.lost() {
            return Ok(Begin::Ahead(found));
        }
        if self.next.is_some_and(|next| found < next) {
            let expected = format!("sequence number {}", self.lost());
            let path = reader.path();
            return Err(EngineError::corrupt(path, HEADER_BYTES, &expected, found.to_string()));
        }
        Ok(Begin::InOrder)
    }

    fn read_segment(
        &mut self,
        reader: &mut Reader,
        apply: &mut impl FnMut(u64, &[u8], Item<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let path = reader.path().to_path_buf();
        let mut expected = None;
        loop {
            let at = reader.at;
            let corrupt = |expected: &str, found: &str| {
                Err(EngineError::corrupt(&path, at, expected, found.to_string()))
            };
            let Some((header, payload)) = reader.record()? else { return Ok(()) };
            let first = header.first_sequence;
            if let Some(expected) = expected.filter(|expected| *expected != first) {
                return corrupt(&format!("sequence number {expected}"), &first.to_string());
            }
            for (sequence, change) in (first..).zip(Changes::new(payload, header.changes)) {
                let Some(change) = change else {
                    return corrupt("a list of changes", "malformed bytes under a right check");
                };
                if sequence > self.flushed_sequence {
                    apply(sequence, change.key, change.item)?;
                    self.replayed.changes += 1;
                }
            }
            let next = header.last_sequence() + 1;
            (expected, self.next) = (Some(next), Some(next));
            self.replayed.records += 1;
            self.replayed.bytes += header.record_bytes() as u64;
            reader.at += header.record_bytes() as u64;
        }
    }

    /// Searches everything behind the last record for what was written later: for proof that
    /// durable records are lost, or for the remains of writes that nobody waited for.
    fn search_behind(&mut self) -> Result<Option<EngineError>, EngineError> {
        let Some(end) = &self.end else { return Ok(None) };
        let lost = self.lost();
        // A change takes three bytes at least: no sequence number can be further away.
        let mut count = 0;
        for (index, number) in self.numbers.iter().enumerate().skip(end.index) {
            let chunk = std::mem::take(&mut self.chunk);
            let mut reader = match Reader::open(self.folder, *number, chunk) {
                Ok(reader) => reader,
                Err(error @ EngineError::Corrupt { .. }) => return Ok(Some(hole(error))),
                Err(error) => return Err(error),
            };
            if index == end.index {
                reader.at = end.offset;
            }
            count += reader.file_bytes - reader.at;
            let durable = reader.header.durable_sequence;
            let by_segment = index > end.index && durable >= lost;
            let proof = if by_segment {
                Some(format!("the record of sequence number {durable} was durable"))
            } else {
                search(&mut reader, lost, count, &mut self.replayed)?
            };
            if let Some(proof) = proof {
                let found = format!("a hole: {} says that {proof}", reader.path().display());
                let expected = format!("the record of sequence number {lost}");
                let error = EngineError::corrupt(&end.path, end.offset, &expected, found);
                return Ok(Some(hole(error)));
            }
            self.chunk = reader.into_chunk();
        }
        Ok(None)
    }

    /// Decides what becomes of the segments.
    fn finish(
        mut self,
        hole: Option<EngineError>,
        salvage: Salvage,
    ) -> Result<Replayed, EngineError> {
        self.replayed.last_sequence = self.lost() - 1;
        self.replayed.segments.truncate(self.empty_from);
        let behind = &self.numbers[self.empty_from..];
        self.replayed.behind = behind.to_vec();
        let Some(hole) = hole else { return Ok(self.replayed) };
        if salvage == Salvage::No {
            return Err(hole);
        }
        let cut = self.end.map(|end| (self.numbers[end.index], end.offset));
        let (cut_behind, segments) =
            behind.iter().partition(|number| cut.is_some_and(|(cut, _)| cut == **number));
        self.replayed.behind = cut_behind;
        self.replayed.salvaged = Some(Salvaged { hole, segments, cut });
        (self.replayed.torn, self.replayed.dropped_bytes) = (None, 0);
        Ok(self.replayed)
    }
}

/// Searches one segment behind the end of the records. The answer is the proof that they went on.
fn search(
    reader: &mut Reader,
    lost: u64,
    count: u64,
    replayed: &mut Replayed,
) -> Result<Option<String>, EngineError> {
    let path = reader.path().to_path_buf();
    let mut proof = None;
    reader.find_headers(lost, count, |offset, header| {
        if header.durable_sequence >= lost {
            let (first, durable) = (header.first_sequence, header.durable_sequence);
            proof = Some(format!("{durable} was durable before {first} was written, at {offset}"));
        } else {
            replayed.dropped_bytes += header.record_bytes() as u64;
            replayed.torn.get_or_insert_with(|| Torn { path: path.clone(), offset });
        }
        proof.is_some()
    })?;
    Ok(proof)
}

/// Names the way out.
fn hole(error: EngineError) -> EngineError {
    match error {
        EngineError::Corrupt { path, offset, expected, found } => {
            let way_out = "`quorate engine verify` tells more, `quorate engine salvage` keeps \
                           what is before";
            EngineError::Corrupt { path, offset, expected, found: format!("{found}; {way_out}") }
        }
        other => other,
    }
}
