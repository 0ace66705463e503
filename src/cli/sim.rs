//! `quorate sim`: clusters in virtual time.

use super::{FAILED, print, say};
use crate::sim::Log;
use crate::sim::scenario::{Player, Script, Silent, Stopped};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Play a scenario in virtual time: the same nodes, without processes, sockets or waiting
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 it ran; 1 an `expect` or an invariant did not hold, or it \
                        did not settle; 2 the scenario does not parse or asks the impossible.")]
pub struct Args {
    /// The scenario, such as tests/scripts/quorum/write_and_read.qs; `-` is standard input
    #[arg(long, value_name = "FILE")]
    script: PathBuf,
    /// Print the log of all that happened after the output, one line each
    #[arg(long)]
    trace: bool,
    /// Another seed than the scenario's
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shown = args.script.display();
    let mut script =
        Script::parse(&read(&args.script)?).with_context(|| format!("cannot play {shown}"))?;
    args.seed.into_iter().for_each(|seed| script.reseed(seed));
    let log = if args.trace { Log::text() } else { Log::Off };
    let mut player = Player::new(Silent, log);
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
    let Err(halted) = played else { return Ok(ExitCode::SUCCESS) };
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
