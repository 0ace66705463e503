//! One pair of axes with lines in it.

use super::axis::{Axis, Scale};
use super::drawing::{Anchor, Drawing, Point, Text};
use super::style::{self, Look};
use super::wrap;

/// A point of a line, in the units of the axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    pub x: f64,
    pub y: f64,
    /// Smallest and largest over the repeats.
    pub spread: Option<(f64, f64)>,
    pub marker: bool,
    pub hollow: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub look: Look,
    pub marks: Vec<Mark>,
    pub width: f64,
    /// Not measured: drawn as a fine dotted line with rings instead of markers.
    pub expected: bool,
}

/// A limit that should not be crossed: across the panel, or only near one place on the x axis.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub y: f64,
    pub x: Option<f64>,
    pub label: String,
}

/// A span of the x axis in which something was broken.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub from: f64,
    pub to: f64,
    pub label: String,
}

#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub heading: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    pub limits: Vec<Limit>,
    pub spans: Vec<Span>,
    /// Stands in the middle when there is no line to draw.
    pub empty: String,
    /// Axis names and labels are left out where the neighbour's serve.
    pub show_x: bool,
    pub show_y: bool,
}

/// Where a panel's axes are on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

const TICK_SIZE: f64 = 12.0;
const NAME_SIZE: f64 = 13.0;
const HEADING_LINE: f64 = 17.0;
/// What a label at the end of an axis keeps from the page's edge.
const EDGE: f64 = 4.0;

impl Panel {
    /// Pixels left of the frame that labels and name of the y axis take.
    pub fn left_margin(&self) -> f64 {
        let label = |(_, label): &(f64, String)| {
            Text::new(label.clone(), (0.0, 0.0), TICK_SIZE, style::INK).width()
        };
        let widest = self.y.ticks.iter().map(label).fold(0.0, f64::max);
        if self.show_y { widest + 34.0 } else { 10.0 }
    }

    /// Pixels above a frame of this width that the heading takes.
    pub fn above(&self, width: f64) -> f64 {
        let lines = self.heading_lines(width).len().max(1);
        24.0 + HEADING_LINE * (lines - 1) as f64
    }

    fn heading_lines(&self, width: f64) -> Vec<String> {
        wrap::lines(&self.heading, width, NAME_SIZE, true)
    }

    pub fn draw(&self, page: &mut Drawing, frame: Frame) {
        let at = |x: f64, y: f64| self.place(frame, x, y);
        for span in &self.spans {
            self.draw_span(page, frame, span);
        }
        self.draw_grid(page, frame);
        self.draw_labels(page, frame);
        for series in &self.series {
            draw_line(page, series, &at);
        }
        // Markers come last: a label may be hidden by data, but not data by a label.
        self.label_spans(page, frame);
        self.limits.iter().for_each(|limit| self.draw_limit(page, frame, limit));
        for series in &self.series {
            let marks = series.marks.iter().filter(|mark| mark.marker);
            marks.for_each(|mark| match series.expected {
                true => style::ring(page, series.look, at(mark.x, mark.y)),
                false => style::marker(page, series.look, at(mark.x, mark.y), mark.hollow),
            });
        }
        if self.series.iter().all(|series| series.marks.is_empty()) {
            let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
            let text = Text::new(self.empty.clone(), middle, 13.0, style::QUIET);
            labelled(page, text.anchored(Anchor::Middle));
        }
    }

    fn place(&self, frame: Frame, x: f64, y: f64) -> Point {
        let across = self.x.position(x).clamp(0.0, 1.0);
        let up = self.y.position(y).clamp(0.0, 1.0);
        (
            frame.left + across * (frame.right - frame.left),
            frame.bottom - up * (frame.bottom - frame.top),
        )
    }

    fn draw_grid(&self, page: &mut Drawing, frame: Frame) {
        let level = |y: f64| self.place(frame, self.x.from, y).1;
        let across = |y: f64| vec![(frame.left, level(y)), (frame.right, level(y))];
        for value in &self.y.fine {
            page.line(across(*value), style::FINE_GRID, 1.0);
        }
        for (value, _) in &self.y.ticks {
            page.line(across(*value), style::GRID, 1.0);
        }
        for (value, _) in &self.x.ticks {
            let x = self.place(frame, *value, self.y.from).0;
            page.line(vec![(x, frame.top), (x, frame.bottom)], style::GRID, 1.0);
        }
        let corner = (frame.left, frame.bottom);
        let axes = vec![(frame.left, frame.top), corner, (frame.right, frame.bottom)];
        page.line(axes, style::INK, 1.2);
    }

    fn draw_labels(&self, page: &mut Drawing, frame: Frame) {
        let lines = self.heading_lines(frame.right - frame.left);
        for (above, line) in lines.into_iter().rev().enumerate() {
            let y = frame.top - 12.0 - HEADING_LINE * above as f64;
            page.text(Text::new(line, (frame.left, y), NAME_SIZE, style::INK).bold());
        }
        if self.show_y {
            self.label_y(page, frame);
        }
        if self.show_x {
            self.label_x(page, frame);
        }
    }

    fn label_y(&self, page: &mut Drawing, frame: Frame) {
        for (value, label) in &self.y.ticks {
            let y = self.place(frame, self.x.from, *value).1;
            let text = Text::new(label.clone(), (frame.left - 7.0, y), TICK_SIZE, style::INK);
            page.text(text.anchored(Anchor::End));
        }
        let at = (frame.left - self.left_margin() + 10.0, (frame.top + frame.bottom) / 2.0);
        let name = Text::new(self.y.name.clone(), at, NAME_SIZE, style::INK);
        page.text(name.within(frame.bottom - frame.top + 34.0).upward());
    }

    fn label_x(&self, page: &mut Drawing, frame: Frame) {
        for (value, label) in &self.x.ticks {
            let x = self.place(frame, *value, self.y.from).0;
            let text = Text::new(label.clone(), (x, frame.bottom + 13.0), TICK_SIZE, style::INK);
            let half = text.width() / 2.0;
            let x = x.min(page.width - EDGE - half);
            page.text(Text { at: (x, text.at.1), ..text }.anchored(Anchor::Middle));
        }
        let at = ((frame.left + frame.right) / 2.0, frame.bottom + 33.0);
        let name = Text::new(self.x.name.clone(), at, NAME_SIZE, style::INK);
        page.text(name.within(frame.right - frame.left).anchored(Anchor::Middle));
    }

    fn draw_limit(&self, page: &mut Drawing, frame: Frame, limit: &Limit) {
        let (middle, y) = self.place(frame, limit.x.unwrap_or(self.x.from), limit.y);
        let (from, to) = match limit.x {
            Some(_) => (frame.left.max(middle - 24.0), frame.right.min(middle + 24.0)),
            None => (frame.left, frame.right),
        };
        page.dashed(&[(from, y), (to, y)], style::INK, 1.6, &[5.0, 3.0]);
        let text = Text::new(limit.label.clone(), (0.0, y - 9.0), 11.0, style::INK);
        let width = text.width();
        let left = if limit.x.is_some() { middle - width / 2.0 } else { from };
        let left = left.min(page.width - EDGE - width).max(frame.left + 4.0);
        labelled(page, Text { at: (left, text.at.1), ..text });
    }

    fn draw_span(&self, page: &mut Drawing, frame: Frame, span: &Span) {
        let from = self.place(frame, span.from, self.y.from).0;
        let to = self.place(frame, span.to, self.y.from).0.max(from + 1.0);
        page.rectangle((from, frame.top), (to, frame.bottom), style::FAULT, 0.22);
    }

    /// Names the spans above their beginning, as far as the names do not run into each other.
    fn label_spans(&self, page: &mut Drawing, frame: Frame) {
        let mut free_from = frame.left;
        for span in self.spans.iter().filter(|span| !span.label.is_empty()) {
            let from = self.place(frame, span.from, self.y.from).0;
            let to = self.place(frame, span.to, self.y.from).0;
            let text = Text::new(span.label.clone(), (0.0, frame.top + 9.0), 11.0, style::INK);
            let width = text.width();
            let left = ((from + to - width) / 2.0).max(frame.left + 3.0);
            let left = left.min(frame.right - width - 2.0);
            if left >= free_from {
                free_from = left + width + 6.0;
                labelled(page, Text { at: (left, text.at.1), ..text });
            }
        }
    }
}

/// A text on a patch of paper, so that lines behind it do not strike it out.
fn labelled(page: &mut Drawing, text: Text) {
    let width = text.width();
    let (x, y) = text.at;
    let left = match text.anchor {
        Anchor::Start => x,
        Anchor::Middle => x - width / 2.0,
        Anchor::End => x - width,
    };
    let half = text.size * 0.6;
    page.rectangle((left - 2.0, y - half), (left + width + 2.0, y + half), style::PAPER, 0.7);
    page.text(text);
}

fn draw_line(page: &mut Drawing, series: &Series, at: &impl Fn(f64, f64) -> Point) {
    let colour = series.look.colour;
    for mark in &series.marks {
        let Some((low, high)) = mark.spread else { continue };
        if mark.marker {
            page.line(vec![at(mark.x, low), at(mark.x, high)], colour, 1.2);
            for end in [low, high] {
                let (x, y) = at(mark.x, end);
                page.line(vec![(x - 3.0, y), (x + 3.0, y)], colour, 1.2);
            }
        }
    }
    let points: Vec<Point> = series.marks.iter().map(|mark| at(mark.x, mark.y)).collect();
    if points.len() > 1 {
        let dash = if series.expected { style::DOTS } else { series.look.dash };
        page.dashed(&points, colour, series.width, dash);
    }
}

/// Whether a value can stand on the axis at all.
pub(super) fn drawable(axis: Scale, value: f64) -> bool {
    value.is_finite() && (axis != Scale::Log || value > 0.0)
}
