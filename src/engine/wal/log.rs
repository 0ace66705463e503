//! The writing end of the log.

use super::pool::Pool;
use super::record::{Change, Group, Seal};
use super::segment::{self, HEADER_BYTES};
use crate::engine::EngineError;
use crate::engine::disk::Handle;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Zeros that are written at once ahead of the records.
const FILL_BYTES: usize = 256 << 10;

/// What the system reads and writes at once.
const PAGE_BYTES: u64 = 4 << 10;

/// A new segment is filled once this part of the active one is full: a log that hardly grows has no
/// use for it, and does not begin its life with waiting for zeros.
const FILL_NEXT_AT: u64 = 4;

/// How the log keeps its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The length of a segment. A group of batches that is longer has a longer segment to itself.
    pub segment_bytes: u64,
    /// Segments that are kept to serve again, beside the one that comes next.
    pub spares: usize,
    /// A number that tells this log from those of other folders. It counts where the folder has no
    /// segment yet; later the segments have it.
    pub log_id: u64,
    /// Whether new segments are filled with zeros. That spares whoever waits for `fdatasync`; where
    /// nobody does, it would only be written in vain.
    pub zeros: bool,
}

/// What an append has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The sequence number of the first change; the others follow it without a gap.
    pub first_sequence: u64,
    /// The last one; the one before the first if there was no change.
    pub last_sequence: u64,
    /// What was written.
    pub bytes: u64,
    /// A new segment was begun.
    pub switched: bool,
    /// [`tend`](super::tend) has work.
    pub tend: bool,
}

/// A segment as statistics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub number: u64,
    /// Header and records.
    pub bytes: u64,
    /// The last sequence number in this segment or, where it has none, before it.
    pub last_sequence: u64,
}

/// A segment that takes no more records. It goes when the tables hold all of it.
struct Sealed {
    segment: Segment,
    /// Until it is synchronised.
    unsynced: Option<Handle>,
}

/// A segment that has its header and its name already, and no records yet.
pub(super) struct Next {
    pub number: u64,
    pub handle: Handle,
    /// Up to here every block was written once, as far as is known.
    pub filled: u64,
    /// Whether the folder was synchronised since it got its name.
    pub named: bool,
}

/// The log as its one writer sees it. The tree keeps it under a mutex; what waits for the disk
/// without it is in [`sync`](super::sync), [`tend`](super::tend) and [`retire`](super::retire).
pub struct Log {
    pub(super) pool: Pool,
    log_id: u64,
    pub(super) zeros: bool,
    sealed: VecDeque<Sealed>,
    pub(super) number: u64,
    handle: Handle,
    seal: Seal,
    at: u64,
    /// Up to here every block of the active segment was written once.
    filled: u64,
    /// The active segment has blocks from before its life: zeros, or the records of an earlier one.
    is_used: bool,
    next_sequence: u64,
    /// Everything up to here is on disk for certain, in the log or in tables.
    durable_sequence: u64,
    group: Group,
    pub(super) next: Option<Next>,
    /// Why nothing more is written.
    failure: Option<String>,
    /// Held by whoever prepares the next segment, so that it is done once.
    pub(super) tending: Arc<Mutex<()>>,
    /// Held by whoever retires segments, so that they go in order.
    pub(super) retiring: Arc<Mutex<()>>,
}

impl Log {
    /// Begins with a segment that has its header and its name, durably.
    pub(super) fn begin(
        pool: Pool,
        log_id: u64,
        zeros: bool,
        sealed: Vec<Segment>,
        active: Next,
        last_sequence: u64,
    ) -> Log {
        let sealed = sealed.into_iter().map(|segment| Sealed { segment, unsynced: None });
        Log {
            pool,
            log_id,
            zeros,
            sealed: sealed.collect(),
            number: active.number,
            handle: active.handle,
            seal: Seal::new(log_id, active.number),
            at: HEADER_BYTES,
            filled: active.filled,
            is_used: active.filled > 0,
            next_sequence: last_sequence + 1,
            durable_sequence: last_sequence,
            group: Group::default(),
            next: None,
            failure: None,
            tending: Arc::default(),
            retiring: Arc::default(),
        }
    }

    /// The number of the newest change that was appended, durable or not; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    /// Everything up to here survives a power failure.
    pub fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }

    /// Appends one batch: see [`append_many`](Log::append_many).
    pub fn append<'a>(
        &mut self,
        batch: impl IntoIterator<Item = Change<'a>>,
    ) -> Result<Appended, EngineError> {
        self.append_many([batch])
    }

    /// Gives the changes of a group their sequence numbers and writes them with one call. They are
    /// not durable yet.
    ///
    /// Refuses the whole group, and writes nothing, if one of its batches is too long:
    /// [`check_batch`](super::check_batch) tells beforehand. After an I/O error nothing more is
    /// written.
    pub fn append_many<'a, B>(
        &mut self,
        batches: impl IntoIterator<Item = B>,
    ) -> Result<Appended, EngineError>
    where
        B: IntoIterator<Item = Change<'a>>,
    {
        self.check_writable()?;
        self.group.clear();
        for batch in batches {
            let pushed = self.group.push(batch);
            pushed.map_err(|what| EngineError::refused(self.pool.folder().path(), what))?;
        }
        let (first_sequence, bytes) = (self.next_sequence, self.group.bytes());
        let full = self.at + bytes > self.pool.segment_bytes();
        let switched = bytes > 0 && full && self.at > HEADER_BYTES;
        if switched {
            self.switch().inspect_err(|error| self.fail(error))?;
        }
        if bytes > 0 {
            let (_, next) =
                self.group.seal(self.seal, self.at, first_sequence, self.durable_sequence);
            let padding = self.padding(bytes);
            let written = self.handle.write(self.group.padded(padding), self.at);
            written.inspect_err(|error| self.fail(error))?;
            self.at += bytes;
            self.next_sequence = next;
            self.fill_ahead().inspect_err(|error| self.fail(error))?;
        }
        let tend = switched || self.calls_for_next() && self.at - bytes < self.fill_next_at();
        let last_sequence = self.last_sequence();
        Ok(Appended { first_sequence, last_sequence, bytes, switched, tend })
    }

    /// Writes zeros behind the records of a segment that was not filled before, a step at a time:
    /// else each block of 4 KiB would take its first `fdatasync` several times as long, for the
    /// metadata that says that it is no longer empty.
    fn fill_ahead(&mut self) -> Result<(), EngineError> {
        static ZEROS: [u8; FILL_BYTES] = [0; FILL_BYTES];
        if !self.zeros || self.at <= self.filled {
            return Ok(());
        }
        let left = self.pool.segment_bytes().saturating_sub(self.at);
        let step = left.min(FILL_BYTES as u64);
        self.handle.write(&ZEROS[..step as usize], self.at)?;
        self.filled = self.at + step;
        Ok(())
    }

    /// Zeros to write behind so many bytes of records, so that every page of a used segment is
    /// written whole when it is begun. Else the system would read the rest of it from the disk, if
    /// it no longer has it in memory, while every commit waits: under load 50 to 400 ms.
    fn padding(&self, bytes: u64) -> usize {
        let (begun, end) = (self.at.next_multiple_of(PAGE_BYTES), self.at + bytes);
        if !self.is_used || end <= begun {
            return 0;
        }
        let most = self.pool.segment_bytes().max(end);
        (end.next_multiple_of(PAGE_BYTES).min(most) - end) as usize
    }

    fn fill_next_at(&self) -> u64 {
        self.pool.segment_bytes() / FILL_NEXT_AT
    }

    /// Whether so much of the active segment is full that a new one has to be filled.
    pub(super) fn calls_for_next(&self) -> bool {
        self.at >= self.fill_next_at()
    }

    /// Whether the active segment will be full before the next one of which so much is filled: as
    /// both go on from the point where the filling began.
    pub(super) fn outruns(&self, filled: u64) -> bool {
        let (begin, bytes) = (self.fill_next_at(), self.pool.segment_bytes());
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        share(self.at.saturating_sub(begin), bytes - begin) > share(filled, bytes)
    }

    /// The oldest file to synchronise, and the sequence number that is durable once that is done:
    /// then call [`mark_durable`](Log::mark_durable). Lets a thread wait for the disk without
    /// holding up appends.
    pub fn unsynced(&self) -> Option<(Handle, u64)> {
        let last = self.last_sequence();
        let active = || (last > self.durable_sequence).then(|| (self.handle.clone(), last));
        self.unsynced_sealed().or_else(active)
    }

    /// The same, of the segments that take no more records.
    pub fn unsynced_sealed(&self) -> Option<(Handle, u64)> {
        self.sealed.iter().find_map(|sealed| {
            let handle = sealed.unsynced.as_ref()?;
            Some((handle.clone(), sealed.segment.last_sequence))
        })
    }

    /// Everything up to `sequence` is on disk: the file was synchronised, or the tables have it.
    pub fn mark_durable(&mut self, sequence: u64) {
        self.durable_sequence = self.durable_sequence.max(sequence.min(self.last_sequence()));
        for sealed in &mut self.sealed {
            if sealed.segment.last_sequence <= self.durable_sequence {
                sealed.unsynced = None;
            }
        }
    }

    /// Waits until everything is on disk. Returns whether there was anything to do.
    pub fn sync(&mut self) -> Result<bool, EngineError> {
        self.check_writable()?;
        let mut any = false;
        while let Some((handle, sequence)) = self.unsynced() {
            handle.sync().inspect_err(|error| self.fail(error))?;
            self.mark_durable(sequence);
            any = true;
        }
        Ok(any)
    }

    /// Goes on in the next segment.
    ///
    /// The old one is not waited for: it is synchronised by the next `sync` or by `tend`. Only
    /// where the one before it is not synchronised either, that one is, here and now. So a power
    /// failure finds at most two segments with a torn tail, and a writer that the disk cannot
    /// follow is held back.
    fn switch(&mut self) -> Result<(), EngineError> {
        while let Some((handle, sequence)) = self.unsynced_sealed() {
            handle.sync()?;
            self.mark_durable(sequence);
        }
        let next = match self.next.take() {
            Some(next) => next,
            None => self.make_next_at_once()?,
        };
        if !next.named {
            self.pool.folder().sync()?;
        }
        let last_sequence = self.last_sequence();
        let segment = Segment { number: self.number, bytes: self.at, last_sequence };
        let handle = std::mem::replace(&mut self.handle, next.handle);
        let unsynced = (last_sequence > self.durable_sequence).then_some(handle);
        self.sealed.push_back(Sealed { segment, unsynced });
        self.number = next.number;
        self.seal = Seal::new(self.log_id, next.number);
        self.at = HEADER_BYTES;
        self.filled = next.filled;
        self.is_used = next.filled > 0;
        Ok(())
    }

    /// Nobody has prepared a segment in time.
    fn make_next_at_once(&mut self) -> Result<Next, EngineError> {
        let header = self.next_header();
        let spare = self.pool.take_at_once()?;
        spare.write_header(&header)?;
        let filled = spare.filled;
        let handle = spare.into_segment(self.pool.folder(), header.number)?;
        Ok(Next { number: header.number, handle, filled, named: false })
    }

    /// The header of the segment behind the active one.
    pub(super) fn next_header(&self) -> segment::Header {
        segment::Header {
            log_id: self.log_id,
            number: self.number + 1,
            previous: self.number,
            durable_sequence: self.durable_sequence,
        }
    }

    /// Takes the oldest segment out of the log if the tables hold all of it.
    pub(super) fn pop_flushed(&mut self, flushed_sequence: u64) -> Option<u64> {
        let oldest = self.sealed.front()?;
        if oldest.segment.last_sequence > flushed_sequence {
            return None;
        }
        self.mark_durable(flushed_sequence);
        self.sealed.pop_front().map(|sealed| sealed.segment.number)
    }

    /// Every segment that may hold records, oldest first.
    pub fn segments(&self) -> Vec<Segment> {
        let last_sequence = self.last_sequence();
        let active = Segment { number: self.number, bytes: self.at, last_sequence };
        self.sealed.iter().map(|sealed| sealed.segment).chain([active]).collect()
    }

    /// What a replay would have to read if the tables held everything up to `sequence`: the
    /// segments with later records, whole.
    pub fn bytes_since(&self, sequence: u64) -> u64 {
        let segments = self.segments().into_iter();
        segments.filter(|segment| segment.last_sequence > sequence).map(|s| s.bytes).sum()
    }

    /// Nothing more may be written after a failure: what a failed synchronisation has lost may
    /// pass for synchronised the next time.
    pub(super) fn check_writable(&self) -> Result<(), EngineError> {
        match &self.failure {
            Some(failure) => Err(EngineError::ReadOnly(failure.clone())),
            None => Ok(()),
        }
    }

    /// Refuses everything from now on. Whoever synchronises a handle of
    /// [`unsynced`](Log::unsynced) and fails calls this.
    pub fn fail(&mut self, error: &EngineError) {
        self.failure.get_or_insert_with(|| error.to_string());
    }

    /// Makes everything durable and takes no more. Idempotent.
    pub fn close(&mut self) -> Result<(), EngineError> {
        const CLOSED: &str = "the log is closed";
        if self.failure.as_deref() == Some(CLOSED) {
            return Ok(());
        }
        self.sync()?;
        self.failure = Some(CLOSED.into());
        Ok(())
    }
}
