//! When operations are meant to start: the clock of an open loop.
//!
//! A driver that sends the next operation when the last one has returned stops asking while the
//! store is stuck, and so never sees how bad it was ("coordinated omission"). A schedule does not
//! wait: it says when each operation is due, and the response time counts from there. A closed loop
//! has no schedule.

use crate::error::Invalid;
use crate::seed::{Purpose, generator};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

const NS_PER_S: f64 = 1e9;

/// How the gaps between operations are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// Equal gaps.
    #[default]
    Constant,
    /// Independent users: exponential gaps, a Poisson process.
    Poisson,
}

/// The intended starts of one stream, in nanoseconds from the start of the run; never falls.
#[derive(Clone, Debug)]
pub struct Schedule {
    gaps: Gaps,
}

#[derive(Clone, Debug)]
enum Gaps {
    /// Start `index` of all streams is due at `index` gaps; this stream has every `step`-th.
    Constant {
        gap_ns: f64,
        index: u64,
        step: u64,
    },
    Poisson {
        mean_ns: f64,
        at_ns: f64,
        random: Box<Xoshiro256PlusPlus>,
    },
}

impl Schedule {
    /// The part that stream `stream` of `streams` has in `rate_per_s` operations per second.
    ///
    /// Constant gaps are dealt out in turn, so that all streams together are evenly spaced. Poisson
    /// streams are independent, and together a Poisson process of the whole rate. The rate must be
    /// above 0 and finite, and the stream one of the streams.
    pub fn new(
        arrival: Arrival,
        rate_per_s: f64,
        seed: u64,
        stream: u32,
        streams: u32,
    ) -> Result<Self, Invalid> {
        if !(rate_per_s > 0.0 && rate_per_s.is_finite()) {
            let allowed = "a number of operations per second above 0".to_string();
            return Err(Invalid { field: "rate", found: rate_per_s.to_string(), allowed });
        }
        if stream >= streams {
            let allowed = format!("a number below the number of streams, {streams}");
            return Err(Invalid { field: "stream", found: stream.to_string(), allowed });
        }
        let gap_ns = NS_PER_S / rate_per_s;
        let gaps = match arrival {
            Arrival::Constant => {
                Gaps::Constant { gap_ns, index: u64::from(stream), step: u64::from(streams) }
            }
            Arrival::Poisson => Gaps::Poisson {
                mean_ns: gap_ns * f64::from(streams),
                at_ns: 0.0,
                random: Box::new(generator(seed, Purpose::Arrivals, stream)),
            },
        };
        Ok(Schedule { gaps })
    }

    /// When the next operation is due. A time beyond what 64 bits hold (584 years) stays at that
    /// limit.
    pub fn next_ns(&mut self) -> u64 {
        match &mut self.gaps {
            Gaps::Constant { gap_ns, index, step } => {
                // From the index, not from the last start: no error builds up.
                let due_ns = *index as f64 * *gap_ns;
                *index += *step;
                due_ns as u64
            }
            Gaps::Poisson { mean_ns, at_ns, random } => {
                *at_ns -= (1.0 - random.random::<f64>()).ln() * *mean_ns;
                *at_ns as u64
            }
        }
    }
}

/// Endless.
impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(self.next_ns())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn constant_gaps_do_not_drift() {
        let mut schedule = Schedule::new(Arrival::Constant, 3.0, 0, 0, 1).unwrap();
        assert_eq!(
            schedule.by_ref().take(4).collect::<Vec<_>>(),
            [0, 333_333_333, 666_666_666, 1_000_000_000]
        );
        assert_eq!(schedule.nth(3 * 86_400 - 4), Some(86_400 * 1_000_000_000));
    }

    #[test]
    fn streams_together_are_evenly_spaced() {
        let part = |stream| Schedule::new(Arrival::Constant, 1_000.0, 0, stream, 3).unwrap();
        let mut starts: Vec<u64> = (0..3).flat_map(|stream| part(stream).take(5)).collect();
        starts.sort_unstable();
        assert_eq!(starts, (0..15).map(|index| index * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let streams = 4;
        for stream in 0..streams {
            let schedule = Schedule::new(Arrival::Poisson, 2_000.0, 9, stream, streams).unwrap();
            let starts: Vec<u64> = schedule.take(100_000).collect();
            let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance =
                gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!((mean / 2e6 - 1.0).abs() < 0.02, "mean {mean}");
            assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "spread {}", variance.sqrt());
        }
    }

    #[test]
    fn the_seed_and_the_stream_decide_poisson_starts() {
        let starts = |seed, stream| -> Vec<u64> {
            Schedule::new(Arrival::Poisson, 100.0, seed, stream, 2).unwrap().take(50).collect()
        };
        assert_eq!(starts(1, 0), starts(1, 0));
        assert_ne!(starts(1, 0), starts(2, 0));
        assert_ne!(starts(1, 0), starts(1, 1));
    }

    #[test]
    fn impossible_rates_and_streams_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = Schedule::new(Arrival::Constant, rate, 0, 0, 1).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`rate` is {rate};")), "{error}");
        }
        let error = Schedule::new(Arrival::Constant, 1.0, 0, 2, 2).unwrap_err().to_string();
        assert_eq!(error, "`stream` is 2; allowed: a number below the number of streams, 2");
    }
}
