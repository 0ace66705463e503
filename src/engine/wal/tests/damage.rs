//! Flipped bits, cuts, holes, missing and foreign segments.

use super::*;

/// A log of three recycled segments, all durable, of which the last has its newest record behind
/// it: so there is proof of every record but that one.
fn history() -> (Simulated, u64) {
    let disk = Simulated::new(5);
    let log = open(&folder(&disk), 0).unwrap();
    let mut flushed = 0;
    while log.lock().segments().last().unwrap().number < 7 {
        if append(&mut log.lock(), 2).unwrap().switched {
            tend_now(&log).unwrap();
            if log.lock().segments().last().unwrap().number == 5 {
                flushed = log.lock().last_sequence() - 2;
                retire(&log, flushed).unwrap();
            }
        }
        sync(&log).unwrap();
    }
    for _ in 0..5 {
        append(&mut log.lock(), 2).unwrap();
        sync(&log).unwrap();
    }
    (disk.kill(), flushed)
}

fn segments(disk: &Simulated) -> Vec<PathBuf> {
    names(&folder(disk), ".wal").iter().map(|name| path(name)).collect()
}

/// What a replay may answer: an error that names a segment, or a prefix that lacks at most the
/// last record.
fn check(disk: &Simulated, flushed: u64, last: u64, what: &str) {
    match replayed(&folder(disk), flushed, Salvage::No) {
        Err(error) => assert!(error.to_string().contains(".wal"), "{what}: {error}"),
        Ok((replayed, all)) => {
            let found = replayed.last_sequence;
            assert!((last - 2..=last).contains(&found), "{what}: {found} of {last}");
            assert!(all.into_iter().eq((flushed + 1..=found).map(nth)), "{what}");
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless() {
    let (disk, flushed) = history();
    let (replayed, _) = replayed(&folder(&disk), flushed, Salvage::No).unwrap();
    let last = replayed.last_sequence;
    let paths = segments(&disk);
    assert_eq!(paths.len(), 4, "three with records, and the next");
    for segment in paths {
        // The newest bytes are at the front of the last one; elsewhere a sample suffices.
        for offset in (0..SEGMENT_BYTES).filter(|at| at % 7 == 0 || *at < 150) {
            let bit = (offset % 8) as u32;
            assert!(disk.flip(&segment, offset, bit));
            check(&disk, flushed, last, &format!("{segment:?}, byte {offset}"));
            disk.flip(&segment, offset, bit);
        }
    }
    check(&disk, flushed, last, "mended");
}

#[test]
fn every_cut_is_noticed_or_harmless() {
    let (disk, flushed) = history();
    let (replayed, _) = replayed(&folder(&disk), flushed, Salvage::No).unwrap();
    for segment in segments(&disk) {
        let bytes = disk.read_raw(&segment).unwrap();
        for cut in (0..bytes.len()).filter(|cut| cut % 11 == 0 || *cut < 150) {
            disk.write_raw(&segment, &bytes[..cut]);
            // The last segment may end anywhere without a proof that it went on.
            let what = format!("{segment:?} cut at {cut}");
            match super::replayed(&folder(&disk), flushed, Salvage::No) {
                Err(error) => assert!(error.to_string().contains(".wal"), "{what}: {error}"),
                Ok((found, all)) => {
                    let found = found.last_sequence;
                    assert!(found <= replayed.last_sequence, "{what}");
                    assert!(all.into_iter().eq((flushed + 1..=found).map(nth)), "{what}");
                    assert!(segment.ends_with("000000000007.wal") || found > flushed, "{what}");
                }
            }
        }
        disk.write_raw(&segment, &bytes);
    }
}

/// Where the n-th last record of a segment begins, and its first sequence number.
fn record_at(disk: &Simulated, name: &str, back: usize) -> (u64, u64) {
    let bytes = disk.read_raw(&path(name)).unwrap();
    let header = SegmentHeader::decode(&path(name), &bytes).unwrap();
    let from = header.durable_sequence + 1;
    let all: Vec<(u64, u64)> = find_headers(header.seal(), 0, &bytes, from, 10_000)
        .map(|(offset, header)| (offset, header.first_sequence))
        .collect();
    all[all.len() - 1 - back]
}

#[test]
fn a_hole_is_refused_and_can_be_salvaged() {
    for (name, back) in [("000000000007.wal", 2), ("000000000006.wal", 0), ("000000000005.wal", 5)]
    {
        let (disk, flushed) = history();
        let (offset, lost) = record_at(&disk, name, back);
        disk.flip(&path(name), offset + 20, 1);
        let error = replayed(&folder(&disk), flushed, Salvage::No).unwrap_err().to_string();
        assert!(error.contains(&format!("{name}: corrupt at byte {offset}")), "{error}");
        assert!(error.contains("a hole") && error.contains("engine salvage"), "{error}");

        let before = disk.read_raw(&path(name)).unwrap();
        let (found, all) = replayed(&folder(&disk), flushed, Salvage::Yes).unwrap();
        let last = found.last_sequence;
        assert!(all.into_iter().eq((flushed + 1..=last).map(nth)));
        assert_eq!(last, lost - 1);
        let log = Mutex::new(Log::start(&folder(&disk), SETTINGS, &found).unwrap());
        let aside = path(name).with_extension("salvaged");
        assert_eq!(disk.read_raw(&aside).unwrap(), before, "all of it is set aside");
        let number = log.lock().segments().last().unwrap().number;
        assert_eq!(number, 9, "no number is given twice");

        append(&mut log.lock(), 3).unwrap();
        sync(&log).unwrap();
        let log = open(&folder(&disk.crash(3)), flushed).unwrap();
        assert_eq!(log.lock().last_sequence(), last + 3);
    }
}

/// A salvage that is followed by nothing but a restart, at every moment at which it can be
/// interrupted.
#[test]
fn a_salvage_can_be_interrupted() {
    let (damaged, flushed) = history();
    let name = "000000000006.wal";
    damaged.flip(&path(name), record_at(&damaged, name, 3).0 + 40, 0);
    let (expected, _) = replayed(&folder(&damaged), flushed, Salvage::Yes).unwrap();
    for moment in 1.. {
        let disk = damaged.clone_state();
        disk.crash_after(moment);
        let started = Log::start(&folder(&disk), SETTINGS, &expected);
        let done = started.is_ok();
        let disk = disk.crash(moment);
        let (found, _) = replayed(&folder(&disk), flushed, Salvage::Yes).unwrap();
        assert_eq!(found.last_sequence, expected.last_sequence, "{moment}");
        assert!(!done || found.salvaged.is_none(), "{moment}");
        if done {
            break;
        }
        Log::start(&folder(&disk), SETTINGS, &found).unwrap();
        assert!(open(&folder(&disk.kill()), flushed).is_ok());
    }
}

#[test]
fn a_missing_segment_is_named() {
    let (disk, flushed) = history();
    for (gone, message) in [
        (vec![5], "records are missing"),
        (vec![5, 6], "the segments before are missing"),
        (vec![6], "000000000006.wal is missing"),
        (vec![7], "000000000007.wal is missing"),
    ] {
        let disk = disk.clone_state();
        gone.iter().for_each(|number| folder(&disk).remove(&segment_name(*number)));
        let error = replayed(&folder(&disk), flushed, Salvage::No).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        let (found, all) = replayed(&folder(&disk), flushed, Salvage::Yes).unwrap();
        assert!(all.into_iter().eq((flushed + 1..=found.last_sequence).map(nth)));
        Log::start(&folder(&disk), SETTINGS, &found).unwrap();
        open(&folder(&disk.kill()), flushed).unwrap();
    }
    let disk = Simulated::new(1);
    let error = replayed(&folder(&disk), 7, Salvage::No).unwrap_err().to_string();
    assert!(error.contains("/log: the write-ahead log is missing"), "{error}");
}

#[test]
fn strange_segments_are_refused() {
    let (disk, flushed) = history();
    let name = path("000000000006.wal");
    let good = disk.read_raw(&name).unwrap();
    let error = |bytes: &[u8], salvage| {
        disk.write_raw(&name, bytes);
        replayed(&folder(&disk), flushed, salvage).unwrap_err().to_string()
    };
    let header = SegmentHeader::decode(&name, &good).unwrap();
    let with = |header: SegmentHeader| {
        let mut bytes = good.clone();
        bytes[..SEGMENT_HEADER_BYTES as usize].copy_from_slice(&header.encode());
        bytes
    };
    for salvage in [Salvage::No, Salvage::Yes] {
        let found = error(&with(SegmentHeader { log_id: 1, ..header }), salvage);
        assert!(found.contains("06.wal: a segment of another folder's log"), "{found}");
        let mut old = good.clone();
        old[4] = 1;
        let found = error(&old, salvage);
        assert!(found.contains("06.wal: format 1; this build reads format 3"), "{found}");
    }
    let found = error(&with(SegmentHeader { number: 3, ..header }), Salvage::No);
    assert!(found.contains("expected the header of segment 6, found that of segment 3"), "{found}");
}

/// Nobody waited for these records, and the disk wrote them out of order.
#[test]
fn a_hole_before_records_that_nothing_was_promised_of_is_dropped() {
    let disk = Simulated::new(3);
    let log = open(&folder(&disk), 0).unwrap();
    append(&mut log.lock(), 2).unwrap();
    sync(&log).unwrap();
    for _ in 0..4 {
        append(&mut log.lock(), 2).unwrap();
    }
    let name = "000000000001.wal";
    let (offset, _) = record_at(&disk, name, 2);
    disk.flip(&path(name), offset + 50, 3);
    let (found, all) = replayed(&folder(&disk), 0, Salvage::No).unwrap();
    assert_eq!(all, (1..=4).map(nth).collect::<Vec<_>>());
    assert_eq!(found.torn, Some(Torn { path: path(name), offset }));
    assert!(found.dropped_bytes > 100);
    let log = Mutex::new(Log::start(&folder(&disk), SETTINGS, &found).unwrap());
    append(&mut log.lock(), 6).unwrap();
    sync(&log).unwrap();
    assert_eq!(open(&folder(&disk.crash(1)), 0).unwrap().lock().last_sequence(), 10);
}
