//! Makes everything derived from the record of a run.

use super::{ReportError, Summary, csv_files, files, plot, reader};
use std::path::Path;

/// Reads the run in `dir` and (re)makes its CSV files, `summary.txt` and plots from that alone.
pub fn render(dir: &Path) -> Result<Summary, ReportError> {
    let run = reader::read(dir)?;
    csv_files::write(dir, &run)?;
    plot::draw(dir, &run)?;
    let summary = Summary::new(dir, run);
    files::write_whole(&dir.join(files::SUMMARY), summary.to_string().as_bytes())?;
    Ok(summary)
}
