//! One request, awaited: what people's programs and the command line call.

use super::{Client, Route, Shared, Sink};
use crate::message::{Failure, Level, Operation, Reply, Request};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::Answer;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What may be said with each call; the default leaves all to the node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOptions {
    pub level: Option<Level>,
    /// The token of an earlier answer: what the write's writer had seen. No condition; what it
    /// means is the resolver's business ([`quorate_strategies::conflict`]).
    pub context: Option<Bytes>,
    /// For the call as a whole, retries included. None: the client's own timeout bounds the wait.
    pub timeout_ms: Option<u32>,
    pub route: Route,
}

impl Default for CallOptions {
    fn default() -> Self {
        CallOptions { level: None, context: None, timeout_ms: None, route: Route::Replica }
    }
}

/// What a put stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewValue {
    pub value: Bytes,
    pub content_type: Bytes,
    pub flags: u32,
    /// Time to live in milliseconds, from when the coordinator takes the request.
    pub ttl_ms: Option<u64>,
}

/// The sink of one awaited request.
struct Waiter(Mutex<Option<oneshot::Sender<(NodeId, Reply)>>>);

impl Sink for Waiter {
    fn complete(&self, _: u64, node: NodeId, reply: Reply) {
        if let Some(sender) = self.0.lock().take() {
            // The caller may have stopped waiting; then the reply concerns nobody.
            let _ = sender.send((node, reply));
        }
    }
}

impl Client {
    /// The values of a key; none means not found.
    ///
    /// # Errors
    /// A read that failed is certainly not done.
    pub async fn get(&self, key: Bytes, options: &CallOptions) -> Result<Answer, Failure> {
        match self.call(request(key, Operation::Get, options), options.route).await? {
            Reply::Read(answer) => Ok(answer),
            _ => Err(strange("a read", false)),
        }
    }

    /// Stores a value and returns the token that covers it.
    ///
    /// # Errors
    /// [`Failure::outcome`] tells "certainly not done" from "unknown".
    pub async fn put(
        &self,
        key: Bytes,
        new: NewValue,
        options: &CallOptions,
    ) -> Result<Bytes, Failure> {
        let NewValue { value, content_type, flags, ttl_ms } = new;
        self.write(key, Operation::Put { value, content_type, flags, ttl_ms }, options).await
    }

    /// Deletes what the context covers, or all that is there, and returns the tombstone's token.
    ///
    /// # Errors
    /// As with [`Client::put`].
    pub async fn delete(&self, key: Bytes, options: &CallOptions) -> Result<Bytes, Failure> {
        self.write(key, Operation::Delete, options).await
    }

    /// Adds to a counter. An increment whose outcome is unknown is never repeated here: whoever
    /// repeats it may count twice.
    ///
    /// # Errors
    /// As with [`Client::put`].
    pub async fn increment(
        &self,
        key: Bytes,
        by: i64,
        options: &CallOptions,
    ) -> Result<Bytes, Failure> {
        self.write(key, Operation::Increment(by), options).await
    }

    async fn write(
        &self,
        key: Bytes,
        operation: Operation,
        options: &CallOptions,
    ) -> Result<Bytes, Failure> {
        match self.call(request(key, operation, options), options.route).await? {
            Reply::Written { context } => Ok(context),
            _ => Err(strange("a write", true)),
        }
    }

    /// Any request, with retries where they are safe. Never `Ok(Reply::Failed)`.
    ///
    /// # Errors
    /// The last attempt's failure.
    pub async fn call(&self, mut request: Request, route: Route) -> Result<Reply, Failure> {
        let shared = &self.shared;
        let wait_ms = request.timeout_ms.unwrap_or(shared.options.timeout_ms);
        let deadline = Instant::now() + Duration::from_millis(wait_ms.into());
        let (mut avoid, mut attempt) = (None, 1);
        shared.budget.earn();
        loop {
            let (node, reply) = shared.once(request.clone(), route, avoid).await;
            let Reply::Failed(failure) = reply else { return Ok(reply) };
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(pause) = shared.budget.pause(&failure, attempt, left) else {
                return Err(failure);
            };
            tokio::time::sleep(pause).await;
            let left = deadline.saturating_duration_since(Instant::now());
            request.timeout_ms = Some((left.as_millis() as u32).max(1));
            avoid = Some(node);
            attempt += 1;
        }
    }
}

impl Shared {
    async fn once(&self, request: Request, route: Route, avoid: Option<NodeId>) -> (NodeId, Reply) {
        let write = request.operation != Operation::Get;
        let (sender, receiver) = oneshot::channel();
        let sink: Arc<dyn Sink> = Arc::new(Waiter(Mutex::new(Some(sender))));
        self.dispatch(0, request, route, avoid, &sink);
        drop(sink);
        // Sinks are dropped unheard only where the runtime is being torn down under the client.
        let torn = Failure::Disconnected { maybe_done: write };
        receiver.await.unwrap_or((NodeId(0), Reply::Failed(torn)))
    }
}

fn request(key: Bytes, operation: Operation, options: &CallOptions) -> Request {
    let CallOptions { level, context, timeout_ms, .. } = options.clone();
    Request { key, operation, level, context, timeout_ms }
}

/// A coordinator of another version, at best.
fn strange(asked: &str, maybe_done: bool) -> Failure {
    let reason = format!("the coordinator's reply is no answer to {asked}");
    Failure::Refused { acks: 0, needed: 0, reason, maybe_done }
}
