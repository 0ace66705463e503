//! Threads that start together, and what they measured.

use crate::Outcome;
use hdrhistogram::Histogram;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// When a thread ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Operations(u64),
    Elapsed(Duration),
}

/// What one thread did, or several added up.
pub struct Tally {
    pub operations: u64,
    /// From the common start to the end of the last thread.
    pub elapsed: Duration,
    /// To the end of the first thread: behind it, fewer threads do less.
    together: Duration,
    /// One operation each, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Operations that ended in each second.
    pub by_second: Vec<u64>,
}

impl Tally {
    fn new() -> Outcome<Self> {
        let latencies = Histogram::new_with_bounds(1, 600_000_000_000, 2)?;
        let elapsed = Duration::ZERO;
        Ok(Tally { operations: 0, elapsed, together: elapsed, latencies, by_second: Vec::new() })
    }

    pub fn sum(tallies: Vec<Tally>) -> Outcome<Tally> {
        let mut sum = Tally::new()?;
        sum.together = tallies.iter().map(|tally| tally.elapsed).min().unwrap_or_default();
        for tally in tallies {
            sum.operations += tally.operations;
            sum.elapsed = sum.elapsed.max(tally.elapsed);
            sum.latencies.add(&tally.latencies)?;
            let seconds = sum.by_second.len().max(tally.by_second.len());
            sum.by_second.resize(seconds, 0);
            for (total, count) in sum.by_second.iter_mut().zip(&tally.by_second) {
                *total += count;
            }
        }
        Ok(sum)
    }

    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Operations of the worst whole second in which all threads ran over those of the median one;
    /// none in a run of fewer than four.
    pub fn worst_second(&self) -> Option<f64> {
        let whole = (self.together.as_secs() as usize).min(self.by_second.len());
        let mut seconds = self.by_second[..whole].to_vec();
        seconds.sort_unstable();
        let median = *seconds.get(whole / 2)?;
        (whole >= 4 && median > 0).then(|| seconds[0] as f64 / median as f64)
    }

    fn note(&mut self, since_start: Duration, latency: Duration) {
        self.operations += 1;
        self.latencies.saturating_record(latency.as_nanos() as u64);
        let second = since_start.as_secs() as usize;
        if second >= self.by_second.len() {
            self.by_second.resize(second + 1, 0);
        }
        self.by_second[second] += 1;
    }
}

/// Runs one thread for each element of `ends`. `prepare` makes a thread's operation before the
/// common start; the operation gets its number, from 0.
pub fn drive<F>(ends: &[Until], prepare: impl Fn(usize) -> F + Sync) -> Outcome<Vec<Tally>>
where
    F: FnMut(u64) -> Outcome<()>,
{
    let start = Barrier::new(ends.len());
    std::thread::scope(|scope| {
        let (start, prepare) = (&start, &prepare);
        let threads: Vec<_> = ends
            .iter()
            .enumerate()
            .map(|(thread, end)| {
                scope.spawn(move || {
                    let mut operation = prepare(thread);
                    start.wait();
                    run(*end, &mut operation)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread of the bench panicked")?)
            .collect()
    })
}

fn run(end: Until, operation: &mut impl FnMut(u64) -> Outcome<()>) -> Outcome<Tally> {
    let mut tally = Tally::new()?;
    let started = Instant::now();
    let mut last = Duration::ZERO;
    loop {
        let over = match end {
            Until::Operations(count) => tally.operations >= count,
            Until::Elapsed(limit) => last >= limit,
        };
        if over {
            tally.elapsed = last;
            return Ok(tally);
        }
        operation(tally.operations)?;
        let now = started.elapsed();
        tally.note(now, now - last);
        last = now;
    }
}
