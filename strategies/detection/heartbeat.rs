//! Fixed timeouts: suspect after one silence, down after a longer one.
//!
//! The detector that everyone can predict: what it says depends on the last heartbeat alone, and
//! the detection time is the timeout. Its price is that the timeouts must be chosen for the worst
//! network that it will meet; `phi_accrual` learns them.
//!
//! # Caveats
//!
//! With heartbeats every η, a share p of them lost and a timeout of k·η, a peer is taken for dead
//! by mistake once k − 1 are lost in a row and the next one is a little later than the last one
//! was: about once in 2η/pᵏ⁻¹. There is no agreement between observers and no indirect probe
//! (SWIM); both would need messages, which a detector does not send.

use super::{Detector, Verdict};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};

pub(super) const ENTRY: Entry<dyn Detector> = Entry {
    name: "heartbeat",
    about: "fixed timeouts: predictable, but chosen for the worst network that they will meet",
    paper: "Chandra and Toueg, JACM 43(2), 1996; Chen, Toueg and Aguilera, IEEE ToC 51(5), 2002",
    parameters: &[
        Parameter {
            name: "interval_ms",
            about: "expected time between heartbeats, the unit of the score: 1 to 3600000",
        },
        Parameter {
            name: "suspect_after_ms",
            about: "silence after which a peer is suspect: interval_ms to down_after_ms",
        },
        Parameter {
            name: "down_after_ms",
            about: "silence after which a peer is down: suspect_after_ms to 86400000",
        },
    ],
    defaults: defaults::<Timeouts>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Detector>, Invalid> {
    let timeouts = read::<Timeouts>(settings)?;
    within("interval_ms", timeouts.interval_ms, 1, 3_600_000)?;
    within("down_after_ms", timeouts.down_after_ms, timeouts.interval_ms, 86_400_000)?;
    let (lowest, highest) = (timeouts.interval_ms, timeouts.down_after_ms);
    within("suspect_after_ms", timeouts.suspect_after_ms, lowest, highest)?;
    Ok(Box::new(Heartbeat { timeouts, last_us: None }))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    interval_ms: u64,
    suspect_after_ms: u64,
    down_after_ms: u64,
}

impl Default for Timeouts {
    /// At one heartbeat in a second and 1 % of them lost: 2.5 s to detect a crash on average, and
    /// about one mistake in five hours per peer.
    fn default() -> Self {
        Timeouts { interval_ms: 1_000, suspect_after_ms: 2_000, down_after_ms: 3_000 }
    }
}

struct Heartbeat {
    timeouts: Timeouts,
    last_us: Option<u64>,
}

impl Detector for Heartbeat {
    fn heard(&mut self, now_us: u64) {
        self.last_us = Some(now_us);
    }

    /// The score of a suspect is the silence in heartbeat intervals.
    fn verdict(&self, now_us: u64) -> Verdict {
        let Some(last_us) = self.last_us else {
            return Verdict::Down;
        };
        let silence_us = now_us.saturating_sub(last_us);
        if silence_us < self.timeouts.suspect_after_ms * 1_000 {
            Verdict::Up
        } else if silence_us < self.timeouts.down_after_ms * 1_000 {
            Verdict::Suspect(silence_us as f64 / (self.timeouts.interval_ms * 1_000) as f64)
        } else {
            Verdict::Down
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_timeouts_are_the_verdict() {
        let mut detector = build(&defaults::<Timeouts>()).unwrap();
        assert_eq!(detector.verdict(0), Verdict::Down);
        detector.heard(5_000_000);
        assert_eq!(detector.verdict(6_999_999), Verdict::Up);
        assert_eq!(detector.verdict(7_000_000), Verdict::Suspect(2.0));
        assert_eq!(detector.verdict(8_000_000), Verdict::Down);
    }

    #[test]
    fn timeouts_stand_in_order() {
        let mut settings = defaults::<Timeouts>();
        settings["suspect_after_ms"] = 4_000.into();
        let error = build(&settings).err().unwrap();
        let message = "setting `suspect_after_ms` is 4000; allowed: 1000 to 3000";
        assert_eq!(error.to_string(), message);
    }
}
