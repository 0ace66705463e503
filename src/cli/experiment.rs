//! `quorate experiment`: one YAML file in, one answered question out.

use super::{FAILED, print, say};
use crate::experiment::error::Error;
use crate::experiment::interrupt::{ENDED_BY_SIGINT, Interrupt};
use crate::experiment::matrix::{Plan, plan};
use crate::experiment::parse::Source;
use crate::experiment::progress::length;
use crate::experiment::run;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Start a cluster, load it, measure it and draw the result, as a YAML file says
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 it ran, whether its targets were met or not; 1 it ran and read \
                  values that nobody wrote; 2 it could not run; 130 it was interrupted. Ctrl-C \
                  ends the running trial and reports what was measured; a second one ends at once."
)]
pub struct Args {
    /// The experiment, such as experiments/quorum.yaml
    file: PathBuf,
    /// Change a field of the file, such as load.rate=2000 or matrix.workload=[a]; repeatable
    #[arg(long = "set", value_name = "PATH=VALUE")]
    settings: Vec<String>,
    /// Run only the trials with this coordinate, such as workload=a or quorum=2,2; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    only: Vec<String>,
    /// Folder of all results
    #[arg(long, value_name = "DIR", default_value = "results")]
    out: PathBuf,
    /// Keep what the nodes stored
    #[arg(long)]
    keep_data: bool,
    /// Check the file, list the trials, and start nothing
    #[arg(long)]
    dry_run: bool,
    /// Another seed than the file's
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = Source::read(&args.file)?;
    let mut settings = args.settings;
    settings.extend(args.seed.map(|seed| format!("seed={seed}")));
    let plan = plan(&source, source.parse(&settings)?, &args.only)?;
    if args.dry_run {
        print(listing(&plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = run::Options { out: args.out, keep_data: args.keep_data };
    let ending = "interrupted: ending the trial and reporting; once more to end at once";
    let interrupt = Interrupt::install(move || say(ending))?;
    let summary = match run::run(&plan, &options, &interrupt) {
        Err(error @ Error::Interrupted) => {
            say(format!("quorate: {error}"));
            return Ok(ExitCode::from(ENDED_BY_SIGINT));
        }
        outcome => outcome?,
    };
    super::report::show(&summary)?;
    Ok(ExitCode::from(code(summary.invalid, interrupt.is_set())))
}

/// Data that nobody wrote outweighs everything: a script must not take it for an early end.
fn code(invalid: u64, interrupted: bool) -> u8 {
    match (invalid, interrupted) {
        (1.., _) => FAILED,
        (0, true) => ENDED_BY_SIGINT,
        (0, false) => 0,
    }
}

/// What would run.
fn listing(plan: &Plan) -> String {
    let Plan { spec, trials } = plan;
    let mut text = format!("{}: {}\n", spec.name, spec.question);
    for (index, planned) in trials.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", run::title(index + 1, trials.len(), planned));
    }
    let _ = writeln!(text, "about {}", length(run::expected(plan)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_tell_how_it_ended() {
        let codes = [(0, false), (0, true), (1, false), (7, true)].map(|(n, cut)| code(n, cut));
        assert_eq!(codes, [0, 130, 1, 1]);
    }
}
