//! Colours, dashes and markers: every line of a figure differs from the others in all three.

use super::drawing::{Colour, Drawing, Point};

pub(super) const INK: Colour = (0x22, 0x22, 0x22);
pub(super) const QUIET: Colour = (0x66, 0x66, 0x66);
pub(super) const GRID: Colour = (0xd4, 0xd4, 0xd4);
pub(super) const FINE_GRID: Colour = (0xee, 0xee, 0xee);
pub(super) const PAPER: Colour = (0xff, 0xff, 0xff);
pub(super) const FAULT: Colour = (0xe6, 0x9f, 0x00);
pub(super) const LOST: Colour = (0x00, 0x00, 0x00);

/// Okabe and Ito's palette without yellow, which is lost on white.
const PALETTE: [Colour; 7] = [
    (0x00, 0x72, 0xb2),
    (0xd5, 0x5e, 0x00),
    (0x00, 0x9e, 0x73),
    (0xcc, 0x79, 0xa7),
    (0xe6, 0x9f, 0x00),
    (0x56, 0xb4, 0xe9),
    (0x22, 0x22, 0x22),
];

/// The line of what was expected and not measured.
pub(super) const DOTS: &[f64] = &[1.5, 3.0];

const DASHES: [&[f64]; 4] = [&[], &[9.0, 3.5], &[2.5, 2.5], &[9.0, 3.0, 2.5, 3.0]];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    Nabla,
}

const MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Nabla];

/// How one line looks wherever it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    pub colour: Colour,
    pub dash: &'static [f64],
    pub marker: Marker,
}

/// The look of the line of this number. 7 colours, 4 dashes, 5 markers: 140 before one repeats.
pub(super) fn look(index: usize) -> Look {
    Look {
        colour: PALETTE[index % PALETTE.len()],
        dash: DASHES[index % DASHES.len()],
        marker: MARKERS[index % MARKERS.len()],
    }
}

/// Draws a marker; a hollow one says SATURATED.
pub(super) fn marker(drawing: &mut Drawing, look: Look, at: Point, hollow: bool) {
    let outline = outline(look.marker, at, 4.2);
    drawing.area(outline.clone(), if hollow { PAPER } else { look.colour }, 1.0);
    let edge = if hollow { look.colour } else { PAPER };
    let mut closed = outline;
    closed.extend(closed.first().copied());
    drawing.line(closed, edge, if hollow { 1.5 } else { 0.7 });
}

/// Draws a ring that a marker fits into: a value that was expected and not measured.
pub(super) fn ring(drawing: &mut Drawing, look: Look, at: Point) {
    let mut circle = outline(Marker::Circle, at, 7.0);
    circle.extend(circle.first().copied());
    drawing.line(circle, look.colour, 1.3);
}

fn outline(marker: Marker, (x, y): Point, radius: f64) -> Vec<Point> {
    let corners = |scale: f64, turns: &[f64]| -> Vec<Point> {
        let at = |turn: &f64| {
            let angle = turn * std::f64::consts::TAU;
            (x + radius * scale * angle.sin(), y - radius * scale * angle.cos())
        };
        turns.iter().map(at).collect()
    };
    match marker {
        Marker::Circle => corners(1.0, &(0..20).map(|i| f64::from(i) / 20.0).collect::<Vec<_>>()),
        Marker::Square => corners(1.25, &[0.125, 0.375, 0.625, 0.875]),
        Marker::Triangle => corners(1.35, &[0.0, 1.0 / 3.0, 2.0 / 3.0]),
        Marker::Diamond => corners(1.3, &[0.0, 0.25, 0.5, 0.75]),
        Marker::Nabla => corners(1.35, &[0.5, 5.0 / 6.0, 1.0 / 6.0]),
    }
}
