//! Merges, hints, and what they must not lose.

use super::*;
use crate::engine::disk::{Disk, Mode};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn names(disk: &Simulated, suffix: &str) -> Vec<String> {
    let names = disk.list(Path::new("/db")).unwrap();
    let mut names: Vec<_> = names.into_iter().filter(|name| name.ends_with(suffix)).collect();
    names.sort();
    names
}

fn log_bytes(disk: &Simulated) -> u64 {
    let files = disk.files();
    let logs = files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "log"));
    logs.map(|(_, bytes)| bytes).sum()
}

#[test]
fn overwritten_values_give_their_place_back() {
    let disk = Simulated::new(1);
    let engine = open_with(&disk, Options { sync: SyncPolicy::Never, ..options() }).unwrap();
    for round in 0..200_u32 {
        let batch = (0..10).map(|key| put(format!("key{key}"), format!("{round:0100}")));
        engine.commit(batch.collect()).unwrap();
    }
    let stats = engine.stats();
    assert!(stats.compactions > 0 && stats.wal_bytes > 200_000, "{stats:?}");
    assert!(log_bytes(&disk) < 20_000, "{} of {}", log_bytes(&disk), stats.wal_bytes);
    assert_eq!(everything(&engine).len(), 10);
    assert!(everything(&engine).iter().all(|(_, value)| value.ends_with(b"00199")));
}

/// Enough for a file of its own.
fn filler(name: &str) -> impl Iterator<Item = Write> {
    (0..20).map(move |n| put(format!("{name}{n}"), [1; 200]))
}

#[test]
fn a_removal_stays_while_an_older_file_has_the_key() {
    let disk = Simulated::new(1);
    let engine = open(&disk);
    // The first file stays alive, so that only the second is merged.
    engine.commit([put("gone", "old")].into_iter().chain(filler("a")).collect()).unwrap();
    engine.commit([remove("gone")].into_iter().chain(filler("b")).collect()).unwrap();
    engine.commit(filler("b").collect()).unwrap();
    engine.commit(vec![put("last", "1")]).unwrap();
    engine.settle().unwrap();
    assert!(engine.stats().compactions > 0);
    assert_eq!(engine.get(b"gone").unwrap(), None);
    engine.close().unwrap();
    let engine = open(&disk);
    assert_eq!(engine.get(b"gone").unwrap(), None, "it came back");
    // Once the first file is merged, too, the removal goes.
    engine.commit((0..20).map(|n| remove(format!("a{n}"))).collect()).unwrap();
    engine.commit(filler("c").collect()).unwrap();
    engine.commit(filler("c").collect()).unwrap();
    engine.settle().unwrap();
    engine.close().unwrap();
    assert_eq!(open(&disk).get(b"gone").unwrap(), None);
}

#[test]
fn a_hint_spares_the_reading_of_values_and_is_not_needed() {
    let disk = Simulated::new(1);
    let engine = open(&disk);
    for number in 0..100 {
        engine.commit(vec![put(format!("key{number}"), [2; 300])]).unwrap();
    }
    engine.close().unwrap();
    let hints = names(&disk, ".hint");
    assert!(hints.len() > 2);
    let before = disk.counts(Path::new("/db/0000000001.log"));
    let expected = everything(&open(&disk.clone_state()));
    drop(open(&disk));
    let after = disk.counts(Path::new("/db/0000000001.log"));
    assert!(after.read_bytes - before.read_bytes < 100, "the header alone");
    for name in &hints {
        disk.remove(&Path::new("/db").join(name)).unwrap();
    }
    assert_eq!(everything(&open(&disk)), expected);
    assert!(names(&disk, ".hint").is_empty());
    open(&disk).settle().unwrap();
    assert_eq!(names(&disk, ".hint"), hints, "they are made again");
}

#[test]
fn what_has_expired_is_dropped_by_a_merge_and_does_not_uncover_older_values() {
    let disk = Simulated::new(1);
    let clock = Arc::new(AtomicU64::new(100));
    let of_engine = Arc::clone(&clock);
    let now_s: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || of_engine.load(Relaxed));
    let open = || open_with(&disk, Options { now_s: Arc::clone(&now_s), ..options() }).unwrap();
    let engine = open();
    engine.commit([put("key", "old")].into_iter().chain(filler("a")).collect()).unwrap();
    let until = Write::PutUntil { key: "key".into(), value: "new".into(), expires_s: 200 };
    engine.commit([until].into_iter().chain(filler("b")).collect()).unwrap();
    engine.commit(filler("b").collect()).unwrap();
    engine.commit(vec![put("last", "1")]).unwrap();
    assert_eq!(engine.get(b"key").unwrap().unwrap(), "new", "not yet");
    clock.store(200, Relaxed);
    engine.commit(filler("b").collect()).unwrap();
    engine.commit(vec![put("last", "2")]).unwrap();
    engine.settle().unwrap();
    assert_eq!(engine.get(b"key").unwrap(), None);
    engine.close().unwrap();
    assert_eq!(open().get(b"key").unwrap(), None, "the older value came back");
}

#[test]
fn a_damaged_entry_is_named_and_takes_no_other_with_it() {
    let disk = Simulated::new(1);
    let engine = open(&disk);
    for number in 0..60 {
        engine.commit(vec![put(format!("key{number:02}"), [2; 300])]).unwrap();
    }
    let path = Path::new("/db/0000000001.log");
    let bytes = disk.read_raw(path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"key03").unwrap();
    assert!(disk.flip(path, at as u64 + 50, 3));
    let error = engine.get(b"key03").unwrap_err().to_string();
    assert!(error.contains("0000000001.log: corrupt at byte"), "{error}");
    assert_eq!(engine.get(b"key04").unwrap().unwrap(), [2; 300][..]);
    // A merge leaves the file alone, and the engine goes on.
    engine
        .commit((0..60).filter(|n| *n != 3).map(|n| remove(format!("key{n:02}"))).collect())
        .unwrap();
    for _ in 0..20 {
        engine.commit(vec![put("other", [3; 400])]).unwrap();
    }
    engine.settle().unwrap();
    assert!(names(&disk, ".log").contains(&"0000000001.log".to_string()));
    assert_eq!(everything_but(&engine, b"key03"), 1);
}

fn everything_but(engine: &HashLog, key: &[u8]) -> usize {
    let before = engine.scan(Bound::Unbounded, Bound::Excluded(key), 99).unwrap();
    before.len() + engine.scan(Bound::Excluded(key), Bound::Unbounded, 99).unwrap().len()
}

#[test]
fn folders_that_are_not_whole_or_not_ours_are_refused() {
    let refusal = |change: &dyn Fn(&Simulated)| {
        let disk = Simulated::new(1);
        let engine = open(&disk);
        for number in 0..60 {
            engine.commit(vec![put(format!("key{number}"), [2; 300])]).unwrap();
        }
        engine.close().unwrap();
        change(&disk);
        open_with(&disk, options()).map(|_| ()).unwrap_err().to_string()
    };
    let file = Path::new("/db/0000000002.log");
    let error = refusal(&|disk| disk.remove(file).unwrap());
    assert!(error.contains("0000000002.log: it is missing, but FILES names it"), "{error}");
    let error = refusal(&|disk| disk.open(file, Mode::Write).unwrap().set_len(500).unwrap());
    assert!(error.contains("0000000002.log: corrupt at byte 500: expected a file of"), "{error}");
    let error = refusal(&|disk| disk.remove(Path::new("/db/FILES")).unwrap());
    assert!(error.contains("FILES is missing, but there is data"), "{error}");
    let error = refusal(&|disk| {
        let mut list = disk.read_raw(Path::new("/db/FILES")).unwrap();
        list[8] = 9;
        let body = list.len() - 4;
        let checksum = crc32fast::hash(&list[..body]).to_le_bytes();
        list[body..].copy_from_slice(&checksum);
        disk.write_raw(Path::new("/db/FILES"), &list);
    });
    assert!(error.contains("format version 9; this build reads version 1"), "{error}");

    let disk = Simulated::new(1);
    disk.create_dir(Path::new("/db")).unwrap();
    disk.write_raw(Path::new("/db/letters.txt"), b"dear");
    let error = open_with(&disk, options()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("not a folder of this engine") && error.contains("letters.txt"));
    let disk = Simulated::new(1);
    let _held = open(&disk);
    let error = open_with(&disk, options()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn a_hole_before_durable_batches_is_refused_with_its_place() {
    let disk = Simulated::new(1);
    let engine = open_with(&disk, Options { file_bytes: 1 << 20, ..options() }).unwrap();
    for number in 0..10 {
        engine.commit(vec![put(format!("key{number}"), [2; 300])]).unwrap();
    }
    let disk = disk.kill();
    drop(engine);
    let path = Path::new("/db/0000000001.log");
    let bytes = disk.read_raw(path).unwrap();
    let at = bytes.windows(4).position(|window| window == b"key4").unwrap();
    assert!(disk.flip(path, at as u64, 0));
    let error = open_with(&disk, options()).map(|_| ()).unwrap_err().to_string();
    // Four batches of 331 bytes are before it.
    let expected = "0000000001.log: corrupt at byte 1356: expected a batch with its checksums, \
                    found another one, although 3011 bytes were durable";
    assert!(error.contains(expected), "{error}");
    // The last batch may have been torn as well: it is left out.
    assert!(disk.flip(path, at as u64, 0));
    let at = bytes.windows(4).position(|window| window == b"key9").unwrap();
    assert!(disk.flip(path, at as u64, 0));
    assert_eq!(everything(&open(&disk)).len(), 9);
}
