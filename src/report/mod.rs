//! Shows what was measured: the files of a run, its summary card and its plots.
//!
//! The one who measures hands over plain data ([`trial`]) and is done; everything a reader sees is
//! made here from the files alone. That is why the first report and every redrawn one are the same:
//! [`RunWriter::finish`] does not draw what it was given, it calls [`render`] on the folder.
//!
//! ```text
//!              RunWriter                                    render
//!   Trial ──► trials/<id>/trial.json, *.hlog ──► Run ──┬──► *.csv          every number
//! RunInfo ──► run.json                                 ├──► summary.txt    the card
//!    spec ──► spec.yaml                                └──► plots/*        SVG and PNG
//!              (the record: written once)                   (the view: may be remade)
//! ```
//!
//! Invariants:
//!
//! * **Files in, files out.** Nothing here asks a node, a clock or the machine. Rendering the same
//!   folder twice yields the same bytes.
//! * **A name means whole contents.** A file is written under a hidden name, synced and renamed; a
//!   trial appears as a folder, by one rename. After a crash, what is there can be trusted, and
//!   `run.json` says `interrupted` until the run is finished.
//! * **Raw before derived.** The histograms are kept whole, in a format that other tools read.
//!   Percentiles are never averaged: with repeats the card shows the median and the spread.
//! * **Three outcomes stay apart.** Latencies are those of acknowledged operations; failed and
//!   unknown ones are counted beside them, never mixed in.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Differences between cells carry no test of significance. The spread over repeats is the honest
//!   hint; a comparison of runs needs interleaved repeats and a noise floor from equal pairs first.
//! * A cell that ran on two backends is held against itself by the medians alone: how much of a gap
//!   is noise, the repeats have to tell.
//! * There is no HTML page. The SVG files are self-contained: a page would only place them.
//! * A run is read into memory whole, about 200 KiB per trial; thousands would want a stream.

pub mod amplification;
mod card;
mod csv_files;
mod error;
mod files;
mod group;
mod hlog;
pub mod measure;
mod measure_tables;
#[cfg(test)]
mod measure_tests;
mod measured;
mod number;
mod plot;
mod reader;
mod render;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod text_table;
pub mod trial;
mod verdict;
mod writer;

pub use card::Summary;
pub use error::ReportError;
pub use reader::{Run, read};
pub use render::render;
pub use verdict::{Verdict, judge};
pub use writer::{RunWriter, run_directory};
