//! Whatever a run and its parts are called, every text stands on the page whole.
#![allow(clippy::unwrap_used)]

use super::drawing::{Anchor, Shape, Text};
use super::*;
use crate::report::measure::{DETECTION_TIME_S, MISTAKES_PER_PEER_HOUR};
use crate::report::sample::{self, Matrix};
use crate::report::trial::{FaultWindow, Mode, Trial};

/// A strategy with this many settings, the last of which tells it from the others.
fn long_label(settings: u32, last: u32) -> String {
    let settings = (0..settings).map(|index| format!("some_setting_mib {index}"));
    format!(
        "unified {}",
        settings.chain([format!("level_ratio {last}")]).collect::<Vec<_>>().join(", ")
    )
}

/// Trials whose every name is long: labels, a workload, offered rates, faults.
fn long_named() -> Run {
    let matrix = Matrix {
        levels: &[(1, 1), (3, 3)],
        workloads: &["a_workload_whose_name_is_one_word_that_is_longer_than_any_page_is_wide_\
             and_goes_on_for_a_while_so_that_no_place_is_found_to_break_it_between_words_a"],
        rates: &[1.0, 2.0, 3.0],
        repeats: 3,
        seconds: 4,
    };
    let mut trials = sample::trials(&matrix);
    for (index, trial) in trials.iter_mut().enumerate() {
        rename(index as u32, trial);
    }
    let mut info = sample::info();
    info.question = format!("{} {}?", info.question, "why ".repeat(80) + &"w".repeat(300));
    info.targets.iter_mut().for_each(|target| target.below_ms = 123_456.789);
    Run { info, trials }
}

fn rename(index: u32, trial: &mut Trial) {
    let label = long_label(12, trial.cell.r);
    trial.cell.labels.insert("strategies.compaction".into(), label);
    trial.cell.repeat += 10;
    trial.cell.mode = match trial.cell.mode {
        Mode::Open { rate } if rate > 1.0 => Mode::Open { rate: rate * 1_234_567.0 },
        _ => Mode::Closed { outstanding: u32::MAX },
    };
    trial.saturated = true;
    let node = "n1".repeat(80);
    trial.faults.push(FaultWindow { what: "stop".into(), node, from_s: 1.0, to_s: 2.0 });
    trial.measures = vec![
        DETECTION_TIME_S.of(1_234_567.8 + f64::from(index), 3),
        MISTAKES_PER_PEER_HOUR.of(f64::from(index), 3),
    ];
}

fn texts(drawing: &Drawing) -> impl Iterator<Item = &Text> {
    drawing.shapes.iter().filter_map(|shape| match shape {
        Shape::Text(text) => Some(text),
        _ => None,
    })
}

/// Left, top, right and bottom of a text on the page.
fn bounds(text: &Text) -> [f64; 4] {
    let (x, y) = text.at;
    let (length, half) = (text.width(), text.size / 2.0);
    if text.upward {
        return [x - half, y - length / 2.0, x + half, y + length / 2.0];
    }
    let left = match text.anchor {
        Anchor::Start => x,
        Anchor::Middle => x - length / 2.0,
        Anchor::End => x - length,
    };
    [left, y - half, left + length, y + half]
}

fn assert_whole(name: &str, drawing: &Drawing) {
    for text in texts(drawing) {
        let [left, top, right, bottom] = bounds(text);
        let inside =
            left >= 0.0 && top >= 0.0 && right <= drawing.width && bottom <= drawing.height;
        assert!(inside, "{name}: `{}` is cut: {:?}", text.content, bounds(text));
    }
}

/// No two texts on top of each other; the patch of a few pixels is the leading of the font.
fn assert_apart(name: &str, drawing: &Drawing) {
    const LEADING: f64 = 2.0;
    let all: Vec<(&Text, [f64; 4])> = texts(drawing).map(|text| (text, bounds(text))).collect();
    for (index, (one, a)) in all.iter().enumerate() {
        for (other, b) in &all[index + 1..] {
            let apart = |low: usize, high: usize| {
                a[high] - LEADING <= b[low] || b[high] - LEADING <= a[low]
            };
            let apart = apart(0, 2) || apart(1, 3);
            assert!(apart, "{name}: `{}` runs into `{}`", one.content, other.content);
        }
    }
}

#[test]
fn no_text_is_cut_however_long_the_names_are() {
    let run = long_named();
    let figures = figures(&run);
    let kinds = ["latency-by-rate", "latency-perc", "timeline", "measure-", "detection-time"];
    for kind in kinds {
        assert!(figures.iter().any(|figure| figure.name.starts_with(kind)), "no figure {kind}");
    }
    for figure in &figures {
        assert_whole(&figure.name, &figure.drawing);
        assert_apart(&figure.name, &figure.drawing);
    }
}

#[test]
fn a_long_label_stands_in_the_title_whole() {
    let run = long_named();
    let figures = figures(&run);
    let timeline = figures.iter().find(|figure| figure.name.starts_with("timeline")).unwrap();
    let all: Vec<&str> = texts(&timeline.drawing).map(|text| text.content.as_str()).collect();
    assert!(all.join(" ").contains(&long_label(12, 1)), "{all:?}");
}

#[test]
fn the_model_of_compaction_has_a_legend_as_long_as_its_strategies() {
    let line = |last| super::super::amplification::Line {
        label: long_label(15, last),
        points: Vec::new(),
    };
    let lines: Vec<_> = (0..5).map(line).collect();
    let drawing = amplification::figure(&"a load of many words ".repeat(30), &lines);
    assert_whole("amplification", &drawing);
    assert_apart("amplification", &drawing);
}

#[test]
fn files_have_names_that_a_file_system_takes_and_no_two_the_same() {
    let run = long_named();
    let figures = figures(&run);
    let names: BTreeSet<&String> = figures.iter().map(|figure| &figure.name).collect();
    assert_eq!(names.len(), figures.len());
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path(), &run).unwrap();
    let files = std::fs::read_dir(folder.path().join("plots")).unwrap().count();
    assert_eq!(files, 2 * figures.len());
}

#[test]
fn a_name_is_kept_where_it_can_be() {
    let taken = BTreeSet::from(["a".to_string(), "a-2".to_string(), "l".repeat(NAME_LENGTH)]);
    assert_eq!(free_name("b", &taken), "b");
    assert_eq!(free_name("a", &taken), "a-3");
    assert_eq!(free_name(&"l".repeat(500), &taken), "l".repeat(NAME_LENGTH) + "-2");
}
