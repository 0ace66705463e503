//! A page: title, question, panels in a grid, legend beneath, provenance at the foot.

use super::drawing::{Colour, Drawing, Text};
use super::panel::{Frame, Panel};
use super::style::{self, Look};
use super::wrap;
use crate::report::trial::RunInfo;

/// What stands in the legend.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub label: String,
    pub sample: Sample,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Sample {
    /// A line with its marker.
    Line(Look),
    /// A line without marker, of this width.
    Plain(Look, f64),
    Limit,
    Hollow,
    Fault,
    /// What a closed form says.
    Expected,
}

/// What stands under the title and at the foot.
pub(super) enum About<'a> {
    /// A run's question and provenance.
    Run(&'a RunInfo),
    /// A model's load; it asks no machine, so its foot names none.
    Model { load: String, foot: String },
}

impl About<'_> {
    /// What a title says of where it ran.
    fn backend(&self) -> Option<&str> {
        match self {
            About::Run(info) => info.backend_in_title(),
            About::Model { .. } => None,
        }
    }

    fn question(&self) -> String {
        match self {
            About::Run(info) => format!("{}: {}", info.experiment, info.question),
            About::Model { load, .. } => load.clone(),
        }
    }

    fn foot(&self) -> String {
        match self {
            About::Run(info) => provenance(info),
            About::Model { foot, .. } => foot.clone(),
        }
    }
}

pub(super) struct Figure<'a> {
    pub title: String,
    pub about: About<'a>,
    /// Row by row.
    pub panels: Vec<Panel>,
    pub columns: usize,
    pub panel_height: f64,
    pub legend: Vec<Entry>,
    /// Paragraphs beneath the legend.
    pub notes: Vec<String>,
}

const MARGIN: f64 = 24.0;
const GAP: f64 = 22.0;
const LEGEND_LINE: f64 = 22.0;
const TITLE: f64 = 20.0;
const TITLE_LINE: f64 = 26.0;
const SMALL: f64 = 11.5;

impl Figure<'_> {
    pub fn draw(&self) -> Drawing {
        let width = match self.columns {
            1 => 860.0,
            _ => 1080.0,
        };
        let mut page = Drawing { width, height: 0.0, shapes: Vec::new() };
        let mut y = self.draw_head(&mut page);
        y = self.draw_panels(&mut page, y);
        y = self.draw_legend(&mut page, y + 10.0);
        for note in &self.notes {
            y = paragraph(&mut page, note, y + 8.0, SMALL, style::INK);
        }
        y = paragraph(&mut page, &self.about.foot(), y + 12.0, SMALL, style::QUIET);
        page.height = (y + MARGIN / 2.0).ceil();
        page
    }

    fn draw_head(&self, page: &mut Drawing) -> f64 {
        let backend = self.about.backend().map_or(String::new(), |it| format!(" · {it}"));
        let title = format!("{}{backend}", self.title);
        let mut y = 28.0;
        for line in wrap::lines(&title, page.width - 2.0 * MARGIN, TITLE, true) {
            page.text(Text::new(line, (MARGIN, y), TITLE, style::INK).bold());
            y += TITLE_LINE;
        }
        paragraph(page, &self.about.question(), y - 2.0, 13.5, style::QUIET) + 6.0
    }

    fn draw_panels(&self, page: &mut Drawing, top: f64) -> f64 {
        let margins: Vec<f64> = (0..self.columns)
            .map(|column| {
                let of_column = self.panels.iter().skip(column).step_by(self.columns);
                of_column.map(Panel::left_margin).fold(0.0, f64::max)
            })
            .collect();
        let gaps = GAP * (self.columns as f64 - 1.0);
        let free = page.width - 2.0 * MARGIN - gaps - margins.iter().sum::<f64>();
        let panel_width = free / self.columns as f64;
        let mut y = top;
        for row in self.panels.chunks(self.columns) {
            let mut x = MARGIN;
            let above = row.iter().map(|panel| panel.above(panel_width)).fold(0.0, f64::max);
            let (top, bottom) = (y + above, y + above + self.panel_height);
            for (panel, margin) in row.iter().zip(&margins) {
                let left = x + margin;
                panel.draw(page, Frame { left, top, right: left + panel_width, bottom });
                x = left + panel_width + GAP;
            }
            let named = row.iter().any(|panel| panel.show_x);
            y = bottom + if named { 48.0 } else { 10.0 };
        }
        y
    }

    fn draw_legend(&self, page: &mut Drawing, top: f64) -> f64 {
        const SAMPLE: f64 = 34.0;
        const SIZE: f64 = 13.0;
        let beside = SAMPLE + 8.0;
        let (mut x, mut y) = (MARGIN, top);
        for entry in &self.legend {
            let lines = wrap::lines(&entry.label, page.width - 2.0 * MARGIN - beside, SIZE, false);
            let texts = lines.into_iter().map(|it| Text::new(it, (0.0, 0.0), SIZE, style::INK));
            let texts: Vec<Text> = texts.collect();
            let width = beside + texts.iter().map(Text::width).fold(0.0, f64::max);
            if x > MARGIN && x + width > page.width - MARGIN {
                (x, y) = (MARGIN, y + LEGEND_LINE);
            }
            draw_sample(page, entry.sample, (x, y), SAMPLE);
            let last = texts.len().saturating_sub(1);
            for (index, text) in texts.into_iter().enumerate() {
                page.text(Text { at: (x + beside, y), ..text });
                y += if index < last { SIZE * 1.3 } else { 0.0 };
            }
            x += width + 24.0;
        }
        if self.legend.is_empty() { top } else { y + LEGEND_LINE / 2.0 }
    }
}

fn draw_sample(page: &mut Drawing, sample: Sample, (x, y): (f64, f64), width: f64) {
    let ends = [(x, y), (x + width, y)];
    let middle = (x + width / 2.0, y);
    match sample {
        Sample::Line(look) => {
            page.dashed(&ends, look.colour, 2.0, look.dash);
            style::marker(page, look, middle, false);
        }
        Sample::Plain(look, thickness) => {
            page.dashed(&ends, look.colour, thickness, look.dash);
        }
        Sample::Limit => page.dashed(&ends, style::INK, 1.6, &[5.0, 3.0]),
        Sample::Hollow => {
            let look = Look { colour: style::INK, ..style::look(0) };
            style::marker(page, look, middle, true);
        }
        Sample::Expected => {
            let look = Look { colour: style::INK, ..style::look(0) };
            page.dashed(&ends, look.colour, 1.4, style::DOTS);
            style::ring(page, look, middle);
        }
        Sample::Fault => {
            page.rectangle((x, y - 7.0), (x + width, y + 7.0), style::FAULT, 0.3);
        }
    }
}

/// Writes a text broken into lines that fit the page; returns the y below it.
fn paragraph(page: &mut Drawing, content: &str, top: f64, size: f64, colour: Colour) -> f64 {
    let mut y = top;
    for line in wrap::lines(content, page.width - 2.0 * MARGIN, size, false) {
        page.text(Text::new(line, (MARGIN, y), size, colour));
        y += size * 1.45;
    }
    y
}

/// Where the numbers come from, in one line.
fn provenance(info: &RunInfo) -> String {
    let p = &info.provenance;
    let state = if info.interrupted { "INTERRUPTED run · " } else { "" };
    format!(
        "{state}quorate {} commit {} · {} · {} cores, {:.1} GiB · backend {} · durability {} · \
         seed {} · {}",
        p.version,
        p.commit,
        p.cpu,
        p.cores,
        p.memory_gib,
        info.backend,
        p.durability,
        p.seed,
        p.started_utc
    )
}
