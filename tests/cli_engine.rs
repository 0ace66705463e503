//! `quorate engine`, as a person meets it: on folders that are sound, damaged, in use, or missing.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use quorate::engine::{Engine, Lsm, LsmConfig, Write};
use quorate_strategies::compaction::{Job, Picker, View};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Idle;

impl Picker for Idle {
    fn pick(&self, _: &View<'_>) -> Option<Job> {
        None
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let Output { status, stdout, stderr } = command.arg("engine").args(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn open(dir: &Path) -> Lsm {
    let config = LsmConfig { wal_segment_mib: 1, wal_spares: 0, ..LsmConfig::default() };
    Lsm::open(&config, dir, Box::new(Idle)).unwrap()
}

fn put(key: &[u8], value: &str) -> Vec<Write> {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value.as_bytes()));
    vec![Write::Put { key, value }]
}

/// A node's data folder with an engine: a table of three keys, one of them removed later, which
/// only the log knows.
fn node() -> (tempfile::TempDir, PathBuf) {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("engine");
    let engine = open(&dir);
    for key in [&b"ada"[..], b"bin\x00\xff", b"grace"] {
        engine.commit(put(key, "first\n")).unwrap();
    }
    engine.flush().unwrap();
    engine.commit(vec![Write::Remove { key: Bytes::from_static(b"ada") }]).unwrap();
    engine.commit(put(b"grace", "second")).unwrap();
    engine.close().unwrap();
    (data, dir)
}

fn only(dir: &Path, extension: &str) -> PathBuf {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|path| path.extension().is_some_and(|e| e == extension));
    let path = found.next().unwrap();
    assert_eq!(found.next(), None);
    path
}

fn rot(path: &Path, place: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_engine_is_verified_shown_and_dumped() {
    let (data, dir) = node();
    let (code, printed, said) = run(&["verify", text(data.path())]);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{printed}");
    assert!(printed.ends_with("no damage found\n") && printed.contains("sound"), "{printed}");
    let (code, printed, _) = run(&["stats", text(&dir), "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &stats["tables"][0]["entries"]), (Some(0), &3.into()));
    assert_eq!(stats["tables"][0]["last_key"], "grace");
    assert_eq!(stats["log"]["unflushed_changes"], 2);
    let (code, printed, _) = run(&["dump", text(data.path())]);
    let lines = "bin\\x00\\xff\tvalue\t6\tfirst\\n\ngrace\tvalue\t6\tsecond\n";
    assert_eq!((code, printed.as_str()), (Some(0), lines));
    let (_, printed, _) = run(&["dump", text(&dir), "--from", "bin\\x00\\xff", "--to", "c"]);
    assert_eq!(printed.lines().count(), 1);
    let (_, printed, _) = run(&["dump", text(&dir), "--limit", "1", "--json"]);
    let entries: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        entries,
        serde_json::json!([{
            "key": "bin\\x00\\xff", "kind": "value", "value": "first\\n",
        }])
    );
    let table = only(&dir, "table");
    let name = table.file_name().unwrap().to_str().unwrap();
    let (_, printed, _) = run(&["dump", text(&dir), "--file", name]);
    assert!(printed.starts_with("ada\tvalue\t6\tfirst\\n\n"), "{printed}");
    for other in ["CURRENT", "absent", "000000000099.table"] {
        let (code, printed, said) = run(&["dump", text(&dir), "--file", other]);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{said}");
        assert!(said.contains(other) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_damaged_table_is_named_with_its_place() {
    let (data, dir) = node();
    let table = only(&dir, "table");
    rot(&table, 3);
    let (code, printed, _) = run(&["verify", text(data.path())]);
    assert_eq!(code, Some(1));
    let damage = format!("damage: {}: corrupt at byte 0: expected ", table.display());
    assert!(printed.contains(&damage), "{printed}");
    assert!(printed.contains("DAMAGED") && printed.ends_with("1 damage found\n"), "{printed}");
    let (code, printed, _) = run(&["verify", text(data.path()), "--json"]);
    let found: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &found["damage"][0]["offset"]), (Some(1), &0.into()));
    let (code, _, said) = run(&["dump", text(data.path())]);
    assert_eq!(code, Some(1));
    assert!(said.contains("corrupt at byte 0"), "{said}");
    let target = data.path().join("copy");
    let (code, _, said) = run(&["restore", text(&dir), text(&target)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.ends_with("quorate: nothing was restored\n") && !target.exists(), "{said}");
    let length = fs::metadata(&table).unwrap().len() as usize;
    rot(&table, length - 1);
    for arguments in [&["salvage", text(&dir)][..], &["snapshot", text(&dir), text(&target)]] {
        let (code, printed, said) = run(arguments);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{said}");
        assert!(said.starts_with(&format!("damage: {}: corrupt", table.display())), "{said}");
        assert!(said.contains("quorate: nothing was ") && !target.exists(), "{said}");
    }
}

#[test]
fn a_snapshot_is_restored_where_nothing_is() {
    let (data, dir) = node();
    let (_, before, _) = run(&["dump", text(&dir)]);
    let (snapshot, again) = (data.path().join("snapshot"), data.path().join("again"));
    let (code, _, said) = run(&["snapshot", text(data.path()), text(&snapshot)]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let engine = open(&dir);
    engine.commit(put(b"later", "than the snapshot")).unwrap();
    engine.close().unwrap();
    let (code, _, said) = run(&["restore", text(&snapshot), text(&again)]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let (code, after, _) = run(&["dump", text(&again)]);
    assert_eq!((code, after), (Some(0), before));
    let (code, _, said) = run(&["restore", text(&snapshot), text(&again)]);
    assert_eq!(code, Some(2));
    assert!(said.contains("a snapshot wants an empty folder; found `"), "{said}");
}

#[test]
fn a_salvage_keeps_what_is_before_a_hole() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path());
    for number in 0..40 {
        engine.commit(put(format!("{number:02}").as_bytes(), "value")).unwrap();
    }
    engine.close().unwrap();
    let (code, printed, _) = run(&["salvage", text(data.path())]);
    assert_eq!((code, printed.as_str()), (Some(0), "the log has no hole: nothing was changed\n"));
    let (_, printed, _) = run(&["stats", text(data.path()), "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let segment = &stats["log"]["segments"][0];
    let path = data.path().join(segment["file"].as_str().unwrap());
    rot(&path, segment["bytes"].as_u64().unwrap() as usize / 2);
    let (code, printed, _) = run(&["verify", text(data.path())]);
    assert_eq!(code, Some(1));
    assert!(printed.contains("`quorate engine salvage` keeps what is before"), "{printed}");
    let (code, printed, said) = run(&["salvage", text(data.path())]);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains(".salvaged") && printed.starts_with("kept "), "{printed}");
    let (code, printed, _) = run(&["dump", text(data.path())]);
    assert_eq!(code, Some(0));
    assert!((10..30).contains(&printed.lines().count()), "{printed}");
}

#[test]
fn what_cannot_be_looked_at_says_why() {
    let (data, dir) = node();
    let engine = open(&dir);
    let nowhere = data.path().join("nowhere");
    let empty = data.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (arguments, expected) in [
        (&["verify", text(data.path())][..], "in use by another process"),
        (&["snapshot", text(data.path()), text(&nowhere)], "in use by another process"),
        (&["salvage", text(&dir)], "in use by another process"),
        (&["verify", text(&nowhere)], "No such file"),
        (&["snapshot", text(&nowhere), text(&empty)], "No such file"),
        (&["salvage", text(&nowhere)], "No such file"),
        (&["stats", text(&empty)], "no engine here: found an empty folder"),
        (&["dump", text(&empty), "--from", "\\q"], "allowed after `\\`"),
    ] {
        let (code, printed, said) = run(arguments);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert!(!nowhere.exists());
    engine.close().unwrap();
    let (code, _, said) = run(&["dump", text(&dir), "--from", "b", "--to", "a"]);
    assert_eq!(code, Some(2), "{said}");
}
