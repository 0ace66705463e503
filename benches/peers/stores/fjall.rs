//! fjall with its filters and indexes in memory, as the others have theirs.

use super::{Each, Store};
use crate::Outcome;
use crate::settings::{Compression, Settings};
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    HashRatioPolicy, PartitioningPolicy, PinningPolicy,
};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;
use std::time::Duration;

pub const ABOUT: &str = "leveled compaction, filters and indexes whole and pinned, a hash index \
    in each block; synced puts are a batch each; everything else as it comes (its journals may \
    reach 512 MiB)";

/// fjall does not say when it will rest; it does once nothing has run for this long.
const REST: Duration = Duration::from_millis(500);
/// Slots of a block's hash index for each of its records.
const HASH_RATIO: f32 = 1.0;
const POLL: Duration = Duration::from_millis(20);

pub struct Fjall {
    database: Database,
    records: Keyspace,
    synced: bool,
}

pub fn open(settings: &Settings, folder: &Path, synced: bool) -> Outcome<Fjall> {
    let compression = match settings.compression {
        Compression::None => CompressionType::None,
        Compression::Lz4 => CompressionType::Lz4,
    };
    let database = Database::builder(folder)
        .cache_size(settings.cache_mib << 20)
        .journal_compression(CompressionType::None)
        .max_journaling_size((512 << 20).max(settings.memtable_mib << 21))
        .open()?;
    let bloom = BloomConstructionPolicy::BitsPerKey(settings.bloom_bits as f32);
    let options = || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(settings.memtable_mib << 20)
            .data_block_size_policy(BlockSizePolicy::all((settings.block_kib << 10) as u32))
            .data_block_compression_policy(CompressionPolicy::all(compression))
            .data_block_hash_ratio_policy(HashRatioPolicy::all(HASH_RATIO))
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(bloom)))
            .filter_block_pinning_policy(PinningPolicy::all(true))
            .index_block_pinning_policy(PinningPolicy::all(true))
            .filter_block_partitioning_policy(PartitioningPolicy::all(false))
            .index_block_partitioning_policy(PartitioningPolicy::all(false))
    };
    let records = database.keyspace("records", options)?;
    Ok(Fjall { database, records, synced })
}

impl Store for Fjall {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        if !self.synced {
            return Ok(self.records.insert(key, value)?);
        }
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        batch.insert(&self.records, key, value);
        Ok(batch.commit()?)
    }

    fn get(&self, key: &[u8], show: &mut dyn FnMut(&[u8]) -> Outcome<()>) -> Outcome<bool> {
        match self.records.get(key)? {
            Some(value) => show(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut Each<'_>) -> Outcome<usize> {
        let mut count = 0;
        for record in self.records.range(from..).take(limit) {
            let (key, value) = record.into_inner()?;
            each(&key, &value)?;
            count += 1;
        }
        Ok(count)
    }

    fn settle(&self) -> Outcome<()> {
        self.records.rotate_memtable_and_wait()?;
        let mut resting = Duration::ZERO;
        let mut completed = self.database.compactions_completed();
        while resting < REST {
            std::thread::sleep(POLL);
            let now = self.database.compactions_completed();
            let busy = self.database.active_compactions() + self.database.outstanding_flushes();
            resting = if busy > 0 || now != completed { Duration::ZERO } else { resting + POLL };
            completed = now;
        }
        Ok(())
    }

    fn table_bytes_written(&self) -> Outcome<Option<u64>> {
        Ok(None)
    }

    fn tables(&self) -> Outcome<u64> {
        Ok(self.records.table_count() as u64)
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        Ok(())
    }
}
