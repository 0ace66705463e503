//! A look into folders that are sound, damaged, or somebody else's.

use super::*;
use crate::engine::inspect::{Content, Entry, Inspection, Survey};
use std::collections::BTreeMap;
use std::fs;

/// Two runs of level 0, large values in files of their own, removed keys, and changes that only the
/// log holds.
fn written() -> (tempfile::TempDir, Vec<(Bytes, Bytes)>) {
    let dir = folder();
    let options = Options { separate_bytes: 1_000, ..options() };
    let lsm = open_with(options, dir.path(), Box::new(Idle)).unwrap();
    for round in 0..3 {
        for number in (round..60).step_by(1 + round) {
            let value = vec![b'a' + round as u8; if number % 20 == 0 { 2_000 } else { 20 }];
            lsm.commit(vec![put([b'k', number as u8], value)]).unwrap();
        }
        lsm.commit(vec![remove([b'k', 7 + round as u8])]).unwrap();
        if round < 2 {
            lsm.flush().unwrap();
        }
    }
    let content = everything(&lsm);
    lsm.close().unwrap();
    (dir, content)
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = folder_at(dir).list().unwrap();
    names.into_iter().map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect()
}

fn verify(dir: &Path) -> Survey {
    let before = contents(dir);
    let survey = Inspection::open(dir).unwrap().verify();
    assert_eq!(contents(dir), before, "a look changes nothing");
    survey
}

fn damage(survey: &Survey) -> Vec<String> {
    survey.damage.iter().map(ToString::to_string).collect()
}

/// Flips a bit of each place.
fn rot(path: &Path, places: &[usize]) {
    let mut bytes = fs::read(path).unwrap();
    places.iter().for_each(|place| bytes[*place] ^= 16);
    fs::write(path, bytes).unwrap();
}

fn live(dir: &Path, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Vec<Entry> {
    let entries = Inspection::open(dir).unwrap().entries(from, to).unwrap();
    entries.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_sound_folder_is_counted() {
    let (dir, _) = written();
    let survey = verify(dir.path());
    assert_eq!(damage(&survey), [""; 0]);
    assert_eq!(survey.tables.len(), 2);
    assert_eq!(survey.blobs.len(), 1);
    assert!(survey.orphans.is_empty() && survey.unchecked.is_empty());
    let manifest = survey.manifest.as_ref().unwrap();
    assert_eq!((manifest.tables, manifest.flushed_sequence), (2, 61 + 31));
    for table in &survey.tables {
        let found = table.verified.unwrap();
        assert_eq!((table.place.unwrap().0, found.tombstones), (0, 1));
        assert_eq!(found.entries, table.properties.entries);
    }
    let log = survey.log.unwrap();
    assert_eq!((log.unflushed_changes, log.last_sequence, log.has_hole), (21, 113, false));
    let stats = Inspection::open(dir.path()).unwrap().stats();
    assert!(stats.tables.iter().all(|table| table.verified.is_none()));
}

#[test]
fn entries_are_what_a_scan_finds() {
    let (dir, content) = written();
    let found = live(dir.path(), Bound::Unbounded, Bound::Unbounded);
    let found: Vec<_> = found
        .into_iter()
        .map(|entry| match entry.content {
            Content::Value(value) => (entry.key, value),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, content);
    let (from, to) = (&content[3].0[..], &content[9].0[..]);
    let keys = |from, to| -> Vec<Bytes> {
        live(dir.path(), from, to).into_iter().map(|entry| entry.key).collect()
    };
    let expected: Vec<_> = content[3..9].iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys(Bound::Included(from), Bound::Excluded(to)), expected);
    assert_eq!(keys(Bound::Excluded(from), Bound::Excluded(to)), expected[1..]);
    assert_eq!(keys(Bound::Excluded(from), Bound::Included(to)).len(), 6);
    let inspection = Inspection::open(dir.path()).unwrap();
    let crossed = inspection.entries(Bound::Included(to), Bound::Excluded(from));
    assert!(matches!(crossed.err(), Some(EngineError::Crossed { .. })));
}

#[test]
fn a_file_is_shown_with_what_it_removes_and_points_to() {
    let (dir, _) = written();
    let inspection = Inspection::open(dir.path()).unwrap();
    let all = |name: &str| -> Vec<Entry> {
        let entries = inspection.entries_of_file(name, Bound::Unbounded, Bound::Unbounded);
        entries.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let survey = inspection.stats();
    let table = all(&survey.tables[0].name);
    assert_eq!(table.len() as u64, survey.tables[0].properties.entries);
    assert_eq!(table.iter().filter(|entry| entry.content == Content::Tombstone).count(), 1);
    let elsewhere = |entry: &&Entry| matches!(entry.content, Content::Elsewhere { .. });
    assert_eq!(table.iter().filter(elsewhere).count(), 3);
    let segments = survey.log.unwrap().segments;
    let changes: Vec<Entry> = segments.iter().flat_map(|segment| all(&segment.name)).collect();
    let sequences: Vec<u64> = changes.iter().filter_map(|entry| entry.sequence).collect();
    assert_eq!(sequences.last(), Some(&113));
    assert!(sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    for name in ["CURRENT", "000000000001.spare", "notes"] {
        let refused = inspection.entries_of_file(name, Bound::Unbounded, Bound::Unbounded);
        let error = refused.err().unwrap().to_string();
        assert!(error.contains("allowed: a table (*.table) or a segment"), "{error}");
    }
}

#[test]
fn every_rotten_block_is_named() {
    let (dir, _) = written();
    let [old, new] = files_of(dir.path(), "table").try_into().unwrap();
    rot(&old, &[10, 250]);
    rot(&new, &[10]);
    let survey = verify(dir.path());
    let damage = damage(&survey);
    assert_eq!(damage.len(), 3, "{damage:?}");
    for (error, path) in damage.iter().zip([&old, &old, &new]) {
        let start = format!("{}: corrupt at byte ", path.display());
        assert!(error.starts_with(&start) && error.contains("expected"), "{error}");
    }
    assert!(damage[0].contains("corrupt at byte 0:"), "{damage:?}");
    assert!(survey.tables.iter().all(|table| table.verified.is_none()));
    assert!(survey.log.is_some());
    let inspection = Inspection::open(dir.path()).unwrap();
    let all = inspection.entries(Bound::Unbounded, Bound::Unbounded);
    assert!(matches!(all.err(), Some(EngineError::Corrupt { offset: 0, .. })));
    drop(inspection);
    let behind = live(dir.path(), Bound::Included(b"k\x3a"), Bound::Unbounded);
    assert_eq!(behind.len(), 2, "the index leads past the damage");
}

#[test]
fn a_rotten_large_value_is_named_with_its_key() {
    let (dir, _) = written();
    let blob = files_of(dir.path(), "blob").remove(0);
    rot(&blob, &[20 + 2_500]);
    let damage_of = |dir: &Path| damage(&verify(dir));
    let found = damage_of(dir.path());
    assert_eq!(found.len(), 1, "{found:?}");
    let start = format!("{}: corrupt at byte 2020: ", blob.display());
    assert!(found[0].starts_with(&start), "{found:?}");
    assert!(found[0].ends_with("the value of key \"k\\x14\""), "{found:?}");
    fs::remove_file(&blob).unwrap();
    let found = damage_of(dir.path());
    assert_eq!(found.len(), 1, "told once, not for each value: {found:?}");
    assert!(found[0].contains("missing, but a table points into it"), "{found:?}");
}

#[test]
fn a_missing_table_and_an_orphan_are_told() {
    let (dir, _) = written();
    let [old, new] = files_of(dir.path(), "table").try_into().unwrap();
    let orphan = dir.path().join(files::table(77));
    fs::rename(&old, &orphan).unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let survey = verify(dir.path());
    let missing = format!("{}: missing, but the manifest names it", old.display());
    assert_eq!(damage(&survey), [missing]);
    assert_eq!(survey.orphans.len(), 1);
    assert_eq!(survey.orphans[0].name, files::table(77));
    assert_eq!((&survey.strangers[0].name[..], survey.strangers[0].bytes), ("notes.txt", 4));
    assert_eq!(survey.tables.len(), 1);
    assert!(survey.tables[0].verified.is_some() && new.ends_with(&survey.tables[0].name));
    assert!(survey.unchecked[0].contains("a table that cannot be read may point into it"));
}

#[test]
fn without_a_manifest_every_table_is_looked_at() {
    let (dir, _) = written();
    let manifest = files_of(dir.path(), "manifest").pop().unwrap();
    rot(&manifest, &[30]);
    let survey = verify(dir.path());
    let found = damage(&survey);
    assert!(found.len() == 1 && found[0].starts_with(&manifest.display().to_string()), "{found:?}");
    assert!(survey.manifest.is_none() && survey.log.is_none());
    assert!(survey.tables.iter().all(|table| table.verified.is_some() && table.place.is_none()));
    assert!(survey.orphans.is_empty());
    assert!(survey.unchecked.iter().any(|what| what.starts_with("the log")));
    fs::remove_file(dir.path().join(files::CURRENT)).unwrap();
    assert!(damage(&verify(dir.path()))[0].contains("CURRENT is missing, but there is data"));
}

/// Rots the record in the middle of the newest segment that has any.
fn hole(dir: &Path) -> std::path::PathBuf {
    let survey = Inspection::open(dir).unwrap().stats();
    let segment = survey.log.unwrap().segments.pop().unwrap();
    let path = dir.join(segment.name);
    rot(&path, &[segment.bytes as usize / 2]);
    path
}

#[test]
fn a_hole_in_the_log_is_told_with_what_a_salvage_keeps() {
    let dir = folder();
    let options = || Options { sync: SyncPolicy::Always, segment_bytes: 1 << 20, ..options() };
    let lsm = open_with(options(), dir.path(), Box::new(Idle)).unwrap();
    for number in 0..50 {
        lsm.commit(vec![put(format!("{number:02}"), "value")]).unwrap();
    }
    let dir = crash(&lsm);
    let path = hole(dir.path());
    let survey = verify(dir.path());
    let found = damage(&survey);
    assert!(found.len() == 1 && found[0].starts_with(&path.display().to_string()), "{found:?}");
    assert!(found[0].contains("`quorate engine salvage` keeps what is before"), "{found:?}");
    let log = survey.log.unwrap();
    assert!(log.has_hole && (10..40).contains(&log.records), "{log:?}");
    let (lsm, replayed) = Lsm::salvage(&LsmConfig::default(), dir.path(), Box::new(Idle)).unwrap();
    assert_eq!((replayed.records, replayed.last_sequence), (log.records, log.last_sequence));
    assert_eq!(everything(&lsm).len() as u64, log.records);
    assert!(replayed.salvaged.is_some());
    lsm.close().unwrap();
    assert_eq!(damage(&verify(dir.path())), [""; 0]);
    assert_eq!(files_of(dir.path(), "salvaged").len(), 1);
}

#[test]
fn a_folder_that_is_in_use_or_missing_or_not_ours_is_refused() {
    let refusal = |dir: &Path| Inspection::open(dir).err().unwrap().to_string();
    let dir = folder();
    let owner = open_idle(dir.path()).unwrap();
    assert!(refusal(dir.path()).contains("in use by another process"));
    owner.close().unwrap();
    drop(Inspection::open(dir.path()).unwrap());
    let missing = dir.path().join("none");
    assert!(refusal(&missing).starts_with(&format!("{}: ", missing.display())));
    assert!(!missing.exists());
    let other = folder();
    assert!(refusal(other.path()).ends_with("no engine here: found an empty folder"));
    for name in ["CURRENT", "LOG", "MANIFEST-000004", "notes.txt"] {
        fs::write(other.path().join(name), "MANIFEST-000004\n").unwrap();
    }
    let expected = "no engine here: found `CURRENT`, `LOG`, `MANIFEST-000004` and 1 more";
    assert!(refusal(other.path()).ends_with(expected), "{}", refusal(other.path()));
}

#[test]
fn a_snapshot_is_looked_at_without_a_lock() {
    let (dir, content) = written();
    let target = dir
        .path()
        .parent()
        .unwrap()
        .join(format!("{}-snapshot", dir.path().file_name().unwrap().display()));
    let lsm = open_idle(dir.path()).unwrap();
    lsm.snapshot(&target).unwrap();
    lsm.close().unwrap();
    let survey = verify(&target);
    let found = live(&target, Bound::Unbounded, Bound::Unbounded).len();
    fs::remove_dir_all(&target).unwrap();
    assert_eq!(damage(&survey), [""; 0]);
    assert_eq!((found, survey.log.unwrap().unflushed_changes), (content.len(), 0));
}

/// One bit of every byte, or of every seventh where there are many: nothing rots unseen.
#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (dir, _) = written();
    let mut flipped = 0;
    for (name, bytes) in contents(dir.path()) {
        let step = match files::kind(&name) {
            files::Kind::Table(_) | files::Kind::Manifest(_) | files::Kind::Current => 1,
            files::Kind::Blob(_) => 7,
            _ => continue,
        };
        let path = dir.path().join(&name);
        for place in (0..bytes.len()).step_by(step) {
            rot(&path, &[place]);
            let found = damage(&Inspection::open(dir.path()).unwrap().verify());
            assert!(found.iter().any(|error| error.contains(&name)), "{name}, {place}: {found:?}");
            fs::write(&path, &bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 1_500, "{flipped}");
    assert_eq!(damage(&verify(dir.path())), [""; 0]);
}

#[test]
fn a_torn_tail_is_told_and_no_damage() {
    let dir = folder();
    let options = Options { segment_bytes: 1 << 20, ..options() };
    let lsm = open_with(options, dir.path(), Box::new(Idle)).unwrap();
    for number in 0..10 {
        lsm.commit(vec![put(format!("{number}"), "value")]).unwrap();
    }
    let dir = crash(&lsm);
    let segment = Inspection::open(dir.path()).unwrap().stats().log.unwrap().segments.remove(0);
    let path = dir.path().join(&segment.name);
    rot(&path, &[segment.bytes as usize - 1]);
    let survey = verify(dir.path());
    assert_eq!(damage(&survey), [""; 0]);
    let log = survey.log.unwrap();
    assert_eq!((log.records, log.unflushed_changes, log.has_hole), (9, 9, false));
    let torn = log.torn.unwrap();
    assert_eq!((torn.path, torn.offset + log.dropped_bytes), (path, segment.bytes));
    assert_eq!(live(dir.path(), Bound::Unbounded, Bound::Unbounded).len(), 9);
}

#[test]
fn a_log_that_is_missing_is_damage_and_can_be_begun_anew() {
    let (dir, _) = written();
    for path in files_of(dir.path(), "wal") {
        fs::remove_file(path).unwrap();
    }
    let survey = verify(dir.path());
    let found = damage(&survey);
    assert!(found.len() == 1 && found[0].contains("the write-ahead log is missing"), "{found:?}");
    assert!(survey.tables.iter().all(|table| table.verified.is_some()));
    let log = survey.log.unwrap();
    assert_eq!((log.records, log.last_sequence, log.has_hole), (0, 92, true));
    let (lsm, _) = Lsm::salvage(&LsmConfig::default(), dir.path(), Box::new(Idle)).unwrap();
    lsm.close().unwrap();
    assert_eq!(damage(&verify(dir.path())), [""; 0]);
}
