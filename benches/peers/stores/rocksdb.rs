//! RocksDB, as its own advice for a machine of two cores has it. Where a setting was in doubt, the
//! one that measured faster here was taken.

use super::{Each, Store};
use crate::Outcome;
use crate::settings::{Compression, Settings};
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DataBlockIndexType, Options, ReadOptions,
    WaitForCompactOptions, WriteOptions, properties,
};
use std::path::Path;

pub const ABOUT: &str = "leveled compaction with dynamic level sizes, 3 memtables, \
    increase_parallelism(2), pipelined writes, HyperClockCache, full Bloom filters, indexes and \
    filters on the heap and not in the cache, a hash index in each block, no statistics; \
    everything else as it comes";

/// The active memtable and two that wait for their flush.
const MEMTABLES: i32 = 3;

pub struct RocksDb {
    db: DB,
    write: WriteOptions,
}

pub fn open(settings: &Settings, folder: &Path, synced: bool) -> Outcome<RocksDb> {
    let compression = match settings.compression {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 => DBCompressionType::Lz4,
    };
    let mut table = BlockBasedOptions::default();
    table.set_block_size((settings.block_kib << 10) as usize);
    table.set_bloom_filter(f64::from(settings.bloom_bits), false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let cache_bytes = (settings.cache_mib << 20) as usize;
    table.set_block_cache(&Cache::new_hyper_clock_cache(cache_bytes, 0));
    let mut options = Options::default();
    options.create_if_missing(true);
    options.increase_parallelism(2);
    options.set_enable_pipelined_write(true);
    options.set_write_buffer_size((settings.memtable_mib << 20) as usize);
    options.set_max_write_buffer_number(MEMTABLES);
    options.set_compression_type(compression);
    options.set_block_based_table_factory(&table);
    let mut write = WriteOptions::default();
    write.set_sync(synced);
    Ok(RocksDb { db: DB::open(&options, folder)?, write })
}

impl Store for RocksDb {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(self.db.put_opt(key, value, &self.write)?)
    }

    fn get(&self, key: &[u8], show: &mut dyn FnMut(&[u8]) -> Outcome<()>) -> Outcome<bool> {
        match self.db.get_pinned(key)? {
            Some(value) => show(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut Each<'_>) -> Outcome<usize> {
        let mut iterator = self.db.raw_iterator_opt(ReadOptions::default());
        iterator.seek(from);
        let mut count = 0;
        while let Some((key, value)) = iterator.item() {
            each(key, value)?;
            count += 1;
            if count == limit {
                break;
            }
            iterator.next();
        }
        iterator.status()?;
        Ok(count)
    }

    fn settle(&self) -> Outcome<()> {
        let mut wait = WaitForCompactOptions::default();
        wait.set_flush(true);
        Ok(self.db.wait_for_compact(&wait)?)
    }

    fn table_bytes_written(&self) -> Outcome<Option<u64>> {
        let text = self.db.property_value(properties::CFSTATS_NO_FILE_HISTOGRAM)?;
        let line = text.as_deref().and_then(|text| text.split("Cumulative compaction: ").nth(1));
        let written = line.and_then(|line| line.split(' ').next()).map(str::parse::<f64>);
        Ok(written.transpose()?.map(|gib| (gib * f64::from(1 << 30)) as u64))
    }

    fn tables(&self) -> Outcome<u64> {
        Ok(self.db.live_files()?.len() as u64)
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}
