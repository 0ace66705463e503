//! Reading a table: its top index and filter are in memory, all else behind the cache.

use super::FORMAT_VERSION;
use super::block::{Block, Malformed};
use super::cache::{BlockCache, Cached};
use super::filter::Filter;
use super::footer::{FOOTER_BYTES, Footer, FooterError};
use super::index::{Index, Place};
use super::properties::{Origin, Properties};
use super::section::{SEAL_BYTES, unseal};
use super::spares::Spares;
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Handle, Mode};
use crate::engine::entry::Found;
use bytes::Bytes;
use quorate_strategies::compaction::TableMeta;
use std::sync::{Arc, OnceLock};

/// An open table. Once it is obsolete its file goes with the last reader that holds it.
pub struct Table {
    name: String,
    id: u64,
    file: File,
    footer: Footer,
    top: Index,
    /// All partitions, where they are pinned.
    pinned: Vec<Index>,
    filter: Filter,
    properties: Properties,
    /// Where the file goes with the last reader.
    retired: OnceLock<Arc<Spares>>,
}

/// The file of a table: every section that leaves it has been checked.
pub(super) struct File {
    handle: Handle,
    bytes: u64,
    table: u64,
}

impl File {
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    pub fn corrupt(&self, offset: u64, expected: &str, found: impl Into<String>) -> EngineError {
        EngineError::corrupt(self.handle.path(), offset, expected, found)
    }

    fn footer(&self) -> Result<Footer, EngineError> {
        let Some(offset) = self.bytes.checked_sub(FOOTER_BYTES as u64) else {
            let found = format!("a file of {} bytes", self.bytes);
            return Err(self.corrupt(0, "a table", found));
        };
        let mut footer = [0; FOOTER_BYTES];
        self.handle.read(&mut footer, offset)?;
        Footer::decode(&footer, self.table).map_err(|error| match error {
            FooterError::Damaged { expected, found } => self.corrupt(offset, &expected, found),
            FooterError::Version(version) => {
                let age = if version < FORMAT_VERSION { "an older" } else { "a newer" };
                let what = format!(
                    "{age} format of tables, {version}; this build reads format {FORMAT_VERSION}"
                );
                EngineError::refused(self.handle.path(), what)
            }
        })
    }

    /// Refuses a section that reaches out of the file, before anything is allocated for it.
    pub fn check(&self, place: Place) -> Result<(), EngineError> {
        let end = self.bytes.saturating_sub(FOOTER_BYTES as u64);
        if place.end() <= end && place.bytes as usize >= SEAL_BYTES {
            return Ok(());
        }
        let expected = format!("a section of {} bytes", place.bytes);
        Err(self.corrupt(place.offset, &expected, format!("an end of the sections at {end}")))
    }

    pub fn damaged(&self, place: Place) -> impl FnOnce(String) -> EngineError + '_ {
        move |found| self.corrupt(place.offset, "a sound section", found)
    }

    fn section(&self, place: Place) -> Result<Bytes, EngineError> {
        self.check(place)?;
        let sealed = self.handle.read_new(place.bytes as usize, place.offset)?;
        let plain = unseal(self.table, place.offset, &sealed).map_err(self.damaged(place))?;
        Ok(plain.of_own(sealed))
    }

    /// What a section's bytes are, if they are that.
    pub fn malformed(&self, place: Place) -> impl FnOnce(Malformed) -> EngineError + '_ {
        move |Malformed| self.corrupt(place.offset, "a sound block", "malformed entries")
    }

    pub fn block(&self, place: Place) -> Result<Block, EngineError> {
        Block::open(self.section(place)?).map_err(self.malformed(place))
    }

    pub fn index(&self, place: Place) -> Result<Index, EngineError> {
        Index::open(self.section(place)?).map_err(self.malformed(place))
    }
}

impl Table {
    /// Opens table `id`, the file of that name. With `pin_index` all of its index stays in memory
    /// beside the cache: about a byte per key where blocks have 4 KiB.
    ///
    /// # Errors
    /// `Refused` for another format, `Corrupt` with the place for what is damaged.
    pub fn open(
        folder: &Folder,
        name: &str,
        id: u64,
        pin_index: bool,
    ) -> Result<Self, EngineError> {
        let handle = folder.open(name, Mode::Read)?;
        let bytes = handle.bytes()?;
        let file = File { handle, bytes, table: id };
        let footer = file.footer()?;
        let what =
            |place: Place, expected: &str| file.corrupt(place.offset, expected, "malformed fields");
        let properties = Properties::decode(&file.section(footer.properties)?)
            .filter(|properties| properties.id == id)
            .ok_or_else(|| what(footer.properties, "properties of this table"))?;
        let filter = Filter::decode(&file.section(footer.filter)?)
            .ok_or_else(|| what(footer.filter, "a filter"))?;
        let top = file.index(footer.top)?;
        let pinned = if pin_index { partitions(&file, footer.top, &top)? } else { Vec::new() };
        Ok(Table {
            name: name.to_string(),
            id,
            file,
            footer,
            top,
            pinned,
            filter,
            properties,
            retired: OnceLock::new(),
        })
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.file.bytes
    }

    pub fn entries(&self) -> u64 {
        self.properties.entries
    }

    pub fn tombstones(&self) -> u64 {
        self.properties.tombstones
    }

    pub fn first_key(&self) -> &[u8] {
        &self.properties.first_key
    }

    pub fn last_key(&self) -> &[u8] {
        &self.properties.last_key
    }

    pub fn min_sequence(&self) -> u64 {
        self.properties.origin.min_sequence
    }

    pub fn max_sequence(&self) -> u64 {
        self.properties.origin.max_sequence
    }

    pub fn origin(&self) -> Origin {
        self.properties.origin
    }

    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Files of large values by number, with the bytes that this table points to in each.
    pub fn blob_references(&self) -> &[(u64, u64)] {
        &self.properties.blob_references
    }

    pub fn covers(&self, key: &[u8]) -> bool {
        self.first_key() <= key && key <= self.last_key()
    }

    pub fn overlaps(&self, other: &Table) -> bool {
        self.first_key() <= other.last_key() && other.first_key() <= self.last_key()
    }

    /// False: no key of this hash is in the table. True: it may be.
    #[inline]
    pub fn may_contain(&self, hash: u64) -> bool {
        self.filter.may_contain(hash)
    }

    /// Memory that it takes beside the cache.
    pub fn memory_bytes(&self) -> usize {
        let pinned: usize = self.pinned.iter().map(Index::memory_bytes).sum();
        let fixed = size_of::<Table>() + self.properties.heap_bytes();
        fixed + self.filter.bytes() + self.top.memory_bytes() + pinned
    }

    /// Keys that divide the table into parts of about the same size, one for some hundred blocks.
    pub fn sample_keys(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..self.top.entries()).map_while(|at| self.top.separator(at).ok().flatten())
    }

    /// The table as a picker sees it.
    pub fn meta(&self, level: u32, run: u64) -> TableMeta {
        let Properties { id, entries, tombstones, origin, .. } = self.properties;
        TableMeta {
            id,
            level,
            run,
            bytes: self.bytes(),
            entries,
            tombstones,
            first_key: self.properties.first_key.clone(),
            last_key: self.properties.last_key.clone(),
            min_sequence: origin.min_sequence,
            max_sequence: origin.max_sequence,
            min_written_s: origin.min_written_s,
            max_written_s: origin.max_written_s,
            expiry: self.properties.expiry.upper_bounds(),
            busy: false,
        }
    }

    /// Lets the file go, or become a spare, when the last reader has gone.
    pub fn retire(&self, spares: &Arc<Spares>) {
        self.retired.get_or_init(|| Arc::clone(spares));
    }

    /// The entry of a key whose hash is `hash`. It does not ask the filter: who has many tables to
    /// choose from asks `may_contain` before.
    ///
    /// The value is a slice of its block, without a copy. So it keeps the block in memory as long
    /// as it lives: right for an answer that is soon on its way, wrong for what is kept.
    ///
    /// # Errors
    /// `Io`, and `Corrupt` with the place of the section that is damaged.
    pub fn get(
        &self,
        key: &[u8],
        hash: u64,
        cache: &BlockCache,
    ) -> Result<Option<Found>, EngineError> {
        let found = self.look_up(
            key,
            hash,
            |place| self.partition(place, cache).map(Some),
            |place| self.block(place, cache).map(Some),
        );
        Ok(found?.flatten())
    }

    /// The answer without the disk; None if a block is not in the cache.
    ///
    /// # Errors
    /// `Corrupt`, where a block's entries are malformed although its checksum is right.
    pub fn get_cached(
        &self,
        key: &[u8],
        hash: u64,
        cache: &BlockCache,
    ) -> Result<Option<Option<Found>>, EngineError> {
        self.look_up(
            key,
            hash,
            |place| Ok(cache.partition(self.id, place.offset)),
            |place| Ok(cache.block(self.id, place.offset)),
        )
    }

    /// None where a block or partition was not to be had.
    #[inline]
    fn look_up(
        &self,
        key: &[u8],
        hash: u64,
        partition: impl FnOnce(Place) -> Result<Option<Index>, EngineError>,
        block: impl FnOnce(Place) -> Result<Option<Block>, EngineError>,
    ) -> Result<Option<Option<Found>>, EngineError> {
        let at = self.top.position(key).map_err(self.malformed(self.footer.top))?;
        let Some(place) = self.partition_place(at)? else { return Ok(Some(None)) };
        let below = |partition: &Index| {
            let position = partition.position(key)?;
            partition.place(position)
        };
        let below = match self.pinned.get(at) {
            Some(pinned) => below(pinned),
            None => match partition(place)? {
                Some(partition) => below(&partition),
                None => return Ok(None),
            },
        };
        let Some(place) = below.map_err(self.malformed(place))? else { return Ok(Some(None)) };
        let Some(block) = block(place)? else { return Ok(None) };
        block.into_found(key, hash).map(Some).map_err(self.malformed(place))
    }

    fn malformed(&self, place: Place) -> impl FnOnce(Malformed) -> EngineError + '_ {
        self.file.malformed(place)
    }

    fn block(&self, place: Place, cache: &BlockCache) -> Result<Block, EngineError> {
        if let Some(block) = cache.block(self.id, place.offset) {
            return Ok(block);
        }
        let block = self.file.block(place)?;
        cache.insert(self.id, place.offset, Cached::Block(block.clone()));
        Ok(block)
    }

    /// A partition through the cache.
    pub(super) fn partition(&self, place: Place, cache: &BlockCache) -> Result<Index, EngineError> {
        if let Some(partition) = cache.partition(self.id, place.offset) {
            return Ok(partition);
        }
        let partition = self.file.index(place)?;
        cache.insert(self.id, place.offset, Cached::Partition(partition.clone()));
        Ok(partition)
    }

    /// Where a partition lies; None behind the last.
    pub(super) fn partition_place(&self, position: usize) -> Result<Option<Place>, EngineError> {
        self.top.place(position).map_err(self.malformed(self.footer.top))
    }

    pub(super) fn pinned(&self, position: usize) -> Option<&Index> {
        self.pinned.get(position)
    }

    pub(super) fn top(&self) -> &Index {
        &self.top
    }

    pub(super) fn footer(&self) -> &Footer {
        &self.footer
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(spares) = self.retired.get() {
            spares.keep(&self.name, &self.file.handle, self.file.bytes);
        }
    }
}

fn partitions(file: &File, top_place: Place, top: &Index) -> Result<Vec<Index>, EngineError> {
    let mut partitions = Vec::with_capacity(top.entries());
    while let Some(place) = top.place(partitions.len()).map_err(file.malformed(top_place))? {
        partitions.push(file.index(place)?);
    }
    Ok(partitions)
}
