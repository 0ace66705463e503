//! A look into the folder of an engine that is not open: what is there, whether it is sound, and
//! what it holds.
//!
//! ```text
//!   Inspection::open ─► lock ─┬─ stats    manifest, the properties of each table, the log replayed
//!                             ├─ verify   the same, and every block, filter, pointer and value
//!                             └─ entries  what a scan would find; or all that one file holds
//! ```
//!
//! # Invariants
//!
//! * Nothing on disk is changed: no orphan goes, no log begins. Where the folder has a lock file,
//!   its lock is held, so no engine is open on it meanwhile.
//! * A damage ends neither `stats` nor `verify`: each is listed, with file and offset, and the rest
//!   is looked at. What could not be looked at because of it is listed, too.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A folder without a lock file, such as a fresh snapshot, is looked at without a lock: to make
//!   one would change it. An engine that is opened on it meanwhile is met as missing files.
//! * A log with a hole is not read behind the hole. What is there is found only by a search that
//!   knows the log's id, which a salvage leaves to be written.
//! * Entries end at the first block that cannot be read. Who wants those behind it begins at a
//!   later key: the index leads past the block. A cursor that skips blocks would do so by itself.
//! * Nothing is repaired. A table with a damaged block would have to be written anew without that
//!   block, by somebody who knows that the other replicas have its keys.

mod entries;
mod survey;

pub use entries::{Content, Entries, Entry};
pub use survey::{
    BlobFacts, FileFacts, LevelAndRun, LogFacts, ManifestFacts, SegmentFacts, Survey, TableFacts,
};

use super::files::{self, Kind};
use super::manifest;
use crate::engine::disk::{Disk, Folder, Real};
use crate::engine::{EngineError, other};
use std::any::Any;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// Names of a folder that are shown where it is none of an engine.
const SHOWN_NAMES: usize = 3;

/// The folder of an engine that is not open, with its lock.
pub struct Inspection {
    folder: Folder,
    files: Vec<(String, Kind)>,
    /// Held for the lock on the folder.
    _owner: Option<Box<dyn Any + Send + Sync>>,
}

impl Inspection {
    /// Takes the folder's lock.
    ///
    /// # Errors
    /// The folder is missing, is in use, or holds no engine of this kind.
    pub fn open(dir: &Path) -> Result<Self, EngineError> {
        Self::open_on(Arc::new(Real), dir)
    }

    /// The same on some disk.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, EngineError> {
        let folder = Folder::new(disk, dir);
        let files = files::list(&folder)?;
        check_ours(&folder, &files)?;
        let has_lock = files.iter().any(|(_, kind)| *kind == Kind::Lock);
        let owner = if has_lock { Some(folder.acquire(files::LOCK)?) } else { None };
        // Whoever held the lock until now may have changed the folder.
        let files = files::list(&folder)?;
        Ok(Inspection { folder, files, _owner: owner })
    }

    /// What the manifest, the properties of the tables and the log say. Blocks are not read.
    pub fn stats(&self) -> Survey {
        survey::take(&self.folder, &self.files, survey::Depth::Properties)
    }

    /// Reads everything and lists every damage: each block and filter of each table, each large
    /// value that a table points to, and the log. Takes as long as reading all files once.
    pub fn verify(&self) -> Survey {
        survey::take(&self.folder, &self.files, survey::Depth::Everything)
    }

    /// What a scan between the bounds would find: live entries in the order of their keys, from the
    /// log and the tables. The changes that no table holds are in memory meanwhile.
    ///
    /// # Errors
    /// The bounds begin behind their end; a damage of the manifest, of a table's properties, of the
    /// log, or of the first block. Another damaged block ends the iteration with its error.
    pub fn entries(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<Entries<'static>, EngineError> {
        entries::live(&self.folder, from, to)
    }

    /// All that one table (`*.table`) holds in the order of its keys, or one segment of the log
    /// (`*.wal`) in the order of its changes: tombstones and pointers, too.
    pub fn entries_of_file(
        &self,
        name: &str,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<Entries<'static>, EngineError> {
        entries::of_file(&self.folder, name, from, to)
    }
}

/// Refuses a folder that another program, or another engine, has filled, or nobody.
fn check_ours(folder: &Folder, files: &[(String, Kind)]) -> Result<(), EngineError> {
    let is_ours = |kind: &Kind| {
        matches!(kind, Kind::Table(_) | Kind::Blob(_) | Kind::Manifest(_) | Kind::Log)
    };
    if files.iter().any(|(_, kind)| is_ours(kind)) {
        return Ok(());
    }
    // Other programs have a CURRENT, too.
    let current = folder.read(files::CURRENT).ok().flatten();
    if current.is_some_and(|line| manifest::parse_current(&line).is_some()) {
        return Ok(());
    }
    let has = |mark: &str| files.iter().any(|(name, _)| name == mark);
    if let Some((engine, file)) = other("lsm", has) {
        let what = format!(
            "it holds {file} of the engine `{engine}`; what can be looked at, copied or mended \
             are folders of `lsm` alone"
        );
        return Err(EngineError::refused(folder.path(), what));
    }
    let names: Vec<_> =
        files.iter().take(SHOWN_NAMES).map(|(name, _)| format!("`{name}`")).collect();
    let more = match files.len().saturating_sub(SHOWN_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let found = if names.is_empty() { "an empty folder".to_string() } else { names.join(", ") };
    Err(EngineError::refused(folder.path(), format!("no engine here: found {found}{more}")))
}
