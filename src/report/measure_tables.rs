//! The card's tables of measures: what each cell came to, and how far two backends are apart.

use super::group::{Group, Names};
use super::measure::{self, Measure};
use super::measured::{self, Measured};
use super::number::{self, NONE};
use super::text_table::{Align, Column, TextTable};
use super::trial::{Mode, Trial};

/// Letters of a heading's line before the name goes on in the next one.
const HEADING: usize = 14;

/// All tables of measures, each with its title; nothing of a run without any.
pub(super) fn text(trials: &[Trial], groups: &[Group<'_>], names: &Names, width: usize) -> String {
    let kinds = measured::kinds(trials);
    if kinds.is_empty() {
        return String::new();
    }
    let mut text = "\nMeasures\n".to_string();
    push_fitting(&mut text, groups, names, &kinds, width);
    let gaps = gap_table(groups, names, &kinds);
    if let Some(gaps) = gaps {
        text.push_str("\nGap between the backends\n");
        text.push_str(&gaps.render(width));
    }
    text
}

/// What each measure is and what its expected value comes from, one note each.
pub(super) fn notes(trials: &[Trial]) -> Vec<(String, String)> {
    let mut notes = Vec::new();
    for kind in measured::kinds(trials) {
        let all = trials.iter().flat_map(|trial| &trial.measures);
        let source = all
            .filter(|measure| measure.name == kind.name)
            .find_map(|measure| measure.expected.as_ref())
            .map_or(String::new(), |expected| format!("; expected: {}", expected.source));
        notes.push(("measure".to_string(), format!("{}: {}{source}", kind.name, kind.about)));
    }
    notes
}

/// As many measures beside each other as fit; the others beneath, with the same rows.
fn push_fitting(
    text: &mut String,
    groups: &[Group<'_>],
    names: &Names,
    kinds: &[&Measure],
    width: usize,
) {
    let mut shown = kinds.len();
    let mut table = measure_table(groups, names, kinds).render(width);
    while shown > 1 && widest(&table) > width {
        shown -= 1;
        table = measure_table(groups, names, &kinds[..shown]).render(width);
    }
    text.push_str(&table);
    if shown < kinds.len() {
        text.push('\n');
        push_fitting(text, groups, names, &kinds[shown..], width);
    }
}

fn widest(table: &str) -> usize {
    table.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn measure_table(groups: &[Group<'_>], names: &Names, kinds: &[&Measure]) -> TextTable {
    let mut columns = coordinate_columns();
    for kind in kinds {
        columns.push(Column::headed(heading(kind), Align::Right));
        let gap = vec!["to the".to_string(), "expected".to_string()];
        columns.push(Column::headed(gap, Align::Right));
    }
    let mut table = TextTable::new(columns);
    for group in groups {
        let found: Vec<_> = kinds.iter().map(|kind| measured::of(group, &kind.name)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let mut cells = coordinates(group, names);
        cells.extend(found.iter().flat_map(|found| match found {
            Some(found) => [number::significant(found.value), gap_to_expected(found)],
            None => [NONE.to_string(), String::new()],
        }));
        table.row(cells);
        if found.iter().flatten().any(|found| found.spread.is_some()) {
            let mut cells = vec![String::new(); coordinate_columns().len()];
            cells.extend(found.iter().flat_map(|found| [spread(found.as_ref()), String::new()]));
            table.row(cells);
        }
    }
    table
}

fn coordinate_columns() -> Vec<Column> {
    vec![
        Column::new("", "R,W", Align::Left, 0),
        Column::new("", "with", Align::Left, 0),
        Column::new("", "workload", Align::Left, 1),
        Column::new("offered", "1/s", Align::Right, 2),
    ]
}

fn coordinates(group: &Group<'_>, names: &Names) -> Vec<String> {
    let cell = group.cell;
    let offered = match cell.mode {
        Mode::Open { rate } => number::count(rate),
        Mode::Closed { outstanding } => format!("closed {outstanding}"),
        Mode::Idle => NONE.to_string(),
    };
    vec![names.levels(cell), names.labels(cell), cell.workload.clone(), offered]
}

/// The name in short lines, then the unit.
fn heading(kind: &Measure) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in kind.words().split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= HEADING => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.push(kind.unit.clone());
    lines
}

/// Empty where nothing was expected, so that a column without any vanishes.
fn gap_to_expected(found: &Measured<'_>) -> String {
    match (found.expected, found.gap()) {
        (None, _) => String::new(),
        (Some(_), Some(gap)) => number::difference(gap),
        (Some(_), None) if found.value == 0.0 => number::difference(0.0),
        (Some(_), None) => NONE.to_string(),
    }
}

fn spread(found: Option<&Measured<'_>>) -> String {
    let spread = found.and_then(|found| found.spread);
    spread.map_or(String::new(), |(low, high)| {
        format!("{}–{}", number::significant(low), number::significant(high))
    })
}

/// A row for each cell and measure that two backends have. None where there is no such cell.
fn gap_table(groups: &[Group<'_>], names: &Names, kinds: &[&Measure]) -> Option<TextTable> {
    let pairs = measured::pairs(groups);
    let backend = |group: &Group<'_>| measured::backend(group.cell).unwrap_or_default().to_string();
    let mut columns = coordinate_columns();
    columns.push(Column::new("", "measure", Align::Left, 0));
    columns.push(Column::new("", "unit", Align::Left, 3));
    let first = pairs.first()?;
    columns.push(Column::headed(vec![backend(first.reference)], Align::Right));
    columns.push(Column::headed(vec![backend(first.other)], Align::Right));
    columns.push(Column::new("", "gap", Align::Right, 0));
    let mut table = TextTable::new(columns);
    let mut is_empty = true;
    for pair in pairs {
        let mut cells = coordinates(pair.reference, names);
        cells[1] = names.labels_without_backend(pair.reference.cell);
        for kind in kinds {
            let of = |group| measured::of(group, &kind.name).map(|found| found.value);
            let (Some(reference), Some(other)) = (of(pair.reference), of(pair.other)) else {
                continue;
            };
            let gap = match measure::gap(other, reference) {
                Some(gap) => number::difference(gap),
                None if other == 0.0 => number::difference(0.0),
                None => NONE.to_string(),
            };
            let mut row = std::mem::replace(&mut cells, vec![String::new(); 4]);
            row.extend([kind.name.clone(), kind.unit.clone()]);
            row.extend([reference, other].map(number::significant));
            row.push(gap);
            table.row(row);
            is_empty = false;
        }
    }
    (!is_empty).then_some(table)
}
