//! A cell's place in the matrix as named values, and which of them make an axis.

use crate::report::group::{Group, distinct};
use crate::report::trial::{Cell, Mode};
use std::collections::BTreeMap;

/// The values of one cell by name. A label with settings, `phi_accrual threshold 8`, is taken
/// apart: the strategy is `phi_accrual` and `threshold` is 8.
pub(super) type Coordinates = BTreeMap<String, String>;

/// Cells with where they stand.
type Cells<'a, 'b> = Vec<(&'b Group<'a>, Coordinates)>;

/// Names of coordinates that every cell has; a label makes the better axis.
const COMMON: [&str; 5] = ["workload", "N", "R", "W", OUTSTANDING];
const OUTSTANDING: &str = "outstanding operations";

pub(super) fn of(cell: &Cell) -> Coordinates {
    let mut all = Coordinates::new();
    all.insert("workload".into(), cell.workload.clone());
    for (name, value) in [("N", cell.n), ("R", cell.r), ("W", cell.w)] {
        all.insert(name.into(), value.to_string());
    }
    match cell.mode {
        Mode::Open { rate } => {
            all.insert("offered rate (operations/s)".into(), rate.to_string());
        }
        Mode::Closed { outstanding } => {
            all.insert(OUTSTANDING.into(), outstanding.to_string());
        }
        Mode::Idle => {}
    }
    for (label, value) in &cell.labels {
        let last = label.rsplit('.').next().unwrap_or(label);
        let name = if all.contains_key(last) { label } else { last };
        for (name, value) in taken_apart(name, value) {
            all.insert(name.to_string(), value.to_string());
        }
    }
    all
}

/// `phi_accrual window 9, threshold 8` of `detection`: three pairs. A label without settings is
/// one.
fn taken_apart<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut words = value.splitn(3, ' ');
    let (Some(strategy), Some(_), Some(_)) = (words.next(), words.next(), words.next()) else {
        return vec![(name, value)];
    };
    let settings = value[strategy.len() + 1..].split(", ");
    let pairs: Option<Vec<_>> = settings.map(|setting| setting.rsplit_once(' ')).collect();
    match pairs {
        Some(pairs) => std::iter::once((name, strategy)).chain(pairs).collect(),
        None => vec![(name, value)],
    }
}

pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Cells with the same names of coordinates, and the numeric one that varies most among them.
pub(super) struct Plane<'a, 'b> {
    pub x: String,
    pub cells: Vec<(&'b Group<'a>, Coordinates)>,
    /// The coordinates that tell the lines apart.
    others: Vec<String>,
}

impl<'a, 'b> Plane<'a, 'b> {
    /// The planes of these cells. Cells among which no number varies are in none.
    pub fn all(groups: impl Iterator<Item = &'b Group<'a>>) -> Vec<Plane<'a, 'b>>
    where
        'a: 'b,
    {
        let mut by_names: Vec<(Vec<String>, Cells<'a, 'b>)> = Vec::new();
        for group in groups {
            let at = of(group.cell);
            let names: Vec<String> = at.keys().cloned().collect();
            match by_names.iter_mut().find(|(known, _)| *known == names) {
                Some((_, cells)) => cells.push((group, at)),
                None => by_names.push((names, vec![(group, at)])),
            }
        }
        let everywhere = by_names.iter().flat_map(|(_, cells)| cells.iter().map(|(_, at)| at));
        let everywhere: Vec<Coordinates> = everywhere.cloned().collect();
        let planes = by_names.into_iter();
        planes.filter_map(|(names, cells)| Plane::new(&names, cells, &everywhere)).collect()
    }

    /// `everywhere`: the cells of all planes. What differs between planes tells lines apart, too.
    fn new(
        names: &[String],
        cells: Vec<(&'b Group<'a>, Coordinates)>,
        everywhere: &[Coordinates],
    ) -> Option<Plane<'a, 'b>> {
        let values = |name: &String| distinct(cells.iter().map(|(_, at)| at[name].clone()));
        let differs = |name: &&String| {
            let known: Vec<_> = everywhere.iter().map(|at| at.get(*name)).collect();
            known.iter().all(Option::is_some) && distinct(known.into_iter()).len() > 1
        };
        let varying: Vec<&String> = names.iter().filter(|name| values(name).len() > 1).collect();
        let is_numeric = |name: &&String| values(name).iter().all(|it| number(it).is_some());
        let rank = |name: &String| (values(name).len(), !COMMON.contains(&name.as_str()));
        // Of equals the first by name.
        let x = varying.iter().rev().copied().filter(is_numeric).max_by_key(|name| rank(name))?;
        let tells = |name: &&String| **name != *x && (values(name).len() > 1 || differs(name));
        let others = names.iter().filter(tells).cloned();
        let (x, others) = (x.clone(), others.collect());
        Some(Plane { x, cells, others })
    }

    pub fn x_of(&self, at: &Coordinates) -> Option<f64> {
        number(at.get(&self.x)?)
    }

    /// The line that a cell is on: what else varies, in words.
    pub fn line(&self, at: &Coordinates) -> String {
        let part = |name: &String| match at.get(name) {
            Some(value) if number(value).is_some() => format!("{name} {value}"),
            Some(value) => value.clone(),
            None => String::new(),
        };
        self.others.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    pub fn lines(&self) -> Vec<String> {
        distinct(self.cells.iter().map(|(_, at)| self.line(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(labels: &[(&str, &str)]) -> Cell {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let mode = Mode::Open { rate: 100.0 };
        Cell { workload: "a".into(), n: 3, r: 2, w: 2, mode, repeat: 1, labels: labels.collect() }
    }

    fn planes(cells: &[Cell]) -> Vec<(String, Vec<String>)> {
        let groups: Vec<Group<'_>> =
            cells.iter().map(|cell| Group { cell, trials: Vec::new() }).collect();
        Plane::all(groups.iter()).iter().map(|plane| (plane.x.clone(), plane.lines())).collect()
    }

    #[test]
    fn the_number_that_varies_most_is_the_axis_and_the_rest_tells_lines_apart() {
        let mut cells = Vec::new();
        for nodes in ["3", "10", "100"] {
            for loss in ["0", "0.05"] {
                cells.push(cell(&[("nodes", nodes), ("simulation.network.loss", loss)]));
            }
        }
        let lines = ["loss 0", "loss 0.05"].map(String::from).to_vec();
        assert_eq!(planes(&cells), [("nodes".to_string(), lines)]);
        assert_eq!(planes(&cells[..1]), []);
    }

    #[test]
    fn strategies_with_settings_of_their_own_have_planes_of_their_own() {
        let detection = |value: &str| cell(&[("strategies.detection", value)]);
        let cells = [
            detection("phi_accrual threshold 3"),
            detection("phi_accrual threshold 8"),
            detection("heartbeat interval_ms 100, down_after_ms 300"),
            detection("heartbeat interval_ms 100, down_after_ms 600"),
        ];
        let found = planes(&cells);
        let names: Vec<&str> = found.iter().map(|(x, _)| x.as_str()).collect();
        assert_eq!(names, ["threshold", "down_after_ms"]);
        let lines: Vec<_> = found.iter().map(|(_, lines)| lines.join("|")).collect();
        assert_eq!(lines, ["phi_accrual", "heartbeat"]);
    }
}
