//! Which jobs run at the moment.

use super::tree::Tree;
use super::version::{Placed, Version};
use quorate_strategies::compaction::{Job, View};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The inputs of the jobs that run.
#[derive(Debug, Default)]
pub struct Busy {
    tables: BTreeSet<u64>,
    /// The picker found nothing to do, and nothing has changed since.
    resting: bool,
}

impl Busy {
    /// Whether a compaction runs, or may be about to.
    pub fn may_make_room(&self) -> bool {
        !self.tables.is_empty() || !self.resting
    }
}

/// A job that was found sound. While it lives its inputs are nobody else's.
pub struct Claim<'a> {
    tree: &'a Tree,
    pub job: Job,
    /// Those that no slice has taken.
    pub inputs: Vec<Placed>,
    /// The tables as they were when the job was picked, or when its last slice was installed.
    pub version: Arc<Version>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut busy = self.tree.busy.lock();
        for id in &self.job.inputs {
            busy.tables.remove(id);
        }
        busy.resting = false;
    }
}

impl Tree {
    /// The tables changed: the picker may have something to do again.
    pub fn compaction_due(&self) {
        self.busy.lock().resting = false;
        self.signal(|signals| signals.compaction_due = true);
    }

    /// Asks the picker for a job and claims its inputs.
    pub fn claim(&self) -> Option<Claim<'_>> {
        let quiet = self.signals.lock().quiet;
        let mut busy = self.busy.lock();
        let version = Arc::clone(&self.state.load().version);
        let mut tables: Vec<_> = version.tables().map(|placed| placed.meta()).collect();
        for table in &mut tables {
            table.busy = busy.tables.contains(&table.id);
        }
        let view = View { tables: &tables, now_s: (self.options.now_s)(), quiet };
        let picked = self.picker.pick(&view).or_else(|| clean_up(&version, &busy));
        let Some(job) = picked else {
            busy.resting = true;
            return None;
        };
        match check(&version, &job, |id| busy.tables.contains(&id)) {
            Ok(inputs) => {
                busy.tables.extend(inputs.iter().map(|placed| placed.table.id()));
                Some(Claim { tree: self, job, inputs, version })
            }
            Err(what) => {
                tracing::error!(?job, what, "a compaction strategy broke its contract");
                busy.resting = true;
                None
            }
        }
    }
}

/// A job that rewrites a table in its place, for the sake of the files of large values that it
/// points into.
fn clean_up(version: &Version, busy: &Busy) -> Option<Job> {
    let Placed { level, run, table } = version.most_entangled(|id| !busy.tables.contains(&id))?;
    Some(Job {
        inputs: vec![table.id()],
        output_level: level,
        output_run: Some(run),
        table_bytes: u64::MAX,
        reason: "it points into files of large values that are mostly dead",
    })
}

/// Checks what the order of lookups needs of a job: its inputs exist, are idle and are named once,
/// and no table outside the job gets on the wrong side of the output. Returns the inputs.
pub fn check(
    version: &Version,
    job: &Job,
    is_busy: impl Fn(u64) -> bool,
) -> Result<Vec<Placed>, String> {
    let wanted: BTreeSet<u64> = job.inputs.iter().copied().collect();
    if wanted.is_empty() || wanted.len() < job.inputs.len() {
        return Err("inputs are none or named twice".to_string());
    }
    let (inputs, outside): (Vec<_>, Vec<_>) =
        version.tables().partition(|placed| wanted.contains(&placed.table.id()));
    if inputs.len() < wanted.len() {
        return Err("an input does not exist".to_string());
    }
    if let Some(id) = job.inputs.iter().find(|id| is_busy(**id)) {
        return Err(format!("table {id} is busy"));
    }
    let newest = inputs.iter().map(|placed| placed.table.max_sequence()).max().unwrap_or_default();
    for input in &inputs {
        for placed in outside.iter().filter(|other| other.table.overlaps(&input.table)) {
            let was_newer = is_before(placed, input.level, input.table.max_sequence());
            let is_newer = is_before(placed, job.output_level, newest);
            let is_clear = placed.level != job.output_level
                || placed.table.min_sequence() > newest
                || inputs
                    .iter()
                    .all(|input| placed.table.max_sequence() < input.table.min_sequence());
            if was_newer != is_newer || !is_clear {
                let id = placed.table.id();
                return Err(format!("table {id} would change sides with its output"));
            }
        }
    }
    Ok(inputs)
}

/// Whether lookups meet `placed` before a table at `level` with `max_sequence`.
fn is_before(placed: &Placed, level: u32, max_sequence: u64) -> bool {
    (placed.level, std::cmp::Reverse(placed.table.max_sequence()))
        < (level, std::cmp::Reverse(max_sequence))
}
