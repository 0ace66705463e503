//! A store that is simple enough to be right: a log, and a copy of everything that replaces it. And
//! ways to get it wrong, all of which the judge must see.

use super::drive::{Store, Subject};
use super::model::{Map, apply};
use super::{LogKind, World, attempt, campaign, damage, seeds, shrink};
use crate::engine::disk::simulated::Operation;
use crate::engine::disk::{Folder, Handle, Mode, Simulated};
use crate::engine::{EngineError, SyncPolicy, Write};
use bytes::Bytes;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Error {
    None,
    AcknowledgesBeforeSync,
    ForgetsFolderAfterCreation,
    ForgetsFolderAfterRename,
    RenamesBeforeSync,
    RemovesLogBeforeRename,
    HasNoChecksum,
    SplitsBatches,
    LeavesTail,
    DropsTailOnOpening,
    DoesNotSyncOnOpening,
    FlushesNothing,
    ForgetsRemovals,
    GoesOnAfterFailure,
}

struct Toy {
    error: Error,
    sync: SyncPolicy,
}

struct Opened {
    failure: RefCell<Option<String>>,
    error: Error,
    sync: SyncPolicy,
    folder: Folder,
    log: RefCell<Log>,
    map: RefCell<Map>,
}

struct Log {
    number: u64,
    file: Handle,
    end: u64,
}

/// The key under which a copy holds the number of the log that goes on from it.
const NUMBER: &[u8] = b"";

fn log_name(number: u64) -> String {
    format!("{number}.log")
}

/// Length, checksum, then each change: key, value, both with their lengths; no value: a removal.
fn encode(batch: &[Write]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |bytes: Option<&Bytes>| {
        body.extend(bytes.map_or(u32::MAX, |bytes| bytes.len() as u32).to_le_bytes());
        body.extend(bytes.into_iter().flatten());
    };
    for write in batch {
        match write {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                part(Some(key));
                part(Some(value));
            }
            Write::Remove { key } => {
                part(Some(key));
                part(None);
            }
        }
    }
    let mut record = (body.len() as u32).to_le_bytes().to_vec();
    record.extend(crc32fast::hash(&body).to_le_bytes());
    record.extend(body);
    record
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(bytes, 4)?.try_into().unwrap()))
}

fn decode(bytes: &mut &[u8], checks: bool) -> Option<Vec<Write>> {
    let length = take_number(bytes)?;
    let checksum = take_number(bytes)?;
    let mut body = take(bytes, length as usize)?;
    if body.is_empty() || (checks && crc32fast::hash(body) != checksum) {
        return None;
    }
    let mut batch = Vec::new();
    while !body.is_empty() {
        let length = take_number(&mut body)?;
        let key = Bytes::copy_from_slice(take(&mut body, length as usize)?);
        batch.push(match take_number(&mut body)? {
            u32::MAX => Write::Remove { key },
            length => {
                let value = Bytes::copy_from_slice(take(&mut body, length as usize)?);
                Write::Put { key, value }
            }
        });
    }
    Some(batch)
}

impl Subject for Toy {
    fn name(&self) -> String {
        format!("toy, sync {:?}, {:?}", self.sync, self.error)
    }

    fn sync(&self) -> SyncPolicy {
        self.sync
    }

    fn open(&self, disk: &Simulated) -> Result<Box<dyn Store>, EngineError> {
        let folder = Folder::new(Arc::new(disk.clone()), Path::new("/toy"));
        folder.create()?;
        let (mut map, mut number) = (Map::new(), 0);
        if let Some(copy) = folder.read("copy")? {
            let checks = self.error != Error::HasNoChecksum;
            let corrupt = || EngineError::corrupt(&folder.path_of("copy"), 0, "a record", "none");
            apply(&mut map, &decode(&mut &copy[..], checks).ok_or_else(corrupt)?);
            number = map
                .remove(NUMBER)
                .map_or(0, |bytes| u64::from_be_bytes(bytes[..].try_into().unwrap_or_default()));
        }
        let log = self.replay(&folder, number, &mut map)?;
        let (log, map) = (RefCell::new(log), RefCell::new(map));
        let failure = RefCell::default();
        Ok(Box::new(Opened { failure, error: self.error, sync: self.sync, folder, log, map }))
    }
}

impl Toy {
    fn replay(&self, folder: &Folder, number: u64, map: &mut Map) -> Result<Log, EngineError> {
        let name = log_name(number);
        let bytes = folder.read(&name)?;
        let mode = if bytes.is_some() { Mode::Write } else { Mode::Create };
        let file = folder.open(&name, mode)?;
        // A process that died may have made it and not come to this.
        if self.error != Error::ForgetsFolderAfterCreation {
            folder.sync()?;
        }
        let bytes = bytes.unwrap_or_default();
        let mut rest = &bytes[..];
        let mut end = 0;
        while let Some(batch) = decode(&mut rest, self.error != Error::HasNoChecksum) {
            apply(map, &batch);
            end = (bytes.len() - rest.len()) as u64;
        }
        if self.error == Error::DropsTailOnOpening {
            end = end.saturating_sub(1);
        }
        if self.error != Error::LeavesTail {
            file.set_bytes(end)?;
        }
        if self.error != Error::DoesNotSyncOnOpening {
            file.sync()?;
        }
        Ok(Log { number, file, end })
    }
}

impl Opened {
    fn append(&self, batch: &[Write]) -> Result<(), EngineError> {
        let mut log = self.log.borrow_mut();
        let record = encode(batch);
        log.file.write(&record, log.end)?;
        log.end += record.len() as u64;
        Ok(())
    }
}

impl Store for Opened {
    fn commit(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.guarded(|| self.log_and_apply(batch, sync))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.map.borrow().get(key).cloned())
    }

    fn everything(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        Ok(self.map.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.guarded(|| self.copy())
    }

    fn settle(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn close(&self) -> Result<(), EngineError> {
        self.guarded(|| self.log.borrow().file.sync())
    }
}

impl Opened {
    /// Refuses everything after the first failure.
    fn guarded(&self, work: impl FnOnce() -> Result<(), EngineError>) -> Result<(), EngineError> {
        let failed = self.failure.borrow().clone();
        if let Some(failure) = failed.filter(|_| self.error != Error::GoesOnAfterFailure) {
            return Err(EngineError::ReadOnly(failure));
        }
        work().inspect_err(|error| *self.failure.borrow_mut() = Some(error.to_string()))
    }

    fn log_and_apply(
        &self,
        batch: Vec<Write>,
        sync: Option<SyncPolicy>,
    ) -> Result<(), EngineError> {
        let logged: Vec<Write> = match self.error {
            Error::ForgetsRemovals => {
                batch.iter().filter(|write| matches!(write, Write::Put { .. })).cloned().collect()
            }
            _ => batch.clone(),
        };
        match self.error {
            Error::SplitsBatches => logged.chunks(1).try_for_each(|one| self.append(one))?,
            _ => self.append(&logged)?,
        }
        let must = sync.unwrap_or(self.sync) == SyncPolicy::Always;
        if must && self.error != Error::AcknowledgesBeforeSync {
            self.log.borrow().file.sync()?;
        }
        apply(&mut self.map.borrow_mut(), &batch);
        Ok(())
    }

    fn copy(&self) -> Result<(), EngineError> {
        if self.error == Error::FlushesNothing {
            return Ok(());
        }
        let mut log = self.log.borrow_mut();
        let number = log.number + 1;
        let map = self.map.borrow();
        let put =
            |(key, value): (&Bytes, &Bytes)| Write::Put { key: key.clone(), value: value.clone() };
        let number_bytes = Bytes::copy_from_slice(&number.to_be_bytes());
        let mut all = vec![Write::Put { key: NUMBER.into(), value: number_bytes }];
        all.extend(map.iter().map(put));
        let bytes = encode(&all);
        let file = self.folder.open("copy.tmp", Mode::Create)?;
        file.write(&bytes, 0)?;
        if self.error != Error::RenamesBeforeSync {
            file.sync()?;
        }
        let next = self.folder.open(&log_name(number), Mode::Create)?;
        if self.error == Error::RemovesLogBeforeRename {
            self.folder.remove(&log_name(log.number));
        }
        self.folder.rename("copy.tmp", "copy")?;
        if self.error != Error::ForgetsFolderAfterRename {
            self.folder.sync()?;
        }
        self.folder.remove(&log_name(log.number));
        *log = Log { number, file: next, end: 0 };
        Ok(())
    }
}

const POLICIES: [SyncPolicy; 3] = [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never];

fn toy(error: Error, seed: u64) -> Toy {
    Toy { error, sync: POLICIES[(seed % 3) as usize] }
}

/// What a toy asks of a disk.
const TROUBLES: [(Operation, &str); 7] = [
    (Operation::Create, ".log"),
    (Operation::Write, ".log"),
    (Operation::Sync, ".log"),
    (Operation::Write, "copy"),
    (Operation::Sync, "copy"),
    (Operation::Rename, "copy"),
    (Operation::SyncDir, "toy"),
];

#[test]
fn a_store_that_is_right_is_found_right() {
    let test = "engine::crash::toy::a_store_that_is_right";
    let right = |seed| -> Box<dyn Subject> { Box::new(toy(Error::None, seed)) };
    let tally = campaign(test, seeds(300), World::new, right);
    assert!(tally.crashes >= tally.worlds && tally.commits > tally.crashes, "{tally:?}");
}

#[test]
fn a_store_that_stops_at_failures_is_found_right() {
    let test = "engine::crash::toy::a_store_that_stops";
    let right = |seed| -> Box<dyn Subject> { Box::new(toy(Error::None, seed)) };
    let tally = campaign(test, seeds(300), |seed| World::troubled(seed, &TROUBLES), right);
    assert!(tally.failures > tally.worlds, "{tally:?}");
}

#[test]
fn flipped_bits_are_found_in_a_store_with_checksums_and_missed_in_one_without() {
    let test = "engine::crash::toy::flipped_bits";
    let log = LogKind { kind: ".log", proves: false };
    let flip = |error| damage(test, seeds(50), |seed| Box::new(toy(error, seed)), log);
    let seen = flip(Error::None);
    assert!(seen["copy"].refused > 0 && seen[".log"].cut > 0, "{seen:?}");
    assert!(std::panic::catch_unwind(|| flip(Error::HasNoChecksum)).is_err());
}

#[test]
fn every_planted_error_is_found() {
    for error in [
        Error::AcknowledgesBeforeSync,
        Error::ForgetsFolderAfterCreation,
        Error::ForgetsFolderAfterRename,
        Error::RenamesBeforeSync,
        Error::RemovesLogBeforeRename,
        Error::HasNoChecksum,
        Error::SplitsBatches,
        Error::LeavesTail,
        Error::DropsTailOnOpening,
        Error::DoesNotSyncOnOpening,
        Error::FlushesNothing,
        Error::ForgetsRemovals,
    ] {
        check_found(error, World::new);
    }
    check_found(Error::GoesOnAfterFailure, |seed| World::troubled(seed, &TROUBLES));
}

fn check_found(error: Error, world: impl Fn(u64) -> World) {
    let found = (1..2_000).find_map(|seed| {
        let world = world(seed);
        attempt(&toy(error, seed), &world).err().map(|failure| (seed, world, failure))
    });
    let (seed, world, failure) = found.unwrap_or_else(|| panic!("{error:?} was not found"));
    let (small, _) = shrink::shrink(&toy(error, seed), &world, &failure);
    assert!(small.steps() <= world.steps() && small.steps() < 40, "{error:?}: {small}");
    assert!(attempt(&toy(error, seed), &small).is_err(), "a failure can be seen again");
}
