//! Every number of a run as CSV, for spreadsheets and notebooks.
//!
//! Column names are an interface (`results/README.md` explains each): they may grow at the end, and
//! are never renamed or moved. An empty field means that there was nothing to measure.

use super::group;
use super::measure;
use super::reader::Run;
use super::trial::{Cell, Latencies, Mode, OperationResult, Target, Trial};
use super::verdict::{self, Verdict};
use super::{ReportError, files};
use std::path::Path;

/// Columns that say which trial a row belongs to; every file starts with them.
const CELL: [&str; 10] = [
    "trial",
    "workload",
    "n",
    "r",
    "w",
    "labels",
    "mode",
    "offered_per_s",
    "outstanding",
    "repeat",
];

const TRIAL: [&str; 11] = [
    "seed",
    "measured_s",
    "achieved_per_s",
    "saturated",
    "operation",
    "operation_per_s",
    "acknowledged",
    "failed",
    "unknown",
    "not_found",
    "invalid",
];

/// Names and percentiles of a latency's columns, between `response_` or `service_` and `_us`.
const PERCENTILES: [(&str, f64); 6] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p99_9", 99.9),
    ("p99_99", 99.99),
];

const COST: [&str; 15] = [
    "targets",
    "targets_missed",
    "lag_p50_us",
    "lag_p99_us",
    "lag_max_us",
    "unsent",
    "server_cpu_us_per_operation",
    "server_cpu_s",
    "load_cpu_s",
    "server_memory_peak_mib",
    "share_top_key",
    "share_top_1_percent",
    "share_top_10_percent",
    "share_top_20_percent",
    "cut",
];

const SERIES: [&str; 9] = [
    "second",
    "operation",
    "acknowledged",
    "failed",
    "unknown",
    "response_p50_us",
    "response_p99_us",
    "response_max_us",
    "service_p99_us",
];

const PROCESSES: [&str; 4] = ["process", "cpu_user_s", "cpu_system_s", "resident_peak_mib"];
const COUNTERS: [&str; 2] = ["counter", "value"];
const MEASURES: [&str; 10] = [
    "measure",
    "unit",
    "value",
    "samples",
    "p25",
    "p75",
    "expected",
    "gap_to_expected",
    "expected_source",
    "about",
];
const FAULTS: [&str; 4] = ["fault", "node", "from_s", "to_s"];

/// Writes all CSV files of the run into `dir`.
pub(super) fn write(dir: &Path, run: &Run) -> Result<(), ReportError> {
    let trials = &run.trials;
    let rows = |of: &dyn Fn(&Trial) -> Vec<Vec<String>>| -> Vec<Vec<String>> {
        let with_cell = |trial: &Trial| -> Vec<Vec<String>> {
            let cell = cell_fields(trial);
            of(trial).into_iter().map(|rest| [cell.clone(), rest].concat()).collect()
        };
        trials.iter().flat_map(with_cell).collect()
    };
    let targets = &run.info.targets;
    let summary = rows(&|trial| {
        trial.operations.iter().map(|operation| trial_fields(trial, operation, targets)).collect()
    });
    table(dir, "trials.csv", &trial_columns(), summary)?;
    table(dir, "series.csv", &strings(&SERIES), rows(&series_rows))?;
    table(dir, "processes.csv", &strings(&PROCESSES), rows(&process_rows))?;
    table(
        dir,
        "counters.csv",
        &strings(&COUNTERS),
        rows(&|trial| {
            trial
                .counters
                .iter()
                .map(|(name, value)| vec![name.clone(), value.to_string()])
                .collect()
        }),
    )?;
    table(dir, "measures.csv", &strings(&MEASURES), rows(&measure_rows))?;
    table(
        dir,
        "faults.csv",
        &strings(&FAULTS),
        rows(&|trial| {
            let row = |fault: &super::trial::FaultWindow| {
                vec![fault.what.clone(), fault.node.clone(), float(fault.from_s), float(fault.to_s)]
            };
            trial.faults.iter().map(row).collect()
        }),
    )
}

fn table(
    dir: &Path,
    name: &str,
    columns: &[String],
    rows: Vec<Vec<String>>,
) -> Result<(), ReportError> {
    let path = dir.join(name);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let write = |writer: &mut csv::Writer<Vec<u8>>| -> Result<(), csv::Error> {
        writer.write_record(CELL.iter().copied().chain(columns.iter().map(String::as_str)))?;
        rows.iter().try_for_each(|row| writer.write_record(row))
    };
    write(&mut writer).map_err(|error| ReportError::io("encode", &path)(error.into()))?;
    let text = writer
        .into_inner()
        .map_err(|error| ReportError::io("encode", &path)(error.into_error()))?;
    files::write_whole(&path, &text)
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn trial_columns() -> Vec<String> {
    let mut columns = strings(&TRIAL);
    for clock in ["response", "service"] {
        columns.extend(PERCENTILES.map(|(name, _)| format!("{clock}_{name}_us")));
        columns.extend(["max", "mean"].map(|name| format!("{clock}_{name}_us")));
    }
    columns.extend(strings(&COST));
    columns
}

fn cell_fields(trial: &Trial) -> Vec<String> {
    let Cell { workload, n, r, w, mode, repeat, labels } = &trial.cell;
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (mode, rate, outstanding) = match mode {
        Mode::Open { rate } => ("open", rate.to_string(), String::new()),
        Mode::Closed { outstanding } => ("closed", String::new(), outstanding.to_string()),
        Mode::Idle => ("none", String::new(), String::new()),
    };
    let levels = [n, r, w].map(u32::to_string);
    let mut fields = vec![trial.id.clone(), workload.clone()];
    fields.extend(levels);
    fields.extend([labels.join(";"), mode.into(), rate, outstanding, repeat.to_string()]);
    fields
}

fn trial_fields(trial: &Trial, operation: &OperationResult, targets: &[Target]) -> Vec<String> {
    let outcomes = &operation.outcomes;
    let mut fields = vec![
        trial.seed.to_string(),
        float(trial.measured_s),
        float(group::achieved(trial)),
        trial.saturated.to_string(),
        operation.kind.clone(),
        float(group::per_second(outcomes.acknowledged, trial)),
    ];
    let counts = [
        outcomes.acknowledged,
        outcomes.failed,
        outcomes.unknown,
        outcomes.not_found,
        outcomes.invalid,
    ];
    fields.extend(counts.map(|count| count.to_string()));
    fields.extend(latency_fields(&operation.response));
    fields.extend(latency_fields(&operation.service));
    fields.extend(cost_fields(trial, &verdict::judge(operation, targets)));
    fields
}

fn latency_fields(latencies: &Latencies) -> Vec<String> {
    let mut fields: Vec<String> =
        PERCENTILES.iter().map(|(_, p)| float(verdict::at(latencies, *p))).collect();
    let mean = if latencies.is_empty() { f64::NAN } else { latencies.mean() };
    fields.extend([float(verdict::at(latencies, 100.0)), float(mean)]);
    fields
}

fn cost_fields(trial: &Trial, verdict: &Verdict) -> Vec<String> {
    let missed = match verdict {
        Verdict::Missed(percentiles) => percentiles.join(" "),
        _ => String::new(),
    };
    let lag = &trial.schedule.lag;
    let mut fields = vec![
        verdict.word().to_string(),
        missed,
        float(verdict::at(lag, 50.0)),
        float(verdict::at(lag, 99.0)),
        float(verdict::at(lag, 100.0)),
        trial.schedule.unsent.to_string(),
        float(group::server_cpu_per_operation_us(trial)),
        float(group::server_cpu_s(trial)),
        float(group::load_cpu_s(trial)),
        float(group::server_memory_mib(trial)),
    ];
    let shares = trial.realised_skew.map(|shares| shares.map(|share| format!("{share:.6}")));
    fields.extend(shares.unwrap_or_default());
    fields.push(trial.cut.to_string());
    fields
}

fn series_rows(trial: &Trial) -> Vec<Vec<String>> {
    let row = |second: &super::trial::Second| {
        let numbers = [
            second.acknowledged,
            second.failed,
            second.unknown,
            second.response_p50_us,
            second.response_p99_us,
            second.response_max_us,
            second.service_p99_us,
        ];
        let mut fields = vec![second.second.to_string(), second.kind.clone()];
        fields.extend(numbers.map(|number| number.to_string()));
        fields
    };
    trial.seconds.iter().map(row).collect()
}

fn process_rows(trial: &Trial) -> Vec<Vec<String>> {
    let row = |process: &super::trial::ProcessUse| {
        let numbers = [process.cpu_user_s, process.cpu_system_s, process.resident_peak_mib];
        let mut fields = vec![process.name.clone()];
        fields.extend(numbers.map(float));
        fields
    };
    trial.processes.iter().map(row).collect()
}

fn measure_rows(trial: &Trial) -> Vec<Vec<String>> {
    let digits = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let row = |it: &measure::Measure| {
        let expected = it.expected.as_ref();
        let gap = expected.and_then(|expected| measure::gap(it.value, expected.value));
        vec![
            it.name.clone(),
            it.unit.clone(),
            it.value.to_string(),
            it.samples.to_string(),
            digits(it.spread.map(|spread| spread.p25)),
            digits(it.spread.map(|spread| spread.p75)),
            digits(expected.map(|expected| expected.value)),
            digits(gap),
            expected.map_or(String::new(), |expected| expected.source.clone()),
            it.about.clone(),
        ]
    };
    trial.measures.iter().map(row).collect()
}

/// Three digits after the point, without trailing zeros; empty when it is no number.
fn float(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
