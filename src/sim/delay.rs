//! How long a packet travels, or a disk works: distributions by name, the same text in YAML and in
//! scenario scripts.
//!
//! The four models of production systems are the fits of Bailis et al., "Probabilistically Bounded
//! Staleness for Practical Partial Quorums", VLDB 2012, Table 3, with the tail of YMMR's writes as
//! the authors' simulator has it (α = 3.5; the paper prints 3.35). They tell writes on their way to
//! a replica (W) from everything else (A, R, S).

use super::text::{duration, shown};
use rand::{Rng, RngExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// A distribution of durations. Samples are whole microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    Constant {
        us: f64,
    },
    Uniform {
        from_us: f64,
        to_us: f64,
    },
    Exponential {
        mean_us: f64,
    },
    /// `scale · u^(−1/shape)`: never below the scale, and with a tail that a low shape makes long.
    Pareto {
        scale_us: f64,
        shape: f64,
    },
    Model(Model),
}

/// A fit of PBS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    LnkdSsd,
    LnkdDisk,
    Ymmr,
    /// LNKD-DISK and 75 ms each way between any two nodes.
    Wan,
}

/// What a packet carries, as far as delays differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// A write on its way to a replica.
    Write,
    /// Acknowledgements, reads, answers, heartbeats, gossip.
    Other,
}

/// The share of the first distribution; the rest is exponential with this rate per millisecond.
struct Mixture {
    share: f64,
    scale_ms: f64,
    shape: f64,
    rate_per_ms: f64,
}

const SSD: Mixture = Mixture { share: 0.9122, scale_ms: 0.235, shape: 10.0, rate_per_ms: 1.66 };
const DISK_WRITE: Mixture =
    Mixture { share: 0.38, scale_ms: 1.05, shape: 1.51, rate_per_ms: 0.183 };
const YMMR_WRITE: Mixture =
    Mixture { share: 0.939, scale_ms: 3.0, shape: 3.5, rate_per_ms: 0.0028 };
const YMMR_OTHER: Mixture =
    Mixture { share: 0.982, scale_ms: 1.5, shape: 3.8, rate_per_ms: 0.0217 };
const WAN_US: f64 = 75_000.0;

const NAMES: [(&str, Model); 4] = [
    ("lnkd_ssd", Model::LnkdSsd),
    ("lnkd_disk", Model::LnkdDisk),
    ("ymmr", Model::Ymmr),
    ("wan", Model::Wan),
];

/// What the text of a delay may be.
pub const ALLOWED: &str = "constant(0.2ms), uniform(1ms, 5ms), exponential(20ms), \
                           pareto(0.2ms, 10), lnkd_ssd, lnkd_disk, ymmr, wan";

impl Delay {
    pub const fn constant_us(us: u64) -> Self {
        Delay::Constant { us: us as f64 }
    }

    /// In microseconds.
    pub fn sample(&self, leg: Leg, random: &mut impl Rng) -> u64 {
        let us = match *self {
            Delay::Constant { us } => us,
            Delay::Uniform { from_us, to_us } => from_us + (to_us - from_us) * unit(random),
            Delay::Exponential { mean_us } => exponential(mean_us, random),
            Delay::Pareto { scale_us, shape } => pareto(scale_us, shape, random),
            Delay::Model(model) => model.sample_us(leg, random),
        };
        us.round() as u64
    }

    /// The mean in microseconds; None where the distribution has none, or a model's legs differ.
    pub fn mean_us(&self) -> Option<f64> {
        match *self {
            Delay::Constant { us } => Some(us),
            Delay::Uniform { from_us, to_us } => Some((from_us + to_us) / 2.0),
            Delay::Exponential { mean_us } => Some(mean_us),
            Delay::Pareto { scale_us, shape } if shape > 1.0 => {
                Some(scale_us * shape / (shape - 1.0))
            }
            Delay::Pareto { .. } | Delay::Model(_) => None,
        }
    }
}

impl Model {
    fn sample_us(self, leg: Leg, random: &mut impl Rng) -> f64 {
        match (self, leg) {
            (Model::LnkdSsd, _) | (Model::LnkdDisk, Leg::Other) => SSD.sample_us(random),
            (Model::LnkdDisk, Leg::Write) => DISK_WRITE.sample_us(random),
            (Model::Ymmr, Leg::Write) => YMMR_WRITE.sample_us(random),
            (Model::Ymmr, Leg::Other) => YMMR_OTHER.sample_us(random),
            (Model::Wan, Leg::Write) => WAN_US + DISK_WRITE.sample_us(random),
            (Model::Wan, Leg::Other) => WAN_US + SSD.sample_us(random),
        }
    }
}

impl Mixture {
    fn sample_us(&self, random: &mut impl Rng) -> f64 {
        if unit(random) < self.share {
            pareto(self.scale_ms * 1_000.0, self.shape, random)
        } else {
            exponential(1_000.0 / self.rate_per_ms, random)
        }
    }
}

/// In [0, 1).
pub(super) fn unit(random: &mut impl Rng) -> f64 {
    random.random::<f64>()
}

fn exponential(mean_us: f64, random: &mut impl Rng) -> f64 {
    -mean_us * (1.0 - unit(random)).ln()
}

fn pareto(scale_us: f64, shape: f64, random: &mut impl Rng) -> f64 {
    scale_us * (1.0 - unit(random)).powf(-1.0 / shape)
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delay::Constant { us } => write!(f, "constant({})", shown(*us)),
            Delay::Uniform { from_us, to_us } => {
                write!(f, "uniform({}, {})", shown(*from_us), shown(*to_us))
            }
            Delay::Exponential { mean_us } => write!(f, "exponential({})", shown(*mean_us)),
            Delay::Pareto { scale_us, shape } => {
                write!(f, "pareto({}, {shape})", shown(*scale_us))
            }
            Delay::Model(model) => {
                let name = NAMES.iter().find(|(_, it)| it == model).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

/// A text that names no delay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no delay; allowed: {ALLOWED}")]
pub struct NoDelay {
    pub found: String,
}

impl FromStr for Delay {
    type Err = NoDelay;

    fn from_str(text: &str) -> Result<Self, NoDelay> {
        parse(text.trim()).ok_or_else(|| NoDelay { found: text.to_string() })
    }
}

fn parse(text: &str) -> Option<Delay> {
    if let Some((_, model)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Some(Delay::Model(*model));
    }
    let (name, rest) = text.split_once('(')?;
    let arguments: Vec<&str> = rest.strip_suffix(')')?.split(',').map(str::trim).collect();
    let us = |text: &&str| duration(text).map(|us| us as f64);
    match (name.trim(), arguments.as_slice()) {
        ("constant", [one]) => Some(Delay::Constant { us: us(one)? }),
        ("uniform", [from, to]) => {
            let (from_us, to_us) = (us(from)?, us(to)?);
            (from_us <= to_us).then_some(Delay::Uniform { from_us, to_us })
        }
        ("exponential", [mean]) => Some(Delay::Exponential { mean_us: us(mean)? }),
        ("pareto", [scale, shape]) => {
            let (scale_us, shape) = (us(scale)?, shape.parse::<f64>().ok()?);
            (0.1..=1_000.0).contains(&shape).then_some(Delay::Pareto { scale_us, shape })
        }
        _ => None,
    }
}

impl Serialize for Delay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    fn samples(delay: &str, leg: Leg) -> Vec<u64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        let delay: Delay = delay.parse().unwrap();
        let mut all: Vec<u64> = (0..200_000).map(|_| delay.sample(leg, &mut random)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn text_and_delay_are_each_others_inverse() {
        for text in [
            "constant(200us)",
            "uniform(1ms, 5ms)",
            "exponential(20ms)",
            "pareto(235us, 10)",
            "lnkd_ssd",
            "wan",
        ] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), text);
        }
        for text in ["", "constant", "constant(5)", "uniform(5ms, 1ms)", "pareto(1ms, 0)", "fast"] {
            let refused = text.parse::<Delay>().unwrap_err().to_string();
            assert!(refused.contains("allowed: constant"), "{refused}");
        }
    }

    #[test]
    fn samples_have_the_means_that_are_promised() {
        for text in ["uniform(1ms, 5ms)", "exponential(20ms)", "pareto(235us, 10)"] {
            let all = samples(text, Leg::Other);
            let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
            let promised = text.parse::<Delay>().unwrap().mean_us().unwrap();
            assert!((mean / promised - 1.0).abs() < 0.01, "{text}: {mean} for {promised}");
        }
    }

    /// The mixtures' own quantiles, from their distribution functions.
    #[test]
    fn the_models_have_the_shape_of_the_paper() {
        let quantile = |all: &[u64], at: f64| all[(all.len() as f64 * at) as usize] as f64 / 1e3;
        let ssd = samples("lnkd_ssd", Leg::Write);
        assert_eq!(ssd, samples("lnkd_ssd", Leg::Other));
        assert!(ssd[0] < 235 && (0.25..0.27).contains(&quantile(&ssd, 0.5)));
        let disk = samples("lnkd_disk", Leg::Write);
        assert!((2.2..2.6).contains(&quantile(&disk, 0.5)), "{}", quantile(&disk, 0.5));
        assert!(quantile(&samples("ymmr", Leg::Write), 0.99) > 500.0);
        assert!(quantile(&samples("ymmr", Leg::Other), 0.99) < 60.0);
        assert!(samples("wan", Leg::Other)[0] >= 75_000);
    }
}
