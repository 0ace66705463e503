//! Time windows: runs are merged with those of their own window, and old windows are dropped whole.
//!
//! ```text
//!   older ◄──────────────────────────────────────────────────── newer
//!   │ 10:00          │ 11:00          │ 12:00                  now │
//!   │ [    r1      ] │ [     r7     ] │ [  r12  ] [r14][r15][r16]  │
//!     expired: gone    one run: rests   size-tiered
//! ```
//!
//! For data that is written in order of time, expires, and is hardly overwritten: measurements,
//! logs, sessions (Cassandra, TimeWindowCompactionStrategy). What was written in one window expires
//! at about one time, so a table whose entries have all expired is deleted without being rewritten,
//! where leveled and tiered merging would carry it along, mixed with younger data, until a merge
//! happens to reach it.
//!
//! * The window of a run is `max_written_s / window_s`: that of its newest entry.
//! * Within the window of the present, like neighbours are merged as `size_tiered` does.
//! * Once a window is over, its runs become one, and rest: an entry is rewritten about
//!   log_T(W / M) + 1 times, W bytes of a window in memtables of M bytes, however much data there
//!   is.
//! * A lookup by key may have to look into every window: with F bytes of filters per key, O(windows
//!   · e^−F). Data that is overwritten from another window keeps its space until it expires.
//!
//! # What expired is dropped first
//!
//! A job whose inputs have all expired writes nothing, if nothing older lies beneath: an entry that
//! has expired still hides older ones of its key. So the oldest runs go as long as all their tables
//! have expired, and after them single tables that overlap no older table that stays. Without a
//! clock (`now_s` is 0) nothing expires and every window is the present.
//!
//! # Why no newer table is skipped
//!
//! A job takes neighbours in the order of age; level 0 holds what was flushed and waits for its
//! first merge, level 1 all else. A clock that went
//! back does not tear them apart: a run counts as at least as young as all that are older. A table
//! that is dropped leaves a gap, which changes no order.
//!
//! # Caveats
//!
//! A window whose entries expire at very different times keeps its expired entries until the last
//! one has expired: tables are dropped, not cleaned. A single entry without expiry holds up the
//! tables above it that overlap it. Levels below 1, left by another picker, stay as they are, and
//! what overlaps them is not dropped.

use super::runs::{Run, are_neighbours, by_age, merge_neighbours};
use super::size_tiered::SizeTiered;
use super::{Job, Picker, TableMeta, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "time_window",
    about: "one run for each past window of time, dropped when it has expired: for data that ages",
    paper: "Cassandra, TimeWindowCompactionStrategy (CASSANDRA-9666)",
    parameters: &[
        Parameter { name: "window_s", about: "length of a window in seconds: 1 to 315360000" },
        Parameter {
            name: "min_threshold",
            about: "like runs of the present window that start a merge: 2 to max_threshold",
        },
        Parameter {
            name: "max_threshold",
            about: "most runs of one merge within the present window: 2 to 1000",
        },
        Parameter {
            name: "table_mib",
            about: "size at which a merged run is cut into tables, in MiB: 1 to 65536",
        },
    ],
    defaults: defaults::<TimeWindow>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Picker>, Invalid> {
    let window = read::<TimeWindow>(settings)?;
    within("window_s", window.window_s, 1, 315_360_000)?;
    within("max_threshold", window.max_threshold, 2, 1_000)?;
    within("min_threshold", window.min_threshold, 2, window.max_threshold)?;
    within("table_mib", window.table_mib, 1, 1 << 16)?;
    Ok(Box::new(window))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeWindow {
    window_s: u64,
    min_threshold: usize,
    max_threshold: usize,
    table_mib: u64,
}

impl Default for TimeWindow {
    /// A day and Cassandra's thresholds.
    fn default() -> Self {
        TimeWindow { window_s: 86_400, min_threshold: 4, max_threshold: 32, table_mib: 64 }
    }
}

impl Picker for TimeWindow {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        let mut newest_first = by_age(view.tables);
        if let Some(job) = self.expired(&newest_first, view) {
            return Some(job);
        }
        let mut windows = self.windows(&newest_first);
        let present = match view.now_s {
            0 => 0,
            now_s => now_s / self.window_s,
        };
        let past = windows.partition_point(|window| *window >= present);
        let tiered = SizeTiered {
            min_threshold: self.min_threshold,
            max_threshold: self.max_threshold,
            table_mib: self.table_mib,
            ..SizeTiered::default()
        };
        if let Some(job) = tiered.among(&newest_first[..past]) {
            return Some(job);
        }
        let (mut windows, mut runs) = (windows.split_off(past), newest_first.split_off(past));
        while let Some(window) = windows.last() {
            let start = windows.partition_point(|other| other > window);
            let of_one = &runs[start..];
            let whole = of_one.windows(2).all(|pair| are_neighbours(&pair[0], &pair[1]));
            if of_one.len() > 1 && whole {
                return Some(merge_neighbours(of_one, self.table_mib, "a window is over"));
            }
            windows.truncate(start);
            runs.truncate(start);
        }
        None
    }
}

impl TimeWindow {
    /// The window of each run, descending: none is younger than one that is newer.
    fn windows(&self, newest_first: &[Run<'_>]) -> Vec<u64> {
        let mut youngest = 0;
        let mut windows = Vec::with_capacity(newest_first.len());
        for run in newest_first.iter().rev() {
            youngest = youngest.max(run.max_written_s / self.window_s);
            windows.push(youngest);
        }
        windows.reverse();
        windows
    }

    /// Tables that are no more than their expired entries and hide nothing that stays.
    fn expired(&self, newest_first: &[Run<'_>], view: &View<'_>) -> Option<Job> {
        let gone = |table: &TableMeta| {
            !table.busy && table.entries > 0 && table.expired_entries(view.now_s) >= table.entries
        };
        if !view.tables.iter().any(|table| table.level <= 1 && gone(table)) {
            return None;
        }
        let mut stays = KeyRange::default();
        view.tables.iter().filter(|table| table.level > 1).for_each(|table| stays.extend(table));
        let clear = |run: &&Run<'_>, stays: &KeyRange| {
            run.tables.iter().all(|table| gone(table) && !stays.overlaps(table))
        };
        let oldest_first = newest_first.iter().rev();
        let whole = oldest_first
            .clone()
            .zip(std::iter::once(None).chain(oldest_first.clone().map(Some)))
            .take_while(|(run, older)| {
                clear(run, &stays) && older.is_none_or(|older| are_neighbours(run, older))
            })
            .count();
        if whole > 0 {
            let oldest = &newest_first[newest_first.len() - whole..];
            return Some(merge_neighbours(oldest, self.table_mib, "all entries have expired"));
        }
        for run in oldest_first {
            let mut tables = run.tables.iter();
            if let Some(table) = tables.find(|table| gone(table) && !stays.overlaps(table)) {
                return Some(Job {
                    inputs: vec![table.id],
                    output_level: table.level,
                    output_run: None,
                    table_bytes: self.table_mib << 20,
                    reason: "all entries have expired",
                });
            }
            run.tables.iter().for_each(|table| stays.extend(table));
        }
        None
    }
}

/// The keys from the first to the last of some tables.
#[derive(Default)]
struct KeyRange(Option<(Bytes, Bytes)>);

impl KeyRange {
    fn extend(&mut self, table: &TableMeta) {
        let (first, last) = match self.0.take() {
            None => (table.first_key.clone(), table.last_key.clone()),
            Some((first, last)) => {
                (first.min(table.first_key.clone()), last.max(table.last_key.clone()))
            }
        };
        self.0 = Some((first, last));
    }

    fn overlaps(&self, table: &TableMeta) -> bool {
        let overlaps =
            |(first, last): &(Bytes, Bytes)| *first <= table.last_key && table.first_key <= *last;
        self.0.as_ref().is_some_and(overlaps)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A run of one table of 100 MiB: flushed at this second, expiring by that (0: never).
    fn table(id: u64, written_s: u64, expires_s: u64, keys: &'static str) -> TableMeta {
        let (first, last) = keys.split_once('-').unwrap();
        TableMeta {
            id,
            run: id,
            bytes: 100 << 20,
            entries: 5,
            first_key: first.into(),
            last_key: last.into(),
            min_sequence: id,
            max_sequence: id,
            min_written_s: written_s,
            max_written_s: written_s,
            expiry: if expires_s == 0 { vec![] } else { vec![(expires_s, 5)] },
            ..TableMeta::default()
        }
    }

    fn picked(tables: &[TableMeta], now_s: u64) -> Option<Vec<u64>> {
        let window = TimeWindow { window_s: 60, ..TimeWindow::default() };
        window.pick(&View { tables, now_s, quiet: false }).map(|job| job.inputs)
    }

    #[test]
    fn a_window_that_is_over_becomes_one_run() {
        let mut tables = [610, 620, 659, 661].map(|at| table(at, at, 0, "a-z")).to_vec();
        assert_eq!(picked(&tables[..3], 659), None);
        assert_eq!(picked(&tables, 661), Some(vec![659, 620, 610]));
        assert_eq!(picked(&tables, 0), Some(vec![661, 659, 620, 610]), "no clock: one window");
        tables[1].busy = true;
        assert_eq!(picked(&tables, 661), None);
    }

    #[test]
    fn the_present_window_is_size_tiered() {
        let tables = [590, 601, 602, 603].map(|at| table(at, at, 0, "a-z")).to_vec();
        assert_eq!(picked(&tables, 604), None);
        let tables = [590, 601, 602, 603, 604].map(|at| table(at, at, 0, "a-z")).to_vec();
        assert_eq!(picked(&tables, 604), Some(vec![604, 603, 602, 601]));
    }

    #[test]
    fn a_clock_that_went_back_tears_nothing_apart() {
        let tables = [(1, 70), (2, 10), (3, 80), (4, 20)];
        let tables = tables.map(|(id, written_s)| table(id, written_s, 0, "a-z"));
        assert_eq!(picked(&tables, 500), Some(vec![4, 3, 2, 1]));
    }

    #[test]
    fn what_expired_goes_first_and_hides_nothing() {
        let expiring = [(1, 100), (2, 100), (3, 900)];
        let mut tables = expiring.map(|(id, by_s)| table(id, id * 60, by_s, "a-m")).to_vec();
        assert_eq!(picked(&tables, 99), None);
        assert_eq!(picked(&tables, 100), Some(vec![2, 1]), "the oldest together");
        tables[0].expiry.clear();
        assert_eq!(picked(&tables, 100), None, "2 hides entries of 1");
        tables[1].first_key = "n".into();
        tables[1].last_key = "z".into();
        assert_eq!(picked(&tables, 100), Some(vec![2]));
        tables[1].expiry[0].1 = 4;
        assert_eq!(picked(&tables, 100), None, "one entry lives");
    }
}
