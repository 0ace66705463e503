//! `quorate put`: a value from the command line, a file or standard input.

use super::access::{ContextArgs, KeyArgs, finish_write};
use crate::client::NewValue;
use crate::ttl;
use anyhow::Context;
use bytes::Bytes;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a key: prints the context token that covers the write
#[derive(Debug, clap::Args)]
#[command(override_usage = "quorate put [OPTIONS] <KEY> <VALUE|--file <PATH>>")]
pub struct Args {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    source: Source,
    /// Let the value expire after this many seconds, such as 60 or 0.5
    #[arg(long = "ttl", value_name = "SECONDS")]
    #[arg(value_parser = ttl::parse, allow_negative_numbers = true)]
    ttl_ms: Option<u64>,
    /// Kept with the value and shown to HTTP readers
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    content_type: String,
    #[command(flatten)]
    context: ContextArgs,
}

/// Where the value comes from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The value; `-` reads standard input, and after `--` any value may begin with `-`
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// Read the value from this file
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let new = NewValue {
        value: args.source.read()?,
        content_type: Bytes::from(args.content_type),
        flags: 0,
        ttl_ms: args.ttl_ms,
    };
    let options = args.key.options(args.context.context);
    let access = &args.key.access;
    let put =
        async |client: &crate::client::Client| client.put(args.key.key(), new, &options).await;
    let written = access.with_client(put)?;
    finish_write(access, written)
}

impl Source {
    fn read(&self) -> anyhow::Result<Bytes> {
        if let Some(path) = &self.file {
            let bytes = std::fs::read(path);
            return Ok(bytes.with_context(|| format!("cannot read {}", path.display()))?.into());
        }
        match self.value.as_deref() {
            Some("-") => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
                Ok(bytes.into())
            }
            value => Ok(Bytes::from(value.unwrap_or_default().to_string())),
        }
    }
}
