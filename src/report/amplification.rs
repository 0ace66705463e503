//! Shows what compaction strategies cost over the data written: samples as CSV, lines as plots.

use super::ReportError;
use super::{files, plot};
use serde_json::{Value, json};
use std::path::Path;

/// One strategy.
#[derive(Clone, Debug)]
pub struct Line {
    pub label: String,
    pub points: Vec<Point>,
}

/// The state after a flush; bytes are counted from the beginning.
#[derive(Clone, Debug)]
pub struct Point {
    pub user_bytes: f64,
    pub flushed_bytes: f64,
    pub compaction_written_bytes: f64,
    /// Bytes of the tables over those of live entries since the last point: mean and worst, the
    /// latter with inputs and outputs of running jobs.
    pub space: f64,
    pub worst_space: f64,
    pub tables: usize,
    pub levels: usize,
    /// Sorted runs that a short scan merges.
    pub runs: f64,
    /// Filters that a read asks until it finds its key.
    pub hit_runs: f64,
    /// Tables that a read of an absent key looks into.
    pub miss_tables: f64,
}

const COLUMNS: [&str; 12] = [
    "strategy",
    "user_bytes",
    "flushed_bytes",
    "compaction_written_bytes",
    "write_amplification",
    "space_amplification",
    "space_amplification_worst",
    "tables",
    "levels",
    "scan_runs",
    "hit_runs",
    "miss_tables",
];

impl Point {
    /// Bytes flushed and compacted over those that clients wrote.
    pub fn writes(&self) -> f64 {
        let written = self.flushed_bytes + self.compaction_written_bytes;
        if self.user_bytes > 0.0 { written / self.user_bytes } else { 0.0 }
    }

    /// As a JSON object, by the names of the CSV's columns.
    pub fn json(&self) -> Value {
        let values = self.fields().map(|(_, value)| json!(value));
        Value::Object(COLUMNS[1..].iter().map(ToString::to_string).zip(values).collect())
    }

    /// Digits after the point, and the value, of each column but the first.
    fn fields(&self) -> [(usize, f64); 11] {
        [
            (0, self.user_bytes),
            (0, self.flushed_bytes),
            (0, self.compaction_written_bytes),
            (4, self.writes()),
            (4, self.space),
            (4, self.worst_space),
            (0, self.tables as f64),
            (0, self.levels as f64),
            (3, self.runs),
            (3, self.hit_runs),
            (5, self.miss_tables),
        ]
    }
}

/// Writes all points of all lines.
///
/// # Errors
/// The file cannot be written.
pub fn write_csv(path: &Path, lines: &[Line]) -> Result<(), ReportError> {
    let failed = |error: csv::Error| ReportError::io("write", path)(error.into());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(failed)?;
    for line in lines {
        for point in &line.points {
            let fields = point.fields().map(|(digits, value)| format!("{value:.digits$}"));
            let row = std::iter::once(line.label.clone()).chain(fields);
            writer.write_record(row).map_err(failed)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| {
        ReportError::io("write", path)(std::io::Error::other(error.to_string()))
    })?;
    files::write_whole(path, &bytes)
}

/// Writes `amplification.csv`, `.svg` and `.png` into the folder; `about` says what the load was.
///
/// # Errors
/// The folder cannot be made or written into.
pub fn draw(dir: &Path, about: &str, lines: &[Line]) -> Result<(), ReportError> {
    std::fs::create_dir_all(dir).map_err(ReportError::io("create", dir))?;
    write_csv(&dir.join("amplification.csv"), lines)?;
    plot::draw_amplification(dir, about, lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(label: &str, times: f64) -> Line {
        let point = |at: u32| Point {
            user_bytes: 1e9 * f64::from(at),
            flushed_bytes: 1e9 * f64::from(at),
            compaction_written_bytes: 1e9 * f64::from(at) * times,
            space: 1.1,
            worst_space: 1.5,
            tables: 7,
            levels: 2,
            runs: 3.5,
            hit_runs: 2.25,
            miss_tables: 0.028_7,
        };
        Line { label: label.to_string(), points: (1..=3).map(point).collect() }
    }

    #[test]
    fn every_point_is_a_row_and_every_figure_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new");
        draw(&out, "a load", &[line("leveled", 5.0), line("unified scaling [T4, L4]", 2.0)])
            .unwrap();
        let csv = std::fs::read_to_string(out.join("amplification.csv")).unwrap();
        assert_eq!(csv.lines().count(), 1 + 2 * 3);
        let row = "\"unified scaling [T4, L4]\",1000000000,1000000000,2000000000,3.0000,1.1000,\
                   1.5000,7,2,3.500,2.250,0.02870";
        assert_eq!(csv.lines().nth(4), Some(row));
        let svg = std::fs::read_to_string(out.join("amplification.svg")).unwrap();
        for word in ["leveled", "a load", "write amplification", "data written (GiB)"] {
            assert!(svg.contains(word), "{word}");
        }
        assert!(out.join("amplification.png").exists());
    }
}
