//! What an engine's files say of themselves, and whether it is true.

use crate::engine::EngineError;
use crate::engine::disk::{Folder, Mode};
use crate::engine::entry::{Item, Kind as EntryKind};
use crate::engine::lsm::blob::{BlobFile, Pointer};
use crate::engine::lsm::files::{self, Kind};
use crate::engine::lsm::manifest::{self, Contents};
use crate::engine::lsm::recovery;
use crate::engine::lsm::version::{Blobs, Placed, Version};
use crate::engine::table::{self, Properties, Table, Verified};
use crate::engine::wal::{self, Replayed, Salvage, Torn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a table stands; None where there is no manifest that says it.
pub type LevelAndRun = Option<(u32, u64)>;

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Properties,
    Everything,
}

/// What was found in a folder.
#[derive(Debug, Default)]
pub struct Survey {
    /// None where it cannot be read: then every table of the folder is looked at by itself, and the
    /// log, whose beginning only the manifest tells, is not.
    pub manifest: Option<ManifestFacts>,
    /// Those that could be opened, by level and number.
    pub tables: Vec<TableFacts>,
    /// None where it was not read.
    pub log: Option<LogFacts>,
    pub blobs: Vec<BlobFacts>,
    /// Files of former tables that wait to be written over.
    pub spares: Vec<FileFacts>,
    /// Left by a crash: the next open removes them.
    pub orphans: Vec<FileFacts>,
    /// Files of somebody else, which are left alone.
    pub strangers: Vec<FileFacts>,
    /// What a damage kept from being looked at.
    pub unchecked: Vec<String>,
    pub damage: Vec<EngineError>,
}

/// The manifest that `CURRENT` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFacts {
    pub name: String,
    pub tables: u64,
    /// The tables hold everything up to here.
    pub flushed_sequence: u64,
}

/// One table, and where it lies in the tree.
#[derive(Clone, Debug)]
pub struct TableFacts {
    pub name: String,
    pub place: LevelAndRun,
    /// Size of the file.
    pub bytes: u64,
    pub properties: Properties,
    /// What was counted; None where it was not read, or is damaged.
    pub verified: Option<Verified>,
}

/// A file by its name and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    pub name: String,
    pub bytes: u64,
}

/// A segment of the log that holds records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    pub name: String,
    /// Up to the end of its last record.
    pub bytes: u64,
    /// The newest sequence number in it or, where it has none, before it.
    pub last_sequence: u64,
}

/// What a replay of the log finds. Behind a hole nothing is counted: then these are what a salvage
/// would keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// Those that hold records, oldest first.
    pub segments: Vec<SegmentFacts>,
    pub records: u64,
    pub record_bytes: u64,
    /// Changes that no table holds.
    pub unflushed_changes: u64,
    pub last_sequence: u64,
    /// Where a write was cut short that nobody was promised anything of, and what is left of it.
    pub torn: Option<Torn>,
    pub dropped_bytes: u64,
    /// Other files of the log: spares, segments without records, what a salvage set aside.
    pub idle: Vec<FileFacts>,
    pub has_hole: bool,
}

/// A file of large values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobFacts {
    pub name: String,
    pub bytes: u64,
    /// Bytes that tables point to.
    pub live_bytes: u64,
}

pub fn take(folder: &Folder, files: &[(String, Kind)], depth: Depth) -> Survey {
    let (values, told) = (Values::default(), Survey::default());
    let mut taking = Taking { folder, files, depth, values, told };
    let contents = taking.manifest();
    let complete = taking.tables(contents.as_ref());
    if let Some(contents) = &contents {
        taking.log(contents.flushed_sequence);
    } else {
        taking.told.unchecked.push("the log: the manifest tells where it begins".into());
    }
    taking.large_values();
    taking.others(contents.as_ref(), complete);
    taking.told
}

struct Taking<'a> {
    folder: &'a Folder,
    files: &'a [(String, Kind)],
    depth: Depth,
    values: Values,
    told: Survey,
}

impl Taking<'_> {
    fn manifest(&mut self) -> Option<Contents> {
        let loaded = manifest::load(self.folder).and_then(|loaded| match loaded {
            Some(loaded) => Ok(Some(loaded)),
            None => recovery::fresh(self.folder, self.files).map(|_| None),
        });
        match loaded {
            Ok(Some((number, contents))) => {
                self.told.manifest = Some(ManifestFacts {
                    name: files::manifest(number),
                    tables: contents.tables.len() as u64,
                    flushed_sequence: contents.flushed_sequence,
                });
                Some(contents)
            }
            Ok(None) => None,
            Err(error) => {
                self.told.damage.push(error);
                None
            }
        }
    }

    /// Opens the tables that the manifest names or, where there is none, all. Whether each could be
    /// opened, so that what they point to is known.
    fn tables(&mut self, contents: Option<&Contents>) -> bool {
        let named: Vec<(u64, LevelAndRun)> = match contents {
            Some(contents) => {
                let named = contents.tables.iter();
                named.map(|(id, place)| (*id, Some((place.level, place.run)))).collect()
            }
            None => {
                let ids = self.files.iter().filter_map(|(_, kind)| table_id(*kind));
                ids.map(|id| (id, None)).collect()
            }
        };
        let all = named.len();
        let mut opened = Vec::new();
        for (id, place) in named {
            match recovery::open_table(self.folder, id, false) {
                Ok(table) => opened.push((place, Arc::new(table))),
                Err(error) => self.told.damage.push(error),
            }
        }
        self.crossing(&opened);
        for (place, table) in &opened {
            self.values.refer(table);
            let verified = (self.depth == Depth::Everything).then(|| self.read(table)).flatten();
            self.told.tables.push(TableFacts {
                name: files::table(table.id()),
                place: *place,
                bytes: table.bytes(),
                properties: table.properties().clone(),
                verified,
            });
        }
        self.told.tables.sort_by_key(|table| (table.place, table.properties.id));
        opened.len() == all
    }

    /// Tables of one run must not cross.
    fn crossing(&mut self, opened: &[(LevelAndRun, Arc<Table>)]) {
        let placed = opened.iter().filter_map(|(place, table)| {
            let (level, run) = (*place)?;
            Some(Placed { level, run, table: Arc::clone(table) })
        });
        if let Err(id) = Version::new(placed, Blobs::default()) {
            self.told.damage.push(recovery::overlapping(self.folder, id));
        }
    }

    /// Reads a whole table, and what it points to.
    fn read(&mut self, table: &Table) -> Option<Verified> {
        let Taking { folder, values, told, .. } = self;
        let before = told.damage.len();
        let mut wrong_values = Vec::new();
        let verified = table::verify_on(
            table,
            |key, item| {
                wrong_values.extend(values.check(folder, key, item));
                Ok(())
            },
            |error| {
                told.damage.push(error);
                Ok(())
            },
        );
        // `damage` takes everything, so that there is always an answer.
        let sound = told.damage.len() == before;
        told.damage.append(&mut wrong_values);
        verified.ok().filter(|_| sound)
    }

    fn log(&mut self, flushed_sequence: u64) {
        let replay =
            |salvage| wal::replay(self.folder, flushed_sequence, salvage, |_, _, _| Ok(()));
        let (replayed, has_hole) = match replay(Salvage::No) {
            Ok(replayed) => (replayed, false),
            Err(error) => {
                self.told.damage.push(error);
                match replay(Salvage::Yes) {
                    Ok(kept) => (kept, true),
                    Err(error) => {
                        self.told.unchecked.push(format!("the log behind its damage: {error}"));
                        return;
                    }
                }
            }
        };
        self.told.log = Some(self.log_facts(replayed, has_hole));
    }

    fn log_facts(&mut self, replayed: Replayed, has_hole: bool) -> LogFacts {
        let segments: Vec<SegmentFacts> = replayed
            .segments
            .iter()
            .map(|segment| SegmentFacts {
                name: wal::segment_name(segment.number),
                bytes: segment.bytes,
                last_sequence: segment.last_sequence,
            })
            .collect();
        let is_idle = |name: &str| segments.iter().all(|segment| segment.name != name);
        let names = self.files.iter().filter(|(_, kind)| *kind == Kind::Log);
        let idle: Vec<&str> =
            names.map(|(name, _)| name.as_str()).filter(|name| is_idle(name)).collect();
        LogFacts {
            idle: idle.into_iter().map(|name| self.file(name)).collect(),
            segments,
            records: replayed.records,
            record_bytes: replayed.bytes,
            unflushed_changes: replayed.changes,
            last_sequence: replayed.last_sequence,
            torn: replayed.torn,
            dropped_bytes: replayed.dropped_bytes,
            has_hole,
        }
    }

    /// A file's size; an error is one more damage.
    fn file(&mut self, name: &str) -> FileFacts {
        let bytes = self.folder.open(name, Mode::Read).and_then(|file| file.bytes());
        let bytes = bytes.unwrap_or_else(|error| {
            self.told.damage.push(error);
            0
        });
        FileFacts { name: name.to_string(), bytes }
    }

    /// Opens the files of large values that no value was read from, too.
    fn large_values(&mut self) {
        for number in self.values.live.keys().copied().collect::<Vec<_>>() {
            self.values.open(self.folder, number);
        }
        for (number, file) in &self.values.files {
            let Some(file) = file else { continue };
            let live_bytes = self.values.live.get(number).copied().unwrap_or_default();
            let (name, bytes) = (files::blob(*number), file.bytes());
            self.told.blobs.push(BlobFacts { name, bytes, live_bytes });
        }
        self.told.damage.append(&mut self.values.damage);
    }

    /// Files that nothing names. Which large values are such is known only where all tables are
    /// (`complete`).
    fn others(&mut self, contents: Option<&Contents>, complete: bool) {
        let current = self.told.manifest.as_ref().map(|manifest| manifest.name.clone());
        for (name, kind) in self.files {
            let is_orphan = match (kind, contents) {
                (Kind::Temporary, _) => true,
                (Kind::Table(id), Some(contents)) => !contents.tables.contains_key(id),
                (Kind::Manifest(_), Some(_)) => current.as_ref() != Some(name),
                (Kind::Blob(number), _) if !self.values.live.contains_key(number) => {
                    if !complete || contents.is_none() {
                        let why = "a table that cannot be read may point into it";
                        self.told.unchecked.push(format!("{name}: {why}"));
                    }
                    complete && contents.is_some()
                }
                _ => false,
            };
            if is_orphan {
                let file = self.file(name);
                self.told.orphans.push(file);
            } else if matches!(kind, Kind::Spare(_)) {
                let file = self.file(name);
                self.told.spares.push(file);
            } else if *kind == Kind::Foreign {
                let file = self.stranger(name);
                self.told.strangers.push(file);
            }
        }
    }

    /// Somebody else's file need not be readable, or a file.
    fn stranger(&self, name: &str) -> FileFacts {
        let bytes = self.folder.open(name, Mode::Read).and_then(|file| file.bytes());
        FileFacts { name: name.to_string(), bytes: bytes.unwrap_or_default() }
    }
}

fn table_id(kind: Kind) -> Option<u64> {
    if let Kind::Table(id) = kind { Some(id) } else { None }
}

/// The files that pointers lead to.
#[derive(Default)]
struct Values {
    /// Bytes that tables point to, by number.
    live: BTreeMap<u64, u64>,
    /// None: it cannot be opened, which was told.
    files: BTreeMap<u64, Option<BlobFile>>,
    /// Of files that cannot be opened.
    damage: Vec<EngineError>,
}

impl Values {
    fn refer(&mut self, table: &Table) {
        for (number, bytes) in table.blob_references() {
            *self.live.entry(*number).or_default() += bytes;
        }
    }

    fn open(&mut self, folder: &Folder, number: u64) -> Option<&BlobFile> {
        let damage = &mut self.damage;
        let file = self.files.entry(number).or_insert_with(|| {
            let opened = BlobFile::open(folder, number);
            opened.map_err(|error| damage.push(error)).ok()
        });
        file.as_ref()
    }

    /// Reads the value of an entry, if it lies elsewhere. A file that cannot be opened is told
    /// once, not for each value.
    fn check(&mut self, folder: &Folder, key: &[u8], item: Item<'_>) -> Option<EngineError> {
        if item.kind != EntryKind::Pointer {
            return None;
        }
        let Some(pointer) = Pointer::decode(item.value) else {
            let what =
                format!("a malformed pointer as the value of key \"{}\"", key.escape_ascii());
            return Some(EngineError::refused(folder.path(), what));
        };
        match self.open(folder, pointer.file)?.read(&pointer).err()? {
            EngineError::Corrupt { path, offset, expected, found } => {
                let found = format!("{found}: the value of key \"{}\"", key.escape_ascii());
                Some(EngineError::Corrupt { path, offset, expected, found })
            }
            other => Some(other),
        }
    }
}
