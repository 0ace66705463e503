//! Every strategy through its registry: a new row is measured the moment that it exists.

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use quorate_strategies::compaction::{TableMeta, View};
use quorate_strategies::conflict::{Change, Payload, Stamp};
use quorate_strategies::{
    Choice, Compaction, Conflict, Detection, Family, Member, NodeId, Partitioning, Topology,
};
use std::hint::black_box;

const NODES: u64 = 30;
const REPLICAS: usize = 3;

fn choices<F: Family>() -> impl Iterator<Item = Choice<F>> {
    F::entries().iter().map(|entry| Choice::named(entry.name).expect("a row builds by its name"))
}

fn partitioning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("partitioning");
    let topology = Topology::new(1, (1..=NODES).map(|id| Member::new(NodeId(id))).collect());
    let keys: Vec<String> = (0..1024).map(|key| format!("user{key}")).collect();
    for choice in choices::<Partitioning>() {
        let strategy = choice.build();
        group.bench_function(BenchmarkId::new("place", choice.name()), |bencher| {
            bencher.iter(|| strategy.place(black_box(&topology), REPLICAS));
        });
        let placement = strategy.place(&topology, REPLICAS);
        let mut next = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("lookup", choice.name()), |bencher| {
            bencher.iter(|| {
                let key = next.next().expect("a cycle has no end");
                placement.owners(strategy.token(black_box(key.as_bytes())))[0]
            });
        });
    }
    group.finish();
}

fn conflict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conflict");
    let change = Change::Put(Payload { value: Bytes::from(vec![7; 100]), ..Payload::default() });
    for choice in choices::<Conflict>() {
        let resolver = choice.build();
        let write = |local, actor, time| {
            resolver.apply(local, &change, None, Stamp { actor, time }).expect("a put is taken")
        };
        let old = write(None, 1, 10);
        group.bench_function(BenchmarkId::new("apply", choice.name()), |bencher| {
            bencher.iter(|| write(black_box(None), 1, 20));
        });
        let (left, right) = (write(Some(&old), 1, 20), write(Some(&old), 2, 30));
        group.bench_function(BenchmarkId::new("merge", choice.name()), |bencher| {
            bencher.iter(|| resolver.merge(black_box(&left), black_box(&right)));
        });
        group.bench_function(BenchmarkId::new("answer", choice.name()), |bencher| {
            bencher.iter(|| resolver.answer(black_box(&left), 0));
        });
    }
    group.finish();
}

/// A store of `count` tables: a few fresh ones in level 0, the rest disjoint below.
fn tables(count: u64) -> Vec<TableMeta> {
    let key = |number: u64| Bytes::from(format!("user{number:012}"));
    let table = |id: u64| {
        let fresh = id < 6;
        let level = if fresh { 0 } else { 1 + u32::from(id > count / 10) };
        let (first, last) = if fresh { (0, count * 10) } else { (id * 10, id * 10 + 9) };
        TableMeta {
            id,
            level,
            bytes: 8 << 20,
            entries: 80_000,
            first_key: key(first),
            last_key: key(last),
            min_sequence: (count - id) * 1000,
            max_sequence: (count - id) * 1000 + 999,
            run: if fresh { id } else { 0 },
            ..TableMeta::default()
        }
    };
    (0..count).map(table).collect()
}

fn compaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compaction");
    let tables = tables(5_000);
    for choice in choices::<Compaction>() {
        let picker = choice.build();
        group.bench_function(BenchmarkId::new("pick among 5000", choice.name()), |bencher| {
            bencher
                .iter(|| picker.pick(black_box(&View { tables: &tables, now_s: 0, quiet: false })));
        });
    }
    group.finish();
}

fn detection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detection");
    for choice in choices::<Detection>() {
        let mut detector = choice.build();
        let mut now_us = 0;
        group.bench_function(BenchmarkId::new("heard and verdict", choice.name()), |bencher| {
            bencher.iter(|| {
                now_us += 1_000_000;
                detector.heard(now_us);
                detector.verdict(black_box(now_us + 500_000))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, partitioning, conflict, compaction, detection);
criterion_main!(benches);
