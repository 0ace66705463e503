//! Measures of a cell, put together over its repeats, and cells that ran on two backends.

use super::group::{Group, distinct};
use super::measure::{self, Expected, Measure};
use super::number;
use super::trial::{BACKEND_LABEL, Cell, PROCESSES, Trial};

/// One measure of one cell.
pub(super) struct Measured<'a> {
    /// The median of the repeats.
    pub value: f64,
    /// From the smallest repeat to the largest; of a single one the quartiles of its samples.
    pub spread: Option<(f64, f64)>,
    pub expected: Option<&'a Expected>,
}

impl Measured<'_> {
    /// How far it is from what was expected, as a share of that.
    pub fn gap(&self) -> Option<f64> {
        measure::gap(self.value, self.expected?.value)
    }
}

/// The measures of a run, one of each name, in the order of first appearance.
pub(super) fn kinds(trials: &[Trial]) -> Vec<&Measure> {
    let mut kinds: Vec<&Measure> = Vec::new();
    for measure in trials.iter().flat_map(|trial| &trial.measures) {
        if kinds.iter().all(|known| known.name != measure.name) {
            kinds.push(measure);
        }
    }
    kinds
}

/// A measure of a cell. None where no repeat has it.
pub(super) fn of<'a>(group: &Group<'a>, name: &str) -> Option<Measured<'a>> {
    let all = group.trials.iter().flat_map(|trial| &trial.measures);
    let all: Vec<&Measure> = all.filter(|measure| measure.name == name).collect();
    let values: Vec<f64> = all.iter().map(|measure| measure.value).collect();
    let spread = match all.as_slice() {
        [only] => only.spread.map(|it| (it.p25, it.p75)),
        _ => number::spread(&values),
    };
    let expected = all.iter().find_map(|measure| measure.expected.as_ref());
    Some(Measured { value: number::median(&values)?, spread, expected })
}

/// A cell that ran on two backends.
pub(super) struct Pair<'a, 'b> {
    pub reference: &'b Group<'a>,
    pub other: &'b Group<'a>,
}

/// Every cell that ran on several backends: real processes are the reference where they are among
/// them.
pub(super) fn pairs<'a, 'b>(groups: &'b [Group<'a>]) -> Vec<Pair<'a, 'b>> {
    let with: Vec<&Group<'_>> = groups.iter().filter(|it| backend(it.cell).is_some()).collect();
    let cells = distinct(with.iter().map(|group| without_backend(group.cell)));
    let mut pairs = Vec::new();
    for cell in cells {
        let mut same: Vec<&Group<'_>> =
            with.iter().copied().filter(|group| without_backend(group.cell) == cell).collect();
        same.sort_by_key(|group| backend(group.cell) != Some(PROCESSES));
        if let Some((reference, others)) = same.split_first() {
            pairs.extend(others.iter().map(|other| Pair { reference, other }));
        }
    }
    pairs
}

pub(super) fn backend(cell: &Cell) -> Option<&str> {
    cell.labels.get(BACKEND_LABEL).map(String::as_str)
}

/// A cell's coordinates apart from where and how often it ran.
fn without_backend(cell: &Cell) -> Cell {
    let mut cell = Cell { repeat: 0, ..cell.clone() };
    cell.labels.remove(BACKEND_LABEL);
    cell
}
