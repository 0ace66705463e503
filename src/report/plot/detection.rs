//! The classical picture of failure detectors: how soon against how often wrong.
//!
//! Every detector can be made quicker at the price of more mistakes; the better one is nearer to
//! the corner at the lower left (Chen, Toueg and Aguilera, "On the Quality of Service of Failure
//! Detectors", 2002, section 2.2).

use super::Named;
use super::axis::Axis;
use super::coordinates::Plane;
use super::figure::{About, Entry, Figure, Sample};
use super::measures::{axis_name, line_names};
use super::panel::{Mark, Panel, Series};
use super::style;
use crate::report::group::{self, Group, distinct};
use crate::report::measure::{DETECTION_TIME_S, MISTAKES_PER_PEER_HOUR};
use crate::report::measured;
use crate::report::reader::Run;

/// The figure, where some cells have both measures.
pub(super) fn figures(run: &Run) -> Vec<Named> {
    let groups = group::groups(&run.trials);
    let with = groups.iter().filter(|group| point(group).is_some());
    let planes = Plane::all(with);
    if planes.is_empty() {
        return Vec::new();
    }
    let drawing = figure(run, &planes).draw();
    vec![Named { name: "detection-time-by-mistakes".to_string(), drawing }]
}

/// Detection time and mistake rate of a cell.
fn point(group: &Group<'_>) -> Option<(f64, f64)> {
    let value = |name| measured::of(group, name).map(|found| found.value);
    Some((value(DETECTION_TIME_S.name)?, value(MISTAKES_PER_PEER_HOUR.name)?))
}

fn figure<'a>(run: &'a Run, planes: &[Plane<'_, '_>]) -> Figure<'a> {
    let looks = distinct(planes.iter().flat_map(line_names));
    let cells = planes.iter().flat_map(|plane| &plane.cells);
    let points: Vec<(f64, f64)> = cells.filter_map(|(group, _)| point(group)).collect();
    let y = rate_axis(&points);
    let mut series = Vec::new();
    for plane in planes {
        for (line, shown) in plane.lines().iter().zip(line_names(plane)) {
            let look = style::look(looks.iter().position(|it| *it == shown).unwrap_or(0));
            let marks = marks(plane, line, y.from);
            series.push(Series { look, marks, width: 1.8, expected: false });
        }
    }
    let times: Vec<f64> = points.iter().map(|(time, _)| *time).collect();
    let panel = Panel {
        heading: "to the lower left is better".into(),
        x: Axis::fitting(&axis_name(&DETECTION_TIME_S.of(0.0, 0)), &times),
        y,
        series,
        limits: Vec::new(),
        spans: Vec::new(),
        empty: String::new(),
        show_x: true,
        show_y: true,
    };
    let entry = |(index, name): (usize, &String)| Entry {
        label: name.clone(),
        sample: Sample::Line(style::look(index)),
    };
    Figure {
        title: "Detection time against mistake rate".into(),
        about: About::Run(&run.info),
        panels: vec![panel],
        columns: 1,
        panel_height: 380.0,
        legend: looks.iter().enumerate().map(entry).collect(),
        notes: Vec::new(),
    }
}

/// Log, with a floor beneath all rates for the cells in which no mistake was seen.
fn rate_axis(points: &[(f64, f64)]) -> Axis {
    let name = format!("{}, log scale", axis_name(&MISTAKES_PER_PEER_HOUR.of(0.0, 0)));
    let seen = points.iter().map(|(_, rate)| *rate).filter(|rate| *rate > 0.0);
    let mut axis = Axis::log(&name, seen);
    if points.iter().any(|(_, rate)| *rate <= 0.0) {
        axis.from /= 2.5;
        axis.ticks.push((axis.from, "none seen".to_string()));
    }
    axis
}

/// A line's cells in the order of what varies along it; a rate of 0 stands on the floor.
fn marks(plane: &Plane<'_, '_>, line: &str, floor: f64) -> Vec<Mark> {
    let of_line = plane.cells.iter().filter(|(_, at)| plane.line(at) == line);
    let mut found: Vec<(f64, Mark)> = of_line
        .filter_map(|(group, at)| {
            let (x, rate) = point(group)?;
            let y = rate.max(floor);
            let mark = Mark { x, y, spread: None, marker: true, hollow: false };
            Some((plane.x_of(at)?, mark))
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, mark)| mark).collect()
}
