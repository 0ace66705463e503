//! A sixteenth of a memtable: a hash table of places, and the arena that they are in.
//!
//! ```text
//!   entry: sequence u64 │ expires u64 │ room u32 │ value bytes u32 │ key bytes u16 │ kind u8
//!          │ key │ value
//! ```
//!
//! `room` is what the value may grow to in its place. A large value is kept apart: its place holds
//! the index of its buffer.

use super::arena::{Arena, At};
use crate::engine::entry::{Found, Item, Kind};
use bytes::Bytes;
use hashbrown::HashTable;

const HEADER_BYTES: usize = 8 + 8 + 4 + 4 + 2 + 1;
/// Values above this are kept apart.
const LARGE_BYTES: usize = 64 << 10;
/// Set in `room` where the value is kept apart.
const APART: u32 = u32::MAX;
/// Of a key beside its entry: its slot in a hash table that is seven eighths full at most and half
/// that after it has grown, and its place in the list of keys.
const KEY_OVERHEAD_BYTES: usize = 16 * 3 / 2 + 8;

/// What an entry takes beside key and value.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + KEY_OVERHEAD_BYTES;

#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    at: At,
}

#[derive(Default)]
pub struct Shard {
    table: HashTable<Slot>,
    arena: Arena,
    /// The first place of each key, in the order in which they came.
    keys: Vec<At>,
    large: Vec<Bytes>,
}

/// The fields in front of key and value.
#[derive(Clone, Copy)]
struct Header {
    sequence: u64,
    expires_s: u64,
    room: u32,
    value_bytes: u32,
    key_bytes: u16,
    kind: Kind,
}

impl Header {
    fn read(bytes: &[u8]) -> Header {
        let (sequence, rest) = bytes.split_first_chunk().expect("an entry has a header");
        let (expires, rest) = rest.split_first_chunk().expect("an entry has a header");
        let (room, rest) = rest.split_first_chunk().expect("an entry has a header");
        let (value_bytes, rest) = rest.split_first_chunk().expect("an entry has a header");
        let (key_bytes, rest) = rest.split_first_chunk().expect("an entry has a header");
        Header {
            sequence: u64::from_le_bytes(*sequence),
            expires_s: u64::from_le_bytes(*expires),
            room: u32::from_le_bytes(*room),
            value_bytes: u32::from_le_bytes(*value_bytes),
            key_bytes: u16::from_le_bytes(*key_bytes),
            kind: Kind::from_code(rest[0]).unwrap_or(Kind::Tombstone),
        }
    }

    fn write(&self, bytes: &mut [u8]) {
        bytes[..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.expires_s.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.room.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.value_bytes.to_le_bytes());
        bytes[24..26].copy_from_slice(&self.key_bytes.to_le_bytes());
        bytes[26] = self.kind.code();
    }
}

impl Shard {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The first places of the keys that came after the first `known`.
    pub fn keys_since(&self, known: usize) -> impl Iterator<Item = &[u8]> {
        self.keys[known..].iter().map(|at| self.key(*at))
    }

    /// The newest place of every key.
    pub fn places(&self) -> impl Iterator<Item = At> {
        self.table.iter().map(|slot| slot.at)
    }

    pub fn key(&self, at: At) -> &[u8] {
        let bytes = self.arena.bytes(at);
        let (_, key_bytes) = bytes[..26].split_last_chunk().expect("an entry has a header");
        &bytes[HEADER_BYTES..HEADER_BYTES + usize::from(u16::from_le_bytes(*key_bytes))]
    }

    fn place(&self, hash: u64, key: &[u8]) -> Option<At> {
        let same = |slot: &Slot| slot.hash == hash && self.key(slot.at) == key;
        self.table.find(hash, same).map(|slot| slot.at)
    }

    pub fn entry(&self, at: At) -> (&[u8], Item<'_>) {
        let bytes = self.arena.bytes(at);
        let Header { kind, expires_s, .. } = Header::read(bytes);
        (self.key(at), Item { kind, expires_s, value: self.value(bytes) })
    }

    fn value<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        let header = Header::read(bytes);
        let start = HEADER_BYTES + usize::from(header.key_bytes);
        if header.room == APART {
            return &self.large[number(&bytes[start..])];
        }
        &bytes[start..start + header.value_bytes as usize]
    }

    pub fn get(&self, hash: u64, key: &[u8]) -> Option<Found> {
        let bytes = self.arena.bytes(self.place(hash, key)?);
        let header = Header::read(bytes);
        let value = if header.room == APART {
            self.large[number(&bytes[HEADER_BYTES + key.len()..])].clone()
        } else {
            Bytes::copy_from_slice(self.value(bytes))
        };
        Some(Found { kind: header.kind, expires_s: header.expires_s, value })
    }

    /// Keeps the entry unless a newer one of the key is there. Answers the memory that it took.
    pub fn put(&mut self, hash: u64, sequence: u64, key: &[u8], item: Item<'_>) -> usize {
        let Some(at) = self.place(hash, key) else {
            let (at, taken) = self.add(sequence, key, item);
            self.keys.push(at);
            self.table.insert_unique(hash, Slot { hash, at }, |slot| slot.hash);
            return taken + KEY_OVERHEAD_BYTES;
        };
        let old = Header::read(self.arena.bytes(at));
        if old.sequence > sequence {
            return 0;
        }
        if old.room != APART && item.value.len() <= old.room as usize {
            self.overwrite(at, Header { sequence, room: old.room, ..header(0, key, item) }, item);
            return 0;
        }
        let (new, taken) = self.add(sequence, key, item);
        let same = |slot: &Slot| slot.hash == hash && slot.at == at;
        if let Some(slot) = self.table.find_mut(hash, same) {
            slot.at = new;
        }
        taken
    }

    fn overwrite(&mut self, at: At, header: Header, item: Item<'_>) {
        let bytes = self.arena.bytes_mut(at);
        header.write(bytes);
        let start = HEADER_BYTES + usize::from(header.key_bytes);
        bytes[start..start + item.value.len()].copy_from_slice(item.value);
    }

    fn add(&mut self, sequence: u64, key: &[u8], item: Item<'_>) -> (At, usize) {
        let mut header = header(sequence, key, item);
        let index = (self.large.len() as u32).to_le_bytes();
        let apart = item.value.len() > LARGE_BYTES;
        let (value, large_bytes) = match apart {
            true => (&index[..], item.value.len()),
            false => (item.value, 0),
        };
        if apart {
            self.large.push(Bytes::copy_from_slice(item.value));
            header.room = APART;
        }
        let bytes = HEADER_BYTES + key.len() + value.len();
        let at = self.arena.reserve(bytes);
        self.overwrite(at, header, Item { value, ..item });
        self.arena.bytes_mut(at)[HEADER_BYTES..][..key.len()].copy_from_slice(key);
        (at, bytes + large_bytes)
    }
}

fn header(sequence: u64, key: &[u8], item: Item<'_>) -> Header {
    Header {
        sequence,
        expires_s: item.expires_s,
        room: item.value.len() as u32,
        value_bytes: item.value.len() as u32,
        key_bytes: key.len() as u16,
        kind: item.kind,
    }
}

fn number(bytes: &[u8]) -> usize {
    let (number, _) = bytes.split_first_chunk().expect("a large value has an index");
    u32::from_le_bytes(*number) as usize
}
