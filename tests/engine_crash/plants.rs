//! Losses and errors that are planted, so that it is known that the judge sees them.

use crate::model::{Entries, Model, WRITERS, World, key};
use crate::victim::{Moment, Place};
use crate::{Case, Seen, copy, log_end};
use bytes::Bytes;
use quorate::engine::Write;
use quorate::engine::inspect::Inspection;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const WORLD: World = World { seed: 7, slots: 200, born_s: 0 };

fn judged(change: impl FnOnce(&mut Model, &mut Entries)) -> Result<(), String> {
    let mut model = Model::new(WORLD);
    model.acknowledge([300; WRITERS]);
    let mut found = model.entries();
    change(&mut model, &mut found);
    model.judge(&found)
}

/// What the next batch of writer 0 leaves behind: the last change of each of its keys.
fn next_batch(model: &Model) -> Vec<Write> {
    let (mut batch, _) = model.world.batch(0, model.batches()[0] + 1);
    let mut known = BTreeSet::new();
    batch.reverse();
    batch.retain(|write| match write {
        Write::Put { key, .. } | Write::PutUntil { key, .. } | Write::Remove { key } => {
            known.insert(key.clone())
        }
    });
    batch
}

fn apply(found: &mut Entries, writes: &[Write]) {
    for write in writes {
        match write.clone() {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                found.insert(key, value)
            }
            Write::Remove { key } => found.remove(&key),
        };
    }
}

#[test]
fn what_is_right_passes() {
    judged(|_, _| {}).unwrap();
    judged(|model, found| apply(found, &next_batch(model))).unwrap();
}

#[test]
fn a_lost_a_foreign_and_a_resurrected_entry_are_found() {
    let lost = judged(|_, found| {
        let newest = (1..=300).rev().find_map(|n| match WORLD.batch(1, n).0.last() {
            Some(Write::Put { key, .. }) => Some(key.clone()),
            _ => None,
        });
        assert!(found.remove(&newest.unwrap()).is_some());
    });
    assert!(lost.unwrap_err().contains("found nothing"));
    let foreign = judged(|_, found| drop(found.insert("99999/0".into(), Bytes::new())));
    assert!(foreign.unwrap_err().contains("nobody has written it"));
    let back = judged(|_, found| {
        let absent = (0..WORLD.slots).map(|slot| key(2, slot)).find(|key| !found.contains_key(key));
        found.insert(absent.unwrap(), Bytes::from_static(b"2/1/0 old"));
    });
    assert!(back.unwrap_err().contains("expected nothing, found 9 bytes"));
}

#[test]
fn half_a_batch_is_found() {
    let torn = judged(|model, found| {
        let several = (301..).find(|n| WORLD.batch(0, *n).0.len() > 4).unwrap();
        model.acknowledge([several - 1, 0, 0, 0]);
        *found = model.entries();
        let batch = next_batch(model);
        apply(found, &batch[..batch.len() / 2]);
    });
    assert!(torn.unwrap_err().contains("with the one after them"));
}

#[test]
fn what_has_expired_stays_away() {
    let mut model = Model::new(WORLD);
    model.acknowledge([300; WRITERS]);
    let all = model.entries();
    let perhaps = all.keys().find(|key| {
        let mut fewer = all.clone();
        fewer.remove(*key);
        model.judge(&fewer).is_ok()
    });
    assert!(perhaps.is_some());
    assert!(model.judge(&all).unwrap_err().contains("expected nothing"));
}

/// A folder after a kill, with tables and a log of several segments.
fn killed_case() -> Case {
    let mut case = Case::new(0, &mut Xoshiro256PlusPlus::seed_from_u64(3));
    case.model = Model::new(World { slots: 1_500, ..case.model.world });
    // The first strategy that is drawn is leveled; what matters is that memtables wait.
    case.settings.lsm.memtable_mib = 2;
    case.settings.lsm.wal_segment_mib = 1;
    case.settings.lsm.separate_values_kib = 0;
    case.run_victim(Moment::Acks(6_000)).unwrap();
    case
}

/// Judges a copy of the case's folder in which something was broken.
fn judge_broken(case: &Case, plant: impl FnOnce(&Path)) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let place = Place(folder.path().to_path_buf());
    copy(&case.place().engine(), &place.engine());
    plant(&place.engine());
    let mut model = Model::new(case.model.world);
    model.acknowledge(case.model.batches());
    let (settings, written_under) = (case.settings.clone(), case.written_under.clone());
    Case { folder, settings, written_under, model }.judge(&mut Seen::default())
}

fn largest_table(dir: &Path) -> std::path::PathBuf {
    let survey = Inspection::open(dir).unwrap().stats();
    dir.join(&survey.tables.iter().max_by_key(|table| table.bytes).unwrap().name)
}

#[test]
fn a_log_or_a_table_that_was_cut_is_found() {
    let case = killed_case();
    judge_broken(&case, |_| {}).unwrap();
    let cut_log = |dir: &Path| {
        let (path, end) = log_end(dir).unwrap().unwrap();
        OpenOptions::new().write(true).open(path).unwrap().set_len(end / 2).unwrap();
    };
    judge_broken(&case, cut_log).unwrap_err();
    let without_log = |dir: &Path| fs::remove_file(log_end(dir).unwrap().unwrap().0).unwrap();
    judge_broken(&case, without_log).unwrap_err();
    let cut_table = |dir: &Path| {
        let file = OpenOptions::new().write(true).open(largest_table(dir)).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    judge_broken(&case, cut_table).unwrap_err();
    let without_table = |dir: &Path| fs::remove_file(largest_table(dir)).unwrap();
    judge_broken(&case, without_table).unwrap_err();
    let flipped_bit = |dir: &Path| {
        let file = OpenOptions::new().read(true).write(true).open(largest_table(dir)).unwrap();
        let (at, mut byte) = (file.metadata().unwrap().len() / 3, [0]);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    };
    judge_broken(&case, flipped_bit).unwrap_err();
}
