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
    let store = |cell: &Cell| (cell.n, cell.r, cell.w);
    let load = |cell: &Cell| match cell.mode {
        Mode::Closed { outstanding } => (0, f64::from(outstanding)),
        Mode::Open { rate } => (1, rate),
        Mode::Idle => (2, 0.0),
    };
    let (load_a, load_b) = (load(a), load(b));
    (a.workload.cmp(&b.workload))
        .then_with(|| store(a).cmp(&store(b)))
        .then_with(|| by_labels(a, b))
        .then_with(|| load_a.0.cmp(&load_b.0))
        .then_with(|| load_a.1.total_cmp(&load_b.1))
        .then_with(|| a.repeat.cmp(&b.repeat))
}

/// Label by label, with numbers in the order of their size: 8 before 16.
fn by_labels(a: &Cell, b: &Cell) -> Ordering {
    let words = |cell: &Cell| -> Vec<String> {
        let texts = cell.labels.iter().map(|(name, value)| format!("{name} {value}"));
        let split =
            |text: String| -> Vec<String> { text.split([' ', ',']).map(str::to_string).collect() };
        texts.flat_map(split).collect()
    };
    let (words_a, words_b) = (words(a), words(b));
    let by_word = |(a, b): (&String, &String)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    };
    let mut orders = words_a.iter().zip(&words_b).map(by_word);
    orders.find(|order| order.is_ne()).unwrap_or(words_a.len().cmp(&words_b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_in_the_order_of_their_numbers() {
        let cell = |value: &str| Cell {
            workload: "a".into(),
            n: 3,
            r: 2,
            w: 2,
            mode: Mode::Idle,
            repeat: 1,
            labels: [("detection".to_string(), value.to_string())].into(),
        };
        let sorted = ["heartbeat", "phi threshold 2", "phi threshold 8", "phi threshold 16"];
        let mut cells: Vec<Cell> = sorted.iter().rev().map(|value| cell(value)).collect();
        cells.sort_by(by_coordinates);
        let found: Vec<&str> = cells.iter().map(|it| it.labels["detection"].as_str()).collect();
        assert_eq!(found, sorted);
    }
}
