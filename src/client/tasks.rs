//! What a client does on its own: opening sessions, giving up what is overdue, looking again.

use super::connection::{self, Connection, Surroundings};
use super::routing::{Node, Routing, Shape};
use super::{ClientError, Options, Shared};
use crate::message::Reply;
use crate::wire::store_client::StoreClient;
use crate::wire::{StatusReply, StatusRequest};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Between two looks for overdue and refused requests.
const TICK: Duration = Duration::from_millis(5);
/// Between two looks at the cluster after sessions were lost.
const REFRESH_SPACING: Duration = Duration::from_millis(200);

/// Nodes for all members of `shape`: those of `known` that are still right, and new ones whose
/// connections are being opened. The receivers hear when first attempts are over.
pub(super) fn open_nodes(
    shape: &Shape,
    known: &[Node],
    options: &Options,
    around: &Surroundings,
    stop: &CancellationToken,
) -> (Vec<Node>, Vec<oneshot::Receiver<()>>) {
    let mut tried = Vec::new();
    let nodes = shape.addresses.iter().map(|(id, address)| {
        let same = |node: &&Node| node.id == *id && node.address() == address;
        if let Some(node) = known.iter().find(same) {
            return node.clone();
        }
        let stop = stop.child_token();
        let open = |_| {
            let connection = Arc::new(Connection::new(*id, address.clone(), options));
            let (told, hears) = oneshot::channel();
            tried.push(hears);
            let task = connection::run(connection.clone(), around.clone(), told);
            tokio::spawn(connection::until(stop.clone(), connection.clone(), task));
            connection
        };
        let connections = (0..options.connections_per_node.max(1)).map(open).collect();
        Node { id: *id, connections, stop }
    });
    (nodes.collect(), tried)
}

/// Gives up overdue requests and tells of refused ones, until the client is dropped.
pub(super) async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut overdue = Vec::new();
    let beat = async {
        loop {
            ticks.tick().await;
            tell_refusals(&shared);
            let now_us = shared.clock.now_us();
            let routing = shared.routing.load_full();
            for connection in routing.nodes.iter().flat_map(|node| &node.connections) {
                connection.sweep(now_us, &mut overdue);
            }
        }
    };
    shared.stop.run_until_cancelled(beat).await;
    tell_refusals(&shared);
}

/// A sink may submit again while it is told, so the list is taken before the first is called.
fn tell_refusals(shared: &Shared) {
    let refusals = std::mem::take(&mut *shared.refusals.lock());
    for refusal in refusals {
        refusal.sink.complete(refusal.tag, refusal.node, Reply::Failed(refusal.failure));
    }
}

/// Asks a live node for the cluster's shape after each lost session, and follows what changed.
pub(super) async fn refresh(shared: Arc<Shared>, around: Surroundings) {
    let look = async {
        loop {
            shared.lost.notified().await;
            tokio::time::sleep(REFRESH_SPACING).await;
            look_again(&shared, &around).await;
        }
    };
    shared.stop.run_until_cancelled(look).await;
}

async fn look_again(shared: &Shared, around: &Surroundings) {
    let routing = shared.routing.load_full();
    for node in routing.nodes.iter().filter(|node| node.is_up()) {
        let Ok(status) = status_of(node, around.connect_timeout).await else { continue };
        let Ok(shape) = Shape::of(&status) else { continue };
        if shape.epoch() >= routing.shape.epoch() && shape != routing.shape {
            install(shared, &routing, shape, around);
        }
        return;
    }
}

fn install(shared: &Shared, old: &Routing, shape: Shape, around: &Surroundings) {
    let (nodes, _) = open_nodes(&shape, &old.nodes, &shared.options, around, &shared.stop);
    let kept =
        |node: &Node| nodes.iter().any(|new| new.id == node.id && new.address() == node.address());
    let gone: Vec<_> = old.nodes.iter().filter(|node| !kept(node)).cloned().collect();
    shared.routing.store(Arc::new(Routing::new(shape, nodes)));
    for node in gone {
        node.stop.cancel();
    }
}

/// The status of the first seed that answers.
pub(super) async fn first_status(
    seeds: &[SocketAddr],
    timeout: Duration,
) -> Result<StatusReply, ClientError> {
    let mut tried = Vec::new();
    for seed in seeds {
        match status_at(&seed.to_string(), timeout).await {
            Ok(status) => return Ok(status),
            Err(cause) => tried.push(format!("{seed} ({cause})")),
        }
    }
    Err(ClientError::NoSeed { tried: tried.join(", ") })
}

/// Asks over an open session's connection, or over one made for the purpose.
pub(super) async fn status_of(node: &Node, timeout: Duration) -> Result<StatusReply, ClientError> {
    let open = node.connections.iter().find_map(|connection| connection.channel());
    let answer = match open {
        Some(channel) => ask(StoreClient::new(channel), timeout).await,
        None => status_at(node.address(), timeout).await,
    };
    let address = node.address().to_string();
    answer.map_err(|cause| ClientError::Unreachable { node: node.id, address, cause })
}

async fn status_at(address: &str, timeout: Duration) -> Result<StatusReply, String> {
    let endpoint = connection::endpoint(address, timeout)?;
    let channel = endpoint.connect().await.map_err(|error| innermost(&error))?;
    ask(StoreClient::new(channel), timeout).await
}

async fn ask(
    mut client: StoreClient<tonic::transport::Channel>,
    timeout: Duration,
) -> Result<StatusReply, String> {
    match tokio::time::timeout(timeout, client.status(StatusRequest {})).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        Ok(Err(status)) => Err(status.message().to_string()),
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    }
}

/// The cause at the root says what a person can act on, such as "Connection refused".
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => innermost(cause),
        None => error.to_string(),
    }
}
