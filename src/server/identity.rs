//! Who this node is, across restarts: a small file in the data folder.
//!
//! ```text
//!   {"id":1,"incarnation":1763683200,"actor":1311768467463790320,"clean":false}
//! ```
//!
//! # Invariants
//!
//! * It is on disk, with its folder entry, before the first message of this life leaves.
//! * `incarnation` grows with every start, whatever the wall clock does: peers drop what an earlier
//!   life said.
//! * An `actor` whose latest versions may have been lost is never used again; else new versions
//!   would carry names that other replicas already know, and would be dropped as old (actor reuse
//!   after amnesia, which cost real stores their users' data).
//! * A data folder belongs to one node id, and to one process at a time.

use crate::engine::Config;
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
#[serde(deny_unknown_fields)]
struct Stored {
    id: u64,
    incarnation: u64,
    actor: u64,
    /// The last life closed its engine: nothing that it had issued was lost.
    clean: bool,
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
    pub fn claim(
        folder: &Path,
        id: NodeId,
        engine: &Config,
        wall_s: u64,
    ) -> Result<Identity, IdentityError> {
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
        let keeps = earlier.as_ref().is_some_and(|earlier| engine.keeps_versions(earlier.clean));
        let before = earlier.map(|it| Boot { incarnation: it.incarnation, actor: it.actor });
        let Boot { incarnation, actor } =
            Boot::after(before, keeps, wall_s, random(&folder.join(FILE))?);
        let stored = Stored { id: id.0, incarnation, actor, clean: false };
        let identity = Identity { folder: folder.to_path_buf(), stored, _lock: lock };
        identity.write()?;
        Ok(identity)
    }

    pub fn boot(&self) -> Boot {
        Boot { incarnation: self.stored.incarnation, actor: self.stored.actor }
    }

    /// Notes that the engine was closed in order: the next life may go on under the same actor.
    pub fn stopped_cleanly(mut self) -> Result<(), IdentityError> {
        self.stored.clean = true;
        self.write()
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
    use crate::engine::{LsmConfig, SyncPolicy};

    fn lsm(sync: SyncPolicy) -> Config {
        Config::Lsm(LsmConfig { sync, ..LsmConfig::default() })
    }

    fn life(folder: &Path, engine: &Config, wall_s: u64, clean: bool) -> Boot {
        let identity = Identity::claim(folder, NodeId(1), engine, wall_s).unwrap();
        let boot = identity.boot();
        if clean {
            identity.stopped_cleanly().unwrap();
        }
        boot
    }

    #[test]
    fn incarnations_grow_even_when_the_clock_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let engine = lsm(SyncPolicy::Always);
        let lives = [1_000, 1_000, 10, 5_000].map(|at| life(folder.path(), &engine, at, false));
        assert_eq!(lives.map(|life| life.incarnation), [1_000, 1_001, 1_002, 5_000]);
    }

    #[test]
    fn an_actor_lives_as_long_as_its_versions() {
        let actors = |engine: &Config, clean: bool| {
            let folder = tempfile::tempdir().unwrap();
            let first = life(folder.path(), engine, 1, clean).actor;
            (first, life(folder.path(), engine, 2, clean).actor)
        };
        for (engine, clean, kept) in [
            (lsm(SyncPolicy::Always), false, true),
            (lsm(SyncPolicy::Always), true, true),
            (lsm(SyncPolicy::Interval), false, false),
            (lsm(SyncPolicy::Never), true, true),
            (Config::Memory, true, false),
        ] {
            let (first, second) = actors(&engine, clean);
            assert_eq!(first == second, kept, "{engine:?}, clean: {clean}");
        }
    }

    #[test]
    fn a_folder_has_one_owner_at_a_time_and_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let engine = lsm(SyncPolicy::Always);
        let claim = |id| Identity::claim(folder.path(), NodeId(id), &engine, 1);
        let first = claim(1).unwrap();
        assert!(matches!(claim(1).unwrap_err(), IdentityError::InUse { .. }));
        drop(first);
        let error = claim(2).unwrap_err().to_string();
        assert!(error.contains("belongs to node n1, not to n2"), "{error}");
        claim(1).unwrap();
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let engine = lsm(SyncPolicy::Always);
        let claim = |stored: &str| {
            fs::write(folder.path().join(FILE), stored).unwrap();
            Identity::claim(folder.path(), NodeId(1), &engine, 1).unwrap_err()
        };
        for bad in ["", "{}"] {
            assert!(matches!(claim(bad), IdentityError::Damaged { .. }), "{bad}");
        }
        let ahead = r#"{"id":1,"incarnation":99999999999,"actor":1,"clean":true}"#;
        assert!(matches!(claim(ahead), IdentityError::AheadOfTime { .. }));
    }
}
