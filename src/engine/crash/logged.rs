//! The write-ahead log alone as a store: a map in memory, the log, and a copy of the map in place
//! of tables. So the log is judged before an engine hides it.

use super::model::{Map, apply};
use super::{LogKind, Store, Subject, World, campaign, damage, seeds};
use crate::engine::disk::simulated::Operation;
use crate::engine::disk::{Folder, Simulated};
use crate::engine::entry::Kind;
use crate::engine::wal::{self, Change, Log, Pace, Salvage, Settings};
use crate::engine::{EngineError, SyncPolicy, Write};
use bytes::Bytes;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

struct Logged {
    sync: SyncPolicy,
    settings: Settings,
    /// Whether the next segment is prepared ahead.
    tended: bool,
}

struct Opened {
    sync: SyncPolicy,
    tended: bool,
    folder: Folder,
    log: Mutex<Log>,
    map: RefCell<Map>,
}

impl Logged {
    fn new(seed: u64) -> Self {
        let at = |step: u64| (seed / step % 3) as usize;
        let sync = [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never][at(1)];
        let settings = Settings {
            segment_bytes: [4_096, 8_192, 100_000][at(3)],
            spares: [0, 1, 4][at(9)],
            log_id: seed,
            zeros: (seed / 2).is_multiple_of(2),
        };
        Logged { sync, settings, tended: seed.is_multiple_of(2) }
    }
}

/// The copy: a checksum, then the last sequence number and the entries.
fn encode(sequence: u64, map: &Map) -> Vec<u8> {
    let entries: Vec<(&[u8], &[u8])> = map.iter().map(|(key, value)| (&**key, &**value)).collect();
    let body = serde_json::to_vec(&(sequence, entries)).unwrap();
    let mut bytes = crc32fast::hash(&body).to_le_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn decode(folder: &Folder, bytes: &[u8]) -> Result<(u64, Map), EngineError> {
    let (check, body) = bytes.split_at(4.min(bytes.len()));
    if check != crc32fast::hash(body).to_le_bytes() {
        return Err(EngineError::corrupt(&folder.path_of("copy"), 0, "a copy", "other bytes"));
    }
    type Entries = Vec<(Vec<u8>, Vec<u8>)>;
    let (sequence, entries): (u64, Entries) = serde_json::from_slice(body).unwrap();
    Ok((sequence, entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect()))
}

impl Subject for Logged {
    fn name(&self) -> String {
        format!("log, sync {:?}, {:?}", self.sync, self.settings)
    }

    fn sync(&self) -> SyncPolicy {
        self.sync
    }

    fn open(&self, disk: &Simulated) -> Result<Box<dyn Store>, EngineError> {
        let folder = Folder::new(Arc::new(disk.clone()), Path::new("/db"));
        folder.create()?;
        let copy = folder.read("copy")?.map(|bytes| decode(&folder, &bytes));
        let (flushed, mut map) = copy.transpose()?.unwrap_or_default();
        let replayed = wal::replay(&folder, flushed, Salvage::No, |_, key, item| {
            let key = Bytes::copy_from_slice(key);
            match item.kind {
                Kind::Tombstone => map.remove(&key),
                _ => map.insert(key, Bytes::copy_from_slice(item.value)),
            };
            Ok(())
        })?;
        let log = Mutex::new(Log::start(&folder, self.settings, &replayed)?);
        let (sync, tended, map) = (self.sync, self.tended, RefCell::new(map));
        let opened = Opened { sync, tended, folder, log, map };
        opened.tend()?;
        Ok(Box::new(opened))
    }
}

impl Opened {
    fn tend(&self) -> Result<(), EngineError> {
        if self.tended { wal::tend(&self.log, Pace::AtOnce, &|| false) } else { Ok(()) }
    }
}

impl Store for Opened {
    fn commit(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        let changes = batch.iter().map(|write| match write {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                Change::put(key, value)
            }
            Write::Remove { key } => Change::remove(key),
        });
        let appended = self.log.lock().append(changes)?;
        if sync.unwrap_or(self.sync) == SyncPolicy::Always {
            wal::sync(&self.log)?;
        }
        apply(&mut self.map.borrow_mut(), &batch);
        if appended.switched { self.tend() } else { Ok(()) }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.map.borrow().get(key).cloned())
    }

    fn everything(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        Ok(self.map.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn flush(&self) -> Result<(), EngineError> {
        let last_sequence = self.log.lock().last_sequence();
        let copy = encode(last_sequence, &self.map.borrow());
        self.folder.replace("copy", &copy).inspect_err(|error| self.log.lock().fail(error))?;
        wal::retire(&self.log, last_sequence)
    }

    fn settle(&self) -> Result<(), EngineError> {
        self.tend()
    }

    fn close(&self) -> Result<(), EngineError> {
        self.log.lock().close()
    }
}

const TROUBLES: [(Operation, &str); 13] = [
    (Operation::Open, ".wal"),
    (Operation::Read, ".wal"),
    (Operation::Write, ".wal"),
    (Operation::Sync, ".wal"),
    (Operation::Rename, ".wal"),
    (Operation::Create, "spare"),
    (Operation::Write, "spare"),
    (Operation::Sync, "spare"),
    (Operation::Rename, "spare"),
    (Operation::Rename, "replace"),
    (Operation::Resize, ""),
    (Operation::Remove, ""),
    (Operation::SyncDir, ""),
];

fn logged(seed: u64) -> Box<dyn Subject> {
    Box::new(Logged::new(seed))
}

#[test]
fn crashes_lose_nothing_of_the_log_that_was_durable() {
    let test = "engine::crash::logged::crashes_lose";
    let tally = campaign(test, seeds(100), World::new, logged);
    assert!(tally.crashes >= tally.worlds, "{tally:?}");
    // A segment that a killed process gave back had two names when the power failed.
    campaign(test, 11_245..11_246, World::new, logged);
}

#[test]
fn a_disk_that_refuses_stops_the_log_and_loses_nothing() {
    let test = "engine::crash::logged::a_disk_that_refuses";
    let tally = campaign(test, seeds(60), |seed| World::troubled(seed, &TROUBLES), logged);
    assert!(tally.failures >= tally.worlds, "{tally:?}");
}

#[test]
fn flipped_bits_of_the_log_are_found() {
    let log = LogKind { kind: ".wal", proves: true };
    let seen = damage("engine::crash::logged::flipped_bits", seeds(30), logged, log);
    let wal = seen[".wal"];
    assert!(wal.refused > 0 && wal.cut > 0 && wal.harmless > 0, "{seen:?}");
    assert_eq!(seen["copy"].harmless, 0, "{seen:?}");
}
