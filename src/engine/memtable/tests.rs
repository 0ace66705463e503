#![allow(clippy::unwrap_used)]

use super::*;
use crate::engine::entry::Kind;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn value(bytes: &[u8]) -> Item<'_> {
    Item { kind: Kind::Value, expires_s: 0, value: bytes }
}

const GONE: Item<'static> = Item { kind: Kind::Tombstone, expires_s: 0, value: &[] };

fn put(table: &Memtable, sequence: u64, key: &[u8], item: Item<'_>) {
    table.pin().apply(std::iter::once((sequence, key, item)));
}

#[derive(Clone, Debug)]
struct Change {
    sequence: u64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = prop_oneof![
        (0u8..40).prop_map(|n| format!("key{n:02}").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let length = prop_oneof![20 => 0usize..200, 1 => 60_000usize..70_000];
    let value = proptest::option::weighted(0.8, length.prop_map(|len| vec![len as u8; len]));
    let change = (key, value).prop_map(|(key, value)| Change { sequence: 0, key, value });
    proptest::collection::vec(change, 0..120)
        .prop_map(|mut changes| {
            (1..).zip(&mut changes).for_each(|(n, change)| change.sequence = n);
            changes
        })
        .prop_shuffle()
}

type Model = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

fn walked(table: &Memtable) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    table
        .walk(|key, item| {
            let live = item.kind == Kind::Value;
            found.push((key.to_vec(), live.then(|| item.value.to_vec())));
            Ok(())
        })
        .unwrap();
    found
}

proptest! {
    #[test]
    fn it_is_a_map_of_the_newest(changes in changes(), from in any::<u8>(), scan_every in 1..30) {
        let table = Arc::new(Memtable::default());
        let mut model = Model::new();
        for (number, change) in changes.iter().enumerate() {
            let item = change.value.as_deref().map_or(GONE, value);
            put(&table, change.sequence, &change.key, item);
            let newest = model.get(&change.key).is_none_or(|held| held.0 < change.sequence);
            if newest {
                model.insert(change.key.clone(), (change.sequence, change.value.clone()));
            }
            if number % scan_every as usize == 0 {
                let copied = table.copy(Bound::Unbounded, Bound::Unbounded, usize::MAX);
                let keys: Vec<&[u8]> = copied.iter().map(|entry| &entry.key[..]).collect();
                prop_assert!(keys.iter().copied().eq(model.keys().map(|key| &key[..])));
            }
        }
        let expected: Vec<_> =
            model.iter().map(|(key, (_, value))| (key.clone(), value.clone())).collect();
        prop_assert_eq!(walked(&table), expected);
        for (key, (_, value)) in &model {
            let found = table.get(key).unwrap();
            prop_assert_eq!(found.kind == Kind::Value, value.is_some());
            prop_assert_eq!(&found.value[..], value.as_deref().unwrap_or_default());
        }
        let mut cursor = table.cursor(1);
        cursor.seek(&[from]).unwrap();
        for (key, (_, value)) in model.range(vec![from]..) {
            prop_assert!(cursor.is_valid());
            prop_assert_eq!(cursor.key(), &key[..]);
            prop_assert_eq!(cursor.item().value, value.as_deref().unwrap_or_default());
            cursor.next().unwrap();
        }
        prop_assert!(!cursor.is_valid());
    }
}

#[test]
fn a_value_that_fits_takes_no_more_room() {
    let table = Memtable::default();
    put(&table, 1, b"key", value(&[1; 100]));
    let before = table.bytes();
    for sequence in 2..5_000 {
        put(&table, sequence, b"key", value(&[2; 100]));
    }
    put(&table, 5_000, b"key", value(&[3; 7]));
    assert_eq!(table.bytes(), before);
    assert_eq!(&table.get(b"key").unwrap().value[..], [3; 7]);
}

#[test]
fn a_copy_counts_live_entries_alone() {
    let table = Memtable::default();
    for (sequence, (key, item)) in
        (1..).zip([("a", GONE), ("b", value(b"1")), ("c", GONE), ("d", value(b"2")), ("e", GONE)])
    {
        put(&table, sequence, key.as_bytes(), item);
    }
    let keys = |limit| {
        let copied = table.copy(Bound::Unbounded, Bound::Unbounded, limit);
        copied.iter().map(|entry| entry.key[0] as char).collect::<String>()
    };
    assert_eq!(keys(0), "");
    assert_eq!(keys(1), "ab");
    assert_eq!(keys(2), "abcd");
    assert_eq!(keys(3), "abcde");
}

#[test]
fn a_copy_sees_whole_batches_of_several_writers() {
    let table = Memtable::default();
    std::thread::scope(|scope| {
        for writer in 0..2u8 {
            let table = &table;
            scope.spawn(move || {
                for round in 1..=2_000u64 {
                    let (sequence, number) = (round * 2 + u64::from(writer), round.to_le_bytes());
                    let keys: Vec<[u8; 2]> = (0..4).map(|key| [writer, key]).collect();
                    let changes: Vec<_> =
                        keys.iter().map(|key| (sequence, &key[..], value(&number))).collect();
                    table.pin().apply(changes.into_iter());
                }
            });
        }
        for _ in 0..300 {
            let copied = table.copy(Bound::Unbounded, Bound::Unbounded, usize::MAX);
            for writer in 0..2u8 {
                let mut own = copied.iter().filter(|entry| entry.key[0] == writer);
                let Some(first) = own.next() else { continue };
                assert!(own.all(|entry| entry.found.value == first.found.value));
            }
        }
    });
}
