//! The folders: names as a reader sees them, names that a power failure leaves, and the journal
//! between the two.

use rand::{Rng, RngExt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Map = BTreeMap<PathBuf, u64>;

#[derive(Clone, Default)]
pub(super) struct Names {
    current: Map,
    durable: Map,
    /// What was done since, in order. Each is of one folder.
    journal: Vec<Change>,
    folders: BTreeSet<PathBuf>,
}

/// One operation on the names of a folder; a power failure leaves all of it or nothing.
#[derive(Clone)]
pub(super) struct Change {
    pub gone: Option<PathBuf>,
    pub named: Option<(PathBuf, u64)>,
}

impl Change {
    fn folder(&self) -> &Path {
        let named = self.named.as_ref().map(|(path, _)| path);
        let path = named.or(self.gone.as_ref()).and_then(|path| path.parent());
        path.unwrap_or(Path::new(""))
    }

    fn apply(&self, map: &mut Map) {
        if let Some(gone) = &self.gone {
            map.remove(gone);
        }
        if let Some((path, inode)) = &self.named {
            map.insert(path.clone(), *inode);
        }
    }
}

impl Names {
    pub fn get(&self, path: &Path) -> Option<u64> {
        self.current.get(path).copied()
    }

    pub fn record(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.journal.push(change);
    }

    /// As if it had been there for ever.
    pub fn plant(&mut self, path: &Path, inode: u64) {
        self.current.insert(path.to_path_buf(), inode);
        self.durable.insert(path.to_path_buf(), inode);
    }

    pub fn sync(&mut self, folder: &Path) {
        self.commit(folder, usize::MAX);
    }

    fn commit(&mut self, folder: &Path, limit: usize) {
        let (here, elsewhere): (Vec<Change>, Vec<Change>) =
            self.journal.drain(..).partition(|change| change.folder() == folder);
        self.journal = elsewhere;
        for change in here.iter().take(limit) {
            change.apply(&mut self.durable);
        }
    }

    /// The power fails: of each folder's changes the first few are kept.
    pub fn crash(&mut self, rng: &mut impl Rng) {
        let folders: BTreeSet<PathBuf> =
            self.journal.iter().map(|change| change.folder().to_path_buf()).collect();
        for folder in folders {
            let all = self.journal.iter().filter(|change| change.folder() == folder).count();
            let kept = match rng.random_range(0..4) {
                0 => 0,
                1 => all,
                _ => rng.random_range(0..=all),
            };
            self.commit(&folder, kept);
        }
        self.current = self.durable.clone();
    }

    pub fn make_folder(&mut self, folder: &Path) {
        self.folders.extend(folder.ancestors().map(Path::to_path_buf));
    }

    pub fn is_folder(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || path == Path::new("/") || self.folders.contains(path)
    }

    pub fn list(&self, folder: &Path) -> Vec<String> {
        let entries = self.current.keys().chain(&self.folders);
        let here = entries.filter(|path| path.parent() == Some(folder));
        here.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
    }

    pub fn files(&self) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.current.iter().map(|(path, inode)| (path, *inode))
    }

    /// Every file that a name leads to, or may lead to after a power failure.
    pub fn inodes(&self) -> BTreeSet<u64> {
        let journal = self.journal.iter().filter_map(|change| change.named.as_ref());
        let maps = self.current.values().chain(self.durable.values());
        maps.copied().chain(journal.map(|(_, inode)| *inode)).collect()
    }
}
