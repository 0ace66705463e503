//! `quorate serve`: run one node of a cluster until SIGTERM or SIGINT.

use crate::config::NodeConfig;
use crate::server;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Run one node of a cluster until SIGTERM or SIGINT
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The node's YAML file: who it is, where its data lies, and the members of the cluster
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Log as JSON, one object per line. What is logged says QUORATE_LOG (such as `info` or
    /// `quorate::server=debug`).
    #[arg(long)]
    log_json: bool,
    /// Be killed when the process that started this one ends, however it ends. With a process id:
    /// do not even start if that process is not the parent any more.
    #[arg(long, value_name = "PID", num_args = 0..=1, require_equals = true)]
    die_with_parent: Option<Option<i32>>,
}

/// Runs the node. Success: it was asked to stop, and stopped in order.
pub fn run(args: Args) -> Result<ExitCode, anyhow::Error> {
    if let Some(parent) = args.die_with_parent {
        die_with_parent(parent)?;
    }
    start_log(args.log_json);
    let config = NodeConfig::load(&args.config)?;
    server::run(config, stop_signal())?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the kernel to kill this process with its parent. A parent that ended before this call is
/// found out by the process id: then the parent is somebody else.
fn die_with_parent(expected: Option<i32>) -> Result<(), anyhow::Error> {
    let before = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let expected = expected.map_or(before, Pid::from_raw);
    if getppid() != expected {
        anyhow::bail!("the process that started this node has ended");
    }
    Ok(())
}

/// Text or JSON on stderr.
fn start_log(json: bool) {
    let filter = EnvFilter::try_from_env("QUORATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match json {
        true => builder.json().init(),
        false => builder.with_ansi(false).with_target(false).init(),
    }
}

/// Done at the first SIGTERM or SIGINT.
async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be received; only SIGKILL will stop this node");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
