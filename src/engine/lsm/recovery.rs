//! Opening a folder: manifest, tables, log, in this order; then everything that nothing names goes.

use super::files::{self, Kind};
use super::manifest::{self, Contents, Manifest};
use super::memtable::Memtable;
use super::options::Options;
use super::table::Table;
use super::tree::{State, Tree};
use super::version::Version;
use super::wal::{Log, Replayed, replay};
use crate::engine::EngineError;
use quorate_strategies::compaction::Picker;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Brings the engine back to what it last promised. Nothing is removed before everything was
/// checked.
pub fn recover(dir: &Path, options: Options, picker: Box<dyn Picker>) -> Result<Tree, EngineError> {
    let files = files::list(dir)?;
    let (old_number, contents) = match manifest::load(dir)? {
        Some((number, contents)) => (number, contents),
        None => (0, fresh(dir, &files)?),
    };
    let version = open_tables(dir, &contents)?;
    let mut memtables = vec![Arc::new(Memtable::default())];
    let replayed = replay_log(dir, &files, &contents, &options, &mut memtables)?;
    report(dir, &contents, &replayed);

    let highest = |number: fn(Kind) -> Option<u64>| {
        files.iter().filter_map(|(_, kind)| number(*kind)).max().unwrap_or_default()
    };
    let next_table = 1 + highest(|kind| if let Kind::Table(id) = kind { Some(id) } else { None });
    let next_segment = 1 + highest(|kind| if let Kind::Segment(n) = kind { Some(n) } else { None });
    let next_manifest =
        1 + highest(|kind| if let Kind::Manifest(n) = kind { Some(n) } else { None });
    let manifest = Manifest::create(dir, next_manifest.max(old_number + 1), contents)?;
    remove_orphans(&files, manifest.contents());
    let Replayed { last_sequence, segments, empty, .. } = replayed;
    let log = Log::start(dir, options.segment_bytes, next_segment, last_sequence, segments)?;
    empty.iter().for_each(|path| files::remove(path));
    let active = memtables.pop().unwrap_or_default();
    memtables.reverse();
    let state = State { active, frozen: memtables, version: Arc::new(version) };
    Ok(Tree::new(dir.to_path_buf(), options, picker, state, log, manifest, next_table))
}

/// An empty start, unless the folder holds data whose CURRENT was lost.
fn fresh(dir: &Path, files: &[(PathBuf, Kind)]) -> Result<Contents, EngineError> {
    let is_data = |kind: &Kind| matches!(kind, Kind::Table(_) | Kind::Segment(_));
    match files.iter().find(|(_, kind)| is_data(kind)) {
        Some((path, _)) => {
            let what = format!("CURRENT is missing, but there is data: {}", path.display());
            Err(EngineError::refused(dir, what))
        }
        None => Ok(Contents::default()),
    }
}

fn open_tables(dir: &Path, contents: &Contents) -> Result<Version, EngineError> {
    let mut tables = Vec::with_capacity(contents.tables.len());
    for (id, level) in &contents.tables {
        let table = Table::open(dir, *id).map_err(|error| match error {
            EngineError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                EngineError::Refused { path, what: "missing, but the manifest names it".into() }
            }
            error => error,
        })?;
        tables.push((*level, Arc::new(table)));
    }
    Ok(Version::new(tables))
}

/// Replays the log into memtables, oldest first; the last takes further writes.
fn replay_log(
    dir: &Path,
    files: &[(PathBuf, Kind)],
    contents: &Contents,
    options: &Options,
    memtables: &mut Vec<Arc<Memtable>>,
) -> Result<Replayed, EngineError> {
    let segment = |(_, kind): &(PathBuf, Kind)| match kind {
        Kind::Segment(number) => Some(*number),
        _ => None,
    };
    let numbers: Vec<u64> = files.iter().filter_map(segment).collect();
    if numbers.is_empty() && contents.flushed_sequence > 0 {
        return Err(EngineError::refused(dir, "the write-ahead log is missing: no file *.wal"));
    }
    replay(dir, numbers, contents.flushed_sequence, |record| {
        if memtables.last().is_some_and(|last| last.bytes() >= options.memtable_bytes) {
            memtables.push(Arc::default());
        }
        let last = memtables.last().expect("there is always one");
        last.apply(&record).map_err(|what| EngineError::refused(dir, what))
    })
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
fn remove_orphans(files: &[(PathBuf, Kind)], contents: &Contents) {
    for (path, kind) in files {
        let orphan = match kind {
            Kind::Table(id) => !contents.tables.contains_key(id),
            Kind::Manifest(_) | Kind::Temporary => true,
            Kind::Segment(_) | Kind::Current | Kind::Lock | Kind::Foreign => false,
        };
        if orphan {
            tracing::debug!(path = %path.display(), "removing an orphan");
            files::remove(path);
        }
    }
}
