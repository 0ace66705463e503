//! The files that wait to become segments.

use super::segment::{Header, MAX_NUMBER, Spare, numbers, spare_name};
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Handle, Mode};

/// At most so many files of one length.
pub(super) struct Pool {
    folder: Folder,
    segment_bytes: u64,
    limit: usize,
    kept: Vec<Spare>,
    next_id: u64,
}

impl Pool {
    /// Takes over what an earlier life has left, and removes what is of no use. That is also a
    /// spare whose header a power failure has torn: its number is not known, so the next segment
    /// may get the same one, and in this file the records of the earlier one would pass for its
    /// own.
    pub fn adopt(folder: &Folder, segment_bytes: u64, limit: usize) -> Result<Self, EngineError> {
        let names = folder.list()?;
        let half_made = |name: &&String| name.starts_with("spare-") && name.ends_with(".tmp");
        names.iter().filter(half_made).for_each(|name| folder.remove(name));
        let ids = numbers(&names, "spare");
        let next_id = ids.last().map_or(0, |id| id + 1);
        let folder = folder.clone();
        let mut pool = Pool { folder, segment_bytes, limit, kept: Vec::new(), next_id };
        for name in ids.into_iter().map(spare_name) {
            let handle = pool.folder.open(&name, Mode::Write)?;
            if header_of(&handle)?.is_none() {
                tracing::debug!(name, "removing a spare segment without a header");
                pool.folder.remove(&name);
                continue;
            }
            let filled = handle.bytes()?;
            pool.keep(Spare { name, handle, filled })?;
        }
        Ok(pool)
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// A number for the name of one more spare.
    pub fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// Keeps a file for another life if there is room for it and it has the right length.
    pub fn keep(&mut self, spare: Spare) -> Result<(), EngineError> {
        if self.kept.len() < self.limit && spare.handle.bytes()? == self.segment_bytes {
            self.kept.push(spare);
        } else {
            tracing::debug!(name = spare.name, "removing a used segment of the log");
            self.folder.remove(&spare.name);
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub fn take(&mut self) -> Option<Spare> {
        self.kept.pop()
    }

    /// For whoever cannot wait for zeros: a file that was used before is as good as a filled one; a
    /// new one is filled by whoever writes into it.
    pub fn take_at_once(&mut self) -> Result<Spare, EngineError> {
        match self.take() {
            Some(spare) => Ok(spare),
            None => {
                let id = self.take_id();
                Spare::unfilled(&self.folder, id, self.segment_bytes)
            }
        }
    }
}

/// The highest number that a segment of the folder has or had, as far as it can be known.
///
/// Numbers are never given twice, not even those of segments that were dropped or set aside: the
/// records of the earlier segment would pass for records of the later one. Only a number that was
/// lost with a torn header may be, and that file goes.
pub(super) fn highest_number(folder: &Folder) -> Result<u64, EngineError> {
    let names = folder.list()?;
    let named = ["wal", "salvaged"].into_iter().flat_map(|extension| numbers(&names, extension));
    let mut highest = named.max().unwrap_or_default();
    for name in numbers(&names, "spare").into_iter().map(spare_name) {
        let header = header_of(&folder.open(&name, Mode::Read)?)?;
        let number = header.map_or(0, |header| header.number);
        highest = highest.max(Some(number).filter(|number| *number <= MAX_NUMBER).unwrap_or(0));
    }
    Ok(highest)
}

/// What a spare was, or was to be; None where that cannot be read.
fn header_of(handle: &Handle) -> Result<Option<Header>, EngineError> {
    let mut bytes = Header::buffer();
    if handle.bytes()? < bytes.len() as u64 {
        return Ok(None);
    }
    handle.read(&mut bytes, 0)?;
    Ok(Header::decode(handle.path(), &bytes).ok())
}
