//! Why an experiment cannot be read, started or continued.

use quorate_strategies::NodeId;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("node {node} {what}{}", last_lines(.log))]
    Node { node: NodeId, what: String, log: String },
    #[error("loading the records: {0}")]
    Loading(String),
    #[error("the load cannot reach the cluster: {0}")]
    Client(String),
    #[error("the simulated cluster: {0}")]
    Simulation(String),
    #[error("{0}")]
    Report(String),
    #[error("interrupted before anything was measured")]
    Interrupted,
}

impl Error {
    /// For `map_err`: names what was done to which path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { doing, path, source }
    }
}

fn last_lines(log: &str) -> String {
    match log {
        "" => "; its log is empty".to_string(),
        lines => format!("; its last log lines:\n{lines}"),
    }
}

/// One message about one place of an experiment's file.
#[derive(Debug, PartialEq, Eq)]
pub struct SpecError {
    pub file: String,
    /// Counted from 1; absent where the place is not in the file, such as an option's value.
    pub line: Option<usize>,
    /// The path of the field, such as `load.rate`; empty where the message names it.
    pub field: String,
    /// What was found and what is allowed.
    pub message: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for SpecError {}
