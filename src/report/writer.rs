//! Writes the record of a run while it happens: one folder per finished trial.

use super::trial::{RunInfo, Trial};
use super::{ReportError, Summary, files, hlog};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of a run that is going on.
pub struct RunWriter {
    dir: PathBuf,
    info: RunInfo,
}

/// `results/<experiment>/<time>-<commit>`: where a run belongs. Sorted by name is sorted by time.
/// [`RunWriter::create_in`] adds a number where two runs began in the same second.
pub fn run_directory(results: &Path, info: &RunInfo) -> PathBuf {
    let keep = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
    };
    let time: String =
        info.provenance.started_utc.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let (commit, state) = match info.provenance.commit.strip_suffix("-dirty") {
        Some(commit) => (commit, "-dirty"),
        None => (info.provenance.commit.as_str(), ""),
    };
    let short: String = keep(commit).chars().take(12).collect();
    results.join(files::file_name(&info.experiment)).join(format!("{}-{short}{state}", keep(&time)))
}

impl RunWriter {
    /// Creates the folder and writes what is known before the first trial. `resolved_spec` is the
    /// YAML that would run exactly this again. Fails when `dir` holds a run already.
    pub fn create(dir: &Path, info: &RunInfo, resolved_spec: &str) -> Result<Self, ReportError> {
        if dir.join(files::RUN).exists() {
            return Err(ReportError::AlreadyThere { path: dir.to_path_buf() });
        }
        for folder in [dir.to_path_buf(), dir.join(files::TRIALS), dir.join(files::LOGS)] {
            fs::create_dir_all(&folder).map_err(ReportError::io("create", &folder))?;
        }
        // Until `finish` the honest state of the run is that it did not get to its end.
        let info = RunInfo { interrupted: true, ..info.clone() };
        files::write_whole(&dir.join(files::SPEC), resolved_spec.as_bytes())?;
        files::write_json(&dir.join(files::RUN), &info)?;
        Ok(Self { dir: dir.to_path_buf(), info })
    }

    /// Creates the folder of a new run below `results`: [`run_directory`], or where another run
    /// that began in the same second has that name, the same with `-2`, `-3` and so on.
    pub fn create_in(
        results: &Path,
        info: &RunInfo,
        resolved_spec: &str,
    ) -> Result<Self, ReportError> {
        let dir = claim(&run_directory(results, info))?;
        Self::create(&dir, info, resolved_spec)
    }

    /// The folder of the run.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the log of `node` during the trial `id` belongs. The folder exists.
    pub fn log_path(&self, id: &str, node: &str) -> PathBuf {
        self.dir.join(files::LOGS).join(format!(
            "{}-{}.log",
            files::file_name(id),
            files::file_name(node)
        ))
    }

    /// Records a trial that has ended. It is on disk, whole, when this returns.
    pub fn add(&mut self, trial: &Trial) -> Result<(), ReportError> {
        check(trial)?;
        let path = self.dir.join(files::TRIALS).join(&trial.id);
        if path.exists() {
            return Err(invalid(trial, "a trial of this id was written before"));
        }
        let hidden = files::stage(&path)?;
        files::write_json(&hidden.join(files::TRIAL), trial)?;
        write_histograms(&hidden, trial)?;
        files::publish(&hidden, &path)
    }

    /// Ends the run and draws it. `interrupted`: it ended before its last trial.
    pub fn finish(mut self, interrupted: bool) -> Result<Summary, ReportError> {
        self.info.interrupted = interrupted;
        files::write_json(&self.dir.join(files::RUN), &self.info)?;
        super::render(&self.dir)
    }
}

/// Creates `dir` or its first free numbered neighbour, which is then nobody else's.
fn claim(dir: &Path) -> Result<PathBuf, ReportError> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).map_err(ReportError::io("create", parent))?;
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut candidate = dir.to_path_buf();
    for number in 2_u64.. {
        match fs::create_dir(&candidate) {
            Ok(()) => break,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                candidate = dir.with_file_name(format!("{name}-{number}"));
            }
            Err(error) => return Err(ReportError::io("create", &candidate)(error)),
        }
    }
    Ok(candidate)
}

fn write_histograms(dir: &Path, trial: &Trial) -> Result<(), ReportError> {
    let kinds = || trial.operations.iter();
    let response = kinds().map(|o| (o.kind.as_str(), &o.response));
    let service = kinds().map(|o| (o.kind.as_str(), &o.service));
    let nodes = trial.by_node.iter().map(|(name, histogram)| (name.as_str(), histogram));
    let lag = [("lag", &trial.schedule.lag)].into_iter();
    let s = trial.measured_s;
    let logs = [
        (files::RESPONSE, hlog::encode(response, "response time by kind of operation", s)),
        (files::SERVICE, hlog::encode(service, "service time by kind of operation", s)),
        (files::BY_NODE, hlog::encode(nodes, "response time by coordinating node", s)),
        (files::LAG, hlog::encode(lag, "schedule lag of all operations", s)),
    ];
    for (name, text) in logs {
        let path = dir.join(name);
        files::write_whole(&path, &text.map_err(ReportError::io("encode", &path))?)?;
    }
    Ok(())
}

/// What the formats cannot carry is refused here, before a file is touched.
fn check(trial: &Trial) -> Result<(), ReportError> {
    if trial.id.is_empty() || trial.id != files::file_name(&trial.id) {
        return Err(invalid(trial, "its id must be letters, digits, `-` and `_`"));
    }
    if !(trial.measured_s.is_finite() && trial.measured_s >= 0.0) {
        return Err(invalid(trial, "its measured time must be a number of seconds from 0"));
    }
    if let Some(reason) = trial.measures.iter().find_map(super::measure::Measure::fault) {
        return Err(invalid(trial, &reason));
    }
    let mut named = std::collections::BTreeSet::new();
    if let Some(twice) = trial.measures.iter().find(|measure| !named.insert(&measure.name)) {
        return Err(invalid(trial, &format!("the measure `{}` stands twice", twice.name)));
    }
    let kinds = trial.operations.iter().map(|operation| &operation.kind);
    if let Some(name) = kinds.chain(trial.by_node.keys()).find(|name| !hlog::is_tag(name)) {
        return Err(invalid(trial, &format!("the name `{name}` has a comma, a blank or nothing")));
    }
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = trial.operations.iter().find(|operation| !seen.insert(&operation.kind)) {
        return Err(invalid(trial, &format!("the operation `{}` stands twice", twice.kind)));
    }
    Ok(())
}

fn invalid(trial: &Trial, reason: &str) -> ReportError {
    ReportError::InvalidTrial { id: trial.id.clone(), reason: reason.to_string() }
}
