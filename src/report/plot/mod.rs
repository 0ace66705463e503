//! Draws a run: each figure once as a list of shapes, then as SVG and as PNG.
//!
//! ```text
//! Run ──► percentiles ─┐                     ┌──► SVG (viewer's font)
//!         rates ───────┤                     │
//!         timeline ────┼─► Drawing (shapes) ─┤
//!         measures ────┤   in logical pixels │
//!         detection ───┘                     └──► PNG (embedded font, antialiased)
//! ```
//!
//! Plotters supplies the two backends and the text; layout and axes are ours, because an axis of
//! percentiles, panels with a shared scale and a legend that covers no data are what these plots
//! are about. Rules that hold for every figure:
//!
//! * It says what is shown (title), what was asked (the experiment's question) and where the
//!   numbers come from (machine, commit, backend, durability).
//! * Lines differ by colour, by dash and by marker, so neither colour vision nor colour print is
//!   needed. Colours: Okabe and Ito, "Color Universal Design" (2008).
//! * A hollow marker is a saturated trial. Its number is drawn, because hiding it would flatter.
//! * A fine dotted line with rings is what a published closed form says; nobody measured it here.
//! * No text is cut: titles, headings and legends go on in a further line, names of axes shrink.
//! * Repeats show as the median with the spread from smallest to largest.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * SVG text is set in the viewer's font; without DejaVu Sans or Verdana its width may differ by a
//!   few percent. Outlines of the glyphs would make it exact, at several times the size.
//! * Texts are Latin with the symbols of the embedded subset; others show as boxes in the PNG.

mod amplification;
mod axis;
mod coordinates;
mod detection;
mod drawing;
mod figure;
mod measures;
mod output;
mod panel;
mod percentiles;
mod rates;
mod style;
#[cfg(test)]
mod tests;
mod timeline;
mod wrap;

use super::reader::Run;
use super::{ReportError, files};
use drawing::Drawing;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// A finished figure and its file name without extension.
struct Named {
    name: String,
    drawing: Drawing,
}

/// Draws all figures of the run into `dir/plots`, in place of what was there.
pub(super) fn draw(dir: &Path, run: &Run) -> Result<(), ReportError> {
    output::register_fonts();
    let figures = figures(run);
    let path = dir.join(files::PLOTS);
    let hidden = files::stage(&path)?;
    figures.par_iter().try_for_each(|figure| {
        let at = |extension: &str| hidden.join(format!("{}.{extension}", figure.name));
        output::svg(&figure.drawing, &at("svg"))?;
        output::png(&figure.drawing, &at("png"))
    })?;
    files::publish(&hidden, &path)
}

/// All figures of the run, each under a file name of its own.
fn figures(run: &Run) -> Vec<Named> {
    let mut figures = percentiles::figures(run);
    figures.extend(rates::figures(run));
    figures.extend(timeline::figures(run));
    figures.extend(measures::figures(run));
    figures.extend(detection::figures(run));
    let mut taken = BTreeSet::new();
    for figure in &mut figures {
        figure.name = free_name(&figure.name, &taken);
        taken.insert(figure.name.clone());
    }
    figures
}

/// Bytes of a file name without extension: with it, and under a hidden name, it stays below the 255
/// that file systems allow.
const NAME_LENGTH: usize = 160;

/// The name cut to what a file system takes, with a number where another figure has it already.
fn free_name(name: &str, taken: &BTreeSet<String>) -> String {
    let short: String = name.chars().take(NAME_LENGTH).collect();
    let numbered = (2..).map(|number| format!("{short}-{number}"));
    let mut names = std::iter::once(short.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or(short)
}

/// Draws what compaction strategies cost into `dir`.
pub(super) fn draw_amplification(
    dir: &Path,
    about: &str,
    lines: &[super::amplification::Line],
) -> Result<(), ReportError> {
    output::register_fonts();
    let drawing = amplification::figure(about, lines);
    output::svg(&drawing, &dir.join("amplification.svg"))?;
    // The bitmap is written in place, so it is made aside and renamed.
    let hidden = dir.join(".amplification.partial.png");
    output::png(&drawing, &hidden)?;
    let path = dir.join("amplification.png");
    std::fs::rename(&hidden, &path).map_err(ReportError::io("rename to", &path))
}
