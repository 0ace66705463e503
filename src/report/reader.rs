//! Reads the record of a run back from its files.

use super::trial::{Latencies, RunInfo, Trial, latencies};
use super::{ReportError, files, hlog};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that the files of a run say.
#[derive(Clone, Debug)]
pub struct Run {
    pub info: RunInfo,
    /// In the order of execution.
    pub trials: Vec<Trial>,
}

/// Reads the run in `dir`. Trials are read in parallel: decoding histograms is the work.
///
/// # Errors
/// Also where no trial is kept: a view drawn from nothing would replace one that cannot be remade.
pub fn read(dir: &Path) -> Result<Run, ReportError> {
    if !dir.is_dir() {
        return Err(ReportError::NoSuchFolder { path: dir.to_path_buf() });
    }
    let run = dir.join(files::RUN);
    if !run.is_file() {
        return Err(ReportError::NotARun { path: dir.to_path_buf(), missing: files::RUN });
    }
    let info = read_json(&run, "what `quorate experiment` writes about a run")?;
    let folders = trial_folders(&dir.join(files::TRIALS))?;
    if folders.is_empty() {
        return Err(ReportError::NoTrials { path: dir.to_path_buf() });
    }
    let trials =
        folders.par_iter().map(|folder| read_trial(folder)).collect::<Result<Vec<_>, _>>()?;
    Ok(Run { info, trials })
}

/// Sorted by name, which is the order of execution. Hidden folders are unfinished.
fn trial_folders(trials: &Path) -> Result<Vec<PathBuf>, ReportError> {
    if !trials.is_dir() {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(trials).map_err(ReportError::io("list", trials))? {
        let path = entry.map_err(ReportError::io("list", trials))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn read_trial(folder: &Path) -> Result<Trial, ReportError> {
    let path = folder.join(files::TRIAL);
    let mut trial: Trial = read_json(&path, "what `quorate experiment` writes about a trial")?;
    let response_path = folder.join(files::RESPONSE);
    let service_path = folder.join(files::SERVICE);
    let mut response = hlog::read(&response_path)?;
    let mut service = hlog::read(&service_path)?;
    for operation in &mut trial.operations {
        operation.response = take(&mut response, &operation.kind, &response_path)?;
        operation.service = take(&mut service, &operation.kind, &service_path)?;
    }
    trial.by_node = hlog::read(&folder.join(files::BY_NODE))?;
    let lag_path = folder.join(files::LAG);
    trial.schedule.lag = take(&mut hlog::read(&lag_path)?, "lag", &lag_path)?;
    Ok(trial)
}

fn take(
    histograms: &mut BTreeMap<String, Latencies>,
    tag: &str,
    path: &Path,
) -> Result<Latencies, ReportError> {
    let found = histograms.remove(tag).ok_or_else(|| ReportError::Damaged {
        path: path.to_path_buf(),
        line: None,
        found: format!("no histogram tagged `{tag}`"),
        expected: "one line per kind of operation in trial.json".into(),
    })?;
    // Bounds as every other histogram of a run, so that they can be added up.
    let mut histogram = latencies();
    histogram.add(found).map_err(|error| ReportError::Damaged {
        path: path.to_path_buf(),
        line: None,
        found: format!("the histogram `{tag}` is out of range ({error})"),
        expected: "latencies from 1 microsecond to an hour".into(),
    })?;
    Ok(histogram)
}

fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, ReportError> {
    let text = fs::read(path).map_err(ReportError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| ReportError::Damaged {
        path: path.to_path_buf(),
        line: Some(error.line()),
        found: error.to_string(),
        expected: expected.into(),
    })
}
