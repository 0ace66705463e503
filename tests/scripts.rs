//! Scenarios as text, with all that they show: `tests/scripts/<topic>/<name>.qs`.
//!
//! After a change that is meant: `QUORATE_REGENERATE=1 cargo test --test scripts`, and read the
//! difference before it is committed.
#![allow(clippy::unwrap_used)]

use quorate::sim::Log;
use quorate::sim::explore::Invariants;
use quorate::sim::scenario::{Player, Script, Silent, Statement, Stopped};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// Every scenario, as (path relative to the folder, text).
fn scenarios() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for topic in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let files = fs::read_dir(&topic).into_iter().flatten().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|it| it == "qs")) {
            let name = path.strip_prefix(folder()).unwrap().display().to_string();
            found.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The file as it should be.
fn played(name: &str, text: &str) -> String {
    let script = Script::parse(text).unwrap_or_else(|bad| panic!("tests/scripts/{name}: {bad}"));
    let mut fresh = String::new();
    let stopped = script.play(&mut Player::new(Silent, Log::Off), |block| fresh.push_str(block));
    if let Err(halted) = stopped {
        let last = script.statements().last();
        assert_eq!(Some(&*halted.statement), last, "{name}: what follows is not played: {halted}");
    }
    fresh
}

/// The lines that differ, each side with its numbers.
fn difference(kept: &str, fresh: &str) -> String {
    let (kept, fresh): (Vec<_>, Vec<_>) = (kept.lines().collect(), fresh.lines().collect());
    let common = kept.iter().zip(&fresh).take_while(|(one, other)| one == other).count();
    let after = kept[common..].iter().rev().zip(fresh[common..].iter().rev());
    let tail = after.take_while(|(one, other)| one == other).count();
    let mut text = String::new();
    for (sign, lines) in [('-', &kept), ('+', &fresh)] {
        for (index, line) in lines.iter().enumerate().take(lines.len() - tail).skip(common) {
            writeln!(text, "{sign} {:>4}  {line}", index + 1).unwrap();
        }
    }
    text
}

#[test]
fn scenarios_show_what_they_showed() {
    let mut problems = Vec::new();
    let scenarios = scenarios();
    assert!(scenarios.len() >= 14, "{} scenarios", scenarios.len());
    for (name, text) in scenarios {
        let fresh = played(&name, &text);
        if fresh == text {
            continue;
        }
        if std::env::var_os("QUORATE_REGENERATE").is_some() {
            fs::write(folder().join(&name), fresh).unwrap();
            continue;
        }
        problems.push(format!("tests/scripts/{name}:\n{}", difference(&text, &fresh)));
    }
    let advice = "If this is meant: QUORATE_REGENERATE=1 cargo test --test scripts";
    assert!(problems.is_empty(), "\n{}\n{advice}\n", problems.join("\n"));
}

/// What exploration checks on scenarios that nobody wrote holds in those that somebody did.
#[test]
fn scenarios_keep_the_invariants() {
    for (name, text) in scenarios() {
        let script = Script::parse(&text).unwrap();
        let Some(Statement::Cluster(setup)) = script.statements().next() else { unreachable!() };
        let watch = Invariants::new(&setup.config().unwrap());
        let mut player = Player::new(watch, Log::Off);
        let played = script.play(&mut player, |_| {}).map_err(|halted| halted.stopped);
        let violated = played.and_then(|()| player.finish());
        assert!(!matches!(violated, Err(Stopped::Violated(_))), "{name}: {violated:?}");
    }
}

#[test]
fn a_difference_names_the_lines() {
    assert_eq!(difference("a\nb\nc\n", "a\nx\ny\nc\n"), "-    2  b\n+    2  x\n+    3  y\n");
    assert_eq!(difference("a\n", "a\n"), "");
}
