//! What the simulated disk promises, and what it does not.

#![allow(clippy::unwrap_used)]

use super::content::PAGE;
use super::*;
use std::collections::BTreeSet;
use std::io::ErrorKind;

fn disk() -> Simulated {
    let disk = Simulated::new(1);
    disk.create_dir(Path::new("/d")).unwrap();
    disk
}

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

/// Writes a file and synchronises it and its folder.
fn durable(disk: &Simulated, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = disk.open(&path(name), Mode::Create).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file
}

/// What each of many crashes of this state leaves of a file.
fn outcomes(disk: &Simulated, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..200).map(|seed| disk.clone_state().crash(seed).read_raw(&path(name))).collect()
}

#[test]
fn what_is_read_is_what_was_written() {
    let disk = disk();
    let file = disk.open(&path("a"), Mode::Create).unwrap();
    let mut model = Vec::new();
    for (at, bytes, fill) in [(0, 10, 1_u8), (4_090, 20, 2), (9_000, 5_000, 3), (4_096, 4_096, 0)] {
        file.write_at(&vec![fill; bytes], at).unwrap();
        model.resize(model.len().max(at as usize + bytes), 0);
        model[at as usize..at as usize + bytes].fill(fill);
        assert_eq!(disk.read_raw(&path("a")).unwrap(), model);
    }
    for bytes in [9_100_u64, 9_500, 100, 5_000, 0] {
        file.set_len(bytes).unwrap();
        model.resize(bytes as usize, 0);
        assert_eq!(disk.read_raw(&path("a")).unwrap(), model);
    }
    let mut buffer = [0; 4];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let reader = disk.open(&path("a"), Mode::Read).unwrap();
    assert!(reader.write_at(b"x", 0).is_err());
}

#[test]
fn what_was_synchronised_survives_every_crash() {
    let disk = disk();
    let bytes: Vec<u8> = (0..20_000_u32).map(|at| at as u8).collect();
    durable(&disk, "a", &bytes);
    assert_eq!(outcomes(&disk, "a"), [Some(bytes)].into());
}

#[test]
fn what_was_not_is_kept_or_lost_or_torn_by_pages_and_sectors() {
    let disk = disk();
    let file = durable(&disk, "a", &[1; 2 * PAGE]);
    file.write_at(&[2; 2 * PAGE], 0).unwrap();
    let (mut pages, mut torn) = (BTreeSet::new(), false);
    for found in outcomes(&disk, "a").into_iter().flatten() {
        assert_eq!(found.len(), 2 * PAGE);
        for sector in found.chunks(content::SECTOR) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is never torn");
        }
        let whole = |page: &[u8]| page.iter().all(|byte| *byte == page[0]).then_some(page[0]);
        let (first, second) = (whole(&found[..PAGE]), whole(&found[PAGE..]));
        torn |= first.is_none() || second.is_none();
        pages.extend(first.zip(second));
    }
    assert_eq!(pages, [(1, 1), (1, 2), (2, 1), (2, 2)].into());
    assert!(torn);
}

#[test]
fn a_page_may_come_back_in_an_earlier_state() {
    let disk = disk();
    let file = durable(&disk, "a", &[0; 10]);
    for fill in 1..=100 {
        file.write_at(&[fill; 10], 0).unwrap();
    }
    let found = outcomes(&disk, "a");
    assert!(found.contains(&Some(vec![100; 10])));
    assert!(found.iter().flatten().any(|bytes| (1..100).contains(&bytes[0])), "{found:?}");
    assert!(found.iter().flatten().all(|bytes| bytes.iter().all(|byte| *byte == bytes[0])));
}

#[test]
fn an_unsynchronised_length_is_anything_between() {
    let disk = disk();
    let file = durable(&disk, "a", &[1; 100]);
    file.write_at(&[2; 9_000], 100).unwrap();
    let lengths: BTreeSet<usize> = outcomes(&disk, "a").iter().flatten().map(Vec::len).collect();
    assert_eq!((lengths.first(), lengths.last()), (Some(&100), Some(&9_100)));
    assert!(lengths.len() > 10);
    for found in outcomes(&disk, "a").into_iter().flatten() {
        assert_eq!(found[..100], [1; 100], "what was there stays");
        assert!(found[100..].iter().all(|byte| [0, 2].contains(byte)));
    }
}

#[test]
fn a_cut_file_is_the_old_one_or_has_nothing_of_it_behind_the_cut() {
    let disk = disk();
    durable(&disk, "a", &[1; 3 * PAGE]);
    let file = disk.open(&path("a"), Mode::Create).unwrap();
    file.write_at(&[2; 2 * PAGE], 0).unwrap();
    let found = outcomes(&disk, "a");
    assert!(found.contains(&Some(vec![1; 3 * PAGE])));
    assert!(found.contains(&Some(vec![2; 2 * PAGE])));
    for bytes in found.into_iter().flatten().filter(|bytes| bytes.contains(&2)) {
        assert!(!bytes.contains(&1));
    }
}

#[test]
fn names_are_kept_in_order_and_durable_with_their_folder() {
    let disk = disk();
    for name in ["a", "b", "c"] {
        disk.open(&path(name), Mode::Create).unwrap().sync_data().unwrap();
    }
    let names =
        |seed| -> Vec<String> { disk.clone_state().crash(seed).list(Path::new("/d")).unwrap() };
    let found: BTreeSet<usize> = (0..100).map(|seed| names(seed).len()).collect();
    assert_eq!(found, (0..=3).collect());
    for seed in 0..100 {
        let found = names(seed);
        assert_eq!(found, ["a", "b", "c"][..found.len()]);
    }
    disk.sync_dir(Path::new("/d")).unwrap();
    assert!((0..100).all(|seed| names(seed).len() == 3));
}

#[test]
fn a_rename_replaces_whole_or_not_at_all() {
    let disk = disk();
    durable(&disk, "a", b"old");
    durable(&disk, "b", b"new");
    disk.rename(&path("b"), &path("a")).unwrap();
    assert_eq!(outcomes(&disk, "a"), [Some(b"old".to_vec()), Some(b"new".to_vec())].into());
    for seed in 0..50 {
        let after = disk.clone_state().crash(seed);
        let gone = after.read_raw(&path("b")).is_none();
        assert_eq!(gone, after.read_raw(&path("a")).unwrap() == b"new");
    }
    let hasty = disk.open(&path("c"), Mode::Create).unwrap();
    hasty.write_at(b"x", 0).unwrap();
    disk.rename(&path("c"), &path("a")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    assert!(outcomes(&disk, "a").contains(&Some(Vec::new())), "renamed before it was synchronised");
}

#[test]
fn a_removed_file_comes_back_unless_its_folder_was_synchronised() {
    let disk = disk();
    durable(&disk, "a", b"here");
    disk.link(&path("a"), &path("b")).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.remove(&path("a")).unwrap();
    assert_eq!(disk.read_raw(&path("a")), None);
    assert_eq!(outcomes(&disk, "a"), [None, Some(b"here".to_vec())].into());
    assert_eq!(outcomes(&disk, "b"), [Some(b"here".to_vec())].into());
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(outcomes(&disk, "a"), [None].into());
}

#[test]
fn the_end_of_a_life_kills_handles_and_releases_locks() {
    let disk = disk();
    let file = durable(&disk, "a", b"1");
    file.write_at(b"2", 0).unwrap();
    let lock = disk.lock(&path("LOCK")).unwrap();
    assert!(lock.is_some() && disk.lock(&path("LOCK")).unwrap().is_none());
    let after = disk.kill();
    assert!(file.write_at(b"3", 0).is_err() && file.sync_data().is_err());
    assert!(disk.remove(&path("a")).is_err(), "a thread of the old life has no say");
    assert_eq!(after.read_raw(&path("a")).unwrap(), b"2", "a killed process loses nothing");
    let next = after.lock(&path("LOCK")).unwrap();
    drop(lock);
    assert!(after.lock(&path("LOCK")).unwrap().is_none(), "the old guard releases nothing");
    drop(next);
    assert!(after.lock(&path("LOCK")).unwrap().is_some());
    assert!(outcomes(&after, "a").contains(&Some(b"1".to_vec())), "it was not durable either");
}

#[test]
fn a_crash_amid_a_change_stops_the_world() {
    let workload = |disk: &Simulated| -> std::io::Result<()> {
        let file = disk.open(&path("b"), Mode::Create)?;
        file.write_at(&[7; 3 * PAGE], 0)?;
        file.sync_data()?;
        disk.rename(&path("b"), &path("a"))?;
        disk.sync_dir(Path::new("/d"))
    };
    let fresh = disk();
    durable(&fresh, "a", b"old");
    let whole = fresh.clone_state();
    workload(&whole).unwrap();
    let changes = whole.changes() - fresh.changes();
    assert_eq!(changes, 5);
    for at in 1..=changes {
        for seed in 0..20 {
            let disk = fresh.clone_state();
            disk.crash_after(at);
            assert!(workload(&disk).is_err() && !disk.has_power());
            assert!(disk.list(Path::new("/d")).is_err(), "nothing works without power");
            let found = disk.crash(seed).read_raw(&path("a")).unwrap();
            assert!(found == b"old" || found == [7; 3 * PAGE], "at change {at}");
            assert!(at == 5 || found == b"old");
        }
    }
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = disk();
    let file = durable(&disk, "a", &[1; 1_000]);
    disk.set_full(10);
    file.write_at(&[2; 1_000], 0).unwrap();
    let error = file.write_at(&[3; 100], 950).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.read_raw(&path("a")).unwrap().len(), 1_010, "the part that fits is written");
    let create = |name| disk.open(&path(name), Mode::Create).map(drop);
    assert_eq!(create("b").unwrap_err().kind(), ErrorKind::StorageFull);
    disk.remove(&path("a")).unwrap();
    create("b").unwrap();
    disk.heal();
    durable(&disk, "c", &[1; 5_000]);
}

#[test]
fn planned_faults_strike_once_or_last() {
    let disk = disk();
    let file = durable(&disk, "a.wal", b"1");
    let error = ErrorKind::TimedOut;
    let fault =
        Fault { on: Operation::Read, path_part: ".wal".into(), skip: 1, error, lasting: false };
    disk.plan(fault.clone());
    let read = || file.read_at(&mut [0], 0).map_err(|error| error.kind());
    assert_eq!([read(), read(), read()], [Ok(()), Err(ErrorKind::TimedOut), Ok(())]);
    assert_eq!(disk.planned(), 0);
    disk.plan(Fault { skip: 0, lasting: true, ..fault.clone() });
    disk.plan(Fault { path_part: ".table".into(), ..fault });
    assert!(read().is_err() && read().is_err());
    disk.heal();
    assert_eq!(read(), Ok(()));
    disk.deny(&path("a.wal"));
    let open = |name| disk.open(&path(name), Mode::Write).map(drop).map_err(|error| error.kind());
    assert_eq!(open("a.wal"), Err(ErrorKind::PermissionDenied));
    assert_eq!(open("b"), Err(ErrorKind::NotFound));
    assert_eq!(read(), Ok(()));
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let disk = disk();
    let file = durable(&disk, "a", &[1; 4 * PAGE]);
    file.write_at(&[2; 4 * PAGE], 0).unwrap();
    let (on, path_part) = (Operation::Sync, String::new());
    disk.plan(Fault { on, path_part, skip: 0, error: ErrorKind::Other, lasting: false });
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(disk.read_raw(&path("a")).unwrap(), [2; 4 * PAGE]);
    let found = outcomes(&disk, "a");
    assert!(found.iter().flatten().all(|bytes| bytes.contains(&1)), "pages are lost for good");
    assert_eq!(disk.kill().read_raw(&path("a")), found.into_iter().next().unwrap());
}

#[test]
fn a_failed_write_may_have_written_a_part() {
    let parts: BTreeSet<usize> = (0..20)
        .map(|seed| {
            let disk = Simulated::new(seed);
            let file = disk.open(Path::new("/a"), Mode::Create).unwrap();
            let (on, error) = (Operation::Write, ErrorKind::Other);
            disk.plan(Fault { on, path_part: "/a".into(), skip: 0, error, lasting: false });
            assert!(file.write_at(&[1; 100], 0).is_err());
            disk.read_raw(Path::new("/a")).unwrap().len()
        })
        .collect();
    assert!(parts.len() > 5 && parts.iter().all(|bytes| *bytes <= 100), "{parts:?}");
}

#[test]
fn damage_is_durable_and_in_one_place() {
    let disk = disk();
    let file = durable(&disk, "a", &[0; 5_000]);
    assert!(disk.flip(&path("a"), 4_500, 3));
    assert!(!disk.flip(&path("a"), 5_000, 3) && !disk.flip(&path("b"), 0, 0));
    let mut expected = vec![0; 5_000];
    expected[4_500] = 8;
    assert_eq!(outcomes(&disk, "a"), [Some(expected.clone())].into());
    let (rotten, offset, bit) = disk.rot(7).unwrap();
    expected[offset as usize] ^= 1 << bit;
    assert_eq!((rotten, disk.read_raw(&path("a"))), (path("a"), Some(expected)));
    disk.write_raw(&path("a"), b"other");
    assert_eq!(outcomes(&disk, "a"), [Some(b"other".to_vec())].into());
    assert_eq!(file.bytes().unwrap(), 5_000, "an open handle keeps its file");
}

#[test]
fn equal_seeds_are_equal_disks() {
    let run = || {
        let disk = disk();
        let file = durable(&disk, "a", &[1; 50_000]);
        for at in 0..200_u64 {
            file.write_at(&[at as u8; 300], at * 250).unwrap();
        }
        disk.crash(5).read_raw(&path("a"))
    };
    assert_eq!(run(), run());
}

#[test]
fn zeros_and_clones_cost_nothing() {
    let disk = disk();
    durable(&disk, "a", &vec![0; 16 << 20]);
    assert_eq!(disk.held_pages(), 0);
    let file = disk.open(&path("a"), Mode::Write).unwrap();
    file.write_at(&[1; 100], 5_000_000).unwrap();
    assert_eq!(disk.held_pages(), 1);
    let copy = disk.clone_state();
    file.write_at(&[2; 100], 5_000_000).unwrap();
    assert_eq!(copy.read_raw(&path("a")).unwrap()[5_000_000], 1, "a clone goes its own way");
}

#[test]
fn what_was_asked_is_counted_by_path() {
    let disk = disk();
    let file = durable(&disk, "a", &[1; 100]);
    durable(&disk, "b", &[1; 50]);
    file.read_at(&mut [0; 10], 0).unwrap();
    let expected = Counts { reads: 1, read_bytes: 10, writes: 1, written_bytes: 100, syncs: 1 };
    assert_eq!(disk.counts(&path("a")), expected);
    let all = disk.counts(Path::new("/d"));
    assert_eq!((all.written_bytes, all.syncs), (150, 4));
    disk.rename(&path("a"), &path("c")).unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.counts(&path("c")).syncs, 1, "a file is counted under its present name");
}
