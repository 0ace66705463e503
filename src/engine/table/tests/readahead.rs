//! How many reads a scan takes, and what it leaves in the cache.

use super::*;
use crate::engine::disk::Simulated;
use std::path::Path;

const DIR: &str = "/db";

/// A table of some hundred blocks, its index in memory, on a disk that counts.
fn counted() -> (Simulated, Arc<Table>) {
    let disk = Simulated::new(1);
    let folder = Folder::new(Arc::new(disk.clone()), Path::new(DIR));
    folder.create().unwrap();
    let table = build(&folder, 2, Format::default(), &numbered(10_000, 100));
    (disk, table)
}

fn reads(disk: &Simulated) -> u64 {
    disk.counts(Path::new(DIR)).reads
}

/// Walks over so many entries from the middle on; returns how often it read.
fn walk(disk: &Simulated, table: &Arc<Table>, access: Access, entries: usize) -> u64 {
    let before = reads(disk);
    let mut cursor = TableCursor::new(Arc::clone(table), 0, access);
    cursor.seek(b"user000000020000").unwrap();
    for _ in 1..entries {
        cursor.next().unwrap();
    }
    assert!(cursor.is_valid());
    reads(disk) - before
}

#[test]
fn a_scan_that_knows_how_far_it_goes_reads_once() {
    let (disk, table) = counted();
    let cache = || Arc::new(BlockCache::new(10 << 20, 4_096));
    let of = |expected_bytes| Access::Cached { cache: cache(), expected_bytes };
    let bytes = table.bytes() / 10_000 * 500 + 4_096;
    assert_eq!(walk(&disk, &table, of(bytes), 500), 1);
    let step_by_step = walk(&disk, &table, of(0), 500);
    assert!((4..8).contains(&step_by_step), "{step_by_step}: 2 blocks, then 16 KiB, 32, ...");
    let beyond = walk(&disk, &table, of(bytes), 560);
    assert_eq!(beyond, 2, "what was not expected comes in small steps again");
    assert_eq!(walk(&disk, &table, of(100), 10), 1, "a block at least");
}

#[test]
fn short_reads_enter_the_cache_and_long_ones_pass_by() {
    let (disk, table) = counted();
    let cache = Arc::new(BlockCache::new(10 << 20, 4_096));
    let of = |expected_bytes| Access::Cached { cache: Arc::clone(&cache), expected_bytes };
    assert_eq!(walk(&disk, &table, of(20_000), 100), 1);
    let short = cache.usage_bytes();
    assert!(short > 10_000, "{short}");
    assert_eq!(walk(&disk, &table, of(20_000), 100), 0);
    assert_eq!(walk(&disk, &table, of(200_000), 1_000), 1);
    assert_eq!(cache.usage_bytes(), short);
    assert_eq!(walk(&disk, &table, of(0), 1_000), 3, "16, 32, 64 KiB behind what is cached");
}
