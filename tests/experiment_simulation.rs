//! Experiments in virtual time: what they promise can be computed, and equal seeds give equal files.
#![allow(clippy::unwrap_used)]

use quorate::experiment::interrupt::Interrupt;
use quorate::experiment::matrix::{Plan, plan};
use quorate::experiment::parse::Source;
use quorate::experiment::simulation::{self, Bench};
use quorate::report::trial::{OperationResult, Trial};

fn planned(text: &str) -> Plan {
    let source = Source { file: "x.yaml".to_string(), text: text.to_string() };
    plan(&source, source.parse(&[]).unwrap(), &[]).unwrap()
}

/// All trials of an experiment.
fn trials(text: &str) -> Vec<Trial> {
    let plan = planned(text);
    let interrupt = Interrupt::default();
    let named: Vec<_> =
        plan.trials.iter().enumerate().map(|(at, one)| (format!("{:03}", at + 1), one)).collect();
    let mut trials = Vec::new();
    let keep = |place: usize, trial| {
        assert_eq!(place, trials.len(), "in the order of the plan");
        trials.push(trial);
        Ok(())
    };
    assert!(simulation::run(&Bench::new(&plan.spec, &interrupt), &named, keep).unwrap());
    assert_eq!(trials.len(), plan.trials.len());
    trials
}

fn operation<'a>(trial: &'a Trial, kind: &str) -> &'a OperationResult {
    trial.operations.iter().find(|operation| operation.kind == kind).unwrap()
}

fn measure(trial: &Trial, name: &str) -> f64 {
    trial.measures.iter().find(|measure| measure.name == name).unwrap().value
}

const QUORUM: &str = "\
name: x
question: What does a quorum cost where every delay is known?
backend: simulation
cluster: {nodes: 3}
network: {delay: constant(3ms)}
disk: {commit: constant(1ms)}
workload: {base: a, field_count: 1, field_length: 100}
records: 100
load: {mode: open, rate: 200}
phases: {settle_s: 0, warm_up_s: 0.5, measure_s: 2}
matrix: {quorum: [[1, 1], [2, 2], [3, 3]]}
";

/// The client is 50 µs away, a peer 3 ms, and a commit takes 1 ms. Every node has every key.
#[test]
fn constant_delays_give_the_latencies_that_are_their_sums() {
    let trials = trials(QUORUM);
    let expected = [(100, 1_100), (6_100, 7_100), (6_100, 7_100)];
    for (trial, (read_us, write_us)) in trials.iter().zip(expected) {
        for (kind, us) in [("read", read_us), ("update", write_us)] {
            let operation = operation(trial, kind);
            let response = &operation.response;
            let near = |found: u64| response.equivalent(found, us);
            assert!(near(response.min()) && near(response.max()), "{kind} {:?}", trial.cell);
            assert_eq!(response, &operation.service);
            assert!(operation.outcomes.invalid == 0 && operation.errors.is_empty());
        }
        let acknowledged: u64 = trial.operations.iter().map(|o| o.outcomes.acknowledged).sum();
        assert_eq!((acknowledged, trial.schedule.unsent, trial.saturated), (400, 0, false));
        assert_eq!(trial.seconds.iter().filter(|second| second.kind == "all").count(), 2);
        assert_eq!(trial.by_node.len(), 3, "replicas take turns");
    }
}

/// With W=1 a read asks one replica and a write tells two others: 2 messages each way.
#[test]
fn messages_are_those_of_the_protocol() {
    let text = QUORUM.replace("[[1, 1], [2, 2], [3, 3]]", "[[1, 1]]") + "measure: [messages]\n";
    let trial = &trials(&text)[0];
    let writes = operation(trial, "update").outcomes.acknowledged as f64;
    let expected = 4.0 * writes / 400.0;
    let found = measure(trial, "request_messages_per_operation");
    assert!((found - expected).abs() < 0.02, "{found} for {expected}");
    assert!(measure(trial, "messages_per_operation") > found);
    assert!(measure(trial, "bytes_per_operation") > 100.0 * found / 2.0);
}

#[test]
fn a_closed_loop_asks_as_fast_as_answers_travel() {
    let closed = QUORUM.replace("{mode: open, rate: 200}", "{mode: closed, outstanding: 4}");
    let trial = &trials(&closed.replace("[[1, 1], [2, 2], [3, 3]]", "[[2, 1]]"))[0];
    // Reads take 6.1 ms and writes 1.1 ms, half of each: 3.6 ms on average.
    let acknowledged: u64 = trial.operations.iter().map(|o| o.outcomes.acknowledged).sum();
    let expected = 4.0 * 2.0 / 3.6e-3;
    assert!((acknowledged as f64 / expected - 1.0).abs() < 0.1, "{acknowledged} for {expected}");
}

#[test]
fn an_open_loop_sees_what_a_pause_costs() {
    let text = QUORUM.replace("nodes: 3", "nodes: 1, replication: {n: 1}")
        + "faults: [{pause: {node: 1, first_at_s: 0.5, every_s: 5, for_s: 1}}]\n";
    let trial = &trials(&text.replace("[[1, 1], [2, 2], [3, 3]]", "[[1, 1]]"))[0];
    // Half of all requests arrive in the pause and wait for 0.5 s on average.
    let response = &operation(trial, "read").response;
    assert!((450_000..=550_000).contains(&response.value_at_quantile(0.75)));
    assert!((990_000..=1_010_000).contains(&response.max()));
    let window = &trial.faults[0];
    assert_eq!((window.what.as_str(), window.from_s, window.to_s), ("pause", 0.5, 1.5));
}

#[test]
fn equal_seeds_give_equal_trials_and_others_others() {
    let text = QUORUM.replace("constant(3ms)", "exponential(3ms), loss: 0.01")
        + "faults: [{kill: {node: 2, at_s: 1}}]\n";
    let all = |text: &str| -> Vec<String> {
        trials(text).iter().map(|trial| serde_json::to_string_pretty(trial).unwrap()).collect()
    };
    let first = all(&text);
    assert_eq!(first, all(&text));
    assert_ne!(first, all(&format!("{text}seed: 2\n")));
}
