//! Our own engines, through their public door.

use super::{Each, Store};
use crate::Outcome;
use crate::settings::{Compression, Settings};
use bytes::Bytes;
use quorate::engine::{self, CompressionByLevel, Engine, Lsm, LsmConfig, SyncPolicy, Write};
use quorate_strategies::Choice;
use quorate_strategies::compaction::Compaction;
use std::ops::{Bound, ControlFlow};
use std::path::Path;

pub const ABOUT: &str = "the default compaction strategy with its default settings";

pub struct Quorate(Lsm);

pub fn open(settings: &Settings, folder: &Path, synced: bool) -> Outcome<Quorate> {
    let config = LsmConfig {
        sync: if synced { SyncPolicy::Always } else { SyncPolicy::Never },
        memtable_mib: settings.memtable_mib,
        block_kib: settings.block_kib,
        bloom_bits: settings.bloom_bits,
        cache_mib: settings.cache_mib,
        // As those of the peers are.
        pin_index: true,
        compression: CompressionByLevel::Every(match settings.compression {
            Compression::None => engine::Compression::None,
            Compression::Lz4 => engine::Compression::Lz4,
        }),
        ..LsmConfig::default()
    };
    Ok(Quorate(Lsm::open(&config, folder, Choice::<Compaction>::default().build())?))
}

impl Store for Quorate {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        Ok(self.0.commit(vec![Write::Put { key, value }])?)
    }

    fn get(&self, key: &[u8], show: &mut dyn FnMut(&[u8]) -> Outcome<()>) -> Outcome<bool> {
        match self.0.get(key)? {
            Some(value) => show(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn scan(&self, from: &[u8], limit: usize, each: &mut Each<'_>) -> Outcome<usize> {
        let mut shown = Ok(());
        let count = self.0.scan_with(
            Bound::Included(from),
            Bound::Unbounded,
            limit,
            &mut |key, value| {
                shown = each(key, value);
                if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        )?;
        shown.map(|()| count)
    }

    fn settle(&self) -> Outcome<()> {
        self.0.flush()?;
        Ok(self.0.settle()?)
    }

    fn table_bytes_written(&self) -> Outcome<Option<u64>> {
        let stats = self.0.stats();
        Ok(Some(stats.flushed_bytes + stats.compaction_written_bytes))
    }

    fn tables(&self) -> Outcome<u64> {
        Ok(self.0.stats().tables)
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        Ok(self.0.close()?)
    }
}
