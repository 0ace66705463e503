//! Writes: one stamp, W durable copies, three outcomes.

use super::*;
use crate::message::Outcome;
use quorate_strategies::conflict::Content;

#[test]
fn a_write_at_quorum_is_read_back_through_every_node() {
    let mut cluster = Cluster::three();
    token(cluster.call(1, put("apple", "red")));
    for node in 1..=3 {
        assert_eq!(values(cluster.call(node, get("apple"))), ["red"]);
    }
    token(cluster.call(2, put("apple", "green")));
    assert_eq!(values(cluster.call(3, get("apple"))), ["green"]);
    token(cluster.call(3, delete("apple")));
    assert!(values(cluster.call(1, get("apple"))).is_empty());
    cluster.settle();
}

#[test]
fn a_coordinator_that_owns_nothing_of_the_key_serves_it_all_the_same() {
    let mut cluster = Cluster::start(settings(5, 3));
    let owners = cluster.node(1).routing.owners(b"apple").to_vec();
    let stranger = (1..=5).find(|id| !owners.contains(&NodeId(*id))).unwrap();
    let token = token(cluster.call(stranger, put("apple", "red")));
    assert_eq!(answer(cluster.call(stranger, get("apple"))).context, token);
    cluster.settle();
    for id in 1..=5 {
        let holds = cluster.stored(id, "apple").is_some();
        assert_eq!(holds, owners.contains(&NodeId(id)), "node {id}");
    }
}

#[test]
fn all_replicas_hold_the_same_bytes_of_one_write() {
    let mut cluster = Cluster::three();
    cluster.call(2, put("apple", "red"));
    cluster.settle();
    let records = (1..=3).map(|id| cluster.stored(id, "apple").unwrap()).collect::<Vec<_>>();
    assert_eq!(records[0], records[1]);
    assert_eq!(records[1], records[2]);
}

#[test]
fn requests_that_no_cluster_could_serve_are_invalid() {
    let mut cluster = Cluster::three();
    let long = Bytes::from(vec![b'k'; 257]);
    let large = Bytes::from(vec![0; (1 << 20) + 1]);
    let with = |value: Bytes, ttl_ms| {
        let content_type = Bytes::new();
        request("apple", Operation::Put { value, content_type, flags: 0, ttl_ms })
    };
    let typed = request(
        "apple",
        Operation::Put {
            value: Bytes::new(),
            content_type: vec![b'x'; 257].into(),
            flags: 0,
            ttl_ms: None,
        },
    );
    let cases = [
        (get(""), "the key has 0 bytes; allowed: 1 to 256"),
        (Request { key: long, ..get("") }, "the key has 257 bytes; allowed: 1 to 256"),
        (with(large, None), "the value has 1048577 bytes; allowed: at most 1048576"),
        (with(Bytes::new(), Some(0)), "the time to live is 0 ms; allowed: 1 and more"),
        (
            Request { timeout_ms: Some(0), ..get("apple") },
            "the timeout is 0 ms; allowed: 1 to 3600000",
        ),
        (
            Request { timeout_ms: Some(u32::MAX), ..get("apple") },
            "the timeout is 4294967295 ms; allowed: 1 to 3600000",
        ),
        (
            Request { context: Some(vec![0; 65_537].into()), ..get("apple") },
            "the context has 65537 bytes; allowed: at most 65536",
        ),
        (typed, "the content type has 257 bytes; allowed: at most 256"),
        (
            at(Level::Exactly(4), put("apple", "red")),
            "level 4 needs 4 replicas; allowed: 1 to 3, the copies of each key",
        ),
        (
            at(Level::Exactly(4), get("apple")),
            "level 4 needs 4 replicas; allowed: 1 to 3, the copies of each key",
        ),
    ];
    for (request, why) in cases {
        let reply = failure(cluster.call(1, request));
        assert_eq!(reply, Failure::Invalid(why.to_string()));
        assert_eq!(reply.outcome(), Outcome::NotDone);
    }
}

#[test]
fn too_few_live_replicas_are_refused_before_anything_is_sent() {
    let mut cluster = Cluster::three();
    cluster.crash(NodeId(3));
    cluster.run(1_000 * MS);
    let refused = failure(cluster.call(1, at(Level::All, put("apple", "red"))));
    assert_eq!(refused, Failure::TooFewReplicas { needed: 3, alive: 2 });
    assert_eq!(refused.outcome(), Outcome::NotDone);
    assert_eq!(cluster.stored(1, "apple"), None);
    token(cluster.call(1, put("apple", "red")));
}

#[test]
fn a_silent_replica_that_is_not_yet_known_to_be_down_leaves_a_write_unknown() {
    let mut cluster = Cluster::three();
    cluster.isolate(3);
    let unknown = failure(cluster.call(1, at(Level::All, put("apple", "red"))));
    assert_eq!(unknown, Failure::TimedOut { acks: 2, needed: 3, maybe_done: true });
    assert_eq!(unknown.outcome(), Outcome::Unknown);
    assert!(cluster.stored(1, "apple").is_some(), "a timed out write is not rolled back");
}

#[test]
fn two_answers_of_one_replica_count_once() {
    let mut cluster = Cluster::three();
    cluster.isolate(3);
    cluster.repeats.push(Box::new(|_, _, message| matches!(message, Message::Stored { .. })));
    let unknown = failure(cluster.call(1, at(Level::All, put("apple", "red"))));
    assert_eq!(unknown, Failure::TimedOut { acks: 2, needed: 3, maybe_done: true });
}

#[test]
fn acknowledgements_after_the_reply_are_measured_as_lag() {
    let mut cluster = Cluster::three();
    cluster.process(3).save_us = 40 * MS;
    token(cluster.call(1, put("apple", "red")));
    assert_eq!(cluster.node(1).status().in_flight.lingering, 1);
    cluster.run(100 * MS);
    let lag = &cluster.counters(1).lag;
    assert_eq!(lag.count, 1);
    assert!((35 * MS..45 * MS).contains(&lag.sum_us), "{lag:?}");
    assert_eq!(cluster.node(1).status().in_flight, InFlight::default());
}

#[test]
fn a_replica_whose_disk_failed_stamps_nothing_more_and_another_takes_its_place() {
    let mut settings = settings(3, 3);
    let kind = serde_json::json!({"type": "pn_counter"}).as_object().cloned().unwrap();
    settings.conflict = Choice::new("crdt", kind).unwrap();
    let mut cluster = Cluster::start(settings);
    let add = |by| request("apple", Operation::Increment(by));
    token(cluster.call(1, add(5)));
    cluster.settle();
    cluster.process(1).fails_saves = true;
    for _ in 0..10 {
        token(cluster.call(1, add(1)));
    }
    assert_eq!(values(cluster.call(2, get("apple"))), ["15"]);
}

#[test]
fn a_write_is_refused_as_soon_as_its_level_cannot_be_met() {
    let mut cluster = Cluster::three();
    cluster.process(2).fails_saves = true;
    cluster.process(3).fails_saves = true;
    let before_us = cluster.now_us;
    let refused = failure(cluster.call(1, put("apple", "red")));
    assert!(cluster.now_us - before_us < 10 * MS, "long before the deadline");
    assert!(matches!(refused, Failure::Refused { needed: 2, .. }), "{refused}");
    assert_eq!(refused.outcome(), Outcome::Unknown);
}

#[test]
fn a_change_that_the_resolver_refuses_is_certainly_not_done() {
    let mut cluster = Cluster::three();
    let refused = failure(cluster.call(1, request("apple", Operation::Increment(1))));
    assert!(matches!(refused, Failure::WrongChange(_)), "{refused}");
    assert_eq!(refused.outcome(), Outcome::NotDone);
    cluster.settle();
    assert_eq!(cluster.stored(1, "apple"), None);
}

#[test]
fn a_full_table_answers_overloaded() {
    let mut settings = settings(3, 3);
    settings.limits.in_flight = 2;
    let mut cluster = Cluster::start(settings);
    let first = cluster.send(1, put("apple", "red"));
    let second = cluster.send(1, get("pear"));
    let third = cluster.send(1, put("plum", "blue"));
    let refused = failure(cluster.wait(third));
    assert!(matches!(refused, Failure::Overloaded { .. }), "{refused}");
    assert_eq!(refused.outcome(), Outcome::NotDone);
    token(cluster.wait(first));
    answer(cluster.wait(second));
    token(cluster.call(1, put("plum", "blue")));
}

#[test]
fn answered_writes_that_wait_for_a_silent_replica_do_not_fill_the_table() {
    let mut settings = settings(3, 3);
    settings.limits.in_flight = 4;
    let mut cluster = Cluster::start(settings);
    cluster.isolate(3);
    for _ in 0..40 {
        token(cluster.call(1, put("apple", "red")));
    }
    assert_eq!(cluster.node(1).status().in_flight.lingering, 4);
    assert_eq!(cluster.counters(1).never_acknowledged, 36);
    cluster.settle();
}

#[test]
fn a_time_to_live_becomes_one_instant_on_all_replicas() {
    let mut cluster = Cluster::empty(settings(3, 3));
    for (id, offset_us) in [(1, 0), (2, 400_000), (3, -400_000)] {
        cluster.wall_offset_us.insert(NodeId(id), offset_us);
        cluster.boot(NodeId(id), 100);
    }
    cluster.run(50 * MS);
    let (value, content_type) = (Bytes::from_static(b"red"), Bytes::new());
    let ttl_ms = Some(5_000);
    let operation = Operation::Put { value, content_type, flags: 0, ttl_ms };
    token(cluster.call(1, request("apple", operation)));
    cluster.run(100 * MS);
    let instants =
        (1..=3).map(|id| match &cluster.stored(id, "apple").unwrap().siblings[0].content {
            Content::Live(payload) => payload.expires_at_ms.unwrap(),
            Content::Tombstone => panic!("a put leaves no tombstone"),
        });
    let instants = instants.collect::<Vec<_>>();
    assert_eq!(instants[0], instants[1]);
    assert_eq!(instants[1], instants[2]);
    let planned = (WALL_US + 1_050_000) / 1_000 + 5_000;
    assert!((planned..planned + 500).contains(&instants[0]), "{} {planned}", instants[0]);
    assert_eq!(values(cluster.call(2, get("apple"))), ["red"]);
    cluster.run(6_000 * MS);
    assert!(values(cluster.call(3, get("apple"))).is_empty());
}

#[test]
fn a_stamp_that_never_reaches_the_coordinator_is_not_made_twice() {
    let mut cluster = Cluster::start(settings(5, 3));
    let owners = cluster.node(1).routing.owners(b"apple").to_vec();
    let stranger = (1..=5).find(|id| !owners.contains(&NodeId(*id))).unwrap();
    cluster.lose(|_, _, message| matches!(message, Message::Applied { .. }));
    let unknown = failure(cluster.call(stranger, at(Level::One, put("apple", "red"))));
    assert_eq!(unknown, Failure::TimedOut { acks: 1, needed: 1, maybe_done: true });
    cluster.settle();
    let holders = (1..=5).filter(|id| cluster.stored(*id, "apple").is_some()).count();
    assert_eq!(holders, 1, "the stamping replica alone; read repair will spread it");
}

#[test]
fn an_owner_with_a_newer_topology_refuses_and_the_coordinator_says_so() {
    let mut cluster = Cluster::start(settings(3, 3));
    for id in [2, 3] {
        cluster.crash(NodeId(id));
        cluster.settings.topology.epoch = 2;
        cluster.boot(NodeId(id), 101);
    }
    cluster.run(50 * MS);
    let refused = failure(cluster.call(1, put("apple", "red")));
    let reason = "the request's topology epoch is older than this replica's, 2";
    assert!(refused.to_string().contains(reason), "{refused}");
    assert_eq!(refused.outcome(), Outcome::Unknown, "node 1 itself stored it");
    assert_eq!(cluster.node(1).status().newest_epoch, 2);
    assert_eq!(cluster.counters(2).refused_stale_epoch, 1);
    token(cluster.call(2, put("apple", "red")));
}
