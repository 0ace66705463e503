//! A cluster of real processes: this same program, once per node, on loopback.
//!
//! A child cannot outlive the runner: it is killed when [`Cluster`] is dropped, and
//! `--die-with-parent` asks the kernel to kill it when the thread that started it ends, whatever
//! ended it. That thread must therefore live as long as the cluster: start clusters from the main
//! thread. Each child has a process group of its own, so that Ctrl-C reaches the runner alone and a
//! trial can end cleanly.

use super::error::Error;
use super::probe;
use super::spec::ClusterSpec;
use crate::config::{MemberConfig, NodeConfig};
use quorate_strategies::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A cluster that is not ready after this long is an error.
const START_LIMIT: Duration = Duration::from_secs(30);
/// A node that was asked to stop is killed after this long.
const STOP_LIMIT: Duration = Duration::from_secs(5);
const PROBE_LIMIT: Duration = Duration::from_millis(500);
/// What runs now, also when its file was built anew since: all starts of a run are of one program.
const PROGRAM: &str = "/proc/self/exe";
const POLL: Duration = Duration::from_millis(20);
/// Another process may take a port between our release of it and the node's bind.
const ATTEMPTS: u32 = 3;
/// As many lines of a dead node's log go into the error message.
const LOG_LINES: usize = 12;

/// Running node processes.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    member: MemberConfig,
    child: Child,
    /// Its configuration, for another start.
    file: PathBuf,
    log: PathBuf,
    /// None while it runs.
    ended: Option<ExitStatus>,
    /// Its end was our doing.
    killed: bool,
    /// What its earlier processes had counted when they were killed.
    earlier: BTreeMap<String, f64>,
}

impl Cluster {
    /// Starts the nodes with their files in `dir` (created) and waits until each one is ready.
    /// `stop` is asked while waiting: true ends the start with [`Error::Interrupted`].
    pub fn start(
        spec: &ClusterSpec,
        seed: u64,
        dir: &Path,
        stop: &dyn Fn() -> bool,
    ) -> Result<Cluster, Error> {
        let mut attempt = 1;
        loop {
            match Self::try_start(spec, seed, dir, stop) {
                Err(Error::Node { log, .. }) if attempt < ATTEMPTS && log.contains("in use") => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn try_start(
        spec: &ClusterSpec,
        seed: u64,
        dir: &Path,
        stop: &dyn Fn() -> bool,
    ) -> Result<Cluster, Error> {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let mut ports = Vec::new();
        for _ in 0..spec.nodes {
            ports.push((free_port(dir)?, free_port(dir)?));
        }
        let members: Vec<MemberConfig> = ports
            .iter()
            .enumerate()
            .map(|(index, ((grpc, _), (http, _)))| member(index as u64 + 1, *grpc, *http))
            .collect();
        let mut cluster = Cluster { nodes: Vec::new() };
        for ((grpc, http), member) in ports.into_iter().zip(&members) {
            let config = NodeConfig {
                id: member.id,
                // Beside the file that says so.
                data: PathBuf::from(member.id.to_string()),
                members: members.clone(),
                cluster: spec.config(),
                seed: Some(seed ^ member.id.0),
                threads: spec.threads,
            };
            // Ours until this moment, so that no connection of an earlier node takes them.
            drop((grpc, http));
            cluster.nodes.push(Node::spawn(config, dir)?);
        }
        cluster.wait_ready(stop)?;
        Ok(cluster)
    }

    fn wait_ready(&mut self, stop: &dyn Fn() -> bool) -> Result<(), Error> {
        let begin = Instant::now();
        for index in 0..self.nodes.len() {
            loop {
                let address = self.nodes[index].member.http;
                let answer = probe::get(address, "/health/ready", PROBE_LIMIT);
                if matches!(answer, Ok((200, _))) {
                    break;
                }
                self.check()?;
                if stop() {
                    return Err(Error::Interrupted);
                }
                if begin.elapsed() > START_LIMIT {
                    let what = format!("was not ready after {} s", START_LIMIT.as_secs());
                    return Err(self.nodes[index].error(what));
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// An error when a node ended that nobody killed.
    pub fn check(&mut self) -> Result<(), Error> {
        for node in &mut self.nodes {
            node.reap();
            if let (Some(status), false) = (node.ended, node.killed) {
                return Err(node.error(format!("ended by itself ({status})")));
            }
        }
        Ok(())
    }

    /// Where clients find the nodes.
    pub fn members(&self) -> impl Iterator<Item = &MemberConfig> {
        self.nodes.iter().map(|node| &node.member)
    }

    /// Name and process id of every node that runs.
    pub fn processes(&self) -> impl Iterator<Item = (String, u32)> {
        let running = self.nodes.iter().filter(|node| node.ended.is_none());
        running.map(|node| (node.member.id.to_string(), node.child.id()))
    }

    /// Name and log file of every node.
    pub fn logs(&self) -> impl Iterator<Item = (String, &Path)> {
        self.nodes.iter().map(|node| (node.member.id.to_string(), node.log.as_path()))
    }

    /// Counters of all nodes that answer, summed, and what killed ones had counted.
    pub fn counters(&self) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for node in &self.nodes {
            add(&mut sums, &node.earlier);
            if node.ended.is_none() && !node.killed {
                add(&mut sums, &node.counters());
            }
        }
        sums
    }

    /// Gauges of each node that answers.
    pub fn gauges(&self) -> Vec<BTreeMap<String, f64>> {
        let alive = self.nodes.iter().filter(|node| node.ended.is_none() && !node.killed);
        alive.map(|node| probe::gauges(&node.metrics())).collect()
    }

    /// SIGSTOP or SIGCONT to a node, counted from 1. No effect on one that has ended.
    pub fn signal(&mut self, node: u16, signal: Signal) {
        if let Some(node) = self.nodes.get_mut(node as usize - 1) {
            node.signal(signal);
        }
    }

    /// SIGKILL to a node, counted from 1, after a last look at its counters. Answers when it was
    /// sent; None to one that had ended.
    pub fn kill(&mut self, node: u16) -> Option<Instant> {
        let node = self.nodes.get_mut(node as usize - 1)?;
        node.reap();
        if node.ended.is_some() || node.killed {
            return None;
        }
        let counted = node.counters();
        add(&mut node.earlier, &counted);
        node.killed = true;
        node.signal(Signal::KILL);
        Some(Instant::now())
    }

    /// Starts a killed node, counted from 1, again on its data. No effect on one that runs.
    pub fn restart(&mut self, node: u16) -> Result<(), Error> {
        match self.nodes.get_mut(node as usize - 1) {
            Some(node) if node.killed => node.restart(),
            _ => Ok(()),
        }
    }

    /// Id and HTTP address of every node that runs.
    pub fn observers(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> {
        let running = self.nodes.iter().filter(|node| node.ended.is_none() && !node.killed);
        running.map(|node| (node.member.id, node.member.http))
    }

    /// Asks every node to stop and waits, so that its files are closed in order.
    pub fn stop(mut self) {
        self.nodes.iter_mut().for_each(|node| {
            node.killed = true;
            node.signal(Signal::TERM);
        });
        let begin = Instant::now();
        while begin.elapsed() < STOP_LIMIT {
            self.nodes.iter_mut().for_each(Node::reap);
            if self.nodes.iter().all(|node| node.ended.is_some()) {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Kills what still runs, also a stopped process, and waits for its end.
impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.signal(Signal::KILL);
        }
        for node in &mut self.nodes {
            if node.ended.is_none() {
                // A failure means that the process is already gone.
                node.ended = node.child.wait().ok();
            }
        }
    }
}

impl Node {
    fn spawn(config: NodeConfig, dir: &Path) -> Result<Node, Error> {
        let name = config.id.to_string();
        let file = dir.join(format!("{name}.yaml"));
        let text = serde_yaml::to_string(&config).expect("a configuration is always YAML");
        fs::write(&file, text).map_err(Error::io("write", &file))?;
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).map_err(Error::io("create", &log))?;
        let child = serve(&file, &log, out)?;
        let member = config.members[config.id.0 as usize - 1].clone();
        let earlier = BTreeMap::new();
        Ok(Node { member, child, file, log, ended: None, killed: false, earlier })
    }

    /// Its log goes on in the same file.
    fn restart(&mut self) -> Result<(), Error> {
        if self.ended.is_none() {
            // It was killed, so this is short. A failure means that it is gone already.
            self.ended = self.child.wait().ok();
        }
        let open = File::options().append(true).open(&self.log);
        let out = open.map_err(Error::io("open", &self.log))?;
        self.child = serve(&self.file, &self.log, out)?;
        (self.ended, self.killed) = (None, false);
        Ok(())
    }

    /// What its process has counted so far; nothing of one that does not answer.
    fn counters(&self) -> BTreeMap<String, f64> {
        probe::counters(&self.metrics())
    }

    /// Its page of metrics; empty if it does not answer.
    fn metrics(&self) -> String {
        match probe::get(self.member.http, "/metrics", PROBE_LIMIT) {
            Ok((200, page)) => page,
            _ => String::new(),
        }
    }

    fn reap(&mut self) {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.reap();
        let pid = Pid::from_raw(self.child.id() as i32);
        if let (None, Some(pid)) = (self.ended, pid) {
            // It is our child and not reaped, so the id is its own; it may just have ended.
            let _ = kill_process(pid, signal);
        }
    }

    fn error(&self, what: String) -> Error {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        Error::Node { node: self.member.id, what, log: last }
    }
}

/// This program as the node that `file` configures, with what it says going to `out`.
fn serve(file: &Path, log: &Path, out: File) -> Result<Child, Error> {
    let both = out.try_clone().map_err(Error::io("open", log))?;
    Command::new(PROGRAM)
        .arg0("quorate")
        .arg("serve")
        .arg(format!("--die-with-parent={}", std::process::id()))
        .arg("--config")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(both)
        .process_group(0)
        .spawn()
        .map_err(Error::io("start", Path::new(PROGRAM)))
}

fn add(sums: &mut BTreeMap<String, f64>, counted: &BTreeMap<String, f64>) {
    for (name, value) in counted {
        *sums.entry(name.clone()).or_insert(0.0) += value;
    }
}

fn member(id: u64, grpc: SocketAddr, http: SocketAddr) -> MemberConfig {
    MemberConfig {
        id: NodeId(id),
        grpc,
        http,
        weight: 1,
        rack: String::new(),
        data_center: String::new(),
    }
}

/// A port of the kernel's choice, ours until the listener is dropped.
fn free_port(dir: &Path) -> Result<(SocketAddr, TcpListener), Error> {
    let bind = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        std::io::Result::Ok((listener.local_addr()?, listener))
    };
    bind().map_err(Error::io("find a free port for the nodes of", dir))
}
