//! Reads one segment, some MiB at a time.

use super::record::{self, Seal};
use super::segment::{self, HEADER_BYTES, segment_name};
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Handle, Mode};
use crate::engine::entry::Item;
use std::path::Path;

const CHUNK_BYTES: usize = 2 << 20;

pub(super) struct Reader {
    pub header: segment::Header,
    handle: Handle,
    seal: Seal,
    pub file_bytes: u64,
    /// What is in memory, and where it begins.
    chunk: Vec<u8>,
    chunk_at: u64,
    /// Where the next record is expected.
    pub at: u64,
}

impl Reader {
    /// Opens a segment and checks its header. The chunk of an earlier reader serves again.
    pub fn open(folder: &Folder, number: u64, chunk: Vec<u8>) -> Result<Reader, EngineError> {
        let handle = folder.open(&segment_name(number), Mode::Read)?;
        let file_bytes = handle.bytes()?;
        let mut head = vec![0; file_bytes.min(HEADER_BYTES) as usize];
        handle.read(&mut head, 0)?;
        let header = segment::Header::decode(handle.path(), &head)?;
        if header.number != number {
            let expected = format!("the header of segment {number}");
            let found = format!("that of segment {}", header.number);
            return Err(EngineError::corrupt(handle.path(), 16, &expected, found));
        }
        let (seal, at) = (header.seal(), HEADER_BYTES);
        Ok(Reader { header, seal, handle, file_bytes, chunk, chunk_at: u64::MAX, at })
    }

    pub fn path(&self) -> &Path {
        self.handle.path()
    }

    pub fn into_chunk(self) -> Vec<u8> {
        self.chunk
    }

    /// The record at `at`, if there is one that verifies, and its payload.
    pub fn record(&mut self) -> Result<Option<(record::Header, &[u8])>, EngineError> {
        let (seal, at) = (self.seal, self.at);
        let bytes = self.window(at, record::HEADER_BYTES)?;
        let Some(header) = record::Header::read(seal, at, bytes) else { return Ok(None) };
        let bytes = self.window(at, header.record_bytes())?;
        let payload = bytes.get(record::HEADER_BYTES..header.record_bytes());
        let payload = payload.filter(|payload| header.holds(seal, at, payload));
        Ok(payload.map(|payload| (header, payload)))
    }

    /// The bytes from `at` to the end of what is in memory: at least `bytes` unless the file ends
    /// before.
    fn window(&mut self, at: u64, bytes: usize) -> Result<&[u8], EngineError> {
        let end = at.saturating_add(bytes as u64).min(self.file_bytes);
        let chunk_end = self.chunk_at.saturating_add(self.chunk.len() as u64);
        if at < self.chunk_at || end > chunk_end || self.chunk_at == u64::MAX {
            self.load(at, bytes)?;
        }
        let begin = at.min(self.file_bytes) - self.chunk_at;
        Ok(&self.chunk[begin as usize..])
    }

    fn load(&mut self, at: u64, bytes: usize) -> Result<(), EngineError> {
        let at = at.min(self.file_bytes);
        let bytes = (bytes.max(CHUNK_BYTES) as u64).min(self.file_bytes - at);
        // Nothing is in memory if the reading fails.
        self.chunk_at = u64::MAX;
        self.chunk.resize(bytes as usize, 0);
        self.handle.read_ahead(at + bytes, CHUNK_BYTES as u64);
        self.handle.read(&mut self.chunk, at)?;
        self.chunk_at = at;
        Ok(())
    }

    /// Hands over every header from `at` on whose first sequence number is one of `count` from
    /// `from` on, with its place, until `found` says that it is enough.
    pub fn find_headers(
        &mut self,
        from: u64,
        count: u64,
        mut found: impl FnMut(u64, record::Header) -> bool,
    ) -> Result<(), EngineError> {
        let mut at = self.at;
        while at + record::HEADER_BYTES as u64 <= self.file_bytes {
            let seal = self.seal;
            let bytes = self.window(at, CHUNK_BYTES)?;
            let searched = bytes.len() - record::HEADER_BYTES + 1;
            for (place, header) in record::find_headers(seal, at, bytes, from, count) {
                if found(place, header) {
                    return Ok(());
                }
            }
            at += searched as u64;
        }
        Ok(())
    }
}

/// Hands over every change of one segment, whether a table holds it or not, in the order in which
/// they were written, until `each` says that it is enough. It ends where the records end: whether
/// the log goes on behind a hole is what a replay of all segments tells.
///
/// # Errors
/// The header is damaged, a record with a right check is no list of changes, or an I/O error.
pub fn read_segment(
    folder: &Folder,
    number: u64,
    mut each: impl FnMut(u64, &[u8], Item<'_>) -> bool,
) -> Result<(), EngineError> {
    let mut reader = Reader::open(folder, number, Vec::new())?;
    let path = reader.path().to_path_buf();
    loop {
        let at = reader.at;
        let Some((header, payload)) = reader.record()? else { return Ok(()) };
        for (sequence, change) in
            (header.first_sequence..).zip(record::Changes::new(payload, header.changes))
        {
            let change = change.ok_or_else(|| {
                let found = "malformed bytes under a right check";
                EngineError::corrupt(&path, at, "a list of changes", found)
            })?;
            if !each(sequence, change.key, change.item) {
                return Ok(());
            }
        }
        reader.at += header.record_bytes() as u64;
    }
}
