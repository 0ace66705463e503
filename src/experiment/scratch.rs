//! Where the nodes of a running experiment keep their files: a hidden folder beside its results.

use super::error::Error;
use rustix::process::{Pid, test_kill_process};
use std::fs;
use std::path::{Path, PathBuf};

const PREFIX: &str = ".running-";
/// Attempts to remove a folder that nodes may still write to.
const REMOVALS: u32 = 20;

/// A folder that is removed with everything in it when it is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates `.running-<pid>` in `parent`, and `parent` if need be. Removes what runs left behind
    /// that were killed.
    ///
    /// # Errors
    /// If the folder cannot be written: better now than after the first trial.
    pub fn create(parent: &Path) -> Result<Scratch, Error> {
        fs::create_dir_all(parent).map_err(Error::io("create the results folder", parent))?;
        remove_stale(parent);
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&path).map_err(Error::io("write the results folder", &path))?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes the folder, and its parents if nothing else is in them: an experiment that measured
/// nothing leaves nothing.
pub(super) fn remove(scratch: &Path) {
    // A node that still runs may add a file meanwhile. What is left all the same is a hidden
    // folder, which the next run removes.
    let gone = || fs::remove_dir_all(scratch).is_ok() || !scratch.exists();
    let _ = (0..REMOVALS).any(|_| gone());
    for parent in scratch.ancestors().skip(1).take(2) {
        if fs::remove_dir(parent).is_err() {
            return;
        }
    }
}

fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
        let dead = |pid| Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_err());
        if pid.is_some_and(dead) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_is_left_behind_and_what_others_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let results = root.path().join("results");
        let parent = results.join("x");
        // Process ids end at 2^22.
        let stale = parent.join(format!("{PREFIX}{}", i32::MAX));
        fs::create_dir_all(&stale).unwrap();
        let scratch = Scratch::create(&parent).unwrap();
        assert!(!stale.exists() && scratch.path().exists());
        drop(scratch);
        assert!(!results.exists());
    }

    #[test]
    fn other_results_stay() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("x/2026")).unwrap();
        drop(Scratch::create(&root.path().join("x")).unwrap());
        assert!(root.path().join("x/2026").exists());
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("results"), "").unwrap();
        let error = Scratch::create(&root.path().join("results/x")).unwrap_err().to_string();
        assert!(error.starts_with("cannot create the results folder "), "{error}");
    }
}
