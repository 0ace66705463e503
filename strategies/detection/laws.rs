//! What holds for every detector, over random heartbeats.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Choice, Settings};
use proptest::prelude::*;

/// Every row with its defaults, and the other distribution of `phi_accrual`.
fn subjects() -> Vec<(String, Choice<Detection>)> {
    let named = |name| Choice::<Detection>::named(name).unwrap();
    let rows = Detection::entries().iter().map(|entry| (entry.name.to_string(), named(entry.name)));
    let settings = Settings::from_iter([("distribution".to_string(), "normal".into())]);
    let normal = Choice::<Detection>::new("phi_accrual", settings).unwrap();
    rows.chain([("phi_accrual, normal".to_string(), normal)]).collect()
}

/// How bad a verdict is.
fn badness(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Up => -1.0,
        Verdict::Suspect(score) => score,
        Verdict::Down => f64::INFINITY,
    }
}

fn heard(
    choice: &Choice<Detection>,
    start_us: u64,
    intervals_us: &[u64],
) -> (Box<dyn Detector>, u64) {
    let mut detector = choice.build();
    let mut now_us = start_us;
    detector.heard(now_us);
    for interval_us in intervals_us {
        now_us += interval_us;
        detector.heard(now_us);
    }
    (detector, now_us)
}

fn any_intervals() -> impl Strategy<Value = Vec<u64>> {
    let usual = 900_000..1_100_000u64;
    let interval = prop_oneof![8 => usual, 1 => 0..1_000u64, 1 => 0..100_000_000u64];
    prop::collection::vec(interval, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn silence_only_makes_it_worse(
        start_us in 0..u64::MAX / 2, intervals in any_intervals(),
        silences in prop::collection::vec(0..2_000_000u64, 1..60),
    ) {
        for (name, choice) in subjects() {
            let (detector, mut now_us) = heard(&choice, start_us, &intervals);
            let mut last = badness(detector.verdict(now_us));
            for silence_us in &silences {
                now_us += silence_us;
                let next = badness(detector.verdict(now_us));
                prop_assert!(next >= last, "{}: {} after {}", name, next, last);
                last = next;
            }
            let verdict = detector.verdict(now_us + 86_400_000_000);
            prop_assert_eq!(verdict, Verdict::Down, "{}: a day of silence", name);
        }
    }

    #[test]
    fn hearing_makes_it_up_at_once(start_us in 0..u64::MAX / 2, intervals in any_intervals()) {
        for (name, choice) in subjects() {
            let (mut detector, now_us) = heard(&choice, start_us, &intervals);
            prop_assert_eq!(detector.verdict(now_us), Verdict::Up, "{}", name);
            let later_us = now_us + 3_600_000_000;
            prop_assert_eq!(detector.verdict(later_us), Verdict::Down, "{}", name);
            detector.heard(later_us);
            prop_assert_eq!(detector.verdict(later_us), Verdict::Up, "{}", name);
        }
    }

    #[test]
    fn only_what_was_heard_counts_not_when(
        start_us in 0..u64::MAX / 2, shift_us in 0..u64::MAX / 4, intervals in any_intervals(),
        silence_us in 0..30_000_000u64,
    ) {
        for (name, choice) in subjects() {
            let (one, one_us) = heard(&choice, start_us, &intervals);
            let (other, other_us) = heard(&choice, start_us + shift_us, &intervals);
            let verdict = one.verdict(one_us + silence_us);
            prop_assert_eq!(verdict, other.verdict(other_us + silence_us), "{}", name);
        }
    }
}

#[test]
fn a_peer_never_heard_is_down() {
    for (name, choice) in subjects() {
        assert_eq!(choice.build().verdict(0), Verdict::Down, "{name}");
    }
}

/// A verdict does not depend on when it was asked for before, nor on a clock that seems to go back.
#[test]
fn a_time_before_the_last_heartbeat_is_no_silence() {
    for (name, choice) in subjects() {
        let mut detector = choice.build();
        detector.heard(1_000_000);
        detector.heard(900_000);
        assert_eq!(detector.verdict(800_000), Verdict::Up, "{name}");
    }
}
