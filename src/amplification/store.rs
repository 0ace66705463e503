//! The tables of a modelled store, and what an engine does with a picker's jobs.

use super::content::{Content, Cover, Span, merge};
use super::workload::{Class, Workload};
use bytes::Bytes;
use quorate_strategies::compaction::{Job, TableMeta};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Bytes and jobs so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    pub flushes: u64,
    /// What the clients handed over.
    pub user_bytes: f64,
    pub flushed_bytes: f64,
    pub compaction_read_bytes: f64,
    pub compaction_written_bytes: f64,
    /// Bytes of tables that changed level without being rewritten.
    pub moved_bytes: f64,
    pub jobs: u64,
    pub moves: u64,
    /// Input of the largest job that was no move.
    pub largest_job_bytes: f64,
}

/// Positions within the space between two keys that a table's ends may have.
const STEPS_PER_KEY: f64 = 65_536.0;

/// A table is not moved to the bottom if more than one in so many of its entries is a tombstone.
const MOVED_TOMBSTONES: u64 = 4;

pub(super) struct Store<'a> {
    load: &'a Workload,
    classes: &'a [Class],
    /// By level and key: pickers sort tables, and what is in order is sorted at once.
    metas: Vec<TableMeta>,
    /// Of the table in the same place of `metas`.
    contents: Vec<Content>,
    pub counters: Counters,
    pub bytes: f64,
    /// Output of running merges: on the disk beside their inputs.
    pub growing_bytes: f64,
    random: Xoshiro256PlusPlus,
    next_id: u64,
    sequence: u64,
}

/// A job in progress.
pub(super) struct Running {
    job: Job,
    change: Change,
    /// What it has to write; 0 for a move.
    pub written_bytes: f64,
    origin: Origin,
}

enum Change {
    Move,
    Merge(Vec<Content>),
}

/// Bounds that the output takes over from its inputs.
#[derive(Clone, Copy)]
struct Origin {
    min_sequence: u64,
    max_sequence: u64,
    min_written_s: u64,
    max_written_s: u64,
}

impl<'a> Store<'a> {
    pub fn new(load: &'a Workload, classes: &'a [Class], seed: u64) -> Self {
        Store {
            load,
            classes,
            metas: Vec::new(),
            contents: Vec::new(),
            counters: Counters::default(),
            bytes: 0.0,
            growing_bytes: 0.0,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            next_id: 0,
            sequence: 0,
        }
    }

    pub fn metas(&self) -> &[TableMeta] {
        &self.metas
    }

    pub fn content(&self, place: usize) -> &Content {
        &self.contents[place]
    }

    /// Sorted runs on level 0.
    pub fn level0_runs(&self) -> usize {
        let level0 = self.metas.iter().filter(|meta| meta.level == 0);
        level0.map(|meta| meta.run).collect::<BTreeSet<_>>().len()
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A memtable becomes a table of level 0.
    pub fn flush(&mut self, mut content: Content, writes: u64, now_s: u64) {
        let weight = content.weight(self.classes, self.load);
        if self.load.ttl_s > 0 {
            let values = weight.entries - weight.tombstones;
            content.expiry = vec![(now_s + self.load.ttl_s, values)];
        }
        let origin = Origin {
            min_sequence: self.sequence + 1,
            max_sequence: self.sequence + writes,
            min_written_s: now_s,
            max_written_s: now_s,
        };
        self.sequence += writes;
        self.counters.flushes += 1;
        self.counters.flushed_bytes += weight.bytes;
        let run = self.id();
        self.install(content, 0, run, origin);
    }

    fn install(&mut self, content: Content, level: u32, run: u64, origin: Origin) {
        let weight = content.weight(self.classes, self.load);
        let Some((from, to)) = content.ends().filter(|_| weight.entries >= 0.5) else { return };
        let first = (from * STEPS_PER_KEY) as u64;
        let last = ((to * STEPS_PER_KEY) as u64).saturating_sub(1).max(first);
        let key = |position: u64| Bytes::copy_from_slice(&position.to_be_bytes());
        let entries = weight.entries.round() as u64;
        let tombstones = (weight.tombstones.round() as u64).min(entries);
        self.bytes += weight.bytes;
        let id = self.id();
        let meta = TableMeta {
            id,
            level,
            run,
            bytes: weight.bytes as u64,
            entries,
            tombstones,
            first_key: key(first),
            last_key: key(last),
            min_sequence: origin.min_sequence,
            max_sequence: origin.max_sequence,
            min_written_s: origin.min_written_s,
            max_written_s: origin.max_written_s,
            expiry: whole_steps(&content.expiry, entries - tombstones),
            busy: false,
        };
        self.insert(meta, content);
    }

    fn insert(&mut self, meta: TableMeta, content: Content) {
        let turn = (meta.level, &meta.first_key);
        let place = self.metas.partition_point(|other| (other.level, &other.first_key) <= turn);
        self.metas.insert(place, meta);
        self.contents.insert(place, content);
    }

    /// The places of a job's inputs, in the order of lookups.
    fn places(&self, job: &Job) -> Vec<usize> {
        let mut wanted = job.inputs.clone();
        wanted.sort_unstable();
        let is_input = |place: &usize| wanted.binary_search(&self.metas[*place].id).is_ok();
        let mut places: Vec<usize> = (0..self.metas.len()).filter(is_input).collect();
        let turn = |place: &usize| {
            let meta = &self.metas[*place];
            (meta.level, Reverse(meta.max_sequence), meta.run)
        };
        places.sort_by_cached_key(turn);
        places
    }

    /// Starts a job: its inputs are busy from now on. Answers what is wrong with a job that an
    /// engine would refuse.
    pub fn start(&mut self, job: Job, now_s: u64) -> Result<Running, String> {
        let places = self.places(&job);
        if places.is_empty() || places.len() != job.inputs.len() {
            return Err(format!("inputs are none, unknown or named twice: {job:?}"));
        }
        if places.iter().any(|place| self.metas[*place].busy) {
            return Err(format!("an input is busy: {job:?}"));
        }
        let origin = self.origin(&places);
        places.iter().for_each(|place| self.metas[*place].busy = true);
        if self.can_move(&job, &places) {
            return Ok(Running { job, change: Change::Move, written_bytes: 0.0, origin });
        }
        let merged = self.merged(&job, &places, now_s);
        let (load, classes, table_bytes) = (self.load, self.classes, job.table_bytes as f64);
        let random = &mut self.random;
        let tables = merged.cut(table_bytes, classes, load, || normal(random));
        let bytes = |table: &Content| table.weight(classes, load).bytes;
        let written_bytes: f64 = tables.iter().map(bytes).sum();
        self.growing_bytes += written_bytes;
        Ok(Running { job, change: Change::Merge(tables), written_bytes, origin })
    }

    fn origin(&self, places: &[usize]) -> Origin {
        let metas = || places.iter().map(|place| &self.metas[*place]);
        Origin {
            min_sequence: metas().map(|meta| meta.min_sequence).min().unwrap_or(0),
            max_sequence: metas().map(|meta| meta.max_sequence).max().unwrap_or(0),
            min_written_s: metas().map(|meta| meta.min_written_s).min().unwrap_or(0),
            max_written_s: metas().map(|meta| meta.max_written_s).max().unwrap_or(0),
        }
    }

    /// Inputs that come from above the output and overlap neither each other nor the run that they
    /// join change their place without being rewritten; not, though, tables that are too large for
    /// the output, or that would bring many tombstones to where these can be dropped.
    fn can_move(&self, job: &Job, places: &[usize]) -> bool {
        let fits = |meta: &TableMeta| {
            meta.level < job.output_level && meta.bytes <= job.table_bytes.saturating_mul(2)
        };
        let useless = |meta: &TableMeta| meta.tombstones * MOVED_TOMBSTONES > meta.entries;
        let deepest = self.metas.iter().all(|meta| meta.level <= job.output_level);
        let inputs = || places.iter().map(|place| &self.metas[*place]);
        if !inputs().all(fits) || (deepest && inputs().any(useless)) {
            return false;
        }
        let joined = self
            .metas
            .iter()
            .filter(|meta| meta.level == job.output_level && Some(meta.run) == job.output_run);
        let mut all: Vec<&TableMeta> = inputs().chain(joined).collect();
        all.sort_by(|a, b| a.first_key.cmp(&b.first_key));
        all.windows(2).all(|pair| pair[0].last_key < pair[1].first_key)
    }

    fn merged(&self, job: &Job, places: &[usize], now_s: u64) -> Content {
        let same_run = |a: &usize, b: &usize| {
            let (a, b) = (&self.metas[*a], &self.metas[*b]);
            (a.level, a.run) == (b.level, b.run)
        };
        // Tables of one run need not stand together in the order of age; disjoint, they may.
        let mut runs: Vec<Vec<usize>> = Vec::new();
        for place in places {
            match runs.iter_mut().rev().find(|run| same_run(&run[0], place)) {
                Some(run) => run.push(*place),
                None => runs.push(vec![*place]),
            }
        }
        for run in &mut runs {
            run.sort_by(|a, b| self.metas[*a].first_key.cmp(&self.metas[*b].first_key));
        }
        let contents = |run: &Vec<usize>| run.iter().map(|place| &self.contents[*place]).collect();
        let runs: Vec<Vec<&Content>> = runs.iter().map(contents).collect();
        let newest = places.iter().map(|place| self.metas[*place].max_sequence).max();
        merge(&runs, &self.cover(job, places, newest.unwrap_or(0)), now_s)
    }

    /// What lookups meet after the output.
    fn cover(&self, job: &Job, places: &[usize], newest: u64) -> Cover {
        if self.load.deletes <= 0.0 && self.load.ttl_s == 0 {
            return Cover::default();
        }
        let output = (job.output_level, Reverse(newest));
        let inputs: BTreeSet<usize> = places.iter().copied().collect();
        let beneath = self.metas.iter().enumerate().filter(|(place, meta)| {
            (meta.level, Reverse(meta.max_sequence)) > output && !inputs.contains(place)
        });
        let ends = beneath.filter_map(|(place, _)| self.contents[place].ends());
        Cover::new(ends.map(|(from, to)| Span { from, to }).collect())
    }

    /// The job is done: its output takes the place of its inputs.
    pub fn finish(&mut self, running: Running) {
        let Running { job, change, written_bytes, origin } = running;
        let run = job.output_run.unwrap_or_else(|| self.id());
        let places = self.places(&job);
        let bytes: f64 = places.iter().map(|place| self.metas[*place].bytes as f64).sum();
        match change {
            Change::Move => {
                for (mut meta, content) in self.remove(places) {
                    (meta.level, meta.run, meta.busy) = (job.output_level, run, false);
                    self.insert(meta, content);
                }
                self.counters.moves += 1;
                self.counters.moved_bytes += bytes;
            }
            Change::Merge(tables) => {
                for (_, content) in self.remove(places) {
                    self.bytes -= content.weight(self.classes, self.load).bytes;
                }
                self.growing_bytes -= written_bytes;
                for content in tables {
                    self.install(content, job.output_level, run, origin);
                }
                self.counters.jobs += 1;
                self.counters.compaction_read_bytes += bytes;
                self.counters.compaction_written_bytes += written_bytes;
                self.counters.largest_job_bytes = self.counters.largest_job_bytes.max(bytes);
            }
        }
    }

    fn remove(&mut self, mut places: Vec<usize>) -> Vec<(TableMeta, Content)> {
        places.sort_unstable_by_key(|place| Reverse(*place));
        let taken =
            places.iter().map(|place| (self.metas.remove(*place), self.contents.remove(*place)));
        taken.collect()
    }
}

/// The histogram in whole entries that add up to `values`, as a picker must be able to count on.
fn whole_steps(expiry: &[(u64, f64)], values: u64) -> Vec<(u64, u64)> {
    let all: f64 = expiry.iter().map(|(_, entries)| entries).sum();
    let (mut sum, mut given) = (0.0, 0);
    let step = |(by_s, entries): &(u64, f64)| {
        sum += entries / all * values as f64;
        let whole = (sum.round() as u64).saturating_sub(given);
        given += whole;
        (*by_s, whole)
    };
    let steps = expiry.iter().map(step);
    steps.filter(|(_, entries)| *entries > 0).collect()
}

/// Nearly normal, with mean 0 and variance 1: the sum of twelve even draws (Irwin and Hall).
fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}
