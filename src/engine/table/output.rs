//! The file of a table as it grows: sections are sealed into a buffer, which is written in large
//! steps.

use super::builder::Format;
use super::index::Place;
use super::section::Sealer;
use crate::engine::disk::Handle;
use crate::engine::{Compression, EngineError};
use std::path::Path;

/// Written with one call.
const STEP_BYTES: usize = 512 << 10;
/// Only whole pages are written before the end: a page of a spare that is written in part, and is
/// no longer in memory, would have to be read first.
const PAGE_BYTES: u64 = 4 << 10;

pub struct Output {
    file: Handle,
    sealer: Sealer,
    buffer: Vec<u8>,
    /// Bytes of the file that were written, and up to where they were synchronised.
    written: u64,
    synced: u64,
    /// Length of the file when it was taken.
    former: u64,
    sync_bytes: u64,
}

impl Output {
    /// Table `id` over whatever the file holds.
    pub fn new(file: Handle, id: u64, format: &Format) -> Result<Self, EngineError> {
        let former = file.bytes()?;
        let buffer = Vec::with_capacity(STEP_BYTES + 2 * format.block_bytes);
        let (sealer, sync_bytes) = (Sealer::new(id), format.sync_bytes);
        Ok(Output { file, sealer, buffer, written: 0, synced: 0, former, sync_bytes })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Where the next section will lie.
    pub fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub fn section(&mut self, bytes: &[u8], with: Compression) -> Result<Place, EngineError> {
        let offset = self.offset();
        self.sealer.seal(bytes, offset, with, &mut self.buffer);
        let bytes = u32::try_from(self.offset() - offset).map_err(|_| {
            EngineError::refused(self.path(), "a section of 4 GiB or more; split the table")
        })?;
        if self.buffer.len() >= STEP_BYTES {
            let whole = self.offset() / PAGE_BYTES * PAGE_BYTES - self.written;
            self.write(whole as usize)?;
        }
        Ok(Place { offset, bytes })
    }

    /// Writes the first so many bytes of the buffer.
    fn write(&mut self, bytes: usize) -> Result<(), EngineError> {
        self.file.write(&self.buffer[..bytes], self.written)?;
        self.written += bytes as u64;
        self.buffer.drain(..bytes);
        if self.written - self.synced >= self.sync_bytes {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Writes the rest and the footer, cuts off what the file had beyond, and waits until all of it
    /// is on disk. Answers the length.
    pub fn end(&mut self, footer: &[u8]) -> Result<u64, EngineError> {
        self.buffer.extend_from_slice(footer);
        self.write(self.buffer.len())?;
        if self.former > self.written {
            self.file.set_bytes(self.written)?;
        }
        self.file.sync()?;
        Ok(self.written)
    }
}
