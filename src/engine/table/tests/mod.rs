//! Tables as a whole: against a map, under damage, and their memory.
#![allow(clippy::unwrap_used)]

mod damage;
mod forged;
mod model;
mod readahead;
mod refusal;
mod spares;

use super::*;
use crate::engine::disk::{Folder, Real};
use crate::engine::entry::{Cursor, Item, Kind};
use crate::engine::{Compression, EngineError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kind, expiry and value by key.
type Model = BTreeMap<Vec<u8>, (Kind, u64, Vec<u8>)>;

const ALL: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

/// In memory where the machine offers that.
fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let folder = Folder::new(Arc::new(Real), dir.path());
    (dir, folder)
}

fn name(id: u64) -> String {
    format!("{id:012}.table")
}

fn item((kind, expires_s, value): &(Kind, u64, Vec<u8>)) -> Item<'_> {
    Item { kind: *kind, expires_s: *expires_s, value }
}

fn write(folder: &Folder, id: u64, format: Format, model: &Model) -> u64 {
    let mut builder = TableBuilder::create(folder, &name(id), id, format).unwrap();
    for (key, entry) in model {
        builder.add(key, item(entry)).unwrap();
    }
    let origin = Origin { min_sequence: 1, max_sequence: id, min_written_s: 3, max_written_s: 4 };
    builder.finish(&origin).unwrap()
}

fn open(folder: &Folder, id: u64, pin_index: bool) -> Result<Arc<Table>, EngineError> {
    Table::open(folder, &name(id), id, pin_index).map(Arc::new)
}

fn build(folder: &Folder, id: u64, format: Format, model: &Model) -> Arc<Table> {
    let bytes = write(folder, id, format, model);
    let table = open(folder, id, id.is_multiple_of(2)).unwrap();
    assert_eq!(table.bytes(), bytes);
    table
}

/// So many keys of 16 bytes with values of this many bytes.
fn numbered(count: u32, value_bytes: usize) -> Model {
    let value = |n: u32| [&n.to_le_bytes()[..], &vec![n as u8; value_bytes - 4]].concat();
    (0..count)
        .map(|n| (format!("user{:012}", n * 7).into_bytes(), (Kind::Value, 0, value(n))))
        .collect()
}

fn cache() -> Arc<BlockCache> {
    Arc::new(BlockCache::new(20_000, 400))
}

/// What a cursor sees from a key on.
fn walked(cursor: &mut impl Cursor, from: &[u8]) -> Result<Model, EngineError> {
    let mut found = Model::new();
    cursor.seek(from)?;
    while cursor.is_valid() {
        let Item { kind, expires_s, value } = cursor.item();
        assert_eq!(cursor.value(), value);
        found.insert(cursor.key().to_vec(), (kind, expires_s, value.to_vec()));
        cursor.next()?;
    }
    Ok(found)
}

fn from(model: &Model, key: &[u8]) -> Model {
    model.range(key.to_vec()..).map(|(key, entry)| (key.clone(), entry.clone())).collect()
}
