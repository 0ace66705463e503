//! The one folder of an engine: names instead of paths, and errors that say which file they mean.

use super::{Disk, File, Mode};
use crate::engine::EngineError;
use bytes::Bytes;
use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder on some disk. Clones are the same folder.
#[derive(Clone)]
pub struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Folder {
    pub fn new(disk: Arc<dyn Disk>, path: &Path) -> Self {
        Folder { disk, path: path.to_path_buf() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file of a name lies.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Another folder on the same disk.
    pub fn sibling(&self, path: &Path) -> Folder {
        Folder::new(Arc::clone(&self.disk), path)
    }

    pub fn create(&self) -> Result<(), EngineError> {
        self.disk.create_dir(&self.path).map_err(EngineError::io(&self.path))
    }

    pub fn open(&self, name: &str, mode: Mode) -> Result<Handle, EngineError> {
        let path = self.path_of(name);
        let file = self.disk.open(&path, mode).map_err(EngineError::io(&path))?;
        Ok(Handle { path, file })
    }

    /// All of a file; None if there is none of that name.
    pub fn read(&self, name: &str) -> Result<Option<Bytes>, EngineError> {
        match self.open(name, Mode::Read) {
            Ok(handle) => handle.read_all().map(Some),
            Err(EngineError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Names of the files, in order.
    pub fn list(&self) -> Result<Vec<String>, EngineError> {
        let mut names = self.disk.list(&self.path).map_err(EngineError::io(&self.path))?;
        names.sort_unstable();
        Ok(names)
    }

    pub fn rename(&self, from: &str, to: &str) -> Result<(), EngineError> {
        let to = self.path_of(to);
        self.disk.rename(&self.path_of(from), &to).map_err(EngineError::io(&to))
    }

    /// Gives a file of this folder a name in another one, too.
    pub fn link(&self, name: &str, other: &Folder) -> Result<(), EngineError> {
        let to = other.path_of(name);
        self.disk.link(&self.path_of(name), &to).map_err(EngineError::io(&to))
    }

    /// Makes the names durable: a file that was synced may still be lost if its folder was not.
    pub fn sync(&self) -> Result<(), EngineError> {
        self.disk.sync_dir(&self.path).map_err(EngineError::io(&self.path))
    }

    /// Puts `bytes` under a name so that a crash leaves the old content or the new, never a
    /// mixture.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        const TEMPORARY: &str = "replace.tmp";
        let file = self.open(TEMPORARY, Mode::Create)?;
        file.write(bytes, 0)?;
        file.sync()?;
        self.rename(TEMPORARY, name)?;
        self.sync()
    }

    /// Removes a file that nothing refers to any more. A failure costs space alone, so it is only
    /// told.
    pub fn remove(&self, name: &str) {
        let path = self.path_of(name);
        if let Err(error) = self.disk.remove(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove an obsolete file");
        }
    }

    /// Makes the folder and takes its lock, which is released with the answer.
    pub fn acquire(&self, lock_name: &str) -> Result<Box<dyn Any + Send + Sync>, EngineError> {
        self.create()?;
        let path = self.path_of(lock_name);
        let lock = self.disk.lock(&path).map_err(EngineError::io(&path))?;
        let what = "in use by another process; one process at a time";
        lock.ok_or_else(|| EngineError::refused(&self.path, what))
    }
}

/// An open file that knows its path.
#[derive(Clone)]
pub struct Handle {
    path: PathBuf,
    file: Arc<dyn File>,
}

impl Handle {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> Result<u64, EngineError> {
        self.file.bytes().map_err(EngineError::io(&self.path))
    }

    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), EngineError> {
        self.file.read_at(buffer, offset).map_err(EngineError::io(&self.path))
    }

    /// So many bytes, which the caller knows to be no more than the file may have.
    pub fn read_new(&self, bytes: usize, offset: u64) -> Result<Vec<u8>, EngineError> {
        self.file.read_new(bytes, offset).map_err(EngineError::io(&self.path))
    }

    pub fn read_all(&self) -> Result<Bytes, EngineError> {
        self.read_new(self.bytes()? as usize, 0).map(Bytes::from)
    }

    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), EngineError> {
        self.file.write_at(bytes, offset).map_err(EngineError::io(&self.path))
    }

    pub fn set_bytes(&self, bytes: u64) -> Result<(), EngineError> {
        self.file.set_len(bytes).map_err(EngineError::io(&self.path))
    }

    pub fn allocate(&self, bytes: u64) {
        self.file.allocate(bytes);
    }

    pub fn read_ahead(&self, offset: u64, bytes: u64) {
        self.file.read_ahead(offset, bytes);
    }

    pub fn names(&self) -> Result<u64, EngineError> {
        self.file.names().map_err(EngineError::io(&self.path))
    }

    pub fn sync(&self) -> Result<(), EngineError> {
        self.file.sync_data().map_err(EngineError::io(&self.path))
    }
}
