#![allow(clippy::unwrap_used)]

mod compaction;
mod concurrency;
mod crash;
mod damage;
mod durability;
mod inspect;
mod model;

use super::*;
use crate::engine::{Compression, CompressionByLevel, SyncPolicy};
use quorate_strategies::compaction::{Job, TableMeta, View};
use std::time::Duration;

/// Merges everything into level 1 as soon as level 0 holds `at` tables.
struct Eager {
    at: usize,
}

impl Picker for Eager {
    fn pick(&self, View { tables, .. }: &View<'_>) -> Option<Job> {
        let level0 = tables.iter().filter(|table| table.level == 0).count();
        (level0 >= self.at).then(|| Job {
            inputs: tables.iter().map(|table| table.id).collect(),
            output_level: 1,
            output_run: tables.iter().find(|table| table.level == 1).map(|table| table.run),
            table_bytes: 2_000,
            reason: "level 0 is full",
        })
    }
}

/// Two tables of level 0 go to level 1, one table of a crowded level 1 to level 2: every kind of
/// job, moves of single tables included, with very little data.
struct Cascade;

impl Picker for Cascade {
    fn pick(&self, View { tables, .. }: &View<'_>) -> Option<Job> {
        let on = |level| tables.iter().filter(move |table| table.level == level);
        let crowded = if on(0).count() >= 2 { 0 } else { 1 };
        if crowded == 1 && on(1).count() <= 3 {
            return None;
        }
        let chosen: Vec<&TableMeta> = on(crowded).take(if crowded == 0 { 99 } else { 1 }).collect();
        let first = chosen.iter().map(|table| &table.first_key).min()?;
        let last = chosen.iter().map(|table| &table.last_key).max()?;
        let below = on(crowded + 1).filter(|t| t.first_key <= *last && *first <= t.last_key);
        Some(Job {
            inputs: chosen.iter().copied().chain(below).map(|table| table.id).collect(),
            output_level: crowded + 1,
            output_run: on(crowded + 1).map(|table| table.run).next(),
            table_bytes: 1_000,
            reason: "a level is crowded",
        })
    }
}

/// Never compacts.
struct Idle;

impl Picker for Idle {
    fn pick(&self, _: &View<'_>) -> Option<Job> {
        None
    }
}

/// Small enough that a few hundred writes meet every path.
fn options() -> Options {
    Options {
        sync: SyncPolicy::Never,
        sync_interval: Duration::from_millis(5),
        memtable_bytes: 20_000,
        segment_bytes: 8_192,
        cache_bytes: 10_000,
        block_bytes: 256,
        compression: CompressionByLevel::Each(vec![Compression::Lz4, Compression::Zstd]),
        max_frozen: 2,
        slice_bytes: 4_000,
        level0_slowdown: 4,
        level0_stop: 6,
        ..Options::new(&LsmConfig::default())
    }
}

fn folder_at(dir: &Path) -> Folder {
    Folder::new(Arc::new(Real), dir)
}

fn open_with(options: Options, dir: &Path, picker: Box<dyn Picker>) -> Result<Lsm, EngineError> {
    Lsm::open_with(folder_at(dir), options, picker, Salvage::No)
}

fn open_eager(dir: &Path) -> Lsm {
    open_with(options(), dir, Box::new(Eager { at: 3 })).unwrap()
}

fn open_idle(dir: &Path) -> Result<Lsm, EngineError> {
    open_with(options(), dir, Box::new(Idle))
}

fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Write {
    let key = Bytes::copy_from_slice(key.as_ref());
    Write::Put { key, value: Bytes::copy_from_slice(value.as_ref()) }
}

fn remove(key: impl AsRef<[u8]>) -> Write {
    Write::Remove { key: Bytes::copy_from_slice(key.as_ref()) }
}

fn everything(lsm: &Lsm) -> Vec<(Bytes, Bytes)> {
    lsm.scan(Bound::Unbounded, Bound::Unbounded, usize::MAX).unwrap()
}

/// Paths of the folder with this extension, oldest first.
fn files_of(dir: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let names = folder_at(dir).list().unwrap();
    let mut paths: Vec<_> = names.iter().map(|name| dir.join(name)).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths
}

/// A folder in memory where the machine offers one: these tests synchronise thousands of times, and
/// what a real disk adds is the business of `tests/engine_crash.rs`.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn copy(dir: &Path) -> tempfile::TempDir {
    let copied = folder();
    for name in folder_at(dir).list().unwrap() {
        // Obsolete files may go meanwhile.
        let _ = std::fs::copy(dir.join(&name), copied.path().join(&name));
    }
    copied
}

/// The folder as a crash would leave it: nothing closed, nothing synchronised further. The locks
/// hold still what a crash would stop at once.
fn crash(lsm: &Lsm) -> tempfile::TempDir {
    let _manifest = lsm.tree.manifest.lock();
    let _log = lsm.tree.log.lock();
    copy(lsm.tree.folder.path())
}

#[test]
fn a_read_that_goes_to_disk_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let lsm =
        open_with(Options { cache_bytes: 0, ..options() }, dir.path(), Box::new(Idle)).unwrap();
    for table in ["a", "b"] {
        lsm.commit(vec![put("0", "0"), put(table, "1"), put("z", "2")]).unwrap();
        lsm.flush().unwrap();
    }
    let before = lsm.stats();
    assert_eq!(lsm.peek(b"a").unwrap(), Peek::OnDisk);
    assert_eq!(lsm.stats().reads, before.reads);
    assert_eq!(lsm.stats().bloom_negatives, before.bloom_negatives);
    assert!(lsm.get(b"a").unwrap().is_some());
    let after = lsm.stats();
    assert_eq!(
        (after.reads, after.bloom_negatives),
        (before.reads + 1, before.bloom_negatives + 1)
    );
    assert_eq!(lsm.peek(b"nowhere").unwrap(), Peek::Absent);
    assert_eq!(lsm.stats().bloom_negatives, before.bloom_negatives + 3);
}
