//! What compaction strategies cost, over the data written.

use super::axis::Axis;
use super::drawing::Drawing;
use super::figure::{About, Entry, Figure, Sample};
use super::panel::{Mark, Panel, Series};
use super::style;
use crate::report::amplification::{Line, Point};

const WIDTH: f64 = 1.8;
const GIB: f64 = 1_073_741_824.0;

/// A panel's heading, the name of its axis, and what it shows of a point.
type Shown = (&'static str, &'static str, fn(&Point) -> f64);

const PANELS: [Shown; 4] = [
    ("Writes", "write amplification", Point::writes),
    ("Reads", "runs that a short scan merges", |point| point.runs),
    ("Space, mean", "space amplification", |point| point.space),
    ("Space, worst", "space amplification", |point| point.worst_space),
];

/// Four panels: writing, reading, and space in the mean and at worst.
pub(super) fn figure(about: &str, lines: &[Line]) -> Drawing {
    let end = lines.iter().flat_map(|line| &line.points).map(|point| point.user_bytes / GIB);
    let x = Axis::linear_to("data written (GiB)", end.fold(0.0, f64::max), 5);
    let panels = PANELS.iter().enumerate().map(|(index, shown)| {
        let series: Vec<Series> =
            lines.iter().enumerate().map(|(look, line)| series(look, line, shown.2)).collect();
        let values: Vec<f64> =
            series.iter().flat_map(|series| &series.marks).map(|mark| mark.y).collect();
        Panel {
            heading: shown.0.to_string(),
            x: x.clone(),
            y: Axis::fitting(shown.1, &values),
            series,
            limits: Vec::new(),
            spans: Vec::new(),
            empty: "nothing was written".to_string(),
            show_x: index >= 2,
            show_y: true,
        }
    });
    let entry = |(look, line): (usize, &Line)| Entry {
        label: line.label.clone(),
        sample: Sample::Plain(style::look(look), WIDTH),
    };
    let figure = Figure {
        title: "What compaction costs".to_string(),
        about: About::Model {
            load: about.to_string(),
            foot: format!("quorate {} · compaction on metadata", env!("CARGO_PKG_VERSION")),
        },
        panels: panels.collect(),
        columns: 2,
        panel_height: 220.0,
        legend: lines.iter().enumerate().map(entry).collect(),
        notes: vec![
            "Writes: bytes flushed and compacted over bytes that clients wrote, from the \
             beginning. Space: bytes of the tables over those of live entries; at worst with \
             inputs and outputs of running jobs."
                .to_string(),
        ],
    };
    figure.draw()
}

fn series(look: usize, line: &Line, value: fn(&Point) -> f64) -> Series {
    let mark = |point: &Point| Mark {
        x: point.user_bytes / GIB,
        y: value(point),
        spread: None,
        marker: false,
        hollow: false,
    };
    Series {
        look: style::look(look),
        marks: line.points.iter().map(mark).collect(),
        width: WIDTH,
        expected: false,
    }
}
