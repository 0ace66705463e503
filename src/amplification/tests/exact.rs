//! The same engine on real sets of keys, merged key by key: slow, and right.

use crate::amplification::run::Machine;
use crate::amplification::workload::{Distribution, Workload};
use bytes::Bytes;
use quorate_strategies::compaction::{Job, Picker, TableMeta, View};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

pub struct Exact {
    pub flushed_bytes: f64,
    pub compaction_written_bytes: f64,
    pub mean_space: f64,
}

#[derive(Clone, Copy)]
struct Record {
    sequence: u64,
    tombstone: bool,
    /// 0: never.
    expires_s: u64,
}

struct Store<'a> {
    load: &'a Workload,
    metas: Vec<TableMeta>,
    keys: BTreeMap<u64, Vec<(u32, Record)>>,
    next_id: u64,
    sequence: u64,
    flushed_bytes: f64,
    written_bytes: f64,
}

/// Runs the load with jobs that are done before the next flush.
pub fn run(load: &Workload, machine: Machine, picker: &dyn Picker, seed: u64) -> Exact {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut fill: Vec<u32> = (0..load.records as u32).collect();
    let mut by_rank = fill.clone();
    by_rank.shuffle(&mut random);
    if load.distribution != Distribution::Sequential {
        fill.shuffle(&mut random);
    }
    let zipf = zipf(load.records);
    let mut store = Store {
        load,
        metas: Vec::new(),
        keys: BTreeMap::new(),
        next_id: 0,
        sequence: 0,
        flushed_bytes: 0.0,
        written_bytes: 0.0,
    };
    let (mut now_s, mut space, mut flushes) = (1_036_800_000.0, 0.0, 0);
    let mut newest = BTreeMap::new();
    for chunk in fill.chunks(load.inserts_per_flush() as usize) {
        now_s += load.user_bytes(chunk.len() as u64, 0) / machine.ingest_bytes_per_s;
        let writes: Vec<_> = chunk.iter().map(|key| (*key, false)).collect();
        store.flush(&writes, now_s as u64, &mut newest, picker);
    }
    let mut operated = 0;
    while operated < load.operations {
        let count = (load.operations - operated).min(load.operations_per_flush().unwrap());
        now_s += load.user_bytes(0, count) / machine.ingest_bytes_per_s;
        let draw = |at: u64| {
            let key = match load.distribution {
                Distribution::Uniform => random.random_range(0..load.records as u32),
                Distribution::Sequential => ((operated + at) % load.records) as u32,
                Distribution::Zipfian => {
                    let point = random.random::<f64>() * zipf[zipf.len() - 1];
                    by_rank[zipf.partition_point(|sum| *sum < point)]
                }
            };
            (key, random.random::<f64>() < load.deletes)
        };
        let writes: Vec<_> = (0..count).map(draw).collect();
        operated += count;
        store.flush(&writes, now_s as u64, &mut newest, picker);
        let live = newest.values().filter(|record| !is_dead(record, now_s as u64)).count();
        let bytes: u64 = store.metas.iter().map(|meta| meta.bytes).sum();
        space += bytes as f64 / (live.max(1) as f64 * load.entry_bytes());
        flushes += 1;
    }
    Exact {
        flushed_bytes: store.flushed_bytes,
        compaction_written_bytes: store.written_bytes,
        mean_space: space / f64::from(flushes.max(1)),
    }
}

/// Sums of the law over the ranks.
fn zipf(records: u64) -> Vec<f64> {
    let terms = (1..=records).map(|rank| (rank as f64).powf(-0.99));
    terms
        .scan(0.0, |sum, term| {
            *sum += term;
            Some(*sum)
        })
        .collect()
}

fn is_dead(record: &Record, now_s: u64) -> bool {
    record.tombstone || (record.expires_s > 0 && record.expires_s <= now_s)
}

impl Store<'_> {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn flush(
        &mut self,
        writes: &[(u32, bool)],
        now_s: u64,
        newest: &mut BTreeMap<u32, Record>,
        picker: &dyn Picker,
    ) {
        let first = self.sequence + 1;
        let mut memtable = BTreeMap::new();
        for (key, tombstone) in writes {
            self.sequence += 1;
            let expires_s = match self.load.ttl_s {
                ttl_s if ttl_s > 0 && !tombstone => now_s + ttl_s,
                _ => 0,
            };
            let record = Record { sequence: self.sequence, tombstone: *tombstone, expires_s };
            memtable.insert(*key, record);
        }
        newest.extend(&memtable);
        let run = self.id();
        let bounds = TableMeta {
            min_sequence: first,
            max_sequence: self.sequence,
            min_written_s: now_s,
            max_written_s: now_s,
            ..TableMeta::default()
        };
        self.flushed_bytes += self.install(0, run, &bounds, memtable.into_iter().collect());
        while let Some(job) = picker.pick(&View { tables: &self.metas, now_s, quiet: false }) {
            self.execute(&job, now_s);
        }
    }

    fn install(
        &mut self,
        level: u32,
        run: u64,
        bounds: &TableMeta,
        entries: Vec<(u32, Record)>,
    ) -> f64 {
        let id = self.id();
        let tombstones = entries.iter().filter(|(_, record)| record.tombstone).count() as u64;
        let values = entries.len() as f64 - tombstones as f64;
        let bytes =
            values * self.load.entry_bytes() + tombstones as f64 * self.load.tombstone_bytes();
        let key = |key: u32| Bytes::copy_from_slice(&u64::from(key).to_be_bytes());
        let mut expiry = BTreeMap::new();
        for (_, record) in entries.iter().filter(|(_, record)| record.expires_s > 0) {
            *expiry.entry(record.expires_s).or_default() += 1;
        }
        self.metas.push(TableMeta {
            id,
            level,
            run,
            bytes: bytes as u64,
            entries: entries.len() as u64,
            tombstones,
            first_key: key(entries[0].0),
            last_key: key(entries[entries.len() - 1].0),
            expiry: expiry.into_iter().collect(),
            ..bounds.clone()
        });
        self.keys.insert(id, entries);
        bytes
    }

    fn execute(&mut self, job: &Job, now_s: u64) {
        let run = job.output_run.unwrap_or_else(|| self.id());
        let inputs: BTreeSet<u64> = job.inputs.iter().copied().collect();
        if self.can_move(job, &inputs) {
            for meta in self.metas.iter_mut().filter(|meta| inputs.contains(&meta.id)) {
                (meta.level, meta.run) = (job.output_level, run);
            }
            return;
        }
        let (taken, rest): (Vec<_>, Vec<_>) =
            self.metas.drain(..).partition(|meta| inputs.contains(&meta.id));
        self.metas = rest;
        let all = || taken.iter();
        let bounds = TableMeta {
            min_sequence: all().map(|meta| meta.min_sequence).min().unwrap(),
            max_sequence: all().map(|meta| meta.max_sequence).max().unwrap(),
            min_written_s: all().map(|meta| meta.min_written_s).min().unwrap(),
            max_written_s: all().map(|meta| meta.max_written_s).max().unwrap(),
            ..TableMeta::default()
        };
        let output = (job.output_level, Reverse(bounds.max_sequence));
        let beneath = self.metas.iter().filter(|m| (m.level, Reverse(m.max_sequence)) > output);
        let number = |key: &Bytes| u64::from_be_bytes(key[..].try_into().unwrap());
        let beneath: Vec<(u64, u64)> =
            beneath.map(|meta| (number(&meta.first_key), number(&meta.last_key))).collect();
        let taken_keys = taken.iter().flat_map(|meta| self.keys.remove(&meta.id).unwrap());
        let mut entries: Vec<(u32, Record)> = taken_keys.collect();
        entries.sort_unstable_by_key(|(key, record)| (*key, Reverse(record.sequence)));
        entries.dedup_by_key(|(key, _)| *key);
        let covered = |key: u64| beneath.iter().any(|(from, to)| *from <= key && key <= *to);
        entries.retain_mut(|(key, record)| {
            let dead = is_dead(record, now_s);
            if dead {
                *record = Record { tombstone: true, expires_s: 0, ..*record };
            }
            !dead || covered(u64::from(*key))
        });
        let mut open = Vec::new();
        let mut bytes = 0.0;
        for (key, record) in entries {
            if bytes >= job.table_bytes as f64 {
                self.written_bytes +=
                    self.install(job.output_level, run, &bounds, std::mem::take(&mut open));
                bytes = 0.0;
            }
            open.push((key, record));
            bytes += match record.tombstone {
                true => self.load.tombstone_bytes(),
                false => self.load.entry_bytes(),
            };
        }
        if !open.is_empty() {
            self.written_bytes += self.install(job.output_level, run, &bounds, open);
        }
    }

    fn can_move(&self, job: &Job, inputs: &BTreeSet<u64>) -> bool {
        let is_input = |meta: &&TableMeta| inputs.contains(&meta.id);
        let taken = || self.metas.iter().filter(is_input);
        let joined =
            |meta: &&TableMeta| meta.level == job.output_level && Some(meta.run) == job.output_run;
        let deepest = self.metas.iter().all(|meta| meta.level <= job.output_level);
        let alone = |meta: &TableMeta| {
            let mut others = taken().chain(self.metas.iter().filter(joined));
            meta.level < job.output_level
                && meta.bytes <= 2 * job.table_bytes
                && !(deepest && meta.tombstones * 4 > meta.entries)
                && others.all(|other| other.id == meta.id || !other.overlaps(meta))
        };
        taken().all(alone)
    }
}
