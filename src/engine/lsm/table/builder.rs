//! Writing a table, once, front to back.

use super::footer::{Footer, Properties, seal};
use crate::engine::lsm::block::{BlockBuilder, IndexEntry, encode_index};
use crate::engine::lsm::bloom::{self, Bloom};
use crate::engine::lsm::entry::Entry;
use crate::engine::lsm::files;
use crate::engine::{Compression, EngineError};
use bytes::Bytes;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How tables are written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub block_bytes: usize,
    pub bloom_bits: u32,
    pub compression: Compression,
}

/// Written between two synchronisations: a commit of the log waits behind this much at most.
const SYNC_STEP_BYTES: u64 = 1 << 20;

/// Takes entries in key order, each key once. Dropped before `finish`, it removes its file.
pub struct TableBuilder {
    id: u64,
    path: PathBuf,
    file: Option<BufWriter<File>>,
    format: Format,
    offset: u64,
    /// Up to here the file is on disk.
    synced: u64,
    block: BlockBuilder,
    index: Vec<IndexEntry>,
    hashes: Vec<u64>,
    properties: Properties,
    last_key: Bytes,
}

impl TableBuilder {
    pub fn create(dir: &Path, id: u64, format: Format) -> Result<Self, EngineError> {
        let path = files::table(dir, id);
        let file = File::create(&path).map_err(EngineError::io(&path))?;
        Ok(TableBuilder {
            id,
            path,
            file: Some(BufWriter::with_capacity(256 << 10, file)),
            format,
            offset: 0,
            synced: 0,
            block: BlockBuilder::default(),
            index: Vec::new(),
            hashes: Vec::new(),
            properties: Properties { id, min_sequence: u64::MAX, ..Properties::default() },
            last_key: Bytes::new(),
        })
    }

    /// Bytes written up to now, without the open block.
    pub fn bytes(&self) -> u64 {
        self.offset
    }

    pub fn add(&mut self, entry: &Entry) -> Result<(), EngineError> {
        debug_assert!(self.hashes.is_empty() || self.last_key < entry.key, "keys ascend");
        if !self.block.is_empty() && self.block.bytes_with(entry) > self.format.block_bytes {
            self.finish_block()?;
        }
        self.block.add(entry);
        let properties = &mut self.properties;
        if properties.entries == 0 {
            properties.first_key = entry.key.clone();
        }
        properties.entries += 1;
        properties.tombstones += u64::from(entry.value.is_none());
        properties.min_sequence = properties.min_sequence.min(entry.sequence);
        properties.max_sequence = properties.max_sequence.max(entry.sequence);
        self.hashes.push(bloom::hash(&entry.key));
        self.last_key = entry.key.clone();
        Ok(())
    }

    fn finish_block(&mut self) -> Result<(), EngineError> {
        let block = self.block.finish();
        let (offset, len) = self.write(block, self.format.compression)?;
        // A copy: the key's slice would keep the record or block alive that it came from.
        let last_key = Bytes::copy_from_slice(&self.last_key);
        self.index.push(IndexEntry { last_key, offset, len });
        Ok(())
    }

    /// Writes one section with its trailer; returns where it lies.
    fn write(
        &mut self,
        bytes: Vec<u8>,
        compression: Compression,
    ) -> Result<(u64, u32), EngineError> {
        let offset = self.offset;
        let sealed = seal(self.id, offset, bytes, compression);
        let file = self.file.as_mut().expect("the file is there until finish");
        file.write_all(&sealed).map_err(EngineError::io(&self.path))?;
        self.offset += sealed.len() as u64;
        if self.offset - self.synced >= SYNC_STEP_BYTES {
            file.flush().map_err(EngineError::io(&self.path))?;
            file.get_ref().sync_data().map_err(EngineError::io(&self.path))?;
            self.synced = self.offset;
        }
        Ok((offset, sealed.len() as u32))
    }

    /// Writes what follows the blocks and waits until all of it is on disk. Returns the file's
    /// size. The name is durable once the folder is synchronised.
    pub fn finish(mut self) -> Result<u64, EngineError> {
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        self.properties.last_key = self.last_key.clone();
        let filter = Bloom::new(&self.hashes, self.format.bloom_bits).encode();
        let footer = Footer {
            filter: self.write(filter, Compression::None)?,
            index: self.write(encode_index(&self.index), self.format.compression)?,
            properties: self.write(self.properties.encode(), Compression::None)?,
        };
        let file = self.file.as_mut().expect("the file is there until finish");
        let footer = footer.encode();
        file.write_all(&footer).map_err(EngineError::io(&self.path))?;
        file.flush().map_err(EngineError::io(&self.path))?;
        file.get_ref().sync_all().map_err(EngineError::io(&self.path))?;
        self.file = None;
        Ok(self.offset + footer.len() as u64)
    }
}

impl Drop for TableBuilder {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            files::remove(&self.path);
        }
    }
}
