//! Jobs: what they must not do, what they leave, and what readers see meanwhile.

use super::*;
use crate::engine::lsm::jobs;
use crate::engine::lsm::tree::Signals;
use crate::engine::lsm::version::Version;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

fn check(version: &Version, job: &Job) -> Result<Vec<version::Placed>, String> {
    jobs::check(version, job, |_| false)
}

/// Level 0, oldest first: tables 1 {a, z}, 2 {b, c}, 3 {a, b}, 4 {x}.
fn level0(dir: &Path) -> Lsm {
    let lsm = open_idle(dir).unwrap();
    for keys in [["a", "z"], ["b", "c"], ["a", "b"], ["x", "x"]] {
        lsm.commit(keys.iter().map(|key| put(key, keys[1])).collect()).unwrap();
        lsm.flush().unwrap();
    }
    lsm
}

fn job(inputs: &[u64], output_level: u32) -> Job {
    let (inputs, output_run) = (inputs.to_vec(), None);
    Job { inputs, output_level, output_run, table_bytes: 1 << 20, reason: "a test" }
}

#[test]
fn a_job_that_skips_a_table_is_refused() {
    let dir = folder();
    let lsm = level0(dir.path());
    let version = &lsm.tree.state.load().version;
    let is_sound = |inputs: &[u64], level| check(version, &job(inputs, level)).is_ok();
    assert!(is_sound(&[4, 3, 2, 1], 1));
    assert!(is_sound(&[1], 1), "the oldest goes below those that are newer");
    assert!(is_sound(&[1, 2], 0) && is_sound(&[2, 3], 0), "neighbours take their inputs' place");
    assert!(!is_sound(&[4], 1), "table 1 covers x, is older, and would be met first");
    assert!(!is_sound(&[2, 3], 1), "table 1 again");
    assert!(!is_sound(&[1, 3], 1), "table 2 lies between in age");
    assert!(!is_sound(&[1, 3], 0));
    assert!(!is_sound(&[1, 9], 1), "there is no table 9");
    assert!(!is_sound(&[1, 1], 1), "named twice");
    assert!(!is_sound(&[], 1));
}

/// Answers one job, once.
struct Once(Mutex<Option<Job>>);

impl Picker for Once {
    fn pick(&self, View { tables, .. }: &View<'_>) -> Option<Job> {
        (tables.len() == 4).then(|| self.0.lock().take()).flatten()
    }
}

fn reopen_with(dir: &Path, job: Job) -> Lsm {
    let lsm = open_with(options(), dir, Box::new(Once(Mutex::new(Some(job))))).unwrap();
    lsm.settle().unwrap();
    lsm
}

#[test]
fn a_refused_job_changes_nothing() {
    let dir = folder();
    let before = everything(&level0(dir.path()));
    let lsm = reopen_with(dir.path(), job(&[1, 3], 1));
    assert_eq!((lsm.stats().compactions, lsm.stats().tables), (0, 4));
    assert_eq!(everything(&lsm), before);
    lsm.commit(vec![put("a", "still writable")]).unwrap();
}

#[test]
fn a_lone_table_moves_without_being_rewritten() {
    let dir = folder();
    let before = everything(&level0(dir.path()));
    let lsm = reopen_with(dir.path(), job(&[1], 3));
    let stats = lsm.stats();
    assert_eq!((stats.compactions, stats.compaction_written_bytes), (1, 0));
    assert_eq!(stats.tables_per_level, [3, 0, 0, 1]);
    assert_eq!(everything(&lsm), before);
    drop(lsm);
    assert_eq!(open_idle(dir.path()).unwrap().stats().tables_per_level, [3, 0, 0, 1]);
}

#[test]
fn a_store_is_quiet_once_little_was_written_for_a_while() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    let quiet_after = |written: u64, age: Duration| {
        let logged = lsm.tree.counters.wal_bytes.load(Relaxed);
        let when = Instant::now().checked_sub(age).unwrap();
        let looked = Some((when, logged - written));
        let mut signals = Signals { looked, ..Signals::default() };
        lsm.tree.look_at_writes(&mut signals);
        signals.quiet
    };
    let long = Duration::from_secs(11);
    lsm.commit(vec![put("key", [b'v'; 1_024])]).unwrap();
    assert!(quiet_after(0, long));
    assert!(!quiet_after(0, Duration::from_secs(1)), "too early to tell");
    assert!(!quiet_after(1_024, long), "a 20th of a memtable was written");
    lsm.settle().unwrap();
    assert!(lsm.tree.signals.lock().quiet, "who waits for it wants no job to wait");
    lsm.flush().unwrap();
    assert!(!lsm.tree.signals.lock().quiet, "something was written");
}

#[test]
fn old_tables_live_as_long_as_their_readers() {
    let dir = folder();
    drop(level0(dir.path()));
    let lsm = open_idle(dir.path()).unwrap();
    let reader = lsm.tree.state.load_full();
    let version = Arc::clone(&reader.version);
    let inputs: Vec<_> = version.tables().collect();
    lsm.tree.install(&inputs, &[], &[], None).unwrap();
    assert_eq!(files_of(dir.path(), "table").len(), 4);
    let hash = crate::engine::table::hash(b"b");
    let found = version.search(b"b", |table| table.get(b"b", hash, &lsm.tree.cache).unwrap());
    assert!(found.is_some());
    drop((inputs, version, reader));
    assert_eq!(files_of(dir.path(), "table").len(), 0);
}

#[test]
fn tombstones_shadow_what_lies_outside_the_job_and_go_with_the_last() {
    let dir = folder();
    let lsm = open_idle(dir.path()).unwrap();
    for write in [put("a", "old"), put("b", "old"), remove("a"), remove("b")] {
        lsm.commit(vec![write]).unwrap();
        lsm.flush().unwrap();
    }
    drop(lsm);
    let lsm = reopen_with(dir.path(), job(&[4, 3], 0));
    assert_eq!(lsm.stats().compactions, 1);
    let tables = lsm.tree.state.load().version.tables().collect::<Vec<_>>();
    let kept: u64 = tables.iter().map(|placed| placed.table.tombstones()).sum();
    drop(tables);
    assert_eq!(kept, 2);
    assert_eq!(everything(&lsm), []);
    drop(lsm);
    let lsm = open_with(options(), dir.path(), Box::new(Eager { at: 3 })).unwrap();
    lsm.settle().unwrap();
    assert_eq!(lsm.stats().tables, 0, "nothing is left of a key that is gone");
}

#[test]
fn filters_answer_for_absent_keys_and_the_cache_for_read_ones() {
    let dir = folder();
    drop(level0(dir.path()));
    let options = Options { cache_bytes: 1 << 20, ..options() };
    let lsm = open_with(options, dir.path(), Box::new(Idle)).unwrap();
    assert_eq!(lsm.peek(b"q").unwrap(), Peek::Absent, "table 1 covers it, its filter does not");
    assert_eq!(lsm.peek(b"zz").unwrap(), Peek::Absent, "behind every table");
    assert_eq!(lsm.stats().bloom_negatives, 1);
    assert_eq!(lsm.peek(b"x").unwrap(), Peek::OnDisk);
    assert_eq!(lsm.get(b"x").unwrap().as_deref(), Some(b"x".as_slice()));
    assert_eq!(lsm.peek(b"x").unwrap(), Peek::Found("x".into()));
}

/// How many files of tables, in use or not, a merge of level 0 with a level of 20 tables leaves.
fn files_after_a_merge(slice_bytes: u64) -> (usize, u64) {
    let dir = folder();
    let compression = CompressionByLevel::Every(Compression::None);
    let options = || Options {
        slice_bytes,
        spares_of_flushes: 0,
        inline: true,
        compression: compression.clone(),
        ..options()
    };
    let fill = |at| {
        let lsm = open_with(options(), dir.path(), Box::new(Eager { at })).unwrap();
        for key in 0..200 {
            lsm.commit(vec![put(format!("{key:03}"), [b'v'; 200])]).unwrap();
        }
        lsm.commit(vec![remove("000"), remove("150")]).unwrap();
        lsm.flush().unwrap();
        lsm
    };
    fill(1).settle().unwrap();
    let lsm = fill(4);
    let before = everything(&lsm);
    drop(lsm);
    let lsm = open_with(options(), dir.path(), Box::new(Eager { at: 1 })).unwrap();
    lsm.settle().unwrap();
    assert_eq!((everything(&lsm), before.len()), (before, 198));
    let stats = lsm.stats();
    assert_eq!((stats.compactions, stats.tables_per_level[0]), (1, 0));
    (files_of(dir.path(), "table").len() + files_of(dir.path(), "retired").len(), stats.tables)
}

#[test]
fn a_large_job_gives_back_its_inputs_slice_by_slice() {
    let (whole, tables) = files_after_a_merge(u64::MAX);
    let (sliced, sliced_tables) = files_after_a_merge(4_000);
    assert!(tables >= 10 && sliced_tables <= tables + tables / 2, "{sliced_tables} of {tables}");
    assert!(sliced * 3 < whole * 2, "{sliced} files instead of {whole}");
}
