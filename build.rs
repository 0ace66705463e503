//! Tells the program which sources, compiler and profile built it: every result carries them.
//!
//! What is recorded is the commit at the time of the build, with `-dirty` where the sources that
//! make the program differ from it. It must not be stale, and must not cost a build of its own at
//! every turn: this runs again when one of those sources changes, and in a release build, with
//! which people measure, also when git's HEAD moves. A debug build is not remade for a commit of
//! sources that it has already compiled; it goes on saying what it was built from.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes the program; tests and pages do not.
const SOURCES: [&str; 7] =
    ["build.rs", "Cargo.toml", "Cargo.lock", "proto", "src", "strategies", "workloads"];

fn main() {
    let tree = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into()));
    let profile = std::env::var("PROFILE").unwrap_or_else(|_| "unknown".to_string());
    let heads = if profile == "release" { heads(&tree) } else { Vec::new() };
    let watched = SOURCES.map(|source| tree.join(source)).into_iter().chain(heads);
    for path in watched.filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rustc-env=QUORATE_COMPILER={}", compiler());
    println!("cargo::rustc-env=QUORATE_PROFILE={profile}");
    println!("cargo::rustc-env=QUORATE_COMMIT={}", commit(&tree));
}

fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    version.as_deref().map_or("unknown", str::trim).to_string()
}

/// The output of git; None without git, without a repository, and where git refuses.
fn git(tree: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // A build reads the repository and must not lock its index against others.
    command.arg("--no-optional-locks").arg("-C").arg(tree).args(arguments);
    // Set by git for its hooks; they would name another repository.
    command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}

/// Twelve digits of the commit, `-dirty` where the sources differ from it; `unknown` without git
/// and in an unpacked archive, also in one that lies inside somebody else's repository.
pub fn commit(tree: &Path) -> String {
    let own = git(tree, &["ls-files", "--error-unmatch", "Cargo.toml"]);
    let head = git(tree, &["rev-parse", "--short=12", "HEAD"]);
    let (Some(_), Some(commit)) = (own, head) else {
        return "unknown".to_string();
    };
    let status = [&["status", "--porcelain", "--"][..], &SOURCES].concat();
    match git(tree, &status).as_deref() {
        Some("") => commit,
        _ => format!("{commit}-dirty"),
    }
}

/// The files that change when HEAD moves. In a worktree they lie in two folders, and `.git` is a
/// file that names one of them.
pub fn heads(tree: &Path) -> Vec<PathBuf> {
    let Some(own) = git(tree, &["rev-parse", "--git-dir"]) else { return Vec::new() };
    let common = git(tree, &["rev-parse", "--git-common-dir"]).unwrap_or_else(|| own.clone());
    let (own, common) = (tree.join(own), tree.join(common));
    let branch = git(tree, &["symbolic-ref", "--quiet", "HEAD"]);
    let mut heads = vec![own.join("HEAD"), own.join("logs/HEAD"), common.join("packed-refs")];
    heads.extend(branch.map(|branch| common.join(branch)));
    heads
}
