//! One session with one node: a table of what waits, a queue of what is to be sent, and a task.
//!
//! The sending half is a stream that the HTTP/2 connection polls: each poll takes everything queued
//! into one batch. The receiving half is the task of [`run`], which completes whole batches and
//! reconnects. Both meet submitters at one short lock, which nobody holds while a sink runs.

use super::Options;
use super::pending::{Entry, Pending};
use crate::message::{Failure, Reply};
use crate::wire::store_client::StoreClient;
use crate::wire::{self, ClientBatch, ReplyBatch};
use parking_lot::Mutex;
use quorate_strategies::NodeId;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Requests in one message at most, so that the first replies return before a long queue is
/// encoded.
const BATCH_REQUESTS: usize = 1024;
/// Bytes of keys and values after which a batch is closed: well under what a node decodes.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of keys and values that may wait for the writer.
const QUEUE_BYTES: usize = 64 << 20;
/// A batch of replies: 1,024 reads of 1 MiB would not fit, but a node closes its batches as we do.
const MAX_REPLY_BYTES: usize = 256 << 20;
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// A node that does not answer HTTP/2 pings for both together is taken for gone.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Connection {
    pub node: NodeId,
    address: String,
    state: Mutex<State>,
    up: AtomicBool,
    /// Set when a request was given up, cleared by the next batch of replies.
    silent: AtomicBool,
}

struct State {
    /// Counts sessions, so that the stream of an old one ends itself.
    session: u64,
    channel: Option<Channel>,
    pending: Pending,
    queue: VecDeque<wire::Request>,
    queued_bytes: usize,
    writer: Option<Waker>,
}

/// What the task of a connection needs to know of its client.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// Rung when a session ends: the cluster may look different now.
    pub lost: Arc<Notify>,
    pub connect_timeout: Duration,
}

fn weight(request: &wire::Request) -> usize {
    let value = match &request.operation {
        Some(wire::request::Operation::Put(put)) => put.value.len(),
        _ => 0,
    };
    request.key.len() + value
}

impl Connection {
    pub fn new(node: NodeId, address: String, options: &Options) -> Self {
        let state = State {
            session: 0,
            channel: None,
            pending: Pending::new(options.in_flight),
            queue: VecDeque::new(),
            queued_bytes: 0,
            writer: None,
        };
        let (up, silent) = (AtomicBool::new(false), AtomicBool::new(false));
        Connection { node, address, state: Mutex::new(state), up, silent }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Up, and nobody's request was given up since the node was last heard.
    pub fn is_responsive(&self) -> bool {
        self.is_up() && !self.silent.load(Ordering::Relaxed)
    }

    pub fn channel(&self) -> Option<Channel> {
        self.state.lock().channel.clone()
    }

    /// Queues a request, or hands the entry back with the reason why it was certainly not sent.
    pub fn submit(&self, entry: Entry, request: wire::Request) -> Result<(), (Entry, Failure)> {
        let waker = {
            let mut state = self.state.lock();
            if state.channel.is_none() {
                return Err((entry, Failure::Disconnected { maybe_done: false }));
            }
            let bytes = weight(&request);
            if state.queued_bytes + bytes > QUEUE_BYTES {
                return Err((entry, self.overloaded()));
            }
            let tag = match state.pending.insert(entry) {
                Ok(tag) => tag,
                Err(entry) => return Err((entry, self.overloaded())),
            };
            state.queue.push_back(wire::Request { tag, ..request });
            state.queued_bytes += bytes;
            state.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    fn overloaded(&self) -> Failure {
        Failure::Overloaded {
            what: format!("too many requests wait for {} in this client", self.node),
        }
    }

    /// Gives up what is overdue. What was not yet sent is withdrawn, so it is certainly not done.
    pub fn sweep(&self, now_us: u64, scratch: &mut Vec<Entry>) {
        {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            state.pending.take_overdue(now_us, scratch);
            if scratch.iter().any(|entry| !entry.sent) {
                state.queue.retain(|request| state.pending.is_waiting(request.tag));
                state.queued_bytes = state.queue.iter().map(weight).sum();
            }
        }
        if !scratch.is_empty() {
            self.silent.store(true, Ordering::Relaxed);
        }
        for entry in scratch.drain(..) {
            let maybe_done = entry.maybe_done();
            let failure = Failure::TimedOut { acks: 0, needed: 0, maybe_done };
            entry.sink.complete(entry.tag, self.node, Reply::Failed(failure));
        }
    }

    /// Completes a batch: all entries are taken under one lock, then the sinks run without it.
    fn complete(&self, batch: ReplyBatch, taken: &mut Vec<(Entry, wire::Reply)>) {
        self.silent.store(false, Ordering::Relaxed);
        {
            let mut state = self.state.lock();
            for reply in batch.replies {
                if let Some(entry) = state.pending.take(reply.tag) {
                    taken.push((entry, reply));
                }
            }
        }
        for (entry, reply) in taken.drain(..) {
            let reply = wire::decode_reply(reply).unwrap_or_else(|malformed| {
                let (reason, maybe_done) = (malformed.to_string(), entry.maybe_done());
                Reply::Failed(Failure::Refused { acks: 0, needed: 0, reason, maybe_done })
            });
            entry.sink.complete(entry.tag, self.node, reply);
        }
    }

    fn begin(&self, channel: Channel) {
        self.state.lock().channel = Some(channel);
        self.silent.store(false, Ordering::Relaxed);
        self.up.store(true, Ordering::Relaxed);
    }

    /// Ends the session and completes all that waited for it.
    fn end(&self) {
        self.up.store(false, Ordering::Relaxed);
        let mut lost = Vec::new();
        let writer = {
            let mut state = self.state.lock();
            state.session += 1;
            state.channel = None;
            state.queue.clear();
            state.queued_bytes = 0;
            state.pending.take_all(&mut lost);
            state.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        for entry in lost {
            let maybe_done = entry.maybe_done();
            let failure = Failure::Disconnected { maybe_done };
            entry.sink.complete(entry.tag, self.node, Reply::Failed(failure));
        }
    }

    /// A stream for one new session.
    fn outgoing(self: &Arc<Self>) -> Outgoing {
        Outgoing { connection: self.clone(), session: self.state.lock().session }
    }
}

/// The sending half of a session: polled by the HTTP/2 connection whenever it can take more.
struct Outgoing {
    connection: Arc<Connection>,
    session: u64,
}

impl tokio_stream::Stream for Outgoing {
    type Item = ClientBatch;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ClientBatch>> {
        let mut guard = self.connection.state.lock();
        let state = &mut *guard;
        if state.session != self.session {
            return Poll::Ready(None);
        }
        let requests = state.next_batch();
        if requests.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Some(ClientBatch { requests }))
    }
}

impl State {
    fn next_batch(&mut self) -> Vec<wire::Request> {
        let mut requests = Vec::with_capacity(self.queue.len().min(BATCH_REQUESTS));
        let mut bytes = 0;
        while requests.len() < BATCH_REQUESTS && bytes < BATCH_BYTES {
            let Some(request) = self.queue.pop_front() else { break };
            bytes += weight(&request);
            if self.pending.mark_sent(request.tag) {
                requests.push(request);
            }
        }
        self.queued_bytes -= bytes;
        requests
    }
}

/// An endpoint with the windows and pings that a long stream of batches needs.
pub(super) fn endpoint(address: &str, timeout: Duration) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| format!("{address} is no address: {error}"))?;
    Ok(endpoint
        .connect_timeout(timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// Drives `task` until `stop`, then completes whatever still waits for the connection.
pub(super) async fn until(
    stop: CancellationToken,
    connection: Arc<Connection>,
    task: impl Future<Output = ()>,
) {
    stop.run_until_cancelled(task).await;
    connection.end();
}

/// Connects, serves, reconnects for ever. `tried` is told when the first attempt is over.
pub(super) async fn run(
    connection: Arc<Connection>,
    around: Surroundings,
    tried: oneshot::Sender<()>,
) {
    let mut tried = Some(tried);
    let mut backoff = FIRST_BACKOFF;
    loop {
        let attempt = tokio::time::timeout(around.connect_timeout, open(&connection, &around));
        let opened = attempt.await.ok().flatten();
        if let Some(tried) = tried.take() {
            // Nobody listens once the client is made; then there is nothing to tell.
            let _ = tried.send(());
        }
        if let Some(replies) = opened {
            backoff = FIRST_BACKOFF;
            receive(&connection, replies).await;
        }
        connection.end();
        around.lost.notify_one();
        tokio::time::sleep(backoff).await;
        backoff = (2 * backoff).min(MAX_BACKOFF);
    }
}

async fn open(
    connection: &Arc<Connection>,
    around: &Surroundings,
) -> Option<tonic::Streaming<ReplyBatch>> {
    let endpoint = endpoint(&connection.address, around.connect_timeout).ok()?;
    let channel = endpoint.connect().await.ok()?;
    let mut client = StoreClient::new(channel.clone()).max_decoding_message_size(MAX_REPLY_BYTES);
    let replies = client.session(connection.outgoing()).await.ok()?.into_inner();
    connection.begin(channel);
    Some(replies)
}

/// Until the session ends, whatever ends it: the next one starts afresh.
async fn receive(connection: &Connection, mut replies: tonic::Streaming<ReplyBatch>) {
    let mut taken = Vec::new();
    while let Ok(Some(batch)) = replies.message().await {
        connection.complete(batch, &mut taken);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::client::Sink;
    use crate::wire::request::Operation;
    use bytes::Bytes;
    use tokio_stream::Stream;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(u64, Reply)>>);

    impl Sink for Seen {
        fn complete(&self, tag: u64, _: NodeId, reply: Reply) {
            self.0.lock().push((tag, reply));
        }
    }

    /// A connection that believes itself up, with nobody who polls its sending half.
    fn connection() -> Arc<Connection> {
        let connection = Connection::new(NodeId(1), "127.0.0.1:1".into(), &Options::default());
        connection.begin(Endpoint::from_static("http://127.0.0.1:1").connect_lazy());
        Arc::new(connection)
    }

    fn submit(connection: &Connection, tag: u64, seen: &Arc<Seen>, value_bytes: usize) {
        let put = wire::Put { value: vec![0; value_bytes].into(), ..wire::Put::default() };
        let operation = Some(Operation::Put(put));
        let key = Bytes::from_static(b"key");
        let request = wire::Request { key, operation, ..wire::Request::default() };
        let sink: Arc<dyn Sink> = seen.clone();
        let entry = Entry { tag, sink, deadline_us: 10 * tag, write: true, sent: false };
        connection.submit(entry, request).map_err(|(_, failure)| failure).unwrap();
    }

    fn poll(outgoing: &mut Outgoing) -> Poll<Option<usize>> {
        let mut context = Context::from_waker(Waker::noop());
        let polled = Pin::new(outgoing).poll_next(&mut context);
        polled.map(|batch| batch.map(|batch| batch.requests.len()))
    }

    #[tokio::test]
    async fn everything_queued_travels_in_one_batch() {
        let (connection, seen) = (connection(), Arc::new(Seen::default()));
        let mut outgoing = connection.outgoing();
        assert_eq!(poll(&mut outgoing), Poll::Pending);
        (0..5).for_each(|tag| submit(&connection, tag, &seen, 100));
        assert_eq!(poll(&mut outgoing), Poll::Ready(Some(5)));
        assert_eq!(poll(&mut outgoing), Poll::Pending);
    }

    #[tokio::test]
    async fn large_values_close_a_batch_early() {
        let (connection, seen) = (connection(), Arc::new(Seen::default()));
        (0..5).for_each(|tag| submit(&connection, tag, &seen, BATCH_BYTES / 2));
        let mut outgoing = connection.outgoing();
        assert_eq!(poll(&mut outgoing), Poll::Ready(Some(2)));
        assert_eq!(poll(&mut outgoing), Poll::Ready(Some(2)));
        assert_eq!(poll(&mut outgoing), Poll::Ready(Some(1)));
        assert_eq!(connection.state.lock().queued_bytes, 0);
    }

    #[tokio::test]
    async fn what_is_given_up_unsent_is_withdrawn_and_certainly_not_done() {
        let (connection, seen) = (connection(), Arc::new(Seen::default()));
        (1..=2).for_each(|tag| submit(&connection, tag, &seen, 100));
        connection.sweep(15, &mut Vec::new());
        let failure = Failure::TimedOut { acks: 0, needed: 0, maybe_done: false };
        assert_eq!(*seen.0.lock(), [(1, Reply::Failed(failure))]);
        assert!(!connection.is_responsive());
        assert_eq!(poll(&mut connection.outgoing()), Poll::Ready(Some(1)), "only the second");
    }

    #[tokio::test]
    async fn a_lost_session_tells_sent_from_unsent() {
        let (connection, seen) = (connection(), Arc::new(Seen::default()));
        let mut outgoing = connection.outgoing();
        submit(&connection, 1, &seen, 100);
        assert_eq!(poll(&mut outgoing), Poll::Ready(Some(1)));
        submit(&connection, 2, &seen, 100);
        connection.end();
        let lost = |maybe_done| Reply::Failed(Failure::Disconnected { maybe_done });
        assert_eq!(*seen.0.lock(), [(1, lost(true)), (2, lost(false))]);
        assert_eq!(poll(&mut outgoing), Poll::Ready(None), "the old session's stream ends");
    }
}
