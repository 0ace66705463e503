//! The HTTP API as a client sees it, against real clusters.
#![allow(clippy::unwrap_used)]

mod common;

use common::Cluster;
use common::http::Response;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

fn start(nodes: usize, strategies: &str) -> Cluster {
    let timing = "timing: {heartbeat_interval_ms: 100, gossip_interval_ms: 100}";
    let replication = format!("replication: {{n: {nodes}}}");
    Cluster::start(
        nodes,
        &format!("strategies: {{{strategies}}}\n  engine: memory\n  {replication}\n  {timing}"),
    )
}

fn put_json(cluster: &Cluster, node: usize, path: &str, body: serde_json::Value) -> Response {
    cluster.request(node, "PUT", path, &[JSON], body.to_string().as_bytes())
}

fn get(cluster: &Cluster, node: usize, path: &str) -> Response {
    cluster.request(node, "GET", path, &[], b"")
}

#[test]
fn values_are_put_read_and_deleted_through_any_node() {
    let cluster = start(3, "conflict: lww");

    let put = put_json(&cluster, 1, "/v1/kv/text", json!({"value": "grüße"}));
    assert_eq!(put.status, 200, "{}", put.text());
    let version = put.json()["version"].as_str().unwrap().to_string();
    assert_eq!(put.header("etag"), Some(format!("\"{version}\"").as_str()));
    for (node, path) in [(1, "/v1/kv/text"), (2, "/api/v1/kv/text"), (3, "/v1/kv/text?r=3")] {
        let read = get(&cluster, node, path);
        assert_eq!(read.status, 200, "{}", read.text());
        assert_eq!(read.json(), json!({"value": "grüße", "version": version}));
    }
    let raw = get(&cluster, 1, "/v1/kv/text?raw");
    assert_eq!(raw.body, "grüße".as_bytes());

    let deleted = cluster.request(2, "DELETE", "/v1/kv/text", &[("if-match", &version)], b"");
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    let read = get(&cluster, 3, "/v1/kv/text");
    assert_eq!(read.status, 404);
    assert_eq!(read.json()["outcome"], "not_done");

    let expiring = put_json(&cluster, 1, "/v1/kv/soon", json!({"value": "x", "ttl": 3600}));
    assert_eq!(expiring.status, 200, "{}", expiring.text());
    let expires_at_ms = get(&cluster, 2, "/v1/kv/soon").json()["expires_at_ms"].as_u64().unwrap();
    assert!(expires_at_ms > 1_600_000_000_000, "an instant, not a duration: {expires_at_ms}");
}

#[test]
fn keys_and_values_are_any_bytes() {
    let cluster = start(1, "");
    let everything: Vec<u8> = (0..=255).collect();
    let path = "/v1/kv/%00%2F%FF%20end";
    let put = cluster.request(1, "PUT", path, &[("content-type", "image/png")], &everything);
    assert_eq!(put.status, 200, "{}", put.text());
    let raw = get(&cluster, 1, path);
    assert_eq!(raw.body, everything);
    assert_eq!(raw.header("content-type"), Some("image/png"));
    let shown = cluster.request(1, "GET", path, &[("accept", "application/json")], b"").json();
    assert_eq!(shown["content_type"], "image/png");
    assert!(shown["value_base64"].as_str().unwrap().starts_with("AAECAwQF"), "{shown}");
    assert_eq!(get(&cluster, 1, "/v1/kv/%00%2F%FF%20").status, 404, "another key");

    let most = vec![b'x'; 1 << 20];
    let put = cluster.request(1, "PUT", "/v1/kv/large", &[], &most);
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(get(&cluster, 1, "/v1/kv/large").body, most);
}

/// Method, path, headers, body; the expected status, and a part of the expected message.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

#[test]
fn bad_requests_say_what_is_allowed() {
    let cluster = start(1, "conflict: lww");
    let refused = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let response = cluster.request(1, method, path, headers, body);
        let shown = response.json();
        assert_eq!(shown["outcome"], "not_done", "{shown}");
        assert_eq!(shown["retry"], false, "{shown}");
        (response.status, shown["error"].as_str().unwrap().to_string())
    };
    let long_key = format!("/v1/kv/{}", "k".repeat(257));
    let large = vec![b'x'; (1 << 20) + 1];
    let large_json = json!({"value": "x".repeat((1 << 20) + 1)}).to_string();
    let cases: &[Case] = &[
        ("PUT", "/v1/kv/k", &[JSON], b"{\"value\":", 400, "malformed JSON"),
        ("PUT", "/v1/kv/k", &[JSON], b"{\"value\": 7}", 400, "expected a string"),
        ("PUT", "/v1/kv/k", &[JSON], b"{\"value\": \"\", \"tll\": 1}", 400, "tll"),
        ("PUT", "/v1/kv/k", &[JSON], b"{\"value\": \"\", \"ttl\": 0}", 400, "above 0"),
        ("PUT", "/v1/kv/k?ttl=-1", &[], b"", 400, "above 0"),
        ("PUT", "/v1/kv/k?ttl=soon", &[], b"", 400, "above 0"),
        ("PUT", "/v1/kv/k?r=1", &[], b"", 400, "unknown query parameter `r`"),
        ("PUT", "/v1/kv/k?w=2", &[], b"", 400, "1"),
        ("GET", "/v1/kv/k?r=0", &[], b"", 400, "unknown consistency level `0`"),
        ("GET", "/v1/kv/k", &[("consistency", "most")], b"", 400, "allowed: strong, eventual"),
        ("GET", "/v1/kv/", &[], b"", 400, "empty"),
        ("GET", "/v1/kv/%f", &[], b"", 400, "percent-encoded"),
        ("GET", &long_key, &[], b"", 400, "256"),
        ("PUT", "/v1/kv/k", &[("if-match", "?")], b"", 400, "no version token"),
        ("PUT", "/v1/kv/k", &[("if-none-match", "*")], b"", 400, "no write here has a condition"),
        ("DELETE", "/v1/kv/k", &[("if-none-match", "*")], b"", 400, "`If-None-Match` is not"),
        ("PUT", "/v1/kv/k", &[JSON], b"[]", 400, "no object; expected {\"value\": \"text\"}"),
        ("PUT", "/v1/kv/k", &[JSON], b" [\"x\", 5]", 400, "malformed JSON body: it is no object"),
        ("PUT", "/v1/kv/k", &[JSON], b"", 400, "malformed JSON body: it is empty"),
        ("POST", "/v1/kv/k/increment", &[], b"[1]", 400, "no object; expected {\"by\": 1}"),
        ("PUT", "/v1/kv/k", &[], &large, 413, "1048576"),
        ("PUT", "/v1/kv/k", &[JSON], large_json.as_bytes(), 413, "1048576"),
        ("POST", "/v1/kv/k/increment", &[], b"{\"by\": 1}", 409, "lww"),
        ("POST", "/v1/kv/k/increment", &[], b"{\"by\": 1.5}", 400, "malformed JSON"),
        ("POST", "/v1/kv/k", &[], b"", 405, "method"),
        ("GET", "/v2/kv/k", &[], b"", 404, "/v1/kv/{key}"),
    ];
    for (method, path, headers, body, status, said) in cases {
        let (found, error) = refused(method, path, headers, body);
        assert_eq!(found, *status, "{method} {path:.40}: {error}");
        assert!(error.contains(said), "{method} {path:.40}: {error}");
    }
    assert_eq!(get(&cluster, 1, "/v1/kv/k").status, 404, "nothing of all this was stored");
}

#[test]
fn concurrent_writes_are_shown_as_siblings_until_one_has_seen_both() {
    let cluster = start(3, "conflict: vector_clock");
    for (node, value) in [(1, "left"), (2, "right")] {
        assert_eq!(put_json(&cluster, node, "/v1/kv/k?w=3", json!({"value": value})).status, 200);
    }
    let read = get(&cluster, 3, "/v1/kv/k?r=3");
    assert_eq!(read.status, 300, "{}", read.text());
    let body = read.json();
    let siblings = body["siblings"].as_array().unwrap();
    let mut values: Vec<_> = siblings.iter().map(|it| it["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, ["left", "right"]);
    assert_ne!(siblings[0]["version"], siblings[1]["version"]);

    let seen = read.header("etag").unwrap();
    let both = json!({"value": "both"}).to_string();
    let headers = [JSON, ("if-match", seen)];
    let merged = cluster.request(3, "PUT", "/v1/kv/k?w=3", &headers, both.as_bytes());
    assert_eq!(merged.status, 200, "{}", merged.text());
    let read = get(&cluster, 1, "/v1/kv/k?r=3");
    assert_eq!((read.status, read.json()["value"].as_str()), (200, Some("both")));
}

#[test]
fn a_token_orders_a_write_under_lww_and_is_no_condition() {
    let cluster = start(1, "conflict: lww");
    let first = put_json(&cluster, 1, "/v1/kv/k", json!({"value": "first"}));
    let seen = first.header("etag").unwrap().to_string();
    put_json(&cluster, 1, "/v1/kv/k", json!({"value": "unseen"}));
    let headers = [JSON, ("if-match", seen.as_str())];
    let late = cluster.request(1, "PUT", "/v1/kv/k", &headers, b"{\"value\": \"late\"}");
    assert_eq!(late.status, 200, "{}", late.text());
    assert_eq!(get(&cluster, 1, "/v1/kv/k").json()["value"], "late");
}

#[test]
fn counters_count_through_all_nodes() {
    let cluster = start(3, "conflict: {crdt: {type: pn_counter}}");
    for (node, by) in [(1, 5), (2, 4), (3, -2)] {
        let body = json!({"by": by}).to_string();
        let path = "/v1/kv/visits/increment?w=3";
        let added = cluster.request(node, "POST", path, &[], body.as_bytes());
        assert_eq!(added.status, 200, "{}", added.text());
    }
    for node in 1..=3 {
        let read = cluster.request(node, "GET", "/v1/kv/visits?r=3&json", &[], b"");
        assert_eq!(read.json()["value"], "7", "{}", read.text());
    }
}

#[test]
fn a_node_tells_of_itself() {
    let cluster = start(3, "");
    assert_eq!(get(&cluster, 1, "/health/live").status, 200);
    put_json(&cluster, 1, "/v1/kv/k", json!({"value": "v"}));
    get(&cluster, 1, "/v1/kv/k");
    let metrics = get(&cluster, 1, "/metrics").text();
    for line in [
        "quorate_requests_total{kind=\"put\",outcome=\"done\"} 1",
        "quorate_requests_total{kind=\"get\",outcome=\"done\"} 1",
        "quorate_request_duration_seconds_count{kind=\"put\"} 1",
        "quorate_peers{state=\"up\"} 2.0",
        "quorate_ready 1.0",
        "quorate_process_resident_bytes",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let status = get(&cluster, 2, "/v1/status").json();
    assert_eq!((&status["id"], &status["ready"]), (&json!(2), &json!(true)));
    let members = status["members"].as_array().unwrap();
    assert!(members.iter().all(|member| member["verdict"] == "up"), "{status}");
    let owned: f64 = members.iter().map(|member| member["owns_first"].as_f64().unwrap()).sum();
    assert!((owned - 1.0).abs() < 1e-9, "{owned}");
}
