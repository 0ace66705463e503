//! The command line: one file per subcommand, each with its `Args` and its `run`.
//!
//! ```text
//!   main ─► Cli::run ─► get, put, delete, increment, status ─► client ─► a running cluster
//!                   ├─► serve ─► server: one node, until it is stopped
//!                   ├─► list ─► the registries
//!                   ├─► engine ─► the folder of an engine that is not open
//!                   ├─► report ─► the files of a run
//!                   ├─► sim ─► a cluster in virtual time
//!                   ├─► compaction ─► the strategies on table metadata alone
//!                   └─► experiment ─► a cluster of its own, a load, a report
//! ```
//!
//! # Invariants
//!
//! * Exit codes: 0 it ran; 1 it ran and failed, or the key was not found; 2 it could not run, or
//!   the input can never be served (a key that is too long, a level above N, a node that is no
//!   member); 130 an experiment was interrupted.
//! * Standard output carries the result alone (bytes of a value, a token, a table, or with `--json`
//!   one JSON document); what is said to a person goes to standard error.
//! * A failed request says what it means for the store: certainly not done, or unknown.
//! * A closed pipe is no error: output goes through [`print`], never through `println!`, which
//!   panics.
//!
//! # Caveats: what is left out, and what it would take
//!
//! One process makes one request. Loading many keys from a file belongs to a subcommand of its own,
//! on top of [`crate::client::Client::submit`].

mod access;
mod compaction;
mod delete;
mod engine;
mod experiment;
mod explore;
mod get;
mod increment;
mod list;
mod put;
mod report;
mod serve;
mod sim;
mod status;
mod text;

use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// A wind tunnel for Dynamo-style key-value stores: the store and the laboratory in one binary.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 it ran; 1 it ran and failed, or found nothing; \
                        2 it could not run, or was asked for what cannot be.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(get::Args),
    Put(put::Args),
    Delete(delete::Args),
    Increment(increment::Args),
    Status(status::Args),
    Serve(serve::Args),
    List(list::Args),
    Engine(engine::Args),
    Report(report::Args),
    Experiment(experiment::Args),
    Sim(sim::Args),
    Compaction(compaction::Args),
}

impl Cli {
    /// # Errors
    /// If the subcommand could not run: the caller prints the chain of causes and exits with 2.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Get(args) => get::run(args),
            Command::Put(args) => put::run(args),
            Command::Delete(args) => delete::run(args),
            Command::Increment(args) => increment::run(args),
            Command::Status(args) => status::run(args),
            Command::Serve(args) => serve::run(args),
            Command::List(args) => list::run(args),
            Command::Engine(args) => engine::run(args),
            Command::Report(args) => report::run(args),
            Command::Experiment(args) => experiment::run(args),
            Command::Sim(args) => sim::run(args),
            Command::Compaction(args) => compaction::run(args),
        }
    }
}

/// Ran, and failed or found nothing.
const FAILED: u8 = 1;
/// Could not run: bad input, no cluster, a file that is not there.
pub const COULD_NOT_RUN: u8 = 2;

/// An error and its causes in one line, each said once: many texts hold their cause's already.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match () {
            () if sentence.is_empty() => sentence = cause,
            () if sentence.contains(&cause) => {}
            () => sentence = format!("{sentence}: {cause}"),
        }
    }
    sentence
}

/// Whoever read standard output has gone.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub struct OutputClosed;

/// Writes to standard output.
///
/// # Errors
/// [`OutputClosed`] where the reader has gone, which `main` takes for success.
pub fn print(bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes.as_ref()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// Writes one JSON document to standard output.
fn print_json(document: &serde_json::Value) -> anyhow::Result<()> {
    print(format!("{document:#}\n"))
}

/// Says something to the person at the terminal.
fn say(line: impl std::fmt::Display) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;

    fn refusal(arguments: &[&str]) -> (i32, String) {
        let error = Cli::try_parse_from([&["quorate"], arguments].concat()).unwrap_err();
        (error.exit_code(), error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_be_a_negative_number_and_a_time_to_live_a_fraction() {
        for arguments in [&["put", "k", "-5"][..], &["put", "k", "v", "--ttl", "0.5"]] {
            Cli::try_parse_from([&["quorate"], arguments].concat()).unwrap();
        }
    }

    #[test]
    fn every_subcommand_says_what_it_is_for() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn a_cause_that_is_said_already_is_not_said_again() {
        let gone = || std::io::Error::from(ErrorKind::NotFound);
        let error = crate::config::ConfigError::Read { path: "x".to_string(), source: gone() };
        assert_eq!(sentence(&error.into()), "x: entity not found");
        let error = anyhow::Error::from(gone()).context("cannot read x");
        assert_eq!(sentence(&error), "cannot read x: entity not found");
    }

    #[test]
    fn bad_arguments_exit_with_2_and_say_what_is_allowed() {
        for (arguments, said) in [
            (&["get", "k", "--level", "most"][..], "allowed: strong, eventual, one, two"),
            (&["get", "k", "--cluster", "nowhere"], "HOST:PORT"),
            (&["get", ""], "1 byte"),
            (&["put", "k", "v", "--ttl", "0"], "is `0`; allowed: seconds above 0 and up to"),
            (&["put", "k", "v", "--ttl", "-1"], "is `-1`; allowed: seconds above 0 and up to"),
            (&["put", "k"], "--file"),
            (&["put", "k", "v", "--context", "?"], "no version token"),
            (&["increment", "k", "many"], "many"),
            (&["report"], "<DIR>"),
            (&["sim"], "--script"),
            (&["sim", "--seeds", "many"], "many"),
            (&["sim", "--seeds", "0"], "0 is not in"),
            (&["sim", "--seed", "-1"], "-1"),
            (&["sim", "--seeds", "5", "--faults", "crush"], "did you mean `crash`?"),
            (&["sim", "--seeds", "5", "--script", "a.qs"], "--script"),
            (&["frobnicate"], "unrecognized subcommand"),
        ] {
            let (code, text) = refusal(arguments);
            assert_eq!(code, 2, "{arguments:?}");
            assert!(text.contains(said), "{arguments:?}: {text}");
        }
    }
}
