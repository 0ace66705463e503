//! The shell of a node: the only folder of it with sockets, threads and clocks.
//!
//! ```text
//!   clients ─ gRPC session, HTTP ─┐                         ┌─► outbox per client ─► one batch,
//!   peers ─── Peer.Link ──────────┼─► inbox ─► Driver(Node) ┼─► outbox per peer ───► one batch,
//!   storage ─ Saved, Loaded ──────┘   bounded   one task    └─► writer thread, reader threads
//! ```
//!
//! The protocol (`node/`) is a state machine that waits for nothing. This folder feeds it and
//! carries out what it asks for. One task, the [`driver`], owns it: it takes all that is queued,
//! steps through it, and lets everything that comes out leave in one batch per receiver. While a
//! batch is being written or synchronised, the next one grows by itself; there is no timer-based
//! batching, and no task, channel or lock per request. The price of a request at a low rate is the
//! number of wake-ups on its way, so there are as few hand-overs as can be: a session's reader, the
//! driver, the connection's writer; and, for a durable write, the writer thread and back.
//!
//! # Invariants
//!
//! * Every queue is bounded. What is full is answered (overloaded), or dropped and counted (peers);
//!   nobody waits for ever, and one slow peer or client delays no other.
//! * The listeners are bound before anything is created on disk: a port in use leaves nothing
//!   behind.
//! * The identity of this life is on disk before the first message leaves ([`identity`]).
//! * A batch of a node that was configured otherwise never reaches the protocol ([`fingerprint`]).
//! * Both clocks are read in [`clocks`] and nowhere else below the laboratory.
//! * After SIGTERM: not ready, no new requests, the open ones are answered (for at most
//!   [`DRAIN`]), then the streams end and the engine is closed.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * No encryption and no authentication: whoever reaches the ports is trusted. tonic and axum take
//!   TLS; the certificates' configuration is the work.
//! * One driver per process. Several, each with a part of the tokens, would use more cores; the
//!   node's state would have to be split by range first.
//! * The member list is that of the configuration file; joining and leaving come with topology
//!   changes.
//! * A peer's queue is bounded in bytes of messages, not of what the socket buffers hold besides.

mod clocks;
mod door;
mod driver;
mod fingerprint;
mod grpc;
mod http;
mod identity;
mod inbox;
mod metrics;
mod outbox;
mod peers;
mod sessions;
mod shared;
mod start;
mod storage;
mod waiting;

pub use identity::IdentityError;
pub use start::{ServeError, run};

use std::time::Duration;

/// Window of a stream and of a connection: a batch must never wait for flow control while its
/// receiver is awake.
const HTTP2_WINDOW_BYTES: u32 = 32 << 20;

/// Largest frame that we accept: fewer frames for a large batch.
const HTTP2_FRAME_BYTES: u32 = 1 << 20;

/// Largest gRPC message that we accept; batches are cut far below it.
const MESSAGE_BYTES: usize = 64 << 20;

/// How long a stopping node waits for the requests that it has taken.
const DRAIN: Duration = Duration::from_secs(5);
