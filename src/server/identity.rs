//! Who this node is, across restarts: a small file in the data folder.
//!
//! ```text
//!   {"id":1,"incarnation":1763683200,"actor":1311768467463790320}
//! ```
//!
//! # Invariants
//!
//! * It is on disk, with its folder entry, before the first message of this life leaves.
//! * `incarnation` grows with every start, whatever the wall clock does: peers drop what an earlier
//!   life said.
//! * An `actor` is never used by two lives; else new versions could carry names that other replicas
//!   already know, and would be dropped as old (actor reuse after amnesia, which cost real stores
//!   their users' data). A restored backup, an emptied engine and a crash before the disk was done
//!   are all the same here.
//! * A data folder belongs to one node id, and to one process at a time.

use crate::lock::Lock;
use crate::node::Boot;
use quorate_strategies::NodeId;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "identity.json";
const LOCK: &str = "identity.lock";

/// A stored incarnation this far ahead of the clock is a mistake: peers ignore such a node.
const YEAR_S: u64 = 366 * 24 * 3600;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    id: u64,
    incarnation: u64,
    /// Of the last life, for those who look into the file.
    actor: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path}: another process uses this data folder")]
    InUse { path: String },
    #[error("{path}: the data folder belongs to node {found}, not to {expected}")]
    OtherNode { path: String, found: NodeId, expected: NodeId },
    #[error(
        "{path}: not an identity ({what}); restore it, or move the whole data folder away to start \
         this node empty"
    )]
    Damaged { path: String, what: String },
    #[error(
        "{path}: `incarnation` is {incarnation}, over a year ahead of the clock ({wall_s} seconds \
         since 1970); mend the clock, or if it was wrong at an earlier start, put its present \
         reading in the place of that number; the data is not affected"
    )]
    AheadOfTime { path: String, incarnation: u64, wall_s: u64 },
}

/// A claimed data folder. The claim ends with the value, and with the process.
#[derive(Debug)]
pub struct Identity {
    folder: PathBuf,
    stored: Stored,
    _lock: Lock,
}

impl Identity {
    /// Claims the folder, which is made if it is absent, and begins a new life in it. `wall_s`:
    /// seconds since 1970.
    pub fn claim(folder: &Path, id: NodeId, wall_s: u64) -> Result<Identity, IdentityError> {
        create(folder).map_err(io_error(folder))?;
        let lock = lock(&folder.join(LOCK))?;
        let earlier = read(&folder.join(FILE), wall_s)?;
        if let Some(earlier) = earlier.as_ref().filter(|earlier| earlier.id != id.0) {
            return Err(IdentityError::OtherNode {
                path: folder.display().to_string(),
                found: NodeId(earlier.id),
                expected: id,
            });
        }
        let before = earlier.map(|it| Boot { incarnation: it.incarnation, actor: it.actor });
        let Boot { incarnation, actor } = Boot::after(before, random(&folder.join(FILE))?, wall_s);
        let stored = Stored { id: id.0, incarnation, actor };
        let identity = Identity { folder: folder.to_path_buf(), stored, _lock: lock };
        identity.write()?;
        Ok(identity)
    }

    pub fn boot(&self) -> Boot {
        Boot { incarnation: self.stored.incarnation, actor: self.stored.actor }
    }

    /// Writes aside, synchronises, renames, synchronises the folder: the file is whole at any
    /// moment.
    fn write(&self) -> Result<(), IdentityError> {
        let path = self.folder.join(FILE);
        let aside = self.folder.join("identity.json.new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec(&self.stored)?)?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(io_error(&path))
    }
}

/// Makes a folder with its parents, so that a power cut does not take it away again.
fn create(folder: &Path) -> io::Result<()> {
    if folder.exists() && !folder.is_dir() {
        let message = "`data` is a file; allowed: a folder, or what can become one";
        return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|it| !it.exists()).collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<Lock, IdentityError> {
    let mut options = File::options();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(io_error(path))?;
    let in_use = || IdentityError::InUse { path: path.display().to_string() };
    Lock::take(file).map_err(io_error(path))?.ok_or_else(in_use)
}

fn read(path: &Path, wall_s: u64) -> Result<Option<Stored>, IdentityError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path)(error)),
    };
    let damaged = |what: String| IdentityError::Damaged { path: path.display().to_string(), what };
    let stored: Stored =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if stored.incarnation > wall_s.saturating_add(YEAR_S) {
        let (path, incarnation) = (path.display().to_string(), stored.incarnation);
        return Err(IdentityError::AheadOfTime { path, incarnation, wall_s });
    }
    Ok(Some(stored))
}

/// 64 bits of the operating system's randomness; never 0, which would read as "none".
fn random(path: &Path) -> Result<u64, IdentityError> {
    let mut bytes = [0; 8];
    let mut source = File::open("/dev/urandom").map_err(io_error(path))?;
    source.read_exact(&mut bytes).map_err(io_error(path))?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> IdentityError + '_ {
    move |source| IdentityError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn life(folder: &Path, wall_s: u64) -> Boot {
        Identity::claim(folder, NodeId(1), wall_s).unwrap().boot()
    }

    #[test]
    fn incarnations_grow_even_when_the_clock_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let lives = [1_000, 1_000, 10, 5_000].map(|at| life(folder.path(), at));
        assert_eq!(lives.map(|life| life.incarnation), [1_000, 1_001, 1_002, 5_000]);
    }

    #[test]
    fn no_two_lives_share_an_actor() {
        let folder = tempfile::tempdir().unwrap();
        let actors = [1, 2, 3].map(|at| life(folder.path(), at).actor);
        assert!(actors[0] != actors[1] && actors[1] != actors[2] && actors[0] != actors[2]);
    }

    #[test]
    fn a_folder_has_one_owner_at_a_time_and_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let claim = |id| Identity::claim(folder.path(), NodeId(id), 1);
        let first = claim(1).unwrap();
        assert!(matches!(claim(1).unwrap_err(), IdentityError::InUse { .. }));
        drop(first);
        let error = claim(2).unwrap_err().to_string();
        assert!(error.contains("belongs to node n1, not to n2"), "{error}");
        claim(1).unwrap();
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Identity::claim(file.path(), NodeId(1), 1).unwrap_err().to_string();
        assert!(error.ends_with("`data` is a file; allowed: a folder, or what can become one"));
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let claim = |stored: &str| {
            fs::write(folder.path().join(FILE), stored).unwrap();
            Identity::claim(folder.path(), NodeId(1), 1).unwrap_err()
        };
        for bad in ["", "{}"] {
            assert!(matches!(claim(bad), IdentityError::Damaged { .. }), "{bad}");
        }
        let ahead = r#"{"id":1,"incarnation":99999999999,"actor":1}"#;
        assert!(matches!(claim(ahead), IdentityError::AheadOfTime { .. }));
    }
}
