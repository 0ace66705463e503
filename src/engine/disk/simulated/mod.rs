//! A disk in memory that behaves like a bad real one: it forgets, tears, rots and fills up.
//!
//! ```text
//!             reader sees          journal                 the power fails
//!   names     current names ──► changes, per folder ──► a prefix of each folder's is kept
//!   contents  current pages ──► dirty pages ─────────► each page kept, lost or torn by sectors
//!   length    current length ────────────────────────► old, new, or between
//! ```
//!
//! A test opens an engine on [`Simulated`] (clones are the same disk), then ends its life:
//! [`crash`](Simulated::crash) is a power failure, [`kill`](Simulated::kill) ends the processes and
//! leaves every byte that was written. Either answers with the disk as the next process sees it;
//! what was opened before is dead and answers with errors, so a thread of the old life that is
//! still running cannot touch the new one. [`crash_after`](Simulated::crash_after) stops the world
//! amid the n-th change; with [`clone_state`](Simulated::clone_state) one workload is crashed at
//! many points.
//!
//! # What a power failure leaves
//!
//! The worst that ext4 with an ordered journal may do, and a little more:
//!
//! * Creations, renames, removals and links of one folder survive in order: a prefix of those since
//!   the folder was synchronised. Folders are independent of each other. `sync_data` of a file
//!   makes no name durable, although ext4 often does.
//! * A rename that survives may lead to a file whose contents did not: an empty or short file under
//!   the new name is what renaming before `sync_data` gets.
//! * Each page of 4 KiB that was written since `sync_data` is kept, lost, or torn: each of its
//!   sectors of 512 bytes is the new one or the old. Old is what was there before, so a recycled
//!   file shows its former contents. The system also writes pages back of its own accord, so that
//!   an intermediate state may be what survives.
//! * A length is the old one, the new one, or any between; pages that were lost within it are
//!   zeros. What was cut off comes back unless something written behind the cut survives.
//! * A sync that was made to fail has saved some pages and counts all as saved: as on Linux, the
//!   next sync succeeds and still does not save the others. The process still reads them; when it
//!   dies, they are gone.
//!
//! # Invariants
//!
//! * What `sync_data` and `sync_dir` have acknowledged survives every crash.
//! * Equal seeds and equal operations in equal order give equal disks.
//! * A page of zeros costs no memory; clones of the state share pages until they are written.
//!
//! # Caveats: what is left out, and what it would take
//!
//! Nothing is slow: time belongs to whoever simulates it. A rename stays within its folder. Folders
//! are durable at once, as the trait asks, and are never removed. A sector is never torn; that
//! would take a device that lies about its sector size.

mod access;
mod content;
mod faults;
mod inode;
mod names;
mod state;
#[cfg(test)]
mod tests;

pub use faults::{Counts, Fault, Operation};

use super::{Disk, File, Mode};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use state::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A disk in memory, as one process sees it. Clones are the same disk and the same process.
#[derive(Clone)]
pub struct Simulated {
    state: Arc<Mutex<State>>,
    life: u64,
}

impl Simulated {
    /// An empty disk. The seed decides what the system does of its own accord.
    pub fn new(seed: u64) -> Self {
        Simulated { state: Arc::new(Mutex::new(State::new(seed))), life: 0 }
    }

    fn next_life(&self) -> Simulated {
        Simulated { state: Arc::clone(&self.state), life: self.state.lock().life }
    }

    /// The power fails and comes back: what was not synchronised is kept, lost or torn as the seed
    /// decides. Handles, locks and clones of this disk are dead; the answer is the disk as the next
    /// process sees it. Faults stay.
    #[must_use = "this handle is dead afterwards"]
    pub fn crash(&self, seed: u64) -> Simulated {
        self.state.lock().crash(seed);
        self.next_life()
    }

    /// The process dies: all that was written is there, but no more durable than it was. What a
    /// failed sync has lost is gone.
    #[must_use = "this handle is dead afterwards"]
    pub fn kill(&self) -> Simulated {
        self.state.lock().end_life();
        self.next_life()
    }

    /// The n-th change from now (a write, sync, creation, rename …; at least 1) is the last one and
    /// may be done in part; everything behind it fails until [`crash`](Self::crash).
    pub fn crash_after(&self, changes: u64) {
        let mut state = self.state.lock();
        state.last_change = Some(state.changes + changes.max(1));
    }

    /// Whether [`crash_after`](Self::crash_after) has struck.
    pub fn has_power(&self) -> bool {
        self.state.lock().powered
    }

    /// Changes since the disk was made: how far `crash_after` can reach.
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// Another disk of the same state, durable or not, on which no process runs.
    pub fn clone_state(&self) -> Simulated {
        let mut state = self.state.lock().clone();
        state.end_life();
        let life = state.life;
        Simulated { state: Arc::new(Mutex::new(state)), life }
    }

    /// After this many bytes that claim new place the disk is full: writes are done in part, and
    /// creations fail.
    pub fn set_full(&self, left_bytes: u64) {
        self.state.lock().faults.left_bytes = Some(left_bytes);
    }

    pub fn plan(&self, fault: Fault) {
        self.state.lock().faults.planned.push(fault);
    }

    /// Faults that have not struck yet, and lasting ones.
    pub fn planned(&self) -> usize {
        self.state.lock().faults.planned.len()
    }

    /// Refuses every operation on names below a path; open handles stay usable.
    pub fn deny(&self, prefix: &Path) {
        self.state.lock().faults.denied.push(prefix.to_path_buf());
    }

    /// Takes back planned faults, denials and the full disk; what was damaged stays so.
    pub fn heal(&self) {
        self.state.lock().faults = faults::Faults::default();
    }

    /// Every file and its length in bytes, in order.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state.lock();
        let bytes = |inode| state.inodes.get(&inode).map_or(0, |inode| inode.bytes());
        state.names.files().map(|(path, inode)| (path.clone(), bytes(inode))).collect()
    }

    /// What a reader would see, whatever faults are planned.
    pub fn read_raw(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let inode = state.inodes.get(&state.names.get(path)?)?;
        let mut bytes = vec![0; inode.bytes() as usize];
        inode.content().read(&mut bytes, 0);
        Some(bytes)
    }

    /// Puts a file there, durably, in place of the one that has the name: open handles keep the old
    /// one.
    pub fn write_raw(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state.lock();
        let number = state.new_inode(path);
        if let Some(inode) = state.inodes.get_mut(&number).map(Arc::make_mut) {
            inode.fill(bytes);
        }
        state.names.plant(path, number);
    }

    /// Flips one bit, 0 to 7, on the platter and in the cache. False: the file has no such byte.
    pub fn flip(&self, path: &Path, offset: u64, bit: u32) -> bool {
        let mut state = self.state.lock();
        let Some(number) = state.names.get(path) else { return false };
        match state.inodes.get_mut(&number).map(Arc::make_mut) {
            Some(inode) if offset < inode.bytes() => {
                let mut byte = [0];
                inode.content().read(&mut byte, offset);
                inode.damage(&[byte[0] ^ 1 << (bit % 8)], offset);
                true
            }
            _ => false,
        }
    }

    /// Flips one bit somewhere, as the seed decides, and says where; None: no file has a byte.
    pub fn rot(&self, seed: u64) -> Option<(PathBuf, u64, u32)> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut files = self.files();
        files.retain(|(_, bytes)| *bytes > 0);
        if files.is_empty() {
            return None;
        }
        let (path, bytes) = files.swap_remove(rng.random_range(0..files.len()));
        let (offset, bit) = (rng.random_range(0..bytes), rng.random_range(0..8));
        self.flip(&path, offset, bit);
        Some((path, offset, bit))
    }

    /// What was asked of files whose path begins so.
    pub fn counts(&self, prefix: &Path) -> Counts {
        let state = self.state.lock();
        let mut sum = Counts::default();
        for (_, counts) in state.counts.iter().filter(|(path, _)| path.starts_with(prefix)) {
            sum.add(counts);
        }
        sum
    }

    /// Pages held in memory, shared ones counted once per file.
    #[cfg(test)]
    fn held_pages(&self) -> usize {
        self.state.lock().inodes.values().map(|inode| inode.held_pages()).sum()
    }
}
