//! The engines on one disk: puts at each kind of durability, point reads, scans, a mix, recovery.
//!
//! Reads go over 100,000 records of 100 bytes. `lsm/tables` has them all in tables with a warm
//! block cache, `lsm/memtable` all in memory. `put/.../16` is one commit in each of 16 threads.
//! `mixed` is half reads, half overwrites of one record each. `recovery` opens what a crash would
//! leave: all records in the log and none in a table. `wal` is the log alone, as each commit, and
//! each group of them, writes it. `memtable`, `block`, `bloom` and `merge` are those parts without
//! a disk: where the time of a put, a get, a scan or a compaction goes.
//!
//! Absolute figures belong to the machine and its disk; `put/lsm, always` is bound by `fdatasync`.
//! These are short samples for finding a slower step; what an engine sustains, and beside which
//! others, is measured by the bench `peers`.
#![allow(clippy::unwrap_used)]

#[path = "engine/memtable.rs"]
mod memtable;
#[path = "engine/table.rs"]
mod table;
#[path = "engine/wal.rs"]
mod wal;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use quorate::engine::{Engine, Lsm, LsmConfig, Memory, SyncPolicy, Write};
use quorate_strategies::Choice;
use quorate_strategies::compaction::Compaction;
use std::fs;
use std::hint::black_box;
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, Instant};

const RECORDS: u64 = 100_000;
const VALUE_BYTES: usize = 100;

fn key(number: u64) -> Bytes {
    // Spread like YCSB's hashed insert order, so that neighbours in time are none in the key space.
    format!("user{:020}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into()
}

fn put(number: u64) -> Write {
    Write::Put { key: key(number), value: vec![7; VALUE_BYTES].into() }
}

fn lsm(sync: SyncPolicy) -> (tempfile::TempDir, Lsm) {
    let dir = tempfile::tempdir().unwrap();
    let config = LsmConfig { sync, ..LsmConfig::default() };
    let lsm = Lsm::open(&config, dir.path(), Choice::<Compaction>::default().build()).unwrap();
    (dir, lsm)
}

fn fill(engine: &dyn Engine) {
    for start in (0..RECORDS).step_by(1_000) {
        engine.commit((start..start + 1_000).map(put).collect()).unwrap();
    }
}

/// `threads` writers with one commit outstanding each; returns the time until all are done.
fn write_from(engine: &dyn Engine, threads: u64, iterations: u64) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for number in 0..iterations.div_ceil(threads) {
                    engine.commit(vec![put(number * threads + thread)]).unwrap();
                }
            });
        }
    });
    start.elapsed()
}

fn puts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("put");
    group.throughput(Throughput::Elements(1));
    let memory = Memory::default();
    group.bench_function("memory", |b| b.iter_custom(|n| write_from(&memory, 1, n)));
    for (name, sync, threads) in [
        ("lsm, never, 1", SyncPolicy::Never, 1),
        ("lsm, always, 1", SyncPolicy::Always, 1),
        ("lsm, always, 16", SyncPolicy::Always, 16),
    ] {
        let (_dir, lsm) = lsm(sync);
        group.bench_function(name, |b| b.iter_custom(|n| write_from(&lsm, threads, n)));
    }
    group.finish();
    let mut group = criterion.benchmark_group("put a batch of 64");
    group.throughput(Throughput::Elements(64));
    for (name, sync) in [("lsm, never", SyncPolicy::Never), ("lsm, always", SyncPolicy::Always)] {
        let (_dir, lsm) = lsm(sync);
        let mut next = 0;
        let mut batch = || {
            next += 64;
            (next..next + 64).map(|number| put(number % RECORDS)).collect::<Vec<_>>()
        };
        let commit = |batch| lsm.commit(batch).unwrap();
        group.bench_function(name, |b| b.iter_batched(&mut batch, commit, BatchSize::SmallInput));
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let memory = Memory::default();
    let (_memtable_dir, memtable) = lsm(SyncPolicy::Never);
    let (_tables_dir, tables) = lsm(SyncPolicy::Never);
    let engines: [(&str, &dyn Engine); 3] =
        [("memory", &memory), ("lsm/memtable", &memtable), ("lsm/tables", &tables)];
    for (_, engine) in engines {
        fill(engine);
    }
    tables.flush().unwrap();
    tables.settle().unwrap();
    for (name, first) in [("get hit", 0), ("get miss", RECORDS)] {
        let mut group = criterion.benchmark_group(name);
        for (engine_name, engine) in engines {
            let mut next = 0;
            group.bench_function(engine_name, |b| {
                b.iter_batched(
                    || {
                        next += 1;
                        key(first + next * 7 % RECORDS)
                    },
                    |key| black_box(engine.get(&key).unwrap()),
                    BatchSize::SmallInput,
                )
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("scan 100");
    group.throughput(Throughput::Elements(100));
    for (name, engine) in engines {
        let mut next = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                next += 1;
                let from = key(next * 7 % RECORDS);
                engine.scan(Bound::Included(&from), Bound::Unbounded, 100).unwrap()
            })
        });
    }
    group.finish();
}

fn mixed(criterion: &mut Criterion) {
    let memory = Memory::default();
    let (_dir, lsm) = lsm(SyncPolicy::Never);
    let mut group = criterion.benchmark_group("mixed");
    group.throughput(Throughput::Elements(1));
    let engines: [(&str, &dyn Engine); 2] = [("memory", &memory), ("lsm, never", &lsm)];
    for (name, engine) in engines {
        fill(engine);
        let mut next = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                next += 1;
                let number = next * 7 % (RECORDS - 1);
                match next % 2 {
                    0 => black_box(engine.get(&key(number)).unwrap()).is_some(),
                    _ => engine.commit(vec![put(number)]).is_ok(),
                }
            })
        });
    }
    group.finish();
}

/// The files of a folder whose engine is open, as a kill would leave them.
fn crashed(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

fn recovery(criterion: &mut Criterion) {
    let (dir, open) = lsm(SyncPolicy::Never);
    fill(&open);
    let mut group = criterion.benchmark_group("recovery");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    group.bench_function("lsm", |b| {
        b.iter_batched(
            || crashed(dir.path()),
            |dir| {
                let picker = Choice::<Compaction>::default().build();
                let lsm = Lsm::open(&LsmConfig::default(), dir.path(), picker).unwrap();
                assert!(lsm.get(&key(RECORDS - 1)).unwrap().is_some());
                (lsm, dir)
            },
            BatchSize::PerIteration,
        )
    });
    group.finish();
}

criterion_group!(benches, puts, reads, mixed, recovery);
criterion_group!(
    parts_alone,
    wal::wal,
    wal::replay,
    memtable::memtable,
    table::block,
    table::bloom,
    table::merge
);
criterion_main!(benches, parts_alone);
