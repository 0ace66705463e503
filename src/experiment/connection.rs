//! The load's own client: one thread, one runtime, a session with each node.

use super::cluster::Cluster;
use super::error::Error;
use super::load::{OPEN_LIMIT, Store};
use super::spec::{ClusterSpec, Load};
use crate::client::{Client, Options, Route, Sink};
use crate::message::Request;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A client whose tasks run on a thread of their own until it is dropped.
pub struct Connection {
    store: Arc<dyn Store>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Connection {
    /// Connects to every node of the cluster.
    pub fn open(cluster: &Cluster, spec: &ClusterSpec, load: &Load) -> Result<Connection, Error> {
        let seeds: Vec<SocketAddr> = cluster.members().map(|member| member.grpc).collect();
        let options = Options {
            connections_per_node: load.connections.into(),
            timeout_ms: spec.timing.read_timeout_ms.max(spec.timing.write_timeout_ms),
            in_flight: OPEN_LIMIT as usize,
            // What a retry would hide is what is measured.
            retry_share: 0.0,
            ..Options::default()
        };
        let failed = |error: std::io::Error| Error::Client(error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let connect = Client::connect(&seeds, options);
        let client = runtime.block_on(connect).map_err(|error| Error::Client(error.to_string()))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // The sender is never used; it is dropped with the connection.
            let _ = runtime.block_on(stopped);
        };
        let thread =
            std::thread::Builder::new().name("client".into()).spawn(run).map_err(failed)?;
        let store: Arc<dyn Store> = Arc::new(client);
        Ok(Connection { store, stop: Some(stop), thread: Some(thread) })
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of the client's thread was already printed by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Store for Client {
    fn submit(&self, tag: u64, request: Request, route: Route, sink: &Arc<dyn Sink>) {
        Client::submit(self, tag, request, route, sink);
    }
}
