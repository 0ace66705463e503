//! The bytes of a file, in pages; a page of zeros costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What the page cache writes back as one.
pub(super) const PAGE: usize = 4096;
/// What the device writes whole or not at all.
pub(super) const SECTOR: usize = 512;

pub(super) type Page = [u8; PAGE];
static ZEROS: Page = [0; PAGE];

/// Pages by number; absent ones are zeros. Clones share them until either side writes.
#[derive(Clone, Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Arc<Page>>,
    bytes: u64,
}

impl Content {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills the buffer; what lies behind the end reads as zeros.
    pub fn read(&self, buffer: &mut [u8], offset: u64) {
        for (page, within, range) in pieces(offset, buffer.len()) {
            let found = self.pages.get(&page).map_or(&ZEROS, |page| page);
            let bytes = range.len();
            buffer[range].copy_from_slice(&found[within..within + bytes]);
        }
    }

    /// Tells which pages have changed.
    pub fn write(&mut self, bytes: &[u8], offset: u64) -> Vec<u64> {
        let mut changed = Vec::new();
        for (page, within, range) in pieces(offset, bytes.len()) {
            let piece = &bytes[range];
            let zeros = *piece == ZEROS[..piece.len()];
            match self.pages.get_mut(&page) {
                None if zeros => continue,
                Some(_) if zeros && piece.len() == PAGE => drop(self.pages.remove(&page)),
                found => {
                    let target = match found {
                        Some(found) => found,
                        None => self.pages.entry(page).or_insert_with(|| Arc::new(ZEROS)),
                    };
                    Arc::make_mut(target)[within..within + piece.len()].copy_from_slice(piece);
                }
            }
            changed.push(page);
        }
        self.bytes = self.bytes.max(offset + bytes.len() as u64);
        changed
    }

    /// Forgets what lies at and behind a place.
    pub fn cut(&mut self, at: u64) {
        let (page, within) = (at / PAGE as u64, (at % PAGE as u64) as usize);
        let mut behind = self.pages.split_off(&page);
        if let Some(mut partial) = behind.remove(&page).filter(|_| within > 0) {
            Arc::make_mut(&mut partial)[within..].fill(0);
            self.pages.insert(page, partial);
        }
        self.bytes = self.bytes.min(at);
    }

    /// Gives the file a length; what lies behind it is forgotten.
    pub fn resize(&mut self, bytes: u64) {
        self.cut(bytes);
        self.bytes = bytes;
    }

    pub fn page(&self, number: u64) -> Option<&Arc<Page>> {
        self.pages.get(&number)
    }

    /// Leaves the length alone.
    pub fn set_page(&mut self, number: u64, page: Option<Arc<Page>>) {
        match page {
            Some(page) => self.pages.insert(number, page),
            None => self.pages.remove(&number),
        };
    }

    /// A page of which each sector is either this content's or the other's, as `newer` says.
    pub fn mixed(&self, other: &Content, number: u64, newer: u8) -> Option<Arc<Page>> {
        let (old, new) = (self.pages.get(&number), other.pages.get(&number));
        old.or(new)?;
        let mut mixed = old.cloned().unwrap_or_else(|| Arc::new(ZEROS));
        let new = new.map_or(&ZEROS, |page| page);
        for sector in (0..PAGE / SECTOR).filter(|sector| newer >> sector & 1 == 1) {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            Arc::make_mut(&mut mixed)[range.clone()].copy_from_slice(&new[range]);
        }
        Some(mixed)
    }

    /// Pages that take memory.
    #[cfg(test)]
    pub fn held_pages(&self) -> usize {
        self.pages.len()
    }
}

/// A stretch of a file as pieces of pages: the page, the place within it, the range within the
/// stretch.
fn pieces(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE as u64) as usize;
        let end = bytes.min(done + PAGE - within);
        let range = done..end;
        done = end;
        (!range.is_empty()).then_some((at / PAGE as u64, within, range))
    })
}
