//! The write-ahead log by itself: appending, with and without an `fdatasync`, and reading it back.

use super::{RECORDS, VALUE_BYTES, key};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use parking_lot::Mutex;
use quorate::engine::disk::{Folder, Real};
use quorate::engine::wal::{self, Change, Log, Pace, Salvage, Settings};
use std::hint::black_box;
use std::sync::Arc;

const SEGMENT_BYTES: u64 = 16 << 20;
/// Changes of the group that many waiting writers make.
const GROUP: usize = 64;

/// The log over a folder, as a tree would use it.
struct Wal {
    log: Mutex<Log>,
    folder: Folder,
    _dir: tempfile::TempDir,
}

impl Wal {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Arc::new(Real), dir.path());
        let settings = Settings { segment_bytes: SEGMENT_BYTES, spares: 2, log_id: 1, zeros: true };
        let nothing = wal::replay(&folder, 0, Salvage::No, |_, _, _| Ok(())).unwrap();
        let log = Mutex::new(Log::start(&folder, settings, &nothing).unwrap());
        let wal = Wal { log, folder, _dir: dir };
        wal.tend();
        wal
    }

    fn tend(&self) {
        wal::tend(&self.log, Pace::AtOnce, &|| false).unwrap();
    }

    /// Appends batches of one change, and recycles segments as if they were flushed at once.
    fn append(&self, keys: &[Bytes], value: &[u8]) {
        let batches = keys.iter().map(|key| [Change::put(key, value)]);
        let appended = self.log.lock().append_many(batches).unwrap();
        if appended.switched {
            wal::retire(&self.log, appended.first_sequence - 1).unwrap();
            self.tend();
        }
    }
}

pub fn wal(criterion: &mut Criterion) {
    let keys: Vec<Bytes> = (0..GROUP as u64).map(key).collect();
    let value = [7; VALUE_BYTES];
    let mut group = criterion.benchmark_group("wal");
    let wal = Wal::new();
    group.throughput(Throughput::Elements(1));
    group.bench_function("append 1", |b| b.iter(|| wal.append(&keys[..1], &value)));
    group.bench_function("append 1, sync", |b| {
        b.iter(|| {
            wal.append(&keys[..1], &value);
            wal::sync(&wal.log).unwrap()
        })
    });
    group.throughput(Throughput::Elements(GROUP as u64));
    group.bench_function("append 64", |b| b.iter(|| wal.append(&keys, &value)));
    group.finish();
}

/// Reading a log of all records back, without a memtable to put them into.
pub fn replay(criterion: &mut Criterion) {
    let wal = Wal::new();
    for number in 0..RECORDS {
        let key = key(number);
        let appended = wal.log.lock().append([Change::put(&key, &[7; VALUE_BYTES])]).unwrap();
        if appended.switched {
            wal.tend();
        }
    }
    let mut group = criterion.benchmark_group("wal replay");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    group.bench_function("100,000 records", |b| {
        b.iter(|| {
            let mut bytes = 0;
            let replayed = wal::replay(&wal.folder, 0, Salvage::No, |_, key, item| {
                bytes += key.len() + item.value.len();
                Ok(())
            });
            assert_eq!(replayed.unwrap().changes, RECORDS);
            black_box(bytes)
        })
    });
    group.finish();
}
