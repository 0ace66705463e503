//! A copy of the engine in another folder of the same file system, by second names for its files.

use super::files;
use super::manifest::Manifest;
use super::{Lsm, recovery};
use crate::engine::EngineError;
use crate::engine::wal::{Log, Replayed};
use std::path::Path;

impl Lsm {
    /// Makes a copy of everything that was committed before the call, in a folder that is empty or
    /// not there yet. Tables are never changed, so the copy costs no space until they are compacted
    /// here; an engine can be opened on it at once. Restoring is the same in the other direction:
    /// open the copy and take a snapshot of it where the store was.
    ///
    /// # Errors
    /// The folder holds something; it is on another file system; an I/O error. What was made of the
    /// copy then stays, without a `CURRENT`, and is no engine.
    pub fn snapshot(&self, dir: &Path) -> Result<(), EngineError> {
        let tree = &self.tree;
        let target = tree.folder.sibling(dir);
        target.create()?;
        if let Some(name) = target.list()?.first() {
            let what = format!("a snapshot wants an empty folder; found `{name}`");
            return Err(EngineError::refused(dir, what));
        }
        self.flush()?;
        // While it is held, no file goes and no table comes.
        let manifest = tree.manifest.lock();
        let version = tree.state.load().version.clone();
        for placed in version.tables() {
            tree.folder.link(&files::table(placed.table.id()), &target)?;
        }
        for blob in version.blobs.files() {
            tree.folder.link(&files::blob(blob.number()), &target)?;
        }
        let contents = manifest.contents().clone();
        drop(manifest);
        let last_sequence = contents.flushed_sequence;
        let mut replayed = Replayed::default();
        replayed.last_sequence = last_sequence;
        let mut log = Log::start(&target, recovery::log_settings(&tree.options), &replayed)?;
        log.close()?;
        Manifest::create(&target, 1, contents)?;
        Ok(())
    }
}
