//! Files of tables that are gone, kept to be written over by new ones.
//!
//! ```text
//!   table ─ retired, last reader gone ─► spare ─ rename ─► new table ─ cut to its length
//! ```
//!
//! A compaction writes about what it makes superfluous, again and again. A new file takes new
//! blocks from the file system, each with an entry in its journal, and new pages of memory; a
//! removed one gives both back, and on some devices every block is told to be discarded. A file
//! that is written over has all of it already: so the log treats its segments (`wal/pool.rs`), and
//! so do tables here. On ext4 in a virtual machine, 512 KiB at a time, a byte costs 5 ns of the
//! processor in memory that the host has to find first, 1.3 in memory that was just given back, .7
//! where the file was written before.
//!
//! # Invariants
//!
//! * A file is kept only once no durable edit names its table and no reader holds it, so that
//!   nobody misses what is written over. A section's checksum covers the table's number: what is
//!   left of an earlier life never passes for the new table's.
//! * A file that has a second name belongs to a snapshot, and is let go instead.
//! * At most so many bytes are kept.
//!
//! Commits wait for flushes, sooner than for merges: a merge leaves some spares to them.

use crate::engine::EngineError;
use crate::engine::disk::{Folder, Handle, Mode};
use parking_lot::Mutex;

/// What the names of spares end in.
const EXTENSION: &str = "retired";

struct Spare {
    name: String,
    bytes: u64,
}

/// The spares of a folder.
pub struct Spares {
    folder: Folder,
    limit_bytes: u64,
    /// None once they were given up.
    kept: Mutex<Option<Vec<Spare>>>,
}

impl Spares {
    pub fn new(folder: &Folder, limit_bytes: u64) -> Self {
        Spares { folder: folder.clone(), limit_bytes, kept: Mutex::new(Some(Vec::new())) }
    }

    /// Of what is kept.
    pub fn bytes(&self) -> u64 {
        self.kept.lock().iter().flatten().map(|spare| spare.bytes).sum()
    }

    /// Gives the disk back what is kept, and keeps nothing any more.
    pub fn give_up(&self) {
        let kept = self.kept.lock().take();
        kept.iter().flatten().for_each(|spare| self.folder.remove(&spare.name));
    }

    /// Takes over the spares that an earlier life has left. To be called once the folder's manifest
    /// is durable.
    pub fn adopt(&self) -> Result<(), EngineError> {
        for name in self.folder.list()?.iter().filter(|name| is_spare(name)) {
            let handle = self.folder.open(name, Mode::Read)?;
            self.keep(name, &handle, handle.bytes()?);
        }
        Ok(())
    }

    /// Keeps the file of a table that nobody needs any more, or removes it.
    pub(super) fn keep(&self, name: &str, handle: &Handle, bytes: u64) {
        if !self.try_keep(name, handle, bytes) {
            self.folder.remove(name);
        }
    }

    fn try_keep(&self, name: &str, handle: &Handle, bytes: u64) -> bool {
        let mut kept = self.kept.lock();
        let Some(kept) = kept.as_mut() else { return false };
        let held: u64 = kept.iter().map(|spare| spare.bytes).sum();
        if held.saturating_add(bytes) > self.limit_bytes
            || !handle.names().is_ok_and(|names| names == 1)
        {
            return false;
        }
        let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
        let spare = format!("{stem}.{EXTENSION}");
        if name != spare && self.folder.rename(name, &spare).is_err() {
            return false;
        }
        kept.push(Spare { name: spare, bytes });
        true
    }

    /// The one of the nearest length, but none that is more than twice as long, of which too much
    /// would be cut off: somebody else can use it.
    fn take_nearest(&self, bytes: u64, leave: u64) -> Option<Spare> {
        let mut kept = self.kept.lock();
        let kept = kept.as_mut()?;
        let held: u64 = kept.iter().map(|spare| spare.bytes).sum();
        let fits = |at: &usize| kept[*at].bytes / 2 <= bytes && held - kept[*at].bytes >= leave;
        let fitting = (0..kept.len()).filter(fits);
        let nearest = fitting.min_by_key(|at| kept[*at].bytes.abs_diff(bytes))?;
        Some(kept.swap_remove(nearest))
    }

    /// The file for a table of about so many bytes: a spare of about that length, under the table's
    /// name, if at least `leave` bytes of spares are left then; or a new one.
    pub fn create(&self, name: &str, bytes: u64, leave: u64) -> Result<Handle, EngineError> {
        let Some(spare) = self.take_nearest(bytes, leave) else {
            return self.folder.open(name, Mode::Create);
        };
        match self.folder.rename(&spare.name, name) {
            Ok(()) => self.folder.open(name, Mode::Write),
            // Somebody who needed the room has removed it, say: a new file is as good.
            Err(error) => {
                tracing::warn!(spare = spare.name, %error, "cannot write over a former table");
                self.folder.open(name, Mode::Create)
            }
        }
    }
}

/// Whether a file of this name is one that waits to become a table, and nobody else's.
pub fn is_spare(name: &str) -> bool {
    let digits = |stem: &str| stem.len() >= 12 && stem.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('.').is_some_and(|(stem, extension)| extension == EXTENSION && digits(stem))
}
