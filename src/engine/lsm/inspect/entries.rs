//! The entries of a folder, or of one of its files, one by one.

use crate::engine::disk::Folder;
use crate::engine::entry::{Cursor, Item, Kind as EntryKind};
use crate::engine::lsm::blob::Pointer;
use crate::engine::lsm::files::{self, Kind};
use crate::engine::lsm::manifest::{self, Contents};
use crate::engine::lsm::recovery;
use crate::engine::lsm::version::Blobs;
use crate::engine::memtable::Memtable;
use crate::engine::table::{MergeCursor, RunCursor, Table, TableCursor};
use crate::engine::wal::{self, Salvage};
use crate::engine::{EngineError, is_empty};
use bytes::Bytes;
use std::ops::Bound;
use std::sync::Arc;

/// One key and what is stored for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Bytes,
    pub content: Content,
    /// From this second since 1970 on the engine may drop it; 0: never.
    pub expires_s: u64,
    /// Its number among all changes, where the file says it.
    pub sequence: Option<u64>,
}

/// What is stored for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Tombstone,
    Value(Bytes),
    /// The value lies in another file, which was not looked at.
    Elsewhere {
        file: String,
        offset: u64,
        bytes: u32,
    },
}

/// Entries from the first on, until the last or an error.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, EngineError>> + 'a>;

type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

pub fn live(
    folder: &Folder,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
) -> Result<Entries<'static>, EngineError> {
    if is_empty(from, to)? {
        return Ok(Box::new(std::iter::empty()));
    }
    let contents = match manifest::load(folder)? {
        Some((_, contents)) => contents,
        None => recovery::fresh(folder, &files::list(folder)?)?,
    };
    let version = recovery::open_tables(folder, &contents, false)?;
    let memtable = unflushed(folder, &contents)?;
    let mut sources: Vec<Box<dyn Cursor>> = vec![Box::new(memtable.cursor(0))];
    for (level, run) in version.runs() {
        sources.push(Box::new(RunCursor::for_compaction(Arc::clone(&run.tables), level + 1)));
    }
    let cursor = MergeCursor::new(sources);
    Ok(Box::new(Walk::start(folder, cursor, (from, to), Some(version.blobs.clone()))?))
}

/// The changes that only the log holds.
fn unflushed(folder: &Folder, contents: &Contents) -> Result<Arc<Memtable>, EngineError> {
    let memtable = Arc::<Memtable>::default();
    let flushed_sequence = contents.flushed_sequence;
    let replayed = wal::replay(folder, flushed_sequence, Salvage::No, |sequence, key, item| {
        memtable.pin().apply(std::iter::once((sequence, key, item)));
        Ok(())
    })?;
    memtable.freeze(replayed.last_sequence);
    Ok(memtable)
}

pub fn of_file(
    folder: &Folder,
    name: &str,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
) -> Result<Entries<'static>, EngineError> {
    let is_empty = is_empty(from, to)?;
    match files::kind(name) {
        _ if is_empty => Ok(Box::new(std::iter::empty())),
        Kind::Table(id) => {
            let table = Arc::new(Table::open(folder, name, id, false)?);
            Ok(Box::new(Walk::start(folder, TableCursor::bulk(table, 0), (from, to), None)?))
        }
        Kind::Log => of_segment(folder, name, (from, to)),
        _ => Err(no_entries(folder, name)),
    }
}

fn no_entries(folder: &Folder, name: &str) -> EngineError {
    let what = "holds no entries; allowed: a table (*.table) or a segment of the log (*.wal)";
    EngineError::refused(&folder.path_of(name), what)
}

fn of_segment(
    folder: &Folder,
    name: &str,
    bounds: Bounds<'_>,
) -> Result<Entries<'static>, EngineError> {
    let number = name.strip_suffix(".wal").and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| no_entries(folder, name))?;
    let mut found = Vec::new();
    wal::read_segment(folder, number, |sequence, key, item| {
        if std::ops::RangeBounds::<[u8]>::contains(&bounds, key) {
            let value = Bytes::copy_from_slice(item.value);
            found.push(
                entry(key, item, value, Some(sequence)).ok_or_else(|| malformed(folder, key)),
            );
        }
        true
    })?;
    Ok(Box::new(found.into_iter()))
}

/// None: a pointer that is none.
fn entry(key: &[u8], item: Item<'_>, value: Bytes, sequence: Option<u64>) -> Option<Entry> {
    let content = match item.kind {
        EntryKind::Tombstone => Content::Tombstone,
        EntryKind::Value => Content::Value(value),
        EntryKind::Pointer => {
            let Pointer { file, offset, bytes, .. } = Pointer::decode(&value)?;
            Content::Elsewhere { file: files::blob(file), offset, bytes }
        }
    };
    let key = Bytes::copy_from_slice(key);
    Some(Entry { key, content, expires_s: item.expires_s, sequence })
}

fn malformed(folder: &Folder, key: &[u8]) -> EngineError {
    let what = format!("a malformed pointer as the value of key \"{}\"", key.escape_ascii());
    EngineError::refused(folder.path(), what)
}

/// A cursor as an iterator, up to a bound.
struct Walk<C> {
    folder: Folder,
    cursor: C,
    to: Bound<Vec<u8>>,
    /// Where values are looked up; then tombstones are left out, too.
    values: Option<Blobs>,
    /// The cursor stands on an entry that was handed over.
    is_behind: bool,
    is_done: bool,
}

impl<C: Cursor> Walk<C> {
    fn start(
        folder: &Folder,
        mut cursor: C,
        (from, to): Bounds<'_>,
        values: Option<Blobs>,
    ) -> Result<Self, EngineError> {
        let start = match from {
            Bound::Included(key) | Bound::Excluded(key) => key,
            Bound::Unbounded => &[],
        };
        cursor.seek(start)?;
        let is_behind =
            from == Bound::Excluded(start) && cursor.is_valid() && cursor.key() == start;
        let (folder, to) = (folder.clone(), to.map(<[u8]>::to_vec));
        Ok(Walk { folder, cursor, to, values, is_behind, is_done: false })
    }

    fn step(&mut self) -> Result<Option<Entry>, EngineError> {
        loop {
            if std::mem::replace(&mut self.is_behind, true) {
                self.cursor.next()?;
            }
            if !self.cursor.is_valid() {
                return Ok(None);
            }
            let key = self.cursor.key();
            let is_over = match &self.to {
                Bound::Included(to) => key > &to[..],
                Bound::Excluded(to) => key >= &to[..],
                Bound::Unbounded => false,
            };
            if is_over {
                return Ok(None);
            }
            let found = self.here()?;
            if self.values.is_none() || found.content != Content::Tombstone {
                return Ok(Some(found));
            }
        }
    }

    fn here(&self) -> Result<Entry, EngineError> {
        let (key, mut item) = (self.cursor.key(), self.cursor.item());
        let mut value = Bytes::copy_from_slice(item.value);
        let malformed = || malformed(&self.folder, key);
        if let (EntryKind::Pointer, Some(blobs)) = (item.kind, &self.values) {
            let pointer = Pointer::decode(&value).ok_or_else(malformed)?;
            value = blobs.read(&self.folder, &pointer)?;
            item.kind = EntryKind::Value;
        }
        entry(key, item, value, None).ok_or_else(malformed)
    }
}

impl<C: Cursor> Iterator for Walk<C> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let step = self.step();
        self.is_done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}
