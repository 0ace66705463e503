//! The `quorate` binary: parse, dispatch, exit code. Everything else is the library's.

use clap::Parser;
use quorate::cli::{COULD_NOT_RUN, Cli, OutputClosed, sentence};
use std::io::Write;
use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        // `quorate list | head` ends early and means no harm.
        Err(error) if error.is::<OutputClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed, too, the exit code is all that can be said.
            let _ = writeln!(std::io::stderr(), "quorate: {}", sentence(&error));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}
