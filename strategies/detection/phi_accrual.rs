//! The φ accrual detector: how unlikely is this silence, given the heartbeats so far?
//!
//! φ = −log₁₀ P(the next heartbeat comes even later than now). At φ = 1 one silence in ten is this
//! long by chance, at φ = 8 one in a hundred million. The detector learns the network that it
//! watches: a slow one is given more time.
//!
//! * `exponential`: φ = t / mean · log₁₀ e. What Cassandra uses; needs the mean alone. At a mean of
//!   1 s φ passes 8 after 18.4 s.
//! * `normal`: the tail of a normal distribution with the intervals' mean and deviation, as in the
//!   paper. Much quicker on a steady network: φ passes 8 at mean + 5.6 deviations.
//!
//! # Guards
//!
//! A detector that learns can be taught wrong. Recorded intervals are capped at `max_interval_ms`,
//! or one partition would stretch the mean for a thousand heartbeats. The mean has the floor
//! `min_interval_ms` and the deviation `min_deviation_ms`, or a burst of queued heartbeats would
//! make the next pause look like a crash.
//!
//! # Caveats
//!
//! A pause of the *observer* looks like the silence of all its peers; the node has to notice that
//! it was not running and must not ask for verdicts until it has listened again. The window forgets
//! by count, not by age: at one heartbeat a second a thousand intervals are a quarter of an hour.

use super::{Detector, Verdict};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::f64::consts::{LN_2, LN_10, LOG10_E, SQRT_2};

pub(super) const ENTRY: Entry<dyn Detector> = Entry {
    name: "phi_accrual",
    about: "learns how long silences usually are; suspicion grows with how unlikely this one is",
    paper: "Hayashibara et al., SRDS 2004, section 4; exponential form: Cassandra",
    parameters: &[
        Parameter {
            name: "distribution",
            about: "of the intervals: exponential (mean alone) or normal (mean and deviation)",
        },
        Parameter { name: "threshold", about: "φ above which a peer is down: 0.5 to 100" },
        Parameter {
            name: "suspect_threshold",
            about: "φ above which a peer is suspect: 0.5 to threshold",
        },
        Parameter { name: "window", about: "heartbeat intervals remembered: 1 to 100000" },
        Parameter {
            name: "first_interval_ms",
            about: "taken for the first interval, before any was seen: 1 to max_interval_ms",
        },
        Parameter { name: "min_interval_ms", about: "floor of the mean: 1 to max_interval_ms" },
        Parameter {
            name: "max_interval_ms",
            about: "longer intervals are recorded as this long: 1 to 3600000",
        },
        Parameter {
            name: "min_deviation_ms",
            about: "floor of the standard deviation, normal only: 1 to 3600000",
        },
    ],
    defaults: defaults::<Config>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Detector>, Invalid> {
    let config = read::<Config>(settings)?;
    within("threshold", config.threshold, LOWEST_PHI, 100.0)?;
    within("suspect_threshold", config.suspect_threshold, LOWEST_PHI, config.threshold)?;
    within("window", config.window, 1, 100_000)?;
    within("max_interval_ms", config.max_interval_ms, 1, 3_600_000)?;
    within("first_interval_ms", config.first_interval_ms, 1, config.max_interval_ms)?;
    within("min_interval_ms", config.min_interval_ms, 1, config.max_interval_ms)?;
    within("min_deviation_ms", config.min_deviation_ms, 1, 3_600_000)?;
    Ok(Box::new(PhiAccrual { config, intervals: Intervals::default(), last_us: None }))
}

/// A silence shorter than half of all intervals (φ = 0.3) is no ground for suspicion.
const LOWEST_PHI: f64 = 0.5;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    distribution: Distribution,
    threshold: f64,
    suspect_threshold: f64,
    window: usize,
    first_interval_ms: u64,
    min_interval_ms: u64,
    max_interval_ms: u64,
    min_deviation_ms: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Distribution {
    Exponential,
    Normal,
}

impl Default for Config {
    /// Cassandra's threshold and window, for one heartbeat a second: suspect after 6.9 s, down
    /// after 18.4 s. Shorter heartbeats shorten both.
    fn default() -> Self {
        Config {
            distribution: Distribution::Exponential,
            threshold: 8.0,
            suspect_threshold: 3.0,
            window: 1_000,
            first_interval_ms: 1_000,
            min_interval_ms: 100,
            max_interval_ms: 2_000,
            min_deviation_ms: 100,
        }
    }
}

struct PhiAccrual {
    config: Config,
    intervals: Intervals,
    last_us: Option<u64>,
}

impl Detector for PhiAccrual {
    fn heard(&mut self, now_us: u64) {
        let interval_us = match self.last_us {
            None => self.config.first_interval_ms * 1_000,
            Some(last_us) => now_us.saturating_sub(last_us),
        };
        let interval_us = interval_us.min(self.config.max_interval_ms * 1_000);
        self.intervals.record(interval_us, self.config.window);
        self.last_us = Some(now_us);
    }

    /// The score of a suspect is φ.
    fn verdict(&self, now_us: u64) -> Verdict {
        let Some(last_us) = self.last_us else {
            return Verdict::Down;
        };
        let phi = self.phi(now_us.saturating_sub(last_us) as f64);
        if phi > self.config.threshold {
            Verdict::Down
        } else if phi > self.config.suspect_threshold {
            Verdict::Suspect(phi)
        } else {
            Verdict::Up
        }
    }
}

impl PhiAccrual {
    fn phi(&self, silence_us: f64) -> f64 {
        let mean = self.intervals.mean().max(self.config.min_interval_ms as f64 * 1_000.0);
        match self.config.distribution {
            Distribution::Exponential => silence_us / mean * LOG10_E,
            Distribution::Normal => {
                let floor = self.config.min_deviation_ms as f64 * 1_000.0;
                let deviation = self.intervals.deviation().max(floor);
                -ln_normal_tail((silence_us - mean) / deviation) / LN_10
            }
        }
    }
}

/// The last intervals, in microseconds, with running sums: a verdict costs the same for any window.
/// The sums are whole numbers, so nothing drifts as intervals come and go.
#[derive(Default)]
struct Intervals {
    latest: VecDeque<u64>,
    sum: u128,
    squares: u128,
}

impl Intervals {
    fn record(&mut self, interval_us: u64, window: usize) {
        if self.latest.len() == window {
            let oldest = u128::from(self.latest.pop_front().unwrap_or_default());
            self.sum -= oldest;
            self.squares -= oldest * oldest;
        }
        self.latest.push_back(interval_us);
        self.sum += u128::from(interval_us);
        self.squares += u128::from(interval_us) * u128::from(interval_us);
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.latest.len().max(1) as f64
    }

    fn deviation(&self) -> f64 {
        let count = self.latest.len().max(1) as u128;
        // count² · variance, exactly; never negative.
        let scaled = count * self.squares - self.sum * self.sum;
        (scaled as f64).sqrt() / count as f64
    }
}

/// ln P(Z > z) for a standard normal Z. In logarithms, so that it does not run out of numbers far
/// out.
fn ln_normal_tail(z: f64) -> f64 {
    let upper = ln_erfc(z.abs() / SQRT_2) - LN_2;
    if z >= 0.0 { upper } else { (-upper.exp()).ln_1p() }
}

/// ln erfc(x) for x ≥ 0: the Chebyshev fit of Numerical Recipes (Press et al., section 6.2), whose
/// relative error is below 1.2e-7 everywhere.
fn ln_erfc(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.26551223,
        1.00002368,
        0.37409196,
        0.09678418,
        -0.18628806,
        0.27886807,
        -1.13520398,
        1.48851587,
        -0.82215223,
        0.17087277,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    t.ln() - x * x + FIT.iter().rev().fold(0.0, |sum, term| sum * t + term)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    /// A detector that heard 100 heartbeats, one a second; the last one at time 0.
    fn steady(distribution: Distribution) -> PhiAccrual {
        let config = Config { distribution, ..Config::default() };
        let mut detector = PhiAccrual { config, intervals: Intervals::default(), last_us: None };
        (0..100).for_each(|second| detector.heard(second * SECOND_US));
        detector.last_us = Some(0);
        detector
    }

    #[test]
    fn exponential_phi_8_at_one_heartbeat_a_second_is_18_42_seconds() {
        let detector = steady(Distribution::Exponential);
        assert!((detector.phi(18.4207e6) - 8.0).abs() < 1e-4);
        assert!(matches!(detector.verdict(18_420_000), Verdict::Suspect(_)));
        assert_eq!(detector.verdict(18_421_000), Verdict::Down);
        assert_eq!(detector.verdict(6_900_000), Verdict::Up);
    }

    #[test]
    fn normal_phi_8_is_5_61_deviations_above_the_mean() {
        let detector = steady(Distribution::Normal);
        assert!((detector.phi(1e6 + 5.612 * 1e5) - 8.0).abs() < 1e-3);
        assert_eq!(detector.verdict(1_562_000), Verdict::Down);
        assert!((detector.phi(1e6) - 2f64.log10()).abs() < 1e-6);
        assert!(detector.phi(1e12).is_finite());
    }

    #[test]
    fn the_normal_tail_is_that_of_the_tables() {
        for (z, tail) in [(0.0, 0.5), (1.0, 0.158655), (-1.0, 0.841345), (3.0, 1.349898e-3)] {
            assert!((ln_normal_tail(z).exp() / tail - 1.0).abs() < 1e-5, "{z}");
        }
    }

    #[test]
    fn a_partition_does_not_stretch_the_mean() {
        let mut detector = steady(Distribution::Exponential);
        detector.heard(3_600 * SECOND_US);
        assert!(detector.intervals.mean() < 1.02e6);
    }

    #[test]
    fn a_burst_does_not_shrink_the_mean_below_its_floor() {
        let mut detector = steady(Distribution::Exponential);
        (0..2_000).for_each(|_| detector.heard(5));
        assert_eq!(detector.intervals.mean(), 0.0);
        assert!((detector.phi(1e5) - LOG10_E).abs() < 1e-9);
    }

    #[test]
    fn running_sums_are_those_of_the_window() {
        let mut intervals = Intervals::default();
        (0..1_000).for_each(|number| intervals.record(number * 7 % 1_013, 10));
        let mean = intervals.latest.iter().sum::<u64>() as f64 / 10.0;
        let variance = intervals.latest.iter().map(|us| (*us as f64 - mean).powi(2)).sum::<f64>();
        assert!((intervals.mean() - mean).abs() < 1e-9);
        assert!((intervals.deviation() - (variance / 10.0).sqrt()).abs() < 1e-6);
    }
}
