//! The index in memory: where the newest value of each key lies.

use super::file::{DataFile, Place};
use super::order::Order;
use crate::hash::KeyHash;
use bytes::Bytes;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

/// Bytes that a key costs beside its own: its slot, and the byte by which the table finds it.
const SLOT_BYTES: u64 = 33;

/// Keys and the files that they point to. Who holds its lock sees every batch whole.
#[derive(Default)]
pub struct Index {
    places: HashMap<Box<[u8]>, Place, KeyHash>,
    files: HashMap<u32, Arc<DataFile>>,
    order: Order,
    key_bytes: u64,
}

/// A key with all that is needed to read its value once the lock is released.
pub struct Found {
    pub key: Bytes,
    pub place: Place,
    pub file: Arc<DataFile>,
}

impl Index {
    pub fn add_file(&mut self, file: Arc<DataFile>) {
        self.files.insert(file.number, file);
    }

    pub fn remove_file(&mut self, number: u32) {
        self.files.remove(&number);
    }

    pub fn file(&self, number: u32) -> Option<&Arc<DataFile>> {
        self.files.get(&number)
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.places.contains_key(key)
    }

    pub fn place(&self, key: &[u8]) -> Option<Place> {
        self.places.get(key).copied()
    }

    pub fn get(&self, key: &[u8]) -> Option<(Place, Arc<DataFile>)> {
        let place = self.place(key)?;
        Some((place, Arc::clone(self.files.get(&place.file)?)))
    }

    pub fn put(&mut self, key: &[u8], place: Place) {
        if let Some(file) = self.files.get(&place.file) {
            file.count(|file| &file.live_bytes, place.bytes);
        }
        let old = match self.places.get_mut(key) {
            Some(held) => Some(std::mem::replace(held, place)),
            None => {
                self.places.insert(key.into(), place);
                self.order.insert(key);
                self.key_bytes += key.len() as u64;
                None
            }
        };
        self.uncount(old);
    }

    /// Forgets a key. `tombstone` is where that was written down.
    pub fn remove(&mut self, key: &[u8], tombstone: Place) {
        if let Some(file) = self.files.get(&tombstone.file) {
            file.count(|file| &file.tombstone_bytes, tombstone.bytes);
        }
        self.forget(key);
    }

    fn forget(&mut self, key: &[u8]) {
        let old = self.places.remove(key);
        if old.is_some() {
            self.key_bytes -= key.len() as u64;
        }
        self.uncount(old);
    }

    /// Lets a key point elsewhere, unless it was written meanwhile.
    pub fn relocate(&mut self, key: &[u8], from: Place, to: Place) {
        if self.place(key) == Some(from) {
            self.put(key, to);
        }
    }

    /// Forgets a key, unless it was written meanwhile.
    pub fn expire(&mut self, key: &[u8], place: Place) {
        if self.place(key) == Some(place) {
            self.forget(key);
        }
    }

    fn uncount(&self, old: Option<Place>) {
        if let Some(old) = old
            && let Some(file) = self.files.get(&old.file)
        {
            file.uncount_live(old.bytes);
        }
    }

    pub fn order(&self) -> &Order {
        &self.order
    }

    pub fn order_mut(&mut self) -> &mut Order {
        &mut self.order
    }

    /// A copy of every key, in no order.
    pub fn all_keys(&self) -> Vec<Box<[u8]>> {
        self.places.keys().cloned().collect()
    }

    /// Keys in order, at most `limit`. The order must be made.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Vec<Found> {
        let known = self.order.range(from, to).filter_map(|key| {
            let (place, file) = self.get(key)?;
            Some(Found { key: Bytes::copy_from_slice(key), place, file })
        });
        known.take(limit).collect()
    }

    /// What the index takes, without the room that the table keeps free to grow.
    pub fn memory_bytes(&self) -> u64 {
        self.key_bytes + self.places.len() as u64 * SLOT_BYTES + self.order.memory_bytes()
    }

    pub fn files(&self) -> usize {
        self.files.len()
    }
}
