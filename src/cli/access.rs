//! What the subcommands that talk to a cluster share: their flags, the connection, the failures.

use super::{COULD_NOT_RUN, FAILED, print_json, say};
use crate::client::{CallOptions, Client, Options, Route};
use crate::level::Level;
use crate::message::{Failure, Outcome};
use crate::token;
use bytes::Bytes;
use quorate_strategies::NodeId;
use serde_json::json;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

/// Where the cluster is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ClusterArgs {
    /// gRPC addresses of nodes; the first that answers tells about all the others
    #[arg(
        long,
        value_name = "ADDR[,ADDR]",
        env = "QUORATE_CLUSTER",
        hide_env_values = true,
        value_delimiter = ','
    )]
    #[arg(default_value = "127.0.0.1:7101", value_parser = resolve)]
    pub cluster: Vec<SocketAddr>,
    /// Give up after this many milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout_ms: Option<u32>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

/// A key and how to ask about it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// The key, 1 byte at least and as many as the cluster allows at most
    #[arg(value_parser = nonempty)]
    pub key: String,
    /// Replicas that must take part: one, two, quorum, all, or a number
    #[arg(long)]
    pub level: Option<Level>,
    /// Let this node coordinate instead of a replica of the key
    #[arg(long, value_name = "ID", value_parser = node_id)]
    pub node: Option<NodeId>,
    #[command(flatten)]
    pub access: ClusterArgs,
}

/// The token that a write may carry.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ContextArgs {
    /// The context of an earlier answer: what this write has seen. Under vector_clock the write
    /// replaces exactly that; under lww it is only ordered after it. It is never a condition
    #[arg(long, value_name = "TOKEN", value_parser = token::decode)]
    pub context: Option<Bytes>,
}

fn nonempty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a key has at least 1 byte".to_string());
    }
    Ok(text.to_string())
}

fn resolve(text: &str) -> Result<SocketAddr, String> {
    let expected = "expected HOST:PORT, such as 127.0.0.1:7101";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{expected}: {error}"))?;
    found.next().ok_or_else(|| format!("{expected}: the name has no address"))
}

/// `n3` or `3`.
pub(super) fn node_id(text: &str) -> Result<NodeId, String> {
    let digits = text.strip_prefix('n').unwrap_or(text);
    digits.parse().map(NodeId).map_err(|_| "expected a node's id, such as n3 or 3".to_string())
}

impl ClusterArgs {
    /// Runs `ask` against the cluster on one thread of its own making.
    pub fn with_client<T>(&self, ask: impl AsyncFnOnce(&Client) -> T) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut options = Options::default();
        if let Some(timeout_ms) = self.timeout_ms {
            options.connect_timeout_ms = options.connect_timeout_ms.min(timeout_ms);
        }
        runtime.block_on(async {
            let client = Client::connect(&self.cluster, options).await?;
            Ok(ask(&client).await)
        })
    }
}

impl KeyArgs {
    pub fn key(&self) -> Bytes {
        Bytes::from(self.key.clone())
    }

    pub fn options(&self, context: Option<Bytes>) -> CallOptions {
        CallOptions {
            level: self.level,
            context,
            timeout_ms: self.access.timeout_ms,
            route: self.node.map_or(Route::Replica, Route::Node),
        }
    }
}

/// The end of a write: its token on standard output, or what went wrong.
pub(super) fn finish_write(
    access: &ClusterArgs,
    written: Result<Bytes, Failure>,
) -> anyhow::Result<ExitCode> {
    let context = match written {
        Ok(context) => token::encode(&context),
        Err(failure) => return failed(access, &failure, true),
    };
    if access.json {
        print_json(&json!({ "context": context }))?;
    } else {
        super::print(format!("{context}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reports a failure with what it means for the store.
pub(super) fn failed(
    access: &ClusterArgs,
    failure: &Failure,
    write: bool,
) -> anyhow::Result<ExitCode> {
    let (word, meaning) = match (failure.outcome(), write) {
        (Outcome::NotDone, true) => ("not_done", "the write was certainly not done"),
        (Outcome::NotDone, false) => ("not_done", "nothing was read, and a read changes nothing"),
        (Outcome::Unknown, _) => {
            ("unknown", "the outcome is unknown: the write may have been done or may still appear")
        }
    };
    if access.json {
        print_json(&json!({ "error": failure.to_string(), "outcome": word }))?;
    }
    say(format!("quorate: {failure}; {meaning}"));
    // What no cluster of this kind would ever do is bad input, as a bad flag is.
    let invalid = matches!(failure, Failure::Invalid(_));
    Ok(ExitCode::from(if invalid { COULD_NOT_RUN } else { FAILED }))
}
