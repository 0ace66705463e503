//! Batches and their entries as bytes of a file.
//!
//! ```text
//!   batch   checksum u32 │ entries' bytes u32 │ changes u32 │ durable u32 │ entry, entry, …
//!   entry   checksum u32 │ kind u8 │ key bytes u16 │ value bytes u32 │ [expires u64] │ key │ value
//! ```
//!
//! A read fetches one entry, so each entry has its own checksum; the batch's covers its first 16
//! bytes alone. All of them are seeded with the store, the file and the place, so that a block
//! which the disk misplaced does not pass for another. `durable` is how much of this file was on
//! disk for certain when the batch was written: a batch before that which does not verify was not
//! torn, but damaged.

use crate::engine::wal::{MAX_BATCH_BYTES, MAX_KEY_BYTES};
use crate::engine::{EngineError, Write};
use std::path::Path;

pub const HEAD_BYTES: usize = 16;
const ENTRY_HEAD_BYTES: usize = 11;
const EXPIRY_BYTES: usize = 8;

/// What the checksums of one file start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(u32);

impl Seal {
    pub fn new(store: u64, file: u32) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&store.to_le_bytes());
        hasher.update(&file.to_le_bytes());
        Seal(hasher.finalize())
    }

    fn checksum(self, at: u32, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0 ^ at.rotate_left(7));
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// The first bytes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub payload_bytes: u32,
    pub changes: u32,
    pub durable: u32,
}

/// What an entry says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Put(&'a [u8]),
    PutUntil(&'a [u8], u64),
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: &'a [u8],
    pub item: Item<'a>,
    /// All of it, as it lies in the file.
    pub bytes: u32,
}

impl<'a> Entry<'a> {
    pub fn of(write: &'a Write) -> Self {
        let (key, item) = match write {
            Write::Put { key, value } => (key, Item::Put(value)),
            Write::PutUntil { key, value, expires_s } => (key, Item::PutUntil(value, *expires_s)),
            Write::Remove { key } => (key, Item::Remove),
        };
        Entry::new(key, item)
    }

    pub fn new(key: &'a [u8], item: Item<'a>) -> Self {
        let (value, expiry) = match item {
            Item::Put(value) => (value.len(), 0),
            Item::PutUntil(value, _) => (value.len(), EXPIRY_BYTES),
            Item::Remove => (0, 0),
        };
        Entry { key, item, bytes: (ENTRY_HEAD_BYTES + expiry + key.len() + value) as u32 }
    }

    /// Appends it as it stands at place `at` of the file.
    pub fn write(&self, seal: Seal, at: u32, out: &mut Vec<u8>) {
        let start = out.len();
        let (kind, value, expires_s) = match self.item {
            Item::Put(value) => (1, value, None),
            Item::PutUntil(value, expires_s) => (2, value, Some(expires_s)),
            Item::Remove => (3, &[][..], None),
        };
        out.extend_from_slice(&[0; 4]);
        out.push(kind);
        out.extend_from_slice(&(self.key.len() as u16).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        if let Some(expires_s) = expires_s {
            out.extend_from_slice(&expires_s.to_le_bytes());
        }
        out.extend_from_slice(self.key);
        out.extend_from_slice(value);
        let checksum = seal.checksum(at, &out[start + 4..]);
        out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The entry at the beginning of `bytes`, unless it is not whole or its kind is unknown. Its
    /// checksum is not looked at.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..ENTRY_HEAD_BYTES)?;
        let key_bytes = usize::from(u16::from_le_bytes(head[5..7].try_into().ok()?));
        let value_bytes = number(&head[7..11])? as usize;
        let key_at = ENTRY_HEAD_BYTES + if head[4] == 2 { EXPIRY_BYTES } else { 0 };
        let key = bytes.get(key_at..key_at + key_bytes)?;
        let value = bytes.get(key_at + key_bytes..key_at + key_bytes + value_bytes)?;
        let item = match head[4] {
            1 => Item::Put(value),
            2 => {
                let expires = bytes[ENTRY_HEAD_BYTES..key_at].try_into().ok()?;
                Item::PutUntil(value, u64::from_le_bytes(expires))
            }
            3 if value.is_empty() => Item::Remove,
            _ => return None,
        };
        Some(Entry { key, item, bytes: (key_at + key_bytes + value_bytes) as u32 })
    }

    /// The same, but only if the checksum is right.
    pub fn verified(seal: Seal, at: u32, bytes: &'a [u8]) -> Option<Self> {
        let entry = Self::read(bytes)?;
        let expected = number(&bytes[..4])?;
        let found = seal.checksum(at, &bytes[4..entry.bytes as usize]);
        (expected == found).then_some(entry)
    }
}

impl Head {
    /// Where it belongs, at `start` of `out`, which is place `at` of the file.
    pub fn write(&self, seal: Seal, at: u32, out: &mut [u8]) {
        out[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[8..12].copy_from_slice(&self.changes.to_le_bytes());
        out[12..16].copy_from_slice(&self.durable.to_le_bytes());
        let checksum = !seal.checksum(at, &out[4..HEAD_BYTES]);
        out[..4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The head at place `at`, if there is one.
    pub fn read(seal: Seal, at: u32, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEAD_BYTES)?;
        // Most of what is asked is no head at all: look before the checksum is computed.
        let (payload_bytes, changes) = (number(&bytes[4..8])?, number(&bytes[8..12])?);
        if changes == 0 || (changes as usize) * ENTRY_HEAD_BYTES > payload_bytes as usize {
            return None;
        }
        let whole = !seal.checksum(at, &bytes[4..]) == number(bytes)?;
        whole.then_some(Head { payload_bytes, changes, durable: number(&bytes[12..])? })
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.get(..4)?.try_into().ok().map(u32::from_le_bytes)
}

/// Whether a payload at place `at` holds so many entries, all of them intact, and nothing else.
pub fn is_intact(seal: Seal, at: u32, payload: &[u8], changes: u32) -> bool {
    let mut rest = payload;
    for _ in 0..changes {
        let place = at + (payload.len() - rest.len()) as u32;
        match Entry::verified(seal, place, rest) {
            Some(entry) => rest = &rest[entry.bytes as usize..],
            None => return false,
        }
    }
    rest.is_empty()
}

/// The entries of an intact payload with their places.
pub fn entries(at: u32, payload: &[u8]) -> impl Iterator<Item = (u32, Entry<'_>)> {
    let mut used = 0;
    std::iter::from_fn(move || {
        let entry = Entry::read(payload.get(used..)?)?;
        let place = at + used as u32;
        used += entry.bytes as usize;
        Some((place, entry))
    })
}

/// Refuses what the format cannot hold.
pub fn check_batch(dir: &Path, batch: &[Write]) -> Result<(), EngineError> {
    let mut bytes = 0;
    for write in batch {
        let entry = Entry::of(write);
        if entry.key.len() > MAX_KEY_BYTES {
            let what = format!("a key of {} bytes; at most {MAX_KEY_BYTES}", entry.key.len());
            return Err(EngineError::refused(dir, what));
        }
        let value_bytes = match entry.item {
            Item::Put(value) | Item::PutUntil(value, _) => value.len(),
            Item::Remove => 0,
        };
        bytes += ENTRY_HEAD_BYTES + EXPIRY_BYTES + entry.key.len() + value_bytes;
        if bytes > MAX_BATCH_BYTES {
            let what = format!("a batch of more than {MAX_BATCH_BYTES} bytes");
            return Err(EngineError::refused(dir, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SEAL: Seal = Seal(77);

    #[test]
    fn entries_are_read_as_they_were_written() {
        let items = [Item::Put(b"value"), Item::PutUntil(b"", 9), Item::Remove, Item::Put(b"")];
        let mut bytes = Vec::new();
        for item in items {
            let at = 100 + bytes.len() as u32;
            Entry::new(b"key", item).write(SEAL, at, &mut bytes);
        }
        assert!(is_intact(SEAL, 100, &bytes, 4));
        let found: Vec<Item> = entries(100, &bytes).map(|(_, entry)| entry.item).collect();
        assert_eq!(found, items);
        assert!(!is_intact(SEAL, 101, &bytes, 4), "another place");
        assert!(!is_intact(Seal(78), 100, &bytes, 4), "another file");
        assert!(!is_intact(SEAL, 100, &bytes, 3) && !is_intact(SEAL, 100, &bytes, 5));
        for place in 0..bytes.len() * 8 {
            bytes[place / 8] ^= 1 << (place % 8);
            assert!(!is_intact(SEAL, 100, &bytes, 4), "bit {place}");
            bytes[place / 8] ^= 1 << (place % 8);
        }
        for cut in 0..bytes.len() {
            assert!(!is_intact(SEAL, 100, &bytes[..cut], 4));
        }
    }

    #[test]
    fn a_head_counts_at_its_place_alone() {
        let head = Head { payload_bytes: 200, changes: 3, durable: 40 };
        let mut bytes = vec![0; HEAD_BYTES];
        head.write(SEAL, 8, &mut bytes);
        assert_eq!(Head::read(SEAL, 8, &bytes), Some(head));
        assert_eq!(Head::read(SEAL, 9, &bytes), None);
        assert_eq!(Head::read(SEAL, 8, &[0; HEAD_BYTES]), None);
        for place in 0..bytes.len() * 8 {
            bytes[place / 8] ^= 1 << (place % 8);
            assert_eq!(Head::read(SEAL, 8, &bytes), None, "bit {place}");
            bytes[place / 8] ^= 1 << (place % 8);
        }
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused() {
        let key = vec![0; MAX_KEY_BYTES + 1].into();
        let error = check_batch(Path::new("dir"), &[Write::Remove { key }]).unwrap_err();
        assert!(error.to_string().contains("a key of 65536 bytes"), "{error}");
    }
}
