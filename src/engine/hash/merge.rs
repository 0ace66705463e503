//! Merges: neighbouring files of which much is dead become one that is all alive.
//!
//! An entry is alive if the index points to it. A removal is kept as long as there is an older
//! file, which may hold an older value of the key, and no newer value; so is the removal that an
//! expired value leaves behind. The output takes the place of its inputs in the list of files, so
//! the order in time stays what it was.

use super::file::{self, DataFile, Place, Walk};
use super::hint::HintBuilder;
use super::log::Log;
use super::manifest::Sealed;
use super::record::{Entry, HEAD_BYTES, Item, entries};
use super::store::Store;
use crate::engine::EngineError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// So many small neighbours are merged even if nothing of them is dead.
const SMALL_FILES: usize = 4;
/// The output's batches are about so long.
const BATCH_BYTES: usize = 64 << 10;
/// So many keys are relocated at once; reads and commits wait meanwhile.
const KEYS_PER_LOCK: usize = 1_024;

/// Neighbours to be merged.
struct Job {
    inputs: Vec<(Sealed, Arc<DataFile>)>,
    /// There is no older file.
    is_oldest: bool,
}

/// What a merge of a file would carry on, and what it would give back.
struct Weight {
    useful: u64,
    dead: u64,
    is_due: bool,
}

struct Output {
    log: Log,
    hint: HintBuilder,
    /// Where the values came from, in their order.
    origins: Vec<Place>,
    expired: Vec<(Box<[u8]>, Place)>,
    /// Removals that have to stay. They are written last.
    tombstones: BTreeSet<Box<[u8]>>,
}

impl Store {
    /// Does one merge. False: there was none to do.
    pub fn merge_once(&self) -> Result<bool, EngineError> {
        let Some(job) = self.pick() else { return Ok(false) };
        let number = self.next_file();
        let store = self.manifest.lock().store;
        let mut output = Output {
            log: Log::start(DataFile::create(&self.folder, store, number)?),
            hint: HintBuilder::new(store, number),
            origins: Vec::new(),
            expired: Vec::new(),
            tombstones: BTreeSet::new(),
        };
        for (sealed, file) in &job.inputs {
            match self.copy_alive(&mut output, *sealed, file, job.is_oldest) {
                Ok(true) => {}
                Ok(false) => {
                    self.folder.remove(&file::data_name(number));
                    return Ok(false);
                }
                Err(error @ EngineError::Corrupt { .. }) => {
                    tracing::error!(%error, "this file is not merged any more");
                    self.spoiled.lock().insert(file.number);
                    self.folder.remove(&file::data_name(number));
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        let read: u64 = job.inputs.iter().map(|(sealed, _)| u64::from(sealed.bytes)).sum();
        self.install(&job, output)?;
        self.counters.merges.fetch_add(1, Relaxed);
        self.counters.merge_read_bytes.fetch_add(read, Relaxed);
        Ok(true)
    }

    /// The run of neighbours with the most dead bytes whose live ones fit one file.
    fn pick(&self) -> Option<Job> {
        let manifest = self.manifest.lock();
        let spoiled = self.spoiled.lock();
        let index = self.index.read();
        let (mut best, mut best_dead) = (None, None);
        let (mut run, mut run_useful, mut run_dead, mut any_due) = (0..0, 0, 0, false);
        for (position, sealed) in manifest.sealed.iter().enumerate() {
            let file = index.file(sealed.number).filter(|file| !spoiled.contains(&file.number));
            let weighed = file.map(|file| self.weigh(file, *sealed, position == 0));
            let Some(Weight { useful, dead, is_due }) = weighed.filter(|weight| {
                weight.is_due || u64::from(sealed.bytes) < self.options.file_bytes / 4
            }) else {
                (run, run_useful, run_dead, any_due) = (position + 1..position + 1, 0, 0, false);
                continue;
            };
            if run_useful + useful > self.options.file_bytes {
                (run, run_useful, run_dead, any_due) = (position..position, 0, 0, false);
            }
            run.end = position + 1;
            (run_useful, run_dead) = (run_useful + useful, run_dead + dead);
            any_due |= is_due;
            if (any_due || run.len() >= SMALL_FILES) && best_dead.is_none_or(|b| run_dead > b) {
                (best, best_dead) = (Some(run.clone()), Some(run_dead));
            }
        }
        let range = best?;
        let is_oldest = range.start == 0;
        let inputs = manifest.sealed[range].iter();
        let inputs = inputs.map(|sealed| Some((*sealed, Arc::clone(index.file(sealed.number)?))));
        Some(Job { inputs: inputs.collect::<Option<_>>()?, is_oldest })
    }

    fn weigh(&self, file: &DataFile, sealed: Sealed, is_oldest: bool) -> Weight {
        let bytes = u64::from(sealed.bytes - file::HEADER_BYTES);
        let kept = if is_oldest { 0 } else { file.tombstone_bytes.load(Relaxed) };
        let entries = file.live_bytes.load(Relaxed) + kept;
        // The heads of the output's batches count, or else a file of one small entry would look
        // half dead and be merged for ever.
        let heads = match entries {
            0 => 0,
            _ => (entries / (BATCH_BYTES - HEAD_BYTES) as u64 + 1) * HEAD_BYTES as u64,
        };
        let useful = (entries + heads).min(bytes);
        let dead = bytes - useful;
        let is_due =
            useful == 0 || (dead > 0 && dead * 100 >= bytes * self.options.merge_dead_percent);
        Weight { useful, dead, is_due }
    }

    /// False: the engine is closing.
    fn copy_alive(
        &self,
        output: &mut Output,
        sealed: Sealed,
        file: &DataFile,
        is_oldest: bool,
    ) -> Result<bool, EngineError> {
        let now_s = (self.options.now_s)();
        let mut walk = Walk::new(file, sealed.bytes);
        while let Some((at, payload)) = walk.next()? {
            let index = self.index.read();
            for (at, entry) in entries(at, payload) {
                let place = Place { file: file.number, at, bytes: entry.bytes };
                let known = index.place(entry.key);
                match entry.item {
                    Item::Remove if known.is_none() && !is_oldest => {
                        output.tombstones.insert(entry.key.into());
                    }
                    Item::PutUntil(_, expires_s) if known == Some(place) && expires_s <= now_s => {
                        output.expired.push((entry.key.into(), place));
                        if !is_oldest {
                            output.tombstones.insert(entry.key.into());
                        }
                    }
                    Item::Put(_) | Item::PutUntil(..) if known == Some(place) => {
                        output.tombstones.remove(entry.key);
                        output.add(&entry);
                        output.origins.push(place);
                    }
                    _ => {}
                }
            }
            drop(index);
            output.write_if(BATCH_BYTES)?;
            if self.is_closing() {
                return Ok(false);
            }
        }
        walk.check_end()?;
        Ok(true)
    }

    /// Makes the output durable, then visible, then lets the inputs go.
    fn install(&self, job: &Job, mut output: Output) -> Result<(), EngineError> {
        for key in std::mem::take(&mut output.tombstones) {
            output.add(&Entry::new(&key, Item::Remove));
            output.write_if(BATCH_BYTES)?;
        }
        output.write_if(0)?;
        let Output { mut log, hint, origins, expired, .. } = output;
        log.sync()?;
        // An entry is dead because of a newer one, which must not be lost before it.
        self.sync()?;
        let file = Arc::clone(&log.file);
        let sealed = (!log.is_empty()).then(|| Sealed { number: file.number, bytes: log.bytes() });
        let mut manifest = self.manifest.lock();
        let mut changed = manifest.clone();
        let first = job.inputs[0].0.number;
        let start = changed.sealed.iter().position(|sealed| sealed.number == first);
        let start = start.expect("only merges take files off the list, and one runs at a time");
        changed.sealed.splice(start..start + job.inputs.len(), sealed);
        changed.save(&self.folder)?;
        *manifest = changed;
        drop(manifest);
        match sealed {
            Some(sealed) => {
                self.counters.merge_written_bytes.fetch_add(u64::from(sealed.bytes), Relaxed);
                self.relocate(&file, &hint, &origins);
                hint.save(&self.folder, sealed)?;
            }
            None => self.folder.remove(&file::data_name(file.number)),
        }
        let mut index = self.index.write();
        expired.iter().for_each(|(key, place)| index.expire(key, *place));
        job.inputs.iter().for_each(|(sealed, _)| index.remove_file(sealed.number));
        drop(index);
        for (sealed, _) in &job.inputs {
            self.forget_file(sealed.number)?;
        }
        Ok(())
    }

    fn relocate(&self, file: &Arc<DataFile>, hint: &HintBuilder, origins: &[Place]) {
        self.index.write().add_file(Arc::clone(file));
        let mut moved = hint.entries(file.number);
        let mut origins = origins.iter();
        loop {
            let mut index = self.index.write();
            for _ in 0..KEYS_PER_LOCK {
                let Some(entry) = moved.next() else { return };
                if entry.removed {
                    file.count(|file| &file.tombstone_bytes, entry.place.bytes);
                } else if let Some(origin) = origins.next() {
                    index.relocate(entry.key, *origin, entry.place);
                }
            }
        }
    }

    fn forget_file(&self, number: u32) -> Result<(), EngineError> {
        let hint = file::hint_name(number);
        let has_hint = self.folder.list()?.contains(&hint);
        if has_hint {
            self.folder.remove(&hint);
        }
        self.folder.remove(&file::data_name(number));
        Ok(())
    }
}

impl Output {
    fn add(&mut self, entry: &Entry<'_>) {
        self.log.begin();
        let place = self.log.add(entry);
        self.hint.add(place.at, entry);
    }

    /// Writes what waits if it is so much.
    fn write_if(&mut self, bytes: usize) -> Result<(), EngineError> {
        if self.log.waiting_bytes() > bytes {
            self.log.finish();
            self.log.write(false)?;
        }
        Ok(())
    }
}
