//! The command line as a person or a script meets it: what it prints where, and its exit codes.
#![allow(clippy::unwrap_used)]

mod common;

use common::Cluster;
use std::process::{Command, Output, Stdio};

fn quorate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(arguments).env_remove("QUORATE_CLUSTER").env("COLUMNS", "100");
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = quorate(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A port that nobody listens on, as long as nobody takes it meanwhile.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn list_shows_the_families_and_one_family_alone() {
    let (code, all, said) = run(&["list"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    for line in ["partitioning: Which nodes own a key?", "  vnodes (default)", "  ycsb_a"] {
        assert!(all.lines().any(|found| found == line), "{line} in {all}");
    }
    let (code, one, _) = run(&["list", "detection"]);
    assert_eq!(code, Some(0));
    assert!(one.starts_with("detection: ") && !one.contains("partitioning: "), "{one}");
    let (_, json, _) = run(&["list", "conflict", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["family"], "conflict");
}

#[test]
fn an_unknown_family_is_named_with_the_near_one() {
    let (code, printed, said) = run(&["list", "detections"]);
    assert_eq!((code, printed.as_str()), (Some(2), ""));
    assert_eq!(
        said,
        "quorate: unknown family `detections` (did you mean `detection`?); known: partitioning, \
         conflict, compaction, detection, workloads\n"
    );
}

#[test]
fn a_cluster_that_is_not_there_could_not_be_asked() {
    let address = closed_port();
    for arguments in [&["get", "k"][..], &["put", "k", "v"], &["status"]] {
        let (code, printed, said) = run(&[arguments, &["--cluster", &address]].concat());
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.starts_with(&format!("quorate: no node answers at {address} (")), "{said}");
        assert!(said.contains("refused") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn bad_flags_are_refused_with_what_is_allowed() {
    let (code, _, said) = run(&["get", "k", "--level", "most"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("allowed: strong, eventual, one, two, quorum, all"), "{said}");
    let (code, _, said) = run(&["get", "k", "--cluster", "localhost"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("expected HOST:PORT"), "{said}");
    let (code, _, said) = run(&["put", "k", "--file", "/nowhere/at/all"]);
    assert_eq!(code, Some(2));
    assert!(said.starts_with("quorate: cannot read /nowhere/at/all: "), "{said}");
}

#[test]
fn the_environment_names_the_cluster() {
    let address = closed_port();
    let output = quorate(&["get", "k"]).env("QUORATE_CLUSTER", &address).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains(&address));
}

#[test]
fn a_closed_pipe_is_success() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = quorate(&["list"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty());
}

#[test]
fn a_report_of_a_run_without_trials_is_refused_before_anything_is_written() {
    let kept = std::path::Path::new("results/showcase/quorum");
    let folder = tempfile::tempdir().unwrap();
    for name in ["run.json", "trials.csv", "summary.txt"] {
        std::fs::copy(kept.join(name), folder.path().join(name)).unwrap();
    }
    let before = std::fs::read(kept.join("trials.csv")).unwrap();
    let (code, printed, said) = run(&["report", &folder.path().display().to_string()]);
    assert_eq!((code, printed.as_str()), (Some(2), ""));
    assert!(said.contains("no trial is kept here"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("trials.csv")).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn what_a_cluster_can_never_do_is_bad_input() {
    let cluster = Cluster::start(1, "{replication: {n: 1}, engine: memory}");
    let at = format!("--cluster={}", cluster.grpc(1));
    let long_key = "k".repeat(257);
    let folder = tempfile::tempdir().unwrap();
    let file = |length: usize| {
        let path = folder.path().join(length.to_string());
        std::fs::write(&path, vec![b'x'; length]).unwrap();
        path.display().to_string()
    };
    let (large, huge) = (file((1 << 20) + 1), file(20 << 20));
    for (arguments, expected) in [
        (&["get", &long_key][..], "the key has 257 bytes; allowed: 1 to 256"),
        (&["put", "k", "--file", &large], "the value has 1048577 bytes; allowed: at most 1048576"),
        (&["put", "k", "--file", &huge], "bytes"),
        (&["put", "k", "v", "--level", "2"], "level 2 needs 2 replicas; allowed: 1 to 1"),
        (&["get", "k", "--node", "9"], "n9 is no member of the cluster"),
        (&["status", "--node", "9"], "n9 is no member of the cluster; members: n1"),
    ] {
        let (code, printed, said) = run(&[arguments, &[&at]].concat());
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{:.60?}: {said}", arguments);
        assert!(said.contains(expected), "{:.60?}: {said}", arguments);
    }
    let (code, _, said) = run(&["put", "k", "-5", "--ttl", "1000.5", &at]);
    assert_eq!(code, Some(0), "{said}");
    let (code, printed, said) = run(&["get", "k", &at]);
    assert_eq!((code, printed.as_str()), (Some(0), "-5"), "{said}");
    let (code, _, _) = run(&["get", "absent", &at]);
    assert_eq!(code, Some(1), "nothing found is no bad input");
}

fn simulated(script: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.qs");
    std::fs::write(&path, script).unwrap();
    let (code, printed, said) = run(&["sim", "--script", path.to_str().unwrap()]);
    (code, printed, said.replace(path.to_str().unwrap(), "a.qs"))
}

#[test]
fn a_scenario_is_printed_with_what_it_showed() {
    let (code, printed, said) = simulated("cluster nodes=1 n=1\n\nput n1 a b\n");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let answer = "     0.150 ms  n1 put a b: done (quorum, 1 of 1) after 0.150 ms\n";
    assert_eq!(printed, format!("cluster nodes=1 n=1\n---\nok\n\nput n1 a b\n---\n{answer}"));
}

#[test]
fn a_scenario_that_fails_and_one_that_cannot_be_played_have_codes_of_their_own() {
    let (code, printed, said) = simulated("cluster nodes=1 n=1\nexpect n1 holds a b\n");
    assert_eq!(code, Some(1));
    assert!(printed.ends_with("\nstopped at `expect n1 holds a b`: found nothing\n"), "{printed}");
    assert_eq!(said, "quorate: a.qs: line 2: `expect n1 holds a b`: found nothing\n");
    let (code, _, said) = simulated("cluster nodes=1 n=1\npause n1\nget n1 a &\nsettle 1s\n");
    assert_eq!(code, Some(1));
    assert!(said.contains("did not settle by 1000.000 ms of virtual time; pending:"), "{said}");
    for (script, expected) in [
        ("cluster nodes=1 n=1\ncrsh n1", "line 2, column 1: found `crsh`; did you mean `crash`?"),
        ("cluster nodes=3\npause n4", "line 2, column 7: found `n4`; allowed: a node, n1 to n3"),
        ("cluster nodes=3\nresume n2\nrestart n2", "n2 is running; only a node that was stopped"),
        ("cluster seed=x", "line 1, column 9: `seed=x`: allowed: a number"),
        ("", "no statement"),
    ] {
        let (code, printed, said) = simulated(script);
        assert_eq!(code, Some(2), "{script}: {printed}{said}");
        assert!(said.starts_with("quorate: cannot play a.qs: "), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let (code, _, said) = run(&["sim", "--script", "/nowhere/at/all"]);
    assert_eq!(code, Some(2));
    assert!(said.starts_with("quorate: cannot read /nowhere/at/all: "), "{said}");
    let (code, _, said) = run(&["sim", "--script", "a.qs", "--seed", "many"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("invalid value 'many'"), "{said}");
}

#[test]
fn exploration_tells_what_it_did_and_refuses_what_no_cluster_has() {
    let (code, printed, said) = run(&["sim", "--seeds", "3", "--faults", "none"]);
    assert_eq!(code, Some(0), "{said}");
    for part in ["3 seeds, 0 broke a promise", "simulated", "a second on one core", "unknown"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    for (arguments, expected) in [
        (&["sim", "--seeds", "3", "--nodes", "2"][..], "allowed: 1 to 2"),
        (&["sim", "--seed", "3", "--conflict", "lwww"], "did you mean `lww`"),
    ] {
        let (code, printed, said) = run(arguments);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
