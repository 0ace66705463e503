//! Makes everything derived from the record of a run.

use super::trial::{Cell, Mode};
use super::{ReportError, Summary, csv_files, files, plot, reader};
use std::cmp::Ordering;
use std::path::Path;

/// Reads the run in `dir` and (re)makes its CSV files, `summary.txt` and plots from that alone.
pub fn render(dir: &Path) -> Result<Summary, ReportError> {
    let mut run = reader::read(dir)?;
    csv_files::write(dir, &run)?;
    // Trials may have been run in any order; people compare neighbours.
    run.trials.sort_by(|a, b| by_coordinates(&a.cell, &b.cell));
    plot::draw(dir, &run)?;
    let summary = Summary::new(dir, run);
    files::write_whole(&dir.join(files::SUMMARY), summary.to_string().as_bytes())?;
    Ok(summary)
}

/// By workload, then store, then load, then repeat.
fn by_coordinates(a: &Cell, b: &Cell) -> Ordering {
    let store = |cell: &Cell| (cell.n, cell.r, cell.w, cell.labels.clone());
    let load = |cell: &Cell| match cell.mode {
        Mode::Closed { outstanding } => (0, f64::from(outstanding)),
        Mode::Open { rate } => (1, rate),
        Mode::Idle => (2, 0.0),
    };
    let (load_a, load_b) = (load(a), load(b));
    (a.workload.cmp(&b.workload))
        .then_with(|| store(a).cmp(&store(b)))
        .then_with(|| load_a.0.cmp(&load_b.0))
        .then_with(|| load_a.1.total_cmp(&load_b.1))
        .then_with(|| a.repeat.cmp(&b.repeat))
}
