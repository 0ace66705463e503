//! Trials put together: repeats of one cell, and the names that tell cells apart.

use super::trial::{BACKEND_LABEL, Cell, Latencies, Mode, OperationResult, Trial};
use super::{number, verdict};
use std::collections::BTreeMap;

/// All repeats of one cell, in the order of execution.
pub(super) struct Group<'a> {
    pub cell: &'a Cell,
    pub trials: Vec<&'a Trial>,
}

/// Groups by everything but the repeat, in the order of first appearance.
pub(super) fn groups(trials: &[Trial]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for trial in trials {
        match groups.iter_mut().find(|group| same_cell(group.cell, &trial.cell)) {
            Some(group) => group.trials.push(trial),
            None => groups.push(Group { cell: &trial.cell, trials: vec![trial] }),
        }
    }
    groups
}

fn same_cell(a: &Cell, b: &Cell) -> bool {
    same_line(a, b) && a.workload == b.workload && a.mode == b.mode
}

/// The same store under a different load: one line of a plot.
pub(super) fn same_line(a: &Cell, b: &Cell) -> bool {
    (a.n, a.r, a.w) == (b.n, b.r, b.w) && a.labels == b.labels
}

impl<'a> Group<'a> {
    /// Kinds of operation in the order of first appearance.
    pub fn kinds(&self) -> Vec<&'a str> {
        let operations = self.trials.iter().flat_map(|trial| &trial.operations);
        distinct(operations.map(|operation| operation.kind.as_str()))
    }

    /// The results of one kind, one per repeat that has it.
    pub fn operations(&self, kind: &str) -> Vec<&'a OperationResult> {
        self.trials
            .iter()
            .flat_map(|trial| &trial.operations)
            .filter(|operation| operation.kind == kind)
            .collect()
    }

    /// One number per repeat.
    pub fn each(&self, measure: impl Fn(&Trial) -> f64) -> Vec<f64> {
        self.trials.iter().map(|trial| measure(trial)).collect()
    }

    pub fn saturated(&self) -> usize {
        self.trials.iter().filter(|trial| trial.saturated).count()
    }

    pub fn cut(&self) -> usize {
        self.trials.iter().filter(|trial| trial.cut).count()
    }
}

/// Names of cells within a run: only what differs is said.
pub(super) struct Names {
    several_n: bool,
    /// Labels that take more than one value.
    varying: Vec<String>,
}

impl Names {
    pub fn of(trials: &[Trial]) -> Self {
        let mut values: BTreeMap<&str, Vec<Option<&String>>> = BTreeMap::new();
        let keys = trials.iter().flat_map(|trial| trial.cell.labels.keys());
        for key in keys.collect::<std::collections::BTreeSet<_>>() {
            let mut seen: Vec<_> = trials.iter().map(|t| t.cell.labels.get(key)).collect();
            seen.sort();
            seen.dedup();
            values.insert(key, seen);
        }
        let varying = values.iter().filter(|(_, seen)| seen.len() > 1);
        Self {
            several_n: trials.windows(2).any(|pair| pair[0].cell.n != pair[1].cell.n),
            varying: varying.map(|(key, _)| key.to_string()).collect(),
        }
    }

    /// `R=1 W=3`, with N and with labels where they vary.
    pub fn line(&self, cell: &Cell) -> String {
        let n = if self.several_n { format!("N={} ", cell.n) } else { String::new() };
        let labels = self.labels(cell);
        let gap = if labels.is_empty() { "" } else { " " };
        format!("{n}R={} W={}{gap}{labels}", cell.r, cell.w)
    }

    /// `1,3` or `3: 1,3` for the table's narrow column.
    pub fn levels(&self, cell: &Cell) -> String {
        let n = if self.several_n { format!("{}: ", cell.n) } else { String::new() };
        format!("{n}{},{}", cell.r, cell.w)
    }

    /// Values of the labels that vary, such as `lww leveled`. One that says nothing by itself comes
    /// with the last part of its name: `loss 0.05`.
    pub fn labels(&self, cell: &Cell) -> String {
        self.join(cell, self.varying.iter())
    }

    /// The same for a cell on whatever backend.
    pub fn labels_without_backend(&self, cell: &Cell) -> String {
        self.join(cell, self.varying.iter().filter(|key| *key != BACKEND_LABEL))
    }

    fn join<'a>(&self, cell: &Cell, keys: impl Iterator<Item = &'a String>) -> String {
        let values = keys.filter_map(|key| {
            let value = cell.labels.get(key)?;
            let name = key.rsplit('.').next().unwrap_or(key);
            let is_bare = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
            Some(if is_bare { format!("{name} {value}") } else { value.clone() })
        });
        values.collect::<Vec<_>>().join(" ")
    }
}

/// The offered load: `2,000/s offered` or `closed, 64 outstanding`.
pub(super) fn load_name(mode: Mode) -> String {
    match mode {
        Mode::Open { rate } => format!("{}/s offered", number::count(rate)),
        Mode::Closed { outstanding } => format!("closed, {outstanding} outstanding"),
        Mode::Idle => "without load".to_string(),
    }
}

/// Acknowledged operations of all kinds.
pub(super) fn acknowledged(trial: &Trial) -> u64 {
    trial.operations.iter().map(|operation| operation.outcomes.acknowledged).sum()
}

/// Acknowledged operations of all kinds per second of the measured phase.
pub(super) fn achieved(trial: &Trial) -> f64 {
    per_second(acknowledged(trial), trial)
}

pub(super) fn per_second(operations: u64, trial: &Trial) -> f64 {
    if trial.measured_s > 0.0 { operations as f64 / trial.measured_s } else { 0.0 }
}

/// The process that offers the load; every other one is a node.
const LOAD: &str = "load";

/// CPU seconds of all nodes, user and system.
pub(super) fn server_cpu_s(trial: &Trial) -> f64 {
    let nodes = trial.processes.iter().filter(|process| process.name != LOAD);
    nodes.map(|process| process.cpu_user_s + process.cpu_system_s).sum()
}

/// CPU microseconds of all nodes per acknowledged operation; not a number without any.
pub(super) fn server_cpu_per_operation_us(trial: &Trial) -> f64 {
    match acknowledged(trial) {
        0 => f64::NAN,
        operations => server_cpu_s(trial) * 1e6 / operations as f64,
    }
}

/// CPU seconds of the process that offers the load.
pub(super) fn load_cpu_s(trial: &Trial) -> f64 {
    let load = trial.processes.iter().filter(|process| process.name == LOAD);
    load.map(|process| process.cpu_user_s + process.cpu_system_s).sum()
}

/// Peak resident memory of all nodes together, were the peaks at the same time.
pub(super) fn server_memory_mib(trial: &Trial) -> f64 {
    let nodes = trial.processes.iter().filter(|process| process.name != LOAD);
    nodes.map(|process| process.resident_peak_mib).sum()
}

/// A percentile of each repeat, in microseconds; repeats without data are left out.
pub(super) fn each_at(
    operations: &[&OperationResult],
    pick: impl Fn(&OperationResult) -> &Latencies,
    percentile: f64,
) -> Vec<f64> {
    let values = operations.iter().map(|operation| verdict::at(pick(operation), percentile));
    values.filter(|value| value.is_finite()).collect()
}

/// The kinds of operation of these trials, in the order of first appearance.
pub(super) fn kinds_of(trials: &[&Trial]) -> Vec<String> {
    let operations = trials.iter().flat_map(|trial| &trial.operations);
    distinct(operations.map(|operation| operation.kind.clone()))
}

/// The kinds of operation of these groups, in the order of first appearance.
pub(super) fn kinds<'a>(groups: &[&Group<'a>]) -> Vec<&'a str> {
    distinct(groups.iter().flat_map(|group| group.kinds()))
}

pub(super) fn workloads<'a>(groups: &[Group<'a>]) -> Vec<&'a str> {
    distinct(groups.iter().map(|group| group.cell.workload.as_str()))
}

/// The offered loads: closed loops first, then open ones, each from low to high.
pub(super) fn modes(groups: &[&Group<'_>]) -> Vec<Mode> {
    let mut modes = distinct(groups.iter().map(|group| group.cell.mode));
    let order = |mode: &Mode| match *mode {
        Mode::Closed { outstanding } => (0, f64::from(outstanding)),
        Mode::Open { rate } => (1, rate),
        Mode::Idle => (2, 0.0),
    };
    modes.sort_by(|a, b| {
        let (a, b) = (order(a), order(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    modes
}

pub(super) fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// The lines of the plots: stores that differ in N, R, W or labels, numbered over the whole run, so
/// that a cell looks the same in every figure.
pub(super) struct Lines<'a> {
    cells: Vec<&'a Cell>,
    names: Names,
}

impl<'a> Lines<'a> {
    pub fn of(trials: &'a [Trial]) -> Self {
        let mut cells: Vec<&Cell> = Vec::new();
        for trial in trials {
            if !cells.iter().any(|cell| same_line(cell, &trial.cell)) {
                cells.push(&trial.cell);
            }
        }
        Self { cells, names: Names::of(trials) }
    }

    /// The number of the line that the cell belongs to.
    pub fn index(&self, cell: &Cell) -> usize {
        self.cells.iter().position(|other| same_line(other, cell)).unwrap_or(0)
    }

    pub fn names(&self) -> Vec<String> {
        self.cells.iter().map(|cell| self.names.line(cell)).collect()
    }

    /// Number and name of the lines that have a point among these groups.
    pub fn used_by(&self, groups: &[&Group<'_>]) -> Vec<(usize, String)> {
        let used = |index: &usize| groups.iter().any(|group| self.index(group.cell) == *index);
        let all = (0..self.cells.len()).filter(used);
        all.map(|index| (index, self.names.line(self.cells[index]))).collect()
    }
}
