//! Several threads at once.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

#[test]
fn writers_share_the_log_and_lose_nothing() {
    let dir = folder();
    let options = Options { sync: SyncPolicy::Always, ..options() };
    let lsm = open_with(options, dir.path(), Box::new(Cascade)).unwrap();
    thread::scope(|scope| {
        for writer in 0..8 {
            let lsm = &lsm;
            scope.spawn(move || {
                for number in 0..100 {
                    let key = format!("{writer} {number}");
                    lsm.commit(vec![put(&key, "a"), put(&key, number.to_string())]).unwrap();
                    assert_eq!(lsm.get(key.as_bytes()).unwrap().unwrap(), number.to_string());
                }
            });
        }
    });
    let stats = lsm.stats();
    assert_eq!(stats.writes, 1_600);
    assert!((1..=800).contains(&stats.wal_syncs), "{stats:?}");
    drop(lsm);
    assert_eq!(everything(&open_eager(dir.path())).len(), 800);
}

/// Readers see all of a batch or nothing of it, through freezes, flushes and compactions.
#[test]
fn batches_are_never_seen_in_part() {
    let dir = folder();
    let options = Options { memtable_bytes: 3_000, ..options() };
    let lsm = open_with(options, dir.path(), Box::new(Cascade)).unwrap();
    let batch = |round: u32| (0..10).map(|key| put([key], round.to_le_bytes())).collect::<Vec<_>>();
    lsm.commit(batch(0)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut newest = 0;
                while !done.load(Relaxed) {
                    let found = everything(&lsm);
                    assert_eq!(found.len(), 10);
                    assert!(found.iter().all(|(_, value)| *value == found[0].1), "{found:?}");
                    let round = u32::from_le_bytes(found[0].1.as_ref().try_into().unwrap());
                    assert!(round >= newest, "time went backwards");
                    newest = round;
                }
            });
        }
        for round in 1..1_200 {
            lsm.commit(batch(round)).unwrap();
            let read = lsm.get(&[3]).unwrap().unwrap();
            assert_eq!(read, round.to_le_bytes().as_slice(), "a write is read at once");
        }
        done.store(true, Relaxed);
    });
    assert!(lsm.stats().flushes > 5, "{:?}", lsm.stats());
}

/// A picker at rest with a full level 0 must not stop the writes for ever.
#[test]
fn a_resting_picker_holds_up_nobody() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    for number in 0..4_000_u32 {
        lsm.commit(vec![put(number.to_le_bytes(), [0; 20])]).unwrap();
    }
    lsm.flush().unwrap();
    assert!(lsm.stats().tables_per_level[0] > options().level0_stop as u64);
}

#[test]
fn an_interval_synchronises_by_itself() {
    let dir = folder();
    let options = Options { sync: SyncPolicy::Interval, ..options() };
    let lsm = open_with(options, dir.path(), Box::new(Idle)).unwrap();
    lsm.commit(vec![put("a", "1")]).unwrap();
    while lsm.stats().wal_syncs == 0 {
        thread::yield_now();
    }
}
