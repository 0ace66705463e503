//! `quorate report`: shows a run again and redraws its tables and plots, without running anything.

use super::print;
use crate::report::{self, Summary};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a finished run again, and remake its tables and plots from its files
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's folder, such as results/quorum/20260301T120000Z-0123456789ab
    #[arg(value_name = "DIR")]
    run: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    show(&report::render(&args.run)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the card as wide as the terminal, and where the files are.
pub(super) fn show(summary: &Summary) -> anyhow::Result<()> {
    let card = match terminal_columns() {
        Some(columns) => summary.card(columns),
        None => summary.to_string(),
    };
    print(format!("{card}{:<11}{}\n", "files", summary.dir.display()))
}

/// None where standard output is a file or a pipe, or the terminal does not tell.
fn terminal_columns() -> Option<usize> {
    let out = std::io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col).clamp(80, 160))
}
