//! Latency and throughput over time, with the faults shaded: what did a user see while it broke?

use super::Named;
use super::axis::Axis;
use super::figure::{About, Entry, Figure, Sample};
use super::panel::{Mark, Panel, Series, Span};
use super::percentiles::{capital, share_latency_axis};
use super::style::{self, Look};
use crate::report::files::file_name;
use crate::report::group::{self, Lines};
use crate::report::reader::Run;
use crate::report::trial::{Second, Trial};

/// One figure per workload and line (R, W, labels): its trials side by side, throughput above
/// latency. More than three trials go on in further figures.
pub(super) fn figures(run: &Run) -> Vec<Named> {
    let lines = Lines::of(&run.trials);
    let groups = group::groups(&run.trials);
    let mut figures = Vec::new();
    for workload in group::workloads(&groups) {
        for (index, line) in lines.names().into_iter().enumerate() {
            let trials: Vec<&Trial> = run
                .trials
                .iter()
                .filter(|trial| trial.cell.workload == workload)
                .filter(|trial| lines.index(&trial.cell) == index && !trial.seconds.is_empty())
                .collect();
            for (part, shown) in trials.chunks(3).enumerate() {
                let title = format!("Over time · workload {workload}, {line}");
                let mut name = format!("timeline-{}-{}", file_name(workload), short(&line));
                if part > 0 {
                    name.push_str(&format!("-part-{}", part + 1));
                }
                let drawing = figure(run, title, shown).draw();
                figures.push(Named { name, drawing });
            }
        }
    }
    figures
}

/// `R=1 W=3 lww` as `r1-w3-lww`.
fn short(line: &str) -> String {
    file_name(&line.to_lowercase().replace('=', "").replace(' ', "-"))
}

fn figure<'a>(run: &'a Run, title: String, trials: &[&Trial]) -> Figure<'a> {
    let kinds = group::kinds_of(trials);
    let mut rates: Vec<Panel> = trials.iter().map(|trial| rate_panel(trial, &kinds)).collect();
    let mut latencies: Vec<Panel> =
        trials.iter().map(|trial| latency_panel(trial, &kinds)).collect();
    share_rate_axis(&mut rates);
    share_latency_axis(&mut latencies, "response time (ms, log scale)");
    for panels in [&mut rates, &mut latencies] {
        panels.iter_mut().skip(1).for_each(|panel| panel.show_y = false);
    }
    let lost = trials.iter().any(|t| t.seconds.iter().any(|s| s.failed + s.unknown > 0));
    let faults = trials.iter().any(|trial| !trial.faults.is_empty());
    let columns = trials.len();
    rates.append(&mut latencies);
    Figure {
        title,
        about: About::Run(&run.info),
        panels: rates,
        columns,
        panel_height: 190.0,
        legend: legend(&kinds, lost, faults),
        notes: Vec::new(),
    }
}

fn legend(kinds: &[String], lost: bool, faults: bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        let name = capital(kind);
        entries.push(Entry {
            label: format!("{name}: rate (above) and p99"),
            sample: Sample::Plain(thick(index), THICK),
        });
        entries.push(Entry {
            label: format!("{name}: p50"),
            sample: Sample::Plain(thin(index), THIN),
        });
    }
    if lost {
        entries.push(Entry {
            label: "rate of failed and unknown, all kinds".into(),
            sample: Sample::Plain(lost_look(), THICK),
        });
    }
    if faults {
        entries.push(Entry { label: "fault".into(), sample: Sample::Fault });
    }
    entries
}

const THICK: f64 = 2.0;
const THIN: f64 = 1.3;

/// Throughput and p99: solid, told apart by colour.
fn thick(index: usize) -> Look {
    Look { dash: &[], ..style::look(index) }
}

/// The median: the same colour, dotted and thinner.
fn thin(index: usize) -> Look {
    Look { dash: &[3.0, 2.5], ..style::look(index) }
}

fn lost_look() -> Look {
    Look { colour: style::LOST, dash: &[7.0, 3.0, 2.0, 3.0], ..style::look(0) }
}

fn rate_panel(trial: &Trial, kinds: &[String]) -> Panel {
    let mut series: Vec<Series> = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        let marks = seconds(trial, kind).map(|s| mark(s.second, s.acknowledged as f64));
        series.push(Series {
            look: thick(index),
            marks: marks.collect(),
            width: THICK,
            expected: false,
        });
    }
    let mut lost: std::collections::BTreeMap<u32, u64> = std::collections::BTreeMap::new();
    for second in trial.seconds.iter().filter(|second| kinds.contains(&second.kind)) {
        *lost.entry(second.second).or_default() += second.failed + second.unknown;
    }
    if lost.values().any(|count| *count > 0) {
        let marks = lost.into_iter().map(|(second, count)| mark(second, count as f64)).collect();
        series.push(Series { look: lost_look(), marks, width: THICK, expected: false });
    }
    let repeat = match trial.cell.repeat {
        0 | 1 => String::new(),
        repeat => format!(" · repeat {repeat}"),
    };
    let saturated = if trial.saturated { " · SATURATED" } else { "" };
    let load = group::load_name(trial.cell.mode);
    panel(trial, format!("{load}{repeat}{saturated}"), series, true)
}

fn latency_panel(trial: &Trial, kinds: &[String]) -> Panel {
    let mut series: Vec<Series> = Vec::new();
    for (index, kind) in kinds.iter().enumerate() {
        // A second without an acknowledged operation has no latency; the line spans it.
        let answered = || seconds(trial, kind).filter(|second| second.acknowledged > 0);
        let at = |second: &Second, us: u64| mark(second.second, us.max(1) as f64 / 1_000.0);
        let p99 = answered().map(|second| at(second, second.response_p99_us)).collect();
        let p50 = answered().map(|second| at(second, second.response_p50_us)).collect();
        series.push(Series { look: thick(index), marks: p99, width: THICK, expected: false });
        series.push(Series { look: thin(index), marks: p50, width: THIN, expected: false });
    }
    panel(trial, String::new(), series, false)
}

fn seconds<'a>(trial: &'a Trial, kind: &'a str) -> impl Iterator<Item = &'a Second> {
    let of_kind = move |second: &&Second| second.kind == kind && is_whole(trial, second);
    trial.seconds.iter().filter(of_kind)
}

/// Answers that came after the measured phase fill a fraction of a second, which would look like a
/// collapse of the rate.
fn is_whole(trial: &Trial, second: &Second) -> bool {
    f64::from(second.second) + 1.0 <= trial.measured_s.ceil()
}

/// A second's number stands in its middle.
fn mark(second: u32, y: f64) -> Mark {
    Mark { x: f64::from(second) + 0.5, y, spread: None, marker: false, hollow: false }
}

fn panel(trial: &Trial, heading: String, series: Vec<Series>, upper: bool) -> Panel {
    let spans = trial.faults.iter().map(|fault| Span {
        from: fault.from_s,
        to: fault.to_s,
        label: if upper { format!("{} {}", fault.what, fault.node) } else { String::new() },
    });
    let whole = trial.seconds.iter().filter(|second| is_whole(trial, second));
    let seconds = whole.map(|second| f64::from(second.second) + 1.0);
    let end = seconds.fold(trial.measured_s, f64::max);
    Panel {
        heading,
        // Ends with the trial: empty seconds up to a round number would look like an outage.
        x: Axis::linear_to("time (s)", end, 6),
        y: Axis::log("", std::iter::empty()),
        series,
        limits: Vec::new(),
        spans: spans.collect(),
        empty: "nothing was measured".into(),
        show_x: !upper,
        show_y: true,
    }
}

fn share_rate_axis(panels: &mut [Panel]) {
    let marks = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.marks);
    let highest = marks.map(|mark| mark.y).fold(0.0, f64::max);
    let axis = Axis::linear("operations/s", highest * 1.12, 4);
    panels.iter_mut().for_each(|panel| panel.y = axis.clone());
}
