//! The model of `quorate compaction` against the engine itself, writing the same load.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use quorate::amplification::{
    Distribution, MEMTABLE_OVERHEAD_BYTES, Machine, Workload, run, table_overhead_bytes,
};
use quorate::engine::disk::Simulated;
use quorate::engine::{Background, Engine, Lsm, LsmConfig, SyncPolicy, Write, memtable};
use quorate_strategies::{Choice, Compaction, Settings};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const KEY_BYTES: u64 = 16;
const VALUE_BYTES: u64 = 4_000;
const RECORDS: u64 = 5_000;
const OPERATIONS: u64 = 10_000;

fn workload(distribution: Distribution) -> Workload {
    Workload {
        records: RECORDS,
        key_bytes: KEY_BYTES,
        value_bytes: VALUE_BYTES,
        overhead_bytes: table_overhead_bytes(KEY_BYTES, VALUE_BYTES),
        memtable_overhead_bytes: MEMTABLE_OVERHEAD_BYTES,
        distribution,
        operations: OPERATIONS,
        deletes: 0.0,
        ttl_s: 0,
        memtable_bytes: 1 << 20,
    }
}

/// The strategies, with levels and tables that fit a memtable of 1 MiB.
fn strategies() -> Vec<(&'static str, Value)> {
    vec![
        ("leveled", json!({"base_mib": 2, "level_ratio": 4, "table_mib": 1})),
        ("size_tiered", json!({"min_run_mib": 0, "table_mib": 1})),
        ("lazy_leveled", json!({"table_mib": 1})),
        ("time_window", json!({"table_mib": 1})),
        ("unified", json!({"base_mib": 1, "table_mib": 1})),
        ("unified", json!({"scaling": "L4", "base_mib": 1, "table_mib": 1})),
    ]
}

/// Scattered over the key space, each number its own key.
fn key(number: u64) -> Bytes {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).swap_bytes();
    Bytes::copy_from_slice(&[scattered.to_be_bytes(), number.to_be_bytes()].concat())
}

/// The numbers of the keys that are written, one after the other.
fn writes(distribution: Distribution) -> impl Iterator<Item = u64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let law = |rank: u64| (rank as f64).powf(-0.99);
    let sums: Vec<f64> = (1..=RECORDS)
        .scan(0.0, |sum, rank| {
            *sum += law(rank);
            Some(*sum)
        })
        .collect();
    let operations = (0..OPERATIONS).map(move |at| match distribution {
        Distribution::Sequential => at % RECORDS,
        Distribution::Uniform => random.random_range(0..RECORDS),
        Distribution::Zipfian => {
            let point = random.random::<f64>() * sums[sums.len() - 1];
            sums.partition_point(|sum| *sum < point) as u64
        }
    });
    (0..RECORDS).chain(operations)
}

/// Bytes flushed and compacted by the engine over those that were handed to it.
fn of_the_engine(distribution: Distribution, choice: &Choice<Compaction>) -> f64 {
    let config = LsmConfig {
        sync: SyncPolicy::Never,
        memtable_mib: 1,
        wal_segment_mib: 1,
        cache_mib: 0,
        ..LsmConfig::default()
    };
    let (disk, dir) = (Arc::new(Simulated::new(1)), Path::new("/store"));
    let lsm = Lsm::open_on(disk, dir, &config, choice.build(), Background::Inline).unwrap();
    let value = Bytes::from(vec![7; VALUE_BYTES as usize]);
    for number in writes(distribution) {
        let write = Write::Put { key: key(number), value: value.clone() };
        lsm.commit(vec![write]).unwrap();
    }
    lsm.flush().unwrap();
    lsm.settle().unwrap();
    let stats = lsm.stats();
    let user = (RECORDS + OPERATIONS) * (KEY_BYTES + VALUE_BYTES);
    (stats.flushed_bytes + stats.compaction_written_bytes) as f64 / user as f64
}

fn of_the_model(distribution: Distribution, choice: &Choice<Compaction>) -> f64 {
    let machine = Machine { ingest_bytes_per_s: 1e9, compaction_bytes_per_s: None, jobs: 1 };
    let outcome = run(&workload(distribution), machine, &*choice.build(), 10, 1).unwrap();
    let counters = outcome.counters;
    (counters.flushed_bytes + counters.compaction_written_bytes) / counters.user_bytes
}

fn compare(distribution: Distribution) {
    for (name, settings) in strategies() {
        let settings = Settings::from_iter(settings.as_object().cloned().unwrap());
        let choice = Choice::<Compaction>::new(name, settings).unwrap();
        let engine = of_the_engine(distribution, &choice);
        let model = of_the_model(distribution, &choice);
        let difference = (model / engine - 1.0).abs();
        assert!(difference < 0.1, "{choice:?}: engine {engine:.2}, model {model:.2}");
    }
}

#[test]
fn the_model_counts_what_a_memtable_adds_to_an_entry() {
    assert_eq!(MEMTABLE_OVERHEAD_BYTES, memtable::OVERHEAD_BYTES as u64);
}

#[test]
fn uniform_overwrites_cost_the_engine_what_the_model_says() {
    compare(Distribution::Uniform);
}

#[test]
fn zipfian_overwrites_cost_the_engine_what_the_model_says() {
    compare(Distribution::Zipfian);
}
