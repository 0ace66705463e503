//! A picture as a list of shapes in logical pixels, independent of what will draw it.

use super::output;

pub(super) type Point = (f64, f64);

/// Red, green, blue.
pub(super) type Colour = (u8, u8, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    pub content: String,
    /// The anchor's point, at half the height of the letters.
    pub at: Point,
    pub size: f64,
    pub bold: bool,
    pub colour: Colour,
    pub anchor: Anchor,
    /// Reads from bottom to top.
    pub upward: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Line { points: Vec<Point>, colour: Colour, width: f64 },
    Area { points: Vec<Point>, colour: Colour, opacity: f64 },
    Text(Text),
}

/// Shapes on a white page, drawn in order.
#[derive(Clone, Debug)]
pub(super) struct Drawing {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

impl Drawing {
    pub fn line(&mut self, points: Vec<Point>, colour: Colour, width: f64) {
        self.shapes.push(Shape::Line { points, colour, width });
    }

    /// A line of strokes and gaps, in logical pixels by turns; no pattern is a solid line.
    pub fn dashed(&mut self, points: &[Point], colour: Colour, width: f64, pattern: &[f64]) {
        if pattern.is_empty() {
            return self.line(points.to_vec(), colour, width);
        }
        dashes(points, pattern).into_iter().for_each(|dash| self.line(dash, colour, width));
    }

    pub fn area(&mut self, points: Vec<Point>, colour: Colour, opacity: f64) {
        self.shapes.push(Shape::Area { points, colour, opacity });
    }

    pub fn rectangle(&mut self, from: Point, to: Point, colour: Colour, opacity: f64) {
        self.area(vec![from, (to.0, from.1), to, (from.0, to.1)], colour, opacity);
    }

    pub fn text(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }
}

impl Text {
    pub fn new(content: impl Into<String>, at: Point, size: f64, colour: Colour) -> Self {
        let content = content.into();
        Self { content, at, size, bold: false, colour, anchor: Anchor::Start, upward: false }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub fn upward(self) -> Self {
        Self { upward: true, anchor: Anchor::Middle, ..self }
    }

    /// In a smaller size where it would be longer than `width`.
    pub fn within(self, width: f64) -> Self {
        let size = self.size * (width / self.width().max(f64::MIN_POSITIVE)).min(1.0);
        Self { size, ..self }
    }

    pub fn width(&self) -> f64 {
        output::text_width(&self.content, self.size, self.bold)
    }
}

/// Cuts a line into its strokes; the pattern runs on around corners.
fn dashes(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    let mut strokes = Vec::new();
    let mut stroke: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut phase, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                stroke.push(to);
                break;
            }
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            stroke.push(from);
            if phase % 2 == 0 {
                strokes.push(std::mem::take(&mut stroke));
            }
            stroke = vec![from];
            phase = (phase + 1) % pattern.len();
            left = pattern[phase];
        }
    }
    if phase % 2 == 0 && stroke.len() > 1 {
        strokes.push(stroke);
    }
    strokes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_run_on_around_a_corner() {
        let corner = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        let strokes = dashes(&corner, &[6.0, 2.0]);
        let expected = [
            vec![(0.0, 0.0), (6.0, 0.0)],
            vec![(8.0, 0.0), (10.0, 0.0), (10.0, 4.0)],
            vec![(10.0, 6.0), (10.0, 10.0)],
        ];
        assert_eq!(strokes, expected);
    }
}
