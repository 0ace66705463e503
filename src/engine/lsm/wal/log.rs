//! The writing end of the log.

use super::record::Record;
use super::segment::{HEADER_BYTES, Pace, Spare};
use crate::engine::EngineError;
use crate::engine::lsm::files;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A segment that takes no more records. It goes when the tables hold all of it.
#[derive(Debug)]
pub struct Sealed {
    pub number: u64,
    pub path: PathBuf,
    pub last_sequence: u64,
}

/// The log as its one writer sees it.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    segment_bytes: u64,
    sealed: Vec<Sealed>,
    number: u64,
    path: PathBuf,
    file: Arc<File>,
    at: u64,
    next_sequence: u64,
    /// Everything up to here is on disk for certain.
    durable_sequence: u64,
    /// Kept between appends for its capacity.
    buffer: Vec<u8>,
}

impl Log {
    /// Starts a fresh segment behind what a replay found.
    pub fn start(
        dir: &Path,
        segment_bytes: u64,
        number: u64,
        last_sequence: u64,
        sealed: Vec<Sealed>,
    ) -> Result<Self, EngineError> {
        let spare = Spare::prepare(dir, "first", segment_bytes, Pace::AtOnce)?;
        let (file, path) = spare.activate(dir, number, last_sequence + 1)?;
        Ok(Log {
            dir: dir.to_path_buf(),
            segment_bytes,
            sealed,
            number,
            path,
            file: Arc::new(file),
            at: HEADER_BYTES as u64,
            next_sequence: last_sequence + 1,
            durable_sequence: last_sequence,
            buffer: Vec::new(),
        })
    }

    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the records their sequence numbers and writes them with one call. They are not
    /// durable yet. Returns the bytes written. `spare` is asked for when the segment is full.
    pub fn append(
        &mut self,
        records: &mut [Record],
        spare: impl FnOnce() -> Option<Spare>,
    ) -> Result<u64, EngineError> {
        let bytes: usize =
            records.iter().map(|r| super::record::HEADER_BYTES + r.payload.len()).sum();
        if self.at > HEADER_BYTES as u64 && self.at + bytes as u64 > self.segment_bytes {
            self.switch(spare())?;
        }
        self.buffer.clear();
        let mut next = self.next_sequence;
        for record in records.iter_mut() {
            record.first_sequence = next;
            record.write(self.number, self.durable_sequence, &mut self.buffer);
            next += u64::from(record.changes);
        }
        self.file.write_all_at(&self.buffer, self.at).map_err(EngineError::io(&self.path))?;
        self.at += self.buffer.len() as u64;
        self.next_sequence = next;
        Ok(self.buffer.len() as u64)
    }

    /// The file to synchronise, and the sequence number that is durable once that is done. Lets a
    /// thread wait for the disk without holding up appends.
    pub fn unsynced(&self) -> Option<(Arc<File>, u64)> {
        let last = self.last_sequence();
        (last > self.durable_sequence).then(|| (Arc::clone(&self.file), last))
    }

    pub fn mark_durable(&mut self, sequence: u64) {
        self.durable_sequence = self.durable_sequence.max(sequence);
    }

    /// Waits until everything is on disk. Returns whether there was anything to do.
    pub fn sync(&mut self) -> Result<bool, EngineError> {
        let Some((file, sequence)) = self.unsynced() else { return Ok(false) };
        file.sync_data().map_err(EngineError::io(&self.path))?;
        self.mark_durable(sequence);
        Ok(true)
    }

    /// Goes on in a new segment. The old one is synchronised first, whatever the `sync` setting
    /// says: so only the last segment can have a torn tail.
    fn switch(&mut self, spare: Option<Spare>) -> Result<(), EngineError> {
        self.sync()?;
        let spare = match spare {
            Some(spare) => spare,
            None => Spare::prepare(&self.dir, "late", self.segment_bytes, Pace::AtOnce)?,
        };
        let (file, path) = spare.activate(&self.dir, self.number + 1, self.next_sequence)?;
        let path = std::mem::replace(&mut self.path, path);
        let last_sequence = self.last_sequence();
        self.sealed.push(Sealed { number: self.number, path, last_sequence });
        self.number += 1;
        self.file = Arc::new(file);
        self.at = HEADER_BYTES as u64;
        Ok(())
    }

    /// Removes the segments that the tables hold completely.
    pub fn retire(&mut self, flushed_sequence: u64) {
        let keep = |sealed: &Sealed| sealed.last_sequence > flushed_sequence;
        for sealed in self.sealed.extract_if(.., |sealed| !keep(sealed)) {
            tracing::debug!(segment = sealed.number, "removing a flushed segment of the log");
            files::remove(&sealed.path);
        }
    }
}
