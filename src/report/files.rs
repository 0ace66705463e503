//! Names of the files of a run, and writing that leaves no half file under a final name.

use super::ReportError;
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) const SPEC: &str = "spec.yaml";
pub(super) const RUN: &str = "run.json";
pub(super) const TRIALS: &str = "trials";
pub(super) const TRIAL: &str = "trial.json";
pub(super) const RESPONSE: &str = "response.hlog";
pub(super) const SERVICE: &str = "service.hlog";
pub(super) const BY_NODE: &str = "by_node.hlog";
pub(super) const LAG: &str = "lag.hlog";
pub(super) const LOGS: &str = "logs";
pub(super) const PLOTS: &str = "plots";
pub(super) const SUMMARY: &str = "summary.txt";

/// Writes `bytes` beside `path` under a hidden name, syncs, and renames: a reader sees the old
/// contents or the new ones, also after a crash.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let hidden = hidden_name(path);
    let mut file = fs::File::create(&hidden).map_err(ReportError::io("create", &hidden))?;
    file.write_all(bytes).map_err(ReportError::io("write", &hidden))?;
    file.sync_all().map_err(ReportError::io("sync", &hidden))?;
    fs::rename(&hidden, path).map_err(ReportError::io("rename to", path))
}

pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ReportError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| ReportError::io("write", path)(error.into()))?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// An empty hidden folder that [`publish`] later renames to `path`. What a crash left is removed.
pub(super) fn stage(path: &Path) -> Result<PathBuf, ReportError> {
    let hidden = hidden_name(path);
    remove_folder(&hidden)?;
    fs::create_dir_all(&hidden).map_err(ReportError::io("create", &hidden))?;
    Ok(hidden)
}

/// Gives a staged folder its name, in place of what stood there.
pub(super) fn publish(hidden: &Path, path: &Path) -> Result<(), ReportError> {
    remove_folder(path)?;
    fs::rename(hidden, path).map_err(ReportError::io("rename to", path))
}

fn remove_folder(path: &Path) -> Result<(), ReportError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ReportError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// `.name.partial` in the same folder, so that the rename stays within one file system.
fn hidden_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

/// `name` with everything that is not a letter, a digit, `-` or `_` replaced, fit for a file name.
pub(super) fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' })
        .collect()
}
