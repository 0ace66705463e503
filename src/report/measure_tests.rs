//! Runs with measures: of detectors, of two backends, and of no load at all.
#![allow(clippy::unwrap_used)]

use super::measure::{
    DETECTION_TIME_S, MESSAGES_PER_OPERATION, MISTAKES_PER_PEER_HOUR, ROUNDS_TO_INFORM_ALL,
    STALE_READS_SHARE,
};
use super::sample::{self, Matrix};
use super::trial::{BACKEND_LABEL, Measure, RunInfo, Trial};
use super::{RunWriter, Summary};
use std::fs;
use std::path::Path;

/// As the paper rounds the natural logarithm of ten.
#[allow(clippy::approx_constant)]
const NATS_PER_PHI: f64 = 2.302_6;

const SOURCE: &str = "φ·2.3026·mean − η/2 + E[delay]";

/// A trial without load, with these labels and measures.
fn trial(labels: &[(&str, &str)], measures: Vec<Measure>) -> Trial {
    let matrix =
        Matrix { levels: &[(1, 1)], workloads: &["a"], rates: &[50.0], repeats: 1, seconds: 0 };
    let mut trial = sample::trials(&matrix).remove(0);
    let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    trial.cell.labels = labels.collect();
    trial.operations.clear();
    trial.processes.clear();
    trial.by_node.clear();
    trial.realised_skew = None;
    trial.measures = measures;
    trial
}

fn write(dir: &Path, backend: &str, trials: Vec<Trial>) -> Summary {
    let info = RunInfo { backend: backend.to_string(), ..sample::info() };
    let mut writer = RunWriter::create(dir, &info, "").unwrap();
    for (index, mut trial) in trials.into_iter().enumerate() {
        trial.id = format!("{:03}", index + 1);
        writer.add(&trial).unwrap();
    }
    writer.finish(false).unwrap()
}

/// The φ detector at some thresholds and losses: it is 3 % slower than the form says, and wrong
/// only at low thresholds.
fn detectors() -> Vec<Trial> {
    let mut trials = Vec::new();
    for loss in ["0", "0.05"] {
        for threshold in [1.0, 2.0, 4.0, 8.0] {
            let form = threshold * NATS_PER_PHI - 0.5;
            let slower = if loss == "0" { 1.03 } else { 1.1 };
            let samples = [0.9, 1.0, 1.1].map(|spread| form * slower * spread);
            let rate = if threshold < 4.0 { 900.0 / f64::powi(threshold, 6) } else { 0.0 };
            let detector = format!("phi_accrual threshold {threshold}");
            let labels = [("strategies.detection", detector.as_str()), ("network.loss", loss)];
            let measures = vec![
                DETECTION_TIME_S.mean(&samples).unwrap().expecting(form, SOURCE),
                MISTAKES_PER_PEER_HOUR.of(rate, 500),
            ];
            trials.push(trial(&labels, measures));
        }
    }
    trials
}

fn svg(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(format!("plots/{name}.svg"))).unwrap()
}

#[test]
fn the_card_shows_every_measure_with_its_gap_to_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let summary = write(folder.path(), "simulation", detectors());
    let card = summary.card(120);
    for text in ["quorum (simulated): ", "detection time", "+3.0 %", "+10.0 %", "loss 0.05", SOURCE]
    {
        assert!(card.contains(text), "{text} is missing:\n{card}");
    }
    assert!(card.contains("1.764–1.95"), "quartiles beneath the mean:\n{card}");
    assert!(!card.contains("server CPU"), "nothing was served:\n{card}");
    let narrow = summary.card(70);
    let longest = narrow.lines().filter(|line| line.contains("──")).map(|it| it.chars().count());
    assert!(longest.max().unwrap() <= 70, "{narrow}");
    assert!(narrow.contains("mistakes per"), "what does not fit follows beneath:\n{narrow}");
}

#[test]
fn a_measure_is_drawn_against_what_varies_with_the_closed_form_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "simulation", detectors());
    let plot = svg(folder.path(), "measure-detection_time_s");
    for text in [
        "Detection time · by threshold · simulated",
        "detection time (s)",
        "threshold",
        "loss 0.05",
        "expected: φ",
        "backend simulation",
    ] {
        assert!(plot.contains(text), "the figure lacks `{text}`");
    }
    let trade_off = svg(folder.path(), "detection-time-by-mistakes");
    for text in ["mistakes per peer hour (1/h), log scale", "none seen", "loss 0.05"] {
        assert!(trade_off.contains(text), "the figure lacks `{text}`");
    }
    // Two figures of measures and the trade-off; there was no load to draw.
    assert_eq!(fs::read_dir(folder.path().join("plots")).unwrap().count(), 2 * 3);
}

#[test]
fn cells_of_two_backends_are_set_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let mut trials = Vec::new();
    for (backend, messages, stale) in [("simulation", 8.2, 0.02), ("processes", 8.0, 0.0)] {
        for nodes in ["3", "5"] {
            let labels = [(BACKEND_LABEL, backend), ("nodes", nodes)];
            let mut measures =
                vec![MESSAGES_PER_OPERATION.of(messages, 1_000), STALE_READS_SHARE.of(stale, 500)];
            if backend == "simulation" {
                measures.push(ROUNDS_TO_INFORM_ALL.of(3.0, 1));
            }
            trials.push(trial(&labels, measures));
        }
    }
    let card = write(folder.path(), "processes and simulation", trials).to_string();
    assert!(card.contains("quorum (processes and simulation): "), "{card}");
    let (_, gaps) = card.split_once("Gap between the backends").unwrap();
    let rows: Vec<Vec<&str>> = gaps
        .lines()
        .filter(|line| line.contains("_per_operation") || line.contains("stale_reads"))
        .map(|line| line.split_whitespace().collect())
        .take(4)
        .collect();
    assert!(rows[0].ends_with(&["messages", "8", "8.2", "+2.5", "%"]), "{gaps}");
    assert!(rows[1].ends_with(&["share", "0", "0.02", "–"]), "{gaps}");
    assert!(rows[2].contains(&"5") && rows[2].ends_with(&["+2.5", "%"]), "{gaps}");
    assert!(!gaps.split("\n\n").next().unwrap().contains("rounds"), "one backend has it alone");
}

#[test]
fn repeats_of_a_measure_show_their_median_and_spread() {
    let folder = tempfile::tempdir().unwrap();
    let mut trials = Vec::new();
    for (repeat, value) in [(1, 8.0), (2, 9.5), (3, 8.5)] {
        let mut trial = trial(&[], vec![MESSAGES_PER_OPERATION.of(value, 10)]);
        trial.cell.repeat = repeat;
        trials.push(trial);
    }
    let card = write(folder.path(), "processes", trials).to_string();
    assert!(card.contains("8–9.5") && card.contains("  8.5\n"), "{card}");
    assert!(card.starts_with("quorum: "), "everything was real: {card}");
}

#[test]
fn every_measure_is_a_row_of_its_table_with_all_its_digits() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "simulation", detectors());
    let text = fs::read_to_string(folder.path().join("measures.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 16);
    let field = |row: &csv::StringRecord, name: &str| {
        row.get(headers.iter().position(|it| it == name).unwrap()).unwrap().to_string()
    };
    assert_eq!(
        field(&rows[0], "labels"),
        "network.loss=0;strategies.detection=phi_accrual threshold 1"
    );
    let gap: f64 = field(&rows[0], "gap_to_expected").parse().unwrap();
    assert!((gap - 0.03).abs() < 1e-9, "{gap}");
    assert_eq!(field(&rows[0], "expected_source"), SOURCE);
    assert_eq!((field(&rows[1], "samples"), field(&rows[1], "p25")), ("500".into(), String::new()));
}
