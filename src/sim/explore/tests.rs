//! Exploration as a whole.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::sim::scenario::{Script, Statement};

fn statements(text: &str) -> Vec<Statement> {
    Script::parse(text).unwrap().statements().cloned().collect()
}

fn calm() -> Shape {
    Shape { faults: Faults(Default::default()), ..Shape::default() }
}

#[test]
fn calm_seeds_keep_all_promises_and_repeat_themselves() {
    let first = survey(1..13, &calm(), true, |_| {}).unwrap();
    let again = survey(1..13, &calm(), true, |_| {}).unwrap();
    assert_eq!(first.broken, []);
    assert!(first.outcomes.done > 500 && first.happenings > 5_000, "{first:?}");
    assert_eq!((first.happenings, first.outcomes), (again.happenings, again.outcomes));
}

#[test]
fn disturbed_seeds_keep_all_promises() {
    let faults = "partition,cut,slow,loss,reorder,empty,rot".parse().unwrap();
    let survey = survey(1..25, &Shape { faults, ..Shape::default() }, true, |_| {}).unwrap();
    assert_eq!(survey.broken, []);
    assert!(survey.packets_lost > 100 && survey.faults.len() > 3, "{survey:?}");
}

#[test]
fn a_drawn_scenario_is_a_script_that_parses_to_itself() {
    for seed in 0..40 {
        let drawn = generate(seed, &Shape::default()).unwrap().statements().unwrap();
        let text: String = drawn.iter().map(|statement| format!("{statement}\n")).collect();
        assert_eq!(statements(&text), drawn, "seed {seed}");
    }
}

/// Two writers of one value break the rule by which exploration knows writes: the second one is
/// taken for the author of what the first one wrote, and is said to be not done.
const TWINS: &str = "
cluster nodes=5 seed=3 hedge=10ms delay=constant(1ms)
tick 312ms
put n4 k2 v9 &
crash n5
put n1 k1 v1 as=a &
tick 31ms
pause n2
put n5 k1 v1 context=\"a?\" &
get n3 k1 as=b &
restart n5
put n3 k2 v10 level=all &
tick 45ms
resume n2
get n4 k1 &
";

#[test]
fn a_violation_shrinks_to_what_it_needs() {
    let mut all = statements(TWINS);
    let Statement::Cluster(setup) = all.remove(0) else { panic!("the first is the cluster") };
    let plan = Plan { setup, body: all };
    let whole = play(&plan.statements().unwrap()).unwrap();
    assert_eq!(whole.broken.unwrap().violation.promise, Promise::Honest);

    let shrunk = shrink(&plan, Promise::Honest, 1_000).unwrap();
    let text: Vec<String> = shrunk.statements.iter().map(|it| it.to_string()).collect();
    let asks = text.iter().filter(|line| line.starts_with("put") || line.starts_with("get"));
    assert_eq!(asks.count(), 3, "{text:#?}");
    assert!(text.len() <= 6 && !text.iter().any(|line| line.contains("k2")), "{text:#?}");
    assert_eq!(play(&shrunk.statements).unwrap().broken, Some(shrunk.broken));
    assert!(shrink(&plan, Promise::Bounds, 1_000).is_none(), "another promise is not broken");
}

#[test]
fn the_same_violation_is_found_by_the_player_of_scripts() {
    let script = Script::parse(TWINS).unwrap();
    let Some(Statement::Cluster(setup)) = script.statements().next() else { panic!("no cluster") };
    let watch = Invariants::new(&setup.config().unwrap());
    let mut player = crate::sim::scenario::Player::new(watch, crate::sim::Log::Off);
    let halted = script.play(&mut player, |_| {}).unwrap_err();
    assert!(halted.to_string().contains("honest: "), "{halted}");
}

#[test]
fn a_scenario_that_asks_the_impossible_is_no_violation() {
    let impossible = statements("cluster nodes=3\nrestart n1\n");
    assert!(play(&impossible).is_err());
    assert!(play(&[]).is_err());
}
