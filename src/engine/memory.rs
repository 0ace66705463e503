//! The engine that forgets: an ordered map in memory, for tests, benches and the simulator.

use super::{Engine, EngineError, Peek, Stats, SyncPolicy, Write};
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An ordered map behind one lock. `commit` is durable at once, since nothing is.
#[derive(Default)]
pub struct Memory {
    entries: RwLock<BTreeMap<Bytes, Bytes>>,
    writes: AtomicU64,
    reads: AtomicU64,
    /// Keys and values that are held, without the map's own overhead.
    bytes: AtomicU64,
}

impl Memory {
    fn apply(&self, entries: &mut BTreeMap<Bytes, Bytes>, write: &Write) {
        let (key, replaced) = match write {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                // Copies: a slice would keep the whole network message alive that it came in.
                let (own, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                self.bytes.fetch_add((own.len() + value.len()) as u64, Relaxed);
                (key, entries.insert(own, value))
            }
            Write::Remove { key } => (key, entries.remove(key)),
        };
        if let Some(old) = replaced {
            self.bytes.fetch_sub((key.len() + old.len()) as u64, Relaxed);
        }
    }
}

impl Engine for Memory {
    fn commit_with(&self, batch: Vec<Write>, _: Option<SyncPolicy>) -> Result<(), EngineError> {
        let mut entries = self.entries.write();
        for write in &batch {
            self.apply(&mut entries, write);
        }
        self.writes.fetch_add(batch.len() as u64, Relaxed);
        Ok(())
    }

    fn peek(&self, key: &[u8]) -> Result<Peek, EngineError> {
        Ok(self.get(key)?.map_or(Peek::Absent, Peek::Found))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.reads.fetch_add(1, Relaxed);
        Ok(self.entries.read().get(key).cloned())
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.reads.fetch_add(1, Relaxed);
        if super::is_empty(from, to)? {
            return Ok(Vec::new());
        }
        let entries = self.entries.read();
        let found = entries.range::<[u8], _>((from, to)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn stats(&self) -> Stats {
        Stats {
            writes: self.writes.load(Relaxed),
            reads: self.reads.load(Relaxed),
            memtable_bytes: self.bytes.load(Relaxed),
            ..Stats::default()
        }
    }

    fn close(&self) -> Result<(), EngineError> {
        Ok(())
    }
}
