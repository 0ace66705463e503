//! Every bad experiment is one message with place and what is allowed; every good one is a plan.
#![allow(clippy::unwrap_used)]

use quorate::experiment::error::SpecError;
use quorate::experiment::matrix::{Plan, plan};
use quorate::experiment::parse::Source;
use quorate::experiment::run::expected;
use quorate::report::trial::Mode;
use quorate_workloads::Workload;
use std::fs;
use std::path::Path;

const GOOD: &str = "\
name: x
question: Does it work?
cluster: {nodes: 3}
workload: a
load: {mode: open, rate: 100}
";

fn planned(text: &str, settings: &[&str], only: &[&str]) -> Result<Plan, SpecError> {
    let source = Source { file: "x.yaml".to_string(), text: text.to_string() };
    let owned = |all: &[&str]| all.iter().map(|one| one.to_string()).collect::<Vec<_>>();
    plan(&source, source.parse(&owned(settings))?, &owned(only))
}

fn refused(text: &str) -> String {
    planned(text, &[], &[]).unwrap_err().to_string()
}

/// The good experiment with some lines in the place of those with the same first word.
fn with(lines: &str) -> String {
    let key = |line: &str| line.split(':').next().unwrap().to_string();
    let new: Vec<String> = lines.lines().map(key).collect();
    let kept: String =
        GOOD.lines().filter(|line| !new.contains(&key(line))).map(|l| format!("{l}\n")).collect();
    kept + lines + "\n"
}

/// Each bad part of an experiment, and what its message must contain.
fn check(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let message = refused(&with(lines));
        assert!(message.starts_with("x.yaml:"), "{lines}\n{message}");
        assert!(message.contains(expected), "{lines}\nexpected {expected}\nfound    {message}");
    }
}

#[test]
fn unknown_names_suggest_the_near_one() {
    check(&[
        ("quesion: y", "x.yaml:6: unknown field `quesion`, did you mean `question`?"),
        ("cluster: {nods: 3}", "unknown field `nods`, did you mean `nodes`?"),
        ("cluster: {replication: {m: 3}}", "unknown field `m`"),
        ("cluster: {strategies: {conflict: lwww}}", "did you mean `lww`?"),
        (
            "cluster: {strategies: {detection: {phi_accrual: {treshold: 8}}}}",
            "did you mean `threshold`?",
        ),
        ("load: {mode: opne, rate: 1}", "unknown value `opne`, did you mean `open`?"),
        ("backend: simulator", "unknown value `simulator`, did you mean `simulation`?"),
        ("faults: [{partition: {node: 1}}]", "unknown value `partition`; allowed: pause, kill"),
        (
            "matrix: {quorm: [[1, 1]]}",
            "x.yaml:6: matrix.quorm: unknown axis `quorm`, did you mean `quorum`?",
        ),
        ("matrix: {strategies.conflct: [lww]}", "did you mean `conflict`?"),
        ("matrix: {strategies.conflict: [lww, vectorclock]}", "did you mean `vector_clock`?"),
    ]);
}

#[test]
fn values_out_of_range_are_named_with_their_line() {
    check(&[
        ("name: A b", "name: found \"A b\"; allowed: 1 to 64 lower-case letters"),
        ("records: 0", "x.yaml:6: records: found 0; allowed: 1 to"),
        ("repeats: 0", "repeats: found 0; allowed: 1 to 1,000"),
        ("phases: {measure_s: 0}", "phases.measure_s: found 0; allowed: 0.1 to"),
        ("phases: {warm_up_s: -1}", "phases.warm_up_s: found -1; allowed:"),
        ("phases: {warm_up_s: .nan}", "phases.warm_up_s: found NaN; allowed:"),
        ("cluster: {nodes: two}", "x.yaml:5: cluster.nodes: found `two`; allowed: a whole number"),
        ("load: {mode: open, rate: .nan}", "load.rate: found NaN; allowed: operations per second"),
        ("matrix: {rate: [~]}", "matrix.rate: a value is empty"),
        ("cluster: {nodes: 0}", "cluster.nodes: found 0; allowed: 1 to 64"),
        (
            "cluster: {nodes: 2}",
            "cluster.replication.n: found 3; allowed: at most the number of nodes, 2",
        ),
        (
            "cluster: {replication: {r: 4}}",
            "cluster.replication.r: found R = 4; allowed: 1 to N, which is 3",
        ),
        ("cluster: {timing: {hedge_ms: 0}}", "cluster.timing.hedge_ms: found 0; allowed: 1 to"),
        ("cluster: {replication: {w: 0}}", "unknown consistency level `0`; allowed:"),
    ]);
}

#[test]
fn quorums_and_loads_that_do_not_fit_are_refused() {
    check(&[
        (
            "matrix: {quorum: [[1, 1], [2, 4]]}",
            "x.yaml:6: matrix.quorum: found W = 4; allowed: 1 to N",
        ),
        ("matrix: {quorum: [[1]]}", "matrix.quorum: [1] is no quorum; allowed: [r, w]"),
        ("matrix: {quorum: []}", "matrix.quorum: the list is empty"),
        ("matrix: {quorum: [[1, most]]}", "unknown consistency level `most`; allowed: strong"),
        ("load: {mode: open}", "load.rate: missing; an open loop needs a rate"),
        (
            "load: {mode: open, rate: 0}",
            "load.rate: found 0; allowed: operations per second above 0",
        ),
        (
            "load: {mode: open, rate: fast}",
            "x.yaml:5: load.rate: found `fast`; allowed: a number\n  \
             5 | load: {mode: open, rate: fast}\n    |                          ^",
        ),
        ("load: {mode: closed}", "load.outstanding: missing; a closed loop needs"),
        ("load: {mode: closed, outstanding: 0}", "load.outstanding: found 0; allowed: 1 to"),
        ("matrix: {rate: [100, -5]}", "matrix.rate: found -5; allowed:"),
        (
            "matrix: {rate: [100, 100]}",
            "x.yaml:6: matrix: two trials are both ycsb_a R=2 W=2, open loop",
        ),
    ]);
}

#[test]
fn targets_are_checked() {
    check(&[
        ("targets: [{kind: read, percentile: p99, below_ms: 1}]", "a number from 0 to 100"),
        (
            "targets: [{kind: read, percentile: 101, below_ms: 1}]",
            "percentile: found 101; allowed: a number from 0 to 100",
        ),
        ("targets: [{kind: read, percentile: .nan, below_ms: 1}]", "allowed: a finite number"),
        (
            "targets: [{kind: raed, percentile: 1, below_ms: 1}]",
            "unknown kind `raed`, did you mean `read`?",
        ),
        ("targets: [{kind: read, percentile: 50, below_ms: 0}]", "below_ms: found 0; allowed:"),
    ]);
}

#[test]
fn workloads_are_checked() {
    check(&[
        ("workload: e", "x.yaml:5: workload: ycsb_e has scans; allowed: workloads without scans"),
        ("workload: g", "workload: unknown workload `g`"),
        ("workload: missing/w.yaml", "workload file missing/w.yaml: "),
        ("workload: {base: a, feild_count: 1}", "did you mean `field_count`?"),
        ("workload: {base: a, field_count: x}", "field_count: found"),
        ("workload: [a]", "workload: no workload; allowed: a name, a path, or a map of fields"),
        ("workload: {base: a, proportions: {read: 2}}", "`proportions.read` is 2; allowed:"),
        (
            "cluster: {limits: {value_bytes: 10}}",
            "workload: found 1000 bytes a record; allowed: records of at most",
        ),
    ]);
}

#[test]
fn faults_are_checked() {
    check(&[
        (
            "faults: [{pause: {node: 4, every_s: 2, for_s: 1}}]",
            "faults[0].pause.node: found 4; allowed: 1 to the number of nodes, 3",
        ),
        (
            "faults: [{pause: {node: 1, every_s: 1, for_s: 1}}]",
            "faults[0].pause.every_s: found 1; allowed: more seconds",
        ),
        (
            "faults: [{kill: {node: 1, at_s: 99}}]",
            "faults[0].kill.at_s: found 99; allowed: a time within",
        ),
        ("faults: [{kill: {node: 1}}]", "missing field `at_s`"),
        (
            "faults: [{kill: {node: 1, at_s: 1, jitter_s: -1}}]",
            "faults[0].kill.jitter_s: found -1; allowed: a number of seconds from 0",
        ),
        (
            "faults: [{kill: {node: 1, at_s: 1, restart_after_s: 0}}]",
            "faults[0].kill.restart_after_s: found 0; allowed: a number of seconds above 0",
        ),
        (
            "faults: [{kill: {node: 1, at_s: 1, every_s: 2}}]",
            "faults[0].kill.every_s: a node is killed again only when it was started again",
        ),
        (
            "faults: [{kill: {node: 1, at_s: 1, restart_after_s: 2, every_s: 2}}]",
            "faults[0].kill.every_s: found 2; allowed: more seconds than the node stays dead, 2",
        ),
    ]);
}

#[test]
fn measures_are_checked_against_what_they_need() {
    check(&[
        (
            "measure: [stalenes]",
            "unknown value `stalenes`, did you mean `staleness`? allowed: messages, staleness",
        ),
        ("measure: [messages, messages]", "x.yaml:6: measure[1]: stands twice"),
        ("measure: [detection]", "measure[0]: nobody dies whom the others could notice"),
        (
            "matrix: {engine: [lsm, {btree: {cache_mib: 8}}]}\nmeasure: [storage]",
            "measure[0]: the engine `btree` has no tables; allowed: with `lsm`",
        ),
        (
            "workload: {base: a, field_count: 1, field_length: 20}\nmeasure: [staleness]",
            "measure[0]: values of 20 bytes cannot name their writer; allowed: records of",
        ),
    ]);
    let kill = "faults: [{kill: {node: 1, at_s: 1}}]\nmeasure: [messages, staleness, detection]";
    let plan = planned(&with(kill), &["matrix.quorum=[[1, 1], [2, 2]]"], &[]).unwrap();
    assert_eq!((plan.trials.len(), plan.spec.measure.len()), (2, 3));
    let text = serde_yaml::to_string(&plan.spec).unwrap();
    assert_eq!(planned(&text, &[], &[]).unwrap().spec, plan.spec, "a resolved one is the same");
}

#[test]
fn a_compaction_strategy_needs_tables() {
    let none = "has no tables to compact; allowed: with `lsm`";
    let found = |engine: &str| format!("found `unified`, but the engine `{engine}` {none}");
    check(&[
        (
            "cluster: {engine: btree, strategies: {compaction: unified}}",
            &format!("x.yaml:5: cluster.strategies.compaction: {}", found("btree")),
        ),
        (
            "cluster: {engine: btree, strategies: {compaction: {leveled: {level_ratio: 8}}}}",
            "cluster.strategies.compaction: found `leveled`, but the engine `btree`",
        ),
        (
            "matrix: {engine: [lsm, hash], strategies.compaction: [leveled, unified]}",
            &format!("x.yaml:6: matrix.strategies.compaction: {}", found("hash")),
        ),
        (
            "cluster: {engine: memory}\nmatrix: {strategies: [{compaction: unified}]}",
            &format!("x.yaml:6: matrix.strategies: {}", found("memory")),
        ),
    ]);
    // Beside an axis of engines it is for those that have tables.
    let beside = "cluster: {strategies: {compaction: unified}}\nmatrix: {engine: [lsm, btree]}";
    assert_eq!(planned(&with(beside), &[], &[]).unwrap().trials.len(), 2);
}

#[test]
fn text_that_is_no_experiment_is_refused_with_its_line() {
    for (text, expected) in [
        ("", "x.yaml"),
        ("name: [", "x.yaml:"),
        ("question: y", "missing field `name`"),
        ("name: x\nname: y\nquestion: z", "x.yaml:2: `name` stands twice in one map\n"),
        ("- name: x", "x.yaml:1: "),
    ] {
        let message = refused(text);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    let missing = Source::read(Path::new("no/such.yaml")).unwrap_err().to_string();
    assert!(missing.starts_with("no/such.yaml: cannot read the experiment: "), "{missing}");
}

#[test]
fn bad_settings_and_filters_name_themselves() {
    for (setting, expected) in [
        ("load.rate", "--set load.rate: a setting is path=value"),
        ("load.rte=1", "--set load.rte=1: unknown field `rte`, did you mean `rate`?"),
        ("load.rate=[", "--set load.rate=[: "),
        ("load.rate=.nan", "--set load.rate=.nan: found `.nan`; allowed: a finite number"),
        ("name=", "--set name=: the value is empty"),
        ("cluster=", "--set cluster=: the value is empty"),
        ("cluster.nodes=two", "--set cluster.nodes=two: found `two`; allowed: a whole number"),
        ("matrix.quorum=2", "axis `quorum` is 2; allowed: a list of values"),
        (
            "cluster.engine.lsm.sync=sometimes",
            "unknown value `sometimes`; allowed: always, interval, never",
        ),
    ] {
        let message = planned(GOOD, &[setting], &[]).unwrap_err().to_string();
        assert!(message.contains(expected), "{setting}: {message}");
    }
    for (filter, expected) in [
        ("workload", "a filter is name=value"),
        ("worklod=a", "unknown name `worklod`, did you mean `workload`?"),
        ("workload=b", "no trial has it; there are: ycsb_a"),
    ] {
        let message = planned(GOOD, &[], &[filter]).unwrap_err().to_string();
        assert!(message.contains(expected), "{filter}: {message}");
    }
}

#[test]
fn the_matrix_is_a_product_whose_last_axis_varies_fastest() {
    let matrix = "matrix:\n  quorum: [[1, 1], {r: 2, w: quorum}]\n  rate: [100, 200]\nrepeats: 2";
    let plan = planned(&with(matrix), &[], &[]).unwrap();
    let seen: Vec<(u32, u32, u32, f64)> = plan
        .trials
        .iter()
        .map(|planned| match planned.cell.mode {
            Mode::Open { rate } => (planned.cell.repeat, planned.cell.r, planned.cell.w, rate),
            Mode::Closed { .. } | Mode::Idle => panic!("the load is open"),
        })
        .collect();
    let round = |n| [(n, 1, 1, 100.0), (n, 1, 1, 200.0), (n, 2, 2, 100.0), (n, 2, 2, 200.0)];
    assert_eq!(seen, [round(1), round(2)].concat());
    let seeds: std::collections::BTreeSet<u64> = plan.trials.iter().map(|t| t.seed).collect();
    assert_eq!(seeds.len(), 8, "each trial draws its own operations");
    assert!(plan.trials.windows(2).all(|pair| pair[0].shares_cluster(&pair[1])));
}

#[test]
fn cells_with_other_nodes_get_a_cluster_of_their_own_and_stay_together() {
    let matrix =
        "matrix:\n  workload: [a, b]\n  strategies.conflict: [lww, vector_clock]\norder: shuffled";
    let plan = planned(&with(matrix), &[], &[]).unwrap();
    let seen: Vec<&str> =
        plan.trials.iter().map(|t| t.cell.labels["strategies.conflict"].as_str()).collect();
    assert!(
        seen == ["lww", "lww", "vector_clock", "vector_clock"]
            || seen == ["vector_clock", "vector_clock", "lww", "lww"],
        "{seen:?}"
    );
    let shares: Vec<bool> =
        plan.trials.windows(2).map(|pair| pair[0].shares_cluster(&pair[1])).collect();
    assert_eq!(shares, [true, false, true]);
}

#[test]
fn a_shuffle_follows_the_seed() {
    let matrix = "matrix:\n  rate: [1, 2, 3, 4, 5, 6, 7, 8]\norder: shuffled";
    let order = |seed: &str| -> Vec<String> {
        let plan = planned(&with(matrix), &[seed], &[]).unwrap();
        plan.trials.iter().map(|planned| format!("{:?}", planned.cell.mode)).collect()
    };
    assert_eq!(order("seed=1"), order("seed=1"));
    assert_ne!(order("seed=1"), order("seed=2"));
}

#[test]
fn settings_and_filters_choose() {
    let matrix = "matrix:\n  workload: [a, b]\n  quorum: [[1, 1], [2, 2]]";
    let text = with(matrix);
    let plan = planned(&text, &["cluster.nodes=5", "phases.measure_s=1"], &["workload=b"]).unwrap();
    assert_eq!(plan.trials.len(), 2);
    assert!(plan.trials.iter().all(|t| t.cell.workload == "ycsb_b" && t.cluster.nodes == 5));
    let plan = planned(&text, &[], &["R=1"]).unwrap();
    assert_eq!(plan.trials.len(), 2);
    let plan = planned(&text, &["matrix.quorum=[[3, 1]]"], &["quorum=3,1", "mode=open"]).unwrap();
    assert_eq!(plan.trials.len(), 2);
    assert_eq!(plan.spec.matrix.0[0].0, "workload", "axes keep the order of the file");
}

#[test]
fn a_resolved_specification_plans_the_same_trials() {
    let plan =
        planned(&with("matrix:\n  quorum: [[1, 1], [2, 2]]\n  rate: [5, 6]"), &[], &[]).unwrap();
    let resolved = serde_yaml::to_string(&plan.spec).unwrap();
    let again = planned(&resolved, &[], &[]).unwrap();
    assert_eq!(plan.spec, again.spec);
    let cells = |plan: &Plan| plan.trials.iter().map(|t| t.cell.clone()).collect::<Vec<_>>();
    assert_eq!(cells(&plan), cells(&again));
}

/// What a run writes down plans the same trials in any folder, without its workload's file.
#[test]
fn a_written_specification_needs_no_file_and_no_filter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.yaml").display().to_string();
    fs::write(folder.path().join("mine.yaml"), "base: b\nname: mine\nfield_count: 3\n").unwrap();
    let trials = |plan: &Plan| -> Vec<_> {
        plan.trials.iter().map(|t| (t.cell.clone(), t.workload.clone(), t.seed)).collect()
    };
    for lines in [
        "workload: mine.yaml\nmatrix: {quorum: [[1, 1], [2, 2]]}",
        "matrix: {workload: [c, mine.yaml], quorum: [[1, 1], [2, 2]]}\norder: shuffled",
    ] {
        let source = Source { file: file.clone(), text: with(lines) };
        let only = ["workload=mine".to_string(), "quorum=2,2".to_string()];
        let first = plan(&source, source.parse(&[]).unwrap(), &only).unwrap();
        assert_eq!((first.trials.len(), first.trials[0].workload.field_count), (1, 3));
        let again = planned(&serde_yaml::to_string(&first.spec).unwrap(), &[], &[]).unwrap();
        assert_eq!(trials(&first), trials(&again), "{lines}");
        assert_eq!(first.spec, again.spec);
    }
}

#[test]
fn a_path_is_relative_to_the_file_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.yaml"), "field_count: 7").unwrap();
    let found = Workload::load_from(folder.path(), "mine.yaml").unwrap();
    assert_eq!((found.name.as_str(), found.field_count), ("mine", 7));
    let here = Workload::load_from(folder.path(), "workloads/ycsb/b.yaml").unwrap();
    assert_eq!(here, Workload::named("b").unwrap(), "tests run in the root");
    assert_eq!(Workload::load_from(folder.path(), "a").unwrap().name, "ycsb_a");
    let error = Workload::load_from(folder.path(), "no/such.yaml").unwrap_err().to_string();
    let beside = folder.path().join("no/such.yaml");
    assert!(error.contains(&format!("neither {} (beside", beside.display())), "{error}");
    assert!(error.contains("nor no/such.yaml (in the current folder)"), "{error}");
}

#[test]
fn a_filter_of_the_file_is_named_when_nothing_agrees() {
    let message = refused(&with("only: [workload=b]"));
    assert!(message.starts_with("only: workload=b: x.yaml: no trial has it"), "{message}");
}

#[test]
fn what_only_a_simulation_has_is_refused_without_one() {
    check(&[
        (
            "network: {loss: 0.1}",
            "x.yaml:6: network: real processes have the network and the disks of their machine; \
             allowed: with `backend: simulation`",
        ),
        ("disk: {commit: constant(1ms)}", "x.yaml:6: disk: real processes have"),
        ("matrix: {network.loss: [0, 0.1]}", "x.yaml:6: matrix.network.loss: real processes have"),
        ("cluster: {nodes: 65}", "found 65; allowed: 1 to 64; `backend: simulation` takes more"),
        (
            "measure: [gossip]\nfaults: [{kill: {node: 1, at_s: 1, restart_after_s: 1}}]",
            "measure[0]: real nodes do not tell what they heard and when; allowed: with `backend:",
        ),
    ]);
    let plan = planned(&with("backend: simulation\nnetwork: {loss: 0.1}"), &[], &[]).unwrap();
    assert_eq!(plan.trials[0].network.loss, 0.1);
}

#[test]
fn simulated_worlds_are_checked() {
    let check_simulated = |cases: &[(&str, &str)]| {
        for (lines, expected) in cases {
            check(&[(&format!("backend: simulation\n{lines}"), expected)]);
        }
    };
    check_simulated(&[
        ("network: {loss: 2}", "network.loss: found 2; allowed: a probability: 0 to 1"),
        ("network: {duplicate: -1}", "network.duplicate: found -1; allowed: a probability"),
        ("network: {delay: fast}", "`fast` is no delay; allowed: constant(0.2ms), uniform("),
        ("network: {lose: 1}", "unknown field `lose`, did you mean `loss`?"),
        ("network: {bytes_per_s: 0}", "network.bytes_per_s: found 0; allowed: 1 and more"),
        ("disk: {comit: constant(1ms)}", "unknown field `comit`, did you mean `commit`?"),
        ("cluster: {nodes: 1001}", "cluster.nodes: found 1001; allowed: 1 to 1000"),
        ("matrix: {network.loss: [0, 1.5]}", "matrix.network.loss: found 1.5; allowed:"),
        ("matrix: {nodes: [3, 2000]}", "matrix.nodes: found 2000; allowed: 1 to 1000"),
        ("matrix: {backend: [simulation, real]}", "unknown value `real`; allowed: processes, sim"),
        ("measure: [gossip]", "measure[0]: there is no news to tell; allowed: with a `kill`"),
        (
            "faults: [{kill: {node: 1, at_s: 1, every_s: 5, restart_after_s: 4, jitter_s: 2}}]",
            "every_s: found 5; allowed: more seconds than 2 of jitter and 4 of death",
        ),
        (
            "faults: [{kill: {node: 1, at_s: 1, every_s: 5, restart_after_s: 4, jitter_s: -1}}]",
            "jitter_s: found -1; allowed: a number of seconds from 0",
        ),
    ]);
}

#[test]
fn one_question_can_be_put_to_both_backends() {
    let text = with("matrix: {backend: [processes, simulation]}\nnetwork: {loss: 0}");
    let plan = planned(&text, &[], &[]).unwrap();
    let backends: Vec<&str> =
        plan.trials.iter().map(|one| one.cell.labels["backend"].as_str()).collect();
    assert_eq!(backends, ["processes", "simulation"]);
    let simulated = planned(&text, &[], &["backend=simulation"]).unwrap();
    assert_eq!(simulated.trials.len(), 1);
}

#[test]
fn labels_tell_strategies_apart_by_the_settings_that_differ() {
    let text = with(
        "matrix: {strategies.detection: [heartbeat, {phi_accrual: {window: 9, threshold: 4}}, \
         {phi_accrual: {window: 9, threshold: 8}}]}",
    );
    let plan = planned(&text, &[], &[]).unwrap();
    let labels: Vec<&str> =
        plan.trials.iter().map(|one| one.cell.labels["strategies.detection"].as_str()).collect();
    assert_eq!(labels, ["heartbeat", "phi_accrual threshold 4", "phi_accrual threshold 8"]);
}

#[test]
fn a_label_shows_a_letter_and_a_list_as_they_were_written() {
    let text = with(
        "matrix: {strategies.compaction: [{unified: {scaling: N}}, {unified: {scaling: [T8, N]}}]}",
    );
    let plan = planned(&text, &[], &[]).unwrap();
    let labels: Vec<&str> =
        plan.trials.iter().map(|one| one.cell.labels["strategies.compaction"].as_str()).collect();
    assert_eq!(labels, ["unified scaling N", "unified scaling [T8,N]"]);
    let text = serde_yaml::to_string(&plan.spec).unwrap();
    assert_eq!(planned(&text, &[], &[]).unwrap().spec, plan.spec, "a resolved one is the same");
    check(&[("cluster: {engine: {lsm: {monkey: yes}}}", "found `yes`; allowed: true or false")]);
}

#[test]
fn a_load_of_none_needs_neither_rate_nor_number() {
    let plan = planned(&with("load: {mode: none}"), &[], &[]).unwrap();
    assert_eq!(plan.trials[0].cell.mode, Mode::Idle);
}

#[test]
fn every_experiment_of_the_repository_is_valid_and_says_what_it_asks() {
    let mut seen = 0;
    for entry in fs::read_dir("experiments").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let source = Source::read(&path).unwrap();
        let plan = plan(&source, source.parse(&[]).unwrap(), &[])
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(source.text.starts_with("# Question: "), "{}", path.display());
        assert!(source.text.contains("\n# Expected: "), "{}", path.display());
        assert_eq!(Some(plan.spec.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
        let limit_s = match plan.spec.name.as_str() {
            "smoke" => 60,
            // Merges of everything are few: see the head of the file.
            "compaction" => 480,
            _ => 280,
        };
        assert!(expected(&plan).as_secs() < limit_s, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 4);
}
