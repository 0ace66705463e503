//! The file of a B-tree as redb asks for it, on the engines' disk.

use crate::engine::EngineError;
use crate::engine::disk::Handle;
use redb::StorageBackend;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What redb's files are made of, if it is not told otherwise.
const PAGE_BYTES: u64 = 4_096;

/// What redb has asked of its file.
#[derive(Debug, Default)]
pub struct Counts {
    pub read_bytes: AtomicU64,
    pub written_bytes: AtomicU64,
    pub syncs: AtomicU64,
}

pub struct Backend {
    handle: Handle,
    counts: Arc<Counts>,
}

impl Backend {
    pub fn new(handle: Handle, counts: Arc<Counts>) -> Self {
        Backend { handle, counts }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.handle.path().display())
    }
}

/// The path is added again where the error leaves the engine.
fn source(error: EngineError) -> io::Error {
    match error {
        EngineError::Io { source, .. } => source,
        error => io::Error::other(error.to_string()),
    }
}

impl StorageBackend for Backend {
    /// In whole pages: a power cut may leave a file that was about to grow with any length between,
    /// where redb expects pages and would refuse it. What is behind the last one was never durable.
    fn len(&self) -> Result<u64, io::Error> {
        let bytes = self.handle.bytes().map_err(source)?;
        Ok(bytes - bytes % PAGE_BYTES)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.counts.read_bytes.fetch_add(out.len() as u64, Relaxed);
        self.handle.read(out, offset).map_err(source)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.handle.set_bytes(len).map_err(source)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.counts.syncs.fetch_add(1, Relaxed);
        self.handle.sync().map_err(source)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.counts.written_bytes.fetch_add(data.len() as u64, Relaxed);
        self.handle.write(data, offset).map_err(source)
    }
}
