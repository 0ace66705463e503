//! Starting, stopping and losing real nodes.
#![allow(clippy::unwrap_used)]

mod common;

use common::Cluster;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

const QUICK: &str = "timing: {heartbeat_interval_ms: 100, gossip_interval_ms: 100, \
    write_timeout_ms: 1000}\n  strategies: {detection: {heartbeat: {interval_ms: 100, \
    suspect_after_ms: 300, down_after_ms: 600}}}";

/// A test that waits for longer has failed.
const LIMIT: Duration = Duration::from_secs(30);

fn signal(cluster: &Cluster, node: usize, signal: Signal) {
    kill_process(Pid::from_raw(cluster.pid(node) as i32).unwrap(), signal).unwrap();
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn terminate(cluster: &mut Cluster, node: usize) -> ExitStatus {
    signal(cluster, node, Signal::TERM);
    until("the node ends", || cluster.child(node).try_wait().unwrap())
}

fn put(cluster: &Cluster, node: usize, path: &str, value: &str) -> common::http::Response {
    cluster.request(node, "PUT", path, &[], value.as_bytes())
}

fn verdict(cluster: &Cluster, node: usize, of: usize) -> String {
    let status = cluster.request(node, "GET", "/v1/status", &[], b"").json();
    status["members"][of - 1]["verdict"].as_str().unwrap().to_string()
}

#[test]
fn a_stopped_node_exits_in_order_and_comes_back_with_its_data() {
    let mut cluster = Cluster::start(3, QUICK);
    assert_eq!(put(&cluster, 1, "/v1/kv/k?w=3", "kept").status, 200);
    let incarnation = |cluster: &Cluster| {
        cluster.request(2, "GET", "/v1/status", &[], b"").json()["incarnation"].as_u64().unwrap()
    };
    let first = incarnation(&cluster);

    let status = terminate(&mut cluster, 2);
    assert_eq!(status.code(), Some(0), "{}", cluster.log(2));
    let actor = |cluster: &Cluster| {
        let identity = fs::read_to_string(cluster.data_path(2).join("identity.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_str(&identity).unwrap();
        stored["actor"].as_u64().unwrap()
    };
    let first_actor = actor(&cluster);
    assert_eq!(put(&cluster, 3, "/v1/kv/other?w=2", "v").status, 200, "a quorum is left");

    cluster.restart(2);
    assert!(incarnation(&cluster) > first);
    assert_ne!(actor(&cluster), first_actor, "no actor has two lives");
    let read = cluster.request(2, "GET", "/v1/kv/k?r=1", &[], b"");
    assert_eq!((read.status, read.text().as_str()), (200, "kept"));
}

#[test]
fn requests_that_need_a_dead_node_are_refused_with_numbers() {
    let mut cluster = Cluster::start(3, QUICK);
    cluster.kill(3);
    assert_eq!(put(&cluster, 1, "/v1/kv/k?w=2", "v").status, 200, "no wait for the verdict");
    until("n3 is down", || (verdict(&cluster, 1, 3) == "down").then_some(()));
    let refused = put(&cluster, 1, "/v1/kv/k?w=3", "v");
    assert_eq!(refused.status, 503, "{}", refused.text());
    let body = refused.json();
    assert_eq!((body["needed"].as_u64(), body["alive"].as_u64()), (Some(3), Some(2)));
    assert_eq!((body["outcome"].as_str(), body["retry"].as_bool()), (Some("not_done"), Some(true)));
    assert_eq!(put(&cluster, 2, "/v1/kv/k?w=2", "v").status, 200);
    cluster.kill(2);
    until("n1 is not ready", || {
        let ready = cluster.request(1, "GET", "/health/ready", &[], b"");
        (ready.status == 503).then_some(())
    });
}

#[test]
fn a_write_that_waits_in_vain_is_unknown() {
    let cluster = Cluster::start(3, &QUICK.replace("down_after_ms: 600", "down_after_ms: 600000"));
    signal(&cluster, 3, Signal::STOP);
    assert_eq!(put(&cluster, 1, "/v1/kv/k?w=2", "v").status, 200, "one paused peer delays nobody");
    let late = put(&cluster, 1, "/v1/kv/k?w=3", "v");
    signal(&cluster, 3, Signal::CONT);
    assert_eq!(late.status, 504, "{}", late.text());
    let body = late.json();
    assert_eq!((body["acks"].as_u64(), body["needed"].as_u64()), (Some(2), Some(3)));
    assert_eq!((body["outcome"].as_str(), body["retry"].as_bool()), (Some("unknown"), Some(false)));
    until("n3 takes part again", || {
        (put(&cluster, 1, "/v1/kv/k?w=3", "v").status == 200).then_some(())
    });
}

#[test]
fn a_port_in_use_is_one_clear_error_and_leaves_nothing_behind() {
    let cluster = Cluster::prepare(1, "replication: {n: 1}");
    let _squatter = TcpListener::bind(cluster.http(1)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["serve", "--config"])
        .arg(cluster.config_path(1))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&cluster.http(1).to_string()), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!cluster.data_path(1).exists());
}

#[test]
fn a_bad_configuration_is_one_clear_error() {
    let cluster = Cluster::prepare(1, "replication: {n: 2}");
    let serve = |path: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(["serve", "--config"]).arg(path).output().unwrap()
    };
    let output = serve(&cluster.config_path(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`cluster.replication.n` is 2; allowed: 1 to 1"), "{said}");
    assert!(!cluster.data_path(1).exists());
    assert_eq!(serve(std::path::Path::new("/nowhere.yaml")).status.code(), Some(2));
}

#[test]
fn nodes_that_are_configured_differently_refuse_each_other() {
    let mut cluster = Cluster::prepare(2, "{replication: {n: 2}, engine: memory}");
    let other = fs::read_to_string(cluster.config_path(2)).unwrap().replace("n: 2}", "n: 1}");
    fs::write(cluster.config_path(2), other).unwrap();
    cluster.spawn(1);
    cluster.spawn(2);
    for node in [1, 2] {
        until("both sides say why", || {
            cluster.log(node).contains("are configured differently").then_some(())
        });
    }
    assert_eq!(verdict(&cluster, 1, 2), "unheard");
    let ready = cluster.request(1, "GET", "/health/ready", &[], b"");
    assert_eq!(ready.status, 503);
}
