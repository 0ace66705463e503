//! What is done for the log without holding up its writer: synchronising, preparing the next
//! segment, giving back the ones that the tables hold.
//!
//! Every wait for the disk is outside the log's mutex; under it only names change, which the
//! operating system does in memory.

use super::log::{Log, Next};
use super::segment::{GoOn, Header, Pace, Spare};
use crate::engine::EngineError;
use crate::engine::disk::Handle;
use parking_lot::Mutex;

/// Makes everything durable that was appended before the call. Returns whether there was anything
/// to do.
///
/// # Errors
/// The disk's; the log then takes nothing more.
pub fn sync(log: &Mutex<Log>) -> Result<bool, EngineError> {
    let last_sequence = {
        let log = log.lock();
        log.check_writable()?;
        log.last_sequence()
    };
    let mut any = false;
    loop {
        let unsynced = {
            let log = log.lock();
            if log.durable_sequence() >= last_sequence { None } else { log.unsynced() }
        };
        let Some(unsynced) = unsynced else { return Ok(any) };
        sync_one(log, unsynced)?;
        any = true;
    }
}

fn sync_one(log: &Mutex<Log>, (handle, sequence): (Handle, u64)) -> Result<(), EngineError> {
    let synced = handle.sync();
    let mut log = log.lock();
    match synced {
        // A synchronisation that succeeds after one that failed proves nothing.
        Ok(()) => log.check_writable()?,
        Err(error) => {
            log.fail(&error);
            return Err(error);
        }
    }
    log.mark_durable(sequence);
    Ok(())
}

/// Prepares the segment that comes next and synchronises those that are full. To be called from a
/// background thread once the log is open and after each append that says so. A recycled segment is
/// ready at once; a new one is filled with zeros first if the settings want that, until `stop` says
/// so, and where the pace is gentle not before a quarter of the active one is full, and with pauses
/// unless the active one would be full before it.
///
/// # Errors
/// The disk's, and whatever the log failed of before.
pub fn tend(log: &Mutex<Log>, pace: Pace, stop: &dyn Fn() -> bool) -> Result<(), EngineError> {
    let tending = log.lock().tending.clone();
    let _tending = tending.lock();
    prepare_next(log, || Ok(log.lock().pool.take()))?;
    sync_sealed(log)?;
    if pace == Pace::Gentle && !log.lock().calls_for_next() {
        return Ok(());
    }
    prepare_next(log, || new_spare(log, pace, stop))
}

fn sync_sealed(log: &Mutex<Log>) -> Result<(), EngineError> {
    loop {
        let unsynced = {
            let log = log.lock();
            log.check_writable()?;
            log.unsynced_sealed()
        };
        match unsynced {
            Some(unsynced) => sync_one(log, unsynced)?,
            None => return Ok(()),
        }
    }
}

/// A new file, of zeros if the settings want that. While it is being filled the log may go on by
/// several segments, and some may come back to serve again: then one of those is the answer.
fn new_spare(
    log: &Mutex<Log>,
    pace: Pace,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Spare>, EngineError> {
    let (folder, id, bytes, zeros) = {
        let mut log = log.lock();
        let (id, bytes) = (log.pool.take_id(), log.pool.segment_bytes());
        (log.pool.folder().clone(), id, bytes, log.zeros)
    };
    if !zeros {
        return Spare::unfilled(&folder, id, bytes).map(Some);
    }
    let go_on = |filled| {
        sync_sealed(log)?;
        if stop() {
            return Ok(GoOn::No);
        }
        let log = log.lock();
        Ok(match (log.pool.is_empty(), log.outruns(filled)) {
            (false, _) => GoOn::No,
            (true, true) => GoOn::InHaste,
            (true, false) => GoOn::Gently,
        })
    };
    match Spare::fill(&folder, id, bytes, pace, &go_on)? {
        None if !stop() => Ok(log.lock().pool.take()),
        filled => Ok(filled),
    }
}

/// Makes the file that `spare` answers with the next segment, unless there is one.
fn prepare_next(
    log: &Mutex<Log>,
    spare: impl FnOnce() -> Result<Option<Spare>, EngineError>,
) -> Result<(), EngineError> {
    {
        let log = log.lock();
        log.check_writable()?;
        if log.next.is_some() {
            return Ok(());
        }
    }
    let prepared = spare().and_then(|spare| spare.map_or(Ok(()), |spare| name_next(log, spare)));
    prepared.inspect_err(|error| log.lock().fail(error))
}

fn name_next(log: &Mutex<Log>, mut spare: Spare) -> Result<(), EngineError> {
    loop {
        let header = log.lock().next_header();
        spare.write_header(&header)?;
        match hand_over(log, spare, &header)? {
            None => break,
            // The writer did not wait: the number is taken.
            Some(back) => spare = back,
        }
    }
    let folder = log.lock().pool.folder().clone();
    folder.sync()?;
    if let Some(next) = &mut log.lock().next {
        next.named = true;
    }
    Ok(())
}

/// Lets the log have the segment unless another one has its number by now: then the file comes
/// back.
fn hand_over(
    log: &Mutex<Log>,
    spare: Spare,
    header: &Header,
) -> Result<Option<Spare>, EngineError> {
    let mut log = log.lock();
    log.check_writable()?;
    if log.number + 1 != header.number {
        return Ok(Some(spare));
    }
    let filled = spare.filled;
    let handle = spare.into_segment(log.pool.folder(), header.number)?;
    log.next = Some(Next { number: header.number, handle, filled, named: false });
    Ok(None)
}

/// Gives back the segments that the tables hold completely: to be called once the tables and the
/// manifest that names them are durable. They are kept for another life, or removed.
///
/// They go oldest first, and each is gone durably before the next goes: so a crash leaves no gap
/// between those that are left. And none gets a new header before it has lost its old name durably:
/// so no segment is ever found under the name of an earlier life.
pub fn retire(log: &Mutex<Log>, flushed_sequence: u64) -> Result<(), EngineError> {
    let retiring = log.lock().retiring.clone();
    let _retiring = retiring.lock();
    loop {
        let (folder, number, id) = {
            let mut log = log.lock();
            log.check_writable()?;
            let Some(number) = log.pop_flushed(flushed_sequence) else { return Ok(()) };
            (log.pool.folder().clone(), number, log.pool.take_id())
        };
        let given_back = Spare::of_segment(&folder, number, id);
        let mut log = log.lock();
        let spare = given_back.inspect_err(|error| log.fail(error))?;
        log.pool.keep(spare)?;
    }
}
