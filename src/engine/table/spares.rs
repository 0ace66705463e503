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
    kept: Mutex<Vec<Spare>>,
}

impl Spares {
    pub fn new(folder: &Folder, limit_bytes: u64) -> Self {
        Spares { folder: folder.clone(), limit_bytes, kept: Mutex::default() }
    }

    /// Of what is kept.
    pub fn bytes(&self) -> u64 {
        self.kept.lock().iter().map(|spare| spare.bytes).sum()
    }

    /// Gives the disk back what is kept.
    pub fn clear(&self) {
        let kept = std::mem::take(&mut *self.kept.lock());
        kept.iter().for_each(|spare| self.folder.remove(&spare.name));
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

    /// The file for a table of about so many bytes: the spare of the nearest length, under the
    /// table's name, or a new one.
    pub fn create(&self, name: &str, bytes: u64) -> Result<Handle, EngineError> {
        let mut kept = self.kept.lock();
        let nearest = (0..kept.len()).min_by_key(|at| kept[*at].bytes.abs_diff(bytes));
        let spare = nearest.map(|at| kept.swap_remove(at));
        drop(kept);
        let Some(spare) = spare else { return self.folder.open(name, Mode::Create) };
        self.folder.rename(&spare.name, name)?;
        self.folder.open(name, Mode::Write)
    }
}

/// Whether a file of this name waits to become a table.
pub fn is_spare(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension == EXTENSION)
}
