//! What survives: kills, torn tails, holes, second owners and full disks.

use super::*;
use std::fs;

/// Opens a copy of the folder as a crash would leave it: nothing closed, nothing synchronised
/// further.
fn copy(dir: &Path) -> tempfile::TempDir {
    let copied = tempfile::tempdir().unwrap();
    for (path, _) in files::list(dir).unwrap() {
        fs::copy(&path, copied.path().join(path.file_name().unwrap())).unwrap();
    }
    copied
}

#[test]
fn a_crash_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lsm = open_eager(dir.path());
    for round in 0..300_u32 {
        lsm.commit(vec![put(format!("{:04}", round % 100), format!("value {round}"))]).unwrap();
    }
    let crashed = copy(dir.path());
    let found = open_eager(crashed.path());
    assert_eq!(everything(&found), everything(&lsm));
    assert_eq!(everything(&found).len(), 100);
}

#[test]
fn two_owners_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let owner = open_idle(dir.path()).unwrap();
    let error = open_idle(dir.path()).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    owner.close().unwrap();
    open_idle(dir.path()).unwrap();
}

#[test]
fn a_closed_engine_reads_and_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
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
    let dir = tempfile::tempdir().unwrap();
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
