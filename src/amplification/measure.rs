//! What a store costs at a moment: space over the live data, and the runs that lookups meet.

use super::content::Share;
use super::store::{Counters, Store};
use super::workload::{Class, Distribution, Workload};
use std::cmp::Reverse;
use std::collections::VecDeque;

/// What was measured once, after a flush and the jobs that it caused.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub counters: Counters,
    /// Bytes of the tables over the live ones: mean and worst since the last sample.
    pub space: f64,
    pub worst_space: f64,
    pub tables: usize,
    /// Levels that are not empty.
    pub levels: usize,
    pub reads: Reads,
}

/// Runs that a lookup meets, in the mean over the key space.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reads {
    /// Sorted runs that cover a key: what a short scan merges, and the filters that a miss asks.
    pub runs: f64,
    /// Runs whose filters are asked until the newest entry of a live key is found, keys drawn as
    /// the operations draw them.
    pub hit_runs: f64,
    /// Tables that such a read looks into, false positives of the filters included.
    pub hit_tables: f64,
    /// Tables that a read of an absent key looks into, because a filter lied.
    pub miss_tables: f64,
}

/// Of a Bloom filter with 10 bits per key and 7 probes.
const FALSE_POSITIVES: f64 = 0.008_194;

/// Keys at which lookups are weighed.
const PROBES: usize = 64;

/// How many keys are live.
pub(super) struct Live<'a> {
    load: &'a Workload,
    classes: &'a [Class],
    inserted: u64,
    operated: u64,
    /// (When, inserted, operated) within the time to live, and the last state before it.
    history: VecDeque<(f64, u64, u64)>,
    bytes: f64,
}

impl<'a> Live<'a> {
    pub fn new(load: &'a Workload, classes: &'a [Class]) -> Self {
        Live { load, classes, inserted: 0, operated: 0, history: VecDeque::new(), bytes: 0.0 }
    }

    /// So much is written by now.
    pub fn wrote(&mut self, inserted: u64, operated: u64, now_s: f64) {
        (self.inserted, self.operated) = (inserted, operated);
        let mut forgotten = (0, 0);
        if self.load.ttl_s > 0 {
            self.history.push_back((now_s, inserted, operated));
            let is_past = |(at_s, ..): &(f64, u64, u64)| *at_s + self.load.ttl_s as f64 <= now_s;
            while self.history.len() > 1 && is_past(&self.history[1]) {
                self.history.pop_front();
            }
            let first = self.history.front().filter(|first| is_past(first));
            forgotten = first.map_or((0, 0), |(_, inserted, operated)| (*inserted, *operated));
        }
        self.bytes = self.live_bytes(forgotten);
    }

    fn live_bytes(&self, (inserts, operations): (u64, u64)) -> f64 {
        let keys = self.load.records as f64;
        let filled = (self.inserted - inserts) as f64 / keys;
        let written = |class: &Class, operations: u64| match self.load.distribution {
            Distribution::Sequential => (operations as f64 / keys).min(1.0),
            _ => class.written_by(operations),
        };
        let live = |class: &Class| {
            let lately = written(class, self.operated - operations);
            let value = lately * (1.0 - self.load.deletes);
            (value + filled * (1.0 - written(class, self.operated))) * class.share
        };
        self.classes.iter().map(live).sum::<f64>() * keys * self.load.entry_bytes()
    }

    /// Bytes on the disk over the live ones.
    fn over(&self, bytes: f64) -> f64 {
        bytes / self.bytes.max(self.load.entry_bytes())
    }
}

/// Collects samples at even distances, and what holds between them.
pub(super) struct Sampler<'a> {
    load: &'a Workload,
    classes: &'a [Class],
    every: u64,
    samples: Vec<Sample>,
    since: Mean,
    all: Mean,
    pub worst_space: f64,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u64,
    worst: f64,
}

impl Mean {
    fn add(&mut self, value: f64, worst: f64) {
        (self.sum, self.count) = (self.sum + value, self.count + 1);
        self.worst = self.worst.max(worst);
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

impl<'a> Sampler<'a> {
    pub fn new(load: &'a Workload, classes: &'a [Class], samples: usize) -> Self {
        let every = load.flushes().div_ceil(samples.max(1) as u64).max(1);
        let (since, all) = (Mean::default(), Mean::default());
        Sampler { load, classes, every, samples: Vec::new(), since, all, worst_space: 0.0 }
    }

    /// After each flush, with the most bytes on the disk since the last one. What the fill leaves
    /// does not count for the means: `counts` says whether it is over.
    pub fn flushed(&mut self, store: &Store<'_>, peak_bytes: f64, live: &Live<'_>, counts: bool) {
        let (space, worst) = (live.over(store.bytes), live.over(peak_bytes));
        self.since.add(space, worst);
        if counts {
            self.all.add(space, worst);
            self.worst_space = self.all.worst;
        }
        if store.counters.flushes.is_multiple_of(self.every) {
            self.sample(store);
        }
    }

    pub fn mean_space(&self) -> f64 {
        self.all.mean()
    }

    /// All samples, with one of the end, when all jobs are done.
    pub fn finish(mut self, store: &Store<'_>, live: &Live<'_>) -> Vec<Sample> {
        let space = live.over(store.bytes);
        self.since.add(space, space);
        self.sample(store);
        self.samples
    }

    fn sample(&mut self, store: &Store<'_>) {
        let mut levels: Vec<u32> = store.metas().iter().map(|meta| meta.level).collect();
        levels.sort_unstable();
        levels.dedup();
        let since = std::mem::take(&mut self.since);
        self.samples.push(Sample {
            counters: store.counters,
            space: since.mean(),
            worst_space: since.worst,
            tables: store.metas().len(),
            levels: levels.len(),
            reads: self.reads(store),
        });
    }

    fn reads(&self, store: &Store<'_>) -> Reads {
        let keys = self.load.records as f64;
        let mut order: Vec<usize> = (0..store.metas().len()).collect();
        order.sort_by_key(|place| {
            let meta = &store.metas()[*place];
            (meta.level, Reverse(meta.max_sequence))
        });
        let (mut runs, mut found, mut asked) = (0.0, 0.0, 0.0);
        for probe in 0..PROBES {
            let key = (probe as f64 + 0.5) / PROBES as f64 * keys;
            let met = order.iter().filter_map(|place| store.content(*place).at(key));
            let (met, hits, filters) = self.lookup(met, keys);
            (runs, found, asked) = (runs + met, found + hits, asked + filters);
        }
        let runs = runs / PROBES as f64;
        let hit_runs = if found > 0.0 { asked / found } else { 0.0 };
        Reads {
            runs,
            hit_runs,
            hit_tables: 1.0 + (hit_runs - 1.0).max(0.0) * FALSE_POSITIVES,
            miss_tables: runs * FALSE_POSITIVES,
        }
    }

    /// Runs that are met; the share of reads that find a live entry; filters asked by those.
    fn lookup<'s>(&self, met: impl Iterator<Item = &'s [Share]>, keys: f64) -> (f64, f64, f64) {
        let mut left = vec![1.0; self.classes.len()];
        let (mut asked, mut hits, mut filters) = (0.0, 0.0, 0.0);
        for shares in met {
            asked += 1.0;
            for ((class, share), left) in self.classes.iter().zip(shares).zip(&mut left) {
                let weight = class.share * keys * class.chance;
                let here = weight * *left * f64::from(share.filled + share.written);
                hits += here;
                filters += here * asked;
                *left *= 1.0 - f64::from(share.overwritten());
            }
        }
        (asked, hits, filters)
    }
}
