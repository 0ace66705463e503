//! Whatever is written is found again, and nothing else, by every way of reading.

use super::*;
use crate::engine::disk::Mode;
use proptest::prelude::*;

fn models() -> impl Strategy<Value = Model> {
    let key = prop_oneof![
        (0u16..3_000).prop_map(|n| format!("user{n:06}").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    let kind =
        prop_oneof![6 => Just(Kind::Value), 1 => Just(Kind::Tombstone), 1 => Just(Kind::Pointer)];
    let length = prop_oneof![20 => 0usize..60, 1 => 500usize..1_500];
    let value = (kind, 0u64..3, length, any::<u8>()).prop_map(|(kind, expires_s, len, byte)| {
        let len = if kind == Kind::Tombstone { 0 } else { len };
        (kind, expires_s, (0..len).map(|at| byte.wrapping_mul(at as u8 / 7)).collect())
    });
    proptest::collection::btree_map(key, value, 1..400)
}

fn formats() -> impl Strategy<Value = Format> {
    let compression = proptest::sample::select(&ALL[..]);
    (64usize..2_000, 1usize..20, any::<bool>(), 0f64..12.0, compression).prop_map(
        |(block_bytes, restart_interval, hash_index, bloom_bits, compression)| Format {
            block_bytes,
            restart_interval,
            hash_index,
            bloom_bits,
            compression,
            ..Format::default()
        },
    )
}

fn absent() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let key = prop_oneof![
        (0u16..3_000).prop_map(|n| format!("user{n:06}").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(key, 40)
}

fn check_point_reads(table: &Table, model: &Model, key: &[u8]) {
    let (expected, hash, cache) = (model.get(key), hash(key), cache());
    assert!(expected.is_none() || table.may_contain(hash));
    let found = |found: Option<crate::engine::entry::Found>| {
        found.map(|found| (found.kind, found.expires_s, found.value.to_vec()))
    };
    let cold = table.get_cached(key, hash, &cache).unwrap();
    assert!(cold.is_none_or(|found| found.is_none()), "nothing is in the cache yet");
    assert_eq!(found(table.get(key, hash, &cache).unwrap()).as_ref(), expected);
    let warm = table.get_cached(key, hash, &cache).unwrap().expect("it has just been read");
    assert_eq!(found(warm).as_ref(), expected);
}

fn check_properties(table: &Table, model: &Model) {
    let count = |kind: Kind| model.values().filter(|(found, ..)| *found == kind).count() as u64;
    let meta = table.meta(3, 9);
    assert_eq!((meta.id, meta.level, meta.run, meta.busy), (table.id(), 3, 9, false));
    assert_eq!((meta.entries, meta.tombstones), (model.len() as u64, count(Kind::Tombstone)));
    assert_eq!(meta.bytes, table.bytes());
    assert_eq!(meta.first_key, *model.first_key_value().unwrap().0);
    assert_eq!(meta.last_key, *model.last_key_value().unwrap().0);
    assert_eq!((meta.min_sequence, meta.max_sequence), (1, table.id()));
    assert_eq!((meta.min_written_s, meta.max_written_s), (3, 4));
    let expiring = model.values().filter(|(_, expires_s, _)| *expires_s > 0).count() as u64;
    assert_eq!(meta.expiry.iter().map(|(_, entries)| entries).sum::<u64>(), expiring);
    let properties = table.properties();
    let keys: usize = model.keys().map(Vec::len).sum();
    let values: usize = model.values().map(|(.., value)| value.len()).sum();
    assert_eq!(properties.raw_key_bytes, keys as u64);
    assert_eq!(properties.raw_value_bytes, values as u64);
    let verified = verify(table, |_, _| Ok(())).unwrap();
    assert_eq!((verified.entries, verified.tombstones), (meta.entries, meta.tombstones));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_table_is_the_map_that_was_written(
        model in models(), format in formats(), id in 1u64..4, absent in absent(),
    ) {
        let (_dir, folder) = folder();
        let table = build(&folder, id, format, &model);
        let some = model.keys().step_by(3).cloned();
        for key in some.chain(absent.clone()) {
            check_point_reads(&table, &model, &key);
        }
        check_properties(&table, &model);
        let cache = cache();
        let mut cursors = [
            TableCursor::cached(Arc::clone(&table), 0, Arc::clone(&cache)),
            TableCursor::cached(Arc::clone(&table), 0, Arc::new(BlockCache::new(0, 400))),
            TableCursor::bulk(Arc::clone(&table), 0),
        ];
        for cursor in &mut cursors {
            prop_assert!(!cursor.is_valid());
            prop_assert_eq!(&walked(cursor, b"").unwrap(), &model);
            for key in absent.iter().chain(model.keys().step_by(17)) {
                prop_assert_eq!(walked(cursor, key).unwrap(), from(&model, key));
            }
        }
    }

    /// A run is its tables one behind the other; older runs show where newer ones have no entry.
    #[test]
    fn runs_are_merged(
        older in models(), newer in models(), format in formats(), keys in absent(),
    ) {
        let (_dir, folder) = folder();
        let mut tables = Vec::new();
        let entries: Vec<_> = newer.iter().collect();
        for (at, part) in entries.chunks(entries.len().div_ceil(3)).enumerate() {
            let part = part.iter().map(|(key, entry)| ((*key).clone(), (*entry).clone()));
            tables.push(build(&folder, 10 + at as u64, format, &part.collect()));
        }
        let mut model = older.clone();
        model.extend(newer.clone());
        let old = vec![build(&folder, 5, format, &older)];
        let cache = cache();
        let mut run = RunCursor::new(tables.clone(), 0, Access::cached(Arc::clone(&cache)));
        let sources = vec![
            RunCursor::new(old.clone(), 0, Access::cached(Arc::clone(&cache))),
            RunCursor::new(tables.clone(), 0, Access::cached(cache)),
        ];
        let bulk = vec![RunCursor::for_compaction(old, 2), RunCursor::for_compaction(tables, 1)];
        let (mut merge, mut bulk) = (MergeCursor::new(sources), MergeCursor::new(bulk));
        prop_assert_eq!(&walked(&mut bulk, b"").unwrap(), &model);
        for key in keys.iter().chain(newer.keys().step_by(7)) {
            prop_assert_eq!(walked(&mut run, key).unwrap(), from(&newer, key));
            prop_assert_eq!(walked(&mut merge, key).unwrap(), from(&model, key));
        }
    }
}

/// Tables of several partitions, read with every size of read ahead that there is.
#[test]
fn large_tables_are_walked_block_by_block_and_at_once() {
    let (_dir, folder) = folder();
    let model = numbered(12_000, 100);
    for (id, compression) in (1..).zip(ALL) {
        let format = Format { compression, ..Format::default() };
        let table = build(&folder, id, format, &model);
        assert!(table.sample_keys().count() > 1, "several partitions");
        let small = Arc::new(BlockCache::new(100_000, 4_096));
        let large = Arc::new(BlockCache::new(10 << 20, 4_096));
        for access in [
            Access::cached(small),
            Access::cached(Arc::clone(&large)),
            Access::cached(large),
            Access::Bulk,
        ] {
            let mut cursor = TableCursor::new(Arc::clone(&table), 0, access);
            assert_eq!(walked(&mut cursor, b"").unwrap(), model);
            let key = b"user000000040000";
            assert_eq!(walked(&mut cursor, key).unwrap(), from(&model, key));
        }
        let keys: Vec<Vec<u8>> = table.sample_keys().collect();
        assert!(keys.is_sorted() && keys.last() >= Some(&table.last_key().to_vec()));
    }
}

/// What a scan reads is in the cache for the next one.
#[test]
fn no_more_than_twelve_bits_per_key_stay_in_memory() {
    let (_dir, folder) = folder();
    let count = 60_000;
    let table = build(&folder, 1, Format::default(), &numbered(count, 100));
    let bits = table.memory_bytes() as f64 * 8.0 / f64::from(count);
    assert!((10.0..10.5).contains(&bits), "{bits} bits per key");
    let pinned = open(&folder, 1, true).unwrap();
    let bits = pinned.memory_bytes() as f64 * 8.0 / f64::from(count);
    assert!((14.0..18.0).contains(&bits), "{bits} bits per key with the index");
}

#[test]
fn the_filter_of_a_table_lets_few_absent_keys_pass() {
    let (_dir, folder) = folder();
    let table = build(&folder, 1, Format::default(), &numbered(60_000, 10));
    let absent = (0..200_000).map(|n| format!("user{:012}", n * 7 + 1));
    let passed = absent.filter(|key| table.may_contain(hash(key.as_bytes()))).count();
    let share = passed as f64 / 200_000.0;
    assert!((0.0082..=0.0097).contains(&share), "{share}");
}

#[test]
fn an_unfinished_table_leaves_no_file_and_a_retired_one_goes_with_its_last_reader() {
    let (_dir, folder) = folder();
    let mut builder = TableBuilder::create(&folder, &name(1), 1, Format::default()).unwrap();
    builder.add(b"key", item(&(Kind::Value, 0, vec![1]))).unwrap();
    drop(builder);
    assert!(folder.list().unwrap().is_empty());
    let table = build(&folder, 1, Format::default(), &numbered(10, 10));
    let cursor = TableCursor::bulk(Arc::clone(&table), 0);
    table.retire(&Arc::new(Spares::new(&folder, 0)));
    drop(table);
    assert!(folder.open(&name(1), Mode::Read).is_ok());
    drop(cursor);
    assert!(folder.list().unwrap().is_empty());
}
