//! Carrying out what the picker decides.

use super::files;
use super::merge::{Merge, Source};
use super::table::{Table, TableBuilder};
use super::tree::Tree;
use super::version::Version;
use crate::engine::EngineError;
use quorate_strategies::compaction::{Job, View};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Entries between two looks at whether the engine is being closed.
const CLOSING_CHECK_ENTRIES: u64 = 4_096;

/// Checks what the order of lookups needs of a job: its inputs exist and are named once, and no
/// table outside the job gets on the wrong side of the output. Returns the inputs with their
/// levels.
pub fn check(version: &Version, job: &Job) -> Result<Vec<(u32, Arc<Table>)>, String> {
    let wanted: BTreeSet<u64> = job.inputs.iter().copied().collect();
    if wanted.is_empty() || wanted.len() < job.inputs.len() {
        return Err("inputs are none or named twice".to_string());
    }
    let (inputs, outside): (Vec<_>, Vec<_>) = version
        .tables()
        .map(|(level, table)| (level, Arc::clone(table)))
        .partition(|(_, table)| wanted.contains(&table.id()));
    if inputs.len() < wanted.len() {
        return Err("an input does not exist".to_string());
    }
    let newest = inputs.iter().map(|(_, table)| table.max_sequence()).max().unwrap_or_default();
    for (level, input) in &inputs {
        for (outside_level, table) in outside.iter().filter(|(_, table)| table.overlaps(input)) {
            let was_newer = is_before(*outside_level, table, *level, input.max_sequence());
            let is_newer = is_before(*outside_level, table, job.output_level, newest);
            let is_clear = *outside_level != job.output_level
                || table.min_sequence() > newest
                || inputs.iter().all(|(_, input)| table.max_sequence() < input.min_sequence());
            if was_newer != is_newer || !is_clear {
                return Err(format!("table {} would change sides with its output", table.id()));
            }
        }
    }
    Ok(inputs)
}

/// Whether lookups meet `table` before one that is at `level` with `max_sequence`.
fn is_before(table_level: u32, table: &Table, level: u32, max_sequence: u64) -> bool {
    (table_level, std::cmp::Reverse(table.max_sequence()))
        < (level, std::cmp::Reverse(max_sequence))
}

impl Tree {
    /// Runs one job if the picker has one. Returns whether it did.
    pub fn compact_once(&self) -> Result<bool, EngineError> {
        let version = Arc::clone(&self.state.load().version);
        let tables = version.metas();
        let Some(job) = self.picker.pick(&View { tables: &tables, now_s: 0 }) else {
            return Ok(false);
        };
        let inputs = match check(&version, &job) {
            Ok(inputs) => inputs,
            Err(what) => {
                tracing::error!(
                    ?job,
                    what,
                    "the compaction strategy broke its contract; job refused"
                );
                return Ok(false);
            }
        };
        tracing::debug!(?job, "compaction");
        if !self.move_down(&version, &job, &inputs)? && !self.merge(&version, &job, &inputs)? {
            return Ok(false);
        }
        self.counters.compactions.fetch_add(1, Relaxed);
        Ok(true)
    }

    /// A single table that overlaps nothing in a deeper output level changes its level without
    /// being rewritten.
    fn move_down(
        &self,
        version: &Version,
        job: &Job,
        inputs: &[(u32, Arc<Table>)],
    ) -> Result<bool, EngineError> {
        let [(level, table)] = inputs else { return Ok(false) };
        let overlaps =
            |(level, other): (u32, &Arc<Table>)| level == job.output_level && other.overlaps(table);
        let fits = table.bytes() <= job.table_bytes.saturating_mul(2);
        if *level >= job.output_level || !fits || version.tables().any(overlaps) {
            return Ok(false);
        }
        let moved = vec![(job.output_level, Arc::clone(table))];
        self.install(&[Arc::clone(table)], moved, None)?;
        Ok(true)
    }

    /// Merges the inputs into new tables. False: the engine is closing, and nothing has changed.
    fn merge(
        &self,
        version: &Version,
        job: &Job,
        inputs: &[(u32, Arc<Table>)],
    ) -> Result<bool, EngineError> {
        let inputs: Vec<Arc<Table>> = inputs.iter().map(|(_, table)| Arc::clone(table)).collect();
        let outside: Vec<Arc<Table>> = version
            .tables()
            .filter(|(_, table)| !job.inputs.contains(&table.id()))
            .map(|(_, table)| Arc::clone(table))
            .collect();
        let walk = |table: &Arc<Table>| Box::new(Arc::clone(table).walk(b"", None)) as Source<'_>;
        let mut output = Output::new(self, job.table_bytes);
        for (at, entry) in (1_u64..).zip(Merge::new(inputs.iter().map(walk).collect())) {
            let entry = entry?;
            if at % CLOSING_CHECK_ENTRIES == 0 && self.is_closing() {
                return Ok(false);
            }
            let shadows = |table: &Arc<Table>| {
                table.min_sequence() < entry.sequence && table.covers(&entry.key)
            };
            if entry.value.is_some() || outside.iter().any(shadows) {
                output.add(&entry)?;
            }
        }
        let added = output.finish()?;
        let read: u64 = inputs.iter().map(|table| table.bytes()).sum();
        let written: u64 = added.iter().map(|table| table.bytes()).sum();
        let added = added.into_iter().map(|table| (job.output_level, table)).collect();
        self.install(&inputs, added, None)?;
        self.counters.compaction_read_bytes.fetch_add(read, Relaxed);
        self.counters.compaction_written_bytes.fetch_add(written, Relaxed);
        Ok(true)
    }
}

/// A run that is cut into tables as it grows. Dropped before it is finished, it leaves no files.
struct Output<'a> {
    tree: &'a Tree,
    table_bytes: u64,
    open: Option<(u64, TableBuilder)>,
    finished: Vec<Arc<Table>>,
    installed: bool,
}

impl<'a> Output<'a> {
    fn new(tree: &'a Tree, table_bytes: u64) -> Self {
        Output { tree, table_bytes, open: None, finished: Vec::new(), installed: false }
    }

    fn add(&mut self, entry: &super::entry::Entry) -> Result<(), EngineError> {
        if self.open.as_ref().is_some_and(|(_, builder)| builder.bytes() >= self.table_bytes) {
            self.close()?;
        }
        if self.open.is_none() {
            let id = self.tree.next_table();
            let builder = TableBuilder::create(&self.tree.dir, id, self.tree.options.format)?;
            self.open = Some((id, builder));
        }
        let (_, builder) = self.open.as_mut().expect("opened above");
        builder.add(entry)
    }

    fn close(&mut self) -> Result<(), EngineError> {
        if let Some((id, builder)) = self.open.take() {
            builder.finish()?;
            self.finished.push(Arc::new(Table::open(&self.tree.dir, id)?));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Arc<Table>>, EngineError> {
        self.close()?;
        files::sync_dir(&self.tree.dir)?;
        self.installed = true;
        Ok(std::mem::take(&mut self.finished))
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        if !self.installed {
            self.finished.iter().for_each(|table| table.retire());
        }
    }
}
