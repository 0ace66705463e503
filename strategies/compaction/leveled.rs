//! Leveled compaction: every level below 0 is one sorted run, each larger than the one above it.
//!
//! ```text
//!   level 0   [t9] [t8] [t7] [t6]      as flushed; merged down when there are level0_tables
//!   level 1   [a──f][g──p][q──z]       up to base_mib
//!   level 2   [a─c][d─e] … [y─z]       level_ratio times as much, and so on
//! ```
//!
//! A read looks into one table per level, and a key's old versions wait in few places: reads and
//! space are cheap. The price is write amplification: an entry is rewritten about `level_ratio`
//! times on each level that it passes (RocksDB, FAST 2021: 16 in production, with 10 % of space
//! lost).
//!
//! The level that is fullest against its target goes first; where a running job stands in its way,
//! the next one. From level 0 all tables go at once, because they overlap. From a deeper level goes
//! the one table that drags the fewest bytes of the next level along, for its own size.
//!
//! # Why no newer table is skipped
//!
//! Level 0 leaves as a whole, together with all of level 1 between its first and last key; what is
//! flushed meanwhile is newer. A table of a deeper level is older, key by key, than all above it,
//! and takes every overlapping table of its target along. A busy table in the way means no job.
//!
//! # Caveats
//!
//! Targets are fixed from the top (level 1 = `base_mib`), not fitted to the size of the last level,
//! so space overhead varies until a level is full. No job is started for tombstones or expiry
//! alone; they sink with the data around them. A large level 0 is one large job: there is no
//! merging within level 0.

use super::{Job, Picker, TableMeta, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "leveled",
    about: "sorted runs of growing size: cheap reads and little space for much rewriting",
    paper: "O'Neil et al., Acta Informatica 33, 1996; LevelDB; RocksDB, FAST 2021, section 3",
    parameters: &[
        Parameter {
            name: "level0_tables",
            about: "tables of level 0 that start a merge into level 1: 1 to 1000",
        },
        Parameter { name: "base_mib", about: "target size of level 1 in MiB: 1 to 1048576" },
        Parameter {
            name: "level_ratio",
            about: "each level's target over that of the one above: 2 to 100",
        },
        Parameter {
            name: "table_mib",
            about: "size at which a merged run is cut into tables, in MiB: 1 to 65536",
        },
        Parameter {
            name: "levels",
            about: "levels with level 0; the last one has no target: 2 to 16",
        },
    ],
    defaults: defaults::<Leveled>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Picker>, Invalid> {
    let leveled = read::<Leveled>(settings)?;
    within("level0_tables", leveled.level0_tables, 1, 1_000)?;
    within("base_mib", leveled.base_mib, 1, 1 << 20)?;
    within("level_ratio", leveled.level_ratio, 2, 100)?;
    within("table_mib", leveled.table_mib, 1, 1 << 16)?;
    within("levels", leveled.levels, 2, 16)?;
    Ok(Box::new(leveled))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leveled {
    level0_tables: u64,
    base_mib: u64,
    level_ratio: u64,
    table_mib: u64,
    levels: u32,
}

impl Default for Leveled {
    /// RocksDB's shape (4 tables, ratio 10, 7 levels, level 1 of four tables) with tables of 16 MiB
    /// instead of 64, so that one job holds up the next for less time on few cores.
    fn default() -> Self {
        Leveled { level0_tables: 4, base_mib: 64, level_ratio: 10, table_mib: 16, levels: 7 }
    }
}

const MIB: u64 = 1 << 20;

impl Picker for Leveled {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        let tables = view.tables;
        let mut full = (0..self.levels - 1)
            .map(|level| (self.fullness(level, tables), level))
            .filter(|(fullness, _)| *fullness >= 1.0)
            .collect::<Vec<_>>();
        full.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        full.into_iter().find_map(|(_, level)| match level {
            0 => self.empty_level_0(tables),
            _ => self.lighten_level(level, tables),
        })
    }
}

impl Leveled {
    /// Contents of a level over its target: tables for level 0, bytes for the others.
    fn fullness(&self, level: u32, tables: &[TableMeta]) -> f64 {
        let tables = on(level, tables);
        if level == 0 {
            return tables.count() as f64 / self.level0_tables as f64;
        }
        let target = self.base_mib as f64 * (self.level_ratio as f64).powi(level as i32 - 1);
        let bytes = tables.map(|table| table.bytes).sum::<u64>();
        // A level at its target is in order; one byte more is not.
        bytes.saturating_sub(1) as f64 / (target * MIB as f64)
    }

    fn empty_level_0(&self, tables: &[TableMeta]) -> Option<Job> {
        let mut inputs = on(0, tables).collect::<Vec<_>>();
        inputs.sort_by_key(|table| std::cmp::Reverse((table.max_sequence, table.id)));
        let first = inputs.iter().map(|table| &table.first_key).min()?;
        let last = inputs.iter().map(|table| &table.last_key).max()?;
        inputs.extend(on(1, tables).filter(|t| t.first_key <= *last && *first <= t.last_key));
        self.job(inputs, 1, tables, "level 0 holds too many tables")
    }

    fn lighten_level(&self, level: u32, tables: &[TableMeta]) -> Option<Job> {
        let best = on(level, tables)
            .filter_map(|table| {
                let inputs = with_overlapping(table, level + 1, tables);
                let dragged = inputs[1..].iter().map(|input| input.bytes).sum::<u64>();
                let cost = dragged as f64 / table.bytes.max(1) as f64;
                inputs.iter().all(|input| !input.busy).then_some((cost, inputs))
            })
            .min_by(|(a, left), (b, right)| {
                a.total_cmp(b).then_with(|| left[0].first_key.cmp(&right[0].first_key))
            });
        self.job(best?.1, level + 1, tables, "a level is over its target")
    }

    fn job(
        &self,
        inputs: Vec<&TableMeta>,
        output_level: u32,
        tables: &[TableMeta],
        reason: &'static str,
    ) -> Option<Job> {
        if inputs.iter().any(|table| table.busy) {
            return None;
        }
        let inputs = inputs.iter().map(|table| table.id).collect();
        let output_run = on(output_level, tables).map(|table| table.run).next();
        Some(Job { inputs, output_level, output_run, table_bytes: self.table_mib * MIB, reason })
    }
}

fn on(level: u32, tables: &[TableMeta]) -> impl Iterator<Item = &TableMeta> {
    tables.iter().filter(move |table| table.level == level)
}

/// `table`, then the tables of `level` that overlap it.
fn with_overlapping<'a>(
    table: &'a TableMeta,
    level: u32,
    tables: &'a [TableMeta],
) -> Vec<&'a TableMeta> {
    let overlaps =
        |other: &&TableMeta| other.first_key <= table.last_key && table.first_key <= other.last_key;
    std::iter::once(table).chain(on(level, tables).filter(overlaps)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A table by id, level, size in MiB and key range; the higher the id, the newer.
    fn table(id: u64, level: u32, mib: u64, keys: &'static str) -> TableMeta {
        let (first, last) = keys.split_once('-').unwrap();
        TableMeta {
            id,
            level,
            bytes: mib * MIB,
            entries: 1,
            run: if level == 0 { id } else { 1_000 },
            first_key: first.into(),
            last_key: last.into(),
            min_sequence: id,
            max_sequence: id,
            ..TableMeta::default()
        }
    }

    fn picked(tables: &[TableMeta]) -> Option<(Vec<u64>, u32)> {
        Leveled::default()
            .pick(&View { tables, now_s: 0 })
            .map(|job| (job.inputs, job.output_level))
    }

    fn busy(mut tables: Vec<TableMeta>, id: u64) -> Vec<TableMeta> {
        tables.iter_mut().filter(|table| table.id == id).for_each(|table| table.busy = true);
        tables
    }

    #[test]
    fn level_0_goes_as_a_whole_with_all_between_its_ends() {
        let mut tables = vec![
            table(1, 1, 8, "a-c"),
            table(2, 1, 8, "h-k"),
            table(3, 1, 8, "x-z"),
            table(4, 0, 4, "b-d"),
            table(5, 0, 4, "m-n"),
            table(6, 0, 4, "b-c"),
        ];
        assert_eq!(picked(&tables), None);
        tables.push(table(7, 0, 4, "m-o"));
        let wanted = (vec![7, 6, 5, 4, 1, 2], 1);
        assert_eq!(picked(&tables), Some(wanted), "the newest first, and the table in the gap");
        for id in [2, 5] {
            assert_eq!(picked(&busy(tables.clone(), id)), None, "{id} is in the way");
        }
        assert!(picked(&busy(tables, 3)).is_some(), "3 is not in the way");
    }

    #[test]
    fn a_full_level_gives_the_table_that_drags_least_along() {
        let tables = vec![
            table(1, 1, 32, "a-f"),
            table(2, 1, 32, "g-p"),
            table(3, 1, 32, "q-z"),
            table(4, 2, 16, "a-d"),
            table(5, 2, 16, "e-g"),
            table(6, 2, 16, "h-n"),
            table(7, 2, 16, "r-s"),
        ];
        assert_eq!(picked(&tables), Some((vec![3, 7], 2)));
        assert_eq!(picked(&busy(tables.clone(), 7)), Some((vec![1, 4, 5], 2)));
        assert_eq!(picked(&busy(busy(tables, 7), 5)), None);
    }

    #[test]
    fn a_level_at_its_target_rests() {
        let mut tables = vec![table(1, 1, 32, "a-f"), table(2, 1, 32, "g-p")];
        assert_eq!(picked(&tables), None);
        tables[0].bytes += 1;
        assert_eq!(picked(&tables), Some((vec![1], 2)));
    }
}
