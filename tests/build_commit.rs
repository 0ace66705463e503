//! The commit that the build script records: of this tree, of a worktree, and of no repository.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, clippy::print_stdout)]
#[path = "../build.rs"]
mod build;

use std::fs;
use std::path::Path;
use std::process::Command;

fn git(tree: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(tree).args(["-c", "user.name=x", "-c", "user.email=x@example.org"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

fn has_git() -> bool {
    Command::new("git").arg("--version").output().is_ok()
}

/// A repository with one commit of what makes a program, and a page beside it.
fn repository(tree: &Path) -> String {
    fs::create_dir_all(tree.join("src")).unwrap();
    for file in ["Cargo.toml", "src/main.rs", "README.md"] {
        fs::write(tree.join(file), "").unwrap();
    }
    git(tree, &["init", "--quiet", "--initial-branch=main"]);
    git(tree, &["add", "."]);
    git(tree, &["commit", "--quiet", "--message=one"]);
    git(tree, &["rev-parse", "--short=12", "HEAD"])
}

#[test]
fn changed_sources_are_dirty_and_changed_pages_are_not() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path();
    let head = repository(tree);
    assert_eq!(build::commit(tree), head);
    fs::write(tree.join("README.md"), "other").unwrap();
    assert_eq!(build::commit(tree), head);
    fs::write(tree.join("src/new.rs"), "other").unwrap();
    assert_eq!(build::commit(tree), format!("{head}-dirty"));
}

#[test]
fn a_worktree_has_its_own_commit_and_watches_its_own_head() {
    if !has_git() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (tree, other) = (folder.path().join("tree"), folder.path().join("other"));
    let head = repository(&tree);
    git(&tree, &["worktree", "add", "--quiet", "-b", "side", other.to_str().unwrap()]);
    assert!(other.join(".git").is_file());
    git(&other, &["commit", "--quiet", "--allow-empty", "--message=two"]);
    assert_eq!(build::commit(&tree), head);
    assert_ne!(build::commit(&other), head);
    for watched in [build::heads(&tree), build::heads(&other)] {
        let exist = watched.iter().filter(|path| path.is_file()).count();
        assert!(exist >= 3, "HEAD, its log and its branch: {watched:?}");
    }
    let of_other = build::heads(&other);
    assert!(of_other.iter().any(|path| path.ends_with("worktrees/other/HEAD")), "{of_other:?}");
    assert!(of_other.iter().any(|path| path.ends_with("refs/heads/side")), "{of_other:?}");
}

#[test]
fn an_unpacked_archive_has_no_commit_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    fs::create_dir_all(archive.join("src")).unwrap();
    fs::write(archive.join("Cargo.toml"), "").unwrap();
    assert_eq!(build::commit(&archive), "unknown");
    assert!(build::heads(&archive).is_empty());
    if has_git() {
        repository(folder.path());
        git(folder.path(), &["rm", "--quiet", "-r", "--cached", "archive"]);
        assert_eq!(build::commit(&archive), "unknown");
    }
}
