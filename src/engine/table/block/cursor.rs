//! Walking over a block's entries.

use super::{Block, Entry, Malformed};
use crate::engine::entry::{Item, Kind};
use bytes::Bytes;

/// A walk over the entries of one block after the other. The key at hand lies in a buffer that is
/// used again and again; the value stays where it is.
#[derive(Clone, Debug, Default)]
pub struct BlockCursor {
    block: Option<Block>,
    /// Where the next entry begins.
    next: usize,
    key: Vec<u8>,
    /// The entry at hand.
    entry: Option<Entry>,
}

impl BlockCursor {
    /// Moves to the first entry of a block.
    pub fn open(&mut self, block: Block) -> Result<(), Malformed> {
        self.block = Some(block);
        self.next = 0;
        self.key.clear();
        self.next()
    }

    /// Moves to the first entry of a block whose key is not below `key`.
    pub fn open_at(&mut self, block: Block, key: &[u8]) -> Result<(), Malformed> {
        let found = block.lower_bound(key);
        self.next = block.entries_end as usize;
        self.block = Some(block);
        self.entry = None;
        if let Some((entry, _)) = found? {
            self.key.clear();
            self.key.extend_from_slice(key.get(..entry.shared).ok_or(Malformed)?);
            self.take(entry);
        }
        Ok(())
    }

    /// Stands nowhere; lets the block go.
    pub fn close(&mut self) {
        self.block = None;
        self.entry = None;
    }

    /// Stands on an entry. The key holds what the entry shares.
    fn take(&mut self, entry: Entry) {
        if let Some(block) = &self.block {
            self.key.extend_from_slice(&block.entries()[entry.suffix_at..entry.value_at]);
        }
        self.next = entry.end;
        self.entry = Some(entry);
    }

    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<(), Malformed> {
        let Some(block) = &self.block else { return Ok(()) };
        let entries = block.entries();
        if self.next >= entries.len() {
            self.entry = None;
            return Ok(());
        }
        let entry = Entry::parse(entries, self.next);
        let Some(entry) = entry.filter(|entry| entry.shared <= self.key.len()) else {
            self.entry = None;
            return Err(Malformed);
        };
        self.key.truncate(entry.shared);
        self.key.extend_from_slice(&entries[entry.suffix_at..entry.value_at]);
        self.next = entry.end;
        self.entry = Some(entry);
        Ok(())
    }

    pub fn is_valid(&self) -> bool {
        self.entry.is_some()
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    #[inline]
    pub fn item(&self) -> Item<'_> {
        match (&self.block, &self.entry) {
            (Some(block), Some(entry)) => Item {
                kind: entry.kind,
                expires_s: entry.expires_s,
                value: &block.entries()[entry.value_at..entry.end],
            },
            _ => Item { kind: Kind::Tombstone, expires_s: 0, value: &[] },
        }
    }

    /// A slice of the block.
    pub fn value(&self) -> Bytes {
        match (&self.block, &self.entry) {
            (Some(block), Some(entry)) => block.bytes.slice(entry.value_at..entry.end),
            _ => Bytes::new(),
        }
    }
}
