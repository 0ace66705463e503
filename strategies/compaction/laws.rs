//! What holds for every picker, over random histories of a simulated engine.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Choice, Settings};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;

/// Each entry weighs this much, so that a few of them fill a level.
const ENTRY_BYTES: u64 = 1 << 20;

/// Every row with its defaults, and once more with settings that make small tables busy.
fn subjects() -> Vec<(String, Box<dyn Picker>)> {
    let named = |name: &str| Choice::<Compaction>::named(name).unwrap().build();
    let rows =
        Compaction::entries().iter().map(|entry| (entry.name.to_string(), named(entry.name)));
    let eager = [
        (
            "leveled",
            vec![("level0_tables", 2), ("base_mib", 8), ("level_ratio", 2), ("table_mib", 3)],
        ),
        ("leveled", vec![("level0_tables", 1), ("base_mib", 1), ("table_mib", 1), ("levels", 3)]),
        ("size_tiered", vec![("min_threshold", 2), ("max_threshold", 5), ("min_table_mib", 0)]),
    ];
    let eager = eager.into_iter().map(|(name, settings)| {
        let label = format!("{name} {settings:?}");
        let settings = settings.into_iter().map(|(key, value)| (key.to_string(), value.into()));
        let choice = Choice::<Compaction>::new(name, Settings::from_iter(settings)).unwrap();
        (label, choice.build())
    });
    rows.chain(eager).collect()
}

/// A table and what is in it: for each key the sequence number of its entry.
#[derive(Clone)]
struct Table {
    meta: TableMeta,
    entries: BTreeMap<u16, u64>,
}

impl Table {
    fn new(id: u64, level: u32, run: u64, entries: BTreeMap<u16, u64>) -> Self {
        let key = |key: &u16| Bytes::copy_from_slice(&key.to_be_bytes());
        let meta = TableMeta {
            id,
            level,
            run,
            bytes: entries.len() as u64 * ENTRY_BYTES,
            entries: entries.len() as u64,
            first_key: key(entries.first_key_value().unwrap().0),
            last_key: key(entries.last_key_value().unwrap().0),
            min_sequence: *entries.values().min().unwrap(),
            max_sequence: *entries.values().max().unwrap(),
            ..TableMeta::default()
        };
        Table { meta, entries }
    }

    fn overlaps(&self, other: &Table) -> bool {
        self.meta.first_key <= other.meta.last_key && other.meta.first_key <= self.meta.last_key
    }
}

/// An engine without a disk: tables, running jobs, and the newest entry of each key by any means.
#[derive(Default)]
struct Engine {
    tables: Vec<Table>,
    running: Vec<Job>,
    newest: BTreeMap<u16, u64>,
    next_sequence: u64,
    next_id: u64,
    rewritten_bytes: u64,
}

impl Engine {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn flush(&mut self, keys: &[u16]) {
        let mut entries = BTreeMap::new();
        for key in keys {
            self.next_sequence += 1;
            entries.insert(*key, self.next_sequence);
        }
        self.newest.extend(&entries);
        let id = self.id();
        self.tables.push(Table::new(id, 0, id, entries));
    }

    fn inputs(&self, job: &Job) -> Vec<&Table> {
        let find = |id: &u64| self.tables.iter().find(|table| table.meta.id == *id).unwrap();
        job.inputs.iter().map(find).collect()
    }

    /// Checks the next job of the picker and starts it. False if there is none.
    fn start(&mut self, picker: &dyn Picker) -> bool {
        let metas = self.tables.iter().map(|table| table.meta.clone()).collect::<Vec<_>>();
        let Some(job) = picker.pick(&View { tables: &metas, now_s: 0 }) else {
            return false;
        };
        let inputs = self.inputs(&job);
        assert!(!inputs.is_empty() && job.table_bytes > 0, "a job has work to do");
        assert!(inputs.iter().all(|table| !table.meta.busy), "inputs are idle");
        let mut ids = job.inputs.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), inputs.len(), "inputs are named once");
        self.check_that_nothing_newer_is_skipped(&job);
        for table in &mut self.tables {
            table.meta.busy |= job.inputs.contains(&table.meta.id);
        }
        self.running.push(job);
        true
    }

    /// A table above the output that overlaps an input holds nothing older than it, key by key.
    fn check_that_nothing_newer_is_skipped(&self, job: &Job) {
        let inputs = self.inputs(job);
        let newest = inputs.iter().map(|table| table.meta.max_sequence).max().unwrap();
        for other in &self.tables {
            let level = other.meta.level;
            let above = if job.output_level == 0 {
                level == 0 && other.meta.max_sequence > newest
            } else {
                level < job.output_level
            };
            if !above || job.inputs.contains(&other.meta.id) {
                continue;
            }
            for input in inputs.iter().filter(|input| input.overlaps(other)) {
                let older = other.entries.iter().any(|(key, sequence)| {
                    input.entries.get(key).is_some_and(|in_| in_ > sequence)
                });
                assert!(!older, "table {} is skipped by {:?}", other.meta.id, job);
            }
        }
    }

    /// Merges, cuts and installs, as an engine does.
    fn finish(&mut self, index: usize) {
        let job = self.running.remove(index);
        let mut merged = BTreeMap::<u16, u64>::new();
        for input in self.inputs(&job) {
            for (key, sequence) in &input.entries {
                let newest = merged.entry(*key).or_default();
                *newest = (*newest).max(*sequence);
            }
        }
        self.tables.retain(|table| !job.inputs.contains(&table.meta.id));
        self.rewritten_bytes += merged.len() as u64 * ENTRY_BYTES;
        let entries_per_table = (job.table_bytes / ENTRY_BYTES).max(1) as usize;
        let merged = merged.into_iter().collect::<Vec<_>>();
        let run = job.output_run.unwrap_or_else(|| self.id());
        for piece in merged.chunks(entries_per_table) {
            let id = self.id();
            self.tables.push(Table::new(
                id,
                job.output_level,
                run,
                piece.iter().copied().collect(),
            ));
        }
        self.check_levels();
        self.check_reads();
    }

    /// The tables of a run are disjoint.
    fn check_levels(&self) {
        for (index, table) in self.tables.iter().enumerate() {
            let run = |table: &Table| (table.meta.level, table.meta.run);
            let mut others =
                self.tables[index + 1..].iter().filter(|other| run(other) == run(table));
            assert!(!others.any(|other| other.overlaps(table)));
        }
    }

    /// A read that stops at the first table with the key, from the newest table of level 0 down,
    /// finds the newest entry.
    fn check_reads(&self) {
        let mut found = BTreeMap::new();
        for table in self.in_order_of_reading() {
            for (key, sequence) in &table.entries {
                found.entry(*key).or_insert(*sequence);
            }
        }
        assert_eq!(found, self.newest);
    }

    fn in_order_of_reading(&self) -> Vec<&Table> {
        let mut tables = self.tables.iter().collect::<Vec<_>>();
        tables.sort_by_key(|table| (table.meta.level, std::cmp::Reverse(table.meta.max_sequence)));
        tables
    }

    /// Sorted runs that a read may have to look into.
    fn runs(&self) -> usize {
        let tables = self.tables.iter().map(|table| table.meta.level).collect::<Vec<_>>();
        let top = tables.iter().filter(|level| **level == 0).count();
        let levels = (1..16).filter(|level| tables.contains(level)).count();
        top + levels
    }

    /// Runs jobs one after the other until the picker rests.
    fn settle(&mut self, picker: &dyn Picker) {
        while !self.running.is_empty() {
            self.finish(0);
        }
        for _ in 0..10_000 {
            if !self.start(picker) {
                return;
            }
            self.finish(0);
        }
        panic!("the picker does not come to rest");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Flush(Vec<u16>),
    Start,
    Finish(Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    let narrow = (0..15u16, prop::collection::vec(0..10u16, 1..12));
    prop_oneof![
        3 => prop::collection::vec(0..150u16, 1..30).prop_map(Step::Flush),
        1 => narrow.prop_map(|(from, keys)| {
            Step::Flush(keys.into_iter().map(|key| from * 10 + key).collect())
        }),
        3 => Just(Step::Start),
        2 => any::<Index>().prop_map(Step::Finish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn jobs_are_sound_and_end_and_reads_stay_right(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        for (_name, picker) in subjects() {
            let mut engine = Engine::default();
            for step in &steps {
                match step {
                    Step::Flush(keys) => engine.flush(keys),
                    Step::Start => {
                        engine.start(&*picker);
                    }
                    Step::Finish(_) if engine.running.is_empty() => {}
                    Step::Finish(index) => {
                        let index = index.index(engine.running.len());
                        engine.finish(index);
                    }
                }
            }
            engine.settle(&*picker);
            engine.check_reads();
        }
    }
}

/// Flushes of random keys, with all jobs done after each.
fn loaded(name: &str, flushes: u64) -> Engine {
    let picker = Choice::<Compaction>::named(name).unwrap().build();
    let mut engine = Engine::default();
    let mut state = 1u64;
    for _ in 0..flushes {
        let keys = (0..16).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 48) as u16 % 4_000
        });
        engine.flush(&keys.collect::<Vec<_>>());
        engine.settle(&*picker);
    }
    engine
}

/// The trade-off that the two families are about (RocksDB, FAST 2021, Table 3): leveled rewrites
/// more, tiered leaves more runs to read and more stale entries on the disk.
#[test]
fn leveled_pays_in_writes_and_tiered_in_reads_and_space() {
    let (leveled, tiered) = (loaded("leveled", 230), loaded("size_tiered", 230));
    assert!(leveled.rewritten_bytes > 2 * tiered.rewritten_bytes);
    assert!(leveled.runs() < tiered.runs(), "{} runs, {}", leveled.runs(), tiered.runs());
    let bytes = |engine: &Engine| engine.tables.iter().map(|table| table.meta.bytes).sum::<u64>();
    assert!(bytes(&leveled) < bytes(&tiered));
}

#[test]
fn nothing_to_do_is_no_job() {
    for (name, picker) in subjects() {
        assert_eq!(picker.pick(&View { tables: &[], now_s: 0 }), None, "{name}");
    }
}
