//! Random histories against an ordered map.

use super::*;
use crate::engine::{Memory, is_empty};
use proptest::prelude::*;
use quorate_strategies::compaction::Compaction;
use quorate_strategies::{Choice, Family};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, Option<u16>)>),
    Flush,
    Settle,
    Reopen,
    Scan(u8, u8, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let change = (0_u8..60, proptest::option::weighted(0.7, 0_u16..400));
    prop_oneof![
        12 => proptest::collection::vec(change, 1..20).prop_map(Step::Commit),
        2 => Just(Step::Flush),
        1 => Just(Step::Settle),
        1 => Just(Step::Reopen),
        3 => (0_u8..70, 0_u8..70, 0_usize..30).prop_map(|(a, b, limit)| Step::Scan(a, b, limit)),
    ]
}

fn key(number: u8) -> Bytes {
    Bytes::from(format!("key{number:03}"))
}

/// Long enough that a table has many blocks.
fn value(number: u16) -> Bytes {
    Bytes::from(format!("{number:05}").repeat(1 + usize::from(number % 30)))
}

fn batch(changes: &[(u8, Option<u16>)]) -> Vec<Write> {
    let change = |(number, content): &(u8, Option<u16>)| match content {
        Some(content) => Write::Put { key: key(*number), value: value(*content) },
        None => Write::Remove { key: key(*number) },
    };
    changes.iter().map(change).collect()
}

fn apply(model: &mut BTreeMap<Bytes, Bytes>, batch: &[Write]) {
    for write in batch {
        match write {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                model.insert(key.clone(), value.clone())
            }
            Write::Remove { key } => model.remove(key),
        };
    }
}

fn check_points(engine: &dyn Engine, model: &BTreeMap<Bytes, Bytes>) {
    for number in 0..64 {
        let expected = model.get(&key(number)).cloned();
        match engine.peek(&key(number)).unwrap() {
            Peek::Found(found) => assert_eq!(Some(found), expected),
            Peek::Absent => assert_eq!(expected, None),
            Peek::OnDisk => {}
        }
        assert_eq!(engine.get(&key(number)).unwrap(), expected, "key {number}");
    }
}

fn check_scan(engine: &dyn Engine, model: &BTreeMap<Bytes, Bytes>, from: u8, to: u8, limit: usize) {
    let (from, to) = (key(from), key(to));
    let bounds = [
        (Bound::Included(&from[..]), Bound::Excluded(&to[..])),
        (Bound::Excluded(&from[..]), Bound::Included(&to[..])),
        (Bound::Unbounded, Bound::Included(&to[..])),
        (Bound::Included(&from[..]), Bound::Unbounded),
    ];
    for (from, to) in bounds {
        let Ok(empty) = is_empty(from, to) else {
            assert!(matches!(engine.scan(from, to, limit), Err(EngineError::Crossed { .. })));
            continue;
        };
        let found = engine.scan(from, to, limit).unwrap();
        let mut shown = Vec::new();
        let count = engine.scan_with(from, to, limit, &mut |key, value| {
            shown.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            ControlFlow::Continue(())
        });
        assert_eq!((count.unwrap(), &shown), (found.len(), &found));
        let first = engine.scan_with(from, to, limit, &mut |_, _| ControlFlow::Break(()));
        assert_eq!(first.unwrap(), found.len().min(1), "it ends where it is told to");
        let expected: Vec<(Bytes, Bytes)> = if empty {
            Vec::new()
        } else {
            let within = model.range::<[u8], _>((from, to)).take(limit);
            within.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        assert_eq!(found, expected, "{from:?} {to:?} {limit}");
    }
}

fn run(steps: &[Step], picker: impl Fn() -> Box<dyn Picker>) {
    let dir = folder();
    let open = || open_with(options(), dir.path(), picker()).unwrap();
    let (mut lsm, mut model) = (open(), BTreeMap::new());
    for step in steps {
        match step {
            Step::Commit(changes) => {
                let batch = batch(changes);
                apply(&mut model, &batch);
                lsm.commit(batch).unwrap();
            }
            Step::Flush => lsm.flush().unwrap(),
            Step::Settle => lsm.settle().unwrap(),
            Step::Reopen => {
                lsm.close().unwrap();
                lsm = open();
            }
            Step::Scan(from, to, limit) => check_scan(&lsm, &model, *from, *to, *limit),
        }
    }
    check_points(&lsm, &model);
    lsm.flush().unwrap();
    lsm.settle().unwrap();
    check_points(&lsm, &model);
    assert!(everything(&lsm).into_iter().eq(model));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_lsm_is_an_ordered_map(steps in proptest::collection::vec(step(), 1..120)) {
        run(&steps, || Box::new(Cascade));
        for entry in Compaction::entries() {
            run(&steps, || Choice::<Compaction>::named(entry.name).unwrap().build());
        }
    }

    #[test]
    fn a_memory_engine_is_an_ordered_map(steps in proptest::collection::vec(step(), 1..60)) {
        let (memory, mut model) = (Memory::default(), BTreeMap::new());
        for step in &steps {
            match step {
                Step::Commit(changes) => {
                    let batch = batch(changes);
                    apply(&mut model, &batch);
                    memory.commit(batch).unwrap();
                }
                Step::Scan(from, to, limit) => check_scan(&memory, &model, *from, *to, *limit),
                Step::Flush | Step::Settle | Step::Reopen => {}
            }
        }
        check_points(&memory, &model);
        let held: usize = model.iter().map(|(key, value)| key.len() + value.len()).sum();
        prop_assert_eq!(memory.stats().memtable_bytes, held as u64);
    }
}
