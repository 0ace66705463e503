//! A measure against the number that varies: does it grow as the closed form says?

use super::Named;
use super::axis::Axis;
use super::coordinates::Plane;
use super::figure::{About, Entry, Figure, Sample};
use super::panel::{Mark, Panel, Series};
use super::percentiles::capital;
use super::style;
use crate::report::files::file_name;
use crate::report::group::{self, Group, distinct};
use crate::report::measure::Measure;
use crate::report::measured::{self, Measured};
use crate::report::reader::Run;

/// One figure per measure: a panel for each set of cells along whose coordinates some number
/// varies, a line for each combination of the others.
pub(super) fn figures(run: &Run) -> Vec<Named> {
    let groups = group::groups(&run.trials);
    let mut figures = Vec::new();
    for kind in measured::kinds(&run.trials) {
        let with = groups.iter().filter(|group| measured::of(group, &kind.name).is_some());
        let planes = Plane::all(with);
        if !planes.is_empty() {
            let name = format!("measure-{}", file_name(&kind.name));
            figures.push(Named { name, drawing: figure(run, kind, &planes).draw() });
        }
    }
    figures
}

fn figure<'a>(run: &'a Run, kind: &Measure, planes: &[Plane<'_, '_>]) -> Figure<'a> {
    let looks = distinct(planes.iter().flat_map(line_names));
    let mut panels: Vec<Panel> = planes.iter().map(|plane| panel(kind, plane, &looks)).collect();
    share_y(&mut panels, &axis_name(kind));
    let sources = sources(kind, planes);
    let columns = panels.len().min(2);
    for (index, panel) in panels.iter_mut().enumerate() {
        panel.show_y = index % columns == 0;
    }
    Figure {
        title: format!("{} · {}", capital(&kind.words()), axes_in_words(planes)),
        about: About::Run(&run.info),
        panels,
        columns,
        panel_height: 340.0,
        legend: legend(&sources, &looks),
        notes: sources.iter().map(|source| format!("expected: {source}")).collect(),
    }
}

/// The lines of a plane; the only one of a plane has the name of what varies along it.
pub(super) fn line_names(plane: &Plane<'_, '_>) -> Vec<String> {
    plane.lines().into_iter().map(|name| shown(plane, name)).collect()
}

fn shown(plane: &Plane<'_, '_>, name: String) -> String {
    if name.is_empty() { format!("by {}", plane.x) } else { name }
}

fn axes_in_words(planes: &[Plane<'_, '_>]) -> String {
    let axes = distinct(planes.iter().map(|plane| plane.x.as_str()));
    format!("by {}", axes.join(" and by "))
}

/// `detection time (s)`.
pub(super) fn axis_name(kind: &Measure) -> String {
    if kind.unit.is_empty() { kind.words() } else { format!("{} ({})", kind.words(), kind.unit) }
}

fn panel(kind: &Measure, plane: &Plane<'_, '_>, looks: &[String]) -> Panel {
    let xs: Vec<f64> = plane.cells.iter().filter_map(|(_, at)| plane.x_of(at)).collect();
    let mut series = Vec::new();
    for name in plane.lines() {
        let found = points(plane, &name, &kind.name);
        let shown = shown(plane, name);
        let look = style::look(looks.iter().position(|it| *it == shown).unwrap_or(0));
        let expected: Vec<Mark> = found.iter().filter_map(|(x, it)| expected(*x, it)).collect();
        if !expected.is_empty() {
            series.push(Series { look, marks: expected, width: 1.4, expected: true });
        }
        let marks = found.iter().map(|(x, it)| mark(*x, it)).collect();
        series.push(Series { look, marks, width: 1.8, expected: false });
    }
    Panel {
        heading: String::new(),
        x: Axis::fitting(&plane.x, &xs),
        y: Axis::fitting("", &[]),
        series,
        limits: Vec::new(),
        spans: Vec::new(),
        empty: String::new(),
        show_x: true,
        show_y: true,
    }
}

/// What the cells of a line came to, from low to high along the axis.
fn points<'a>(plane: &Plane<'a, '_>, line: &str, measure: &str) -> Vec<(f64, Measured<'a>)> {
    let of_line = plane.cells.iter().filter(|(_, at)| plane.line(at) == line);
    let mut points: Vec<(f64, Measured<'a>)> = of_line
        .filter_map(|(group, at): &(&Group<'a>, _)| {
            Some((plane.x_of(at)?, measured::of(group, measure)?))
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn mark(x: f64, measured: &Measured<'_>) -> Mark {
    Mark { x, y: measured.value, spread: measured.spread, marker: true, hollow: false }
}

fn expected(x: f64, measured: &Measured<'_>) -> Option<Mark> {
    let y = measured.expected?.value;
    Some(Mark { x, y, spread: None, marker: true, hollow: true })
}

fn share_y(panels: &mut [Panel], name: &str) {
    let marks = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.marks);
    let values: Vec<f64> = marks
        .flat_map(|mark| {
            let (low, high) = mark.spread.unwrap_or((mark.y, mark.y));
            [mark.y, low, high]
        })
        .collect();
    let axis = Axis::fitting(name, &values);
    panels.iter_mut().for_each(|panel| panel.y = axis.clone());
}

/// Where expected values come from, each source once.
fn sources(kind: &Measure, planes: &[Plane<'_, '_>]) -> Vec<String> {
    let groups = planes.iter().flat_map(|plane| &plane.cells).map(|(group, _)| *group);
    let expected = groups.filter_map(|group| measured::of(group, &kind.name)?.expected);
    distinct(expected.map(|expected| expected.source.clone()))
}

fn legend(sources: &[String], looks: &[String]) -> Vec<Entry> {
    let line = |(index, name): (usize, &String)| Entry {
        label: name.clone(),
        sample: Sample::Line(style::look(index)),
    };
    let mut entries: Vec<Entry> = looks.iter().enumerate().map(line).collect();
    if !sources.is_empty() {
        entries.push(Entry { label: "expected, see below".into(), sample: Sample::Expected });
    }
    entries
}
