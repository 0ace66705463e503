//! Experiments in virtual time: what is measured can be computed, and equal seeds give equal
//! trials.
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
        let seconds = trial.seconds.iter().filter(|second| second.kind == "all");
        assert_eq!(seconds.map(|second| second.acknowledged).sum::<u64>(), 400);
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
    let found = response.value_at_quantile(0.75);
    assert!((400_000..=600_000).contains(&found), "{found}");
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

const DETECTION: &str = "\
name: x
question: When is a death noticed?
backend: simulation
cluster:
  nodes: 4
  timing: {judge_interval_ms: 20, gossip_interval_ms: 60000}
network: {delay: exponential(20ms)}
load: {mode: none}
phases: {settle_s: 0, warm_up_s: 15, measure_s: 800}
measure: [detection]
faults: [{kill: {node: 1, at_s: 1, every_s: 40, restart_after_s: 25, jitter_s: 1}}]
";

/// Twenty deaths before three observers: within a tenth of what the settings promise.
#[test]
fn detectors_notice_deaths_when_their_closed_form_says() {
    let detectors = "\
matrix:
  strategies.detection:
    - heartbeat: {down_after_ms: 3000}
    - phi_accrual: {threshold: 2, suspect_threshold: 1, window: 10}
    - phi_accrual: {threshold: 8, suspect_threshold: 1, window: 10}
";
    let trials = trials(&format!("{DETECTION}{detectors}"));
    let labels: Vec<_> =
        trials.iter().map(|trial| trial.cell.labels["strategies.detection"].as_str()).collect();
    assert_eq!(labels, ["heartbeat", "phi_accrual threshold 2", "phi_accrual threshold 8"]);
    for (trial, seconds) in trials.iter().zip([2.52, 4.125, 17.94]) {
        let measure = trial.measures.iter().find(|it| it.name == "detection_time_s").unwrap();
        let expected = measure.expected.as_ref().unwrap().value;
        assert!((expected - seconds).abs() < 0.005, "{expected} for {seconds}");
        let gap = measure.value / expected - 1.0;
        assert!(gap.abs() < 0.1, "{} for {expected}", measure.value);
        assert_eq!(measure.samples, 20 * 3);
        let spread = measure.spread.unwrap();
        assert!(spread.p75 - spread.p25 > 0.4, "deaths come at any moment: {spread:?}");
        assert_eq!(trial.faults.len(), 20);
    }
}

#[test]
fn lost_heartbeats_make_a_short_timeout_err() {
    let text = DETECTION.replace("20ms)", "20ms), loss: 0.1")
        + "matrix:\n  strategies.detection:\n    \
           - heartbeat: {down_after_ms: 1500, suspect_after_ms: 1000}\n";
    let trial = &trials(&text)[0];
    // One heartbeat in ten is lost, so every peer is mistaken for dead 360 times in an hour.
    let found = measure(trial, "mistakes_per_peer_hour");
    assert!((300.0..420.0).contains(&found), "{found}");
    // From 0.5 s before the next heartbeat that arrives; a tenth of those are lost, too.
    let lasted = measure(trial, "mistake_duration_s");
    assert!((0.5..0.75).contains(&lasted), "{lasted}");
}

#[test]
fn news_reaches_everybody_in_a_few_rounds() {
    let text = "\
name: x
question: How far does news travel?
backend: simulation
load: {mode: none}
phases: {settle_s: 0, warm_up_s: 12, measure_s: 60}
measure: [gossip]
matrix: {nodes: [3, 30]}
faults: [{kill: {node: 1, at_s: 1, every_s: 15, restart_after_s: 1}}]
";
    let trials = trials(text);
    let rounds: Vec<f64> =
        trials.iter().map(|trial| measure(trial, "rounds_to_inform_all")).collect();
    assert!((0.1..4.0).contains(&rounds[0]), "{rounds:?}");
    assert!((1.5..9.0).contains(&rounds[1]) && rounds[1] > rounds[0], "{rounds:?}");
    let bytes: Vec<f64> =
        trials.iter().map(|trial| measure(trial, "gossip_bytes_per_node_s")).collect();
    // Everybody tells of everybody: so much more for so many more.
    assert!((4.0..12.0).contains(&(bytes[1] / bytes[0])), "{bytes:?}");
}
