//! From what a replay found to a log that takes records again.
//!
//! Each step leaves a folder that the next replay reads as this one did, so a crash in between
//! does no harm:
//!
//! 1. The names are made durable, so that no file has two of them.
//! 2. What is behind a hole is set aside, the newest segment first.
//! 3. What was read is synchronised: after the death of a process some of it may be in memory only,
//!    and the new segment will say that it is durable.
//! 4. Segments behind the last record lose their names, the newest first. They may hold records
//!    that were dropped, and whose sequence numbers will be given again.
//! 5. The new segment gets its name, which says which segment it follows. A folder that had a
//!    segment is never without one, so that a log which was lost is noticed.

use super::log::{Log, Next, Settings};
use super::pool::{Pool, highest_number};
use super::replay::{Replayed, Salvaged};
use super::segment::{self, Spare, salvaged_name, segment_name};
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Mode};

const COPY_BYTES: u64 = 1 << 20;

impl Log {
    /// Goes on behind what a replay found, in a new segment.
    pub fn start(
        folder: &Folder,
        settings: Settings,
        replayed: &Replayed,
    ) -> Result<Log, EngineError> {
        tell(replayed);
        // A process that died may have given a segment back whose old name is still the durable
        // one: nothing may be written into that file before.
        folder.sync()?;
        // Before a segment loses its name.
        let number = 1 + highest_number(folder)?;
        if let Some(salvaged) = &replayed.salvaged {
            set_aside(folder, salvaged)?;
        }
        for kept in &replayed.segments {
            folder.open(&segment_name(kept.number), Mode::Write)?.sync()?;
        }
        let log_id = replayed.log_id.unwrap_or(settings.log_id);
        let mut pool = Pool::adopt(folder, settings.segment_bytes, settings.spares)?;
        // Without a segment that is kept, the oldest one stays until the new one has its name.
        let none_kept = replayed.segments.is_empty();
        let (placeholder, behind) = match replayed.behind.split_first() {
            Some((oldest, behind)) if none_kept => (Some(*oldest), behind),
            _ => (None, &replayed.behind[..]),
        };
        behind.iter().rev().try_for_each(|number| give_back(&mut pool, *number))?;
        let last_kept = replayed.segments.last().map(|kept| kept.number);
        let header = segment::Header {
            log_id,
            number,
            previous: last_kept.or(placeholder).unwrap_or_default(),
            durable_sequence: replayed.last_sequence,
        };
        let spare = pool.take_at_once()?;
        spare.write_header(&header)?;
        let filled = spare.filled;
        let handle = spare.into_segment(folder, number)?;
        let active = Next { number, handle, filled, named: true };
        folder.sync()?;
        placeholder.iter().try_for_each(|number| give_back(&mut pool, *number))?;
        let (sealed, last_sequence) = (replayed.segments.clone(), replayed.last_sequence);
        Ok(Log::begin(pool, log_id, settings.zeros, sealed, active, last_sequence))
    }
}

fn give_back(pool: &mut Pool, number: u64) -> Result<(), EngineError> {
    let id = pool.take_id();
    let spare = Spare::of_segment(pool.folder(), number, id)?;
    pool.keep(spare)
}

fn tell(replayed: &Replayed) {
    if let Some(torn) = &replayed.torn {
        tracing::warn!(
            path = %torn.path.display(),
            offset = torn.offset,
            bytes = replayed.dropped_bytes,
            "dropped the end of the log: it was written when the power or the process failed, and \
             nobody was promised that it is durable"
        );
    }
    if let Some(salvaged) = &replayed.salvaged {
        tracing::warn!(
            hole = %salvaged.hole,
            segments = ?salvaged.segments,
            last_sequence = replayed.last_sequence,
            "setting aside what is behind a hole in the log"
        );
    }
}

/// Gives the segments behind a hole another name, and cuts the one that it is in. What is cut off
/// stays in a copy of the whole segment.
fn set_aside(folder: &Folder, salvaged: &Salvaged) -> Result<(), EngineError> {
    for number in salvaged.segments.iter().rev() {
        folder.rename(&segment_name(*number), &salvaged_name(*number))?;
        folder.sync()?;
    }
    let Some((number, offset)) = salvaged.cut else { return Ok(()) };
    let segment = folder.open(&segment_name(number), Mode::Write)?;
    let copy = folder.open("salvaged.tmp", Mode::Create)?;
    let bytes = segment.bytes()?;
    let mut chunk = Vec::new();
    for at in (0..bytes).step_by(COPY_BYTES as usize) {
        chunk.resize(COPY_BYTES.min(bytes - at) as usize, 0);
        segment.read(&mut chunk, at)?;
        copy.write(&chunk, at)?;
    }
    copy.sync()?;
    folder.rename("salvaged.tmp", &salvaged_name(number))?;
    folder.sync()?;
    segment.set_bytes(offset)?;
    segment.sync()
}
