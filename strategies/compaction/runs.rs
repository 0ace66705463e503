//! Sorted runs, as the tables of a level make them up.

use super::{Job, TableMeta};
use std::cmp::Reverse;

/// A run with what pickers weigh.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub tables: Vec<&'a TableMeta>,
    pub bytes: u64,
    pub max_sequence: u64,
    pub max_written_s: u64,
    /// A running job reads one of the tables.
    pub busy: bool,
}

impl<'a> Run<'a> {
    fn new(tables: &[&'a TableMeta]) -> Self {
        Run {
            bytes: tables.iter().map(|table| table.bytes).sum(),
            max_sequence: tables.iter().map(|table| table.max_sequence).max().unwrap_or(0),
            max_written_s: tables.iter().map(|table| table.max_written_s).max().unwrap_or(0),
            busy: tables.iter().any(|table| table.busy),
            tables: tables.to_vec(),
        }
    }
}

/// The runs of a level, the newest first. Tables of one run come as they stood in `tables`.
pub(super) fn runs_of(level: u32, tables: &[TableMeta]) -> Vec<Run<'_>> {
    let mut tables = tables.iter().filter(|table| table.level == level).collect::<Vec<_>>();
    tables.sort_by_key(|table| table.run);
    let mut runs = tables.chunk_by(|a, b| a.run == b.run).map(Run::new).collect::<Vec<_>>();
    runs.sort_by_key(|run| Reverse((run.max_sequence, run.tables[0].run)));
    runs
}

/// A job that merges whole runs.
pub(super) fn merge(
    runs: &[Run<'_>],
    output_level: u32,
    output_run: Option<u64>,
    table_mib: u64,
    reason: &'static str,
) -> Job {
    let tables = runs.iter().flat_map(|run| &run.tables);
    let inputs = tables.map(|table| table.id).collect();
    Job { inputs, output_level, output_run, table_bytes: table_mib << 20, reason }
}

pub(super) fn bytes(runs: &[Run<'_>]) -> u64 {
    runs.iter().map(|run| run.bytes).sum()
}
