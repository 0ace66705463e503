//! The committed protobuf code equals what `proto/quorate.proto` generates.
//!
//! After a change of the `.proto` file: `QUORATE_REGENERATE=1 cargo test --test wire_generated`.
#![allow(clippy::unwrap_used)]

use std::path::Path;

#[test]
fn generated_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let files = protox::compile(["quorate.proto"], [root.join("proto")]).unwrap();
    tonic_prost_build::configure().bytes(".").out_dir(out.path()).compile_fds(files).unwrap();
    let fresh = std::fs::read_to_string(out.path().join("quorate.v1.rs")).unwrap();

    let committed = root.join("src/wire/generated.rs");
    if std::env::var_os("QUORATE_REGENERATE").is_some() {
        std::fs::write(&committed, fresh).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&committed).unwrap();
    assert!(
        kept == fresh,
        "src/wire/generated.rs is older than proto/quorate.proto; \
         run: QUORATE_REGENERATE=1 cargo test --test wire_generated"
    );
}
