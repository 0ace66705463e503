//! Lazy leveling: sorted runs pile up on every level but the last, which is one run.
//!
//! ```text
//!   level 0   [t9] [t8] [t7]                      as flushed
//!   level 1   [a────z] [a────z] [a────z]          runs of merged runs, up to size_ratio of them
//!   level 2   [a──f][g──k][l──p][q──u][v──z]      the last: one run, most of the data
//! ```
//!
//! Nearly all entries lie on the last level, so this is where a second run would cost space and
//! where most point reads end; the levels above are small, so merging there often would only cost
//! writes (Dostoevsky, SIGMOD 2018, section 4.1). With L levels, ratio T and B entries per block,
//! an update costs O((L + T) / B) block writes, between tiering's O(L / B) and leveling's O(T·L /
//! B); a lookup of a missing key with Monkey's filters is as cheap as with leveling; a long range
//! scan, too, since the last run holds all but about 1/T of what it reads; a short one looks into
//! every run.
//!
//! * `size_ratio` runs of a level become one run of the next level.
//! * What is due for the last level goes down once it holds a `size_ratio`th of it, or once it is
//!   `size_ratio` runs: together with the whole last run, into the last run.
//! * Where `size_ratio` runs are still less than a `size_ratio`th of the last run, there is room
//!   for a level in between: the last run moves one level down, which rewrites nothing.
//!
//! No size has to be configured: the shape is measured against the last run, as leveled compaction
//! with dynamic sizes does.
//!
//! # Why no newer table is skipped
//!
//! A level gives all its runs at once, and no second job while one of its tables is busy. So runs
//! arrive on the next level in their order of age, and what arrives is newer than all that is
//! there. The last run moves only while it is idle, to a level that is empty.
//!
//! # Caveats
//!
//! A merge into the last run rewrites all of it at once: the engine can cut the job by keys into
//! parts, but until all of them are done the old run stays on the disk. Tombstones and expiry start
//! no job.

use super::runs::{Run, bytes, merge, runs_of};
use super::{Job, Picker, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "lazy_leveled",
    about: "runs pile up on all levels but the last: less rewriting at nearly the reads of leveled",
    paper: "Dostoevsky: Dayan and Idreos, SIGMOD 2018, section 4.1",
    parameters: &[
        Parameter {
            name: "size_ratio",
            about: "runs of a level that become one of the next, and the last level's size over \
                    that of those above it: 2 to 100",
        },
        Parameter {
            name: "table_mib",
            about: "size at which a merged run is cut into tables, in MiB: 1 to 65536",
        },
    ],
    defaults: defaults::<LazyLeveled>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Picker>, Invalid> {
    let lazy = read::<LazyLeveled>(settings)?;
    within("size_ratio", lazy.size_ratio, 2, 100)?;
    within("table_mib", lazy.table_mib, 1, 1 << 16)?;
    Ok(Box::new(lazy))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LazyLeveled {
    size_ratio: u64,
    table_mib: u64,
}

impl Default for LazyLeveled {
    /// Half of leveling's usual ratio: the last level is rewritten as a whole, table by table it
    /// would cost about half as much.
    fn default() -> Self {
        LazyLeveled { size_ratio: 5, table_mib: 64 }
    }
}

impl Picker for LazyLeveled {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        let last = view.tables.iter().map(|table| table.level).max()?;
        let levels = (0..=last).map(|level| runs_of(level, view.tables)).collect::<Vec<_>>();
        (0..=last).find_map(|level| self.job(&levels, level))
    }
}

impl LazyLeveled {
    /// What `level` has to give, if anything. The runs of a level come newest first.
    fn job(&self, levels: &[Vec<Run<'_>>], level: u32) -> Option<Job> {
        let at = level as usize;
        let (runs, last) = (&levels[at], levels.len() - 1);
        if runs.is_empty() || runs.iter().any(|run| run.busy) {
            return None;
        }
        let many = runs.len() as u64 >= self.size_ratio;
        if at == last && level > 0 {
            let reason = "the last level is one run";
            return (runs.len() > 1).then(|| merge(runs, level, None, self.table_mib, reason));
        }
        if at + 1 < last || at == last {
            let next = levels.get(at + 1).map_or(&[][..], Vec::as_slice);
            return if many { self.pass_on(runs, next, level + 1) } else { None };
        }
        self.fill_last(runs, &levels[last], level + 1, many)
    }

    /// Several runs become one of the next level. If what lies there is not older throughout, as
    /// another picker may have left it, it goes into the same run.
    fn pass_on(&self, runs: &[Run<'_>], next: &[Run<'_>], level: u32) -> Option<Job> {
        let job = merge(runs, level, None, self.table_mib, "a level holds too many runs");
        let oldest = runs.iter().map(|run| run.min_sequence).min()?;
        if next.iter().all(|run| run.max_sequence < oldest) {
            return Some(job);
        }
        take_along(job, next)
    }

    /// From the level above the last one into the last one, or a new level between the two.
    fn fill_last(&self, runs: &[Run<'_>], last: &[Run<'_>], level: u32, many: bool) -> Option<Job> {
        let large = bytes(runs) * self.size_ratio >= bytes(last);
        if !(many || large) {
            return None;
        }
        if !large {
            let idle = last.iter().all(|run| !run.busy);
            return idle
                .then(|| merge(last, level + 1, None, self.table_mib, "room for one more level"));
        }
        let reason = "the last level takes what is due";
        take_along(merge(runs, level, None, self.table_mib, reason), last)
    }
}

/// The job with the runs of its output level as further inputs, unless one is busy.
fn take_along(mut job: Job, runs: &[Run<'_>]) -> Option<Job> {
    if runs.iter().any(|run| run.busy) {
        return None;
    }
    job.inputs.extend(runs.iter().flat_map(|run| &run.tables).map(|table| table.id));
    Some(job)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compaction::TableMeta;

    /// Runs of one table, the newest first, by level and size in MiB; a negative size is busy.
    fn picked(newest_first: &[(u32, i64)]) -> Option<(Vec<u64>, u32)> {
        let count = newest_first.len() as u64;
        let table = |(at, (level, mib)): (usize, &(u32, i64))| {
            let id = count - at as u64;
            TableMeta {
                id,
                level: *level,
                run: id,
                bytes: mib.unsigned_abs() << 20,
                entries: 1,
                min_sequence: id,
                max_sequence: id,
                first_key: "a".into(),
                last_key: "z".into(),
                busy: *mib < 0,
                ..TableMeta::default()
            }
        };
        let tables = newest_first.iter().enumerate().map(table).collect::<Vec<_>>();
        let lazy = LazyLeveled { size_ratio: 3, ..LazyLeveled::default() };
        let job = lazy.pick(&View { tables: &tables, now_s: 0, quiet: false })?;
        Some((job.inputs, job.output_level))
    }

    #[test]
    fn runs_pile_up_above_the_last_level() {
        assert_eq!(picked(&[(0, 10), (0, 10)]), None);
        assert_eq!(picked(&[(0, 10), (0, 10), (0, 10)]), Some((vec![3, 2, 1], 1)));
        assert_eq!(picked(&[(0, 9), (0, 9), (1, 30), (2, 999)]), None);
        let due = [(0, 9), (0, 9), (0, 9), (1, 30), (2, 999)];
        assert_eq!(picked(&due), Some((vec![5, 4, 3], 1)));
    }

    #[test]
    fn the_last_level_takes_what_weighs_a_share_of_it() {
        assert_eq!(picked(&[(1, 30), (1, 30), (2, 181)]), None);
        assert_eq!(picked(&[(1, 30), (1, 30), (2, 180)]), Some((vec![3, 2, 1], 2)));
        assert_eq!(picked(&[(1, 30), (1, 30), (2, -180)]), None, "it is busy");
        assert_eq!(picked(&[(1, 30), (1, -30), (2, 180)]), None, "in order of age or not at all");
    }

    #[test]
    fn a_large_last_run_makes_room_for_a_level() {
        let runs = [(1, 30), (1, 30), (1, 30), (2, 300)];
        assert_eq!(picked(&runs), Some((vec![1], 3)));
        let moved = [(1, 30), (1, 30), (1, 30), (3, 300)];
        assert_eq!(picked(&moved), Some((vec![4, 3, 2], 2)));
    }

    #[test]
    fn what_interleaves_on_the_next_level_is_taken_along() {
        let table = |id, level, min_sequence, max_sequence| TableMeta {
            id,
            level,
            run: id,
            bytes: 10 << 20,
            min_sequence,
            max_sequence,
            ..TableMeta::default()
        };
        let mut tables = vec![table(1, 0, 70, 79), table(2, 0, 80, 89), table(3, 0, 90, 99)];
        tables.extend([table(4, 1, 1, 69), table(5, 2, 1, 60)]);
        let lazy = LazyLeveled { size_ratio: 3, ..LazyLeveled::default() };
        let inputs = |tables: &[TableMeta]| {
            lazy.pick(&View { tables, now_s: 0, quiet: false })
                .map(|job| (job.inputs, job.output_level))
        };
        assert_eq!(inputs(&tables), Some((vec![3, 2, 1], 1)));
        tables[3].max_sequence = 70;
        assert_eq!(inputs(&tables), Some((vec![3, 2, 1, 4], 1)));
        tables[3].busy = true;
        assert_eq!(inputs(&tables), None);
    }

    #[test]
    fn several_runs_on_the_last_level_become_one() {
        assert_eq!(picked(&[(0, 10), (3, 10), (3, 99)]), Some((vec![2, 1], 3)));
    }
}
