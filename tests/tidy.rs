//! The style of the house, as a test: folder rules, lengths, leftovers, dead files, essays.
//!
//! Each rule has a reason; the message of a failure names file, line and rule. What Cargo can hold
//! (the leaf crates' dependencies) is checked here too, so that one command says all.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use syn::spanned::Spanned;
use syn::visit::Visit;

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;
const LINE_COLUMNS_MAX: usize = 100;

/// Words that a folder must not contain outside its tests, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "src/node",
        &[
            "tokio",
            "async fn",
            "std::net",
            "std::fs",
            "std::thread",
            "Instant::now",
            "SystemTime",
            "crate::server",
            "crate::engine",
            "crate::wire",
            "crate::client",
            "crate::experiment",
            "crate::report",
            "RandomState",
        ],
        "the protocol is a pure state machine: sockets, clocks and disk belong to the shell",
    ),
    (
        "src/engine",
        &[
            "tokio",
            "async fn",
            "std::net",
            "crate::server",
            "crate::node",
            "crate::wire",
            "crate::client",
            "crate::experiment",
            "crate::report",
        ],
        "the engine knows disks and threads, nothing of the protocol above it",
    ),
    (
        "src/wire",
        &[
            "tokio::",
            "std::net",
            "crate::server",
            "crate::node",
            "crate::engine",
            "crate::client",
            "crate::experiment",
        ],
        "the wire turns messages into bytes and nothing else",
    ),
    (
        "src/client",
        &["crate::server", "crate::node", "crate::engine", "crate::experiment", "crate::report"],
        "the client knows a cluster only through the wire",
    ),
    (
        "src/report",
        &[
            "tokio",
            "crate::server",
            "crate::node",
            "crate::engine",
            "crate::client",
            "crate::experiment",
            "crate::wire",
        ],
        "a report is files in, files out",
    ),
    (
        "src/experiment",
        &["crate::server", "crate::node::"],
        "an experiment reaches nodes only as a user does, and as child processes",
    ),
    (
        "src/sim",
        &[
            "tokio",
            "async fn",
            "std::net",
            "std::fs",
            "std::thread",
            "std::time",
            "HashMap",
            "HashSet",
            "crate::server",
            "crate::client",
            "crate::experiment",
        ],
        "virtual time comes from the agenda and chance from the seed, or nothing can be replayed",
    ),
    (
        "src/amplification",
        &[
            "tokio",
            "async fn",
            "std::net",
            "std::fs",
            "std::thread",
            "std::time",
            "HashMap",
            "HashSet",
            "crate::",
        ],
        "a model has no clock, no disk and no chance but the seed's, or no two runs are alike",
    ),
    (
        "src/checker",
        &[
            "tokio",
            "async fn",
            "std::net",
            "std::fs",
            "std::thread",
            "std::time",
            "HashMap",
            "HashSet",
            "crate::",
        ],
        "a judge sees a history and nothing else, so it judges processes and simulations alike",
    ),
    ("strategies", &["tokio", "std::net", "std::fs", "std::thread"], "a leaf crate is pure"),
    ("workloads", &["tokio", "std::net", "std::thread"], "a leaf crate is pure"),
];

const LEFTOVERS: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX", "#[ignore"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the tree, as (path relative to the root, text).
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["src", "strategies", "workloads", "benches", "tests"] {
        walk(&root().join(folder), &mut files);
    }
    files.sort();
    files
        .into_iter()
        .filter(|path| !path.ends_with("generated.rs"))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The part of a file before its unit tests, comments blanked out.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let blank =
        |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.into() };
    text[..end].lines().map(blank).collect::<Vec<_>>().join("\n")
}

fn is_test_file(name: &str) -> bool {
    let folder = name.starts_with("tests/") || name.contains("/tests/");
    folder
        || name.ends_with("/tests.rs")
        || name.ends_with("/laws.rs")
        || name.ends_with("/harness.rs")
}

fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn folders_keep_to_their_rules() {
    let mut problems = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_test_file(name)) {
        for (folder, words, reason) in FORBIDDEN {
            if !name.starts_with(&format!("{folder}/")) {
                continue;
            }
            for (number, line) in code(text).lines().enumerate() {
                if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                    problems.push(format!("{name}:{}: `{word}`: {reason}", number + 1));
                }
            }
        }
    }
    report(problems);
}

#[test]
fn lines_and_files_stay_short() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                problems.push(format!("{name}:{}: {columns} columns, limit 100", number + 1));
            }
        }
        let lines = text.find("#[cfg(test)]\nmod tests").map_or(&text[..], |end| &text[..end]);
        let count = lines.lines().count();
        if count > FILE_LINES_MAX && !is_test_file(&name) {
            problems
                .push(format!("{name}: {count} lines before its tests, limit {FILE_LINES_MAX}"));
        }
    }
    report(problems);
}

struct Lengths(Vec<(String, usize, usize)>);

impl Lengths {
    fn note(&mut self, name: &syn::Ident, block: &syn::Block) {
        let (start, end) = (block.span().start().line, block.span().end().line);
        self.0.push((name.to_string(), start, end.saturating_sub(start).saturating_sub(1)));
    }
}

impl<'ast> Visit<'ast> for Lengths {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.sig.ident, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig.ident, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }
}

#[test]
fn functions_stay_short() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut lengths = Lengths(Vec::new());
        lengths.visit_file(&file);
        for (function, line, length) in lengths.0 {
            if length > FUNCTION_LINES_MAX {
                problems.push(format!("{name}:{line}: {function} has {length} lines, limit 70"));
            }
        }
    }
    report(problems);
}

#[test]
fn nothing_is_left_over() {
    let mut problems = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| name != "tests/tidy.rs") {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
                problems.push(format!("{name}:{}: leftover `{word}`", number + 1));
            }
            let comment = line.trim_start();
            let is_plain = comment.starts_with("// ") && !comment.starts_with("///");
            if is_plain && (comment.ends_with(';') || comment.ends_with("{")) {
                problems.push(format!("{name}:{}: commented-out code?", number + 1));
            }
        }
    }
    report(problems);
}

#[test]
fn every_file_is_reached() {
    let mut problems = Vec::new();
    for (name, _) in sources() {
        let path = Path::new(&name);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let top = ["lib", "main"].contains(&stem);
        let entry = ["tests", "benches"].iter().any(|top| folder == Path::new(top));
        if top || entry {
            continue;
        }
        let module =
            if stem == "mod" { folder.file_name().unwrap().to_str().unwrap() } else { stem };
        let above = if stem == "mod" { folder.parent().unwrap() } else { folder };
        if !declared(above, module) {
            problems.push(format!("{name}: no `mod {module};` reaches it"));
        }
    }
    report(problems);
}

/// Whether a file that may speak for `folder` declares `module`.
fn declared(folder: &Path, module: &str) -> bool {
    let mut speakers = vec![folder.join("mod.rs"), folder.join("lib.rs"), folder.join("main.rs")];
    speakers.push(folder.with_extension("rs"));
    if folder == Path::new("tests") || folder == Path::new("benches") {
        let beside = fs::read_dir(root().join(folder)).unwrap();
        speakers.extend(beside.map(|entry| folder.join(entry.unwrap().file_name())));
    }
    let needle = format!("mod {module};");
    let read = |path: &PathBuf| fs::read_to_string(root().join(path)).unwrap_or_default();
    speakers.iter().any(|path| read(path).lines().any(|line| line.trim_end().ends_with(&needle)))
}

#[test]
fn every_subsystem_opens_with_an_essay() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if is_test_file(&name) || name.starts_with("benches/") {
            continue;
        }
        let essay = text.lines().take_while(|line| line.starts_with("//!")).count();
        if essay == 0 {
            problems.push(format!("{name}: no `//!` line says what it is for"));
        }
        let subsystem = name.starts_with("src/") && name.matches('/').count() == 2;
        if subsystem && name.ends_with("/mod.rs") && !name.starts_with("src/cli/") {
            let caveats = text.lines().any(|line| line.starts_with("//! # Caveats"));
            if essay < 15 || !caveats {
                problems.push(format!("{name}: the essay lacks its picture or its Caveats"));
            }
        }
    }
    report(problems);
}

#[test]
fn every_dependency_is_justified() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut problems = Vec::new();
    let (mut section, mut justified) = (String::new(), false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            (section, justified) = (line.to_string(), false);
        } else if line.starts_with('#') {
            justified = true;
        } else if line.trim().is_empty() {
            justified = false;
        } else if section.ends_with("dependencies]") && line.contains('=') {
            let ours = line.contains(".workspace") || line.contains("path =");
            if !justified && !ours {
                problems.push(format!("Cargo.toml:{}: no comment says why: {line}", number + 1));
            }
        }
    }
    report(problems);
}

#[test]
fn leaf_crates_stay_leaves() {
    let banned =
        ["tokio", "mio", "socket2", "tonic", "hyper", "axum", "rustix", "libc", "getrandom"];
    for leaf in ["quorate-strategies", "quorate-workloads"] {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", leaf])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let text = String::from_utf8(tree.stdout).unwrap();
        let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        for name in banned {
            assert!(!names.contains(name), "{leaf} reaches {name}:\n{text}");
        }
    }
}
