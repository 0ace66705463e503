//! A table with damaged bytes: every read answers what was written or names the damage.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::engine::Compression;
use quorate::engine::disk::{Folder, Simulated};
use quorate::engine::entry::{Item, Kind};
use quorate::engine::table::{BlockCache, Format, Origin, Table, TableBuilder, hash};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Input<'a> = (u8, bool, BTreeMap<&'a [u8], &'a [u8]>, Vec<(u16, u8)>, Option<&'a [u8]>);

fuzz_target!(|input: Input<'_>| {
    let (compression, pin_index, entries, flips, whole) = input;
    let disk = Simulated::new(1);
    let folder = Folder::new(Arc::new(disk.clone()), Path::new("/"));
    if entries.is_empty() {
        return;
    }
    let compression =
        [Compression::None, Compression::Lz4, Compression::Zstd][compression as usize % 3];
    let format = Format { block_bytes: 128, compression, ..Format::default() };
    let mut builder = TableBuilder::create(&folder, "t", 1, format).expect("the disk is sound");
    for (key, value) in &entries {
        let item = Item { kind: Kind::Value, expires_s: 0, value };
        builder.add(key, item).expect("keys ascend");
    }
    builder.finish(&Origin::default()).expect("the disk is sound");
    let path = Path::new("/t");
    let mut bytes = disk.read_raw(path).expect("the table is there");
    for (at, mask) in flips {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= mask;
    }
    disk.write_raw(path, whole.unwrap_or(&bytes));
    let Ok(table) = Table::open(&folder, "t", 1, pin_index) else { return };
    let cache = Arc::new(BlockCache::new(1 << 16, 128));
    for (key, value) in &entries {
        if let Ok(found) = table.get(key, hash(key), &cache) {
            assert_eq!(found.map(|found| found.value.to_vec()), Some(value.to_vec()));
        }
    }
});
