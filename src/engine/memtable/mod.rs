//! The newest entries, in memory: hash tables for point operations, order made only when asked for.
//!
//! ```text
//!   put, get ─► hash of the key ─► one of 16 shards ─► hash table: key ─► place in its arena
//!   scan ─────► sorted lists of keys, made of the keys that came since the last scan
//!   flush ────► all places, sorted once
//! ```
//!
//! A store reads and overwrites single keys far more often than it walks them in order, and an
//! ordered map pays for order with every insertion: a skip list of a million keys costs 2.4 us, an
//! insertion here about 0.3. So nothing is in order until a scan or the flush wants it. A scan
//! sorts the keys that are new since the last one and adds them as one more sorted list; lists of
//! like length are merged, so that there are never more than a few.
//!
//! Keys and values lie in the shard's arena, one after the other. A value that is replaced by one
//! that is no longer is overwritten in its place: a key that is written a thousand times takes the
//! room of one, and the flush writes it once.
//!
//! # Invariants
//!
//! * Of several entries of a key the one with the highest sequence number stays, in whatever order
//!   they come: batches are applied after they have left the log, several at a time.
//! * Who holds the `gate` alone sees every batch whole: writers hold it together.
//! * A key's bytes never change or move; a value's do, under the lock of the shard.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A value that outgrows its place leaves a hole that only the flush gives back. `bytes` counts
//!   holes, so a memtable full of them is flushed early.
//! * A reader copies the value under the shard's lock. Values above 64 KiB are kept apart and
//!   handed out without a copy.

mod arena;
mod order;
mod shard;

use crate::engine::EngineError;
use crate::engine::entry::{Cursor, Found, Item, Rank};
use crate::hash::KeyHash;
use bytes::Bytes;
use order::{Keys, Order};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
pub use shard::OVERHEAD_BYTES;
use shard::Shard;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};

const SHARDS: usize = 16;

/// Memtables stand above level 0: whatever they hold is newer than any table. Of several, the one
/// that takes the writes is the newest.
const NEWEST: Rank = (0, 0);

/// The newest entries of an engine, by key. Any thread may call any method.
#[derive(Default)]
pub struct Memtable {
    shards: [RwLock<Shard>; SHARDS],
    hash: KeyHash,
    /// Held by many from the log on until their batch is applied; by the flush, which waits for
    /// all.
    pins: RwLock<()>,
    /// Held by many while they apply a batch, by one who must see whole batches.
    gate: RwLock<()>,
    /// Frozen, and no batch is on its way any more.
    is_quiet: AtomicBool,
    order: Mutex<Order>,
    bytes: AtomicU64,
    last_sequence: AtomicU64,
}

/// An entry as a scan copied it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    pub key: Bytes,
    pub found: Found,
}

/// A promise to apply a batch: until it is dropped, the flush waits.
pub struct Pin<'a> {
    memtable: &'a Memtable,
    _pinned: RwLockReadGuard<'a, ()>,
}

impl Pin<'_> {
    /// Applies changes that nobody sees in part. A change gives way to a newer one of its key that
    /// came before it.
    pub fn apply<'c>(&self, changes: impl Iterator<Item = (u64, &'c [u8], Item<'c>)>) {
        let memtable = self.memtable;
        let _entered = memtable.gate.read();
        let mut taken = 0;
        for (sequence, key, item) in changes {
            let hash = memtable.hash.hash_one(Raw(key));
            taken += memtable.shard(hash).write().put(hash, sequence, key, item);
        }
        if taken > 0 {
            memtable.bytes.fetch_add(taken as u64, Relaxed);
        }
    }
}

/// A key that is hashed as bytes alone, without its length.
struct Raw<'a>(&'a [u8]);

impl std::hash::Hash for Raw<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

impl Memtable {
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The tables take the lowest bits and the highest seven.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }

    /// Announces a batch. The caller holds the log, so that the memtable is not taken away from the
    /// writers in between.
    pub fn pin(&self) -> Pin<'_> {
        Pin { memtable: self, _pinned: self.pins.read() }
    }

    /// Takes the memtable away from the writers: it will hold everything up to `last_sequence`,
    /// once those who have announced a batch have applied it.
    pub fn freeze(&self, last_sequence: u64) {
        self.last_sequence.store(last_sequence, Relaxed);
    }

    /// Waits until every batch that was announced is in. No new ones come any more.
    pub fn quiesce(&self) {
        if !self.is_quiet.load(Acquire) {
            drop(self.pins.write());
            self.is_quiet.store(true, Release);
        }
    }

    /// The newest entry of a key, a tombstone, too. A value of up to 64 KiB is a copy.
    pub fn get(&self, key: &[u8]) -> Option<Found> {
        let hash = self.hash.hash_one(Raw(key));
        self.shard(hash).read().get(hash, key)
    }

    /// Memory that is taken, holes included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The newest sequence number of a frozen memtable.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.read().is_empty())
    }

    /// Keys, tombstones included.
    pub fn entries(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Hands over every entry in key order. For a memtable that takes no more writes: the shards
    /// stay locked until the end.
    ///
    /// # Errors
    /// The first one of `entry`, which ends the walk.
    pub fn walk(
        &self,
        mut entry: impl FnMut(&[u8], Item<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let shards: Vec<_> = self.shards.iter().map(|shard| shard.read()).collect();
        for place in order::sorted_places(&shards) {
            let (key, item) = shards[usize::from(place.shard)].entry(place.at);
            entry(key, item)?;
        }
        Ok(())
    }

    /// Copies entries from `from` on, up to and with the `limit`-th that is no tombstone: as many
    /// as a scan of `limit` can need from the newest source. All of a batch is seen or nothing.
    pub fn copy(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, limit: usize) -> Vec<Copied> {
        // Most of the sorting happens while writers go on.
        self.keys();
        let _alone = self.gate.write();
        let keys = self.keys();
        let mut copied = Vec::new();
        let mut live = 0;
        for key in keys.iter(from, to) {
            if live == limit {
                break;
            }
            if let Some(found) = self.get(key) {
                live += usize::from(found.kind != crate::engine::entry::Kind::Tombstone);
                copied.push(Copied { key: Bytes::copy_from_slice(key), found });
            }
        }
        copied
    }

    /// All keys up to now, in order.
    fn keys(&self) -> Keys {
        self.order.lock().catch_up(&self.shards)
    }

    /// Walks a frozen memtable, than which `newer` others are newer; waits for the batches that are
    /// still on their way into it.
    pub fn cursor(self: &Arc<Self>, newer: usize) -> MemtableCursor {
        self.quiesce();
        let (keys, memtable) = (self.keys().into_walk(), Arc::clone(self));
        MemtableCursor { memtable, keys, found: None, rank: (0, newer as u64) }
    }
}

/// A walk over a frozen memtable.
pub struct MemtableCursor {
    memtable: Arc<Memtable>,
    keys: order::Walk,
    found: Option<Found>,
    rank: Rank,
}

impl MemtableCursor {
    fn load(&mut self) {
        self.found = self.keys.key().and_then(|key| self.memtable.get(key));
    }
}

impl Cursor for MemtableCursor {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.keys.seek(key);
        self.load();
        Ok(())
    }

    fn next(&mut self) -> Result<(), EngineError> {
        self.keys.next();
        self.load();
        Ok(())
    }

    fn is_valid(&self) -> bool {
        self.found.is_some()
    }

    fn key(&self) -> &[u8] {
        self.keys.key().unwrap_or_default()
    }

    fn item(&self) -> Item<'_> {
        let found = self.found.as_ref().expect("only a valid cursor is asked");
        Item { kind: found.kind, expires_s: found.expires_s, value: &found.value }
    }

    fn value(&self) -> Bytes {
        self.found.as_ref().expect("only a valid cursor is asked").value.clone()
    }

    fn rank(&self) -> Rank {
        self.rank
    }
}

/// A walk over what a scan copied out of the memtable that takes writes.
pub struct CopiedCursor {
    entries: Vec<Copied>,
    at: usize,
}

impl CopiedCursor {
    /// Over entries in the order of their keys, as [`Memtable::copy`] returns them.
    pub fn new(entries: Vec<Copied>) -> Self {
        let at = entries.len();
        CopiedCursor { entries, at }
    }

    fn entry(&self) -> &Copied {
        &self.entries[self.at]
    }
}

impl Cursor for CopiedCursor {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.at = self.entries.partition_point(|entry| entry.key < key);
        Ok(())
    }

    fn next(&mut self) -> Result<(), EngineError> {
        self.at += 1;
        Ok(())
    }

    fn is_valid(&self) -> bool {
        self.at < self.entries.len()
    }

    fn key(&self) -> &[u8] {
        &self.entry().key
    }

    fn item(&self) -> Item<'_> {
        let found = &self.entry().found;
        Item { kind: found.kind, expires_s: found.expires_s, value: &found.value }
    }

    fn value(&self) -> Bytes {
        self.entry().found.value.clone()
    }

    fn rank(&self) -> Rank {
        NEWEST
    }
}

#[cfg(test)]
mod tests;
