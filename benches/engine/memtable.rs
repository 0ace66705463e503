//! The memtable alone, on one thread: what a put costs behind the log, what a get costs before any
//! table, and what the flush pays for order. Nothing is durable here.

use super::{RECORDS, VALUE_BYTES, key};
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use quorate::engine::entry::{Cursor, Item, Kind};
use quorate::engine::memtable::Memtable;
use std::hint::black_box;
use std::ops::Bound;
use std::sync::Arc;

const VALUE: [u8; VALUE_BYTES] = [7; VALUE_BYTES];
const ITEM: Item<'static> = Item { kind: Kind::Value, expires_s: 0, value: &VALUE };

/// Each key a batch of its own, as single puts arrive.
fn insert(memtable: &Memtable, keys: &[Bytes], first_sequence: u64) {
    for (sequence, key) in (first_sequence..).zip(keys) {
        memtable.pin().apply(std::iter::once((sequence, &key[..], ITEM)));
    }
}

/// Into an empty memtable, which grows, and over keys that are there.
fn inserts(criterion: &mut Criterion, keys: &[Bytes]) {
    let mut group = criterion.benchmark_group("memtable insert");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    group.bench_function("100,000 new keys", |b| {
        b.iter_batched_ref(
            Memtable::default,
            |memtable| insert(memtable, keys, 1),
            BatchSize::PerIteration,
        )
    });
    let (full, mut sequence) = (Memtable::default(), 1);
    insert(&full, keys, sequence);
    group.bench_function("100,000 keys again", |b| {
        b.iter(|| {
            sequence += RECORDS;
            insert(&full, keys, sequence);
        })
    });
    group.finish();
}

/// Single keys of 100,000, in no order; the absent ones are like the present ones.
fn gets(criterion: &mut Criterion, memtable: &Memtable) {
    let mut group = criterion.benchmark_group("memtable get");
    for (name, first) in [("hit", 0), ("miss", RECORDS)] {
        let wanted: Vec<Bytes> = (first..first + RECORDS).map(key).collect();
        let hits = wanted.iter().filter(|key| memtable.get(key).is_some()).count() as u64;
        assert_eq!(hits, RECORDS - first);
        let mut keys = wanted.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| keys.next().and_then(|key| black_box(memtable.get(key))))
        });
    }
    group.finish();
}

/// `walk` sorts everything and hands it over, as the flush wants it. `cursor` goes through keys
/// whose order an earlier walk has left. `scan 100` copies from there, as a scan of the memtable
/// that takes writes.
fn in_order(criterion: &mut Criterion, memtable: &Arc<Memtable>) {
    let mut group = criterion.benchmark_group("memtable in order");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    group.bench_function("walk 100,000", |b| {
        b.iter(|| {
            let mut entries = 0;
            let walked = memtable.walk(|key, item| {
                entries += u64::from(key.len() + item.value.len() > 0);
                Ok(())
            });
            walked.unwrap();
            assert_eq!(entries, RECORDS);
        })
    });
    group.bench_function("cursor over 100,000", |b| {
        b.iter(|| {
            let mut cursor = memtable.cursor(0);
            let mut entries = 0;
            cursor.seek(b"").unwrap();
            while cursor.is_valid() {
                entries += u64::from(!black_box(cursor.item()).value.is_empty());
                cursor.next().unwrap();
            }
            assert_eq!(entries, RECORDS);
        })
    });
    group.throughput(Throughput::Elements(100));
    let mut next = 0;
    group.bench_function("scan 100", |b| {
        b.iter(|| {
            next += 1;
            let from = key(next * 7 % RECORDS);
            memtable.copy(Bound::Included(&from), Bound::Unbounded, 100)
        })
    });
    group.finish();
}

pub fn memtable(criterion: &mut Criterion) {
    let keys: Vec<Bytes> = (0..RECORDS).map(key).collect();
    inserts(criterion, &keys);
    let memtable = Arc::new(Memtable::default());
    insert(&memtable, &keys, 1);
    gets(criterion, &memtable);
    in_order(criterion, &memtable);
}
