//! Each strategy carries a real cluster, chosen by YAML alone.
#![allow(clippy::unwrap_used)]

mod common;

use common::Cluster;
use common::http::Response;
use quorate_strategies::{Compaction, Conflict, Detection, Family, Partitioning};

const TIMING: &str = "timing: {heartbeat_interval_ms: 100, gossip_interval_ms: 100}";

fn start(strategy: &str) -> Cluster {
    Cluster::start(3, &format!("strategies: {{{strategy}}}\n  {TIMING}"))
}

fn put(cluster: &Cluster, node: usize, key: &str, value: &str, context: Option<&str>) -> Response {
    let context: Vec<_> = context.map(|token| ("if-match", token)).into_iter().collect();
    let response =
        cluster.request(node, "PUT", &format!("/v1/kv/{key}?w=2"), &context, value.as_bytes());
    assert!([200, 201].contains(&response.status), "{}", response.text());
    response
}

fn get(cluster: &Cluster, node: usize, key: &str) -> Response {
    cluster.request(node, "GET", &format!("/v1/kv/{key}?r=2"), &[("accept", "*/*")], b"")
}

/// Puts through one node, overwrites through another, reads from all, deletes, and finds nothing.
fn put_overwrite_read_delete(cluster: &Cluster) {
    for key in 0..20 {
        let (key, via) = (format!("key{key}"), 1 + key % 3);
        put(cluster, via, &key, "first", None);
        let seen = get(cluster, 1 + via % 3, &key);
        let token = seen.header("etag").expect("a read shows its version").to_string();
        put(cluster, 1 + (via + 1) % 3, &key, "second", Some(&token));
        for node in 1..=3 {
            let read = get(cluster, node, &key);
            assert_eq!((read.status, read.text().as_str()), (200, "second"), "{key} at n{node}");
        }
        let token = get(cluster, via, &key).header("etag").unwrap().to_string();
        let path = format!("/v1/kv/{key}?w=2");
        let deleted = cluster.request(via, "DELETE", &path, &[("if-match", &token)], b"");
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        for node in 1..=3 {
            assert_eq!(get(cluster, node, &key).status, 404, "{key} at n{node} after delete");
        }
    }
}

fn every<F: Family>() {
    for entry in F::entries() {
        let cluster = start(&format!("{}: {}", F::NAME, entry.name));
        put_overwrite_read_delete(&cluster);
        let status = cluster.request(1, "GET", "/v1/status", &[], b"").json();
        let shown = status[F::NAME].to_string();
        assert!(shown.contains(entry.name), "{} shows {status}", entry.name);
    }
}

#[test]
fn partitioning_strategies_carry_a_cluster() {
    every::<Partitioning>();
}

#[test]
fn conflict_strategies_carry_a_cluster() {
    every::<Conflict>();
}

#[test]
fn compaction_strategies_carry_a_cluster() {
    every::<Compaction>();
}

#[test]
fn detection_strategies_carry_a_cluster() {
    every::<Detection>();
}

#[test]
fn vector_clock_shows_siblings_and_lww_one_value() {
    let clocks = start("conflict: vector_clock");
    put(&clocks, 1, "cart", "milk", None);
    put(&clocks, 2, "cart", "bread", None);
    let both = get(&clocks, 3, "cart");
    assert_eq!(both.status, 300, "{}", both.text());
    let siblings = both.json()["siblings"].as_array().unwrap().clone();
    let mut values: Vec<_> = siblings.iter().filter_map(|one| one["value"].as_str()).collect();
    values.sort_unstable();
    assert_eq!(values, ["bread", "milk"]);

    let token = both.header("etag").unwrap().to_string();
    put(&clocks, 1, "cart", "milk and bread", Some(&token));
    let one = get(&clocks, 2, "cart");
    assert_eq!((one.status, one.text().as_str()), (200, "milk and bread"));

    let last = start("conflict: lww");
    put(&last, 1, "cart", "milk", None);
    put(&last, 2, "cart", "bread", None);
    let one = get(&last, 3, "cart");
    assert_eq!((one.status, one.text().as_str()), (200, "bread"));
}

#[test]
fn counters_add_up_across_nodes() {
    let cluster = start("conflict: {crdt: {type: pn_counter}}");
    for (node, by) in [(1, 5), (2, 7), (3, -2)] {
        let body = format!("{{\"by\": {by}}}");
        let json = [("content-type", "application/json")];
        let path = "/v1/kv/visits/increment?w=2";
        let response = cluster.request(node, "POST", path, &json, body.as_bytes());
        assert_eq!(response.status, 200, "{}", response.text());
    }
    assert_eq!(get(&cluster, 1, "visits").json()["value"], "10");
    let refused = cluster.request(1, "PUT", "/v1/kv/visits", &[], b"3");
    assert_eq!(refused.status, 409, "{}", refused.text());
}
