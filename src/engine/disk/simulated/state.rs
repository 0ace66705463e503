//! Everything that clones of a simulated disk share, behind their lock.

use super::faults::{Counts, Faults, Operation};
use super::inode::Inode;
use super::names::{Change, Names};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone)]
pub(super) struct State {
    /// Rises with every crash and kill; handles of an earlier life are dead.
    pub life: u64,
    pub powered: bool,
    /// The operation, counted by `changes`, that is the last one.
    pub last_change: Option<u64>,
    pub changes: u64,
    pub names: Names,
    pub inodes: BTreeMap<u64, Arc<Inode>>,
    next_inode: u64,
    /// Handles by file.
    pub open: BTreeMap<u64, u32>,
    pub locks: BTreeMap<PathBuf, u64>,
    pub next_lock: u64,
    pub faults: Faults,
    pub counts: BTreeMap<PathBuf, Counts>,
    /// Whether the file system can choose a place ahead of a write.
    pub allocates: bool,
    pub rng: Xoshiro256PlusPlus,
}

/// How an operation that begins will end.
pub(super) enum Fate {
    Whole,
    /// It is done in part, if it has parts, and answers with the error.
    Torn(io::Error),
}

impl Fate {
    /// For what has no parts.
    pub fn whole(self) -> io::Result<()> {
        match self {
            Fate::Whole => Ok(()),
            Fate::Torn(error) => Err(error),
        }
    }
}

fn no_power() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the simulated machine has no power")
}

impl State {
    pub fn new(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        State {
            life: 0,
            powered: true,
            last_change: None,
            changes: 0,
            names: Names::default(),
            inodes: BTreeMap::new(),
            next_inode: 0,
            open: BTreeMap::new(),
            locks: BTreeMap::new(),
            next_lock: 0,
            faults: Faults::default(),
            counts: BTreeMap::new(),
            allocates: rng.random(),
            rng,
        }
    }

    fn alive(&self, life: u64) -> io::Result<()> {
        if life != self.life {
            let what = "this handle belongs to a process that a simulated crash has ended";
            return Err(io::Error::new(ErrorKind::NotConnected, what));
        }
        if self.powered { Ok(()) } else { Err(no_power()) }
    }

    /// An operation on a name begins.
    pub fn begin(&mut self, life: u64, on: Operation, path: &Path) -> io::Result<Fate> {
        self.alive(life)?;
        self.faults.deny(path).map_or(Ok(()), Err)?;
        self.fate(on, path)
    }

    /// An operation on an open file begins.
    pub fn begin_at(&mut self, life: u64, on: Operation, inode: u64) -> io::Result<Fate> {
        self.alive(life)?;
        let name = self.inode(inode)?.name.clone();
        self.fate(on, &name)
    }

    fn fate(&mut self, on: Operation, path: &Path) -> io::Result<Fate> {
        if let Some(error) = self.faults.strike(on, path) {
            return Ok(Fate::Torn(error));
        }
        if on.changes() {
            self.changes += 1;
            if self.last_change == Some(self.changes) {
                self.powered = false;
                return Ok(Fate::Torn(no_power()));
            }
        }
        Ok(Fate::Whole)
    }

    pub fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes.get(&inode).map(|inode| &**inode).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).map(Arc::make_mut).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub fn look_up(&self, path: &Path) -> io::Result<u64> {
        if self.names.is_folder(path) {
            return Err(ErrorKind::IsADirectory.into());
        }
        self.names.get(path).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// A new and empty file that has no name yet.
    pub fn new_inode(&mut self, name: &Path) -> u64 {
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Arc::new(Inode::new(name)));
        self.next_inode
    }

    pub fn create(&mut self, path: &Path) -> io::Result<u64> {
        if self.names.is_folder(path) {
            return Err(ErrorKind::IsADirectory.into());
        }
        if let Some(inode) = self.names.get(path) {
            self.resize(inode, 0)?;
            return Ok(inode);
        }
        self.check_folder(path)?;
        if self.faults.left_bytes == Some(0) {
            return Err(ErrorKind::StorageFull.into());
        }
        let inode = self.new_inode(path);
        self.names.record(Change { gone: None, named: Some((path.to_path_buf(), inode)) });
        Ok(inode)
    }

    pub fn check_folder(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        if self.names.is_folder(folder) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub fn resize(&mut self, inode: u64, bytes: u64) -> io::Result<()> {
        let file = self.inode_mut(inode)?;
        let before = file.claimed();
        file.set_bytes(bytes);
        let given_back = before - file.claimed();
        self.faults.give_back(given_back);
        Ok(())
    }

    /// Writes what fits on the device; with a fate of its own, a part of that.
    pub fn write(&mut self, inode: u64, bytes: &[u8], offset: u64, fate: Fate) -> io::Result<()> {
        let claimed = self.inode(inode)?.claimed();
        let grows = (offset + bytes.len() as u64).saturating_sub(claimed);
        let (mut fits, mut end) = (bytes.len(), Ok(()));
        if let Fate::Torn(error) = fate {
            (fits, end) = (self.rng.random_range(0..=fits), Err(error));
        }
        let missing = grows - self.faults.claim(grows);
        if missing > 0 {
            fits = fits.min(bytes.len().saturating_sub(missing as usize));
            end = end.and(Err(ErrorKind::StorageFull.into()));
        }
        let mut rng = self.rng.clone();
        let file = self.inode_mut(inode)?;
        file.write(&bytes[..fits], offset, &mut rng);
        let name = file.name.clone();
        self.rng = rng;
        self.count(name, Counts { writes: 1, written_bytes: fits as u64, ..Counts::default() });
        end
    }

    pub fn sync(&mut self, inode: u64, fate: Fate) -> io::Result<()> {
        let (mut rng, powered) = (self.rng.clone(), self.powered);
        let file = self.inode_mut(inode)?;
        let name = file.name.clone();
        let end = fate.whole();
        match end {
            Ok(()) => file.sync(),
            // How far it got is what the crash decides.
            Err(_) if !powered => {}
            Err(_) => file.fail_sync(&mut rng),
        }
        self.rng = rng;
        self.count(name, Counts { syncs: 1, ..Counts::default() });
        end
    }

    pub fn count(&mut self, name: PathBuf, counts: Counts) {
        self.counts.entry(name).or_default().add(&counts);
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.look_up(path)?;
        self.names.record(Change { gone: Some(path.to_path_buf()), named: None });
        self.give_back_unnamed(inode)
    }

    /// The place of a file that has lost a name is free if it was the last.
    pub fn give_back_unnamed(&mut self, inode: u64) -> io::Result<()> {
        if !self.names.files().any(|(_, other)| other == inode) {
            let claimed = self.inode(inode)?.claimed();
            self.faults.give_back(claimed);
        }
        Ok(())
    }

    /// Chooses the place of a file ahead, if the device has so much.
    pub fn allocate(&mut self, inode: u64, bytes: u64) -> io::Result<()> {
        let grows = bytes.saturating_sub(self.inode(inode)?.claimed());
        if self.faults.left_bytes.is_some_and(|left| left < grows) {
            return Err(ErrorKind::StorageFull.into());
        }
        self.faults.claim(grows);
        let file = self.inode_mut(inode)?;
        file.claim(bytes);
        if file.bytes() < bytes {
            file.set_bytes(bytes);
        }
        Ok(())
    }

    /// Forgets files that nobody can reach any more.
    pub fn sweep(&mut self) {
        let named = self.names.inodes();
        self.inodes.retain(|inode, _| named.contains(inode) || self.open.contains_key(inode));
    }

    /// Every process ends: handles and locks go.
    pub fn end_life(&mut self) {
        self.life += 1;
        self.powered = true;
        self.last_change = None;
        self.open.clear();
        self.locks.clear();
        for inode in self.inodes.values_mut().filter(|inode| inode.has_lost()) {
            Arc::make_mut(inode).evict();
        }
        self.sweep();
    }

    pub fn crash(&mut self, seed: u64) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.names.crash(&mut rng);
        for inode in self.inodes.values_mut() {
            Arc::make_mut(inode).crash(&mut rng);
        }
        self.end_life();
    }
}
