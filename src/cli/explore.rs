//! `quorate sim --seeds N`: random scenarios under all invariants.

use super::{FAILED, print, say};
use crate::sim::explore::{Broken, Faults, Shape, Shrunk, Survey, generate, shrink, survey};
use rustix::time::{ClockId, clock_gettime};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

/// Scenarios that shrinking may play.
const SHRINK_PLAYS: usize = 10_000;

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Random exploration")]
pub struct Args {
    /// Draw so many scenarios of load and faults, and check what must hold all the way
    #[arg(long, value_name = "NUMBER", conflicts_with = "script",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    /// The first of the seeds
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with_all = ["seed", "fresh"])]
    first_seed: u64,
    /// Begin with a seed drawn from the clock, and print it; one seed unless --seeds says more
    #[arg(long, conflicts_with_all = ["script", "seed"])]
    pub fresh: bool,
    /// Nodes of each cluster
    #[arg(long, value_name = "NUMBER", default_value_t = 5,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    nodes: u16,
    /// Copies of each key
    #[arg(long, value_name = "NUMBER", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(1..=16))]
    n: u8,
    /// Faults that may occur, each seed takes some of them: names with commas, `all` or `none`
    #[arg(long, value_name = "NAMES", default_value_t = Faults::default())]
    faults: Faults,
    /// One conflict resolver for all seeds; else each seed draws one
    #[arg(long, value_name = "NAME")]
    conflict: Option<String>,
    /// Go on after a seed that broke a promise, and list all of them
    #[arg(long)]
    keep_going: bool,
}

impl Args {
    fn shape(&self) -> Shape {
        let (faults, conflict) = (self.faults.clone(), self.conflict.clone());
        Shape { nodes: self.nodes, n: self.n.into(), faults, conflict }
    }

    /// The options that shape the scenario of a seed, where they are not the default.
    fn replay(&self, seed: u64) -> String {
        let usual = Shape::default();
        let mut command = format!("quorate sim --seed {seed}");
        if self.nodes != usual.nodes {
            command += &format!(" --nodes {}", self.nodes);
        }
        if usize::from(self.n) != usual.n {
            command += &format!(" --n {}", self.n);
        }
        if self.faults != usual.faults {
            command += &format!(" --faults {}", self.faults);
        }
        if let Some(conflict) = &self.conflict {
            command += &format!(" --conflict {conflict}");
        }
        command
    }
}

/// Explores; `seed` names one seed.
pub fn run(args: &Args, seed: Option<u64>) -> anyhow::Result<ExitCode> {
    let first = match (seed, args.fresh) {
        (Some(seed), _) => seed,
        (None, true) => fresh(),
        (None, false) => args.first_seed,
    };
    if args.fresh {
        print(format!("Fresh seed {first}.\n"))?;
    }
    let count = if seed.is_some() { 1 } else { args.seeds.unwrap_or(1) };
    let seeds = first..first.saturating_add(count);
    let (began, cpu_s) = (Instant::now(), cpu_s());
    let progress = std::io::stderr().is_terminal();
    let survey = survey(seeds, &args.shape(), args.keep_going, |survey| {
        if progress {
            let broken = survey.broken.len();
            say(format!("{} of {count} seeds, {broken} broke a promise", survey.seeds));
        }
    })?;
    let times = Times { real_s: began.elapsed().as_secs_f64(), cpu_s: self::cpu_s() - cpu_s };
    let mut shown = Vec::new();
    for (seed, broken) in &survey.broken {
        print(format!("\nSeed {seed}: {}\n", told(broken)))?;
        // The first of each kind; the others are replayed one by one.
        if !shown.contains(&broken.violation.promise) {
            shown.push(broken.violation.promise);
            print(smallest(args, *seed, broken)?)?;
        }
    }
    print(summary(&survey, &times))?;
    Ok(if survey.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Below 2^32, so that people can type it.
fn fresh() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ (since.as_secs() << 16 & u64::from(u32::MAX))
}

struct Times {
    real_s: f64,
    cpu_s: f64,
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn told(broken: &Broken) -> String {
    let at_s = broken.at_us as f64 / 1e6;
    format!("after {at_s:.6} s and {} steps, {}", broken.step, broken.violation)
}

/// The shrunk scenario of a seed, as a script that can be kept.
fn smallest(args: &Args, seed: u64, broken: &Broken) -> anyhow::Result<String> {
    let plan = generate(seed, &args.shape())?;
    let replay = args.replay(seed);
    let Some(shrunk) = shrink(&plan, broken.violation.promise, SHRINK_PLAYS) else {
        return Ok(format!("It did not happen again. Replay it: {replay}\n"));
    };
    let Shrunk { statements, broken, plays } = shrunk;
    let script: String = statements.iter().map(|statement| format!("{statement}\n")).collect();
    Ok(format!(
        "Smallest scenario found in {plays} plays; `quorate sim --check --script FILE` plays it, \
         and `{replay}` the whole one.\n\n# {}\n{script}\n",
        told(&broken)
    ))
}

fn summary(survey: &Survey, times: &Times) -> String {
    let simulated_s = survey.simulated_us as f64 / 1e6;
    let events = survey.happenings as f64;
    let outcomes = survey.outcomes;
    let faults: Vec<String> =
        survey.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    let per = |amount: f64, seconds: f64| amount / seconds.max(1e-9);
    format!(
        "\n{} seeds, {} broke a promise\n\
         simulated   {simulated_s:.0} s, {:.0} for each real second\n\
         events      {}, {:.0} a second on one core\n\
         requests    {} done, {} certainly not done, {} unknown\n\
         faults      {}; {} packets lost\n",
        survey.seeds,
        survey.broken.len(),
        per(simulated_s, times.real_s),
        survey.happenings,
        per(events, times.cpu_s),
        outcomes.done,
        outcomes.not_done,
        outcomes.unknown,
        if faults.is_empty() { "none".to_string() } else { faults.join(", ") },
        survey.packets_lost,
    )
}
