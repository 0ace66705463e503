//! One long-lived stream to every peer, and the streams that peers open to us.
//!
//! ```text
//!   driver ─► outbox of n2 ─► Link task: connect, stream batches, back off, connect …   ─► n2
//!          ─► outbox of n3 ─► Link task                                                  ─► n3
//!   n2, n3 ─► Peer.Link ─► check addressee and fingerprint ─► inbox
//! ```
//!
//! A peer that is slow, stopped or gone fills its own outbox and nothing else; then its messages
//! are dropped and counted, and the protocol's deadlines and repairs take over. Messages that
//! waited for a connection for longer than [`STALE_US`] are dropped: their requests are over.

use super::clocks::Clocks;
use super::inbox::{Inbound, Sender};
use super::outbox::{Outbox, Weigh};
use super::shared::Shared;
use super::{HTTP2_FRAME_BYTES, HTTP2_WINDOW_BYTES};
use crate::message::{Heard, Message};
use crate::wire::peer_client::PeerClient;
use crate::wire::peer_server::Peer;
use crate::wire::{self, LinkClosed, PeerBatch, PeerMessage, peer_message::Body};
use parking_lot::Mutex;
use prost::Message as _;
use quorate_strategies::NodeId;
use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

/// What may wait for one peer.
const OUTBOX_BYTES: usize = 32 << 20;

/// A message that has waited this long for a connection is dropped.
const STALE_US: u64 = 1_000_000;

/// Between two attempts to connect: quick at first, so that a cluster that starts is soon complete.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MOST: Duration = Duration::from_millis(1_000);

impl Weigh for PeerMessage {
    fn weight(&self) -> usize {
        const FRAME: usize = 24;
        let some = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len());
        FRAME
            + match &self.body {
                Some(Body::Apply(apply)) => {
                    let value = match &apply.change {
                        Some(wire::apply::Change::Put(payload)) => payload.value.len(),
                        _ => 0,
                    };
                    apply.key.len() + some(&apply.context) + value
                }
                Some(Body::Applied(applied)) => applied.record.len(),
                Some(Body::Merge(merge)) => merge.key.len() + merge.record.len(),
                Some(Body::Read(read)) => read.key.len(),
                Some(Body::Found(found)) => some(&found.record),
                Some(Body::GossipReply(reply)) => reply.members.len() * 64,
                Some(Body::Gossip(gossip)) => gossip.digests.len() * 24,
                _ => 0,
            }
    }
}

/// The driver's end of all links.
pub struct PeerOutboxes {
    /// Ascending by id.
    peers: Vec<PeerOutbox>,
}

struct PeerOutbox {
    id: NodeId,
    outbox: Arc<Outbox<PeerMessage>>,
    /// Messages of this round; keeps its capacity.
    buffer: Vec<PeerMessage>,
    dropped: u64,
    line: Arc<Line>,
}

/// What the headers to one peer tell, over all connections to it.
#[derive(Default)]
pub struct Line {
    /// Batches that were sent.
    sent: AtomicU64,
    heard: Mutex<Heard>,
}

impl PeerOutboxes {
    pub fn new(ids: impl IntoIterator<Item = NodeId>) -> Self {
        let mut peers: Vec<_> = ids
            .into_iter()
            .map(|id| PeerOutbox {
                id,
                outbox: Outbox::new(OUTBOX_BYTES),
                buffer: Vec::new(),
                dropped: 0,
                line: Arc::default(),
            })
            .collect();
        peers.sort_by_key(|peer| peer.id);
        PeerOutboxes { peers }
    }

    /// Adds to the round's batch for `to`.
    pub fn send(&mut self, to: NodeId, message: Message) {
        if let Ok(index) = self.peers.binary_search_by_key(&to, |peer| peer.id) {
            self.peers[index].buffer.push(wire::encode_message(message));
        }
    }

    /// Hands the round's batches to the links.
    pub fn flush(&mut self, now_us: u64) {
        for peer in &mut self.peers {
            if peer.buffer.is_empty() {
                continue;
            }
            let stale = peer.outbox.drop_stale(now_us, STALE_US);
            let full = peer.outbox.push(&mut peer.buffer, now_us);
            peer.dropped += (stale + full) as u64;
        }
    }

    /// Messages dropped so far, by peer.
    pub fn dropped(&self) -> BTreeMap<NodeId, u64> {
        self.peers.iter().map(|peer| (peer.id, peer.dropped)).collect()
    }

    /// Notes what was heard of a peer, for the headers to it.
    pub fn heard(&self, of: NodeId, heard: Heard) {
        if let Ok(index) = self.peers.binary_search_by_key(&of, |peer| peer.id) {
            *self.peers[index].line.heard.lock() = heard;
        }
    }

    /// The queue to `id` and what its headers tell, for its link.
    pub fn outbox(&self, id: NodeId) -> Option<(Arc<Outbox<PeerMessage>>, Arc<Line>)> {
        let index = self.peers.binary_search_by_key(&id, |peer| peer.id).ok()?;
        let peer = &self.peers[index];
        Some((Arc::clone(&peer.outbox), Arc::clone(&peer.line)))
    }
}

/// Keeps one stream to one peer.
pub struct Link {
    pub to: NodeId,
    pub address: SocketAddr,
    pub outbox: Arc<Outbox<PeerMessage>>,
    pub shared: Arc<Shared>,
    pub fingerprint: u64,
    pub clocks: Clocks,
    /// Seeds the jitter between attempts.
    pub seed: u64,
    pub line: Arc<Line>,
}

impl Link {
    /// Connects, streams, and connects again, until `ended`.
    pub async fn keep(self, ended: CancellationToken) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut pause = PAUSE_FIRST;
        let mut last_error = String::new();
        loop {
            let begun_us = self.clocks.now().mono_us;
            let end = tokio::select! {
                () = ended.cancelled() => return,
                end = self.once() => end,
            };
            let now_us = self.clocks.now().mono_us;
            let dropped = self.outbox.drop_stale(now_us, STALE_US);
            if dropped > 0 {
                tracing::debug!(peer = %self.to, dropped, "dropped what waited too long");
            }
            // Every attempt ends in some error; each new one is said once.
            if end != last_error {
                tracing::info!(peer = %self.to, address = %self.address, "no link: {end}");
                last_error = end;
            }
            pause = match now_us - begun_us > 1_000_000 {
                true => PAUSE_FIRST,
                false => (pause * 2).min(PAUSE_MOST),
            };
            let jittered = pause.mul_f64(random.random_range(0.5..1.0));
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(jittered) => {}
            }
        }
    }

    /// One connection from its beginning to its end, whose reason is answered.
    async fn once(&self) -> String {
        let channel = match connect(self.address).await {
            Ok(channel) => channel,
            Err(error) => return chain(&error),
        };
        tracing::debug!(peer = %self.to, "link is up");
        let (to, fingerprint) = (self.to, self.fingerprint);
        let (shared, line) = (Arc::clone(&self.shared), Arc::clone(&self.line));
        let batches = self.outbox.attach().map(move |messages| {
            let sequence = line.sent.fetch_add(1, Ordering::Relaxed) + 1;
            let header = shared.header(to, sequence, *line.heard.lock());
            let batch = wire::encode_batch(header, fingerprint, messages);
            shared.count_peer_bytes(batch.encoded_len() as u64);
            batch
        });
        match PeerClient::new(channel).link(batches).await {
            Ok(closed) => format!("the peer closed it: {}", closed.into_inner().reason),
            Err(status) => status.message().to_string(),
        }
    }
}

async fn connect(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(20))
        .connect()
        .await
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The accepting end of peers' links.
pub struct PeerDoor {
    pub id: NodeId,
    pub members: Vec<NodeId>,
    pub fingerprint: u64,
    pub inbox: Sender,
    pub ended: CancellationToken,
}

impl PeerDoor {
    /// Refuses batches for another node, of a stranger, or of a cluster that is configured
    /// otherwise.
    fn check(&self, batch: &PeerBatch) -> Result<(), String> {
        let from = NodeId(batch.from);
        if batch.to != self.id.0 {
            return Err(format!("this is node {}, not {}", self.id, NodeId(batch.to)));
        }
        if from == self.id || !self.members.contains(&from) {
            return Err(format!("node {from} is no peer of {}", self.id));
        }
        if batch.fingerprint != self.fingerprint {
            return Err(format!(
                "nodes {from} and {} are configured differently ({:016x} and {:016x}): \
                 `members`, `cluster.replication.n`, `partitioning` and `conflict` must be equal",
                self.id, batch.fingerprint, self.fingerprint
            ));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Peer for PeerDoor {
    async fn link(
        &self,
        request: Request<Streaming<PeerBatch>>,
    ) -> Result<Response<LinkClosed>, Status> {
        let mut batches = request.into_inner();
        let ended = self.ended.cancelled();
        tokio::pin!(ended);
        loop {
            let batch = tokio::select! {
                biased;
                () = &mut ended => {
                    return Ok(Response::new(LinkClosed { reason: "stopping".to_string() }));
                }
                batch = batches.message() => batch?,
            };
            let Some(batch) = batch else {
                return Ok(Response::new(LinkClosed { reason: "end of stream".to_string() }));
            };
            if let Err(reason) = self.check(&batch) {
                tracing::warn!("refused a link: {reason}");
                return Err(Status::failed_precondition(reason));
            }
            if self.inbox.send(Inbound::Peer(batch)).await.is_err() {
                return Ok(Response::new(LinkClosed { reason: "stopped".to_string() }));
            }
        }
    }
}
