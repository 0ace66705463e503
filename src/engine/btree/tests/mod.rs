#![allow(clippy::unwrap_used)]

mod crash;

use super::*;
use crate::engine::disk::Simulated;
use crate::engine::disk::simulated::{Fault, Operation};
use std::io::ErrorKind;

fn open(disk: &Simulated, sync: SyncPolicy) -> Result<BTree, EngineError> {
    let config = BtreeConfig { sync, cache_mib: 1, ..BtreeConfig::default() };
    BTree::open_on(&config, Folder::new(Arc::new(disk.clone()), Path::new("/db")))
}

fn put(key: &'static str, value: &'static str) -> Write {
    Write::Put { key: key.into(), value: value.into() }
}

#[test]
fn without_a_synchronisation_the_death_of_the_process_takes_what_was_committed() {
    let disk = Simulated::new(1);
    let engine = open(&disk, SyncPolicy::Never).unwrap();
    engine.commit(vec![put("a", "1")]).unwrap();
    engine.commit_with(vec![put("b", "2")], Some(SyncPolicy::Always)).unwrap();
    engine.commit(vec![put("c", "3")]).unwrap();
    assert_eq!(engine.get(b"c").unwrap().unwrap(), "3", "read at once");
    let disk = disk.kill();
    drop(engine);
    let engine = open(&disk, SyncPolicy::Never).unwrap();
    let found = engine.multi_get(&[b"a", b"b", b"c"]).unwrap();
    assert_eq!(found, [Some("1".into()), Some("2".into()), None], "durable ones, and before them");
    engine.commit(vec![put("c", "4")]).unwrap();
    engine.close().unwrap();
    let disk = disk.kill();
    assert_eq!(open(&disk, SyncPolicy::Never).unwrap().get(b"c").unwrap().unwrap(), "4");
}

#[test]
fn after_an_error_of_the_disk_nothing_more_is_written() {
    let disk = Simulated::new(1);
    let engine = open(&disk, SyncPolicy::Always).unwrap();
    engine.commit(vec![put("a", "1")]).unwrap();
    let error = ErrorKind::StorageFull;
    let (on, path_part) = (Operation::Sync, FILE.to_string());
    disk.plan(Fault { on, path_part, skip: 0, error, lasting: false });
    let error = engine.commit(vec![put("a", "2")]).unwrap_err().to_string();
    assert!(error.contains("/db/btree.redb: "), "{error}");
    let error = engine.commit(vec![put("a", "3")]).unwrap_err().to_string();
    assert!(error.contains("read-only since an earlier error: /db/btree.redb: "), "{error}");
    assert!(engine.close().is_err());
    let engine = open(&disk.kill(), SyncPolicy::Always).unwrap();
    let found = engine.get(b"a").unwrap().unwrap();
    assert!(found == "1" || found == "2", "{found:?}");
}

#[test]
fn folders_that_are_not_ours_are_refused() {
    let disk = Simulated::new(1);
    let held = open(&disk, SyncPolicy::Always).unwrap();
    let error = open(&disk, SyncPolicy::Always).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    drop(held);
    disk.write_raw(Path::new("/db/btree.redb"), &[7; 10_000]);
    let error = open(&disk, SyncPolicy::Always).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("/db/btree.redb: "), "{error}");
    let disk = Simulated::new(1);
    crate::engine::disk::Disk::create_dir(&disk, Path::new("/db")).unwrap();
    disk.write_raw(Path::new("/db/letters.txt"), b"dear");
    let error = open(&disk, SyncPolicy::Always).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("not a folder of this engine") && error.contains("letters.txt"));
}

#[test]
fn what_the_other_engines_refuse_is_refused() {
    let engine = open(&Simulated::new(1), SyncPolicy::Always).unwrap();
    let long = Write::Remove { key: vec![0; wal::MAX_KEY_BYTES + 1].into() };
    let error = engine.commit(vec![long]).unwrap_err().to_string();
    assert!(error.contains("a key of 65536 bytes; at most 65535"), "{error}");
    engine.commit(vec![put("a", "1")]).unwrap();
}

/// A power cut while the file grows may leave it with any length.
#[test]
fn a_part_of_a_page_at_the_end_does_not_count() {
    let disk = Simulated::new(1);
    let engine = open(&disk, SyncPolicy::Always).unwrap();
    engine.commit(vec![put("a", "1")]).unwrap();
    let disk = disk.kill();
    drop(engine);
    let path = Path::new("/db/btree.redb");
    let mut bytes = disk.read_raw(path).unwrap();
    bytes.resize(bytes.len() + 100, 0);
    disk.write_raw(path, &bytes);
    let engine = open(&disk, SyncPolicy::Always).unwrap();
    assert_eq!(engine.get(b"a").unwrap().unwrap(), "1");
    engine.commit(vec![put("a", "2")]).unwrap();
    let disk = disk.kill();
    drop(engine);
    assert_eq!(open(&disk, SyncPolicy::Always).unwrap().get(b"a").unwrap().unwrap(), "2");
}
