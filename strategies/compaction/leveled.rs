//! Leveled compaction: every level below 0 is one sorted run, each larger than the one above it.
//!
//! ```text
//!   level 0   [t9] [t8] [t7] [t6]       as flushed; merged down from level0_tables runs on
//!   level 1                             │ empty: the data does not need them yet
//!   …                                   │
//!   level 5   [a──f][g──p][q──z]        the base: a level_ratio-th of the last
//!   level 6   [a─c][d─e] … … … [y─z]    the last: nine tenths of the data, no target
//! ```
//!
//! A read looks into one table per level, and a key's old versions wait in few places: reads and
//! space are cheap. The price is write amplification: an entry is rewritten up to `level_ratio`
//! times on each level that it passes, O(T·L / B) block writes per update with L levels, ratio T
//! and B entries per block (Dostoevsky, SIGMOD 2018, section 3; RocksDB, FAST 2021: 16 in
//! production, with 10 % of space lost).
//!
//! # Sizes follow from the last level
//!
//! Targets are computed upwards from what there is: the level above the largest may hold a
//! `level_ratio`th of it, and so on, until a level fits into `base_mib`. Level 0 goes there; the
//! levels above it stay empty. So what lies above the last level, and may be stale, is always about
//! 1/T + 1/T² + …, 11 % for a ratio of 10, while targets counted from the top leave the last level
//! at any size between nothing and full (RocksDB, `level_compaction_dynamic_level_bytes`).
//! When the data grows past a target a new base opens above; when it shrinks to half of what its
//! base is for, that level empties itself and closes.
//!
//! # What goes next
//!
//! The level that is fullest against its target goes first; where a running job stands in its way,
//! the next one. From level 0 all idle tables go at once, because they overlap, and drag along
//! what they overlap of the base, however little they are. So where that is more than they are,
//! they wait for more, up to `level0_wait` times `level0_tables` runs, unless the store is quiet:
//! merges are fewer, and a read asks some filters more. Measured on metadata under uniform
//! overwrites with the defaults and memtables of 64 MiB, compaction writes half as much at 512 MiB
//! of data and 19 % less at 4 GiB; as much at 1, 2 and 8 GiB, where the base is no larger than four
//! memtables. They wait, too, while nothing lies beneath: a burst into a new store then ends before
//! they are merged, or in fewer tables to merge.
//!
//! From a deeper level goes the table that drags the fewest bytes of the next level along, for its
//! own size: where merges were long ago, entries stand dense in a narrow range of keys. Measured on
//! metadata under uniform overwrites, taking tables in turn rewrites 1 to 2 % less, but has to
//! remember where it was; taking two neighbours together rewrites 5 % less, and holds up others for
//! longer. While the base level is busy and level 0 keeps growing, its newest runs are merged with
//! each other, so that reads and writers need not wait for the large job.
//!
//! When no level is full: a table of which `tombstone_share` are tombstones goes one level down, or
//! is rewritten where nothing lies beneath; so is a table at the bottom of which `expired_share`
//! has expired. There an engine drops them, so this ends.
//!
//! # Why no newer table is skipped
//!
//! All idle tables of level 0 leave together, with all of the base between their first and last
//! key, and not while a busy table of level 0 lies between those keys; what is flushed meanwhile is
//! newer. A table of a deeper level is older, key by key, than all above it, and takes every
//! overlapping table of its target along. A busy table in the way means no job. Where another
//! picker left several runs on a level, they are merged into one before anything goes in or out.
//!
//! # Caveats
//!
//! Level 0 is not part of the targets: with less data than some hundred memtables its stale
//! entries weigh as well. The job that empties level 0 is large (level 0 and the base); an engine
//! should merge it in parallel parts. Tombstones on level 0 wait until level 0 goes.

use super::runs::{Run, merge, runs_of};
use super::{Job, Picker, TableMeta, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "leveled",
    about: "sorted runs of growing size: cheap reads and little space for much rewriting",
    paper: "O'Neil et al., Acta Informatica 33, 1996; LevelDB; RocksDB, FAST 2021, section 3",
    parameters: &[
        Parameter {
            name: "level0_tables",
            about: "runs of level 0 that start a merge into the base level: 1 to 1000",
        },
        Parameter {
            name: "level0_wait",
            about: "times level0_tables runs that wait for a merge to pay: 1 (none waits) to 100",
        },
        Parameter {
            name: "base_mib",
            about: "most that the base level may hold, in MiB: 1 to 1048576",
        },
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
        Parameter {
            name: "tombstone_share",
            about: "share of tombstones that starts a job for a table: 0 (never) to 1",
        },
        Parameter {
            name: "expired_share",
            about: "share of expired entries that starts a job at the bottom: 0 (never) to 1",
        },
    ],
    defaults: defaults::<Leveled>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Picker>, Invalid> {
    let leveled = read::<Leveled>(settings)?;
    within("level0_tables", leveled.level0_tables, 1, 1_000)?;
    within("level0_wait", leveled.level0_wait, 1, 100)?;
    within("base_mib", leveled.base_mib, 1, 1 << 20)?;
    within("level_ratio", leveled.level_ratio, 2, 100)?;
    within("table_mib", leveled.table_mib, 1, 1 << 16)?;
    within("levels", leveled.levels, 2, 16)?;
    within("tombstone_share", leveled.tombstone_share, 0.0, 1.0)?;
    within("expired_share", leveled.expired_share, 0.0, 1.0)?;
    Ok(Box::new(leveled))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leveled {
    level0_tables: usize,
    level0_wait: usize,
    base_mib: u64,
    level_ratio: u64,
    table_mib: u64,
    levels: u32,
    tombstone_share: f64,
    expired_share: f64,
}

impl Default for Leveled {
    /// RocksDB's ratio, levels and 4 tables of level 0, or 8 where so few do not pay. The base may
    /// hold twice what level 0 does with memtables of 64 MiB: it is rewritten whenever level 0 is
    /// merged, and much smaller than level 0 it would only be one more stop on the way. RocksDB's
    /// 256 MiB rewrite 18 % more on 3 GiB and as much on 6 GiB; 1 GiB rewrites 10 % less there in
    /// jobs that are twice as large (all without waiting). Tables of 16 MiB instead of 64, so that
    /// one job holds up the next for less time on few cores.
    fn default() -> Self {
        Leveled {
            level0_tables: 4,
            level0_wait: 2,
            base_mib: 512,
            level_ratio: 10,
            table_mib: 16,
            levels: 7,
            tombstone_share: 0.5,
            expired_share: 0.5,
        }
    }
}

const MIB: u64 = 1 << 20;

impl Picker for Leveled {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        let shape = self.shape(view.tables);
        if let Some(level) = (1..shape.levels.len()).find(|level| shape.levels[*level].torn) {
            return self.mend(level as u32, view.tables);
        }
        let full = shape.by_fullness();
        let job = full.into_iter().find_map(|level| match level {
            0 => self.lighten_level_0(&shape, view),
            _ => self.lighten(level, view.tables, |_| true, "a level is over its target"),
        });
        job.or_else(|| self.clean(&shape, view))
    }
}

/// What one level holds.
#[derive(Clone, Default)]
struct Level {
    tables: usize,
    bytes: u64,
    /// Bytes that no job carries off already.
    idle_bytes: u64,
    run: u64,
    /// Below level 0: there is more than one run.
    torn: bool,
    /// Contents over their target; from 1 on something has to go.
    fullness: f64,
}

struct Shape {
    levels: Vec<Level>,
    /// Where level 0 goes.
    base: usize,
    /// The deepest level that is not empty.
    bottom: usize,
}

impl Shape {
    /// The levels that are full, the fullest first.
    fn by_fullness(&self) -> Vec<u32> {
        let fullness = |level: &u32| self.levels[*level as usize].fullness;
        let levels = 0..self.levels.len() as u32;
        let mut full = levels.filter(|level| fullness(level) >= 1.0).collect::<Vec<_>>();
        full.sort_by(|a, b| fullness(b).total_cmp(&fullness(a)));
        full
    }
}

impl Leveled {
    fn shape(&self, tables: &[TableMeta]) -> Shape {
        let deepest = tables.iter().map(|table| table.level).max().unwrap_or(0);
        let last = deepest.max(self.levels - 1) as usize;
        let mut levels = vec![Level::default(); last + 1];
        for table in tables {
            let level = &mut levels[table.level as usize];
            level.torn |= table.level > 0 && level.tables > 0 && table.run != level.run;
            level.run = table.run;
            level.tables += 1;
            level.bytes += table.bytes;
            level.idle_bytes += if table.busy { 0 } else { table.bytes };
        }
        let mut runs = on(0, tables).map(|table| table.run).collect::<Vec<_>>();
        runs.sort_unstable();
        runs.dedup();
        levels[0].fullness = runs.len() as f64 / self.level0_tables as f64;
        let base = self.set_targets(&mut levels);
        Shape { levels, base, bottom: deepest as usize }
    }

    /// Sets how full the levels below 0 are, by targets that follow from the largest; returns the
    /// base level.
    fn set_targets(&self, levels: &mut [Level]) -> usize {
        let (last, ratio) = (levels.len() - 1, self.level_ratio as f64);
        let first = (1..last).find(|level| levels[*level].tables > 0).unwrap_or(last);
        let largest = levels[1..].iter().map(|level| level.bytes).max().unwrap_or(0) as f64;
        let most = (self.base_mib * MIB) as f64;
        let target = |level: usize| largest / ratio.powi((last - level) as i32);
        let mut base = first;
        while base > 1 && target(base) > most {
            base -= 1;
        }
        for (level, contents) in levels.iter_mut().enumerate().take(last).skip(base) {
            // The base of a store that has shrunk closes, or it would only be one more stop.
            let closes = level == base && target(level) * ratio * 2.0 < most;
            // A level at its target is in order; one byte more is not.
            let over = contents.idle_bytes.saturating_sub(1) as f64;
            contents.fullness = match closes {
                true if contents.idle_bytes > 0 => f64::INFINITY,
                _ => over / target(level),
            };
        }
        base
    }

    /// One run of all that lies on the level, once none of it is busy.
    fn mend(&self, level: u32, tables: &[TableMeta]) -> Option<Job> {
        let runs = runs_of(level, tables);
        let idle = runs.iter().all(|run| !run.busy);
        idle.then(|| merge(&runs, level, None, self.table_mib, "a level is one run"))
    }

    fn lighten_level_0(&self, shape: &Shape, view: &View<'_>) -> Option<Job> {
        let runs = runs_of(0, view.tables);
        self.empty_level_0(shape, &runs, view).or_else(|| self.thin_out_level_0(&runs))
    }

    fn empty_level_0(&self, shape: &Shape, runs: &[Run<'_>], view: &View<'_>) -> Option<Job> {
        let tables = view.tables;
        let (busy, idle) = level_0_split(runs);
        let span = span(&idle)?;
        let base = on(shape.base as u32, tables).collect::<Vec<_>>();
        let in_the_way = self::span(&busy).is_some_and(|busy| overlap(busy, span));
        if in_the_way || (base.is_empty() && !busy.is_empty()) {
            return None;
        }
        let dragged = base.into_iter().filter(|table| overlap(keys(table), span));
        let dragged = dragged.collect::<Vec<_>>();
        let may_wait = !view.quiet && runs.len() < self.level0_wait * self.level0_tables;
        if may_wait && (shape.bottom == 0 || bytes(&dragged) > bytes(&idle)) {
            return None;
        }
        let inputs = idle.into_iter().chain(dragged).collect::<Vec<_>>();
        self.job(inputs, shape.base as u32, tables, "level 0 holds too many tables")
    }

    /// The newest runs of level 0 become one, as long as each further run makes it cheaper to be
    /// rid of one.
    fn thin_out_level_0(&self, runs: &[Run<'_>]) -> Option<Job> {
        let idle = runs.iter().take_while(|run| !run.busy).count();
        if idle < ((self.level0_wait + 1) * self.level0_tables).max(4) {
            return None;
        }
        let (mut bytes, mut count) = (runs[0].bytes + runs[1].bytes, 2);
        for run in &runs[2..idle] {
            if (bytes + run.bytes) / count as u64 > bytes / (count as u64 - 1) {
                break;
            }
            (bytes, count) = (bytes + run.bytes, count + 1);
        }
        let reason = "level 0 is crowded and its target busy";
        (count >= 4).then(|| merge(&runs[..count], 0, None, self.table_mib, reason))
    }

    /// Of the tables of a level that are `wanted` and free to go, that which drags least along.
    fn lighten(
        &self,
        level: u32,
        tables: &[TableMeta],
        wanted: impl Fn(&TableMeta) -> bool,
        reason: &'static str,
    ) -> Option<Job> {
        let (from, into) = (sorted(level, tables), sorted(level + 1, tables));
        if into.is_empty() && from.iter().any(|table| table.busy) {
            return None;
        }
        let mut best = None::<(f64, &TableMeta, Range<usize>)>;
        let (mut start, mut end) = (0, 0);
        for table in from {
            while into.get(start).is_some_and(|other| other.last_key < table.first_key) {
                start += 1;
            }
            end = end.max(start);
            while into.get(end).is_some_and(|other| other.first_key <= table.last_key) {
                end += 1;
            }
            let dragged = &into[start..end];
            if table.busy || !wanted(table) || dragged.iter().any(|other| other.busy) {
                continue;
            }
            let bytes = dragged.iter().map(|other| other.bytes).sum::<u64>();
            let cost = bytes as f64 / table.bytes.max(1) as f64;
            if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
                best = Some((cost, table, start..end));
            }
        }
        let (_, table, dragged) = best?;
        let inputs = std::iter::once(table).chain(into[dragged].iter().copied()).collect();
        self.job(inputs, level + 1, tables, reason)
    }

    /// Tables that are worth a job for their tombstones or for what has expired.
    fn clean(&self, shape: &Shape, view: &View<'_>) -> Option<Job> {
        let many = |part: u64, table: &TableMeta, share: f64| {
            part > 0 && share > 0.0 && part as f64 >= share * table.entries as f64
        };
        let dead = |table: &TableMeta| many(table.tombstones, table, self.tombstone_share);
        let bottom = shape.bottom as u32;
        let rewritten = on(bottom.max(1), view.tables).find(|table| {
            let expired = || many(table.expired_entries(view.now_s), table, self.expired_share);
            !table.busy && (dead(table) || expired())
        });
        if let Some(table) = rewritten {
            return self.job(vec![table], bottom, view.tables, "dead entries at the bottom");
        }
        let sinking =
            view.tables.iter().filter(|table| (1..bottom).contains(&table.level) && dead(table));
        let mut levels = sinking.map(|table| table.level).collect::<Vec<_>>();
        levels.sort_unstable();
        levels.dedup();
        let reason = "many tombstones have to sink";
        levels.into_iter().find_map(|level| self.lighten(level, view.tables, dead, reason))
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

/// The tables of a level that is one run, by key.
fn sorted(level: u32, tables: &[TableMeta]) -> Vec<&TableMeta> {
    let mut tables = on(level, tables).collect::<Vec<_>>();
    tables.sort_by(|a, b| a.first_key.cmp(&b.first_key));
    tables
}

/// The first key and the last.
type Keys<'a> = (&'a Bytes, &'a Bytes);

fn keys(table: &TableMeta) -> Keys<'_> {
    (&table.first_key, &table.last_key)
}

/// From the first key of all tables to the last.
fn span<'a>(tables: &[&'a TableMeta]) -> Option<Keys<'a>> {
    let both = |a: Keys<'a>, b: Keys<'a>| (a.0.min(b.0), a.1.max(b.1));
    tables.iter().map(|table| keys(table)).reduce(both)
}

fn overlap(a: Keys<'_>, b: Keys<'_>) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

fn bytes(tables: &[&TableMeta]) -> u64 {
    tables.iter().map(|table| table.bytes).sum()
}

/// The busy tables of level 0 and the idle ones, each from the newest run on.
fn level_0_split<'a>(runs: &[Run<'a>]) -> (Vec<&'a TableMeta>, Vec<&'a TableMeta>) {
    runs.iter().flat_map(|run| &run.tables).copied().partition(|table| table.busy)
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

    fn leveled() -> Leveled {
        Leveled { level0_wait: 1, base_mib: 64, levels: 3, ..Leveled::default() }
    }

    fn picked(tables: &[TableMeta]) -> Option<(Vec<u64>, u32)> {
        let job = leveled().pick(&View { tables, now_s: 100, quiet: false })?;
        Some((job.inputs, job.output_level))
    }

    fn busy(mut tables: Vec<TableMeta>, id: u64) -> Vec<TableMeta> {
        tables.iter_mut().filter(|table| table.id == id).for_each(|table| table.busy = true);
        tables
    }

    #[test]
    fn level_0_goes_as_a_whole_with_all_between_its_ends() {
        let mut tables = vec![
            table(1, 2, 8, "a-c"),
            table(2, 2, 8, "h-k"),
            table(3, 2, 8, "x-z"),
            table(4, 0, 4, "b-d"),
            table(5, 0, 4, "m-n"),
            table(6, 0, 4, "b-c"),
        ];
        assert_eq!(picked(&tables), None);
        tables.push(table(7, 0, 4, "m-o"));
        let wanted = (vec![7, 6, 5, 4, 1, 2], 2);
        assert_eq!(picked(&tables), Some(wanted), "the newest first, and the table in the gap");
        for id in [2, 5] {
            assert_eq!(picked(&busy(tables.clone(), id)), None, "{id} is in the way");
        }
        assert!(picked(&busy(tables, 3)).is_some(), "3 is not in the way");
    }

    #[test]
    fn level_0_waits_until_a_merge_pays() {
        let wait = Leveled { level0_wait: 2, ..leveled() };
        let picked = |tables: &[TableMeta], quiet| {
            wait.pick(&View { tables, now_s: 0, quiet }).map(|job| job.inputs.len())
        };
        let mut tables = (1..5).map(|id| table(id, 0, 4, "b-d")).collect::<Vec<_>>();
        assert_eq!(picked(&tables, false), None, "nothing lies beneath");
        assert_eq!(picked(&tables, true), Some(4));
        tables.extend([table(100, 2, 16, "a-c"), table(101, 2, 20, "h-z")]);
        assert_eq!(picked(&tables, false), Some(5), "it drags as much along");
        tables[4].bytes += 1;
        assert_eq!(picked(&tables, false), None, "it drags more");
        assert_eq!(picked(&tables, true), Some(5), "nothing more will come");
        tables.extend((5..9).map(|id| table(id, 0, 1, "b-d")));
        assert_eq!(picked(&tables, false), Some(9), "there is more");
        tables[4].bytes = 30 * MIB;
        assert_eq!(picked(&tables, false), Some(9), "reads have to be cheap, too");
        tables.pop();
        assert_eq!(picked(&tables, false), None);
    }

    #[test]
    fn a_base_opens_when_the_last_level_outgrows_it() {
        let mut tables = (1..5).map(|id| table(id, 0, 4, "b-d")).collect::<Vec<_>>();
        tables.push(table(5, 2, 64, "a-z"));
        assert_eq!(picked(&tables), Some((vec![4, 3, 2, 1, 5], 2)));
        tables[4].bytes += 1;
        assert_eq!(picked(&tables), Some((vec![4, 3, 2, 1], 1)));
    }

    #[test]
    fn a_base_closes_when_the_last_level_has_shrunk() {
        let mut tables = vec![table(1, 1, 1, "a-f"), table(2, 2, 32, "a-z")];
        assert_eq!(picked(&tables), None);
        tables[1].bytes -= 1;
        assert_eq!(picked(&tables), Some((vec![1, 2], 2)));
    }

    #[test]
    fn a_full_level_gives_the_table_that_drags_least_along() {
        let tables = vec![
            table(1, 1, 32, "a-f"),
            table(2, 1, 32, "g-p"),
            table(3, 1, 32, "q-z"),
            table(4, 2, 160, "a-d"),
            table(5, 2, 160, "e-g"),
            table(6, 2, 160, "h-n"),
            table(7, 2, 160, "r-s"),
        ];
        assert_eq!(picked(&tables), Some((vec![3, 7], 2)));
        assert_eq!(picked(&busy(tables.clone(), 7)), Some((vec![1, 4, 5], 2)));
        assert_eq!(picked(&busy(busy(tables, 7), 5)), None);
    }

    #[test]
    fn a_level_at_its_target_rests() {
        let mut tables = vec![table(1, 1, 16, "a-f"), table(2, 1, 16, "g-p")];
        tables.push(table(3, 2, 320, "r-z"));
        assert_eq!(picked(&tables), None);
        tables[0].bytes += 1;
        assert_eq!(picked(&tables), Some((vec![1], 2)));
    }

    #[test]
    fn a_crowded_level_0_is_merged_while_its_target_is_busy() {
        let mut tables = (1..8).map(|id| table(id, 0, 4, "b-d")).collect::<Vec<_>>();
        tables.push(TableMeta { busy: true, ..table(100, 2, 40, "a-z") });
        assert_eq!(picked(&tables), None);
        tables.push(table(8, 0, 4, "b-d"));
        assert_eq!(picked(&tables), Some((vec![8, 7, 6, 5, 4, 3, 2, 1], 0)));
        tables[0].bytes = 100 * MIB;
        assert_eq!(picked(&tables), Some((vec![8, 7, 6, 5, 4, 3, 2], 0)), "1 would not pay");
    }

    #[test]
    fn several_runs_of_a_level_become_one_before_anything_else() {
        let mut tables = (1..5).map(|id| table(id, 0, 4, "b-d")).collect::<Vec<_>>();
        tables.extend([table(5, 2, 40, "a-z"), table(6, 2, 40, "b-c")]);
        tables[5].run = 7;
        assert_eq!(picked(&tables), Some((vec![6, 5], 2)));
        assert_eq!(picked(&busy(tables, 5)), None);
    }

    #[test]
    fn the_dead_are_carried_out() {
        let mut tables =
            vec![table(1, 1, 4, "a-c"), table(2, 2, 40, "b-z"), table(3, 2, 1, "zz-zzz")];
        tables.iter_mut().for_each(|table| table.entries = 10);
        assert_eq!(picked(&tables), None);
        tables[2].expiry = vec![(90, 4), (100, 1), (101, 5)];
        assert_eq!(picked(&tables), Some((vec![3], 2)), "half of it has expired");
        assert_eq!(picked(&busy(tables.clone(), 3)), None);
        tables[2].expiry = vec![(101, 10)];
        tables[0].tombstones = 5;
        assert_eq!(picked(&tables), Some((vec![1, 2], 2)), "tombstones sink");
        tables[1].tombstones = 5;
        assert_eq!(picked(&tables), Some((vec![2], 2)), "at the bottom they are dropped");
    }
}
