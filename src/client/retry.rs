//! When a failed request is sent again.
//!
//! Two rules. A write whose outcome is unknown is never repeated: it may have been done, and would
//! then be done twice. And retries are a small share of all requests ([`Budget`]): when a cluster
//! sheds load, retries that grow with the failures would multiply exactly the load that is being
//! shed.

use crate::message::{Failure, Outcome};
use parking_lot::Mutex;
use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Duration;

/// Attempts in all, the first included.
const MAX_ATTEMPTS: u32 = 3;
/// Mean of the first pause; each further one is twice as long.
const FIRST_PAUSE_MS: u64 = 10;
/// Retries that may be saved up while all is well.
const SAVED_RETRIES: f64 = 10.0;

/// Whether a repetition can neither apply twice nor fail for the same reason for certain.
pub(super) fn is_safe(failure: &Failure) -> bool {
    let permanent = matches!(failure, Failure::Invalid(_) | Failure::WrongChange(_));
    failure.outcome() == Outcome::NotDone && !permanent
}

/// A bucket that every request fills by a fraction of a retry and every retry takes one from.
pub(super) struct Budget {
    state: Mutex<State>,
    /// Retries earned by one request, 0 to 1.
    share: f64,
}

struct State {
    saved: f64,
    random: Xoshiro256PlusPlus,
}

impl Budget {
    pub fn new(share: f64, seed: u64) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let saved = if share > 0.0 { SAVED_RETRIES } else { 0.0 };
        Budget { state: Mutex::new(State { saved, random }), share }
    }

    /// One more request that is no retry.
    pub fn earn(&self) {
        let mut state = self.state.lock();
        state.saved = (state.saved + self.share).min(SAVED_RETRIES);
    }

    /// The pause before attempt number `attempt + 1`, or None: give up and report `failure`. The
    /// pause is drawn evenly from nothing to twice its mean, so that clients that failed together
    /// do not return together.
    pub fn pause(&self, failure: &Failure, attempt: u32, left: Duration) -> Option<Duration> {
        if !is_safe(failure) || attempt >= MAX_ATTEMPTS {
            return None;
        }
        let mut state = self.state.lock();
        if state.saved < 1.0 {
            return None;
        }
        let limit_us = 1000 * ((2 * FIRST_PAUSE_MS) << (attempt - 1));
        let pause = Duration::from_micros(state.random.random_range(0..limit_us));
        if pause >= left {
            return None;
        }
        state.saved -= 1.0;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn overloaded() -> Failure {
        Failure::Overloaded { what: "queue".into() }
    }

    #[test]
    fn unknown_writes_and_bad_requests_are_never_repeated() {
        let budget = Budget::new(1.0, 1);
        let refused = |maybe_done| Failure::Disconnected { maybe_done };
        assert_eq!(budget.pause(&refused(true), 1, MINUTE), None);
        assert_eq!(budget.pause(&Failure::Invalid("key".into()), 1, MINUTE), None);
        assert_eq!(budget.pause(&Failure::WrongChange("put".into()), 1, MINUTE), None);
        assert!(budget.pause(&refused(false), 1, MINUTE).is_some());
    }

    #[test]
    fn retries_stay_a_tenth_of_the_requests() {
        let budget = Budget::new(0.1, 1);
        let mut retries = 0;
        for _ in 0..1000 {
            budget.earn();
            retries += u32::from(budget.pause(&overloaded(), 1, MINUTE).is_some());
        }
        assert!((100..=110).contains(&retries), "{retries}: a tenth, and the ten that were saved");
    }

    #[test]
    fn attempts_and_time_end() {
        let budget = Budget::new(1.0, 1);
        assert_eq!(budget.pause(&overloaded(), MAX_ATTEMPTS, MINUTE), None);
        assert_eq!(budget.pause(&overloaded(), 1, Duration::ZERO), None);
        assert_eq!(Budget::new(0.0, 1).pause(&overloaded(), 1, MINUTE), None);
    }

    #[test]
    fn pauses_vary_and_stay_under_their_limit() {
        let budget = Budget::new(1.0, 7);
        let pauses: Vec<_> =
            (0..10).map(|_| budget.pause(&overloaded(), 2, MINUTE).unwrap()).collect();
        assert!(pauses.iter().all(|pause| *pause < Duration::from_millis(40)));
        assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
