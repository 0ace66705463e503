//! What can go wrong with the files of a run, each with the place and what was expected there.

use std::path::{Path, PathBuf};

/// A run that could not be written, read or drawn.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{}: no such folder; expected a run's folder, such as results/quorum/<time>-<commit>",
        path.display())]
    NoSuchFolder { path: PathBuf },
    #[error("{}: not the folder of a run; expected a file {missing} in it", path.display())]
    NotARun { path: PathBuf, missing: &'static str },
    #[error("{}: no trial is kept here, so there is nothing to draw from; expected a folder \
        trials/ with one folder per trial, which results/showcase leaves out", path.display())]
    NoTrials { path: PathBuf },
    #[error("{}: holds a run already; expected a new or empty folder", path.display())]
    AlreadyThere { path: PathBuf },
    #[error("{}{}: {found}; expected {expected}", path.display(), line_suffix(*line))]
    Damaged { path: PathBuf, line: Option<usize>, found: String, expected: String },
    #[error("trial `{id}` cannot be written: {reason}")]
    InvalidTrial { id: String, reason: String },
    #[error("cannot draw {}: {reason}", path.display())]
    Draw { path: PathBuf, reason: String },
}

impl ReportError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}
