#![allow(clippy::unwrap_used)]

mod crash;
mod merge;
mod model;
mod threads;

use super::*;
use crate::engine::disk::Simulated;
use std::time::Duration;

/// Small enough that a few hundred writes meet every path.
fn options() -> Options {
    Options {
        sync: SyncPolicy::Always,
        sync_interval: Duration::from_millis(5),
        file_bytes: 4_096,
        merge_dead_percent: 50,
        store: 7,
        inline: true,
        now_s: Arc::new(|| 0),
    }
}

fn open_with(disk: &Simulated, options: Options) -> Result<HashLog, EngineError> {
    HashLog::open_with(Folder::new(Arc::new(disk.clone()), Path::new("/db")), options)
}

fn open(disk: &Simulated) -> HashLog {
    open_with(disk, options()).unwrap()
}

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Write {
    let key = Bytes::copy_from_slice(key.as_ref());
    Write::Put { key, value: Bytes::copy_from_slice(value.as_ref()) }
}

fn remove(key: impl AsRef<[u8]>) -> Write {
    Write::Remove { key: Bytes::copy_from_slice(key.as_ref()) }
}

fn everything(engine: &HashLog) -> Vec<(Bytes, Bytes)> {
    engine.scan(Bound::Unbounded, Bound::Unbounded, usize::MAX).unwrap()
}
