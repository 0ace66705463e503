//! Made-up runs for the tests of this folder: plausible in shape, the same every time.

use super::trial::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// The coordinates of a made-up run: every combination is one trial.
pub(super) struct Matrix<'a> {
    pub levels: &'a [(u32, u32)],
    pub workloads: &'a [&'a str],
    pub rates: &'a [f64],
    pub repeats: u32,
    pub seconds: u32,
}

pub(super) fn info() -> RunInfo {
    let target =
        |kind: &str, percentile, below_ms| Target { kind: kind.into(), percentile, below_ms };
    RunInfo {
        experiment: "quorum".into(),
        question: "What do reads and writes pay for each choice of R and W, at equal offered load?"
            .into(),
        backend: "processes".into(),
        targets: vec![
            target("read", 50.0, 1.0),
            target("read", 99.0, 10.0),
            target("write", 50.0, 5.0),
            target("write", 99.0, 50.0),
        ],
        interrupted: false,
        provenance: Provenance {
            command: "quorate experiment experiments/quorum.yaml".into(),
            started_utc: "2026-03-01T12:00:00Z".into(),
            version: "0.1.0".into(),
            commit: "0123456789abcdef-dirty".into(),
            compiler: "rustc 1.95.0".into(),
            profile: "release".into(),
            kernel: "Linux 6.12.0".into(),
            cpu: "Example CPU 3.0 GHz".into(),
            cores: 2,
            memory_gib: 7.8,
            file_system: "ext4".into(),
            seed: 42,
            durability: "always".into(),
        },
    }
}

/// One trial per combination, in the order in which a runner would go through them.
pub(super) fn trials(matrix: &Matrix<'_>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for workload in matrix.workloads {
        for rate in matrix.rates {
            for (r, w) in matrix.levels {
                for repeat in 1..=matrix.repeats {
                    let cell = Cell {
                        workload: workload.to_string(),
                        n: 3,
                        r: *r,
                        w: *w,
                        mode: Mode::Open { rate: *rate },
                        repeat,
                        labels: BTreeMap::from([("conflict".into(), "lww".into())]),
                    };
                    trials.push(trial(trials.len() + 1, cell, matrix.seconds));
                }
            }
        }
    }
    trials
}

fn trial(number: usize, cell: Cell, seconds: u32) -> Trial {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(number as u64);
    let Mode::Open { rate } = cell.mode else { unreachable!("samples are open loops") };
    let reads = if cell.workload.ends_with('a') { 0.5 } else { 0.95 };
    let saturated = rate > 5_000.0 && cell.r + cell.w >= 6;
    let load = 1.0 + (rate / 4_000.0).powi(2);
    let mut lag = latencies();
    let mut operations = Vec::new();
    let mut series = Vec::new();
    for (kind, share, replicas, floor_us) in
        [("read", reads, cell.r, 180.0), ("update", 1.0 - reads, cell.w, 900.0)]
    {
        let base = floor_us * (1.0 + 0.35 * f64::from(replicas)) * load;
        let base = if saturated { base * 60.0 } else { base };
        let mut result = operation(kind);
        for second in 0..seconds {
            let count = (rate * share * random.random_range(0.97..1.03)) as u64;
            let row = measure(&mut random, &mut result, second, count, base, &mut lag);
            series.push(row);
        }
        operations.push(result);
    }
    // Few digits: JSON need not carry every bit of a long fraction.
    let short = |value: f64| (value * 1_000.0).round() / 1_000.0;
    let kilo_operations = rate * f64::from(seconds) / 1_000.0;
    let node = |name: &str, random: &mut Xoshiro256PlusPlus| ProcessUse {
        name: name.into(),
        cpu_user_s: short(random.random_range(0.005..0.009) * kilo_operations),
        cpu_system_s: short(0.004 * kilo_operations),
        resident_peak_mib: short(random.random_range(38.0..46.0)),
    };
    let processes = ["n1", "n2", "n3", "n4", "n5", "load"].map(|name| node(name, &mut random));
    let by_node = BTreeMap::from([("n1".to_string(), operations[0].response.clone())]);
    Trial {
        id: format!("{number:03}"),
        cell,
        seed: 42 + number as u64,
        measured_s: f64::from(seconds),
        cut: false,
        operations,
        by_node,
        seconds: series,
        processes: processes.to_vec(),
        schedule: ScheduleLag { lag, unsent: if saturated { 1_234 } else { 0 } },
        saturated,
        faults: Vec::new(),
        counters: BTreeMap::from([("wal_syncs_total".into(), 1_234.0)]),
        realised_skew: Some([0.0377, 0.4, 0.68, 0.78]),
        measures: Vec::new(),
    }
}

fn operation(kind: &str) -> OperationResult {
    OperationResult {
        kind: kind.into(),
        outcomes: Outcomes::default(),
        response: latencies(),
        service: latencies(),
        errors: BTreeMap::new(),
    }
}

/// One second of one kind: a heavy tail above `base` microseconds.
fn measure(
    random: &mut Xoshiro256PlusPlus,
    result: &mut OperationResult,
    second: u32,
    count: u64,
    base: f64,
    lag: &mut Latencies,
) -> Second {
    let mut of_second = latencies();
    let mut service_of_second = latencies();
    for _ in 0..count {
        let rare: f64 = 1.0 - random.random::<f64>();
        let service = base * (0.6 + 0.35 * rare.powf(-0.45));
        let late = 20.0 + 60.0 * random.random::<f64>();
        lag.saturating_record(late as u64);
        service_of_second.saturating_record(service as u64);
        of_second.saturating_record((service + late) as u64);
    }
    let unknown = if second == 3 && base > 20_000.0 { 12 } else { 0 };
    if unknown > 0 {
        *result.errors.entry("deadline passed before W=3 replicas answered".into()).or_default() +=
            unknown;
    }
    result.outcomes.acknowledged += count;
    result.outcomes.unknown += unknown;
    result.response.add(&of_second).expect("equal bounds");
    result.service.add(&service_of_second).expect("equal bounds");
    Second {
        second,
        kind: result.kind.clone(),
        acknowledged: count,
        failed: 0,
        unknown,
        response_p50_us: of_second.value_at_quantile(0.5),
        response_p99_us: of_second.value_at_quantile(0.99),
        response_max_us: of_second.max(),
        service_p99_us: service_of_second.value_at_quantile(0.99),
    }
}

/// The same trial with nothing acknowledged: every operation failed or is unknown.
pub(super) fn all_lost(mut trial: Trial) -> Trial {
    for operation in &mut trial.operations {
        let lost = operation.outcomes.acknowledged;
        operation.outcomes =
            Outcomes { failed: lost / 2, unknown: lost / 2, ..Outcomes::default() };
        operation.response = latencies();
        operation.service = latencies();
    }
    for second in &mut trial.seconds {
        second.failed = second.acknowledged;
        second.acknowledged = 0;
    }
    trial.by_node.clear();
    trial
}
