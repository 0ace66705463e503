//! The parts of a table alone, on one thread and in memory: blocks of 4 KiB, the Bloom filter, and
//! the merge that scans and compactions walk. Nothing is durable here, but for the tables that the
//! last bench of `merge` reads: they were synchronised when they were built, and are read from the
//! cache of the operating system.

use super::{RECORDS, VALUE_BYTES, key};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use quorate::engine::disk::{Folder, Real};
use quorate::engine::entry::{Cursor, Found, Item, Kind};
use quorate::engine::memtable::{Copied, CopiedCursor};
use quorate::engine::table::{self, Block, BlockBuilder, BlockCursor, Filter};
use quorate::engine::table::{Format, MergeCursor, Origin, RunCursor, Table, TableBuilder};
use std::hint::black_box;
use std::sync::Arc;

const VALUE: [u8; VALUE_BYTES] = [7; VALUE_BYTES];
const ITEM: Item<'static> = Item { kind: Kind::Value, expires_s: 0, value: &VALUE };
/// As the tree writes its tables.
const RESTART_INTERVAL: usize = 8;
/// Runs that are merged; as few as a small leveled tree has, and as many as level 0 may pile up.
const RUNS: [usize; 3] = [2, 8, 32];

fn sorted_keys() -> Vec<Bytes> {
    let mut keys: Vec<Bytes> = (0..RECORDS).map(key).collect();
    keys.sort_unstable();
    keys
}

/// Fills the builder with a block; returns how many keys it took.
fn fill(builder: &mut BlockBuilder, keys: &[Bytes], hash_index: bool) -> usize {
    builder.clear();
    let mut last: &[u8] = &[];
    for (at, key) in keys.iter().enumerate() {
        if builder.bytes_with(key, ITEM) > Format::default().block_bytes {
            return at;
        }
        let shared = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        builder.add(shared, key, ITEM, hash_index.then(|| table::hash(key)));
        last = key;
    }
    keys.len()
}

/// Every entry of one block in turn, found by its restart points alone or by its buckets, too.
/// `build` fills a block and completes it; `seek` puts a cursor on a key, as scans do, which have
/// no use for buckets; `walk` goes over all entries.
pub fn block(criterion: &mut Criterion) {
    let keys = sorted_keys();
    for (name, hash_index) in [("block", false), ("block with hash index", true)] {
        let mut builder = BlockBuilder::new(RESTART_INTERVAL);
        let count = fill(&mut builder, &keys, hash_index);
        let block = Block::open(Bytes::copy_from_slice(builder.finish())).unwrap();
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function("build", |b| {
            b.iter(|| {
                fill(&mut builder, &keys, hash_index);
                builder.finish().len()
            })
        });
        let hashed: Vec<(&Bytes, u64)> =
            keys[..count].iter().map(|key| (key, table::hash(key))).collect();
        assert!(hashed.iter().all(|(key, hash)| block.get(key, *hash).unwrap().is_some()));
        let mut cursor = BlockCursor::default();
        group.bench_function("walk", |b| {
            b.iter(|| {
                cursor.open(block.clone()).unwrap();
                while cursor.is_valid() {
                    black_box(cursor.item());
                    cursor.next().unwrap();
                }
            })
        });
        group.throughput(Throughput::Elements(1));
        let mut wanted = hashed.iter().cycle();
        group.bench_function("get", |b| {
            b.iter(|| wanted.next().map(|(key, hash)| block.get(key, *hash).unwrap()))
        });
        group.bench_function("seek", |b| {
            b.iter(|| {
                let (key, _) = wanted.next().unwrap();
                cursor.open_at(block.clone(), key).unwrap();
                cursor.is_valid()
            })
        });
        group.finish();
    }
}

/// A filter of 10 bits for each of 100,000 keys, and look-ups of keys that it holds and of as many
/// that it does not; of these at most 2 in 100 may pass.
pub fn bloom(criterion: &mut Criterion) {
    let hashes = |first: u64| -> Vec<u64> {
        (first..first + RECORDS).map(|number| table::hash(&key(number))).collect()
    };
    let (present, absent) = (hashes(0), hashes(RECORDS));
    let filter = Filter::new(&present, 10.0);
    let passed = |hashes: &[u64]| hashes.iter().filter(|hash| filter.may_contain(**hash)).count();
    assert_eq!(passed(&present), present.len());
    assert!(passed(&absent) * 100 <= absent.len() * 2);
    let mut group = criterion.benchmark_group("bloom");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("build for 100,000", |b| b.iter(|| Filter::new(&present, 10.0)));
    group.throughput(Throughput::Elements(1));
    for (name, hashes) in [("hit", &present), ("miss", &absent)] {
        let mut hashes = hashes.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| hashes.next().map(|hash| black_box(filter.may_contain(*hash))))
        });
    }
    group.finish();
}

/// Every run takes every so-manieth record, so that the runs interleave at random.
fn runs(count: usize) -> Vec<Vec<Bytes>> {
    let take = |run: usize| {
        let mut keys: Vec<Bytes> = (run as u64..RECORDS).step_by(count).map(key).collect();
        keys.sort_unstable();
        keys
    };
    (0..count).map(take).collect()
}

fn in_memory(keys: &[Bytes]) -> CopiedCursor {
    let found = Found { kind: Kind::Value, expires_s: 0, value: Bytes::from_static(&VALUE) };
    let copied = |key: &Bytes| Copied { key: key.clone(), found: found.clone() };
    CopiedCursor::new(keys.iter().map(copied).collect())
}

fn built(folder: &Folder, id: u64, keys: &[Bytes]) -> Arc<Table> {
    let name = format!("{id:012}.table");
    let mut builder = TableBuilder::create(folder, &name, id, Format::default()).unwrap();
    keys.iter().for_each(|key| builder.add(key, ITEM).unwrap());
    builder.finish(&Origin { min_sequence: id, max_sequence: id, ..Origin::default() }).unwrap();
    Arc::new(Table::open(folder, &name, id, false).unwrap())
}

/// Walks all records through a merge.
fn drain<C: Cursor>(sources: Vec<C>) {
    let mut merge = MergeCursor::new(sources);
    let mut entries = 0;
    merge.seek(b"").unwrap();
    while merge.is_valid() {
        entries += 1;
        black_box(merge.item());
        merge.next().unwrap();
    }
    assert_eq!(entries, RECORDS);
}

/// 100,000 records in so many runs: `in memory` is the merge alone, `tables` reads the blocks and
/// checks them, as a compaction does before it writes.
pub fn merge(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(Arc::new(Real), dir.path());
    let mut group = criterion.benchmark_group("merge");
    group.throughput(Throughput::Elements(RECORDS)).sample_size(20);
    for (first_id, count) in [1, 101, 201].into_iter().zip(RUNS) {
        let runs = runs(count);
        let listed = || runs.iter().map(|run| in_memory(run)).collect::<Vec<_>>();
        group.bench_function(BenchmarkId::new("in memory", count), |b| {
            b.iter_batched(listed, drain, BatchSize::PerIteration)
        });
        let tables: Vec<Arc<Table>> =
            (first_id..).zip(&runs).map(|(id, run)| built(&folder, id, run)).collect();
        let opened = || {
            let run = |table: &Arc<Table>| RunCursor::for_compaction(vec![Arc::clone(table)], 1);
            tables.iter().map(run).collect::<Vec<_>>()
        };
        group.bench_function(BenchmarkId::new("tables", count), |b| {
            b.iter_batched(opened, drain, BatchSize::PerIteration)
        });
    }
    group.finish();
}
