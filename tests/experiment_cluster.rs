//! Experiments on real processes: what they leave behind, and that they leave nothing else behind.
#![allow(clippy::unwrap_used)]

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_quorate");
/// Nothing here takes that long unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

const SHORT: &str = "\
name: short
question: Does it run?
cluster: {nodes: 3, engine: memory}
workload: {base: f, field_count: 1, field_length: 100}
records: 200
load: {mode: open, rate: 200}
phases: {settle_s: 0, warm_up_s: 0.2, measure_s: 1}
";

/// An experiment in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(yaml: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.yaml"), yaml).unwrap();
        Bench { folder }
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("experiment").arg(self.folder.path().join("x.yaml"));
        command.arg("--out").arg(self.results()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts it and waits until its first trial has begun.
    fn start(&self) -> Started {
        let mut child = self.command(&[]).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (heard, lines) = (Arc::clone(&said), BufReader::new(child.stderr.take().unwrap()));
        let listener = std::thread::spawn(move || {
            lines.lines().map_while(Result::ok).for_each(|line| {
                let mut said = heard.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            });
        });
        until("the first trial begins", || said.lock().unwrap().contains("trial 1/1"));
        assert_eq!(self.nodes().len(), 3);
        Started { child, said, listener }
    }

    /// Process ids of the nodes of this experiment, found by the folder in their arguments.
    fn nodes(&self) -> Vec<i32> {
        let mine = self.results().display().to_string();
        let ids = fs::read_dir("/proc").unwrap().flatten();
        ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                line.contains("serve") && line.contains(&mine)
            })
            .collect()
    }

    /// The folder of the only run.
    fn run_folder(&self) -> PathBuf {
        let runs = entries(&self.results().join("short"));
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }
}

/// An experiment in the middle of its first trial.
struct Started {
    child: Child,
    said: Arc<Mutex<String>>,
    listener: JoinHandle<()>,
}

impl Started {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Its exit code, none if a signal ended it, and all that it said to a person.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        self.listener.join().unwrap();
        let said = self.said.lock().unwrap().clone();
        (status.code(), said)
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LIMIT, "not after {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_leaves_its_record_and_nothing_else() {
    let bench = Bench::new(SHORT);
    let output = bench.run(&["--set", "matrix.quorum=[[1, 1], [2, 2]]"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("read_modify_write"));
    assert!(bench.nodes().is_empty());
    let run = bench.run_folder();
    for name in ["run.json", "spec.yaml", "summary.txt", "trials.csv", "series.csv", "plots"] {
        assert!(run.join(name).exists(), "{name}");
    }
    assert_eq!(entries(&run.join("logs")).len(), 3, "both trials shared one cluster");
    assert_eq!(entries(&run.join("trials")).len(), 2);
    let trial = fs::read_to_string(run.join("trials/002/trial.json")).unwrap();
    let trial: serde_json::Value = serde_json::from_str(&trial).unwrap();
    let kinds = trial["operations"].as_array().unwrap();
    let sum = |field: &str| -> u64 {
        kinds.iter().map(|kind| kind["outcomes"][field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("acknowledged"), 200, "every operation that was due");
    assert_eq!((sum("failed"), sum("unknown"), sum("not_found"), sum("invalid")), (0, 0, 0, 0));
    let processes = trial["processes"].as_array().unwrap();
    let names: Vec<&str> = processes.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["load", "n1", "n2", "n3"]);
    assert!(trial["counters"].as_object().unwrap().keys().any(|name| name.contains("requests")));
    let info = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(info.contains("\"interrupted\": false"), "{info}");
}

#[test]
fn no_node_survives_the_kill_of_the_runner() {
    let bench = Bench::new(&SHORT.replace("measure_s: 1", "measure_s: 60"));
    let started = bench.start();
    started.signal(Signal::KILL);
    assert_eq!(started.end().0, None);
    until("the nodes are gone", || bench.nodes().is_empty());
}

#[test]
fn the_first_interrupt_ends_the_trial_and_keeps_what_was_measured() {
    let bench = Bench::new(&SHORT.replace("measure_s: 1", "measure_s: 60"));
    let started = bench.start();
    // Well inside the measured phase, which begins after a fifth of a second.
    std::thread::sleep(Duration::from_secs(3));
    started.signal(Signal::INT);
    let (code, said) = started.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(bench.nodes().is_empty());
    let run = bench.run_folder();
    let info = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(info.contains("\"interrupted\": true"), "{info}");
    let card = fs::read_to_string(run.join("summary.txt")).unwrap();
    assert!(card.contains("INTERRUPTED after 0 finished trials; the last one was CUT"), "{card}");
    let trial = fs::read_to_string(run.join("trials/001/trial.json")).unwrap();
    let trial: serde_json::Value = serde_json::from_str(&trial).unwrap();
    let measured_s = trial["measured_s"].as_f64().unwrap();
    assert!(measured_s > 0.0 && measured_s < 60.0, "{measured_s}");
    assert_eq!(trial["cut"], true);
}

#[test]
fn a_second_interrupt_ends_at_once_and_leaves_no_files_of_the_nodes() {
    let bench = Bench::new(&SHORT.replace("measure_s: 1", "measure_s: 60"));
    let started = bench.start();
    started.signal(Signal::TERM);
    until("the first one is answered", || started.said.lock().unwrap().contains("once more"));
    started.signal(Signal::INT);
    let (code, said) = started.end();
    assert_eq!(code, Some(130), "{said}");
    until("the nodes are gone", || bench.nodes().is_empty());
    let short = bench.results().join("short");
    let left = if short.exists() { entries(&short) } else { Vec::new() };
    let hidden = |path: &&PathBuf| path.to_string_lossy().contains(".running-");
    assert_eq!(left.iter().find(hidden), None);
}

#[test]
fn a_node_that_dies_at_its_start_shows_its_log_and_leaves_nothing() {
    // A file stands where node n1 wants its folder. The shell keeps its process id, which names the
    // hidden folder, when it becomes the experiment.
    let bench = Bench::new(SHORT);
    let script = "d=\"$0/short/.running-$$/001\"; mkdir -p \"$d\"; : > \"$d/n1\"; exec \"$@\"";
    let experiment = bench.command(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(bench.results()).arg(PROGRAM).args(experiment.get_args());
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("node n1 ended by itself"), "{text}");
    assert!(text.contains("its last log lines:") && text.contains("/001/n1"), "{text}");
    assert!(!bench.results().exists());
    assert!(bench.nodes().is_empty());
}

#[test]
fn a_node_that_dies_during_a_trial_ends_the_run_with_its_log() {
    let bench = Bench::new(&SHORT.replace("measure_s: 1", "measure_s: 60"));
    let started = bench.start();
    kill_process(Pid::from_raw(bench.nodes()[0]).unwrap(), Signal::KILL).unwrap();
    let (code, said) = started.end();
    assert_eq!(code, Some(2));
    assert!(said.contains("ended by itself (signal: 9"), "{said}");
    assert!(bench.nodes().is_empty() && !bench.results().exists());
}

#[test]
fn faults_are_done_to_the_nodes_and_written_down() {
    let faults = "faults:\n- pause: {node: 2, first_at_s: 0.2, every_s: 5, for_s: 0.3}\n\
                  - kill: {node: 3, at_s: 0.6}\n";
    let bench = Bench::new(&format!("{SHORT}{faults}"));
    let output = bench.run(&["--keep-data"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let run = bench.run_folder();
    let faults = fs::read_to_string(run.join("faults.csv")).unwrap();
    assert!(faults.contains("pause,n2,") && faults.contains("kill,n3,"), "{faults}");
    assert!(run.join("data/001").is_dir(), "--keep-data");
}

#[test]
fn a_node_that_is_killed_again_and_again_is_noticed_and_everything_is_measured() {
    let bench = Bench::new(
        "name: short
question: Does it measure?
cluster:
  nodes: 3
  engine: memory
  timing: {heartbeat_interval_ms: 100, judge_interval_ms: 10}
  strategies:
    detection: {heartbeat: {interval_ms: 100, suspect_after_ms: 200, down_after_ms: 400}}
workload: {base: a, field_count: 1, field_length: 100}
records: 200
load: {mode: open, rate: 200}
phases: {settle_s: 0, warm_up_s: 0.5, measure_s: 6.5}
measure: [messages, staleness, detection]
faults:
- kill: {node: 3, at_s: 0.5, restart_after_s: 2, every_s: 3}
",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let run = bench.run_folder();
    let faults = fs::read_to_string(run.join("faults.csv")).unwrap();
    assert_eq!(faults.matches("kill,n3,").count(), 2, "{faults}");
    let trial = fs::read_to_string(run.join("trials/001/trial.json")).unwrap();
    let trial: serde_json::Value = serde_json::from_str(&trial).unwrap();
    let measures = trial["measures"].as_array().unwrap();
    let measure = |name: &str| {
        let found = measures.iter().find(|measure| measure["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{name} is missing: {measures:?}"));
        (found["value"].as_f64().unwrap(), found["samples"].as_u64().unwrap())
    };
    let (all, operations) = measure("messages_per_operation");
    let (requests, _) = measure("request_messages_per_operation");
    assert!(requests >= 1.0 && all > requests && operations > 100, "{all} {requests}");
    assert!(measure("bytes_per_operation").0 > 100.0, "a write carries its value");
    let (stale, judged) = measure("stale_reads_share");
    assert!((0.0..=1.0).contains(&stale) && judged > 50, "{stale} of {judged}");
    let (detection_s, observers) = measure("detection_time_s");
    assert!(detection_s > 0.0 && (1..=4).contains(&observers), "{detection_s} {observers}");
    let card = fs::read_to_string(run.join("summary.txt")).unwrap();
    assert!(card.contains("Measures") && card.contains("timeout − interval/2"), "{card}");
}

#[test]
fn a_results_folder_that_cannot_be_written_is_found_before_anything_starts() {
    let bench = Bench::new(SHORT);
    fs::write(bench.results(), "a file").unwrap();
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot create the results folder"), "{}", stderr(&output));
}

#[test]
fn bad_input_exits_with_2_and_a_dry_run_starts_nothing() {
    let bench = Bench::new(&SHORT.replace("question", "quesion"));
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `question`?"), "{}", stderr(&output));
    let bench = Bench::new(SHORT);
    let output = bench.run(&["--dry-run", "--seed", "9"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(listed.contains("trial 1/1 ycsb_f R=2 W=2, open loop at 200/s"), "{listed}");
    assert!(!bench.results().exists());
}
