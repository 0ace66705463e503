//! Clusters of real processes for tests: started on free ports of loopback, stopped on drop.
#![allow(clippy::unwrap_used, dead_code)]

pub mod http;

use http::Response;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(30);

/// Addresses that nobody listened on a moment ago.
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

/// Node processes of this build. Nodes are numbered from 1, as their ids are.
pub struct Cluster {
    folder: tempfile::TempDir,
    grpc: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
}

impl Cluster {
    /// Starts `nodes` nodes whose YAML has `cluster` as its `cluster:` block (flow style or
    /// indented by two), and waits until each is ready.
    pub fn start(nodes: usize, cluster: &str) -> Cluster {
        let mut started = Cluster::prepare(nodes, cluster);
        for node in 1..=nodes {
            started.spawn(node);
        }
        for node in 1..=nodes {
            started.wait_ready(node);
        }
        for node in 1..=nodes {
            started.wait_complete(node);
        }
        started
    }

    /// Writes the configurations without starting anything.
    pub fn prepare(nodes: usize, cluster: &str) -> Cluster {
        let addresses = free_addresses(2 * nodes);
        let (grpc, http) = addresses.split_at(nodes);
        let folder = tempfile::tempdir().unwrap();
        let mut members = String::new();
        for index in 0..nodes {
            let (id, grpc, http) = (index + 1, grpc[index], http[index]);
            writeln!(members, "  - {{id: {id}, grpc: \"{grpc}\", http: \"{http}\"}}").unwrap();
        }
        for id in 1..=nodes {
            let data = folder.path().join(format!("n{id}"));
            let yaml = format!(
                "id: {id}\ndata: \"{}\"\nmembers:\n{members}cluster:\n  {cluster}\n",
                data.display()
            );
            fs::write(folder.path().join(format!("n{id}.yaml")), yaml).unwrap();
        }
        let children = (0..nodes).map(|_| None).collect();
        Cluster { folder, grpc: grpc.to_vec(), http: http.to_vec(), children }
    }

    pub fn spawn(&mut self, node: usize) {
        let log = File::options().create(true).append(true).open(self.log_path(node)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(["serve", "--die-with-parent", "--config"])
            .arg(self.config_path(node))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.children[node - 1] = Some(child);
    }

    pub fn wait_ready(&mut self, node: usize) {
        let started = Instant::now();
        loop {
            let answer = http::try_request(self.http[node - 1], "GET", "/health/ready", &[], b"");
            if answer.is_ok_and(|response| response.status == 200) {
                return;
            }
            let ended = self.children[node - 1].as_mut().unwrap().try_wait().unwrap();
            let late = started.elapsed() > START_LIMIT;
            assert!(ended.is_none() && !late, "n{node} is not ready:\n{}", self.log(node));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `node` has heard from every other one: ready asks for a quorum alone.
    pub fn wait_complete(&self, node: usize) {
        let started = Instant::now();
        loop {
            let status = self.request(node, "GET", "/v1/status", &[], b"").json();
            let members = status["members"].as_array().unwrap().clone();
            if members.iter().all(|member| member["verdict"] == "up") {
                return;
            }
            assert!(started.elapsed() < START_LIMIT, "n{node} misses a peer: {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, as a power switch for one process.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.children[node - 1].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn pid(&self, node: usize) -> u32 {
        self.children[node - 1].as_ref().unwrap().id()
    }

    pub fn child(&mut self, node: usize) -> &mut Child {
        self.children[node - 1].as_mut().unwrap()
    }

    pub fn restart(&mut self, node: usize) {
        self.kill(node);
        self.spawn(node);
        self.wait_ready(node);
    }

    pub fn request(
        &self,
        node: usize,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        http::try_request(self.http[node - 1], method, path, headers, body).unwrap_or_else(
            |error| panic!("{method} {path} at n{node}: {error}\n{}", self.log(node)),
        )
    }

    pub fn grpc(&self, node: usize) -> SocketAddr {
        self.grpc[node - 1]
    }

    pub fn http(&self, node: usize) -> SocketAddr {
        self.http[node - 1]
    }

    pub fn data_path(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("n{node}"))
    }

    pub fn config_path(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("n{node}.yaml"))
    }

    pub fn log_path(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("n{node}.log"))
    }

    pub fn log(&self, node: usize) -> String {
        fs::read_to_string(self.log_path(node)).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 1..=self.children.len() {
            self.kill(node);
        }
    }
}
