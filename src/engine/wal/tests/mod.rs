//! The log against a model, over crashes, damage and recycling.

#![allow(clippy::unwrap_used)]

mod crashes;
mod damage;
mod life;

use super::*;
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Simulated};
use crate::engine::entry::{Item, Kind};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SEGMENT_BYTES: u64 = 8 << 10;
const SETTINGS: Settings =
    Settings { segment_bytes: SEGMENT_BYTES, spares: 2, log_id: 99, zeros: true };

fn folder(disk: &Simulated) -> Folder {
    let folder = Folder::new(Arc::new(disk.clone()), Path::new("/log"));
    folder.create().unwrap();
    folder
}

fn path(name: &str) -> PathBuf {
    Path::new("/log").join(name)
}

/// A change as a replay hands it over.
type Found = (u64, Vec<u8>, Kind, u64, Vec<u8>);

fn found(sequence: u64, key: &[u8], item: Item<'_>) -> Found {
    (sequence, key.to_vec(), item.kind, item.expires_s, item.value.to_vec())
}

/// The change of a sequence number: all tests write these.
fn nth(sequence: u64) -> Found {
    let key = format!("key {}", sequence % 97).into_bytes();
    let long = if sequence.is_multiple_of(23) { 900 } else { 20 };
    let value = sequence.to_le_bytes().repeat((sequence % long) as usize);
    match sequence % 5 {
        0 => (sequence, key, Kind::Tombstone, 0, Vec::new()),
        1 => (sequence, key, Kind::Value, sequence + 7, value),
        _ => (sequence, key, Kind::Value, 0, value),
    }
}

fn change((_, key, kind, expires_s, value): &Found) -> Change<'_> {
    Change { key, item: Item { kind: *kind, expires_s: *expires_s, value } }
}

/// Appends one batch of so many changes.
fn append(log: &mut Log, changes: u64) -> Result<Appended, EngineError> {
    let first = log.last_sequence() + 1;
    let batch: Vec<Found> = (first..first + changes).map(nth).collect();
    log.append(batch.iter().map(change))
}

fn replayed(
    folder: &Folder,
    flushed: u64,
    salvage: Salvage,
) -> Result<(Replayed, Vec<Found>), EngineError> {
    let mut all = Vec::new();
    let replayed = replay(folder, flushed, salvage, |sequence, key, item| {
        all.push(found(sequence, key, item));
        Ok(())
    })?;
    Ok((replayed, all))
}

/// Replays, checks that exactly the changes behind `flushed` are found in order, and starts.
fn open(folder: &Folder, flushed: u64) -> Result<Mutex<Log>, EngineError> {
    let (replayed, all) = replayed(folder, flushed, Salvage::No)?;
    let expected: Vec<Found> = (flushed + 1..=replayed.last_sequence).map(nth).collect();
    assert_eq!(all, expected);
    Log::start(folder, SETTINGS, &replayed).map(Mutex::new)
}

fn tend_now(log: &Mutex<Log>) -> Result<(), EngineError> {
    tend(log, Pace::AtOnce, &|| false)
}

fn names(folder: &Folder, extension: &str) -> Vec<String> {
    let names = folder.list().unwrap().into_iter();
    names.filter(|name| name.ends_with(extension)).collect()
}
