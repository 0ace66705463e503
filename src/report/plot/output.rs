//! Turns a drawing into SVG and PNG through plotters' backends.

use super::drawing::{Anchor, Drawing, Shape, Text};
use crate::report::{ReportError, files};
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, register_font};
use std::path::Path;
use std::sync::Once;

/// One name for both backends: the SVG carries it as the font stack, the bitmap finds the embedded
/// font registered under it.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// What a backend makes of a length and of a font's size. The size of a text is its em.
#[derive(Clone, Copy)]
struct Backend {
    /// Units of the backend per logical pixel.
    scale: f64,
    /// Plotters' size of a font per em: its SVG divides by 1.24, its bitmap counts DejaVu's
    /// ascent and descent.
    size_per_em: f64,
    /// How far below the middle that plotters aims at, in ems, the text must go for capitals and
    /// digits to stand in the middle.
    drop_em: f64,
}

/// Fine units, because coordinates are whole numbers in plotters.
const SVG: Backend = Backend { scale: 8.0, size_per_em: 1.24, drop_em: 0.0915 };

/// Pixels of the PNG per logical pixel, so that it is sharp on dense screens.
const PNG_SCALE: f64 = 1.5;

/// Drawn this much larger than the PNG and averaged down, because plotters does not smooth the
/// edges of thick lines.
const SUPERSAMPLING: u32 = 2;

const PNG: Backend =
    Backend { scale: PNG_SCALE * SUPERSAMPLING as f64, size_per_em: 1.164, drop_em: 0.252 };

/// Makes the embedded font known to plotters. Must come before any text is measured.
pub(super) fn register_fonts() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let regular = include_bytes!("../../../assets/dejavu-sans.subset.ttf");
        let bold = include_bytes!("../../../assets/dejavu-sans-bold.subset.ttf");
        for (style, bytes) in [(FontStyle::Normal, &regular[..]), (FontStyle::Bold, &bold[..])] {
            let registered = register_font(FONT, style, bytes);
            assert!(registered.is_ok(), "the embedded font is valid");
        }
    });
}

/// Logical pixels that the text takes in DejaVu Sans.
pub(super) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    register_fonts();
    // Measured large, because plotters rounds to whole pixels.
    const PRECISION: f64 = 16.0;
    let font = font(size * PRECISION * PNG.size_per_em, bold);
    font.box_size(text).map_or(0.0, |(width, _)| f64::from(width) / PRECISION)
}

fn font(size: f64, bold: bool) -> FontDesc<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    FontDesc::new(FontFamily::Name(FONT), size, style)
}

/// Writes the drawing as SVG.
pub(super) fn svg(drawing: &Drawing, path: &Path) -> Result<(), ReportError> {
    let size = (pixels(drawing.width * SVG.scale), pixels(drawing.height * SVG.scale));
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    paint(drawing, &area, SVG).map_err(draw_error(path))?;
    area.present().map_err(draw_error(path))?;
    drop(area);
    // The canvas keeps its fine units; the picture gets its size on the page.
    let fine = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let page = format!("width=\"{}\" height=\"{}\"", drawing.width, drawing.height);
    files::write_whole(path, text.replacen(&fine, &page, 1).as_bytes())
}

/// Writes the drawing as PNG. Into a staged folder only: plotters writes the file in place.
pub(super) fn png(drawing: &Drawing, path: &Path) -> Result<(), ReportError> {
    let size = (pixels(drawing.width * PNG_SCALE), pixels(drawing.height * PNG_SCALE));
    let large = (size.0 * SUPERSAMPLING, size.1 * SUPERSAMPLING);
    let mut canvas = vec![0; (large.0 * large.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut canvas, large).into_drawing_area();
        paint(drawing, &area, PNG).map_err(draw_error(path))?;
        area.present().map_err(draw_error(path))?;
    }
    let small = average(&canvas, size);
    let mut file = BitMapBackend::new(path, size);
    file.blit_bitmap((0, 0), size, &small).map_err(draw_error(path))?;
    file.present().map_err(draw_error(path))
}

/// Each pixel of the result is the mean of a square of the larger picture.
fn average(large: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let n = SUPERSAMPLING as usize;
    let row_bytes = width as usize * n * 3;
    let mut small = Vec::with_capacity((width * height * 3) as usize);
    let mut sums = vec![0u16; width as usize * 3];
    for rows in large.chunks_exact(row_bytes * n) {
        sums.fill(0);
        for (index, value) in rows.iter().enumerate() {
            let at = index % row_bytes;
            sums[at / (3 * n) * 3 + at % 3] += u16::from(*value);
        }
        small.extend(sums.iter().map(|sum| (sum / (n * n) as u16) as u8));
    }
    small
}

type Area<B> = DrawingArea<B, plotters::coord::Shift>;
type Painted<B> =
    Result<(), plotters::drawing::DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn paint<B: DrawingBackend>(drawing: &Drawing, area: &Area<B>, to: Backend) -> Painted<B> {
    let scale = to.scale;
    area.fill(&WHITE)?;
    let points = |points: &[(f64, f64)]| -> Vec<(i32, i32)> {
        points.iter().map(|(x, y)| (whole(x * scale), whole(y * scale))).collect()
    };
    for shape in &drawing.shapes {
        match shape {
            Shape::Line { points: line, colour, width } => {
                let colour = RGBColor(colour.0, colour.1, colour.2);
                let style = colour.stroke_width(pixels(width * scale).max(1));
                area.draw(&PathElement::new(points(line), style))?;
            }
            Shape::Area { points: outline, colour, opacity } => {
                let colour = RGBColor(colour.0, colour.1, colour.2).mix(*opacity);
                area.draw(&Polygon::new(points(outline), colour))?;
            }
            Shape::Text(text) => draw_text(text, area, to)?,
        }
    }
    Ok(())
}

fn draw_text<B: DrawingBackend>(text: &Text, area: &Area<B>, to: Backend) -> Painted<B> {
    let h_pos = match text.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let mut font = font(text.size * to.scale * to.size_per_em, text.bold);
    if text.upward {
        font = font.transform(FontTransform::Rotate270);
    }
    let colour = RGBColor(text.colour.0, text.colour.1, text.colour.2);
    let style = TextStyle::from(font).color(&colour).pos(Pos::new(h_pos, VPos::Center));
    let drop = text.size * to.drop_em;
    let (right, down) = if text.upward { (drop, 0.0) } else { (0.0, drop) };
    let at = (whole((text.at.0 + right) * to.scale), whole((text.at.1 + down) * to.scale));
    area.draw(&plotters::element::Text::new(text.content.clone(), at, style))
}

fn whole(value: f64) -> i32 {
    value.round() as i32
}

fn pixels(value: f64) -> u32 {
    value.round() as u32
}

fn draw_error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> ReportError {
    let path = path.to_path_buf();
    move |error| ReportError::Draw { path, reason: error.to_string() }
}
