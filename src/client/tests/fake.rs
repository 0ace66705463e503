//! Nodes made for tests: a `Store` service that answers, keeps silent, refuses or hangs up.

use crate::message::{self, Failure, Operation};
use crate::wire::store_server::{Store, StoreServer};
use crate::wire::{
    self, ClientBatch, MemberStatus, Reply, ReplyBatch, Request, StatusReply, StatusRequest,
};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate_strategies::conflict::{Answer, Payload, Shown, Version};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Response, Status, Streaming};

#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    /// A get answers the key as its value; a write is done.
    Answers,
    Silent,
    Overloaded,
    /// Ends the session as soon as a request comes.
    HangsUp,
}

struct State {
    mood: Mood,
    seen: Vec<Bytes>,
}

#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    status: StatusReply,
    state: Arc<Mutex<State>>,
}

/// Starts `count` nodes that know each other, with ids from 1.
pub async fn start(count: u64) -> Vec<Fake> {
    start_with(count, "\"vnodes\"").await
}

pub async fn start_with(count: u64, partitioning: &str) -> Vec<Fake> {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let mut nodes = Vec::new();
    for (listener, id) in listeners.into_iter().zip(1..) {
        let node = Fake {
            address: addresses[id as usize - 1],
            status: status(id, &addresses, partitioning),
            state: Arc::new(Mutex::new(State { mood: Mood::Answers, seen: Vec::new() })),
        };
        listen(node.clone(), listener);
        nodes.push(node);
    }
    nodes
}

fn listen(node: Fake, listener: TcpListener) {
    let incoming = TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(StoreServer::new(node));
    tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
}

/// One more door to a node.
pub async fn serve(node: Fake) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    listen(node, listener);
    address
}

fn status(id: u64, addresses: &[SocketAddr], partitioning: &str) -> StatusReply {
    let members = addresses.iter().zip(1..).map(|(address, id)| MemberStatus {
        id,
        grpc: address.to_string(),
        weight: 1,
        ..MemberStatus::default()
    });
    StatusReply {
        id,
        epoch: 1,
        members: members.collect(),
        partitioning: partitioning.to_string(),
        replicas: addresses.len().min(3) as u32,
        ..StatusReply::default()
    }
}

impl Fake {
    pub fn set(&self, mood: Mood) {
        self.state.lock().mood = mood;
    }

    pub fn seen(&self) -> usize {
        self.state.lock().seen.len()
    }

    /// The same node with something else to say of the cluster; takes effect where it is served.
    pub fn with_status(mut self, change: impl FnOnce(&mut StatusReply)) -> Self {
        change(&mut self.status);
        self
    }

    /// None: no reply. An error: no session any more.
    fn reply(&self, request: Request) -> Result<Option<Reply>, Status> {
        let tag = request.tag;
        let request = wire::decode_request(request).unwrap();
        let mut state = self.state.lock();
        state.seen.push(request.key.clone());
        let reply = match (state.mood, request.operation) {
            (Mood::Silent, _) => return Ok(None),
            (Mood::HangsUp, _) => return Err(Status::unavailable("hung up")),
            (Mood::Overloaded, _) => {
                message::Reply::Failed(Failure::Overloaded { what: "the fake".to_string() })
            }
            (Mood::Answers, Operation::Get) => message::Reply::Read(echo(request.key)),
            (Mood::Answers, _) => message::Reply::Written { context: Bytes::from_static(b"c") },
        };
        Ok(Some(wire::encode_reply(tag, reply)))
    }
}

fn echo(value: Bytes) -> Answer {
    let payload = Payload { value, content_type: Bytes::new(), flags: 0, expires_at_ms: None };
    let shown = Shown { payload, version: Version(Bytes::from_static(b"v")) };
    Answer { values: vec![shown], context: Bytes::from_static(b"c") }
}

#[tonic::async_trait]
impl Store for Fake {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<ReplyBatch, Status>> + Send>>;

    async fn session(
        &self,
        request: tonic::Request<Streaming<ClientBatch>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let fake = self.clone();
        let replies = request.into_inner().map(move |batch| {
            let replies = batch?.requests.into_iter().map(|request| fake.reply(request));
            let replies: Result<Vec<Option<Reply>>, Status> = replies.collect();
            Ok(ReplyBatch { replies: replies?.into_iter().flatten().collect() })
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn call(&self, request: tonic::Request<Request>) -> Result<Response<Reply>, Status> {
        let reply = self.reply(request.into_inner())?;
        reply.map(Response::new).ok_or_else(|| Status::deadline_exceeded("silent"))
    }

    async fn status(
        &self,
        _: tonic::Request<StatusRequest>,
    ) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(self.status.clone()))
    }
}
