//! Tells the program which compiler and profile built it: every result carries both.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let compiler = version.as_deref().map_or("unknown", str::trim);
    let profile = std::env::var("PROFILE").unwrap_or_else(|_| "unknown".to_string());
    println!("cargo::rustc-env=QUORATE_COMPILER={compiler}");
    println!("cargo::rustc-env=QUORATE_PROFILE={profile}");
}
