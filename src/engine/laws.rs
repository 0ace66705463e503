//! What every engine promises, held against an ordered map in random histories.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// An engine with what a history needs beside reads and writes.
pub trait Lawful: Engine {
    /// Makes everything durable.
    fn rest(&self);
}

impl Lawful for Memory {
    fn rest(&self) {}
}

impl Lawful for Lsm {
    fn rest(&self) {
        self.flush().unwrap();
        self.settle().unwrap();
    }
}

impl Lawful for BTree {
    fn rest(&self) {
        self.flush().unwrap();
    }
}

impl Lawful for HashLog {
    fn rest(&self) {
        self.flush().unwrap();
        self.settle().unwrap();
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Content {
    Put(u16),
    /// Far in the future, or long ago: such a value may be there or not.
    PutUntil(u16, bool),
    Remove,
}

#[derive(Clone, Debug)]
pub enum Step {
    Commit(Vec<(u8, Content)>, Option<SyncPolicy>),
    Rest,
    Reopen,
    MultiGet(Vec<u8>),
    Scan(u8, u8, usize),
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => (0_u16..400).prop_map(Content::Put),
        1 => (0_u16..400, any::<bool>()).prop_map(|(value, past)| Content::PutUntil(value, past)),
        2 => Just(Content::Remove),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sync = prop_oneof![
        5 => Just(None),
        1 => Just(Some(SyncPolicy::Always)),
        1 => Just(Some(SyncPolicy::Never)),
    ];
    let changes = vec((0_u8..60, content()), 1..20);
    prop_oneof![
        12 => (changes, sync).prop_map(|(changes, sync)| Step::Commit(changes, sync)),
        2 => Just(Step::Rest),
        1 => Just(Step::Reopen),
        2 => vec(0_u8..64, 0..12).prop_map(Step::MultiGet),
        3 => (0_u8..70, 0_u8..70, 0_usize..30).prop_map(|(a, b, limit)| Step::Scan(a, b, limit)),
    ]
}

/// A history of at most so many steps.
pub fn history(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..steps)
}

/// Keys of many lengths, the empty one among them, that begin alike.
fn key(number: u8) -> Bytes {
    if number == 0 {
        return Bytes::new();
    }
    Bytes::from(format!("key{number:03}{}", "~".repeat(usize::from(number % 4) * 9)))
}

/// Empty, or up to some hundred bytes long.
fn value(number: u16) -> Bytes {
    Bytes::from(format!("{number:05}").repeat(usize::from(number % 30)))
}

fn write((number, content): &(u8, Content)) -> Write {
    let key = key(*number);
    match content {
        Content::Put(number) => Write::Put { key, value: value(*number) },
        Content::PutUntil(number, past) => {
            let expires_s = if *past { 1 } else { u64::MAX / 2 };
            Write::PutUntil { key, value: value(*number), expires_s }
        }
        Content::Remove => Write::Remove { key },
    }
}

/// The newest value of each key, and whether it may be gone.
#[derive(Default)]
struct Model(BTreeMap<Bytes, (Bytes, bool)>);

impl Model {
    fn apply(&mut self, (number, content): &(u8, Content)) {
        match content {
            Content::Put(new) => self.0.insert(key(*number), (value(*new), false)),
            Content::PutUntil(new, past) => self.0.insert(key(*number), (value(*new), *past)),
            Content::Remove => self.0.remove(&key(*number)),
        };
    }

    fn check(&self, key: &Bytes, found: Option<&Bytes>) {
        match (self.0.get(key), found) {
            (Some((expected, _)), Some(found)) => assert_eq!(found, expected, "{key:?}"),
            (Some((_, may_be_gone)), None) => assert!(may_be_gone, "{key:?} is gone"),
            (None, found) => assert_eq!(found, None, "{key:?} was removed"),
        }
    }

    /// What was found is right and ascends; nothing that must be there was left out before its end.
    fn check_scan(
        &self,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
        limit: usize,
        found: &[(Bytes, Bytes)],
    ) {
        assert!(found.len() <= limit);
        assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "{found:?}");
        for (key, value) in found {
            let within = RangeBounds::<[u8]>::contains(&(from, to), &key[..]);
            assert!(within, "{key:?} is not within {from:?} and {to:?}");
            self.check(key, Some(value));
        }
        let last = found.last().map(|(key, _)| key);
        let is_reached = |key: &Bytes| found.len() < limit || last.is_some_and(|last| key <= last);
        let expected = self.0.range::<[u8], _>((from, to)).filter(|(key, _)| is_reached(key));
        for (key, _) in expected.filter(|(_, (_, may_be_gone))| !may_be_gone) {
            assert!(found.iter().any(|(found, _)| found == key), "{key:?} was left out");
        }
    }
}

fn check_points(engine: &dyn Engine, model: &Model) {
    for key in (0..64).map(key) {
        match engine.peek(&key).unwrap() {
            Peek::Found(found) => model.check(&key, Some(&found)),
            Peek::Absent => model.check(&key, None),
            Peek::OnDisk => {}
        }
        model.check(&key, engine.get(&key).unwrap().as_ref());
    }
    let all = engine.scan(Bound::Unbounded, Bound::Unbounded, usize::MAX).unwrap();
    model.check_scan((Bound::Unbounded, Bound::Unbounded), usize::MAX, &all);
}

fn check_scans(engine: &dyn Engine, model: &Model, from: u8, to: u8, limit: usize) {
    let (from, to) = (key(from), key(to));
    for bounds in [
        (Bound::Included(&from[..]), Bound::Excluded(&to[..])),
        (Bound::Excluded(&from[..]), Bound::Included(&to[..])),
        (Bound::Unbounded, Bound::Included(&to[..])),
        (Bound::Included(&from[..]), Bound::Unbounded),
    ] {
        let found = engine.scan(bounds.0, bounds.1, limit);
        match is_empty(bounds.0, bounds.1) {
            Err(_) => assert!(matches!(found, Err(EngineError::Crossed { .. })), "{found:?}"),
            Ok(true) => assert_eq!(found.unwrap(), []),
            Ok(false) => model.check_scan(bounds, limit, &found.unwrap()),
        }
        check_shown(engine, model, bounds, limit);
    }
}

/// The same where entries are shown one by one.
fn check_shown(
    engine: &dyn Engine,
    model: &Model,
    (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    limit: usize,
) {
    let mut shown = Vec::new();
    let count = engine.scan_with(from, to, limit, &mut |key, value| {
        shown.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        ControlFlow::Continue(())
    });
    match is_empty(from, to) {
        Err(_) => return assert!(matches!(count, Err(EngineError::Crossed { .. })), "{count:?}"),
        Ok(true) => assert_eq!(shown, []),
        Ok(false) => model.check_scan((from, to), limit, &shown),
    }
    assert_eq!(count.unwrap(), shown.len());
    let first = engine.scan_with(from, to, limit, &mut |_, _| ControlFlow::Break(())).unwrap();
    assert!(first <= shown.len().min(1), "it ends where it is told to");
}

/// Takes the steps; `open` opens the same folder again. None: nothing outlives the engine. Returns
/// the engine, and the bytes of all keys and values that it may hold.
pub fn check<E: Lawful>(mut engine: E, open: Option<&dyn Fn() -> E>, steps: &[Step]) -> (E, usize) {
    let mut model = Model::default();
    let mut writes = 0;
    for step in steps {
        match step {
            Step::Commit(changes, sync) => {
                changes.iter().for_each(|change| model.apply(change));
                writes += changes.len() as u64;
                engine.commit_with(changes.iter().map(write).collect(), *sync).unwrap();
            }
            Step::Rest => engine.rest(),
            Step::Reopen => {
                let Some(open) = open else { continue };
                assert_eq!(engine.stats().writes, std::mem::take(&mut writes));
                engine.close().unwrap();
                engine.close().unwrap();
                engine = open();
            }
            Step::MultiGet(numbers) => {
                let keys: Vec<Bytes> = numbers.iter().map(|number| key(*number)).collect();
                let asked: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
                let found = engine.multi_get(&asked).unwrap();
                assert_eq!(found.len(), keys.len());
                keys.iter().zip(&found).for_each(|(key, value)| model.check(key, value.as_ref()));
            }
            Step::Scan(from, to, limit) => check_scans(&engine, &model, *from, *to, *limit),
        }
    }
    check_points(&engine, &model);
    engine.rest();
    check_points(&engine, &model);
    let bytes = model.0.iter().map(|(key, (value, _))| key.len() + value.len()).sum();
    (engine, bytes)
}

/// An engine as it is configured by default, on this machine's disk.
fn configured<E: Lawful>(steps: &[Step], open: impl Fn(&Path) -> E) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    check(open(dir.path()), Some(&|| open(dir.path())), steps);
}

/// Never compacts.
struct Idle;

impl Picker for Idle {
    fn pick(
        &self,
        _: &quorate_strategies::compaction::View<'_>,
    ) -> Option<quorate_strategies::compaction::Job> {
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_engine_is_an_ordered_map(steps in history(60)) {
        let sync = SyncPolicy::Never;
        let (memory, bytes) = check(Memory::default(), None, &steps);
        prop_assert_eq!(memory.stats().memtable_bytes, bytes as u64);
        let lsm = LsmConfig { sync, wal_segment_mib: 1, wal_spares: 0, ..LsmConfig::default() };
        configured(&steps, |dir| Lsm::open(&lsm, dir, Box::new(Idle)).unwrap());
        let btree = BtreeConfig { sync, ..BtreeConfig::default() };
        configured(&steps, |dir| BTree::open(&btree, dir).unwrap());
        let hash = HashConfig { sync, ..HashConfig::default() };
        configured(&steps, |dir| HashLog::open(&hash, dir).unwrap());
    }
}

#[test]
fn a_folder_of_one_engine_is_refused_by_all_others() {
    for own in KINDS.iter().filter(|kind| **kind != "memory") {
        let dir = tempfile::tempdir().unwrap();
        let open =
            |kind: &str| super::open(&Config::named(kind).unwrap(), dir.path(), Box::new(Idle));
        let engine = open(own).unwrap();
        let write = Write::Put { key: "key".into(), value: "value".into() };
        engine.commit(vec![write]).unwrap();
        engine.close().unwrap();
        for other in KINDS.iter().filter(|kind| !["memory", own].contains(kind)) {
            let error = open(other).map(|_| ()).unwrap_err().to_string();
            let expected = format!("of the engine `{own}`; the settings say `{other}`");
            assert!(error.contains(&expected), "{error}");
        }
        assert_eq!(
            open(own).unwrap().get(b"key").unwrap().unwrap(),
            "value",
            "nothing was changed"
        );
    }
}

#[test]
fn every_engine_that_keeps_anything_refuses_the_same() {
    for kind in KINDS.iter().filter(|kind| **kind != "memory") {
        let dir = tempfile::tempdir().unwrap();
        let open = || super::open(&Config::named(kind).unwrap(), dir.path(), Box::new(Idle));
        let engine = open().unwrap();
        let error = open().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{kind}: {error}");
        let key = vec![7; wal::MAX_KEY_BYTES + 1];
        let error = engine.commit(vec![Write::Remove { key: key.into() }]).unwrap_err().to_string();
        assert!(error.contains("a key of 65536 bytes; at most 65535"), "{kind}: {error}");
        engine.commit(Vec::new()).unwrap();
        let write = Write::Put { key: "a".into(), value: "1".into() };
        engine.commit(vec![write.clone()]).unwrap();
        assert_eq!(engine.get(b"a").unwrap().unwrap(), "1", "{kind}: a refusal is no failure");
        engine.close().unwrap();
        let error = engine.commit(vec![write]).unwrap_err().to_string();
        assert!(error.contains("the engine is closed"), "{kind}: {error}");
    }
}
