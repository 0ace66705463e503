//! A file of batches: its header, and the walk over what it holds.
//!
//! ```text
//!   magic [8] │ version u32 │ number u32 │ store u64 │ checksum u32 │ zeros to 32 bytes
//!             │ batch, batch, …
//! ```

use super::record::{self, Entry, HEAD_BYTES, Head, Seal};
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Handle, Mode};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub const MAGIC: &[u8; 8] = b"QRT-HASH";
pub const FORMAT_VERSION: u32 = 1;
pub const HEADER_BYTES: u32 = 32;
/// A walk reads so much at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Where an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: u32,
    pub at: u32,
    pub bytes: u32,
}

pub struct DataFile {
    pub number: u32,
    pub handle: Handle,
    pub seal: Seal,
    /// Entries that the index points to.
    pub live_bytes: AtomicU64,
    /// Removals: of no use to a reader, but older values may lie in older files.
    pub tombstone_bytes: AtomicU64,
}

pub fn data_name(number: u32) -> String {
    format!("{number:010}.log")
}

pub fn hint_name(number: u32) -> String {
    format!("{number:010}.hint")
}

/// The number in the name of a file of this engine.
pub fn number_of(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(".log").or_else(|| name.strip_suffix(".hint"))?;
    stem.parse().ok()
}

impl DataFile {
    fn new(handle: Handle, store: u64, number: u32) -> Arc<Self> {
        let seal = Seal::new(store, number);
        let (live_bytes, tombstone_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(DataFile { number, handle, seal, live_bytes, tombstone_bytes })
    }

    /// A file with a durable header. Its name is not durable yet.
    pub fn create(folder: &Folder, store: u64, number: u32) -> Result<Arc<Self>, EngineError> {
        let handle = folder.open(&data_name(number), Mode::Create)?;
        handle.write(&header(store, number), 0)?;
        handle.sync()?;
        Ok(DataFile::new(handle, store, number))
    }

    pub fn open(folder: &Folder, store: u64, number: u32) -> Result<Arc<Self>, EngineError> {
        let handle = folder.open(&data_name(number), Mode::Write)?;
        let expected = header(store, number);
        let mut found = vec![0; (handle.bytes()? as usize).min(expected.len())];
        handle.read(&mut found, 0)?;
        if found != expected {
            let version = u32::from_le_bytes([
                found.get(8).copied().unwrap_or_default(),
                found.get(9).copied().unwrap_or_default(),
                found.get(10).copied().unwrap_or_default(),
                found.get(11).copied().unwrap_or_default(),
            ]);
            let what = format!("{} bytes, format version {version}", found.len());
            let expected = "the header of this file in format version 1";
            return Err(EngineError::corrupt(handle.path(), 0, expected, what));
        }
        Ok(DataFile::new(handle, store, number))
    }

    /// The value of an entry that was put at this place.
    pub fn value(&self, place: Place, key: &[u8]) -> Result<Bytes, EngineError> {
        let mut bytes = vec![0; place.bytes as usize];
        self.handle.read(&mut bytes, u64::from(place.at))?;
        let found = Entry::verified(self.seal, place.at, &bytes);
        match found.filter(|entry| entry.key == key && entry.bytes == place.bytes) {
            Some(Entry {
                item: record::Item::Put(value) | record::Item::PutUntil(value, _),
                ..
            }) => {
                let start = bytes.len() - value.len();
                Ok(Bytes::from(bytes).slice(start..))
            }
            _ => Err(EngineError::corrupt(
                self.handle.path(),
                u64::from(place.at),
                "an entry of this key with its checksum",
                "another one",
            )),
        }
    }

    pub fn count(&self, counter: impl FnOnce(&Self) -> &AtomicU64, bytes: u32) {
        counter(self).fetch_add(u64::from(bytes), Relaxed);
    }

    pub fn uncount_live(&self, bytes: u32) {
        self.live_bytes.fetch_sub(u64::from(bytes), Relaxed);
    }
}

fn header(store: u64, number: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&store.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(HEADER_BYTES as usize, 0);
    bytes
}

/// Reads a file's batches one after the other.
pub struct Walk<'a> {
    file: &'a DataFile,
    /// Where the next batch begins, or the one that does not verify.
    pub at: u32,
    end: u32,
    buffer: Vec<u8>,
    buffer_at: u32,
}

impl<'a> Walk<'a> {
    /// From the first batch up to the byte `end`.
    pub fn new(file: &'a DataFile, end: u32) -> Self {
        Walk { file, at: HEADER_BYTES, end, buffer: Vec::new(), buffer_at: 0 }
    }

    /// The place and bytes of the next batch's entries; None where no intact batch is.
    pub fn next(&mut self) -> Result<Option<(u32, &[u8])>, EngineError> {
        let (seal, at) = (self.file.seal, self.at);
        let Some(bytes) = self.window(at, HEAD_BYTES as u32)? else { return Ok(None) };
        let Some(head) = Head::read(seal, at, bytes) else { return Ok(None) };
        let payload_at = at + HEAD_BYTES as u32;
        let Some(payload) = self.window(payload_at, head.payload_bytes)? else { return Ok(None) };
        if !record::is_intact(seal, payload_at, payload, head.changes) {
            return Ok(None);
        }
        self.at = payload_at + head.payload_bytes;
        let start = (payload_at - self.buffer_at) as usize;
        Ok(Some((payload_at, &self.buffer[start..start + head.payload_bytes as usize])))
    }

    /// Bytes of the file; None where it ends before.
    fn window(&mut self, at: u32, bytes: u32) -> Result<Option<&[u8]>, EngineError> {
        let Some(end) = at.checked_add(bytes).filter(|end| *end <= self.end) else {
            return Ok(None);
        };
        let held = self.buffer_at + self.buffer.len() as u32;
        if at < self.buffer_at || end > held {
            let wanted = (bytes as usize).max(CHUNK_BYTES).min((self.end - at) as usize);
            self.buffer.resize(wanted, 0);
            self.buffer_at = at;
            self.file.handle.read(&mut self.buffer, u64::from(at))?;
        }
        let start = (at - self.buffer_at) as usize;
        Ok(Some(&self.buffer[start..start + bytes as usize]))
    }

    /// An error unless the last batch was reached.
    pub fn check_end(&self) -> Result<(), EngineError> {
        if self.at == self.end {
            return Ok(());
        }
        let (path, at) = (self.file.handle.path(), u64::from(self.at));
        Err(EngineError::corrupt(path, at, "a batch with its checksums", "another one"))
    }

    /// What is behind the last intact batch: how much was durable according to the heads that are
    /// found there, and where the last byte is that is not zero.
    pub fn remains(&mut self) -> Result<Remains, EngineError> {
        let mut rest = vec![0; (self.end - self.at) as usize];
        self.file.handle.read(&mut rest, u64::from(self.at))?;
        let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let heads = (1..used).filter_map(|skip| {
            let place = self.at + skip as u32;
            Head::read(self.file.seal, place, &rest[skip..])
        });
        Ok(Remains {
            durable: heads.map(|head| head.durable).max().unwrap_or(0),
            bytes: used as u32,
        })
    }
}

pub struct Remains {
    pub durable: u32,
    pub bytes: u32,
}
