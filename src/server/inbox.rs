//! What reaches the driver: one bounded channel that all connections and storage threads share.
//!
//! Its items are batches, so its cost is per batch. A connection that finds it full waits, and with
//! it, through the flow control of its stream, the one who sends; nobody else does.

use crate::message::{Reply, Request};
use crate::node::{Status, Ticket};
use crate::wire;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

use super::outbox::Outbox;

/// Batches that may wait for the driver.
const CAPACITY: usize = 1024;

/// A client's stream, for as long as it is open.
pub type SessionId = u32;

pub enum Inbound {
    /// A client's stream was opened; the driver answers with the name under which it will speak.
    Open {
        outbox: Arc<Outbox<wire::Reply>>,
        name: oneshot::Sender<SessionId>,
    },
    Requests {
        session: SessionId,
        requests: Vec<wire::Request>,
    },
    /// The client sends no more. It still gets the replies that it waits for.
    Close {
        session: SessionId,
    },
    /// One request with one reply: HTTP, and gRPC's unary call.
    Ask {
        request: Request,
        reply: oneshot::Sender<Reply>,
    },
    /// A batch of a peer whose header and fingerprint have been checked.
    Peer(wire::PeerBatch),
    Loaded {
        ticket: Ticket,
        result: Result<Option<Bytes>, String>,
    },
    /// One commit of the engine, for all that were in it.
    Saved {
        tickets: Vec<Ticket>,
        result: Result<(), String>,
    },
    Status(oneshot::Sender<Box<Report>>),
    /// Answer when no client waits any more.
    Drain(oneshot::Sender<()>),
}

/// What the driver tells of its node and of itself.
pub struct Report {
    pub node: Status,
    pub shell: super::metrics::Shell,
}

pub type Sender = mpsc::Sender<Inbound>;
pub type Receiver = mpsc::Receiver<Inbound>;

pub fn channel() -> (Sender, Receiver) {
    mpsc::channel(CAPACITY)
}
