//! Exploration as a whole.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::sim::scenario::{DiskFault, Script, Setup, Statement};
use quorate_strategies::NodeId;

fn statements(text: &str) -> Vec<Statement> {
    Script::parse(text).unwrap().statements().cloned().collect()
}

#[test]
fn calm_seeds_keep_all_promises_and_repeat_themselves() {
    let shape = Shape { faults: Faults(Default::default()), ..Shape::default() };
    let first = survey(1..13, &shape, true, |_| {}).unwrap();
    let again = survey(1..13, &shape, true, |_| {}).unwrap();
    assert_eq!(first.broken, []);
    assert!(first.outcomes.done > 500 && first.happenings > 5_000, "{first:?}");
    assert_eq!((first.happenings, first.outcomes), (again.happenings, again.outcomes));
}

#[test]
fn a_drawn_scenario_is_a_script_that_parses_to_itself() {
    for seed in 0..40 {
        let drawn = generate(seed, &Shape::default()).unwrap().statements().unwrap();
        let text: String = drawn.iter().map(|statement| format!("{statement}\n")).collect();
        assert_eq!(statements(&text), drawn, "seed {seed}");
    }
}
