//! Carrying out what the picker decides.
//!
//! A large job is done slice by slice (`slices.rs`), and each slice is cut by keys into parts of
//! about the same size, merged by a thread each; their outputs, one behind the other, are the run.
//! Tables whose keys nobody else's overlap in the output run are moved, not rewritten.

use super::jobs::Claim;
use super::output::{Made, Output, Values, place};
use super::slices::{self, Slice};
use super::tree::Tree;
use super::version::Placed;
use crate::engine::EngineError;
use crate::engine::entry::{Cursor, Item, Kind};
use crate::engine::table::{MergeCursor, Origin, RunCursor, Table};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Entries between two looks at whether the engine is being closed, and at the limiter.
const CHECK_ENTRIES: u64 = 4_096;
/// A part below this is not worth a thread.
const LEAST_PART_BYTES: u64 = 16 << 20;

const TOMBSTONE: Item<'static> = Item { kind: Kind::Tombstone, expires_s: 0, value: &[] };

impl Tree {
    /// Runs one job if the picker has one. Returns whether it did.
    pub fn compact_once(&self) -> Result<bool, EngineError> {
        let Some(mut claim) = self.claim() else { return Ok(false) };
        if self.is_closing() {
            return Ok(false);
        }
        tracing::debug!(job = ?claim.job, "compaction");
        // Another thread may find a job beside this one.
        self.signal(|signals| signals.compaction_due = true);
        let start = Instant::now();
        let level0 = claim.inputs.iter().filter(|input| input.level == 0);
        let left = level0.map(|input| input.table.bytes()).sum();
        if !self.move_tables(&claim)? && !self.merge(&mut claim)? {
            return Ok(false);
        }
        self.counters.compactions.fetch_add(1, Relaxed);
        self.pace.left_level0(left, start.elapsed());
        drop(claim);
        self.set_pace();
        Ok(true)
    }

    /// Tables of a deeper output level that overlap nothing there change their level without being
    /// rewritten.
    fn move_tables(&self, claim: &Claim<'_>) -> Result<bool, EngineError> {
        let Claim { job, inputs, version, .. } = claim;
        let is_input = |id| inputs.iter().any(|input| input.table.id() == id);
        let joined: Vec<Placed> = version
            .tables()
            .filter(|placed| placed.level == job.output_level && Some(placed.run) == job.output_run)
            .filter(|placed| !is_input(placed.table.id()))
            .collect();
        let movable = |input: &Placed| {
            let fits = input.table.bytes() <= job.table_bytes.saturating_mul(2);
            let clear = |other: &Placed| !other.table.overlaps(&input.table);
            input.level < job.output_level && fits && joined.iter().all(clear)
        };
        let disjoint = (1..inputs.len())
            .all(|at| inputs[..at].iter().all(|other| !other.table.overlaps(&inputs[at].table)));
        let useless = |input: &Placed| {
            input.table.tombstones() * 4 > input.table.entries() && self.is_last(claim)
        };
        if !disjoint || !inputs.iter().all(movable) || inputs.iter().any(useless) {
            return Ok(false);
        }
        let tables: Vec<Arc<Table>> = inputs.iter().map(|input| Arc::clone(&input.table)).collect();
        self.install(inputs, &place(&tables, job.output_level, job.output_run), &[], None)?;
        let bytes = tables.iter().map(|table| table.bytes()).sum();
        self.counters.moved_bytes.fetch_add(bytes, Relaxed);
        Ok(true)
    }

    /// Whether nothing older lies beneath the output anywhere.
    fn is_last(&self, claim: &Claim<'_>) -> bool {
        older_outside(claim, &claim.inputs).is_empty()
    }

    /// Merges the inputs into new tables. False: the engine is closing, and what is left of the job
    /// has changed nothing.
    fn merge(&self, claim: &mut Claim<'_>) -> Result<bool, EngineError> {
        let mut slices = slices::cut(claim, self.options.slice_bytes).into_iter().peekable();
        while let Some(slice) = slices.next() {
            let mut superfluous = slice.rewritten.clone();
            if slices.peek().is_none() {
                superfluous.extend_from_slice(&claim.inputs);
            }
            if !self.merge_slice(claim, &slice, &superfluous)? {
                return Ok(false);
            }
            // Whoever holds a version holds its tables.
            claim.version = Arc::clone(&self.state.load().version);
        }
        Ok(true)
    }

    fn merge_slice(
        &self,
        claim: &Claim<'_>,
        slice: &Slice,
        superfluous: &[Placed],
    ) -> Result<bool, EngineError> {
        let merging = Merging::new(self, claim, slice);
        let parts = self.merge_in_parallel(&merging, &self.cut(&merging))?;
        let complete = parts.iter().all(Option::is_some);
        let made = parts.into_iter().flatten().fold(Made::default(), Made::and);
        if !complete {
            made.retire(self);
            return Ok(false);
        }
        self.folder.sync().inspect_err(|_| made.retire(self))?;
        let placed = made.place(claim.job.output_level, claim.job.output_run);
        self.install(superfluous, &placed, &made.blobs, None)?;
        let read: u64 = superfluous.iter().map(|input| input.table.bytes()).sum();
        self.counters.compaction_read_bytes.fetch_add(read, Relaxed);
        self.counters.compaction_written_bytes.fetch_add(made.bytes(), Relaxed);
        Ok(true)
    }

    /// Merges the parts between these keys: one thread for each, this one takes the first.
    fn merge_in_parallel(
        &self,
        merging: &Merging<'_>,
        bounds: &[Vec<u8>],
    ) -> Result<Vec<Option<Made>>, EngineError> {
        let Slice { start, end, .. } = merging.slice;
        let starts = std::iter::once(start).chain(bounds);
        let ends = bounds.iter().map(Some).chain([end.as_ref()]);
        let mut ranges = starts.zip(ends).map(|(start, end)| (start, end.map(Vec::as_slice)));
        std::thread::scope(|scope| {
            let first = ranges.next();
            let rest: Vec<_> =
                ranges.map(|(start, end)| scope.spawn(move || merging.part(start, end))).collect();
            let mut parts: Vec<_> =
                first.map(|(start, end)| merging.part(start, end)).into_iter().collect();
            parts.extend(rest.into_iter().map(|thread| match thread.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            }));
            if parts.iter().any(Result::is_err) {
                parts.iter().flatten().flatten().for_each(|made| made.retire(self));
            }
            parts.into_iter().collect()
        })
    }

    /// Keys at which the slice is cut: none where it is small or no thread is idle.
    fn cut(&self, merging: &Merging<'_>) -> Vec<Vec<u8>> {
        let running = self.signals.lock().running.max(1);
        let idle = self.options.compaction_threads.saturating_sub(running);
        if idle == 0 || self.options.inline {
            return Vec::new();
        }
        let mut keys: Vec<Vec<u8>> =
            merging.inputs.iter().flat_map(|input| input.table.sample_keys()).collect();
        let all = keys.len().max(1) as u64;
        keys.retain(|key| merging.slice.holds(key));
        let bytes: u64 = merging.inputs.iter().map(|input| input.table.bytes()).sum();
        let slice_bytes = (bytes as f64 * keys.len() as f64 / all as f64) as u64;
        let parts = (idle as u64 + 1).min(slice_bytes / LEAST_PART_BYTES);
        keys.sort_unstable();
        keys.dedup();
        let at = |part: u64| keys.get(keys.len() * part as usize / parts as usize).cloned();
        let mut bounds: Vec<Vec<u8>> = (1..parts).filter_map(at).collect();
        bounds.dedup();
        bounds
    }
}

/// Tables outside a job that may hold entries older than its output, of keys that these inputs
/// hold.
fn older_outside(claim: &Claim<'_>, inputs: &[Placed]) -> Vec<Arc<Table>> {
    let oldest = inputs.iter().map(|input| input.table.min_sequence()).min();
    let overlaps = |placed: &Placed| inputs.iter().any(|input| input.table.overlaps(&placed.table));
    let older = claim.version.tables().filter(|placed| {
        let outside = !claim.job.inputs.contains(&placed.table.id());
        let beneath = placed.level > claim.job.output_level
            || (placed.level == claim.job.output_level
                && Some(placed.table.max_sequence()) < oldest);
        outside && beneath && overlaps(placed)
    });
    older.map(|placed| placed.table).collect()
}

/// A slice of a job while it is merged.
struct Merging<'a> {
    tree: &'a Tree,
    claim: &'a Claim<'a>,
    slice: &'a Slice,
    inputs: Vec<Placed>,
    older: Vec<Arc<Table>>,
    origin: Origin,
    values: Values,
    now_s: u64,
}

impl<'a> Merging<'a> {
    fn new(tree: &'a Tree, claim: &'a Claim<'a>, slice: &'a Slice) -> Self {
        let inputs: Vec<_> = claim.inputs.iter().chain(&slice.rewritten).cloned().collect();
        let origins = inputs.iter().map(|input| input.table.origin());
        let origin = origins.reduce(Origin::union).unwrap_or_default();
        let older = older_outside(claim, &inputs);
        let now_s = (tree.options.now_s)();
        let values = claim.version.values();
        Merging { tree, claim, slice, inputs, older, origin, values, now_s }
    }

    /// Merges the keys from `start` to before `end`. None: the engine is closing.
    fn part(&self, start: &[u8], end: Option<&[u8]>) -> Result<Option<Made>, EngineError> {
        let mut merge = MergeCursor::new(self.sources());
        merge.seek(start)?;
        let job = &self.claim.job;
        let (level, table_bytes) = (job.output_level, job.table_bytes);
        let mut output = Output::new(self.tree, level, table_bytes, self.origin, &self.values);
        let mut written = 0;
        let mut entries = 0_u64;
        while merge.is_valid() && end.is_none_or(|end| merge.key() < end) {
            if let Some(item) = self.kept(merge.key(), merge.item()) {
                output.add(merge.key(), item)?;
            }
            entries += 1;
            if entries.is_multiple_of(CHECK_ENTRIES) {
                if self.tree.is_closing() {
                    return Ok(None);
                }
                let open = output.open_bytes();
                self.tree.limiter.wrote(open.saturating_sub(written));
                written = open;
            }
            merge.next()?;
        }
        output.finish().map(Some)
    }

    fn sources(&self) -> Vec<RunCursor> {
        let mut inputs = self.inputs.clone();
        inputs.sort_by(|a, b| {
            let run = |placed: &Placed| (placed.level, placed.run);
            run(a).cmp(&run(b)).then_with(|| a.table.first_key().cmp(b.table.first_key()))
        });
        let runs = inputs.chunk_by(|a, b| (a.level, a.run) == (b.level, b.run));
        let tables =
            |run: &[Placed]| run.iter().map(|placed| Arc::clone(&placed.table)).collect::<Vec<_>>();
        runs.map(|run| RunCursor::for_compaction(tables(run), run[0].level + 1)).collect()
    }

    /// What of an entry goes on: nothing of a tombstone below which there is nothing.
    fn kept<'i>(&self, key: &[u8], item: Item<'i>) -> Option<Item<'i>> {
        let expired = item.expires_s != 0 && item.expires_s <= self.now_s;
        if item.kind != Kind::Tombstone && !expired {
            return Some(item);
        }
        let shadows = |table: &Arc<Table>| table.first_key() <= key && key <= table.last_key();
        self.older.iter().any(shadows).then_some(TOMBSTONE)
    }
}
