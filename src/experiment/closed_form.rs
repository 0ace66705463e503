//! What a detector's settings promise: the mean time from a death until it is noticed.
//!
//! Heartbeats leave every η, each is lost with probability p, and travels for d on average. The
//! last one that arrived left u + k·η before the death: u is even in [0, η) where deaths pay no
//! heed to heartbeats, and k, the number lost in a row before the death, is geometric with mean
//! p/(1−p). A detector that gives up after a silence of S therefore gives up
//!
//! ```text
//!   T_D = S − η/2 − η·p/(1−p) + d        after the death
//! ```
//!
//! What S is depends on the detector: the timeout of `heartbeat`; of `phi_accrual` with its
//! exponential form −log₁₀ e^(−S/μ) = φ, so S = φ·ln 10·μ, where the mean interval between arrivals
//! is μ = η/(1−p). With p = 0 this is T_D = φ·2.3026·η − η/2 + d.
//!
//! The means are of learned intervals; a cap on them (`max_interval_ms`) or a floor would bend
//! them. The time until the next judgement, half of its interval on average, is not in the form.

use super::matrix::Planned;
use super::spec::Backend;
use crate::sim::Link;
use std::f64::consts::LN_10;

/// The mean detection time in seconds, and where it comes from. None where no form is known.
/// Between real processes on one machine nothing is lost and the way is short beside an interval.
pub fn detection_s(planned: &Planned) -> Option<(f64, &'static str)> {
    let (loss, delay_s) = match planned.backend {
        Backend::Processes => (0.0, 0.0),
        Backend::Simulation => loss_and_delay_s(&planned.network)?,
    };
    let interval_s = f64::from(planned.cluster.timing.heartbeat_interval_ms) / 1e3;
    let kept = 1.0 - loss;
    let detection = &planned.cluster.strategies.detection;
    let number = |name: &str| detection.settings().get(name)?.as_f64();
    let (silence_s, source) = match detection.name() {
        "heartbeat" => (
            number("down_after_ms")? / 1e3,
            "timeout − interval/2 − interval·p/(1−p) + mean delay, with loss p (Chen, Toueg and \
             Aguilera 2002)",
        ),
        "phi_accrual" if detection.settings().get("distribution")? == "exponential" => (
            number("threshold")? * LN_10 * interval_s / kept,
            "threshold·2.3026·interval/(1−p) − interval/2 − interval·p/(1−p) + mean delay, with \
             loss p (exponential form of Hayashibara et al. 2004)",
        ),
        _ => return None,
    };
    let unheard_s = interval_s / 2.0 + interval_s * loss / kept;
    Some((silence_s - unheard_s + delay_s, source))
}

/// None of a link on which heartbeats do not travel alone.
fn loss_and_delay_s(link: &Link) -> Option<(f64, f64)> {
    let plain = link.duplicate == 0.0 && link.bytes_per_s.is_none() && link.loss < 1.0;
    Some((link.loss, link.delay.mean_us().filter(|_| plain)? / 1e6))
}
