//! `quorate delete`.

use super::access::{ContextArgs, KeyArgs, finish_write};
use crate::client::Client;
use std::process::ExitCode;

/// Delete a key: prints the context token that covers the tombstone
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    context: ContextArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { key, context } = args;
    let options = key.options(context.context);
    let delete = async |client: &Client| client.delete(key.key(), &options).await;
    let written = key.access.with_client(delete)?;
    finish_write(&key.access, written)
}
