//! Reading a table: its index and filter are in memory, its blocks behind the cache.

use super::footer::{FOOTER_BYTES, Footer, FooterError, Properties, unseal};
use crate::engine::EngineError;
use crate::engine::lsm::block::{Block, IndexEntry, decode_index};
use crate::engine::lsm::bloom::Bloom;
use crate::engine::lsm::cache::BlockCache;
use crate::engine::lsm::codec::FORMAT_VERSION;
use crate::engine::lsm::entry::{Entry, Slot};
use crate::engine::lsm::files;
use bytes::Bytes;
use quorate_strategies::compaction::TableMeta;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// An open table. Once it is obsolete its file goes with the last reader that holds it.
pub struct Table {
    path: PathBuf,
    file: File,
    bytes: u64,
    index: Vec<IndexEntry>,
    filter: Bloom,
    properties: Properties,
    obsolete: AtomicBool,
}

impl Table {
    pub fn open(dir: &Path, id: u64) -> Result<Self, EngineError> {
        let path = files::table(dir, id);
        let file = File::open(&path).map_err(EngineError::io(&path))?;
        let bytes = file.metadata().map_err(EngineError::io(&path))?.len();
        let footer = read_footer(&path, &file, bytes)?;
        let section = |(offset, len)| read_section(&path, &file, bytes, id, offset, len);
        let malformed = |(offset, _): (u64, u32), what| {
            EngineError::corrupt(&path, offset, what, "malformed fields")
        };
        let properties = Properties::decode(&section(footer.properties)?)
            .ok_or_else(|| malformed(footer.properties, "properties"))?;
        let index = decode_index(&section(footer.index)?)
            .ok_or_else(|| malformed(footer.index, "an index"))?;
        let filter = Bloom::decode(&section(footer.filter)?)
            .ok_or_else(|| malformed(footer.filter, "a filter"))?;
        let obsolete = AtomicBool::new(false);
        Ok(Table { path, file, bytes, index, filter, properties, obsolete })
    }

    pub fn id(&self) -> u64 {
        self.properties.id
    }

    /// Size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn first_key(&self) -> &[u8] {
        &self.properties.first_key
    }

    pub fn last_key(&self) -> &[u8] {
        &self.properties.last_key
    }

    pub fn min_sequence(&self) -> u64 {
        self.properties.min_sequence
    }

    pub fn max_sequence(&self) -> u64 {
        self.properties.max_sequence
    }

    pub fn covers(&self, key: &[u8]) -> bool {
        self.first_key() <= key && key <= self.last_key()
    }

    pub fn overlaps(&self, other: &Table) -> bool {
        self.first_key() <= other.last_key() && other.first_key() <= self.last_key()
    }

    pub fn may_contain(&self, hash: u64) -> bool {
        self.filter.may_contain(hash)
    }

    /// The table as a picker sees it.
    pub fn meta(&self, level: u32) -> TableMeta {
        let Properties { id, entries, tombstones, min_sequence, max_sequence, .. } =
            self.properties;
        TableMeta {
            id,
            level,
            run: if level == 0 { id } else { 0 },
            bytes: self.bytes,
            entries,
            tombstones,
            first_key: self.properties.first_key.clone(),
            last_key: self.properties.last_key.clone(),
            min_sequence,
            max_sequence,
            ..TableMeta::default()
        }
    }

    /// Lets the file be removed when the last reader has gone.
    pub fn retire(&self) {
        self.obsolete.store(true, Relaxed);
    }

    fn block_of(&self, key: &[u8]) -> Option<&IndexEntry> {
        let at = self.index.partition_point(|entry| entry.last_key.as_ref() < key);
        self.index.get(at)
    }

    pub fn get(&self, key: &[u8], cache: &BlockCache) -> Result<Option<Slot>, EngineError> {
        match self.block_of(key) {
            Some(entry) => Ok(self.block(entry, Some(cache))?.get(key)),
            None => Ok(None),
        }
    }

    /// The answer without the disk: `None` if the block is not in the cache.
    pub fn get_cached(&self, key: &[u8], cache: &BlockCache) -> Option<Option<Slot>> {
        match self.block_of(key) {
            Some(entry) => cache.get(self.id(), entry.offset).map(|block| block.get(key)),
            None => Some(None),
        }
    }

    fn block(&self, entry: &IndexEntry, cache: Option<&BlockCache>) -> Result<Block, EngineError> {
        if let Some(block) = cache.and_then(|cache| cache.get(self.id(), entry.offset)) {
            return Ok(block);
        }
        let (path, id) = (&self.path, self.id());
        let bytes = read_section(path, &self.file, self.bytes, id, entry.offset, entry.len)?;
        let block = Block::decode(bytes).ok_or_else(|| {
            EngineError::corrupt(path, entry.offset, "a block", "malformed entries")
        })?;
        if let Some(cache) = cache {
            cache.insert(id, entry.offset, block.clone());
        }
        Ok(block)
    }

    /// Entries in key order from the first key not below `from`. Without a cache, blocks are read
    /// past it: a compaction reads each once and would only push out what others want.
    pub fn walk<'a>(
        self: Arc<Self>,
        from: &[u8],
        cache: Option<&'a BlockCache>,
    ) -> impl Iterator<Item = Result<Entry, EngineError>> + use<'a> {
        let at = self.index.partition_point(|entry| entry.last_key.as_ref() < from);
        let from = Bytes::copy_from_slice(from);
        Walk { table: self, cache, next_block: at, open: None, from: Some(from) }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if self.obsolete.load(Relaxed) {
            files::remove(&self.path);
        }
    }
}

struct Walk<'a> {
    table: Arc<Table>,
    cache: Option<&'a BlockCache>,
    next_block: usize,
    /// The block at hand and the next entry of it.
    open: Option<(Block, usize)>,
    /// Where to start within the first block.
    from: Option<Bytes>,
}

impl Iterator for Walk<'_> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((block, at)) = self.open.as_mut().filter(|(block, at)| *at < block.len()) {
                *at += 1;
                return Some(Ok(block.entry(*at - 1)));
            }
            let entry = self.table.index.get(self.next_block)?;
            self.next_block += 1;
            match self.table.block(entry, self.cache) {
                Ok(block) => {
                    let at = self.from.take().map_or(0, |from| block.lower_bound(&from));
                    self.open = Some((block, at));
                }
                Err(error) => {
                    self.next_block = usize::MAX;
                    self.open = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn read_footer(path: &Path, file: &File, bytes: u64) -> Result<Footer, EngineError> {
    let Some(offset) = bytes.checked_sub(FOOTER_BYTES as u64) else {
        return Err(EngineError::corrupt(path, 0, "a table", format!("a file of {bytes} bytes")));
    };
    let mut footer = [0; FOOTER_BYTES];
    file.read_exact_at(&mut footer, offset).map_err(EngineError::io(path))?;
    Footer::decode(&footer).map_err(|error| match error {
        FooterError::Damaged(found) => {
            EngineError::corrupt(path, offset, "a table's footer", found)
        }
        FooterError::Version(version) => EngineError::refused(
            path,
            format!("format {version}; this build reads format {FORMAT_VERSION}"),
        ),
    })
}

fn read_section(
    path: &Path,
    file: &File,
    file_bytes: u64,
    table: u64,
    offset: u64,
    len: u32,
) -> Result<Bytes, EngineError> {
    let end = offset.checked_add(u64::from(len));
    if end.is_none_or(|end| end > file_bytes) {
        let found = format!("an end of file at {file_bytes}");
        return Err(EngineError::corrupt(
            path,
            offset,
            &format!("a section of {len} bytes"),
            found,
        ));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, offset).map_err(EngineError::io(path))?;
    unseal(table, offset, bytes.into())
        .map_err(|found| EngineError::corrupt(path, offset, "a sound section", found))
}
