//! One strategy over one load: flushes, jobs, the disk that they share, and what comes of it.

use super::measure::{Live, Sample, Sampler};
use super::store::{Counters, Running, Store};
use super::workload::{Workload, Writer};
use quorate_strategies::compaction::{Picker, View};
use std::collections::VecDeque;

/// Speeds of the modelled machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// What clients write, in bytes per second: it drives the clock.
    pub ingest_bytes_per_s: f64,
    /// What all jobs together write, in bytes per second. None: every job is done before the next
    /// flush.
    pub compaction_bytes_per_s: Option<f64>,
    /// Jobs that run at a time, at least 1.
    pub jobs: usize,
}

/// Runs of level 0 from which on writes are slowed, and at which they stop.
const SLOW_RUNS: usize = 20;
const STOP_RUNS: usize = 36;

/// When the first write comes, in seconds since 1970: the start of a day in 2002.
const START_S: f64 = 1_036_800_000.0;

/// Jobs between two flushes that no picker needs: it would never come to rest.
const JOBS_WITHOUT_REST: usize = 100_000;

/// What one strategy came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub counters: Counters,
    /// What the fill had cost when the first overwrite came.
    pub after_fill: Counters,
    pub samples: Vec<Sample>,
    /// Bytes of the tables over the live ones: mean over all flushes after the fill.
    pub mean_space: f64,
    /// The same at the worst moment, inputs and output of running jobs included.
    pub worst_space: f64,
    pub elapsed_s: f64,
    /// Of these, writes were stopped, or held back.
    pub stopped_s: f64,
    pub slowed_s: f64,
}

/// The clock, and the jobs that share the disk.
struct Machinery<'a> {
    machine: Machine,
    picker: &'a dyn Picker,
    running: VecDeque<(Running, f64)>,
    now_s: f64,
}

/// Runs the whole load.
///
/// # Errors
/// The picker broke its contract: its job is shown.
pub fn run(
    load: &Workload,
    machine: Machine,
    picker: &dyn Picker,
    samples: usize,
    seed: u64,
) -> Result<Outcome, String> {
    let classes = load.classes();
    let mut writer = Writer::new(load, &classes);
    let mut store = Store::new(load, &classes, seed);
    let mut live = Live::new(load, &classes);
    let mut sampler = Sampler::new(load, &classes, samples);
    let mut clock = Machinery { machine, picker, running: VecDeque::new(), now_s: START_S };
    let (mut stopped_s, mut slowed_s, mut after_fill) = (0.0, 0.0, None);
    while let Some(memtable) = writer.next() {
        if writer.operated > 0 && after_fill.is_none() {
            after_fill = Some(store.counters);
        }
        let needed_s = memtable.user_bytes / machine.ingest_bytes_per_s;
        let slow = slowdown(store.level0_runs());
        slowed_s += needed_s * (slow - 1.0);
        clock.pass(&mut store, needed_s * slow)?;
        store.counters.user_bytes += memtable.user_bytes;
        live.wrote(writer.inserted, writer.operated, clock.now_s);
        store.flush(memtable.content, memtable.writes, clock.now_s as u64);
        let peak = clock.start_jobs(&mut store)?;
        while store.level0_runs() >= STOP_RUNS && !clock.running.is_empty() {
            stopped_s += clock.finish_next(&mut store)?;
        }
        sampler.flushed(&store, peak, &live, after_fill.is_some() || load.operations == 0);
    }
    while !clock.running.is_empty() {
        clock.finish_next(&mut store)?;
    }
    Ok(Outcome {
        counters: store.counters,
        after_fill: after_fill.unwrap_or_default(),
        mean_space: sampler.mean_space(),
        worst_space: sampler.worst_space,
        samples: sampler.finish(&store, &live),
        elapsed_s: clock.now_s - START_S,
        stopped_s,
        slowed_s,
    })
}

/// How many times as long writes take: twice at the limit.
fn slowdown(level0_runs: usize) -> f64 {
    let over = level0_runs.saturating_sub(SLOW_RUNS) as f64;
    1.0 + (over / (STOP_RUNS - SLOW_RUNS) as f64).min(1.0)
}

impl Machinery<'_> {
    /// Bytes per second that each running job may write.
    fn speed(&self) -> f64 {
        let all = self.machine.compaction_bytes_per_s.unwrap_or(f64::INFINITY);
        all / self.running.len().max(1) as f64
    }

    /// Starts what the picker has; without a bandwidth, finishes it, too. Answers the most bytes
    /// that were on the disk.
    fn start_jobs(&mut self, store: &mut Store<'_>) -> Result<f64, String> {
        let mut peak = store.bytes + store.growing_bytes;
        for _ in 0..JOBS_WITHOUT_REST {
            if self.running.len() >= self.machine.jobs {
                return Ok(peak);
            }
            let now_s = self.now_s as u64;
            let Some(job) = self.picker.pick(&View { tables: store.metas(), now_s, quiet: false })
            else {
                return Ok(peak);
            };
            let running = store.start(job, now_s)?;
            peak = peak.max(store.bytes + store.growing_bytes);
            // A move takes no time.
            if self.machine.compaction_bytes_per_s.is_none() || running.written_bytes == 0.0 {
                store.finish(running);
            } else {
                let bytes = running.written_bytes;
                self.running.push_back((running, bytes));
            }
        }
        Err(format!("the strategy does not come to rest: {JOBS_WITHOUT_REST} jobs in a row"))
    }

    /// Lets time pass: jobs go on, finish, and make room for others.
    fn pass(&mut self, store: &mut Store<'_>, seconds: f64) -> Result<(), String> {
        let mut left_s = seconds;
        while let Some(next_s) = self.next_end_s().filter(|next_s| *next_s <= left_s) {
            left_s -= next_s;
            self.finish_next(store)?;
        }
        self.go_on(left_s);
        Ok(())
    }

    /// Seconds until the first of the running jobs is done.
    fn next_end_s(&self) -> Option<f64> {
        let left = self.running.iter().map(|(_, left_bytes)| *left_bytes);
        left.min_by(f64::total_cmp).map(|bytes| bytes / self.speed())
    }

    fn go_on(&mut self, seconds: f64) {
        let bytes = if self.running.is_empty() { 0.0 } else { self.speed() * seconds };
        self.running.iter_mut().for_each(|(_, left_bytes)| *left_bytes -= bytes);
        self.now_s += seconds;
    }

    /// Waits for the next end of a job. Answers the seconds.
    fn finish_next(&mut self, store: &mut Store<'_>) -> Result<f64, String> {
        let Some(seconds) = self.next_end_s() else { return Ok(0.0) };
        self.go_on(seconds);
        let ends = |(_, a): &(usize, f64), (_, b): &(usize, f64)| a.total_cmp(b);
        let left = self.running.iter().map(|(_, left_bytes)| *left_bytes).enumerate();
        if let Some((running, _)) =
            left.min_by(ends).and_then(|(place, _)| self.running.remove(place))
        {
            store.finish(running);
        }
        self.start_jobs(store)?;
        Ok(seconds)
    }
}
