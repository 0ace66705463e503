//! What holds for every picker, over random histories of a simulated engine.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Choice, Settings};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Each entry weighs this much, so that a few of them fill a level.
const ENTRY_BYTES: u64 = 1 << 20;

/// Every row with its defaults, and once more with settings that make small tables busy.
fn subjects() -> Vec<(String, Box<dyn Picker>)> {
    let rows = Compaction::entries().iter().map(|entry| (entry.name, json!({})));
    let eager = [
        ("leveled", json!({"level0_tables": 2, "base_mib": 8, "level_ratio": 2, "table_mib": 3})),
        ("leveled", json!({"level0_wait": 3, "base_mib": 8, "level_ratio": 2, "table_mib": 3})),
        ("leveled", json!({"level0_tables": 1, "base_mib": 1, "table_mib": 1, "levels": 3})),
        (
            "leveled",
            json!({"base_mib": 4, "table_mib": 2, "tombstone_share": 0.1, "expired_share": 0.1}),
        ),
        ("size_tiered", json!({"min_threshold": 2, "max_threshold": 5, "min_run_mib": 0})),
        ("size_tiered", json!({"min_run_mib": 8, "table_mib": 2})),
        ("lazy_leveled", json!({"size_ratio": 2, "table_mib": 3})),
        ("lazy_leveled", json!({"size_ratio": 3, "table_mib": 7})),
        ("time_window", json!({"window_s": 10, "table_mib": 2})),
        ("time_window", json!({"window_s": 100, "min_threshold": 2, "table_mib": 5})),
        ("unified", json!({"scaling": ["N", "T3", "L3"], "base_mib": 4, "table_mib": 2})),
        ("unified", json!({"scaling": "L4", "base_mib": 8, "table_mib": 4})),
        ("unified", json!({"scaling": 2, "base_mib": 8, "table_mib": 4})),
    ];
    let built = |(name, settings): (&str, Value)| {
        let given = settings.as_object().unwrap().clone();
        let choice = Choice::<Compaction>::new(name, Settings::from_iter(given)).unwrap();
        (format!("{name} {settings}"), choice.build())
    };
    rows.chain(eager).map(built).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Record {
    sequence: u64,
    tombstone: bool,
    /// 0: never.
    expires_s: u64,
}

impl Record {
    fn is_dead(&self, now_s: u64) -> bool {
        self.tombstone || (self.expires_s > 0 && self.expires_s <= now_s)
    }
}

/// Bounds that tables get from what they are made of: sequence numbers and seconds of writing.
#[derive(Clone, Copy)]
struct Origin {
    sequences: (u64, u64),
    written_s: (u64, u64),
}

impl Origin {
    fn union(tables: &[Table]) -> Self {
        let metas = || tables.iter().map(|table| &table.meta);
        Origin {
            sequences: (
                metas().map(|meta| meta.min_sequence).min().unwrap(),
                metas().map(|meta| meta.max_sequence).max().unwrap(),
            ),
            written_s: (
                metas().map(|meta| meta.min_written_s).min().unwrap(),
                metas().map(|meta| meta.max_written_s).max().unwrap(),
            ),
        }
    }
}

/// A table and what is in it.
#[derive(Clone)]
struct Table {
    meta: TableMeta,
    entries: BTreeMap<u16, Record>,
}

impl Table {
    fn new(id: u64, place: (u32, u64), origin: Origin, entries: BTreeMap<u16, Record>) -> Self {
        let key = |key: &u16| Bytes::copy_from_slice(&key.to_be_bytes());
        let mut expiry = BTreeMap::new();
        for record in entries.values().filter(|record| record.expires_s > 0) {
            *expiry.entry(record.expires_s).or_default() += 1;
        }
        let meta = TableMeta {
            id,
            level: place.0,
            run: place.1,
            bytes: entries.len() as u64 * ENTRY_BYTES,
            entries: entries.len() as u64,
            tombstones: entries.values().filter(|record| record.tombstone).count() as u64,
            first_key: key(entries.first_key_value().unwrap().0),
            last_key: key(entries.last_key_value().unwrap().0),
            min_sequence: origin.sequences.0,
            max_sequence: origin.sequences.1,
            min_written_s: origin.written_s.0,
            max_written_s: origin.written_s.1,
            expiry: expiry.into_iter().collect(),
            busy: false,
        };
        Table { meta, entries }
    }

    fn overlaps(&self, other: &Table) -> bool {
        self.meta.overlaps(&other.meta)
    }

    /// Lookups go level by level, and within a level from the newest.
    fn turn(&self) -> (u32, Reverse<u64>) {
        (self.meta.level, Reverse(self.meta.max_sequence))
    }
}

struct Running {
    job: Job,
    /// The tables that lookups meet after the output.
    beneath: Vec<Table>,
    now_s: u64,
}

/// An engine without a disk: tables, running jobs, and the newest record of each key by any means.
#[derive(Default)]
struct Engine {
    tables: Vec<Table>,
    running: Vec<Running>,
    newest: BTreeMap<u16, Record>,
    now_s: u64,
    /// What has expired once may be gone, even if the clock goes back.
    latest_s: u64,
    next_sequence: u64,
    next_id: u64,
}

impl Engine {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn flush(&mut self, writes: &[Write]) {
        let mut entries = BTreeMap::new();
        let first = self.next_sequence + 1;
        for write in writes {
            self.next_sequence += 1;
            let record = Record {
                sequence: self.next_sequence,
                tombstone: write.tombstone,
                expires_s: if write.ttl_s > 0 { self.now_s + write.ttl_s } else { 0 },
            };
            entries.insert(write.key, record);
        }
        self.newest.extend(&entries);
        let id = self.id();
        let written_s = (self.now_s, self.now_s);
        let origin = Origin { sequences: (first, self.next_sequence), written_s };
        self.tables.push(Table::new(id, (0, id), origin, entries));
    }

    /// Checks the next job of the picker and starts it. False if there is none.
    fn start(&mut self, picker: &dyn Picker) -> bool {
        let metas = self.tables.iter().map(|table| table.meta.clone()).collect::<Vec<_>>();
        // It comes and goes, as with the writes of a store.
        let quiet = self.next_id.is_multiple_of(3);
        let view = View { tables: &metas, now_s: self.now_s, quiet };
        let Some(job) = picker.pick(&view) else { return false };
        let (inputs, outside): (Vec<_>, Vec<_>) =
            self.tables.iter().cloned().partition(|table| job.inputs.contains(&table.meta.id));
        assert!(!inputs.is_empty() && job.table_bytes > 0, "a job has work to do");
        assert!(inputs.iter().all(|table| !table.meta.busy), "inputs are idle");
        let mut ids = job.inputs.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), job.inputs.len()), (inputs.len(), inputs.len()), "named once");
        let newest = inputs.iter().map(|table| table.meta.max_sequence).max().unwrap();
        check_that_none_changes_sides(&job, &inputs, &outside, newest);
        let output = (job.output_level, Reverse(newest));
        let beneath = outside.into_iter().filter(|table| table.turn() > output).collect();
        for table in &mut self.tables {
            table.meta.busy |= job.inputs.contains(&table.meta.id);
        }
        self.running.push(Running { job, beneath, now_s: self.now_s });
        true
    }

    /// Moves, or merges, cuts and installs, as an engine does.
    fn finish(&mut self, index: usize) {
        let Running { job, beneath, now_s } = self.running.remove(index);
        let (mut inputs, outside): (Vec<_>, Vec<_>) =
            self.tables.drain(..).partition(|table| job.inputs.contains(&table.meta.id));
        self.tables = outside;
        let run = job.output_run.unwrap_or_else(|| self.id());
        if self.can_move(&job, &inputs) {
            for table in &mut inputs {
                (table.meta.level, table.meta.run) = (job.output_level, run);
                table.meta.busy = false;
            }
            self.tables.append(&mut inputs);
        } else {
            let merged = merged(&inputs, &beneath, now_s);
            let origin = Origin::union(&inputs);
            let entries_per_table = (job.table_bytes / ENTRY_BYTES).max(1) as usize;
            for piece in merged.chunks(entries_per_table) {
                let (id, piece) = (self.id(), piece.iter().copied().collect());
                self.tables.push(Table::new(id, (job.output_level, run), origin, piece));
            }
        }
        self.check_levels();
        self.check_reads();
    }

    fn can_move(&self, job: &Job, inputs: &[Table]) -> bool {
        let mut rest = inputs;
        while let Some((table, others)) = rest.split_first() {
            if table.meta.level >= job.output_level || others.iter().any(|o| o.overlaps(table)) {
                return false;
            }
            rest = others;
        }
        let joined = |table: &&Table| {
            table.meta.level == job.output_level && Some(table.meta.run) == job.output_run
        };
        let clear = |table: &Table| !inputs.iter().any(|input| input.overlaps(table));
        self.tables.iter().filter(joined).all(clear)
    }

    /// Tables of a run are disjoint; overlapping tables of a level are one all newer than the
    /// other.
    fn check_levels(&self) {
        for (index, table) in self.tables.iter().enumerate() {
            let of_level = |other: &&Table| other.meta.level == table.meta.level;
            for other in self.tables[index + 1..].iter().filter(of_level) {
                if other.overlaps(table) {
                    let (a, b) = (&table.meta, &other.meta);
                    assert_ne!(a.run, b.run, "{a:?} {b:?}");
                    let apart = a.max_sequence < b.min_sequence || b.max_sequence < a.min_sequence;
                    assert!(apart, "{a:?} {b:?}");
                }
            }
        }
    }

    /// A read that stops at the first table with the key finds the newest record, or none where
    /// that is dead.
    fn check_reads(&self) {
        let mut tables = self.tables.iter().collect::<Vec<_>>();
        tables.sort_by_key(|table| table.turn());
        let mut found = BTreeMap::new();
        for table in tables {
            for (key, record) in &table.entries {
                found.entry(*key).or_insert(*record);
            }
        }
        for (key, newest) in &self.newest {
            match found.get(key) {
                Some(record) => assert_eq!(record, newest, "of {key}"),
                None => assert!(newest.is_dead(self.latest_s), "{key} is lost: {newest:?}"),
            }
        }
    }

    fn finish_all(&mut self) {
        while !self.running.is_empty() {
            self.finish(0);
        }
    }

    /// Stops in the middle of all jobs, as a crash does.
    fn abort_all(&mut self) {
        for running in std::mem::take(&mut self.running) {
            self.install_slice(&running);
        }
        self.tables.iter_mut().for_each(|table| table.meta.busy = false);
    }

    /// What an engine installs first of a job that it does piece by piece: the lower half of what
    /// the job rewrites of its output's run. The inputs from above stay.
    fn install_slice(&mut self, Running { job, beneath, now_s }: &Running) {
        let is_input = |table: &&Table| job.inputs.contains(&table.meta.id);
        let inputs = self.tables.iter().filter(is_input).cloned();
        let (mut joined, above): (Vec<_>, Vec<_>) =
            inputs.partition(|table| table.meta.level == job.output_level);
        let joins = |table: &Table| Some(table.meta.run) == job.output_run;
        let sinks = |table: &Table| table.meta.level < job.output_level;
        if joined.len() < 2 || !joined.iter().all(joins) || !above.iter().all(sinks) {
            return;
        }
        joined.sort_by_key(|table| table.meta.first_key.clone());
        let rest = joined.split_off(joined.len() / 2);
        let end = rest[0].meta.first_key.clone();
        let rewritten = joined.iter().map(|table| table.meta.id).collect::<Vec<_>>();
        joined.extend(above);
        let mut merged = merged(&joined, beneath, *now_s);
        merged.retain(|(key, _)| key.to_be_bytes()[..] < *end);
        self.tables.retain(|table| !rewritten.contains(&table.meta.id));
        let (id, origin) = (self.id(), Origin::union(&joined));
        if !merged.is_empty() {
            let place = (job.output_level, rest[0].meta.run);
            self.tables.push(Table::new(id, place, origin, merged.into_iter().collect()));
        }
        self.check_levels();
        self.check_reads();
    }

    /// Runs jobs one after the other until the picker rests.
    fn settle(&mut self, picker: &dyn Picker) {
        self.latest_s = self.latest_s.max(self.now_s);
        self.finish_all();
        for _ in 0..10_000 {
            if !self.start(picker) {
                return;
            }
            self.finish(0);
        }
        panic!("the picker does not come to rest");
    }

    fn take(&mut self, step: &Step, picker: &dyn Picker) {
        self.latest_s = self.latest_s.max(self.now_s);
        match step {
            Step::Flush(writes) => self.flush(writes),
            Step::Wait(seconds) => self.now_s = self.now_s.saturating_add_signed(*seconds),
            Step::Start => {
                self.start(picker);
            }
            Step::Finish(_) if self.running.is_empty() => {}
            Step::Finish(index) => self.finish(index.index(self.running.len())),
        }
    }
}

/// A table outside a job that overlaps an input is met before the output if it was met before the
/// input, and its sequence numbers do not lie among those of the inputs on the output's level.
fn check_that_none_changes_sides(job: &Job, inputs: &[Table], outside: &[Table], newest: u64) {
    for input in inputs {
        for other in outside.iter().filter(|other| other.overlaps(input)) {
            let was_before = other.turn() < input.turn();
            let is_before = other.turn() < (job.output_level, Reverse(newest));
            assert_eq!(was_before, is_before, "{:?} is skipped by {job:?}", other.meta);
            let older = |input: &Table| other.meta.max_sequence < input.meta.min_sequence;
            let clear = other.meta.level != job.output_level
                || other.meta.min_sequence > newest
                || inputs.iter().all(older);
            assert!(clear, "{:?} lies among the inputs of {job:?}", other.meta);
        }
    }
}

/// The newest record of each key, without the dead that hide nothing beneath.
fn merged(inputs: &[Table], beneath: &[Table], now_s: u64) -> Vec<(u16, Record)> {
    let mut merged = BTreeMap::<u16, Record>::new();
    for (key, record) in inputs.iter().flat_map(|input| &input.entries) {
        let newest = merged.entry(*key).or_insert(*record);
        if newest.sequence < record.sequence {
            *newest = *record;
        }
    }
    let covers = |key: u16| {
        let key = key.to_be_bytes();
        beneath.iter().any(|t| *t.meta.first_key <= key[..] && key[..] <= *t.meta.last_key)
    };
    merged.retain(|key, record| !record.is_dead(now_s) || covers(*key));
    merged.into_iter().collect()
}

#[derive(Clone, Debug)]
struct Write {
    key: u16,
    tombstone: bool,
    ttl_s: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Flush(Vec<Write>),
    /// The clock goes on, or now and then back.
    Wait(i64),
    Start,
    Finish(Index),
}

fn writes(keys: std::ops::Range<u16>, most: usize) -> impl Strategy<Value = Vec<Write>> {
    let ttl_s = prop_oneof![3 => Just(0), 1 => 1..60u64];
    let write = (keys, prop::bool::weighted(0.2), ttl_s)
        .prop_map(|(key, tombstone, ttl_s)| Write { key, tombstone, ttl_s });
    prop::collection::vec(write, 1..most)
}

fn any_step() -> impl Strategy<Value = Step> {
    let expiring = |mut writes: Vec<Write>| {
        writes.iter_mut().for_each(|write| write.ttl_s = write.ttl_s.max(5));
        Step::Flush(writes)
    };
    let narrow = (0..15u16).prop_flat_map(|from| writes(from * 10..from * 10 + 10, 12));
    prop_oneof![
        4 => writes(0..150, 30).prop_map(Step::Flush),
        2 => narrow.clone().prop_map(Step::Flush),
        1 => narrow.prop_map(expiring),
        2 => (1..40i64).prop_map(Step::Wait),
        1 => (-30..0i64).prop_map(Step::Wait),
        5 => Just(Step::Start),
        3 => any::<Index>().prop_map(Step::Finish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn jobs_are_sound_and_end_and_reads_stay_right(
        start_s in prop_oneof![Just(0u64), 1..1_000u64],
        steps in prop::collection::vec(any_step(), 1..90),
    ) {
        for (_name, picker) in subjects() {
            let mut engine = Engine { now_s: start_s, ..Engine::default() };
            for step in &steps {
                engine.take(step, &*picker);
            }
            engine.settle(&*picker);
            engine.check_reads();
        }
    }

    /// A store may be opened with another strategy, which finds the tables as the last one left
    /// them, some of its jobs unfinished.
    #[test]
    fn a_strategy_can_take_over_from_any_other(
        lives in prop::collection::vec(
            (any::<Index>(), prop::collection::vec(any_step(), 1..40)), 2..8),
    ) {
        let subjects = subjects();
        let mut engine = Engine { now_s: 1_000, ..Engine::default() };
        for (subject, steps) in lives {
            let (_, picker) = subject.get(&subjects);
            for step in &steps {
                engine.take(step, &**picker);
            }
            engine.abort_all();
        }
        for (_name, picker) in &subjects {
            engine.settle(&**picker);
        }
    }
}

#[test]
fn nothing_to_do_is_no_job() {
    for (name, picker) in subjects() {
        assert_eq!(picker.pick(&View { tables: &[], now_s: 0, quiet: false }), None, "{name}");
    }
}
