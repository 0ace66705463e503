//! One file: what a reader sees, and what is on the platter.

use super::content::{Content, PAGE};
use rand::{Rng, RngExt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub(super) struct Inode {
    /// The last name that it was given, for faults and counters.
    pub name: PathBuf,
    /// What readers see: the page cache.
    current: Content,
    /// What a power failure leaves at least.
    durable: Content,
    /// Pages of `current` that were changed since they were last written back.
    dirty: BTreeSet<u64>,
    /// Pages of `current` that a failed sync has not written and that count as written.
    lost: BTreeSet<u64>,
    /// The shortest length since the last sync, if the file was cut: what was written behind this
    /// place went to new blocks, and reaches the platter only after the cut has.
    cut: Option<u64>,
    /// Bytes for which the place on the device was chosen: writing there never meets a full disk.
    claimed: u64,
}

impl Inode {
    pub fn new(name: &Path) -> Self {
        Inode {
            name: name.to_path_buf(),
            current: Content::default(),
            durable: Content::default(),
            dirty: BTreeSet::new(),
            lost: BTreeSet::new(),
            cut: None,
            claimed: 0,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.current.bytes()
    }

    pub fn claimed(&self) -> u64 {
        self.claimed
    }

    pub fn claim(&mut self, bytes: u64) {
        self.claimed = self.claimed.max(bytes);
    }

    pub fn content(&self) -> &Content {
        &self.current
    }

    /// Now and then a page is written back on its own accord, as the system does after a while: so
    /// that what a power failure leaves of it may be any content that it ever had.
    pub fn write(&mut self, bytes: &[u8], offset: u64, rng: &mut impl Rng) {
        for page in self.current.write(bytes, offset) {
            self.lost.remove(&page);
            self.dirty.insert(page);
        }
        self.claim(offset + bytes.len() as u64);
        if rng.random_ratio(1, 16)
            && let Some(page) = self.random_dirty(rng)
        {
            self.write_back(page);
            self.dirty.remove(&page);
        }
    }

    fn random_dirty(&self, rng: &mut impl Rng) -> Option<u64> {
        let (first, last) = (*self.dirty.first()?, *self.dirty.last()?);
        self.dirty.range(rng.random_range(first..=last)..).next().copied()
    }

    pub fn set_bytes(&mut self, bytes: u64) {
        if bytes < self.current.bytes() {
            self.cut = Some(self.cut.map_or(bytes, |cut| cut.min(bytes)));
            let mut gone = self.dirty.split_off(&(bytes / PAGE as u64));
            self.lost.split_off(&bytes.div_ceil(PAGE as u64));
            if !bytes.is_multiple_of(PAGE as u64) && gone.remove(&(bytes / PAGE as u64)) {
                self.dirty.insert(bytes / PAGE as u64);
            }
            self.claimed = self.claimed.min(bytes);
        }
        self.current.resize(bytes);
    }

    fn commit_cut(&mut self) {
        if let Some(cut) = self.cut.take() {
            self.durable.cut(cut);
        }
    }

    /// What goes to new blocks goes there after the old ones were given up.
    fn order(&mut self, page: u64) {
        if self.cut.is_some_and(|cut| (page + 1) * PAGE as u64 > cut) {
            self.commit_cut();
        }
    }

    fn write_back(&mut self, page: u64) {
        self.order(page);
        self.durable.set_page(page, self.current.page(page).cloned());
    }

    /// Writes some sectors of a page back.
    fn tear(&mut self, page: u64, newer: u8) {
        self.order(page);
        let mixed = self.durable.mixed(&self.current, page, newer);
        self.durable.set_page(page, mixed);
    }

    pub fn sync(&mut self) {
        self.commit_cut();
        for page in std::mem::take(&mut self.dirty) {
            self.write_back(page);
        }
        self.durable.resize(self.current.bytes());
    }

    /// A sync that the device refused: some pages were written, and the system takes all of them
    /// for written, so that the next sync succeeds and still does not save the others.
    pub fn fail_sync(&mut self, rng: &mut impl Rng) {
        for page in std::mem::take(&mut self.dirty) {
            if rng.random() {
                self.write_back(page);
            } else {
                self.lost.insert(page);
            }
        }
    }

    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// The cache forgets pages that it takes for written.
    pub fn evict(&mut self) {
        for page in std::mem::take(&mut self.lost) {
            self.current.set_page(page, self.durable.page(page).cloned());
        }
    }

    /// The power fails.
    pub fn crash(&mut self, rng: &mut impl Rng) {
        if self.cut.is_some() && rng.random() {
            self.commit_cut();
        }
        // Shares of pages that are kept and torn, of eight; the others are lost.
        let (kept, torn) = [(0, 0), (8, 0), (0, 8), (7, 1), (3, 2)][rng.random_range(0..5)];
        for page in std::mem::take(&mut self.dirty) {
            match rng.random_range(0..8) {
                part if part < kept => self.write_back(page),
                part if part < kept + torn => self.tear(page, rng.random()),
                _ => {}
            }
        }
        let length = self.length_after_crash(rng);
        self.durable.resize(length);
        self.current = self.durable.clone();
        self.lost.clear();
        self.cut = None;
        self.claimed = length;
    }

    fn length_after_crash(&self, rng: &mut impl Rng) -> u64 {
        let (old, new) = (self.durable.bytes(), self.current.bytes());
        match rng.random_range(0..4) {
            _ if new <= old => old,
            0 => old,
            1..3 => new,
            _ => rng.random_range(old..=new),
        }
    }

    /// Everything that the file holds, durably.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.dirty.extend(self.current.write(bytes, 0));
        self.claim(bytes.len() as u64);
        self.sync();
    }

    /// Changes what is on the platter and what is seen, as damage does.
    pub fn damage(&mut self, bytes: &[u8], offset: u64) {
        self.current.write(bytes, offset);
        if offset + bytes.len() as u64 <= self.durable.bytes() {
            self.durable.write(bytes, offset);
        }
    }

    #[cfg(test)]
    pub fn held_pages(&self) -> usize {
        self.current.held_pages() + self.durable.held_pages()
    }
}
