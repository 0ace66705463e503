#![allow(clippy::unwrap_used)]
//! The model against exact key sets, and against what is known of each strategy.

mod exact;

use super::*;
use quorate_strategies::{Choice, Compaction, Family, Settings};
use serde_json::{Value, json};

/// Forty memtables of data, overwritten five times: memtables of 1,024 entries of 64 KiB.
pub(super) fn workload() -> Workload {
    Workload {
        records: 40_000,
        key_bytes: 16,
        value_bytes: 65_504,
        overhead_bytes: 16,
        memtable_overhead_bytes: 16,
        distribution: Distribution::Uniform,
        operations: 200_000,
        deletes: 0.0,
        ttl_s: 0,
        memtable_bytes: 64 << 20,
    }
}

const MACHINE: Machine =
    Machine { ingest_bytes_per_s: 64e6, compaction_bytes_per_s: None, jobs: 1 };

fn choice(name: &str, settings: Value) -> Choice<Compaction> {
    let settings = settings.as_object().cloned().unwrap();
    Choice::new(name, Settings::from_iter(settings)).unwrap()
}

fn modelled(load: &Workload, choice: &Choice<Compaction>) -> Outcome {
    run(load, MACHINE, &*choice.build(), 50, 1).unwrap()
}

/// Every strategy with its defaults, and with settings that make more levels of little data.
fn subjects() -> Vec<Choice<Compaction>> {
    let defaults = Compaction::entries().iter().map(|entry| choice(entry.name, json!({})));
    let others = [
        choice("leveled", json!({"base_mib": 128, "level_ratio": 4})),
        choice("size_tiered", json!({"min_threshold": 2, "min_run_mib": 0})),
        choice("lazy_leveled", json!({"size_ratio": 3})),
        choice("unified", json!({"scaling": "L4"})),
        choice("time_window", json!({"window_s": 40})),
    ];
    defaults.chain(others).collect()
}

fn compare(load: &Workload) {
    for choice in subjects() {
        let model = modelled(load, &choice);
        let exact = exact::run(load, MACHINE, &*choice.build(), 1);
        let writes = |flushed: f64, compacted: f64| (flushed + compacted) / flushed;
        let found = writes(model.counters.flushed_bytes, model.counters.compaction_written_bytes);
        let wanted = writes(exact.flushed_bytes, exact.compaction_written_bytes);
        assert!((found / wanted - 1.0).abs() < 0.05, "{choice:?}: {found} and not {wanted}");
        let space = model.mean_space / exact.mean_space;
        assert!((space - 1.0).abs() < 0.05, "{choice:?}: space {space}");
    }
}

#[test]
fn uniform_overwrites_cost_what_exact_key_sets_say() {
    compare(&workload());
}

#[test]
fn zipfian_overwrites_cost_what_exact_key_sets_say() {
    compare(&Workload { distribution: Distribution::Zipfian, ..workload() });
}

#[test]
fn writes_in_order_cost_what_exact_key_sets_say() {
    compare(&Workload { distribution: Distribution::Sequential, ..workload() });
}

#[test]
fn deletes_cost_what_exact_key_sets_say() {
    compare(&Workload { deletes: 0.3, ..workload() });
}

#[test]
fn expiry_costs_what_exact_key_sets_say() {
    compare(&Workload { ttl_s: 100, ..workload() });
}
