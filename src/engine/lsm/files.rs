//! The folder of one engine: which file is what, and how a new name is made durable.

use crate::engine::EngineError;
use crate::lock::Lock;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a file is, by its name. Numbers are never reused within one life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table(u64),
    Segment(u64),
    Manifest(u64),
    Current,
    Lock,
    /// Left by a crash in the middle of making a file.
    Temporary,
    /// Not ours: left alone.
    Foreign,
}

pub fn table(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:012}.table"))
}

pub fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.wal"))
}

pub fn manifest(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.manifest"))
}

pub fn current(dir: &Path) -> PathBuf {
    dir.join("CURRENT")
}

pub fn lock(dir: &Path) -> PathBuf {
    dir.join("LOCK")
}

pub fn temporary(dir: &Path, purpose: &str) -> PathBuf {
    dir.join(format!("{purpose}.tmp"))
}

fn kind(name: &str) -> Kind {
    match name {
        "CURRENT" => return Kind::Current,
        "LOCK" => return Kind::Lock,
        _ if name.ends_with(".tmp") => return Kind::Temporary,
        _ => {}
    }
    let Some((stem, extension)) = name.split_once('.') else { return Kind::Foreign };
    match (stem.parse(), extension) {
        (Ok(number), "table") => Kind::Table(number),
        (Ok(number), "wal") => Kind::Segment(number),
        (Ok(number), "manifest") => Kind::Manifest(number),
        _ => Kind::Foreign,
    }
}

/// Every file of the folder, with what it is.
pub fn list(dir: &Path) -> Result<Vec<(PathBuf, Kind)>, EngineError> {
    let mut files = Vec::new();
    for file in fs::read_dir(dir).map_err(EngineError::io(dir))? {
        let path = file.map_err(EngineError::io(dir))?.path();
        let kind = path.file_name().and_then(|name| name.to_str()).map_or(Kind::Foreign, kind);
        files.push((path, kind));
    }
    Ok(files)
}

/// Makes names durable: a file that was synced may still be lost if its folder was not.
pub fn sync_dir(dir: &Path) -> Result<(), EngineError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(EngineError::io(dir))
}

/// Puts `bytes` at `path` so that a crash leaves the old content or the new, never a mixture.
pub fn replace(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    let temporary = temporary(dir, "replace");
    let mut file = File::create(&temporary).map_err(EngineError::io(&temporary))?;
    file.write_all(bytes).map_err(EngineError::io(&temporary))?;
    file.sync_all().map_err(EngineError::io(&temporary))?;
    fs::rename(&temporary, path).map_err(EngineError::io(path))?;
    sync_dir(dir)
}

/// Removes a file that nothing refers to any more. A failure costs space alone, so it is only told.
pub fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove an obsolete file");
    }
}

/// Makes the folder and takes its lock, released when it is dropped and when the process is
/// killed.
pub fn acquire(dir: &Path) -> Result<Lock, EngineError> {
    if !dir.is_dir() {
        fs::create_dir_all(dir).map_err(EngineError::io(dir))?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_dir(parent.unwrap_or(Path::new(".")))?;
    }
    let path = lock(dir);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(EngineError::io(&path))?;
    let in_use = || EngineError::refused(dir, "in use by another process; one process at a time");
    Lock::take(file).map_err(EngineError::io(&path))?.ok_or_else(in_use)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let name = |path: PathBuf| kind(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(name(table(dir, 7)), Kind::Table(7));
        assert_eq!(name(segment(dir, u64::MAX)), Kind::Segment(u64::MAX));
        assert_eq!(name(manifest(dir, 1)), Kind::Manifest(1));
        assert_eq!(name(current(dir)), Kind::Current);
        assert_eq!(name(lock(dir)), Kind::Lock);
        assert_eq!(name(temporary(dir, "spare")), Kind::Temporary);
        assert_eq!(kind("notes.txt"), Kind::Foreign);
        assert_eq!(kind("x.table"), Kind::Foreign);
    }

    #[test]
    fn one_folder_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let owner = acquire(dir.path()).unwrap();
        let refused = acquire(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("in use by another process"), "{refused}");
        drop(owner);
        acquire(dir.path()).unwrap();
    }
}
