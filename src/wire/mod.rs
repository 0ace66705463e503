//! Messages as bytes: the generated protobuf types.
//!
//! `generated.rs` is committed, so that nobody needs protoc or a build script to build quorate; the test
//! `tests/wire_generated.rs` fails when it is older than `proto/quorate.proto` and rewrites it when
//! asked to.

#[allow(clippy::all, missing_docs)]
#[rustfmt::skip]
mod generated;

pub use generated::*;
