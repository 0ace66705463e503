//! Sorted runs, as the tables of a level make them up.

use super::{Job, TableMeta};
use std::cmp::Reverse;

/// A run with what pickers weigh.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub tables: Vec<&'a TableMeta>,
    pub bytes: u64,
    pub min_sequence: u64,
    pub max_sequence: u64,
    pub max_written_s: u64,
    /// A running job reads one of the tables.
    pub busy: bool,
    /// A job with this run may put its output on level 1: see [`by_age`].
    settles: bool,
}

impl<'a> Run<'a> {
    fn new(tables: &[&'a TableMeta]) -> Self {
        Run {
            bytes: tables.iter().map(|table| table.bytes).sum(),
            min_sequence: tables.iter().map(|table| table.min_sequence).min().unwrap_or(0),
            max_sequence: tables.iter().map(|table| table.max_sequence).max().unwrap_or(0),
            max_written_s: tables.iter().map(|table| table.max_written_s).max().unwrap_or(0),
            busy: tables.iter().any(|table| table.busy),
            settles: tables.iter().any(|table| table.level > 0),
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

/// The runs of levels 0 and 1 in their order of age, the newest first: for pickers that know no
/// levels. Level 0 is where runs wait for their first merge, which an engine may take for its debt;
/// whatever is merged with the oldest of them settles on level 1, newer than all that is there.
pub(super) fn by_age(tables: &[TableMeta]) -> Vec<Run<'_>> {
    let (mut runs, settled) = (runs_of(0, tables), runs_of(1, tables));
    let newest = settled.iter().map(|run| run.max_sequence).max();
    if let Some(oldest) = runs.last_mut() {
        oldest.settles = Some(oldest.min_sequence) > newest;
    }
    runs.extend(settled);
    runs
}

/// Whether a job may take two runs that follow one another in age, `newer` first: no sequence
/// numbers interleave, as those of levels do that another picker left.
pub(super) fn are_neighbours(newer: &Run<'_>, older: &Run<'_>) -> bool {
    !newer.busy && !older.busy && newer.min_sequence > older.max_sequence
}

/// A job that merges neighbours in age.
pub(super) fn merge_neighbours(group: &[Run<'_>], table_mib: u64, reason: &'static str) -> Job {
    let output_level = u32::from(group.iter().any(|run| run.settles));
    merge(group, output_level, None, table_mib, reason)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A table that is a run, by id, level and sequence numbers.
    fn table(id: u64, level: u32, min_sequence: u64, max_sequence: u64) -> TableMeta {
        TableMeta { id, run: id, level, min_sequence, max_sequence, ..TableMeta::default() }
    }

    fn output_level(tables: &[TableMeta], group: std::ops::Range<usize>) -> u32 {
        merge_neighbours(&by_age(tables)[group], 1, "a test").output_level
    }

    #[test]
    fn what_is_merged_with_the_oldest_of_level_0_settles() {
        let mut tables = vec![table(1, 1, 1, 9), table(2, 0, 20, 29), table(3, 0, 30, 39)];
        let ids = |tables: &[TableMeta]| -> Vec<u64> {
            by_age(tables).iter().map(|run| run.tables[0].id).collect()
        };
        assert_eq!(ids(&tables), [3, 2, 1]);
        assert_eq!(output_level(&tables, 0..1), 0, "2 is older and stays on level 0");
        assert_eq!(output_level(&tables, 0..2), 1);
        assert_eq!(output_level(&tables, 1..3), 1);
        tables[0].max_sequence = 20;
        assert_eq!(output_level(&tables, 0..2), 0, "1 is not older throughout");
        let runs = by_age(&tables);
        assert!(are_neighbours(&runs[0], &runs[1]) && !are_neighbours(&runs[1], &runs[2]));
    }
}
