//! Size-tiered compaction: sorted runs of about the same size are merged into one of the next size.
//!
//! ```text
//!   older ◄────────────────────────────────────────────────── newer
//!   [ r1: a──f g──m n──z ] [ r5: a──z ] [r9][r10][r11][r12]
//!                                        └─ four alike: one job ─┘
//! ```
//!
//! An entry is rewritten once per size, so writing is cheap: with N bytes in memtables of M bytes
//! and T = `min_threshold`, about log_T(N / M) times (Dostoevsky, SIGMOD 2018, section 3). The
//! price is reading and space: a key's versions may lie in every one of T runs per size, and the
//! largest merge needs its own size again while it runs (RocksDB, FAST 2021: write amplification 5
//! against 16, but 45 % of space lost against 10 %).
//!
//! A job takes whole runs, and what comes out is one run in tables of `table_mib`, so that an
//! engine can merge it in parts and drop its tables one by one.
//!
//! # Why no newer table is skipped: age comes before size
//!
//! Lookups go by age. A merged run takes the place of its inputs in that order, so the inputs must
//! be neighbours in it: with one left out in between, the result would be newer than that one in
//! part and older in part. This is where the picker departs from Cassandra, which buckets tables
//! by size alone and compares timestamps when it reads. Sizes are no levels of the engine: level 0
//! holds what was flushed and waits for its first merge, level 1 all else.
//!
//! A group of neighbours counts as alike while each run is between `bucket_low` and `bucket_high`
//! of the group's mean, or as small as `min_run_mib`. The group of the smallest runs goes first.
//!
//! Neighbours need not be alike (a memtable flushed early, runs of another history). So that a
//! strange order of sizes cannot pile up runs for ever, more than `max_threshold` idle neighbours
//! are reason enough: then those `min_threshold` of them go that are the fewest bytes.
//!
//! # Caveats
//!
//! Tombstones and expiry start no job. Runs that do not overlap are still kept in order of age,
//! which costs chances when keys come in order. Levels below 1, left by another picker, stay as
//! they are.

use super::runs::{Run, are_neighbours, by_age, bytes, merge_neighbours};
use super::{Job, Picker, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "size_tiered",
    about: "neighbours of like size are merged: little rewriting for more reads and more space",
    paper: "Cassandra, SizeTieredCompactionStrategy; Bigtable, OSDI 2006, section 5.4",
    parameters: &[
        Parameter {
            name: "min_threshold",
            about: "like runs that start a merge: 2 to max_threshold",
        },
        Parameter { name: "max_threshold", about: "most runs of one merge: 2 to 1000" },
        Parameter {
            name: "bucket_low",
            about: "a like run is at least this fraction of the mean size: 0 to 1",
        },
        Parameter {
            name: "bucket_high",
            about: "a like run is at most this multiple of the mean size: 1 to 100",
        },
        Parameter {
            name: "min_run_mib",
            about: "runs up to this size in MiB are all alike: 0 to 1048576",
        },
        Parameter {
            name: "table_mib",
            about: "size at which a merged run is cut into tables, in MiB: 1 to 65536",
        },
    ],
    defaults: defaults::<SizeTiered>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Picker>, Invalid> {
    let tiered = read::<SizeTiered>(settings)?;
    within("max_threshold", tiered.max_threshold, 2, 1_000)?;
    within("min_threshold", tiered.min_threshold, 2, tiered.max_threshold)?;
    within("bucket_low", tiered.bucket_low, 0.0, 1.0)?;
    within("bucket_high", tiered.bucket_high, 1.0, 100.0)?;
    within("min_run_mib", tiered.min_run_mib, 0, 1 << 20)?;
    within("table_mib", tiered.table_mib, 1, 1 << 16)?;
    Ok(Box::new(tiered))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SizeTiered {
    pub min_threshold: usize,
    pub max_threshold: usize,
    pub bucket_low: f64,
    pub bucket_high: f64,
    pub min_run_mib: u64,
    pub table_mib: u64,
}

impl Default for SizeTiered {
    /// Cassandra's figures.
    fn default() -> Self {
        SizeTiered {
            min_threshold: 4,
            max_threshold: 32,
            bucket_low: 0.5,
            bucket_high: 1.5,
            min_run_mib: 50,
            table_mib: 64,
        }
    }
}

impl Picker for SizeTiered {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        self.among(&by_age(view.tables))
    }
}

impl SizeTiered {
    /// The next job among runs that follow one another in age, the newest first.
    pub(super) fn among(&self, newest_first: &[Run<'_>]) -> Option<Job> {
        let idle = newest_first.chunk_by(are_neighbours);
        let alike = idle.clone().filter_map(|neighbours| self.alike(neighbours));
        if let Some(group) = alike.min_by_key(|group| mean_bytes(group)) {
            return Some(merge_neighbours(group, self.table_mib, "neighbours of like size"));
        }
        let crowded = idle.filter(|neighbours| neighbours.len() > self.max_threshold);
        let lightest = crowded.flat_map(|neighbours| neighbours.windows(self.min_threshold));
        let group = lightest.min_by_key(|group| bytes(group))?;
        Some(merge_neighbours(group, self.table_mib, "too many neighbours"))
    }

    /// Of the groups of like runs that are large enough, the one with the smallest runs.
    fn alike<'r, 'a>(&self, neighbours: &'r [Run<'a>]) -> Option<&'r [Run<'a>]> {
        let (mut best, mut start) = (None::<&[Run<'_>]>, 0);
        while start < neighbours.len() {
            let group = self.group(&neighbours[start..]);
            if group.len() < self.min_threshold {
                start += 1;
                continue;
            }
            start += group.len();
            if best.is_none_or(|best| mean_bytes(group) < mean_bytes(best)) {
                best = Some(group);
            }
        }
        best
    }

    /// The largest group of like runs from the first of `neighbours` on.
    fn group<'r, 'a>(&self, neighbours: &'r [Run<'a>]) -> &'r [Run<'a>] {
        let mut sum = 0.0;
        let like =
            neighbours.iter().enumerate().take(self.max_threshold).take_while(|(at, run)| {
                let bytes = run.bytes as f64;
                let mean = if *at == 0 { bytes } else { sum / *at as f64 };
                sum += bytes;
                let small = (self.min_run_mib << 20) as f64;
                (bytes <= small && mean <= small)
                    || (self.bucket_low * mean..=self.bucket_high * mean).contains(&bytes)
            });
        let length = like.count();
        &neighbours[..length]
    }
}

fn mean_bytes(group: &[Run<'_>]) -> u64 {
    bytes(group) / group.len().max(1) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compaction::TableMeta;

    /// Runs of one table from the newest to the oldest, by size in MiB; a negative size is a busy
    /// table.
    fn tables(newest_first: &[i64]) -> Vec<TableMeta> {
        let count = newest_first.len() as u64;
        let table = |(at, mib): (usize, &i64)| TableMeta {
            id: count - at as u64,
            level: 0,
            bytes: mib.unsigned_abs() << 20,
            entries: 1,
            first_key: "a".into(),
            last_key: "z".into(),
            min_sequence: (count - at as u64) * 10,
            max_sequence: (count - at as u64) * 10 + 9,
            busy: *mib < 0,
            run: count - at as u64,
            ..TableMeta::default()
        };
        newest_first.iter().enumerate().map(table).collect()
    }

    fn picked(newest_first: &[i64]) -> Option<Vec<u64>> {
        SizeTiered::default()
            .pick(&View { tables: &tables(newest_first), now_s: 0, quiet: false })
            .map(|job| job.inputs)
    }

    #[test]
    fn four_alike_are_merged_and_the_smallest_first() {
        assert_eq!(picked(&[100, 100, 100]), None);
        assert_eq!(picked(&[100, 120, 90, 100]).unwrap(), [4, 3, 2, 1]);
        assert_eq!(picked(&[1, 40, 2, 9, 400, 400, 400, 400]).unwrap(), [8, 7, 6, 5]);
    }

    #[test]
    fn what_lies_between_is_never_left_out() {
        assert_eq!(picked(&[100, 100, 900, 100, 100]), None);
        assert_eq!(picked(&[100, 100, -100, 100, 100]), None);
        assert_eq!(picked(&[-100, 100, 100, 100, 100]).unwrap(), [4, 3, 2, 1]);
    }

    #[test]
    fn unlike_neighbours_do_not_pile_up_for_ever() {
        let saw = (0..40).map(|at| if at % 2 == 0 { 100 } else { 400 }).collect::<Vec<_>>();
        assert_eq!(picked(&saw[..32]), None);
        assert_eq!(picked(&saw).unwrap().len(), 4);
    }

    #[test]
    fn thresholds_stand_in_order() {
        let mut settings = defaults::<SizeTiered>();
        settings["max_threshold"] = 3.into();
        let error = build(&settings).err().unwrap().to_string();
        assert_eq!(error, "setting `min_threshold` is 4; allowed: 2 to 3");
    }
}
