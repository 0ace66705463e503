//! `quorate sim`: clusters in virtual time.

use super::{FAILED, explore, print, say};
use crate::sim::Log;
use crate::sim::explore::Invariants;
use crate::sim::scenario::{Player, Script, Silent, Statement, Stopped, Watch};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Play scenarios in virtual time: the same nodes, without processes, sockets or waiting
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
                .args(["script", "seed", "seeds", "fresh"])))]
#[command(after_help = "Exit codes: 0 it ran; 1 an `expect` or an invariant did not hold, or it \
                        did not settle; 2 the scenario does not parse or asks the impossible.")]
pub struct Args {
    /// The scenario, such as tests/scripts/quorum/write_and_read.qs; `-` is standard input
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Play it under the invariants of random exploration
    #[arg(long, requires = "script")]
    check: bool,
    /// Print the log of all that happened after the output, one line each
    #[arg(long, requires = "script")]
    trace: bool,
    /// Another seed than the scenario's; without --script the one seed to explore
    #[arg(long, value_name = "NUMBER", conflicts_with = "seeds")]
    seed: Option<u64>,
    #[command(flatten)]
    explore: explore::Args,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(path) = &args.script else { return explore::run(&args.explore, args.seed) };
    let shown = path.display();
    let mut script = Script::parse(&read(path)?).with_context(|| format!("cannot play {shown}"))?;
    args.seed.into_iter().for_each(|seed| script.reseed(seed));
    match script.statements().next() {
        Some(Statement::Cluster(setup)) if args.check => {
            let watch = Invariants::new(&setup.config()?);
            play(&args, path, &script, watch)
        }
        _ => play(&args, path, &script, Silent),
    }
}

fn play(args: &Args, path: &Path, script: &Script, watch: impl Watch) -> anyhow::Result<ExitCode> {
    let shown = path.display();
    let log = if args.trace { Log::text() } else { Log::Off };
    let mut player = Player::new(watch, log);
    let mut printed = Ok(());
    let played = script.play(&mut player, |block| {
        if printed.is_ok() {
            printed = print(block);
        }
    });
    printed?;
    if let (true, Some(world)) = (args.trace, player.world()) {
        print("\n# All that happened, in microseconds.\n")?;
        print(world.log().lines())?;
    }
    let Err(halted) = played else {
        let Err(stopped) = player.finish() else { return Ok(ExitCode::SUCCESS) };
        say(format!("quorate: {shown}: {stopped}"));
        return Ok(ExitCode::from(FAILED));
    };
    match halted.stopped {
        Stopped::Unsettled { .. } | Stopped::Unexpected { .. } | Stopped::Violated(_) => {
            say(format!("quorate: {shown}: {halted}"));
            Ok(ExitCode::from(FAILED))
        }
        _ => Err(halted).with_context(|| format!("cannot play {shown}")),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let read = || match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}
