//! Which tables exist, level by level and run by run: an immutable snapshot that readers hold.
//!
//! ```text
//!   level 0   [c────m] [a──────z] [b──d]        each flush a run of its own
//!   level 1   [a──f][g──p][q──z]                one run: disjoint tables
//!             [b──k][l──y]                      another one, older, where compaction is tiered
//! ```
//!
//! An entry of a level is newer than any entry of the same key in a level below. Within a level,
//! tables that overlap have sequence numbers that do not interleave, and the one with the higher
//! ones is met first; a job that would break either is refused before it runs
//! (`jobs::check`). So the first table that knows a key is right, and the tables need not
//! keep a sequence number for each entry. These sequence numbers are the order of this engine's
//! own commits: a replayed hint that carries an old version of a record is a new commit here, and
//! which version survives was decided above, before the commit.

use super::blob::{BlobFile, Pointer};
use super::files;
use super::output::Values;
use crate::engine::EngineError;
use crate::engine::disk::Folder;
use crate::engine::table::Table;
use bytes::Bytes;
use quorate_strategies::compaction::TableMeta;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A file of large values is cleaned up once no more than this share of it is pointed to.
const VICTIM_LIVE_SHARE: f64 = 0.5;

/// A table in its place.
#[derive(Clone)]
pub struct Placed {
    pub level: u32,
    pub run: u64,
    pub table: Arc<Table>,
}

impl Placed {
    pub fn meta(&self) -> TableMeta {
        self.table.meta(self.level, self.run)
    }
}

/// Disjoint tables in the order of their keys.
pub struct Run {
    pub tables: Arc<[Arc<Table>]>,
    /// Of the tables' files.
    pub bytes: u64,
    pub entries: u64,
    id: u64,
    max_sequence: u64,
}

impl Run {
    /// The one table that may hold the key.
    fn candidate(&self, key: &[u8]) -> Option<&Arc<Table>> {
        let at = self.tables.partition_point(|table| table.last_key() < key);
        self.tables.get(at).filter(|table| table.first_key() <= key)
    }
}

#[derive(Default)]
struct Level {
    /// The newest first.
    runs: Vec<Run>,
    /// No two runs have interleaving sequence numbers, so that the order of the runs is the order
    /// of their tables, too.
    ordered: bool,
}

impl Level {
    fn new(mut tables: Vec<(u64, Arc<Table>)>) -> Self {
        tables.sort_by(|(a, left), (b, right)| {
            a.cmp(b).then_with(|| left.first_key().cmp(right.first_key()))
        });
        let run = |tables: &[(u64, Arc<Table>)]| Run {
            id: tables[0].0,
            bytes: tables.iter().map(|(_, table)| table.bytes()).sum(),
            entries: tables.iter().map(|(_, table)| table.entries()).sum(),
            max_sequence: tables.iter().map(|(_, t)| t.max_sequence()).max().unwrap_or_default(),
            tables: tables.iter().map(|(_, table)| Arc::clone(table)).collect(),
        };
        let mut runs: Vec<Run> = tables.chunk_by(|(a, _), (b, _)| a == b).map(run).collect();
        runs.sort_by_key(|run| Reverse((run.max_sequence, run.id)));
        let oldest = |run: &Run| run.tables.iter().map(|table| table.min_sequence()).min();
        let ordered = runs.windows(2).all(|pair| oldest(&pair[0]) > Some(pair[1].max_sequence));
        Level { runs, ordered }
    }

    /// Tables that may hold the key, the newest first.
    fn candidates<'a>(&'a self, key: &'a [u8], found: &mut Vec<&'a Arc<Table>>) {
        let start = found.len();
        found.extend(self.runs.iter().filter_map(|run| run.candidate(key)));
        if !self.ordered {
            found[start..].sort_by_key(|table| Reverse((table.max_sequence(), table.id())));
        }
    }
}

/// The files of large values that the tables point into.
#[derive(Clone, Default)]
pub struct Blobs(BTreeMap<u64, Arc<BlobFile>>);

impl Blobs {
    /// The value that a pointer means. The folder is for the error.
    pub fn read(&self, folder: &Folder, pointer: &Pointer) -> Result<Bytes, EngineError> {
        match self.0.get(&pointer.file) {
            Some(file) => file.read(pointer),
            None => {
                let path = folder.path_of(&files::blob(pointer.file));
                Err(EngineError::refused(&path, "a table points into it, but it is not known"))
            }
        }
    }

    pub fn files(&self) -> impl Iterator<Item = &Arc<BlobFile>> {
        self.0.values()
    }

    pub fn insert(&mut self, file: Arc<BlobFile>) {
        self.0.insert(file.number(), file);
    }

    pub fn contains(&self, number: u64) -> bool {
        self.0.contains_key(&number)
    }
}

#[derive(Default)]
pub struct Version {
    levels: Vec<Level>,
    pub blobs: Blobs,
}

impl Version {
    /// Refuses a run whose tables overlap, by the id of one of them.
    pub fn new(tables: impl IntoIterator<Item = Placed>, blobs: Blobs) -> Result<Self, u64> {
        let mut levels: Vec<Vec<(u64, Arc<Table>)>> = Vec::new();
        for Placed { level, run, table } in tables {
            let level = level as usize;
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push((run, table));
        }
        let levels: Vec<Level> = levels.into_iter().map(Level::new).collect();
        for run in levels.iter().flat_map(|level| &level.runs) {
            let crossed =
                run.tables.windows(2).find(|pair| pair[0].last_key() >= pair[1].first_key());
            if let Some(pair) = crossed {
                return Err(pair[1].id());
            }
        }
        Ok(Version { levels, blobs })
    }

    /// This version without the tables `removed` and with those of `added`; of the files of large
    /// values those stay that a table points into.
    pub fn with(
        &self,
        removed: &[u64],
        added: &[Placed],
        blobs: &[Arc<BlobFile>],
    ) -> Result<Self, u64> {
        let kept = self.tables().filter(|placed| !removed.contains(&placed.table.id()));
        let mut all = self.blobs.clone();
        blobs.iter().for_each(|blob| all.insert(Arc::clone(blob)));
        let mut version = Version::new(kept.chain(added.iter().cloned()), all)?;
        let live = version.live_blob_bytes();
        version.blobs.0.retain(|number, _| live.contains_key(number));
        Ok(version)
    }

    /// How many bytes of each file of large values the tables point to.
    pub fn live_blob_bytes(&self) -> BTreeMap<u64, u64> {
        let mut live = BTreeMap::new();
        for placed in self.tables() {
            for (number, bytes) in placed.table.blob_references() {
                *live.entry(*number).or_default() += bytes;
            }
        }
        live
    }

    /// The files of large values with those of them that are mostly dead.
    pub fn values(&self) -> Values {
        let live = self.live_blob_bytes();
        let is_victim = |blob: &&Arc<BlobFile>| {
            let live = live.get(&blob.number()).copied().unwrap_or_default();
            live as f64 <= blob.bytes() as f64 * VICTIM_LIVE_SHARE
        };
        let victims = self.blobs.files().filter(is_victim).map(|blob| blob.number()).collect();
        Values { files: self.blobs.clone(), victims }
    }

    /// The table that points to most bytes of files that are mostly dead.
    pub fn most_entangled(&self, is_idle: impl Fn(u64) -> bool) -> Option<Placed> {
        let Values { victims, .. } = self.values();
        let entangled = |placed: &Placed| -> u64 {
            let references = placed.table.blob_references().iter();
            references.filter(|(file, _)| victims.contains(file)).map(|(_, bytes)| bytes).sum()
        };
        let idle = self.tables().filter(|placed| is_idle(placed.table.id()));
        let tables = idle.map(|placed| (entangled(&placed), placed));
        tables.filter(|(bytes, _)| *bytes > 0).max_by_key(|(bytes, _)| *bytes).map(|(_, t)| t)
    }

    pub fn tables(&self) -> impl Iterator<Item = Placed> + '_ {
        (0..).zip(&self.levels).flat_map(|(level, tables)| {
            tables.runs.iter().flat_map(move |run| {
                let placed = move |table: &Arc<Table>| Placed {
                    level,
                    run: run.id,
                    table: Arc::clone(table),
                };
                run.tables.iter().map(placed)
            })
        })
    }

    /// Calls `look` for each table that may hold `key`, in the order in which the first that knows
    /// it is right, until it answers.
    pub fn search<'a, T>(
        &'a self,
        key: &'a [u8],
        mut look: impl FnMut(&'a Arc<Table>) -> Option<T>,
    ) -> Option<T> {
        let mut unordered = Vec::new();
        for level in &self.levels {
            if level.ordered {
                let candidates = level.runs.iter().filter_map(|run| run.candidate(key));
                if let Some(answer) = candidates.into_iter().find_map(&mut look) {
                    return Some(answer);
                }
                continue;
            }
            unordered.clear();
            level.candidates(key, &mut unordered);
            if let Some(answer) = unordered.drain(..).find_map(&mut look) {
                return Some(answer);
            }
        }
        None
    }

    /// Every run, from the newest to the oldest, with its level.
    pub fn runs(&self) -> impl Iterator<Item = (u32, &Run)> {
        (0..)
            .zip(&self.levels)
            .flat_map(|(level, tables)| tables.runs.iter().map(move |run| (level, run)))
    }

    pub fn level0_runs(&self) -> usize {
        self.levels.first().map_or(0, |level| level.runs.len())
    }

    pub fn tables_per_level(&self) -> Vec<u64> {
        let count = |level: &Level| level.runs.iter().map(|run| run.tables.len() as u64).sum();
        self.levels.iter().map(count).collect()
    }

    pub fn entries_per_level(&self) -> Vec<u64> {
        let entries = |run: &Run| run.tables.iter().map(|table| table.entries()).sum::<u64>();
        self.levels.iter().map(|level| level.runs.iter().map(entries).sum()).collect()
    }

    pub fn bytes_per_level(&self) -> Vec<u64> {
        let bytes = |run: &Run| run.tables.iter().map(|table| table.bytes()).sum::<u64>();
        self.levels.iter().map(|level| level.runs.iter().map(bytes).sum()).collect()
    }
}
