//! The SDK's door: batched sessions, and single calls for people and scripts.

use super::door::Door;
use super::inbox::{Inbound, Sender, SessionId};
use super::outbox::{Batches, Outbox, Weigh};
use crate::wire::store_server::Store;
use crate::wire::{self, ClientBatch, Reply, ReplyBatch, StatusReply, StatusRequest};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// A client that lets more than this wait for it is not read from until it has read.
const UNREAD_BYTES: usize = 64 << 20;

impl Weigh for Reply {
    fn weight(&self) -> usize {
        const FRAME: usize = 32;
        FRAME
            + match &self.outcome {
                Some(wire::reply::Outcome::Answer(answer)) => {
                    answer.context.len()
                        + answer.values.iter().map(|it| it.value.len() + FRAME).sum::<usize>()
                }
                Some(wire::reply::Outcome::Written(written)) => written.context.len(),
                _ => 0,
            }
    }
}

pub struct StoreDoor {
    pub door: Arc<Door>,
    /// Clients are asked to leave.
    pub closing: CancellationToken,
}

#[tonic::async_trait]
impl Store for StoreDoor {
    type SessionStream = Replies;

    async fn session(
        &self,
        request: Request<Streaming<ClientBatch>>,
    ) -> Result<Response<Replies>, Status> {
        // No limit: what a session may owe its client is bounded by what it is let ask.
        let outbox = Outbox::new(usize::MAX);
        let replies = Replies { batches: outbox.attach() };
        let (name, named) = oneshot::channel();
        let inbox = self.door.inbox.clone();
        let stopped = || Status::unavailable("the node is stopping");
        let open = Inbound::Open { outbox: Arc::clone(&outbox), name };
        inbox.send(open).await.map_err(|_| stopped())?;
        let session = named.await.map_err(|_| stopped())?;
        let closing = self.closing.clone();
        tokio::spawn(async move {
            let requests = request.into_inner();
            read_requests(session, requests, &outbox, &inbox, closing).await;
            let _ = inbox.send(Inbound::Close { session }).await;
        });
        Ok(Response::new(replies))
    }

    async fn call(&self, request: Request<wire::Request>) -> Result<Response<Reply>, Status> {
        let request = request.into_inner();
        let tag = request.tag;
        let decoded = wire::decode_request(request)
            .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
        let reply = self.door.ask(decoded).await;
        Ok(Response::new(wire::encode_reply(tag, reply)))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        match self.door.report().await {
            Some(report) => Ok(Response::new(self.door.status(&report.node))),
            None => Err(Status::unavailable("the node is stopping")),
        }
    }
}

/// Hands batches to the driver until the client ends, breaks, or is asked to leave.
async fn read_requests(
    session: SessionId,
    mut requests: Streaming<ClientBatch>,
    outbox: &Outbox<Reply>,
    inbox: &Sender,
    closing: CancellationToken,
) {
    let closing = closing.cancelled();
    tokio::pin!(closing);
    loop {
        let batch = tokio::select! {
            biased;
            () = &mut closing => return,
            batch = requests.message() => batch,
        };
        let batch = match batch {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(status) => {
                tracing::debug!(session, "session broke: {}", status.message());
                return;
            }
        };
        let requests = Inbound::Requests { session, requests: batch.requests };
        if inbox.send(requests).await.is_err() {
            return;
        }
        while outbox.waiting_bytes() > UNREAD_BYTES && outbox.is_attached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// The replies of a session, in batches.
pub struct Replies {
    batches: Batches<Reply>,
}

impl Stream for Replies {
    type Item = Result<ReplyBatch, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batches = Pin::new(&mut self.batches);
        batches.poll_next(context).map(|next| next.map(|replies| Ok(ReplyBatch { replies })))
    }
}
