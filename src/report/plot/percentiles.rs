//! Latency by percentile: how bad is the worst one in a hundred, a thousand, ten thousand?

use super::Named;
use super::axis::{Axis, Scale};
use super::figure::{About, Entry, Figure, Sample};
use super::panel::{Limit, Mark, Panel, Series, drawable};
use super::style;
use crate::report::files::file_name;
use crate::report::group::{self, Group, Lines};
use crate::report::reader::Run;
use crate::report::{number, verdict};

/// Percentiles with a tick on the axis and a marker on the lines.
pub(super) const MARKED: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// One figure per workload and kind of operation, with a panel per offered load.
pub(super) fn figures(run: &Run) -> Vec<Named> {
    let groups = group::groups(&run.trials);
    let lines = Lines::of(&run.trials);
    let mut figures = Vec::new();
    for workload in group::workloads(&groups) {
        let of_workload: Vec<&Group<'_>> =
            groups.iter().filter(|group| group.cell.workload == workload).collect();
        for kind in group::kinds(&of_workload) {
            let name = format!("latency-percentiles-{}-{}", file_name(workload), file_name(kind));
            let drawing = figure(run, &of_workload, &lines, workload, kind).draw();
            figures.push(Named { name, drawing });
        }
    }
    figures
}

fn figure<'a>(
    run: &'a Run,
    groups: &[&Group<'_>],
    lines: &Lines<'_>,
    workload: &str,
    kind: &str,
) -> Figure<'a> {
    let modes = group::modes(groups);
    let limits = limits(run, kind);
    let columns = modes.len().clamp(1, 3);
    let mut panels: Vec<Panel> = Vec::new();
    for (index, mode) in modes.iter().enumerate() {
        let shown: Vec<&&Group<'_>> = groups.iter().filter(|g| g.cell.mode == *mode).collect();
        let series = shown.iter().map(|group| line(group, lines.index(group.cell), kind));
        panels.push(Panel {
            heading: format!("{}{}", group::load_name(*mode), saturated(&shown)),
            x: Axis::percentiles("percentile of operations (%)"),
            y: Axis::log("", std::iter::empty()),
            series: series.collect(),
            limits: limits.clone(),
            spans: Vec::new(),
            empty: "no acknowledged operation".into(),
            show_x: true,
            show_y: index % columns == 0,
        });
    }
    share_latency_axis(&mut panels, "response time (ms, log scale)");
    Figure {
        title: format!("{} latency by percentile · workload {workload}", capital(kind)),
        about: About::Run(&run.info),
        panels,
        columns,
        panel_height: 360.0,
        legend: legend(groups, lines, !limits.is_empty()),
        notes: Vec::new(),
    }
}

/// All panels get the scale that holds everything in any of them.
pub(super) fn share_latency_axis(panels: &mut [Panel], name: &str) {
    let marks = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.marks);
    let mut values: Vec<f64> = Vec::new();
    for mark in marks {
        values.push(mark.y);
        values.extend(mark.spread.into_iter().flat_map(|(low, high)| [low, high]));
    }
    values.extend(panels.iter().flat_map(|panel| &panel.limits).map(|limit| limit.y));
    let axis = Axis::log(name, values.into_iter());
    panels.iter_mut().for_each(|panel| panel.y = axis.clone());
}

/// `read_modify_write` as `Read-modify-write`.
pub(super) fn capital(kind: &str) -> String {
    let words = kind.replace('_', "-");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// What the legend of a figure over cells says.
pub(super) fn legend(groups: &[&Group<'_>], lines: &Lines<'_>, limits: bool) -> Vec<Entry> {
    let entry = |(index, name): (usize, String)| Entry {
        label: name,
        sample: Sample::Line(style::look(index)),
    };
    let mut entries: Vec<Entry> = lines.used_by(groups).into_iter().map(entry).collect();
    if limits {
        entries.push(Entry { label: "target".into(), sample: Sample::Limit });
    }
    if groups.iter().any(|group| group.saturated() > 0) {
        entries.push(Entry { label: "hollow: SATURATED".into(), sample: Sample::Hollow });
    }
    entries
}

fn saturated(groups: &[&&Group<'_>]) -> String {
    match groups.iter().filter(|group| group.saturated() > 0).count() {
        0 => String::new(),
        count if count == groups.len() => " · SATURATED".into(),
        count => format!(" · {count} of {} SATURATED", groups.len()),
    }
}

fn limits(run: &Run, kind: &str) -> Vec<Limit> {
    let limit = |target: &&crate::report::trial::Target| Limit {
        y: target.below_ms,
        x: Some(target.percentile),
        label: format!("{} ms", target.below_ms),
    };
    let targets = verdict::targets_of(&run.info.targets, kind);
    let shown = targets.iter().filter(|target| (50.0..=99.99).contains(&target.percentile));
    shown.map(limit).collect()
}

/// A line ends where no operation lies beyond: a rarer percentile would repeat the maximum.
fn line(group: &Group<'_>, index: usize, kind: &str) -> Series {
    let operations = group.operations(kind);
    let most = operations.iter().map(|operation| operation.response.len()).max().unwrap_or(0);
    let last = if most == 0 { 0.0 } else { 100.0 * (1.0 - 1.0 / most as f64) };
    let hollow = group.saturated() > 0;
    let mark = |percentile: f64| -> Option<Mark> {
        let values: Vec<f64> = group::each_at(&operations, |o| &o.response, percentile)
            .into_iter()
            .map(|us| us / 1_000.0)
            .collect();
        let y = number::median(&values).filter(|y| drawable(Scale::Log, *y))?;
        let spread = number::spread(&values).filter(|_| values.len() > 1);
        let marker = MARKED.contains(&percentile);
        Some(Mark { x: percentile, y, spread, marker, hollow })
    };
    let reached = percentiles().into_iter().filter(|p| *p == 50.0 || *p <= last + 1e-9);
    let marks = reached.filter_map(mark).collect();
    Series { look: style::look(index), marks, width: 2.0, expected: false }
}

/// Evenly spaced on the axis, with the marked ones among them exactly.
fn percentiles() -> Vec<f64> {
    const STEPS_PER_DECADE: i32 = 40;
    let mut all: Vec<f64> = (1..4 * STEPS_PER_DECADE)
        .map(|step| 100.0 * (1.0 - 10f64.powf(-f64::from(step) / f64::from(STEPS_PER_DECADE))))
        .filter(|percentile| *percentile > 50.0)
        .filter(|percentile| MARKED.iter().all(|marked| (marked - percentile).abs() > 1e-6))
        .chain(MARKED)
        .collect();
    all.sort_by(f64::total_cmp);
    all
}
