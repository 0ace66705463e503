//! Blocks against a map, and against bytes that are no blocks.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::engine::entry::Item;
use crate::engine::table::hash;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, (Kind, u64, Vec<u8>)>;

fn entries() -> impl Strategy<Value = Model> {
    let key = prop_oneof![
        4 => (0u16..300).prop_map(|n| format!("user{n:06}").into_bytes()),
        2 => proptest::collection::vec(prop_oneof![Just(0u8), Just(255), 97..100u8], 0..8),
        1 => (0u8..5).prop_map(|n| [&[n / 4; 40][..], &[n]].concat()),
    ];
    let kind = prop_oneof![Just(Kind::Value), Just(Kind::Tombstone), Just(Kind::Pointer)];
    let expires = prop_oneof![Just(0), Just(7), Just(u64::MAX)];
    let value = (kind, expires, 0usize..200).prop_map(|(kind, expires_s, len)| {
        let len = if kind == Kind::Tombstone { 0 } else { len };
        (kind, expires_s, vec![len as u8; len])
    });
    proptest::collection::btree_map(key, value, 1..80)
}

fn build(model: &Model, interval: usize, hashed: bool) -> Block {
    let mut builder = BlockBuilder::new(interval);
    let mut last: &[u8] = &[];
    for (key, (kind, expires_s, value)) in model {
        let item = Item { kind: *kind, expires_s: *expires_s, value };
        let most = builder.bytes_with(key, item);
        builder.add(common_prefix(last, key), key, item, hashed.then(|| hash(key)));
        assert!(builder.bytes() <= most);
        last = key;
    }
    let bytes = builder.bytes();
    let block = Block::open(builder.finish().to_vec().into()).unwrap();
    assert_eq!(block.bytes.len(), bytes);
    builder.clear();
    assert!(builder.is_empty());
    block
}

/// What a cursor sees from where it stands.
fn rest(cursor: &mut BlockCursor) -> Result<Model, Malformed> {
    let mut found = Model::new();
    while cursor.is_valid() {
        let Item { kind, expires_s, value } = cursor.item();
        assert_eq!(cursor.value(), value);
        found.insert(cursor.key().to_vec(), (kind, expires_s, value.to_vec()));
        cursor.next()?;
    }
    Ok(found)
}

fn from(model: &Model, key: &[u8]) -> Model {
    model.range(key.to_vec()..).map(|(key, entry)| (key.clone(), entry.clone())).collect()
}

proptest! {
    #[test]
    fn a_block_is_the_map_that_was_written(
        model in entries(),
        interval in prop_oneof![Just(1), Just(2), Just(16), 1usize..20],
        hashed in any::<bool>(),
        others in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 20),
    ) {
        let block = build(&model, interval, hashed);
        let mut cursor = BlockCursor::default();
        cursor.open(block.clone()).unwrap();
        prop_assert_eq!(&rest(&mut cursor).unwrap(), &model);
        let near = model.keys().map(|key| [&key[..], &[0]].concat());
        let below = model.keys().map(|key| key[..key.len() / 2].to_vec());
        for key in model.keys().cloned().chain(near).chain(below).chain(others) {
            let found = block.get(&key, hash(&key)).unwrap();
            let found = found.map(|found| (found.kind, found.expires_s, found.value.to_vec()));
            prop_assert_eq!(found.as_ref(), model.get(&key));
            cursor.open_at(block.clone(), &key).unwrap();
            prop_assert_eq!(rest(&mut cursor).unwrap(), from(&model, &key));
        }
    }

    /// A checksum that holds over bytes that no builder wrote.
    #[test]
    fn changed_bytes_do_not_make_it_panic(
        model in entries(),
        hashed in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = build(&model, 4, hashed).bytes.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        visit(&model, bytes.clone().into());
        bytes.truncate(cut.index(bytes.len()));
        visit(&model, bytes.into());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0_u8..40, 0..80)) {
        visit(&Model::new(), bytes.into());
    }
}

/// Uses everything that there is to use.
fn visit(model: &Model, bytes: Bytes) {
    let Ok(block) = Block::open(bytes) else { return };
    let mut cursor = BlockCursor::default();
    if cursor.open(block.clone()).is_ok() {
        let _ = rest(&mut cursor);
    }
    for key in model.keys().map(|key| &key[..]).chain([&b"abc"[..], b""]) {
        let _ = block.get(key, hash(key));
        if cursor.open_at(block.clone(), key).is_ok() {
            let _ = rest(&mut cursor);
        }
        assert!(!cursor.is_valid(), "an error or the end, and then nothing");
    }
}

#[test]
fn a_block_with_many_restart_points_does_without_buckets() {
    let model: Model =
        (0..600u16).map(|n| (n.to_be_bytes().to_vec(), (Kind::Value, 0, vec![1]))).collect();
    let block = build(&model, 2, true);
    assert_eq!((block.restarts(), block.buckets), (300, 0));
    assert!(model.keys().all(|key| block.get(key, hash(key)).unwrap().is_some()));
    let block = build(&model, 3, true);
    assert_eq!((block.restarts(), block.buckets), (200, 801));
    assert!(model.keys().all(|key| block.get(key, hash(key)).unwrap().is_some()));
}

/// Half of the absent keys end at an empty bucket, most others after one walk.
#[test]
fn buckets_answer_for_absent_keys() {
    let model: Model =
        (0..40u16).map(|n| (n.to_be_bytes().to_vec(), (Kind::Value, 0, vec![1]))).collect();
    let block = build(&model, 16, true);
    let of = |special: u8| {
        let hashes = (0..1_000u64).map(|n| hash(&n.to_le_bytes()));
        hashes.filter(|hash| block.bucket(*hash) == special).count()
    };
    assert!((400..600).contains(&of(EMPTY_BUCKET)), "{}", of(EMPTY_BUCKET));
    assert!(of(CROWDED_BUCKET) < 250, "{}", of(CROWDED_BUCKET));
}
