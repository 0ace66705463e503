//! Writing a table, once, front to back.

use super::block::BlockBuilder;
use super::filter::Filter;
use super::footer::Footer;
use super::hash;
use super::index::{IndexBuilder, Place};
use super::keys::{common_prefix, separator};
use super::output::Output;
use super::properties::{Origin, Properties, Tally};
use super::section::SEAL_BYTES;
use crate::engine::disk::{Folder, Handle, Mode};
use crate::engine::entry::Item;
use crate::engine::{Compression, EngineError};
use bytes::Bytes;

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// A data block with its seal is closed before it grows beyond this, uncompressed; so a power
    /// of two leaves no rest in an allocator's classes. One entry may be larger.
    pub block_bytes: usize,
    /// Entries from one restart point of a data block to the next: between two, entries leave out
    /// what they share with the one before. A point read walks half of them, mostly a cache line or
    /// two each: 8 instead of 16 takes a seventh off its time, 4 little more.
    pub restart_interval: usize,
    /// Whether data blocks have buckets by hash, for point reads: 1.3 bytes per entry.
    pub hash_index: bool,
    /// Bits per key of the filter; less than 1: none.
    pub bloom_bits: f64,
    /// Of data blocks; what is read when a table is opened, and index partitions, stay plain.
    pub compression: Compression,
    /// Written between two synchronisations: whoever waits for the log's waits behind this much.
    /// More at a time is written faster.
    pub sync_bytes: u64,
}

impl Default for Format {
    fn default() -> Self {
        Format {
            block_bytes: 4 << 10,
            restart_interval: 8,
            hash_index: true,
            bloom_bits: 10.0,
            compression: Compression::None,
            sync_bytes: 1 << 20,
        }
    }
}

/// Takes entries in the order of their keys, each key once. Dropped before `finish` has returned,
/// it removes its file.
pub struct TableBuilder {
    folder: Folder,
    name: String,
    id: u64,
    format: Format,
    output: Output,
    data: BlockBuilder,
    /// The data block that was closed last: the first key behind it decides its separator.
    pending: Option<Place>,
    partition: IndexBuilder,
    top: IndexBuilder,
    hashes: Vec<u64>,
    tally: Tally,
    first_key: Bytes,
    last_key: Vec<u8>,
    separator: Vec<u8>,
    finished: bool,
}

impl TableBuilder {
    /// Makes the file of table `id` under `name`.
    pub fn create(
        folder: &Folder,
        name: &str,
        id: u64,
        format: Format,
    ) -> Result<Self, EngineError> {
        Self::write_over(folder.open(name, Mode::Create)?, folder, name, id, format)
    }

    /// Makes table `id` in a file that has the name already, whatever it holds.
    pub fn write_over(
        file: Handle,
        folder: &Folder,
        name: &str,
        id: u64,
        format: Format,
    ) -> Result<Self, EngineError> {
        let output = Output::new(file, id, &format)?;
        Ok(TableBuilder {
            folder: folder.clone(),
            name: name.to_string(),
            id,
            format,
            output,
            data: BlockBuilder::new(format.restart_interval),
            pending: None,
            partition: IndexBuilder::default(),
            top: IndexBuilder::default(),
            hashes: Vec::new(),
            tally: Tally::default(),
            first_key: Bytes::new(),
            last_key: Vec::new(),
            separator: Vec::new(),
            finished: false,
        })
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Size of the file up to now, without the open block, the filter and the top index.
    pub fn bytes(&self) -> u64 {
        self.output.offset()
    }

    pub fn entries(&self) -> u64 {
        self.tally.entries
    }

    /// # Errors
    /// A key that is not above the last one, and a disk that fails.
    pub fn add(&mut self, key: &[u8], item: Item<'_>) -> Result<(), EngineError> {
        let shared = common_prefix(&self.last_key, key);
        // Less where it ends or where its first other byte is lower: the order comes for free.
        if self.tally.entries > 0 && self.last_key.get(shared) >= key.get(shared) {
            return Err(self.out_of_order(key));
        }
        let bytes = self.data.bytes_with(key, item) + SEAL_BYTES;
        if bytes > self.format.block_bytes && !self.data.is_empty() {
            self.close_block()?;
        }
        if let Some(place) = self.pending.take() {
            separator(&self.last_key, key, shared, &mut self.separator);
            self.note_block(place)?;
        }
        if self.tally.entries == 0 {
            self.first_key = Bytes::copy_from_slice(key);
        }
        let hash = hash(key);
        self.hashes.push(hash);
        self.data.add(shared, key, item, self.format.hash_index.then_some(hash));
        self.tally.count(key, item);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        Ok(())
    }

    #[cold]
    fn out_of_order(&self, key: &[u8]) -> EngineError {
        let (key, last) = (key.escape_ascii(), self.last_key.escape_ascii());
        let what = format!("key \"{key}\" does not come after \"{last}\"; keys must ascend");
        EngineError::refused(self.output.path(), what)
    }

    fn close_block(&mut self) -> Result<(), EngineError> {
        self.pending = Some(self.output.section(self.data.finish(), self.format.compression)?);
        self.data.clear();
        Ok(())
    }

    /// Enters a data block into the index under the separator.
    fn note_block(&mut self, place: Place) -> Result<(), EngineError> {
        self.partition.add(&self.separator, place);
        if self.partition.is_full() {
            self.close_partition()?;
        }
        Ok(())
    }

    fn close_partition(&mut self) -> Result<(), EngineError> {
        let place = self.output.section(self.partition.finish(), Compression::None)?;
        self.top.add(self.partition.last_key(), place);
        self.partition.clear();
        Ok(())
    }

    /// Writes what follows the blocks and waits until all of it is on disk. Returns the file's
    /// size. The name is durable once the folder is synchronised.
    ///
    /// # Errors
    /// A table without an entry, and a disk that fails.
    pub fn finish(mut self, origin: &Origin) -> Result<u64, EngineError> {
        if self.tally.entries == 0 {
            return Err(EngineError::refused(self.output.path(), "a table without entries"));
        }
        if !self.data.is_empty() {
            self.close_block()?;
        }
        if let Some(place) = self.pending.take() {
            self.separator.clone_from(&self.last_key);
            self.note_block(place)?;
        }
        if !self.partition.is_empty() {
            self.close_partition()?;
        }
        let top = self.output.section(self.top.finish(), Compression::None)?;
        let filter = Filter::new(&self.hashes, self.format.bloom_bits).encode();
        let filter = self.output.section(&filter, Compression::None)?;
        let properties = self.properties(origin).encode();
        let properties = self.output.section(&properties, Compression::None)?;
        let footer = Footer { top, filter, properties }.encode(self.id);
        let bytes = self.output.end(&footer)?;
        self.finished = true;
        Ok(bytes)
    }

    fn properties(&mut self, origin: &Origin) -> Properties {
        let mut tally = std::mem::take(&mut self.tally);
        tally.expiry.shrink();
        Properties {
            id: self.id,
            entries: tally.entries,
            tombstones: tally.tombstones,
            origin: *origin,
            first_key: self.first_key.clone(),
            last_key: Bytes::copy_from_slice(&self.last_key),
            raw_key_bytes: tally.raw_key_bytes,
            raw_value_bytes: tally.raw_value_bytes,
            blob_references: tally.blob_references(),
            expiry: tally.expiry,
        }
    }
}

impl Drop for TableBuilder {
    fn drop(&mut self) {
        if !self.finished {
            self.folder.remove(&self.name);
        }
    }
}
