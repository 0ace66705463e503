//! Reads: R answers, merged; what is behind is repaired before the reply.

use super::*;
use crate::config::ReadFanout;
use crate::message::Outcome;
use quorate_strategies::{Conflict, Family};

/// A cluster in which node 3 missed a write of "apple" that nodes 1 and 2 hold.
fn with_stale_third(settings: Settings) -> Cluster {
    let mut cluster = Cluster::start(settings);
    cluster.isolate(3);
    token(cluster.call(1, put("apple", "red")));
    cluster.run(5 * MS);
    cluster.heal();
    assert_eq!(cluster.stored(3, "apple"), None);
    cluster
}

#[test]
fn a_stale_replica_is_repaired_before_the_reply() {
    let mut cluster = with_stale_third(settings(3, 3));
    assert_eq!(values(cluster.call(3, get("apple"))), ["red"]);
    assert_eq!(cluster.stored(3, "apple"), cluster.stored(1, "apple"));
    assert_eq!((cluster.counters(3).read_repairs, cluster.counters(3).repair_merges), (1, 1));
    assert_eq!(values(cluster.call(3, get("apple"))), ["red"]);
    assert_eq!(cluster.counters(3).read_repairs, 1, "nothing differs any more");
    cluster.settle();
}

#[test]
fn a_tombstone_shadows_and_is_sent_in_repairs() {
    let mut cluster = Cluster::three();
    token(cluster.call(1, at(Level::All, put("apple", "red"))));
    cluster.isolate(3);
    token(cluster.call(1, delete("apple")));
    cluster.run(5 * MS);
    cluster.heal();
    assert!(values(cluster.call(3, get("apple"))).is_empty());
    assert!(cluster.stored(3, "apple").unwrap().is_deleted());
    cluster.settle();
}

#[test]
fn a_read_whose_repair_is_not_confirmed_fails_and_changes_nothing_else() {
    let mut cluster = with_stale_third(settings(3, 3));
    cluster.process(3).save_us = 20_000 * MS;
    cluster.lose(|_, to, message| to == NodeId(2) && matches!(message, Message::Read { .. }));
    let read = Request { timeout_ms: Some(100), ..get("apple") };
    let failed = failure(cluster.call(3, read));
    assert_eq!(failed, Failure::TimedOut { acks: 1, needed: 2, maybe_done: false });
    assert_eq!(failed.outcome(), Outcome::NotDone);
}

#[test]
fn a_silent_replica_is_hedged_by_the_one_that_was_left_out() {
    let mut cluster = with_stale_third(settings(3, 3));
    let second = cluster.node(1).routing.owners(b"apple").to_vec();
    let second = second.into_iter().find(|id| *id != NodeId(1)).unwrap();
    cluster.lose(move |_, to, message| to == second && matches!(message, Message::Read { .. }));
    let before_us = cluster.now_us;
    assert_eq!(values(cluster.call(1, get("apple"))), ["red"]);
    let took_us = cluster.now_us - before_us;
    assert!((50 * MS..70 * MS).contains(&took_us), "{took_us}");
    assert_eq!(cluster.counters(1).hedges, 1);
    cluster.settle();
}

#[test]
fn a_replica_that_refuses_is_replaced_at_once() {
    let mut cluster = with_stale_third(settings(3, 3));
    let junk = Bytes::from_static(b"no record");
    cluster.disks.get_mut(&NodeId(1)).unwrap().insert(Bytes::from_static(b"apple"), junk);
    let before_us = cluster.now_us;
    assert_eq!(values(cluster.call(1, get("apple"))), ["red"]);
    assert!(cluster.now_us - before_us < 10 * MS, "no need to wait for the hedge");
    assert_eq!(cluster.counters(1).refused_storage, 1);
    cluster.settle();
}

#[test]
fn a_read_fails_when_too_many_replicas_refuse() {
    let mut cluster = Cluster::three();
    for id in 1..=2 {
        let junk = Bytes::from_static(b"no record");
        cluster.disks.get_mut(&NodeId(id)).unwrap().insert(Bytes::from_static(b"apple"), junk);
    }
    let failed = failure(cluster.call(3, get("apple")));
    assert!(matches!(failed, Failure::Refused { acks: 1, needed: 2, .. }), "{failed}");
    assert_eq!(failed.outcome(), Outcome::NotDone);
    cluster.settle();
}

#[test]
fn a_read_of_one_replica_with_full_fanout_repairs_behind_the_scenes() {
    let mut settings = settings(3, 3);
    settings.replication.read_fanout = ReadFanout::All;
    let mut cluster = with_stale_third(settings);
    assert!(values(cluster.call(3, at(Level::One, get("apple")))).is_empty(), "R=1 may be stale");
    cluster.run(10 * MS);
    assert_eq!(cluster.stored(3, "apple"), cluster.stored(1, "apple"));
    assert_eq!(values(cluster.call(3, at(Level::One, get("apple")))), ["red"]);
    cluster.settle();
}

#[test]
fn a_read_sees_only_what_is_durable() {
    let mut cluster = Cluster::three();
    cluster.process(1).save_us = 50 * MS;
    let write = cluster.send(1, at(Level::All, put("apple", "red")));
    cluster.run(20 * MS);
    assert!(values(cluster.call(1, at(Level::One, get("apple")))).is_empty());
    token(cluster.wait(write));
    assert_eq!(values(cluster.call(1, at(Level::One, get("apple")))), ["red"]);
}

#[test]
fn concurrent_writes_end_alike_everywhere_under_every_resolver() {
    for entry in Conflict::entries() {
        let conflict = Choice::<Conflict>::named(entry.name).unwrap();
        let keeps = conflict.build().keeps_concurrent();
        let mut cluster = Cluster::start(Settings { conflict, ..settings(3, 3) });
        cluster.lose(|_, _, message| matches!(message, Message::Merge { .. }));
        for (id, value) in [(1, "red"), (2, "green")] {
            token(cluster.call(id, at(Level::One, put("apple", value))));
        }
        cluster.heal();
        let shown = values(cluster.call(3, at(Level::All, get("apple"))));
        let expected = if keeps { 2 } else { 1 };
        assert_eq!(shown.len(), expected, "{}: {shown:?}", entry.name);
        cluster.settle();
        let held = cluster.stored(1, "apple");
        assert!(held.is_some());
        assert_eq!(held, cluster.stored(2, "apple"), "{}", entry.name);
        assert_eq!(held, cluster.stored(3, "apple"), "{}", entry.name);
    }
}

#[test]
fn a_write_that_saw_the_siblings_replaces_them_under_every_resolver() {
    for entry in Conflict::entries() {
        let conflict = Choice::<Conflict>::named(entry.name).unwrap();
        let mut cluster = Cluster::start(Settings { conflict, ..settings(3, 3) });
        for id in 1..=2 {
            token(cluster.call(id, at(Level::All, put("apple", "red"))));
        }
        let context = Some(answer(cluster.call(3, get("apple"))).context);
        token(cluster.call(3, Request { context, ..put("apple", "blue") }));
        assert_eq!(values(cluster.call(1, get("apple"))), ["blue"], "{}", entry.name);
        cluster.settle();
    }
}
