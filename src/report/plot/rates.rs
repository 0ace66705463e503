//! Latency against offered rate: where is the knee, and which cell reaches it first?

use super::Named;
use super::axis::Axis;
use super::figure::{About, Figure};
use super::panel::{Limit, Mark, Panel, Series};
use super::percentiles::{capital, legend, share_latency_axis};
use super::style;
use crate::report::files::file_name;
use crate::report::group::{self, Group, Lines};
use crate::report::reader::Run;
use crate::report::trial::Mode;
use crate::report::{number, verdict};

const PERCENTILES: [f64; 2] = [50.0, 99.0];
/// Between neighbouring lines at one rate, as a part of the highest rate: two pixels or so, so that
/// their bars stand side by side.
const DODGE: f64 = 0.007;

/// One figure per workload: a row per kind of operation, p50 left and p99 right. A workload that
/// was offered at fewer than two rates has none; a closed loop offers no rate.
pub(super) fn figures(run: &Run) -> Vec<Named> {
    let groups = group::groups(&run.trials);
    let lines = Lines::of(&run.trials);
    let mut figures = Vec::new();
    for workload in group::workloads(&groups) {
        let open: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| group.cell.workload == workload && rate(group).is_some())
            .collect();
        if group::modes(&open).len() > 1 {
            let name = format!("latency-by-rate-{}", file_name(workload));
            let drawing = figure(run, &open, &lines, workload).draw();
            figures.push(Named { name, drawing });
        }
    }
    figures
}

fn rate(group: &Group<'_>) -> Option<f64> {
    match group.cell.mode {
        Mode::Open { rate } => Some(rate),
        Mode::Closed { .. } | Mode::Idle => None,
    }
}

fn figure<'a>(
    run: &'a Run,
    groups: &[&Group<'_>],
    lines: &Lines<'_>,
    workload: &str,
) -> Figure<'a> {
    let highest = groups.iter().filter_map(|group| rate(group)).fold(0.0, f64::max);
    let x = Axis::linear_to("offered rate (operations/s)", highest * 1.06, 5);
    let kinds = group::kinds(groups);
    let mut panels = Vec::new();
    for (row, kind) in kinds.iter().enumerate() {
        let mut pair: Vec<Panel> = Vec::new();
        for percentile in PERCENTILES {
            let used = lines.used_by(groups);
            let series = used.iter().enumerate().map(|(place, (index, _))| {
                let aside = dodge(place, used.len()) * highest;
                aside_of(line(groups, lines, *index, kind, percentile), aside)
            });
            pair.push(Panel {
                heading: format!("{} {}", capital(kind), number::percentile(percentile)),
                x: x.clone(),
                y: Axis::log("", std::iter::empty()),
                series: series.collect(),
                limits: limits(run, kind, percentile),
                spans: Vec::new(),
                empty: "no acknowledged operation".into(),
                show_x: row + 1 == kinds.len(),
                show_y: true,
            });
        }
        for panel in &mut pair {
            share_latency_axis(std::slice::from_mut(panel), "response time (ms, log scale)");
        }
        panels.append(&mut pair);
    }
    let has_limits = panels.iter().any(|panel| !panel.limits.is_empty());
    Figure {
        title: format!("Latency against offered rate · workload {workload}"),
        about: About::Run(&run.info),
        panels,
        columns: PERCENTILES.len(),
        panel_height: 250.0,
        legend: legend(groups, lines, has_limits),
        notes: Vec::new(),
    }
}

/// How far to the right of its rate a line's points stand, as a part of the highest rate.
fn dodge(place: usize, lines: usize) -> f64 {
    (place as f64 - (lines as f64 - 1.0) / 2.0) * DODGE
}

fn aside_of(mut series: Series, aside: f64) -> Series {
    series.marks.iter_mut().for_each(|mark| mark.x += aside);
    series
}

fn limits(run: &Run, kind: &str, percentile: f64) -> Vec<Limit> {
    let limit = |target: &&crate::report::trial::Target| Limit {
        y: target.below_ms,
        x: None,
        label: format!("target {} ms", target.below_ms),
    };
    let targets = verdict::targets_of(&run.info.targets, kind);
    targets.iter().filter(|target| target.percentile == percentile).map(limit).collect()
}

fn line(
    groups: &[&Group<'_>],
    lines: &Lines<'_>,
    index: usize,
    kind: &str,
    percentile: f64,
) -> Series {
    let of_line = groups.iter().filter(|group| lines.index(group.cell) == index);
    let mut marks: Vec<Mark> = of_line
        .filter_map(|group| {
            let operations = group.operations(kind);
            let values: Vec<f64> = group::each_at(&operations, |o| &o.response, percentile)
                .into_iter()
                .map(|us| us / 1_000.0)
                .filter(|ms| *ms > 0.0)
                .collect();
            Some(Mark {
                x: rate(group)?,
                y: number::median(&values)?,
                spread: number::spread(&values).filter(|_| values.len() > 1),
                marker: true,
                hollow: group.saturated() > 0,
            })
        })
        .collect();
    marks.sort_by(|a, b| a.x.total_cmp(&b.x));
    Series { look: style::look(index), marks, width: 1.8, expected: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_side_by_side_around_their_rate() {
        assert_eq!(dodge(0, 1), 0.0);
        let five: Vec<f64> = (0..5).map(|place| dodge(place, 5)).collect();
        assert!(five.windows(2).all(|pair| pair[0] < pair[1]), "{five:?}");
        assert!(five.iter().sum::<f64>().abs() < 1e-12, "{five:?}");
        // Even sixteen lines keep to their own rate where four are a quarter apart.
        assert!(dodge(15, 16) < 0.25 / 4.0);
    }
}
