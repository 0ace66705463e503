//! Writing a block.

use super::{CROWDED_BUCKET, EMPTY_BUCKET, EXPIRES, SHARED_ELSEWHERE, TRAILER_BYTES, bucket_of};
use crate::engine::codec::put_varint;
use crate::engine::entry::{Item, Kind};

/// Restart points that a bucket can name.
const MOST_HASHED_RESTARTS: usize = 254;
/// Of an entry, beside suffix and value, at most.
const ENTRY_OVERHEAD_BYTES: usize = 20;

/// Collects entries in the order of their keys. Its buffers serve one block after the other.
#[derive(Debug)]
pub struct BlockBuilder {
    restart_interval: usize,
    bytes: Vec<u8>,
    restarts: Vec<u32>,
    since_restart: usize,
    /// Of each entry: the low half of its key's hash, and its restart point. Only with buckets.
    hashed: Vec<(u32, u8)>,
}

impl BlockBuilder {
    /// Every so many entries there is a restart point.
    pub fn new(restart_interval: usize) -> Self {
        BlockBuilder {
            restart_interval: restart_interval.max(1),
            bytes: Vec::new(),
            restarts: Vec::new(),
            since_restart: 0,
            hashed: Vec::new(),
        }
    }

    /// `shared`: all bytes that the key has in common with the one before it. With a hash, the
    /// entry will be found through the buckets; either all entries of a block have one or none.
    pub fn add(&mut self, shared: usize, key: &[u8], item: Item<'_>, hash: Option<u64>) {
        let restart = self.restarts.is_empty() || self.since_restart >= self.restart_interval;
        let shared = if restart { 0 } else { shared };
        if restart {
            self.restarts.push(self.bytes.len() as u32);
            self.since_restart = 0;
        }
        self.since_restart += 1;
        let expires = if item.expires_s == 0 { 0 } else { EXPIRES };
        self.bytes.push((shared.min(SHARED_ELSEWHERE) as u8) << 3 | expires | item.kind.code());
        if shared >= SHARED_ELSEWHERE {
            put_varint(&mut self.bytes, shared as u64);
        }
        put_varint(&mut self.bytes, (key.len() - shared) as u64);
        if item.kind != Kind::Tombstone {
            put_varint(&mut self.bytes, item.value.len() as u64);
        }
        if item.expires_s != 0 {
            put_varint(&mut self.bytes, item.expires_s);
        }
        self.bytes.extend_from_slice(&key[shared..]);
        if item.kind != Kind::Tombstone {
            self.bytes.extend_from_slice(item.value);
        }
        if let Some(hash) = hash {
            let restart = (self.restarts.len() - 1).min(usize::from(u8::MAX)) as u8;
            self.hashed.push((hash as u32, restart));
        }
    }

    /// Size of the block as it stands.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.restarts.len() * 4 + self.buckets() + TRAILER_BYTES
    }

    /// Size of the block with one more entry, or a little more.
    pub fn bytes_with(&self, key: &[u8], item: Item<'_>) -> usize {
        self.bytes() + key.len() + item.value.len() + ENTRY_OVERHEAD_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.restarts.is_empty()
    }

    /// Three keys for four buckets. An odd number, so that no pattern of the hash lines up with it.
    fn buckets(&self) -> usize {
        if self.hashed.is_empty() || self.restarts.len() > MOST_HASHED_RESTARTS {
            return 0;
        }
        ((self.hashed.len() * 4 / 3) | 1).min(usize::from(u16::MAX))
    }

    /// Completes the block. It stays until `clear`.
    pub fn finish(&mut self) -> &[u8] {
        let buckets = self.buckets();
        for restart in &self.restarts {
            self.bytes.extend_from_slice(&restart.to_le_bytes());
        }
        let start = self.bytes.len();
        self.bytes.resize(start + buckets, EMPTY_BUCKET);
        let places = &mut self.bytes[start..];
        for (hash, restart) in self.hashed.iter().filter(|_| buckets > 0) {
            let place = &mut places[bucket_of(u64::from(*hash), buckets)];
            let alone = *place == EMPTY_BUCKET || *place == *restart;
            *place = if alone { *restart } else { CROWDED_BUCKET };
        }
        self.bytes.extend_from_slice(&(buckets as u16).to_le_bytes());
        self.bytes.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        &self.bytes
    }

    /// Begins the next block.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.restarts.clear();
        self.hashed.clear();
    }
}
