//! Opening a folder: manifest, tables, log, in this order; then everything that nothing names goes.

use super::blob::BlobFile;
use super::files::{self, Kind};
use super::manifest::{self, Contents, Manifest};
use super::options::Options;
use super::tree::{State, Tree};
use super::version::{Blobs, Placed, Version};
use crate::engine::disk::Folder;
use crate::engine::memtable::Memtable;
use crate::engine::table::Table;
use crate::engine::wal::{self, Log, Replayed, Salvage};
use crate::engine::{EngineError, SyncPolicy};
use quorate_strategies::compaction::Picker;
use std::path::Path;
use std::sync::Arc;

/// Brings the engine back to what it last promised. Nothing is removed before everything was
/// checked.
pub fn recover(
    folder: Folder,
    options: Options,
    picker: Box<dyn Picker>,
    salvage: Salvage,
) -> Result<(Tree, Replayed), EngineError> {
    let files = files::list(&folder)?;
    let (old_number, contents) = match manifest::load(&folder)? {
        Some((number, contents)) => (number, contents),
        None => (0, fresh(&folder, &files)?),
    };
    let version = open_tables(&folder, &contents, options.pin_index)?;
    let mut memtables = Memtables::new(&options);
    let flushed_sequence = contents.flushed_sequence;
    let replayed = wal::replay(&folder, flushed_sequence, salvage, |sequence, key, item| {
        memtables.put(sequence, key, item);
        Ok(())
    })?;
    report(folder.path(), &contents, &replayed);
    let highest = |number: fn(Kind) -> Option<u64>| {
        files.iter().filter_map(|(_, kind)| number(*kind)).max().unwrap_or_default()
    };
    let next_file = 1 + highest(|kind| match kind {
        Kind::Table(number) | Kind::Spare(number) | Kind::Blob(number) => Some(number),
        _ => None,
    });
    let next_manifest =
        1 + highest(|kind| if let Kind::Manifest(n) = kind { Some(n) } else { None });
    let manifest = Manifest::create(&folder, next_manifest.max(old_number + 1), contents)?;
    remove_orphans(&folder, &files, &manifest, &version);
    let state = memtables.into_state(replayed.last_sequence, version);
    let log = Log::start(&folder, log_settings(&options), &replayed)?;
    let tree = Tree::new(folder, options, picker, state, log, manifest, next_file);
    tree.spares.adopt()?;
    Ok((tree, replayed))
}

pub fn log_settings(options: &Options) -> wal::Settings {
    wal::Settings {
        segment_bytes: options.segment_bytes,
        spares: options.wal_spares,
        log_id: options.log_id,
        zeros: options.sync == SyncPolicy::Always,
    }
}

/// An empty start, unless the folder holds data whose CURRENT was lost.
pub fn fresh(folder: &Folder, files: &[(String, Kind)]) -> Result<Contents, EngineError> {
    let is_data = |kind: &Kind| matches!(kind, Kind::Table(_) | Kind::Log | Kind::Blob(_));
    match files.iter().find(|(_, kind)| is_data(kind)) {
        Some((name, _)) => {
            let what = format!("CURRENT is missing, but there is data: {name}");
            Err(EngineError::refused(folder.path(), what))
        }
        None => Ok(Contents::default()),
    }
}

/// Opens every table that the manifest names, and the files of large values that they point into.
pub fn open_tables(
    folder: &Folder,
    contents: &Contents,
    pin_index: bool,
) -> Result<Version, EngineError> {
    let mut tables = Vec::with_capacity(contents.tables.len());
    let mut blobs = Blobs::default();
    for (id, place) in &contents.tables {
        let table = open_table(folder, *id, pin_index)?;
        for (number, _) in table.blob_references() {
            if !blobs.contains(*number) {
                blobs.insert(Arc::new(BlobFile::open(folder, *number)?));
            }
        }
        tables.push(Placed { level: place.level, run: place.run, table: Arc::new(table) });
    }
    Version::new(tables, blobs).map_err(|id| overlapping(folder, id))
}

/// Opens a table that the manifest names.
pub fn open_table(folder: &Folder, id: u64, pin_index: bool) -> Result<Table, EngineError> {
    Table::open(folder, &files::table(id), id, pin_index).map_err(|error| match error {
        EngineError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            EngineError::Refused { path, what: "missing, but the manifest names it".into() }
        }
        error => error,
    })
}

/// What is wrong with a table that crosses another one of its run.
pub fn overlapping(folder: &Folder, id: u64) -> EngineError {
    let what = "overlaps another table of its run";
    EngineError::refused(&folder.path_of(&files::table(id)), what)
}

/// Memtables that are filled from the log, oldest first.
struct Memtables {
    limit_bytes: u64,
    filled: Vec<(Arc<Memtable>, u64)>,
    open: Arc<Memtable>,
    last_sequence: u64,
}

impl Memtables {
    fn new(options: &Options) -> Self {
        let open = Arc::default();
        Memtables {
            limit_bytes: options.memtable_bytes,
            filled: Vec::new(),
            open,
            last_sequence: 0,
        }
    }

    fn put(&mut self, sequence: u64, key: &[u8], item: crate::engine::entry::Item<'_>) {
        if self.open.bytes() >= self.limit_bytes {
            let full = std::mem::take(&mut self.open);
            full.freeze(self.last_sequence);
            self.filled.push((full, self.last_sequence));
        }
        self.open.pin().apply(std::iter::once((sequence, key, item)));
        self.last_sequence = sequence;
    }

    fn into_state(self, last_sequence: u64, version: Version) -> State {
        self.open.freeze(last_sequence);
        let frozen = self.filled.into_iter().rev().map(|(memtable, _)| memtable).collect();
        State { active: self.open, frozen, version: Arc::new(version) }
    }
}

fn report(dir: &Path, contents: &Contents, replayed: &Replayed) {
    tracing::info!(
        dir = %dir.display(),
        tables = contents.tables.len(),
        flushed_sequence = contents.flushed_sequence,
        replayed_records = replayed.records,
        replayed_bytes = replayed.bytes,
        dropped_bytes = replayed.dropped_bytes,
        last_sequence = replayed.last_sequence,
        "opened the engine"
    );
}

/// Removes what a crash left: tables that no edit names, older manifests, temporary files.
fn remove_orphans(
    folder: &Folder,
    files: &[(String, Kind)],
    manifest: &Manifest,
    version: &Version,
) {
    for (name, kind) in files {
        let orphan = match kind {
            Kind::Table(id) => !manifest.contents().tables.contains_key(id),
            Kind::Blob(number) => !version.blobs.contains(*number),
            Kind::Manifest(_) | Kind::Temporary => true,
            Kind::Spare(_) | Kind::Log | Kind::Current | Kind::Lock | Kind::Foreign => false,
        };
        if orphan {
            tracing::debug!(name, "removing an orphan");
            folder.remove(name);
        }
    }
}
