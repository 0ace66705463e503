//! The life of a node's process: bind, claim, open, serve, drain, close.

use super::clocks::{Clocks, wall_us};
use super::door::Door;
use super::driver::Driver;
use super::fingerprint::fingerprint;
use super::grpc::StoreDoor;
use super::identity::{Identity, IdentityError};
use super::inbox::{self, Inbound, Sender};
use super::peers::{Link, PeerDoor, PeerOutboxes};
use super::shared::Shared;
use super::storage::{Commits, Storage};
use super::{DRAIN, HTTP2_FRAME_BYTES, HTTP2_WINDOW_BYTES, MESSAGE_BYTES, http};
use crate::config::NodeConfig;
use crate::engine::{self, EngineError};
use crate::node::{BadSettings, Boot, Node, Settings};
use crate::wire::peer_server::PeerServer;
use crate::wire::store_server::StoreServer;
use axum::serve::ListenerExt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Server, TcpIncoming};

/// What is left to the tasks of connections once the node has stopped.
const TEAR_DOWN: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    #[error("cannot listen on {address} ({what} of this node): {source}")]
    Bind { address: SocketAddr, what: &'static str, source: io::Error },
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("engine: {0}")]
    Engine(#[from] EngineError),
    #[error("cannot start: {0}")]
    Threads(io::Error),
    #[error("{what} ended: {reason}")]
    Ended { what: &'static str, reason: String },
}

/// Runs a node until `stop` is done, then stops it gracefully. Blocks; brings its own runtime.
///
/// # Errors
/// Whatever keeps the node from starting, with nothing left behind but, at most, its identity; or
/// the failure of a listener or of closing the engine.
pub fn run(config: NodeConfig, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let mut builder = match config.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = builder.enable_all().build().map_err(ServeError::Threads)?;
    let result = runtime.block_on(async {
        let running = Running::start(config).await?;
        running.until(stop).await
    });
    runtime.shutdown_timeout(TEAR_DOWN);
    result
}

/// A node that serves.
struct Running {
    /// Holds the claim to the data folder until the engine is closed.
    _identity: Identity,
    storage: Arc<Storage>,
    shared: Arc<Shared>,
    inbox: Sender,
    /// Clients are asked to leave; peers stay.
    closing: CancellationToken,
    /// Everything ends.
    ended: CancellationToken,
    driver: JoinHandle<()>,
    grpc: JoinHandle<Result<(), tonic::transport::Error>>,
    http: JoinHandle<io::Result<()>>,
}

/// The sockets of a node, bound.
struct Listeners {
    grpc: TcpListener,
    http: TcpListener,
}

impl Listeners {
    async fn bind(config: &NodeConfig) -> Result<Listeners, ServeError> {
        let members = &config.members;
        let member = members
            .iter()
            .find(|member| member.id == config.id)
            .ok_or(BadSettings::NotAMember(config.id))?;
        let bind = async |address: SocketAddr, what: &'static str| {
            let listener = TcpListener::bind(address).await;
            listener.map_err(|source| ServeError::Bind { address, what, source })
        };
        Ok(Listeners {
            grpc: bind(member.grpc, "`grpc`").await?,
            http: bind(member.http, "`http`").await?,
        })
    }
}

impl Running {
    async fn start(config: NodeConfig) -> Result<Running, ServeError> {
        Settings::from_config(&config, 0).check()?;
        let listeners = Listeners::bind(&config).await?;
        let wall_s = wall_us() / 1_000_000;
        let engine_config = &config.cluster.engine;
        let identity = Identity::claim(&config.data, config.id, wall_s)?;
        let picker = config.cluster.strategies.compaction.build();
        let engine = engine::open(engine_config, &config.data.join("engine"), picker)?;
        let (inbox, receiver) = inbox::channel();
        let commits = match engine_config {
            engine::Config::Memory => Commits::Inline,
            _ => Commits::Threaded,
        };
        let storage = Storage::start(engine, commits, &inbox).map_err(ServeError::Threads)?;

        let clocks = Clocks::start();
        let boot = identity.boot();
        let settings = Settings::from_config(&config, boot.actor ^ boot.incarnation);
        tracing::info!(
            id = %config.id, incarnation = boot.incarnation, seed = settings.seed, "starting"
        );
        let mut effects = Vec::new();
        let node = Node::new(settings, boot, clocks.now(), &mut effects)?;
        let shared = Arc::new(Shared::new(config.id, boot.incarnation, clocks));
        let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
        let peers = start_links(&config, boot, clocks, &shared, &ended);
        let (of_driver, of_storage) = (Arc::clone(&shared), Arc::clone(&storage));
        let driver = Driver::new(node, effects, clocks, receiver, of_storage, peers, of_driver);
        let driver = tokio::spawn(driver.run(ended.clone()));

        let (of_door, of_storage) = (Arc::clone(&shared), Arc::clone(&storage));
        let door = Arc::new(Door::new(inbox.clone(), of_door, config, of_storage));
        let grpc = serve_grpc(listeners.grpc, &door, &closing, &ended);
        let http = serve_http(listeners.http, door, &closing);
        let _identity = identity;
        Ok(Running { _identity, storage, shared, inbox, closing, ended, driver, grpc, http })
    }

    /// Serves until `stop`, or until a part of the node ends by itself.
    async fn until(mut self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let ended = |what, reason: String| Err(ServeError::Ended { what, reason });
        let outcome = tokio::select! {
            () = stop => Ok(()),
            end = &mut self.driver => ended("the driver", format!("{end:?}")),
            end = &mut self.grpc => ended("the gRPC listener", format!("{end:?}")),
            end = &mut self.http => ended("the HTTP listener", format!("{end:?}")),
        };
        let stopped = self.stop(outcome.is_ok()).await;
        outcome.and(stopped)
    }

    /// Answers what was asked, ends all streams, and closes the engine.
    async fn stop(mut self, drain: bool) -> Result<(), ServeError> {
        tracing::info!("stopping");
        self.shared.set_stopping();
        self.closing.cancel();
        if drain && tokio::time::timeout(DRAIN, drained(&self.inbox)).await.is_err() {
            tracing::warn!("some requests had no reply after {DRAIN:?}");
        }
        // Let the last replies leave before the streams end.
        finish(&mut self.http, "the HTTP listener").await;
        self.ended.cancel();
        finish(&mut self.grpc, "the gRPC listener").await;
        finish(&mut self.driver, "the driver").await;
        self.storage.stop();
        self.storage.engine().close()?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Waits for a task that was asked to end, but not for ever: a client that does not read must not
/// keep the node from stopping. One that had ended before must not be asked again.
async fn finish<T>(task: &mut JoinHandle<T>, what: &str) {
    if !task.is_finished() && tokio::time::timeout(TEAR_DOWN, task).await.is_err() {
        tracing::debug!("{what} was cut off");
    }
}

/// Done when no client waits for a reply any more.
async fn drained(inbox: &Sender) {
    let (asker, answered) = oneshot::channel();
    if inbox.send(Inbound::Drain(asker)).await.is_ok() {
        let _ = answered.await;
    }
}

/// One link to each other member.
fn start_links(
    config: &NodeConfig,
    boot: Boot,
    clocks: Clocks,
    shared: &Arc<Shared>,
    ended: &CancellationToken,
) -> PeerOutboxes {
    let others = || config.members.iter().filter(|member| member.id != config.id);
    let outboxes = PeerOutboxes::new(others().map(|member| member.id));
    let fingerprint = fingerprint(config);
    for member in others() {
        let Some((outbox, line)) = outboxes.outbox(member.id) else {
            continue;
        };
        let link = Link {
            to: member.id,
            address: member.grpc,
            outbox,
            shared: Arc::clone(shared),
            fingerprint,
            clocks,
            seed: boot.actor ^ member.id.0,
            line,
        };
        tokio::spawn(link.keep(ended.clone()));
    }
    outboxes
}

fn serve_grpc(
    listener: TcpListener,
    door: &Arc<Door>,
    closing: &CancellationToken,
    ended: &CancellationToken,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let store = StoreDoor { door: Arc::clone(door), closing: closing.clone() };
    let peer = PeerDoor {
        id: door.config.id,
        members: door.config.members.iter().map(|member| member.id).collect(),
        fingerprint: fingerprint(&door.config),
        inbox: door.inbox.clone(),
        ended: ended.clone(),
    };
    let store = StoreServer::new(store).max_decoding_message_size(MESSAGE_BYTES);
    let peer = PeerServer::new(peer).max_decoding_message_size(MESSAGE_BYTES);
    let router = Server::builder()
        .initial_stream_window_size(HTTP2_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_WINDOW_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_service(store)
        .add_service(peer);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let until = closing.clone().cancelled_owned();
    tokio::spawn(router.serve_with_incoming_shutdown(incoming, until))
}

fn serve_http(
    listener: TcpListener,
    door: Arc<Door>,
    closing: &CancellationToken,
) -> JoinHandle<io::Result<()>> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
    });
    let until = closing.clone().cancelled_owned();
    let server = axum::serve(listener, http::router(door)).with_graceful_shutdown(until);
    tokio::spawn(server.into_future())
}
