//! `quorate compaction`: what each compaction strategy costs, on metadata alone.

use super::text::{columns, width, wrap};
use super::{print, print_json, say};
use crate::amplification::{
    self, Distribution, MEMTABLE_OVERHEAD_BYTES, Machine, Outcome, Reads, Sample, Workload,
    table_overhead_bytes,
};
use crate::report::amplification::{Line, Point, draw, write_csv};
use crate::yaml;
use anyhow::Context;
use quorate_strategies::{Choice, Compaction, Family};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare compaction strategies on table metadata alone: write, read and space amplification
#[derive(Debug, clap::Args)]
#[command(after_help = "Every record is inserted once, then operations overwrite or delete them. \
                        Nothing is written to disk, except what --csv and --out name.")]
pub struct Args {
    /// A strategy by name, or with settings as YAML: '{leveled: {level_ratio: 8}}'; may be
    /// repeated. Without it: every strategy with its defaults
    #[arg(long = "strategy", value_name = "YAML", value_parser = strategy)]
    strategies: Vec<Choice<Compaction>>,
    /// Keys that the fill inserts
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000_000, value_parser = count(1, MOST))]
    records: u64,
    /// Overwrites and deletes after the fill [default: ten for each record]
    #[arg(long, value_name = "NUMBER", value_parser = count(0, MOST * 1_000))]
    operations: Option<u64>,
    /// The same, in full memtables
    #[arg(long, value_name = "NUMBER", conflicts_with = "operations",
          value_parser = count(0, 1_000_000_000))]
    flushes: Option<u64>,
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = count(1, 1_024))]
    key_bytes: u64,
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = count(0, 1 << 30))]
    value_bytes: u64,
    /// Which keys the operations write: uniform, zipfian (0.99), or sequential, which the fill is
    /// then, too
    #[arg(long, value_name = "NAME", default_value = "uniform", value_parser = distribution)]
    distribution: Distribution,
    /// Share of the operations that delete, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    deletes: f64,
    /// Every record expires so long after it was written; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = count(0, 1 << 32))]
    ttl_s: u64,
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = count(1, 1 << 20))]
    memtable_mib: u64,
    /// What the clients write: it drives the clock, and so windows and expiry
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = count(1, 1 << 20))]
    ingest_mib_per_s: u64,
    /// What all compactions together can write; without it, all are done before the next flush
    #[arg(long, value_name = "NUMBER", value_parser = count(1, 1 << 20))]
    compaction_mib_per_s: Option<u64>,
    /// Compactions that run at a time, where they take time
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = count(1, 64))]
    jobs: u64,
    /// Decides where chance does: at which keys tables are cut
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Print one JSON document, with all samples, instead of the table
    #[arg(long)]
    json: bool,
    /// Write the samples of all strategies as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write amplification.csv, amplification.svg and amplification.png into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const MOST: u64 = 1_000_000_000_000;
const MIB: f64 = 1_048_576.0;

/// Points of each line.
const SAMPLES: usize = 240;

fn count(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("allowed: a whole number from {least} to {most}"))
    }
}

fn strategy(text: &str) -> Result<Choice<Compaction>, String> {
    yaml::read(text).map_err(|error| error.without_snippet().to_string())
}

fn distribution(name: &str) -> Result<Distribution, String> {
    match name {
        "uniform" => Ok(Distribution::Uniform),
        "zipfian" => Ok(Distribution::Zipfian),
        "sequential" => Ok(Distribution::Sequential),
        _ => Err("allowed: uniform, zipfian, sequential".to_string()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "allowed: a number from 0 to 1".to_string())
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (load, machine) = (args.workload()?, args.machine());
    let strategies = match args.strategies.is_empty() {
        true => Compaction::entries().iter().map(|entry| Choice::named(entry.name)).collect(),
        false => Ok(args.strategies.clone()),
    }?;
    let began = std::time::Instant::now();
    let one = |choice: &Choice<Compaction>| {
        amplification::run(&load, machine, &*choice.build(), SAMPLES, args.seed)
            .map_err(|what| anyhow::anyhow!("{}: {what}", label(choice)))
    };
    let outcomes: Vec<Outcome> = strategies.par_iter().map(one).collect::<anyhow::Result<_>>()?;
    let seconds = began.elapsed().as_secs_f64();
    let flushes: u64 = outcomes.iter().map(|outcome| outcome.counters.flushes).sum();
    let lines: Vec<Line> =
        strategies.iter().zip(&outcomes).map(|(choice, outcome)| line(choice, outcome)).collect();
    if let Some(path) = &args.csv {
        write_csv(path, &lines).with_context(|| format!("--csv {}", path.display()))?;
    }
    if let Some(dir) = &args.out {
        let about = args.about(&load);
        draw(dir, &about, &lines).with_context(|| format!("--out {}", dir.display()))?;
    }
    match args.json {
        true => print_json(&document(&load, &args, &strategies, &outcomes))?,
        false => print(text(&args.about(&load), &load, &strategies, &outcomes))?,
    }
    say(format!("{flushes} flushes in {seconds:.1} s: {:.0}/s", flushes as f64 / seconds));
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn workload(&self) -> anyhow::Result<Workload> {
        let mut load = Workload {
            records: self.records,
            key_bytes: self.key_bytes,
            value_bytes: self.value_bytes,
            overhead_bytes: table_overhead_bytes(self.key_bytes, self.value_bytes),
            memtable_overhead_bytes: MEMTABLE_OVERHEAD_BYTES,
            distribution: self.distribution,
            operations: self.operations.unwrap_or(self.records * 10),
            deletes: self.deletes,
            ttl_s: self.ttl_s,
            memtable_bytes: self.memtable_mib << 20,
        };
        if let Some(flushes) = self.flushes {
            let Some(each) = load.operations_per_flush() else {
                let (records, mib) = (self.records, self.memtable_mib);
                anyhow::bail!(
                    "--flushes is {flushes}, but {records} records never fill a memtable of {mib} \
                     MiB; allowed: --operations, more --records, or less --memtable-mib"
                );
            };
            load.operations = flushes.saturating_mul(each);
        }
        Ok(load)
    }

    fn machine(&self) -> Machine {
        Machine {
            ingest_bytes_per_s: self.ingest_mib_per_s as f64 * MIB,
            compaction_bytes_per_s: self.compaction_mib_per_s.map(|mib| mib as f64 * MIB),
            jobs: self.jobs as usize,
        }
    }

    /// The load in one sentence.
    fn about(&self, load: &Workload) -> String {
        let order = match load.distribution {
            Distribution::Uniform => "uniform",
            Distribution::Zipfian => "zipfian",
            Distribution::Sequential => "sequential",
        };
        let mut about = format!(
            "{} records of {} + {} bytes, then {} {order} overwrites; memtables of {} MiB",
            load.records, load.key_bytes, load.value_bytes, load.operations, self.memtable_mib
        );
        if load.deletes > 0.0 {
            about.push_str(&format!("; {:.0} % of them deletes", load.deletes * 100.0));
        }
        if load.ttl_s > 0 {
            about.push_str(&format!("; all expire after {} s", load.ttl_s));
        }
        about.push_str(&format!("; {} MiB/s of writes", self.ingest_mib_per_s));
        match self.compaction_mib_per_s {
            Some(mib) => {
                let jobs = self.jobs;
                about.push_str(&format!(", {mib} MiB/s of compaction in {jobs} jobs at a time"));
            }
            None => about.push_str(", compaction always in time"),
        }
        about
    }
}

/// The name, and the settings that are not the defaults.
fn label(choice: &Choice<Compaction>) -> String {
    let defaults = (choice.entry().defaults)();
    let changed =
        choice.settings().iter().filter(|(name, value)| defaults.get(*name) != Some(value));
    let plain = |value: &Value| value.to_string().replace('"', "");
    let changed: Vec<String> =
        changed.map(|(name, value)| format!("{name} {}", plain(value))).collect();
    match changed.is_empty() {
        true => choice.name().to_string(),
        false => format!("{} {}", choice.name(), changed.join(", ")),
    }
}

fn line(choice: &Choice<Compaction>, outcome: &Outcome) -> Line {
    let point = |sample: &Sample| Point {
        user_bytes: sample.counters.user_bytes,
        flushed_bytes: sample.counters.flushed_bytes,
        compaction_written_bytes: sample.counters.compaction_written_bytes,
        space: sample.space,
        worst_space: sample.worst_space,
        tables: sample.tables,
        levels: sample.levels,
        runs: sample.reads.runs,
        hit_runs: sample.reads.hit_runs,
        miss_tables: sample.reads.miss_tables,
    };
    Line { label: label(choice), points: outcome.samples.iter().map(point).collect() }
}

/// What a strategy came to, in the numbers of the table.
struct Summary {
    /// Flushes and compactions over what clients wrote: all, after the fill, and that without
    /// flushes.
    writes: f64,
    writes_after_fill: f64,
    compaction_after_fill: f64,
    reads: Reads,
}

impl Summary {
    fn new(outcome: &Outcome) -> Self {
        let (end, fill) = (&outcome.counters, &outcome.after_fill);
        let user = end.user_bytes - fill.user_bytes;
        let flushed = end.flushed_bytes - fill.flushed_bytes;
        let compacted = end.compaction_written_bytes - fill.compaction_written_bytes;
        let later: Vec<Reads> = outcome
            .samples
            .iter()
            .filter(|sample| sample.counters.user_bytes > fill.user_bytes)
            .map(|sample| sample.reads)
            .collect();
        let mean =
            |of: fn(&Reads) -> f64| later.iter().map(of).sum::<f64>() / later.len().max(1) as f64;
        Summary {
            writes: (end.flushed_bytes + end.compaction_written_bytes) / end.user_bytes,
            writes_after_fill: (flushed + compacted) / user,
            compaction_after_fill: compacted / user,
            reads: Reads {
                runs: mean(|reads| reads.runs),
                hit_runs: mean(|reads| reads.hit_runs),
                hit_tables: mean(|reads| reads.hit_tables),
                miss_tables: mean(|reads| reads.miss_tables),
            },
        }
    }
}

/// Two lines of headings; all but the first column stand right.
const HEADINGS: [(&str, &str); 14] = [
    ("", "strategy"),
    ("writes", "all"),
    ("after", "fill"),
    ("compact.", "alone"),
    ("space", "mean"),
    ("", "worst"),
    ("runs:", "scan"),
    ("", "hit"),
    ("tables:", "miss"),
    ("tables", ""),
    ("levels", ""),
    ("largest", "job MiB"),
    ("moved", "MiB"),
    ("slowed,", "stopped"),
];

const EXPLANATION: &str = "Writes: bytes flushed and compacted over bytes that clients wrote. \
     Space: bytes of the tables over those of live entries; worst with inputs and outputs of \
     running jobs. Runs: sorted runs that a short scan merges (the filters that a miss asks), and \
     filters asked until a read finds its key. Tables of a miss: read because a Bloom filter of 10 \
     bits lied. Space and reads are means over the time after the fill.";

fn text(
    about: &str,
    load: &Workload,
    strategies: &[Choice<Compaction>],
    outcomes: &[Outcome],
) -> String {
    let mut rows = vec![
        HEADINGS.iter().map(|(upper, _)| upper.to_string()).collect(),
        HEADINGS.iter().map(|(_, lower)| lower.to_string()).collect(),
    ];
    rows.extend(strategies.iter().zip(outcomes).map(|(choice, it)| row(choice, it)));
    let right: Vec<usize> = (1..HEADINGS.len()).collect();
    let mut text = wrap(about, 0, 2, width());
    text.push_str(&format!("{} flushes for each strategy\n\n", load.flushes()));
    text.push_str(&columns(&rows, &right));
    text.push('\n');
    text.push_str(&wrap(EXPLANATION, 0, 0, width()));
    text
}

fn row(choice: &Choice<Compaction>, outcome: &Outcome) -> Vec<String> {
    let summary = Summary::new(outcome);
    let last = outcome.samples.last();
    let part = |seconds: f64| 100.0 * seconds / outcome.elapsed_s;
    vec![
        label(choice),
        format!("{:.2}", summary.writes),
        format!("{:.2}", summary.writes_after_fill),
        format!("{:.2}", summary.compaction_after_fill),
        format!("{:.3}", outcome.mean_space),
        format!("{:.2}", outcome.worst_space),
        format!("{:.1}", summary.reads.runs),
        format!("{:.1}", summary.reads.hit_runs),
        format!("{:.3}", summary.reads.miss_tables),
        last.map_or(0, |sample| sample.tables).to_string(),
        last.map_or(0, |sample| sample.levels).to_string(),
        format!("{:.0}", outcome.counters.largest_job_bytes / MIB),
        format!("{:.0}", outcome.counters.moved_bytes / MIB),
        format!("{:.0} %, {:.0} %", part(outcome.slowed_s), part(outcome.stopped_s)),
    ]
}

fn document(
    load: &Workload,
    args: &Args,
    strategies: &[Choice<Compaction>],
    outcomes: &[Outcome],
) -> Value {
    let strategies = strategies.iter().zip(outcomes).map(|(choice, outcome)| {
        let (summary, counters) = (Summary::new(outcome), &outcome.counters);
        json!({
            "strategy": choice.name(),
            "settings": choice.settings(),
            "write_amplification": {
                "all": summary.writes,
                "after_fill": summary.writes_after_fill,
                "compaction_after_fill": summary.compaction_after_fill,
            },
            "space_amplification": { "mean": outcome.mean_space, "worst": outcome.worst_space },
            "reads": {
                "scan_runs": summary.reads.runs,
                "hit_runs": summary.reads.hit_runs,
                "hit_tables": summary.reads.hit_tables,
                "miss_tables": summary.reads.miss_tables,
            },
            "flushes": counters.flushes,
            "user_bytes": counters.user_bytes,
            "flushed_bytes": counters.flushed_bytes,
            "compaction_read_bytes": counters.compaction_read_bytes,
            "compaction_written_bytes": counters.compaction_written_bytes,
            "jobs": counters.jobs,
            "largest_job_bytes": counters.largest_job_bytes,
            "moves": counters.moves,
            "moved_bytes": counters.moved_bytes,
            "elapsed_s": outcome.elapsed_s,
            "slowed_s": outcome.slowed_s,
            "stopped_s": outcome.stopped_s,
            "samples": line(choice, outcome).points.iter().map(Point::json).collect::<Vec<_>>(),
        })
    });
    json!({
        "workload": args.about(load),
        "seed": args.seed,
        "strategies": strategies.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        let line = Line::try_parse_from([&["compaction"], arguments].concat());
        line.map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn bad_flags_are_named_with_what_was_found_and_what_is_allowed() {
        for (arguments, said) in [
            (
                &["--records", "0"][..],
                "invalid value '0' for '--records <NUMBER>': allowed: a whole number from 1 to",
            ),
            (&["--jobs", "99999999999999999999"], "allowed: a whole number from 1 to 64"),
            (&["--deletes", "1.5"], "'1.5' for '--deletes <SHARE>': allowed: a number from 0 to 1"),
            (&["--deletes", "NaN"], "allowed: a number from 0 to 1"),
            (
                &["--distribution", "zipf"],
                "'--distribution <NAME>': allowed: uniform, zipfian, seq",
            ),
            (&["--strategy", "levelled"], "did you mean `leveled`?"),
            (
                &["--strategy", "{leveled: {level_ratio: 1}}"],
                "`level_ratio` is 1; allowed: 2 to 100",
            ),
            (&["--strategy", "{leveled: {ratio: 8}}"], "unknown setting `ratio` of leveled"),
            (&["--flushes", "5", "--operations", "5"], "cannot be used with"),
            (&["--memtable-mib", "many"], "NUMBER>': allowed: a whole number from 1 to 1048576"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(said), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_in_a_label() {
        assert_eq!(label(&strategy("{leveled: {level_ratio: 10}}").unwrap()), "leveled");
        let said = strategy("{leveled: {level_ratio: 8, table_mib: 64}}").unwrap();
        assert_eq!(label(&said), "leveled level_ratio 8, table_mib 64");
        let said = strategy("{unified: {scaling: [L4, N]}}").unwrap();
        assert_eq!(label(&said), "unified scaling [L4,N]");
    }

    #[test]
    fn flushes_are_full_memtables_after_the_fill() {
        let load = |arguments: &[&str]| parse(arguments).unwrap().workload();
        assert_eq!(load(&["--flushes", "30", "--records", "1000000"]).unwrap().flushes(), 3 + 30);
        assert_eq!(load(&["--operations", "0", "--records", "1000000"]).unwrap().flushes(), 3);
        let never = load(&["--flushes", "30", "--records", "1000"]).unwrap_err().to_string();
        assert!(never.starts_with("--flushes is 30, but 1000 records never fill"), "{never}");
    }

    #[test]
    fn the_document_is_the_same_for_the_same_seed() {
        let args = parse(&["--records", "2000000", "--strategy", "leveled"]).unwrap();
        let load = args.workload().unwrap();
        let document = || {
            let picker = args.strategies[0].build();
            let outcome = amplification::run(&load, args.machine(), &*picker, 10, args.seed);
            document(&load, &args, &args.strategies, &[outcome.unwrap()])
        };
        let found = document();
        assert_eq!(found, document());
        let writes = found["strategies"][0]["write_amplification"]["after_fill"].as_f64().unwrap();
        assert!(writes > 1.0, "{found:#}");
    }
}
