//! Whole runs, written and read back.
#![allow(clippy::unwrap_used)]

use super::sample::{self, Matrix};
use super::trial::{FaultWindow, Trial};
use super::{ReportError, RunWriter, read, render, run_directory};
use std::fs;
use std::path::Path;

fn small() -> Vec<Trial> {
    let mut trials = sample::trials(&Matrix {
        levels: &[(1, 1), (3, 3)],
        workloads: &["ycsb_a"],
        rates: &[500.0, 6_000.0],
        repeats: 1,
        seconds: 4,
    });
    trials[0].faults.push(FaultWindow {
        what: "stop".into(),
        node: "n2".into(),
        from_s: 1.0,
        to_s: 2.0,
    });
    trials
}

fn write(dir: &Path, trials: &[Trial], interrupted: bool) -> String {
    let mut writer = RunWriter::create(dir, &sample::info(), "name: quorum\n").unwrap();
    trials.iter().for_each(|trial| writer.add(trial).unwrap());
    writer.finish(interrupted).unwrap().to_string()
}

/// Every file below `dir` with its bytes, sorted by name.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn names(contents: &[(String, Vec<u8>)]) -> Vec<&str> {
    contents.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_redrawn_report_is_the_first_one_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let trials = small();
    let card = write(folder.path(), &trials, false);
    // Not assert_eq: the histograms of a failure would fill the screen.
    assert!(read(folder.path()).unwrap().trials == trials, "trials differ from what was written");
    let before = contents(folder.path());
    assert!(before.iter().all(|(name, bytes)| !name.contains("partial") && !bytes.is_empty()));

    let again = render(folder.path()).unwrap();
    assert_eq!(again.to_string(), card);
    assert_eq!(names(&contents(folder.path())), names(&before));
    assert!(contents(folder.path()) == before, "a file changed");
    let summary = fs::read_to_string(folder.path().join("summary.txt")).unwrap();
    assert_eq!(summary, card);
}

#[test]
fn everything_derived_can_be_lost_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small()[..1], false);
    let before = contents(folder.path());
    fs::remove_dir_all(folder.path().join("plots")).unwrap();
    for name in ["trials.csv", "series.csv", "summary.txt"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    render(folder.path()).unwrap();
    assert_eq!(names(&contents(folder.path())), names(&before));
    assert!(contents(folder.path()) == before, "a file changed");
}

#[test]
fn a_run_that_was_killed_says_so_and_keeps_its_finished_trials() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), &sample::info(), "").unwrap();
    writer.add(&small()[0]).unwrap();
    drop(writer);
    let half_written = folder.path().join("trials/.002.partial");
    fs::create_dir(&half_written).unwrap();
    fs::write(half_written.join("trial.json"), "{\"id\":").unwrap();

    let summary = render(folder.path()).unwrap();
    assert_eq!(summary.run().trials.len(), 1);
    assert!(summary.to_string().contains("INTERRUPTED after 1 finished trial\n"));
}

#[test]
fn a_run_without_its_trials_is_refused_and_its_view_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small()[..1], false);
    fs::remove_dir_all(folder.path().join("trials")).unwrap();
    let before = contents(folder.path());
    for made in [false, true] {
        if made {
            fs::create_dir_all(folder.path().join("trials/.001.partial")).unwrap();
        }
        let refused = render(folder.path()).unwrap_err();
        assert!(matches!(refused, ReportError::NoTrials { .. }), "{refused}");
        assert!(contents(folder.path()) == before, "a file changed");
    }
}

#[test]
fn a_trial_that_was_cut_short_is_not_called_finished() {
    let folder = tempfile::tempdir().unwrap();
    let mut trials = small();
    trials.truncate(2);
    trials[1].cut = true;
    let card = write(folder.path(), &trials, true);
    assert!(card.contains("INTERRUPTED after 1 finished trial; the last one was CUT short\n"));
    assert_eq!(card.lines().filter(|line| line.ends_with("kept, CUT")).count(), 1, "{card}");
}

#[test]
fn values_that_nobody_wrote_head_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let mut trials = small();
    trials[1].operations[0].outcomes.invalid = 3;
    let mut writer = RunWriter::create(folder.path(), &sample::info(), "").unwrap();
    trials.iter().for_each(|trial| writer.add(trial).unwrap());
    let summary = writer.finish(false).unwrap();
    assert_eq!(summary.invalid, 3);
    let card = summary.card(120);
    let third = card.lines().nth(1).unwrap();
    assert!(third.starts_with("INVALID DATA: 3 acknowledged reads returned"), "{card}");
    assert!(card.contains("(trial 002 read 3)"), "{card}");
}

#[test]
fn the_card_fits_and_says_in_words_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), &sample::info(), "").unwrap();
    small().iter().for_each(|trial| writer.add(trial).unwrap());
    let summary = writer.finish(false).unwrap();
    for width in [80, 120] {
        let card = summary.card(width);
        let longest = card.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width, "{longest} columns instead of {width}:\n{card}");
        for word in ["met", "missed p50 p99", "SATURATED", "R,W", "p99"] {
            assert!(card.contains(word), "{word} is missing:\n{card}");
        }
    }
    // Reads and updates of the saturated trial.
    assert_eq!(summary.missed, 2);
}

#[test]
fn repeats_show_their_median_and_spread() {
    let folder = tempfile::tempdir().unwrap();
    let trials = sample::trials(&Matrix {
        levels: &[(2, 2)],
        workloads: &["ycsb_b"],
        rates: &[300.0],
        repeats: 3,
        seconds: 3,
    });
    let card = write(folder.path(), &trials, false);
    let line = |start: &str| card.lines().position(|line| line.contains(start)).unwrap();
    assert_eq!(line("  read "), line("3 repeats") - 1, "{card}");
    let mut p50: Vec<u64> =
        trials.iter().map(|t| t.operations[0].response.value_at_quantile(0.5)).collect();
    p50.sort_unstable();
    let shown = format!("{:.2}–{:.2}", p50[0] as f64 / 1e3, p50[2] as f64 / 1e3);
    assert!(card.lines().nth(line("3 repeats")).unwrap().contains(&shown), "{shown}\n{card}");
}

#[test]
fn nothing_acknowledged_is_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let lost = sample::all_lost(small().remove(0));
    let card = write(folder.path(), &[lost], true);
    assert!(card.contains("missed (no data)"), "{card}");
    let plot = folder.path().join("plots/latency-percentiles-ycsb_a-read.svg");
    assert!(fs::read_to_string(plot).unwrap().contains("no acknowledged operation"));
}

#[test]
fn columns_of_the_csv_files_are_stable() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small()[..1], false);
    let header = |name: &str| {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().next().unwrap().to_string()
    };
    let cell = "trial,workload,n,r,w,labels,mode,offered_per_s,outstanding,repeat";
    let expected = [
        (
            "trials.csv",
            "seed,measured_s,achieved_per_s,saturated,operation,operation_per_s,\
            acknowledged,failed,unknown,not_found,invalid,response_p50_us,response_p90_us,\
            response_p95_us,response_p99_us,response_p99_9_us,response_p99_99_us,response_max_us,\
            response_mean_us,service_p50_us,service_p90_us,service_p95_us,service_p99_us,\
            service_p99_9_us,service_p99_99_us,service_max_us,service_mean_us,targets,\
            targets_missed,lag_p50_us,lag_p99_us,lag_max_us,unsent,server_cpu_us_per_operation,\
            server_cpu_s,load_cpu_s,server_memory_peak_mib,share_top_key,share_top_1_percent,\
            share_top_10_percent,share_top_20_percent,cut",
        ),
        (
            "series.csv",
            "second,operation,acknowledged,failed,unknown,response_p50_us,\
            response_p99_us,response_max_us,service_p99_us",
        ),
        ("processes.csv", "process,cpu_user_s,cpu_system_s,resident_peak_mib"),
        ("counters.csv", "counter,value"),
        ("faults.csv", "fault,node,from_s,to_s"),
        (
            "measures.csv",
            "measure,unit,value,samples,p25,p75,expected,gap_to_expected,expected_source,about",
        ),
    ];
    let readme = include_str!("../../results/README.md");
    for (name, columns) in expected {
        assert_eq!(header(name), format!("{cell},{columns}"), "{name}");
        // Every column is explained where a reader of the results looks.
        for column in header(name).split(',') {
            let pattern = column.replace("response_", "<clock>_").replace("service_", "<clock>_");
            let known = [column, &pattern].iter().any(|it| readme.contains(&format!("`{it}`")));
            assert!(known, "results/README.md does not explain `{column}` of {name}");
        }
    }
}

#[test]
fn every_figure_is_there_twice_and_names_its_axes() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), false);
    let plots = folder.path().join("plots");
    let figures = [
        ("latency-percentiles-ycsb_a-read", "percentile of operations (%)"),
        ("latency-percentiles-ycsb_a-update", "percentile of operations (%)"),
        ("latency-by-rate-ycsb_a", "offered rate (operations/s)"),
        ("timeline-ycsb_a-r1-w1", "time (s)"),
        ("timeline-ycsb_a-r3-w3", "time (s)"),
    ];
    for (name, axis) in figures {
        let svg = fs::read_to_string(plots.join(format!("{name}.svg"))).unwrap();
        for text in [axis, "response time (ms, log scale)", "commit 0123456789abcdef-dirty"] {
            assert!(svg.contains(text), "{name}.svg lacks `{text}`");
        }
        assert!(svg.contains("SATURATED") == (name != "timeline-ycsb_a-r1-w1"), "{name}");
        let png = fs::read(plots.join(format!("{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{name}.png");
    }
    assert!(
        fs::read_to_string(plots.join("timeline-ycsb_a-r1-w1.svg")).unwrap().contains("stop n2")
    );
    assert_eq!(fs::read_dir(&plots).unwrap().count(), 2 * figures.len());
}

#[test]
fn damaged_files_are_named_with_line_and_expectation() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let message = || render(folder.path()).unwrap_err().to_string();
    assert!(message().contains("not the folder of a run; expected a file run.json"));
    let missing = render(&at("absent")).unwrap_err().to_string();
    assert!(missing.contains("absent: no such folder"), "{missing}");

    write(folder.path(), &small()[..1], false);
    let trial = at("trials/001/trial.json");
    let text = fs::read_to_string(&trial).unwrap();
    fs::write(&trial, text.replace("\"measured_s\"", "\"measured\"")).unwrap();
    assert!(message().contains("trial.json:"), "{}", message());
    assert!(message().contains("unknown field `measured`"), "{}", message());
    fs::write(&trial, &text).unwrap();

    let log = at("trials/001/service.hlog");
    let whole = fs::read_to_string(&log).unwrap();
    let without_updates: Vec<&str> =
        whole.lines().filter(|line| !line.starts_with("Tag=update")).collect();
    fs::write(&log, without_updates.join("\n") + "\n").unwrap();
    assert!(message().contains("service.hlog: no histogram tagged `update`"), "{}", message());
    fs::write(&log, whole.replace("Tag=read,0.000", "Tag=read,zero")).unwrap();
    assert!(message().contains("service.hlog:3: a line that is no interval"), "{}", message());
    fs::remove_file(&log).unwrap();
    assert!(message().contains("cannot read"), "{}", message());
}

#[test]
fn what_the_formats_cannot_carry_is_refused_before_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(folder.path(), &sample::info(), "").unwrap();
    let good = small().remove(0);
    let mut refuse = |change: fn(&mut Trial), reason: &str| {
        let mut trial = good.clone();
        change(&mut trial);
        let error = writer.add(&trial).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    refuse(|trial| trial.id = "../1".into(), "its id must be letters");
    refuse(|trial| trial.operations[0].kind = "a,b".into(), "the name `a,b`");
    refuse(|trial| trial.operations[0].kind = "update".into(), "stands twice");
    refuse(|trial| trial.measured_s = f64::NAN, "its measured time");
    use super::measure::STALE_READS_SHARE as SHARE;
    refuse(|trial| trial.measures = vec![SHARE.of(f64::NAN, 1)], "no finite number");
    refuse(|trial| trial.measures = vec![SHARE.of(0.1, 1), SHARE.of(0.2, 1)], "stands twice");
    assert_eq!(fs::read_dir(folder.path().join("trials")).unwrap().count(), 0);
    writer.add(&good).unwrap();
    let twice = writer.add(&good).unwrap_err();
    assert!(matches!(twice, ReportError::InvalidTrial { .. }), "{twice}");
    let again = RunWriter::create(folder.path(), &sample::info(), "");
    assert!(matches!(again, Err(ReportError::AlreadyThere { .. })));
}

#[test]
fn folders_sort_by_time_and_name_the_commit() {
    let dir = run_directory(Path::new("results"), &sample::info());
    assert_eq!(dir, Path::new("results/quorum/20260301T120000Z-0123456789ab-dirty"));
}

#[test]
fn runs_of_the_same_second_get_folders_of_their_own() {
    let results = tempfile::tempdir().unwrap();
    let start = || RunWriter::create_in(results.path(), &sample::info(), "").unwrap();
    let names = [(); 3].map(|()| {
        let dir = start().dir().to_path_buf();
        dir.file_name().unwrap().to_string_lossy().into_owned()
    });
    let first = "20260301T120000Z-0123456789ab-dirty";
    assert_eq!(names, [first.to_string(), format!("{first}-2"), format!("{first}-3")]);
}
