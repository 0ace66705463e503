//! `quorate engine`: looks into the folder of an engine that is not open, and cares for it.
//!
//! ```text
//!   verify, stats, dump ─► engine::inspect   reads; changes nothing
//!   snapshot, restore ───► Lsm::snapshot     second names for the files of another folder
//!   salvage ─────────────► Lsm::salvage      sets aside what is behind a hole in the log
//! ```
//!
//! # Invariants
//!
//! * Exit codes: 0 sound, or done; 1 damage was found, which standard output (`verify`, `stats`) or
//!   standard error names with file and offset; 2 the folder is missing, in use, or none of an
//!   engine.
//! * Keys and values are bytes: they are shown as ASCII with escapes, and bounds are read so.
//!
//! # Caveats: what is left out, and what it would take
//!
//! `snapshot`, `restore` and `salvage` open the engine with the default settings, since a folder
//! does not say which it was written with. They flush what only the log holds into a table of these
//! settings; nothing is compacted.

mod care;
mod dump;
mod escape;
mod look;

use crate::engine::inspect::Inspection;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Look into the folder of an engine that is not open: verify, dump, stats, snapshot, restore
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 sound, or done; 1 damage was found; 2 the folder is missing, \
                        in use, or none of an engine."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(look::Verify),
    Stats(look::Stats),
    Dump(dump::Args),
    Snapshot(care::Snapshot),
    Restore(care::Restore),
    Salvage(care::Salvage),
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Verify(args) => look::verify(&args),
        Command::Stats(args) => look::stats(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Snapshot(args) => care::snapshot(&args),
        Command::Restore(args) => care::restore(&args),
        Command::Salvage(args) => care::salvage(&args),
    }
}

/// Which engine.
#[derive(Debug, clap::Args)]
struct Place {
    /// The engine's folder, or the data folder of a node, whose `engine` it then is
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

impl Place {
    fn inspect(&self) -> anyhow::Result<Inspection> {
        Ok(Inspection::open(&engine_folder(&self.dir))?)
    }
}

/// A node keeps its engine in a folder of its data folder.
fn engine_folder(dir: &Path) -> PathBuf {
    let inner = dir.join("engine");
    let is_node = inner.is_dir() && !dir.join("CURRENT").exists();
    if is_node { inner } else { dir.to_path_buf() }
}
