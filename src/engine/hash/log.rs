//! The active file: the one that takes the writes.

use super::file::{DataFile, HEADER_BYTES, Place};
use super::record::{Entry, HEAD_BYTES, Head};
use crate::engine::{EngineError, Write};
use std::sync::Arc;

/// Where commits are synchronised, zeros are written so far ahead of them: a synchronisation that
/// changes neither the file's length nor its extents writes no metadata.
const ZEROS_AHEAD: u64 = 256 << 10;

/// The end of the newest file.
pub struct Log {
    pub file: Arc<DataFile>,
    /// Where the next batch goes.
    at: u32,
    /// Up to here it is on disk for certain.
    durable: u32,
    /// Up to here the file is long.
    written: u64,
    /// Batches that are not written yet; the last bytes before `at`.
    buffer: Vec<u8>,
    batch: Option<Begun>,
}

/// A batch whose head is not known yet.
struct Begun {
    /// In the buffer, and in the file.
    start: usize,
    at: u32,
    changes: u32,
}

impl Log {
    /// Goes on behind byte `at` of a file, which is durable up to there and holds nothing but
    /// zeros behind it.
    pub fn resume(file: Arc<DataFile>, at: u32, written: u64) -> Self {
        Log { file, at, durable: at, written, buffer: Vec::new(), batch: None }
    }

    pub fn start(file: Arc<DataFile>) -> Self {
        Self::resume(file, HEADER_BYTES, u64::from(HEADER_BYTES))
    }

    pub fn bytes(&self) -> u32 {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at == HEADER_BYTES
    }

    /// Appends a batch to what [`Self::write`] will write, and says where each change will be.
    pub fn append(&mut self, batch: &[Write], places: &mut Vec<Place>) {
        self.begin();
        places.extend(batch.iter().map(|write| self.add(&Entry::of(write))));
        self.finish();
    }

    /// Begins a batch, unless one has begun.
    pub fn begin(&mut self) {
        if self.batch.is_none() {
            self.batch = Some(Begun { start: self.buffer.len(), at: self.at, changes: 0 });
            self.buffer.resize(self.buffer.len() + HEAD_BYTES, 0);
            self.at += HEAD_BYTES as u32;
        }
    }

    /// Adds an entry to the batch that has begun.
    pub fn add(&mut self, entry: &Entry<'_>) -> Place {
        let place = Place { file: self.file.number, at: self.at, bytes: entry.bytes };
        entry.write(self.file.seal, self.at, &mut self.buffer);
        self.at += entry.bytes;
        if let Some(batch) = &mut self.batch {
            batch.changes += 1;
        }
        place
    }

    /// Ends the batch that has begun, if any.
    pub fn finish(&mut self) {
        if let Some(Begun { start, at, changes }) = self.batch.take() {
            let payload_bytes = self.at - at - HEAD_BYTES as u32;
            let head = Head { payload_bytes, changes, durable: self.durable };
            head.write(self.file.seal, at, &mut self.buffer[start..]);
        }
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what was appended. It is not durable yet. Returns the bytes of the batches.
    pub fn write(&mut self, will_sync: bool) -> Result<u64, EngineError> {
        let bytes = self.buffer.len();
        let start = u64::from(self.at) - bytes as u64;
        if will_sync && u64::from(self.at) > self.written {
            self.buffer.resize(bytes + ZEROS_AHEAD as usize, 0);
        }
        self.file.handle.write(&self.buffer, start)?;
        self.written = self.written.max(start + self.buffer.len() as u64);
        self.buffer.clear();
        // What a large batch has claimed is not kept for small ones.
        self.buffer.shrink_to(2 * ZEROS_AHEAD as usize);
        Ok(bytes as u64)
    }

    /// What is to be synchronised, and how much is durable once that is done.
    pub fn unsynced(&self) -> Option<(Arc<DataFile>, u32)> {
        (self.at > self.durable).then(|| (Arc::clone(&self.file), self.at))
    }

    pub fn mark_durable(&mut self, file: u32, at: u32) {
        if self.file.number == file {
            self.durable = self.durable.max(at);
        }
    }

    /// Waits until everything is on disk. Returns whether there was anything to do.
    pub fn sync(&mut self) -> Result<bool, EngineError> {
        let Some((file, at)) = self.unsynced() else { return Ok(false) };
        file.handle.sync()?;
        self.mark_durable(file.number, at);
        Ok(true)
    }
}
