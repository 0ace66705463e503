//! `quorate increment`: for clusters whose conflict strategy keeps counters.

use super::access::{KeyArgs, finish_write};
use crate::client::Client;
use std::process::ExitCode;

/// Add to a counter: prints the context token that covers the write
///
/// An increment whose outcome is unknown is not repeated; repeating it by hand may count twice.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    key: KeyArgs,
    /// How much to add; negative only where the strategy can subtract
    #[arg(default_value_t = 1, allow_negative_numbers = true)]
    by: i64,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { key, by } = args;
    let options = key.options(None);
    let increment = async |client: &Client| client.increment(key.key(), by, &options).await;
    let written = key.access.with_client(increment)?;
    finish_write(&key.access, written)
}
