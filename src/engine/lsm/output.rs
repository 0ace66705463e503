//! Sorted entries that become tables, and large values that become files of their own.

use super::blob::{BlobFile, BlobWriter, Pointer};
use super::files;
use super::options::FLUSH_TABLE_BYTES;
use super::tree::Tree;
use super::version::{Blobs, Placed};
use crate::engine::EngineError;
use crate::engine::entry::{Item, Kind};
use crate::engine::table::{Origin, Table, TableBuilder};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an output has made.
#[derive(Default)]
pub struct Made {
    pub tables: Vec<Arc<Table>>,
    pub blobs: Vec<Arc<BlobFile>>,
}

impl Made {
    /// Both outputs, one behind the other.
    pub fn and(mut self, other: Made) -> Made {
        self.tables.extend(other.tables);
        self.blobs.extend(other.blobs);
        self
    }

    /// Lets the files go: nobody will ever hear of them.
    pub fn retire(&self, tree: &Tree) {
        self.tables.iter().for_each(|table| table.retire(&tree.spares));
        self.blobs.iter().for_each(|blob| blob.retire());
    }

    pub fn table_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes()).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.table_bytes() + self.blobs.iter().map(|blob| blob.bytes()).sum::<u64>()
    }

    /// Puts the tables into a run: the one given, or one of their own.
    pub fn place(&self, level: u32, run: Option<u64>) -> Vec<Placed> {
        place(&self.tables, level, run)
    }
}

pub fn place(tables: &[Arc<Table>], level: u32, run: Option<u64>) -> Vec<Placed> {
    let Some(first) = tables.first() else { return Vec::new() };
    let run = run.unwrap_or(first.id());
    tables.iter().map(|table| Placed { level, run, table: Arc::clone(table) }).collect()
}

/// Files of large values, and those of them that are mostly dead: their values are taken along.
#[derive(Default)]
pub struct Values {
    pub files: Blobs,
    pub victims: BTreeSet<u64>,
}

/// A run that is cut into tables as it grows. Dropped before it is finished, it leaves no files.
pub struct Output<'a> {
    tree: &'a Tree,
    level: u32,
    table_bytes: u64,
    /// How long a table will be, about.
    expected_bytes: u64,
    /// So much of former tables is for others.
    spares_left: u64,
    origin: Origin,
    values: &'a Values,
    open: Option<TableBuilder>,
    open_blob: Option<BlobWriter>,
    made: Made,
}

impl<'a> Output<'a> {
    pub fn new(
        tree: &'a Tree,
        level: u32,
        table_bytes: u64,
        origin: Origin,
        values: &'a Values,
    ) -> Self {
        Output {
            tree,
            level,
            table_bytes,
            expected_bytes: table_bytes,
            spares_left: tree.options.spares_of_flushes,
            origin,
            values,
            open: None,
            open_blob: None,
            made: Made::default(),
        }
    }

    /// The tables of a flush.
    pub fn of_memtable(tree: &'a Tree, bytes: u64, origin: Origin, values: &'a Values) -> Self {
        let mut output = Output::new(tree, 0, FLUSH_TABLE_BYTES, origin, values);
        output.expected_bytes = bytes.min(FLUSH_TABLE_BYTES);
        output.spares_left = 0;
        output
    }

    /// Takes entries in ascending order of their keys.
    pub fn add(&mut self, key: &[u8], item: Item<'_>) -> Result<(), EngineError> {
        let threshold = self.tree.options.separate_bytes;
        match item.kind {
            Kind::Value if item.value.len() as u64 >= threshold => self.separate(key, item),
            Kind::Pointer => match self.rescued(item.value)? {
                Some(value) => self.separate(key, Item { value: &value, ..item }),
                None => self.write(key, item),
            },
            Kind::Value | Kind::Tombstone => self.write(key, item),
        }
    }

    /// The value behind a pointer into a victim.
    fn rescued(&self, pointer: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let found = Pointer::decode(pointer).filter(|p| self.values.victims.contains(&p.file));
        let Some(pointer) = found else { return Ok(None) };
        self.values.files.read(&self.tree.folder, &pointer).map(Some)
    }

    fn separate(&mut self, key: &[u8], item: Item<'_>) -> Result<(), EngineError> {
        if self.open_blob.is_none() {
            let number = self.tree.next_file();
            self.open_blob = Some(BlobWriter::create(&self.tree.folder, number)?);
        }
        let blob = self.open_blob.as_mut().expect("opened above");
        let pointer = blob.add(item.value)?.encode();
        self.write(key, Item { kind: Kind::Pointer, value: &pointer, ..item })
    }

    fn write(&mut self, key: &[u8], item: Item<'_>) -> Result<(), EngineError> {
        if self.open.as_ref().is_some_and(|open| open.bytes() >= self.table_bytes) {
            self.close()?;
        }
        if self.open.is_none() {
            let format = self.tree.format(self.level);
            let id = self.tree.next_file();
            let (folder, name) = (&self.tree.folder, files::table(id));
            let file = self.tree.spares.create(&name, self.expected_bytes, self.spares_left)?;
            self.open = Some(TableBuilder::write_over(file, folder, &name, id, format)?);
        }
        self.open.as_mut().expect("opened above").add(key, item)
    }

    /// Bytes of the table that is being written.
    pub fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.bytes())
    }

    /// Ends the open table, and with it the file of its large values: it is complete before anybody
    /// reads a pointer into it.
    fn close(&mut self) -> Result<(), EngineError> {
        if let Some(blob) = self.open_blob.take() {
            self.made.blobs.push(blob.finish()?);
        }
        if let Some(builder) = self.open.take() {
            let id = builder.id();
            builder.finish(&self.origin)?;
            self.made.tables.push(Arc::new(self.tree.open_table(id)?));
        }
        Ok(())
    }

    /// Ends the last table. The names are durable once the folder is synchronised.
    pub fn finish(mut self) -> Result<Made, EngineError> {
        self.close()?;
        Ok(std::mem::take(&mut self.made))
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        // What `finish` gave away is no longer in here.
        self.made.retire(self.tree);
    }
}
