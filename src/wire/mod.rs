//! Messages as bytes: the generated protobuf types, and the way to them and back.
//!
//! ```text
//!   message::Request ──encode_request──► wire::Request ──prost──► bytes     client ─► node
//!   message::Reply   ◄─decode_reply───── wire::Reply   ◄─prost─── bytes     node   ─► client
//!   Header, [Message] ──encode_batch───► wire::PeerBatch ──prost─► bytes    node   ─► node
//! ```
//!
//! # Invariants
//!
//! * Nothing but this folder and the shells on both ends (`server/`, `client/`) names a generated
//!   type.
//! * Decoding never panics and never invents: a missing or unknown part is [`Malformed`].
//! * Byte strings are slices of the received buffer; no value is copied.
//!
//! `generated.rs` is committed, so that nobody needs protoc or a build script to build quorate; the
//! test `tests/wire_generated.rs` fails when it is older than `proto/quorate.proto` and rewrites it
//! when asked to.
//!
//! # Caveats
//!
//! Every message exists twice, as the protocol's type and as protobuf's, and is moved from one to
//! the other: some tens of nanoseconds each. Encoding the protocol's types directly would save
//! them, at the price of a hand-written codec that must stay compatible.

mod convert;
mod convert_peer;
#[allow(clippy::all, missing_docs)]
#[rustfmt::skip]
mod generated;

pub use convert::{Malformed, decode_reply, decode_request, encode_reply, encode_request};
pub use convert_peer::{decode_header, decode_message, encode_batch, encode_message};
pub use generated::*;
