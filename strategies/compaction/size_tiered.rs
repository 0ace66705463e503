//! Size-tiered compaction: tables of about the same size are merged into one of the next size.
//!
//! ```text
//!   older ◄──────────────────────────────────────────────────────── newer
//!   [        t1        ] [   t5   ] [   t9   ] [t10][t11][t12][t13]
//!                                               └─ four alike: one job ─┘
//! ```
//!
//! An entry is rewritten once per size, so writing is cheap. The price is reading and space: a
//! key's versions may lie in every table, and the largest merge needs its own size again while it
//! runs (RocksDB, FAST 2021: write amplification 5 against 16, but 45 % of space lost against 10
//! %).
//!
//! # Age comes before size
//!
//! All tables stay on level 0, whose order of age is the order of reading. A merged table takes the
//! place of its inputs in that order, so the inputs must be neighbours in it: with one left out in
//! between, the result would be newer than that one in part and older in part. This is where the
//! picker departs from Cassandra, which buckets tables by size alone and compares timestamps when
//! it reads.
//!
//! A run of neighbours counts as alike while each table is between `bucket_low` and `bucket_high`
//! of the run's mean, or as small as `min_table_mib`. The run of the smallest tables goes first.
//!
//! Neighbours need not be alike (a memtable flushed early, tables of another history). So that a
//! strange order of sizes cannot pile up tables for ever, more than `max_threshold` idle neighbours
//! are reason enough: then those `min_threshold` of them go that are the fewest bytes.
//!
//! # Caveats
//!
//! Tombstones and expiry start no job. Tables that do not overlap are still kept in order of age,
//! which costs chances when keys come in order. Levels below 0, left by another picker, stay as
//! they are.

use super::{Job, Picker, TableMeta, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "size_tiered",
    about: "neighbours of like size are merged: little rewriting for more reads and more space",
    paper: "Cassandra, SizeTieredCompactionStrategy; Bigtable, OSDI 2006, section 5.4",
    parameters: &[
        Parameter {
            name: "min_threshold",
            about: "like tables that start a merge: 2 to max_threshold",
        },
        Parameter { name: "max_threshold", about: "most tables of one merge: 2 to 1000" },
        Parameter {
            name: "bucket_low",
            about: "a like table is at least this fraction of the mean size: 0 to 1",
        },
        Parameter {
            name: "bucket_high",
            about: "a like table is at most this multiple of the mean size: 1 to 100",
        },
        Parameter {
            name: "min_table_mib",
            about: "tables up to this size in MiB are all alike: 0 to 1048576",
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
    within("min_table_mib", tiered.min_table_mib, 0, 1 << 20)?;
    Ok(Box::new(tiered))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeTiered {
    min_threshold: usize,
    max_threshold: usize,
    bucket_low: f64,
    bucket_high: f64,
    min_table_mib: u64,
}

impl Default for SizeTiered {
    /// Cassandra's figures.
    fn default() -> Self {
        SizeTiered {
            min_threshold: 4,
            max_threshold: 32,
            bucket_low: 0.5,
            bucket_high: 1.5,
            min_table_mib: 50,
        }
    }
}

impl Picker for SizeTiered {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        let mut newest_first =
            view.tables.iter().filter(|table| table.level == 0).collect::<Vec<_>>();
        newest_first.sort_by_key(|table| Reverse((table.max_sequence, table.id)));
        let idle = newest_first.split(|table| table.busy);
        let alike = idle.clone().filter_map(|neighbours| self.alike(neighbours));
        if let Some(run) = alike.min_by_key(|run| mean_bytes(run)) {
            return Some(job(run, "neighbours of like size"));
        }
        let crowded = idle.filter(|neighbours| neighbours.len() > self.max_threshold);
        let lightest = crowded.flat_map(|neighbours| neighbours.windows(self.min_threshold));
        Some(job(lightest.min_by_key(|run| bytes(run))?, "too many neighbours"))
    }
}

impl SizeTiered {
    /// Of the runs of like tables that are long enough, the one with the smallest tables.
    fn alike<'a>(&self, neighbours: &'a [&'a TableMeta]) -> Option<&'a [&'a TableMeta]> {
        let (mut best, mut start) = (None::<&[&TableMeta]>, 0);
        while start < neighbours.len() {
            let run = self.run(&neighbours[start..]);
            if run.len() < self.min_threshold {
                start += 1;
                continue;
            }
            start += run.len();
            if best.is_none_or(|best| mean_bytes(run) < mean_bytes(best)) {
                best = Some(run);
            }
        }
        best
    }

    /// The longest run of like tables from the first of `neighbours` on.
    fn run<'a>(&self, neighbours: &'a [&'a TableMeta]) -> &'a [&'a TableMeta] {
        let mut sum = 0.0;
        let like =
            neighbours.iter().enumerate().take(self.max_threshold).take_while(|(at, table)| {
                let bytes = table.bytes as f64;
                let mean = if *at == 0 { bytes } else { sum / *at as f64 };
                sum += bytes;
                let small = (self.min_table_mib << 20) as f64;
                (bytes <= small && mean <= small)
                    || (self.bucket_low * mean..=self.bucket_high * mean).contains(&bytes)
            });
        let length = like.count();
        &neighbours[..length]
    }
}

fn bytes(run: &[&TableMeta]) -> u64 {
    run.iter().map(|table| table.bytes).sum()
}

fn mean_bytes(run: &[&TableMeta]) -> u64 {
    bytes(run) / run.len().max(1) as u64
}

/// One table comes out, however large: its pieces would be taken for tables of a smaller size.
fn job(run: &[&TableMeta], reason: &'static str) -> Job {
    let inputs = run.iter().map(|table| table.id).collect();
    Job { inputs, output_level: 0, output_run: None, table_bytes: u64::MAX, reason }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Tables from the newest to the oldest, by size in MiB; a negative size is a busy table.
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
            .pick(&View { tables: &tables(newest_first), now_s: 0 })
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
