//! What survives: crashes, torn tails, holes, second owners and full disks.

use super::*;
use std::fs;

#[test]
fn a_crash_loses_nothing() {
    let dir = folder();
    let lsm = open_eager(dir.path());
    for round in 0..3_000_u32 {
        lsm.commit(vec![put(format!("{:04}", round % 100), format!("value {round}"))]).unwrap();
        if round % 97 == 0 {
            let crashed = crash(&lsm);
            assert_eq!(everything(&open_eager(crashed.path())), everything(&lsm), "{round}");
        }
    }
}

#[test]
fn two_owners_are_refused() {
    let dir = folder();
    let owner = open_idle(dir.path()).unwrap();
    let error = open_idle(dir.path()).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    owner.close().unwrap();
    open_idle(dir.path()).unwrap();
}

#[test]
fn a_closed_engine_reads_and_takes_nothing() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    lsm.commit(vec![put("a", "1"), put("b", "2"), remove("a")]).unwrap();
    lsm.close().unwrap();
    lsm.close().unwrap();
    let error = lsm.commit(vec![put("c", "3")]).unwrap_err().to_string();
    assert!(error.contains("the engine is closed"), "{error}");
    assert_eq!(lsm.get(b"b").unwrap().as_deref(), Some(b"2".as_slice()));
    assert_eq!(lsm.peek(b"a").unwrap(), Peek::Absent);
}

/// Every byte at which the last record can be torn, with zeros or with garbage behind it.
#[test]
fn a_torn_tail_is_cut() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    lsm.commit(vec![put("a", "first")]).unwrap();
    let path = files_of(dir.path(), "wal").pop().unwrap();
    let written = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let start = written(&fs::read(&path).unwrap());
    lsm.commit(vec![put("a", "second"), put("b", "of the same batch")]).unwrap();
    let bytes = fs::read(&path).unwrap();
    let end = written(&bytes);
    assert!(end > start + 60);
    for cut in start..end {
        for garbage in [None, Some(0_u8), Some(0xa5)] {
            let crashed = copy(dir.path());
            let mut torn = bytes.clone();
            match garbage {
                None => torn.truncate(cut),
                Some(garbage) => torn[cut..end].fill(garbage),
            }
            fs::write(crashed.path().join(path.file_name().unwrap()), torn).unwrap();
            for _ in 0..2 {
                let found = open_idle(crashed.path()).unwrap();
                assert_eq!(everything(&found), [("a".into(), "first".into())], "cut at {cut}");
            }
        }
    }
}

fn open_synced(dir: &Path) -> Result<Lsm, EngineError> {
    let options = Options { sync: SyncPolicy::Always, segment_bytes: 1 << 20, ..options() };
    open_with(options, dir, Box::new(Idle))
}

/// Ten records, the fifth of which has a flipped bit.
fn hole(open: fn(&Path) -> Result<Lsm, EngineError>) -> tempfile::TempDir {
    let dir = folder();
    let lsm = open(dir.path()).unwrap();
    for number in 0..10 {
        lsm.commit(vec![put(format!("key {number}"), "value")]).unwrap();
    }
    drop(lsm);
    // Behind it lies the segment that comes next.
    let path = &files_of(dir.path(), "wal")[0];
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"key 4").unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    dir
}

#[test]
fn a_hole_before_durable_records_is_refused() {
    let dir = hole(open_synced);
    for _ in 0..2 {
        let error = open_synced(dir.path()).err().unwrap().to_string();
        assert!(error.contains("000000000001.wal: corrupt at byte"), "{error}");
        assert!(error.contains("expected the record of sequence number 5"), "{error}");
    }
}

/// Nobody was promised that these records are on disk: a power failure may leave such a hole.
#[test]
fn a_hole_before_records_that_nothing_was_promised_of_is_cut() {
    let dir = hole(open_idle);
    for _ in 0..2 {
        assert_eq!(everything(&open_idle(dir.path()).unwrap()).len(), 4);
    }
}

#[test]
fn lost_files_are_named() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    lsm.commit(vec![put("a", "1")]).unwrap();
    lsm.flush().unwrap();
    drop(lsm);
    let lost = copy(dir.path());
    fs::remove_file(lost.path().join(files::CURRENT)).unwrap();
    let error = open_idle(lost.path()).err().unwrap().to_string();
    assert!(error.contains("CURRENT is missing"), "{error}");
    let lost = copy(dir.path());
    for path in files_of(lost.path(), "wal") {
        fs::remove_file(path).unwrap();
    }
    let error = open_idle(lost.path()).err().unwrap().to_string();
    assert!(error.contains("the write-ahead log is missing"), "{error}");
    let lost = copy(dir.path());
    fs::remove_file(lost.path().join(files::table(1))).unwrap();
    let error = open_idle(lost.path()).err().unwrap().to_string();
    assert!(error.contains("000000000001.table: missing, but the manifest names it"), "{error}");
}

#[test]
fn what_a_crash_left_is_swept_and_strangers_stay() {
    let dir = folder();
    open_idle(dir.path()).unwrap().commit(vec![put("a", "1")]).unwrap();
    for name in ["000000000077.table", "000000000001.manifest", "spare-3.tmp", "notes.txt"] {
        fs::write(dir.path().join(name), "left").unwrap();
    }
    // The stray manifest is older than the one that CURRENT names.
    let lsm = open_idle(dir.path());
    assert!(lsm.is_err(), "CURRENT names manifest 1, which was overwritten");
    let dir = folder();
    drop(open_idle(dir.path()).unwrap());
    for name in ["000000000077.table", "000000000009.manifest", "old.tmp", "notes.txt"] {
        fs::write(dir.path().join(name), "left").unwrap();
    }
    let lsm = open_idle(dir.path()).unwrap();
    assert!(!dir.path().join(files::table(77)).exists());
    assert!(!dir.path().join("old.tmp").exists());
    assert!(dir.path().join("notes.txt").exists());
    assert_eq!(files_of(dir.path(), "manifest").len(), 1);
    lsm.commit(vec![put("a", "2")]).unwrap();
    lsm.flush().unwrap();
    assert!(dir.path().join(files::table(78)).exists(), "numbers go on behind the orphan's");
}

/// What is kept of merged tables is written over, in this life and the next, and a snapshot from
/// before holds.
#[test]
fn merged_tables_are_written_over_and_snapshots_are_not() {
    let dir = folder();
    let copy = dir.path().join("copy");
    let lsm = open_eager(dir.path());
    let write_all = |lsm: &Lsm, round: u32| {
        for key in 0..200 {
            lsm.commit(vec![put(format!("{key:04}"), [round as u8; 300])]).unwrap();
        }
        lsm.flush().unwrap();
        lsm.settle().unwrap();
    };
    (0..4).for_each(|round| write_all(&lsm, round));
    assert!(lsm.stats().spare_bytes > 0);
    lsm.snapshot(&copy).unwrap();
    (4..12).for_each(|round| write_all(&lsm, round));
    assert!(lsm.stats().spare_bytes > 0);
    let check = |lsm: &Lsm, round: u32| {
        let found = everything(lsm);
        assert_eq!(found.len(), 200);
        assert!(found.iter().all(|(_, value)| *value == vec![round as u8; 300]), "{round}");
    };
    check(&lsm, 11);
    check(&open_idle(&copy).unwrap(), 3);
    lsm.close().unwrap();
    let spares = files_of(dir.path(), "retired").len();
    let lsm = open_eager(dir.path());
    assert_eq!(files_of(dir.path(), "retired").len(), spares);
    (12..16).for_each(|round| write_all(&lsm, round));
    check(&lsm, 15);
}

#[test]
fn flushed_segments_are_removed() {
    let dir = folder();
    let lsm = open_eager(dir.path());
    for number in 0..2_000_u32 {
        lsm.commit(vec![put(number.to_le_bytes(), [1; 50])]).unwrap();
    }
    lsm.flush().unwrap();
    lsm.close().unwrap();
    // The active one and the one that comes next.
    assert!(files_of(dir.path(), "wal").len() <= 2);
    assert_eq!(everything(&open_eager(dir.path())).len(), 2_000);
}

#[test]
fn a_full_disk_makes_it_read_only() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join(files::table(1))).unwrap();
    lsm.commit(vec![put("a", "1")]).unwrap();
    let error = lsm.flush().unwrap_err().to_string();
    assert!(error.contains("000000000001.table: No space left on device"), "{error}");
    let error = lsm.commit(vec![put("b", "2")]).unwrap_err().to_string();
    assert!(error.starts_with("read-only since an earlier error"), "{error}");
    assert_eq!(lsm.get(b"a").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(lsm.get(b"b").unwrap(), None);
    assert!(lsm.close().is_err());
    assert_eq!(everything(&open_idle(dir.path()).unwrap()), [("a".into(), "1".into())]);
}

#[test]
fn a_lost_folder_makes_it_read_only() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    lsm.commit(vec![put("a", "1")]).unwrap();
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(lsm.flush().is_err());
    assert!(lsm.commit(vec![put("b", "2")]).is_err());
    assert_eq!(lsm.peek(b"a").unwrap(), Peek::Found("1".into()));
}

#[test]
fn a_folder_that_is_a_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open_idle(file.path()).err().unwrap().to_string();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
}

#[test]
fn too_long_a_key_is_refused_and_nothing_breaks() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    assert!(lsm.commit(vec![put("a", "1"), put([0; 70_000], "2")]).is_err());
    lsm.commit(vec![put("b", "2")]).unwrap();
    lsm.commit(Vec::new()).unwrap();
    assert_eq!(everything(&lsm), [("b".into(), "2".into())]);
}

#[test]
fn a_batch_larger_than_a_segment_is_taken() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    lsm.commit(vec![put("small", "1")]).unwrap();
    lsm.commit(vec![put("large", vec![5; 100_000])]).unwrap();
    lsm.commit(vec![put("after", "2")]).unwrap();
    let crashed = crash(&lsm);
    assert_eq!(everything(&open_idle(crashed.path()).unwrap()), everything(&lsm));
    assert_eq!(everything(&lsm).len(), 3);
}
