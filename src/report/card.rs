//! The summary card: one fixed table that a run ends with.

use super::group::{self, Group, Names};
use super::measure_tables;
use super::reader::Run;
use super::text_table::{Align, Column, TextTable};
use super::trial::{BACKEND_LABEL, Mode, OperationResult, SIMULATION, Target, Trial};
use super::verdict::{self, Verdict};
use super::{number, number::NONE};
use std::collections::BTreeMap;
use std::fmt;

/// Columns of `summary.txt` and of a terminal whose width is not known.
const WIDTH: usize = 120;

/// So many trials and operations with invalid data are named; the rest are counted.
const PLACES: usize = 5;

/// What a run came to. Displays as the card, 120 columns wide; [`Summary::card`] fits other widths.
#[derive(Clone, Debug)]
pub struct Summary {
    run: Run,
    /// The folder the run was read from.
    pub dir: std::path::PathBuf,
    /// Rows (trial and kind of operation) that missed a target or had no data for it.
    pub missed: usize,
    /// Acknowledged reads of all trials that returned a value which nobody had written for that
    /// key. One is enough to condemn the store, or the load.
    pub invalid: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.card(WIDTH))
    }
}

impl Summary {
    pub(super) fn new(dir: &std::path::Path, run: Run) -> Self {
        let missed = verdict::count_missed(&run.trials, &run.info.targets);
        let operations = run.trials.iter().flat_map(|trial| &trial.operations);
        let invalid = operations.map(|operation| operation.outcomes.invalid).sum();
        Self { run, dir: dir.to_path_buf(), missed, invalid }
    }

    /// The run behind the card.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The card for a terminal of `width` columns. Below about 120 the least important columns are
    /// left out, from the service time on; they are all in `trials.csv`.
    pub fn card(&self, width: usize) -> String {
        let groups = group::groups(&self.run.trials);
        let names = Names::of(&self.run.trials);
        let mut text = self.heading(width);
        self.push_tables(&mut text, &groups, &names, width);
        let mut notes = measure_tables::notes(&self.run.trials);
        notes.extend(self.skew());
        notes.extend(self.errors());
        notes.extend(self.reading_help());
        notes.extend(self.provenance());
        text.push('\n');
        notes.iter().for_each(|(name, note)| wrap(&mut text, name, note, width));
        text
    }

    /// A run may have no load, or nothing but latencies.
    fn push_tables(&self, text: &mut String, groups: &[Group<'_>], names: &Names, width: usize) {
        let trials = &self.run.trials;
        if trials.iter().any(|trial| !trial.operations.is_empty()) {
            text.push('\n');
            text.push_str(&latency_table(groups, names, &self.run.info.targets).render(width));
        }
        if trials.iter().any(|trial| !trial.processes.is_empty()) {
            text.push_str("\nWhat it cost, and how well the load kept its schedule\n");
            text.push_str(&cost_table(groups, names).render(width));
        }
        text.push_str(&measure_tables::text(trials, groups, names, width));
    }

    fn heading(&self, width: usize) -> String {
        let info = &self.run.info;
        let trials = &self.run.trials;
        let finished = trials.iter().filter(|trial| !trial.cut).count();
        let plural = if finished == 1 { "" } else { "s" };
        let mut text = String::new();
        let backend = info.backend_in_title().map_or(String::new(), |name| format!(" ({name})"));
        wrap(&mut text, "", &format!("{}{backend}: {}", info.experiment, info.question), width);
        if info.interrupted {
            let cut = if finished < trials.len() { "; the last one was CUT short" } else { "" };
            text.push_str(&format!("INTERRUPTED after {finished} finished trial{plural}{cut}\n"));
        }
        if self.invalid > 0 {
            wrap(&mut text, "", &self.accusation(), width);
        }
        text
    }

    /// What must not be overlooked: data that nobody wrote, and where.
    fn accusation(&self) -> String {
        let mut places = Vec::new();
        for trial in &self.run.trials {
            for operation in trial.operations.iter().filter(|all| all.outcomes.invalid > 0) {
                let count = number::grouped(operation.outcomes.invalid as f64);
                places.push(format!("trial {} {} {count}", trial.id, operation.kind));
            }
        }
        let more = places.len().saturating_sub(PLACES);
        places.truncate(PLACES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!(
            "INVALID DATA: {} acknowledged reads returned a value that nobody wrote for that key \
             ({}{more}). Do not trust anything below.",
            number::grouped(self.invalid as f64),
            places.join(", ")
        )
    }

    fn skew(&self) -> Vec<(String, String)> {
        let mut by_workload: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
        for trial in &self.run.trials {
            if let Some(skew) = trial.realised_skew {
                by_workload.entry(&trial.cell.workload).or_insert(skew);
            }
        }
        let line = |(workload, skew): (&str, [f64; 4])| {
            let [top, one, ten, twenty] = skew.map(|share| format!("{:.1} %", share * 100.0));
            let text = format!(
                "{workload}: top key {top} of requests, top 1 % of keys {one}, 10 % {ten}, \
                 20 % {twenty}"
            );
            ("skew".to_string(), text)
        };
        by_workload.into_iter().map(line).collect()
    }

    /// The five most frequent error messages of the run.
    fn errors(&self) -> Vec<(String, String)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for operation in self.run.trials.iter().flat_map(|trial| &trial.operations) {
            for (message, count) in &operation.errors {
                *counts.entry(message).or_default() += count;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let line = |(message, count): &(&str, u64)| {
            ("errors".to_string(), format!("{} × {message}", number::grouped(*count as f64)))
        };
        counts.iter().take(5).map(line).collect()
    }

    fn reading_help(&self) -> Vec<(String, String)> {
        let targets = &self.run.info.targets;
        let mut notes = Vec::new();
        if !targets.is_empty() {
            notes.push(("targets".into(), targets.iter().map(target_name).collect::<Vec<_>>()));
        }
        let mut notes: Vec<(String, String)> =
            notes.into_iter().map(|(name, all): (String, _)| (name, all.join(", "))).collect();
        notes.push((
            "latency".into(),
            "of acknowledged operations, from the intended start (response) or from the send \
             (service)"
                .into(),
        ));
        if self.run.trials.iter().any(|trial| trial.saturated) {
            notes.push((
                "SATURATED".into(),
                "the load was not kept up with: response times measure the growing backlog, not \
                 the store; offer less"
                    .into(),
            ));
        }
        if self.run.trials.iter().any(|trial| trial.cell.repeat > 1) {
            notes.push(("spread".into(), "median of the repeats; beneath it their min–max".into()));
        }
        notes
    }

    /// How long the simulated trials measured, on their own clocks; empty where all were real.
    fn virtual_time(&self) -> String {
        let simulated = |trial: &&Trial| match trial.cell.labels.get(BACKEND_LABEL) {
            Some(backend) => backend == SIMULATION,
            None => self.run.info.backend == SIMULATION,
        };
        let seconds: f64 =
            self.run.trials.iter().filter(simulated).map(|trial| trial.measured_s).sum();
        match seconds {
            0.0 => String::new(),
            seconds => format!(", {} s of virtual time measured", number::grouped(seconds)),
        }
    }

    fn provenance(&self) -> Vec<(String, String)> {
        let info = &self.run.info;
        let p = &info.provenance;
        let line = |name: &str, text: String| (name.to_string(), text);
        vec![
            line(
                "machine",
                format!(
                    "{}, {} cores, {:.1} GiB, {}, {}",
                    p.cpu, p.cores, p.memory_gib, p.kernel, p.file_system
                ),
            ),
            line(
                "build",
                format!(
                    "quorate {} commit {} ({}, {})",
                    p.version, p.commit, p.profile, p.compiler
                ),
            ),
            line(
                "run",
                format!(
                    "{} · backend {}{} · durability {} · seed {} · {}",
                    p.started_utc,
                    info.backend,
                    self.virtual_time(),
                    p.durability,
                    p.seed,
                    p.command
                ),
            ),
        ]
    }
}

/// `read p99 < 10 ms`.
fn target_name(target: &Target) -> String {
    let percentile = number::percentile(target.percentile);
    format!("{} {percentile} < {} ms", target.kind, target.below_ms)
}

/// Appends `name  note`, broken at blanks to `width` with the continuation indented; without a name
/// nothing is indented.
fn wrap(text: &mut String, name: &str, note: &str, width: usize) {
    let indent = if name.is_empty() { 0 } else { 11 };
    let mut column = indent;
    text.push_str(&format!("{name:<indent$}"));
    for (index, word) in note.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            text.push_str(&format!("\n{:indent$}", ""));
            column = indent;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

fn latency_table(groups: &[Group<'_>], names: &Names, targets: &[Target]) -> TextTable {
    let mut table = TextTable::new(vec![
        Column::new("", "R,W", Align::Left, 0),
        Column::new("", "with", Align::Left, 0),
        Column::new("", "workload", Align::Left, 0),
        Column::new("offered", "1/s", Align::Right, 1),
        Column::new("achieved", "1/s", Align::Right, 4),
        Column::new("", "operation", Align::Left, 0),
        Column::new("p50", "ms", Align::Right, 0),
        Column::new("p99", "ms", Align::Right, 0),
        Column::new("p99.9", "ms", Align::Right, 5),
        Column::new("service", "p99 ms", Align::Right, 7),
        Column::new("", "targets", Align::Left, 0),
        Column::new("", "failed", Align::Right, 2),
        Column::new("", "unknown", Align::Right, 3),
        Column::new("", "load", Align::Left, 0),
    ]);
    for (index, group) in groups.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| groups[before].cell);
        if before.is_some_and(|cell| new_block(cell, group.cell)) {
            table.rule();
        }
        for (row, kind) in group.kinds().into_iter().enumerate() {
            let mut cells = coordinates(group, names, row == 0);
            cells.extend(measures(group, kind, targets));
            cells.push(saturation(group, row == 0));
            table.row(cells);
            if group.trials.len() > 1 {
                table.row(spreads(group, kind, row == 0));
            }
        }
    }
    table
}

/// A rule separates workloads and offered loads, whichever varies more slowly.
fn new_block(before: &super::trial::Cell, cell: &super::trial::Cell) -> bool {
    before.workload != cell.workload
        || (before.mode != cell.mode && !group::same_line(before, cell))
}

fn coordinates(group: &Group<'_>, names: &Names, first: bool) -> Vec<String> {
    if !first {
        return vec![String::new(); 5];
    }
    let cell = group.cell;
    let offered = match cell.mode {
        Mode::Open { rate } => number::count(rate),
        Mode::Closed { outstanding } => format!("closed {outstanding}"),
        Mode::Idle => NONE.into(),
    };
    let achieved = number::median(&group.each(group::achieved));
    vec![
        names.levels(cell),
        names.labels(cell),
        cell.workload.clone(),
        offered,
        achieved.map_or(NONE.into(), number::count),
    ]
}

fn measures(group: &Group<'_>, kind: &str, targets: &[Target]) -> Vec<String> {
    let operations = group.operations(kind);
    let at = |values: Vec<f64>| number::median(&values).map_or(NONE.into(), number::ms);
    let sum = |count: fn(&OperationResult) -> u64| {
        number::grouped(operations.iter().map(|operation| count(operation)).sum::<u64>() as f64)
    };
    vec![
        kind.to_string(),
        at(group::each_at(&operations, |operation| &operation.response, 50.0)),
        at(group::each_at(&operations, |operation| &operation.response, 99.0)),
        at(group::each_at(&operations, |operation| &operation.response, 99.9)),
        at(group::each_at(&operations, |operation| &operation.service, 99.0)),
        verdict_words(&operations, targets),
        sum(|operation| operation.outcomes.failed),
        sum(|operation| operation.outcomes.unknown),
    ]
}

/// The line beneath a median: from the smallest to the largest repeat.
fn spreads(group: &Group<'_>, kind: &str, first: bool) -> Vec<String> {
    let operations = group.operations(kind);
    let range = |values: Vec<f64>, show: fn(f64) -> String| {
        number::spread(&values)
            .map_or(NONE.into(), |(low, high)| format!("{}–{}", show(low), show(high)))
    };
    let mut cells = vec![String::new(); 14];
    if first {
        cells[4] = range(group.each(group::achieved), number::count);
    }
    cells[5] = format!("  {} repeats", operations.len());
    for (column, percentile) in [(6, 50.0), (7, 99.0), (8, 99.9)] {
        let values = group::each_at(&operations, |operation| &operation.response, percentile);
        cells[column] = range(values, number::ms);
    }
    cells[9] = range(group::each_at(&operations, |operation| &operation.service, 99.0), number::ms);
    cells
}

/// `met`, `missed p99`, with repeats `missed p99 (1 of 3)`.
fn verdict_words(operations: &[&OperationResult], targets: &[Target]) -> String {
    let verdicts: Vec<Verdict> =
        operations.iter().map(|operation| verdict::judge(operation, targets)).collect();
    let all = verdicts.len();
    let mut missed: Vec<&str> = Vec::new();
    for verdict in &verdicts {
        match verdict {
            Verdict::Missed(percentiles) => {
                missed.extend(percentiles.iter().map(String::as_str));
            }
            Verdict::NoData => missed.push("(no data)"),
            Verdict::Met | Verdict::NoTarget => {}
        }
    }
    missed.sort_unstable();
    missed.dedup();
    let failing = verdicts
        .iter()
        .filter(|verdict| matches!(verdict, Verdict::Missed(_) | Verdict::NoData))
        .count();
    match failing {
        0 if verdicts.iter().all(|verdict| *verdict == Verdict::NoTarget) => NONE.into(),
        0 => "met".into(),
        _ if all == 1 => format!("missed {}", missed.join(" ")),
        _ => format!("missed {} ({failing} of {all})", missed.join(" ")),
    }
}

/// Whether the schedule was kept, and whether the time was served.
fn saturation(group: &Group<'_>, first: bool) -> String {
    let all = group.trials.len();
    let of_all = |word: &str, count: usize| match count {
        0 => None,
        count if count < all => Some(format!("{word} {count} of {all}")),
        _ => Some(word.to_string()),
    };
    if !first {
        return String::new();
    }
    let saturated = of_all("SATURATED", group.saturated()).unwrap_or_else(|| "kept".into());
    let cut = of_all("CUT", group.cut());
    std::iter::once(saturated).chain(cut).collect::<Vec<_>>().join(", ")
}

fn cost_table(groups: &[Group<'_>], names: &Names) -> TextTable {
    let mut table = TextTable::new(vec![
        Column::new("", "R,W", Align::Left, 0),
        Column::new("", "with", Align::Left, 0),
        Column::new("", "workload", Align::Left, 0),
        Column::new("offered", "1/s", Align::Right, 0),
        Column::new("server CPU", "µs per op", Align::Right, 0),
        Column::new("server CPU", "cores", Align::Right, 3),
        Column::new("load CPU", "cores", Align::Right, 0),
        Column::new("server memory", "peak MiB", Align::Right, 2),
        Column::new("lag p50", "ms", Align::Right, 4),
        Column::new("lag p99", "ms", Align::Right, 0),
        Column::new("", "unsent", Align::Right, 1),
    ]);
    // Simulated nodes cost nothing that could be told.
    let groups: Vec<&Group<'_>> = groups.iter().filter(|group| has_processes(group)).collect();
    for (index, group) in groups.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| groups[before].cell);
        if before.is_some_and(|cell| new_block(cell, group.cell)) {
            table.rule();
        }
        let mut cells = coordinates(group, names, true);
        cells.truncate(4);
        cells.extend(costs(group));
        table.row(cells);
    }
    table
}

fn has_processes(group: &Group<'_>) -> bool {
    group.trials.iter().any(|trial| !trial.processes.is_empty())
}

fn costs(group: &Group<'_>) -> Vec<String> {
    let middle = |measure: fn(&Trial) -> f64, show: fn(f64) -> String| {
        number::median(&group.each(measure)).map_or(NONE.into(), show)
    };
    let cores = |value: f64| format!("{value:.2}");
    vec![
        middle(group::server_cpu_per_operation_us, |us| format!("{us:.1}")),
        middle(|trial| group::server_cpu_s(trial) / trial.measured_s, cores),
        middle(|trial| group::load_cpu_s(trial) / trial.measured_s, cores),
        middle(group::server_memory_mib, number::grouped),
        middle(|trial| verdict::at(&trial.schedule.lag, 50.0), number::ms),
        middle(|trial| verdict::at(&trial.schedule.lag, 99.0), number::ms),
        middle(|trial| trial.schedule.unsent as f64, number::grouped),
    ]
}
