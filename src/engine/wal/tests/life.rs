//! The life of a segment, and what the log tells of itself.

use super::*;
use crate::engine::disk::Mode;
use crate::engine::disk::simulated::{Fault, Operation};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Appends until another segment is begun.
fn fill(log: &Mutex<Log>) {
    while !append(&mut log.lock(), 3).unwrap().switched {}
}

#[test]
fn what_is_appended_is_replayed() {
    let disk = Simulated::new(1);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    assert_eq!(append(&mut log.lock(), 4).unwrap().first_sequence, 1);
    let nothing = append(&mut log.lock(), 0).unwrap();
    assert_eq!((nothing.first_sequence, nothing.last_sequence, nothing.bytes), (5, 4, 0));
    let group: Vec<Vec<Found>> = vec![vec![nth(5)], vec![], vec![nth(6), nth(7)]];
    let batches = group.iter().map(|batch| batch.iter().map(change));
    let appended = log.lock().append_many(batches).unwrap();
    assert_eq!((appended.first_sequence, appended.last_sequence), (5, 7));
    assert!(sync(&log).unwrap());
    assert!(!sync(&log).unwrap());
    assert_eq!(log.lock().durable_sequence(), 7);
    let (replayed, all) = replayed(&folder, 0, Salvage::No).unwrap();
    assert_eq!(all, (1..=7).map(nth).collect::<Vec<_>>());
    assert_eq!((replayed.records, replayed.changes, replayed.last_sequence), (2, 7, 7));
    assert_eq!(replayed.torn, None);
    assert_eq!(replayed.segments, log.lock().segments());
    let (_, later) = super::replayed(&folder, 6, Salvage::No).unwrap();
    assert_eq!(later, [nth(7)]);
}

#[test]
fn segments_are_used_again_and_no_more_are_kept_than_allowed() {
    let disk = Simulated::new(2);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    for _ in 0..5 {
        tend_now(&log).unwrap();
        fill(&log);
    }
    tend_now(&log).unwrap();
    assert_eq!(log.lock().segments().len(), 6);
    let last = log.lock().last_sequence();
    let bytes_since = log.lock().bytes_since(last - 1);
    assert_eq!(bytes_since, log.lock().segments().last().unwrap().bytes);
    assert_eq!(log.lock().bytes_since(last), 0);
    retire(&log, last).unwrap();
    assert_eq!(names(&folder, "wal"), ["000000000006.wal", "000000000007.wal"]);
    assert_eq!(names(&folder, "spare").len(), SETTINGS.spares);
    let written = |disk: &Simulated| disk.counts(&path("spare-")).written_bytes;
    let zeros = written(&disk);
    for _ in 0..20 {
        fill(&log);
        tend_now(&log).unwrap();
        let last = log.lock().last_sequence();
        retire(&log, last).unwrap();
    }
    assert_eq!(written(&disk), zeros, "a steady state writes no zeros");
    let last = log.lock().last_sequence();
    let log = open(&super::folder(&disk.kill()), last - 3).unwrap();
    assert_eq!(log.lock().last_sequence(), last);
    assert_eq!(log.lock().segments().len(), 2);
}

/// Nothing of an earlier life is left in a page once it holds a record: who writes it whole need
/// not read it.
#[test]
fn a_page_of_a_used_segment_is_written_whole() {
    let disk = Simulated::new(3);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    for _ in 0..12 {
        fill(&log);
        tend_now(&log).unwrap();
        let last = log.lock().last_sequence();
        retire(&log, last).unwrap();
    }
    let mut pages = 0;
    for _ in 0..200 {
        append(&mut log.lock(), 3).unwrap();
        let segment = log.lock().segments().pop().unwrap();
        let bytes = disk.read_raw(&path(&segment_name(segment.number))).unwrap();
        assert_eq!(bytes.len() as u64, SEGMENT_BYTES);
        let (end, page_end) = (segment.bytes, segment.bytes.next_multiple_of(4 << 10));
        // The first page was written when the segment got its header.
        if page_end > 4 << 10 {
            assert!(bytes[end as usize..page_end as usize].iter().all(|byte| *byte == 0));
            pages += 1;
        }
    }
    assert!(pages > 20, "{pages}");
}

/// A writer whom nobody helps makes its own segments.
#[test]
fn nobody_has_to_tend() {
    let disk = Simulated::new(3);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    for _ in 0..5 {
        fill(&log);
    }
    assert!(log.lock().unsynced_sealed().is_some());
    assert_eq!(
        log.lock().segments().iter().map(|s| s.number).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    let two_back = log.lock().segments()[3].last_sequence;
    assert_eq!(log.lock().durable_sequence(), two_back, "all but the last two are synchronised");
    let last = log.lock().last_sequence();
    assert_eq!(open(&super::folder(&disk.kill()), 0).unwrap().lock().last_sequence(), last);
}

#[test]
fn a_group_longer_than_a_segment_has_one_of_its_own() {
    let disk = Simulated::new(4);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    append(&mut log.lock(), 1).unwrap();
    let appended = append(&mut log.lock(), 500).unwrap();
    assert!(appended.switched && appended.bytes > SEGMENT_BYTES);
    append(&mut log.lock(), 1).unwrap();
    let last = log.lock().last_sequence();
    assert_eq!(log.lock().segments().len(), 3);
    sync(&log).unwrap();
    let disk = disk.crash(1);
    let folder = super::folder(&disk);
    let log = open(&folder, 0).unwrap();
    assert_eq!(log.lock().last_sequence(), last);
    retire(&log, last).unwrap();
    assert_eq!(names(&folder, "spare").len(), 2, "the long one is not kept");
}

#[test]
fn what_is_too_long_is_refused_and_nothing_breaks() {
    let disk = Simulated::new(5);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    let key = vec![0; MAX_KEY_BYTES + 1];
    let group = [vec![Change::put(b"a", b"1")], vec![Change::remove(&key)]];
    let error = log.lock().append_many(group).unwrap_err().to_string();
    assert!(error.contains("/log: a key of 65536 bytes; at most 65535"), "{error}");
    append(&mut log.lock(), 2).unwrap();
    assert_eq!(open(&super::folder(&disk.kill()), 0).unwrap().lock().last_sequence(), 2);
}

#[test]
fn nothing_is_written_after_a_failure() {
    for (on, skip) in [(Operation::Write, 0), (Operation::Sync, 0)] {
        let disk = Simulated::new(6);
        let folder = folder(&disk);
        let log = open(&folder, 0).unwrap();
        append(&mut log.lock(), 2).unwrap();
        let error = std::io::ErrorKind::StorageFull;
        disk.plan(Fault { on, path_part: ".wal".into(), skip, error, lasting: false });
        let appended = append(&mut log.lock(), 2);
        let failed = appended.and_then(|_| sync(&log));
        assert!(failed.unwrap_err().to_string().contains("000000000001.wal"));
        assert_eq!(disk.planned(), 0);
        let appended = append(&mut log.lock(), 1).err();
        for error in [appended, sync(&log).err(), tend_now(&log).err()] {
            let error = error.unwrap().to_string();
            assert!(error.starts_with("read-only since an earlier error: /log/"), "{error}");
        }
    }
}

#[test]
fn a_closed_log_is_durable_and_takes_no_more() {
    let disk = Simulated::new(7);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    append(&mut log.lock(), 9).unwrap();
    log.lock().close().unwrap();
    log.lock().close().unwrap();
    let error = append(&mut log.lock(), 1).unwrap_err().to_string();
    assert!(error.contains("the log is closed"), "{error}");
    assert_eq!(open(&super::folder(&disk.crash(1)), 0).unwrap().lock().last_sequence(), 9);
}

/// Two segments' names, then only the newest: what a restart leaves does not pile up.
#[test]
fn restarts_leave_no_litter() {
    let mut disk = Simulated::new(8);
    for round in 0..10 {
        let folder = folder(&disk);
        let log = open(&folder, round).unwrap();
        tend_now(&log).unwrap();
        append(&mut log.lock(), 1).unwrap();
        retire(&log, round).unwrap();
        assert_eq!(names(&folder, "wal").len(), 2, "the active one and the next");
        assert!(names(&folder, "spare").len() <= 2);
        disk.write_raw(&path("spare-77.tmp"), b"half made");
        disk = disk.kill();
    }
    let files = folder(&disk).list().unwrap();
    assert!(files.len() <= 5, "{files:?}");
}

/// A writer, a thread that synchronises, one that tends and one that retires, until the process is
/// killed or the power fails.
#[test]
fn several_threads_share_the_log() {
    for round in 0..6 {
        let disk = Simulated::new(round);
        let folder = folder(&disk);
        let log = open(&folder, 0).unwrap();
        let (durable, flushed) = (AtomicU64::new(0), AtomicU64::new(0));
        let done = AtomicBool::new(false);
        let until_done = |work: &(dyn Fn() -> Result<(), EngineError> + Sync)| {
            while !done.load(Relaxed) {
                work().unwrap();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until_done(&|| {
                    let last = log.lock().last_sequence();
                    sync(&log).map(|_| durable.store(last, Relaxed))
                })
            });
            scope.spawn(|| until_done(&|| tend(&log, Pace::Gentle, &|| done.load(Relaxed))));
            scope.spawn(|| {
                until_done(&|| {
                    let to = durable.load(Relaxed);
                    flushed.store(to, Relaxed);
                    retire(&log, to)
                })
            });
            for _ in 0..1_500 {
                append(&mut log.lock(), 3).unwrap();
            }
            done.store(true, Relaxed);
        });
        let (durable, flushed) = (durable.into_inner(), flushed.into_inner());
        let disk = if round % 2 == 0 { disk.kill() } else { disk.crash(round) };
        let least = if round % 2 == 0 { 4_500 } else { durable };
        let found = open(&super::folder(&disk), flushed).unwrap().lock().last_sequence();
        assert!((least..=4_500).contains(&found), "{found} of {least}");
    }
}

#[test]
fn a_first_segment_is_filled_ahead_of_its_records_and_not_beyond_its_end() {
    let disk = Simulated::new(9);
    let folder = folder(&disk);
    let (replayed, _) = replayed(&folder, 0, Salvage::No).unwrap();
    let segment_bytes = 600 << 10;
    let settings = Settings { segment_bytes, ..SETTINGS };
    let log = Mutex::new(Log::start(&folder, settings, &replayed).unwrap());
    let first = path("000000000001.wal");
    let mut zeros = Vec::new();
    loop {
        let before = disk.counts(&first).written_bytes;
        let appended = append(&mut log.lock(), 40).unwrap();
        if appended.switched {
            break;
        }
        let written = disk.counts(&first).written_bytes - before - appended.bytes;
        zeros.extend((written > 0).then_some(written));
    }
    assert_eq!(zeros[..2], [256 << 10, 256 << 10]);
    assert_eq!(zeros.len(), 3, "the last one to its end");
    let file = folder.open("000000000001.wal", Mode::Read).unwrap();
    assert_eq!(file.bytes().unwrap(), segment_bytes);
    let (replayed, all) = super::replayed(&folder, 0, Salvage::No).unwrap();
    assert_eq!(all, (1..=replayed.last_sequence).map(nth).collect::<Vec<_>>());
    assert_eq!(replayed.last_sequence, log.lock().last_sequence());
}

#[test]
fn a_log_that_grows_fast_is_known_to_outrun_the_filling_of_the_next_segment() {
    let disk = Simulated::new(9);
    let folder = folder(&disk);
    let (replayed, _) = replayed(&folder, 0, Salvage::No).unwrap();
    let settings = Settings { segment_bytes: 64 << 10, ..SETTINGS };
    let log = Mutex::new(Log::start(&folder, settings, &replayed).unwrap());
    assert!(!log.lock().outruns(0), "the filling begins at a quarter of the active one");
    let mut written = 0;
    while written < 40 << 10 {
        written += append(&mut log.lock(), 40).unwrap().bytes;
    }
    let log = log.lock();
    assert!(log.outruns(0) && log.outruns(30 << 10) && !log.outruns(40 << 10));
}

/// Its number would be given again, and its old records would pass for new ones.
#[test]
fn a_spare_with_a_torn_header_does_not_serve_again() {
    let disk = Simulated::new(10);
    let folder = folder(&disk);
    let log = open(&folder, 0).unwrap();
    fill(&log);
    let last = log.lock().last_sequence();
    retire(&log, last).unwrap();
    let [spare] = &names(&folder, "spare")[..] else { panic!("one spare") };
    log.lock().close().unwrap();
    drop(log);
    let file = folder.open(spare, Mode::Write).unwrap();
    file.write(&[0; 7], 9).unwrap();
    file.sync().unwrap();
    drop(file);
    open(&folder, last).unwrap();
    assert!(names(&folder, "spare").is_empty(), "{:?}", folder.list());
}
