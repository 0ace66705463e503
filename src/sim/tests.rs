//! The world as its drivers use it.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Timing;
use crate::message::{Failure, Level, Operation, Reply, Request};
use crate::node::Event;
use bytes::Bytes;
use quorate_strategies::NodeId;

const MS: u64 = 1_000;

fn request(key: &'static str, operation: Operation) -> Request {
    let key = Bytes::from_static(key.as_bytes());
    Request { key, operation, level: None, context: None, timeout_ms: None }
}

fn put(key: &'static str, value: &'static str) -> Request {
    let value = Bytes::from_static(value.as_bytes());
    request(key, Operation::Put { value, content_type: Bytes::new(), flags: 0, ttl_ms: None })
}

fn get(key: &'static str) -> Request {
    request(key, Operation::Get)
}

fn world(nodes: u16, seed: u64) -> World {
    let mut config = Config::of(nodes, seed);
    config.cluster.timing =
        Timing { heartbeat_interval_ms: 100, gossip_interval_ms: 100, ..Timing::default() };
    config.network.delay = "exponential(1ms)".parse().unwrap();
    let mut world = World::new(config, Log::text()).unwrap();
    run(&mut world, 50 * MS);
    world
}

/// Lets time pass and collects what occurred.
fn run(world: &mut World, for_us: u64) -> Vec<Occurrence> {
    let until_us = world.now_us() + for_us;
    while world.advance(until_us) {}
    std::iter::from_fn(|| world.occurrence()).collect()
}

fn call(world: &mut World, node: u64, request: Request) -> Reply {
    let tag = world.now_us() + 1;
    world.submit(NodeId(node), tag, request).unwrap();
    let until_us = world.now_us() + 20_000 * MS;
    loop {
        while let Some(occurrence) = world.occurrence() {
            match occurrence {
                Occurrence::Reply { tag: replied, reply, .. } if replied == tag => return reply,
                _ => {}
            }
        }
        assert!(world.advance(until_us), "no reply");
    }
}

fn values(reply: Reply) -> Vec<Bytes> {
    match reply {
        Reply::Read(answer) => answer.values.into_iter().map(|it| it.payload.value).collect(),
        other => panic!("expected values, found {other:?}"),
    }
}

/// A life with everything in it.
fn eventful(seed: u64) -> World {
    let mut world = world(5, seed);
    let lossy = Link { loss: 0.05, duplicate: 0.05, reorder: 0.1, ..world.config().network };
    world.set_network(lossy);
    world.set_clock_drift(NodeId(2), 900).unwrap();
    for round in 0..40 {
        world.submit(NodeId(round % 5 + 1), round, put("a", "1")).unwrap();
        world.submit(NodeId((round + 2) % 5 + 1), 100 + round, get("a")).unwrap();
        run(&mut world, 7 * MS);
        match round {
            5 => world.end(NodeId(3), End::PowerCut).unwrap(),
            9 => world.pause(NodeId(1)).unwrap(),
            12 => world.resume(NodeId(1)).unwrap(),
            15 => world.start(NodeId(3), Return::default()).unwrap(),
            20 => world.cut(NodeId(1), NodeId(2)).unwrap(),
            30 => world.heal(),
            _ => {}
        }
    }
    run(&mut world, 500 * MS);
    world
}

#[test]
fn a_quorum_write_is_read_anywhere() {
    let mut world = world(5, 1);
    assert!(matches!(call(&mut world, 4, put("color", "red")), Reply::Written { .. }));
    for node in 1..=5 {
        assert_eq!(values(call(&mut world, node, get("color"))), ["red"]);
    }
}

#[test]
fn equal_seeds_give_equal_logs_and_others_do_not() {
    let logs = [7, 7, 8].map(|seed| eventful(seed).log().lines().to_string());
    assert!(logs[0].lines().count() > 2_000);
    assert_eq!(logs[0], logs[1]);
    assert_ne!(logs[0], logs[2]);
}

#[test]
fn an_acknowledged_write_survives_the_death_of_all() {
    let mut world = world(3, 2);
    assert!(matches!(call(&mut world, 1, put("color", "red")), Reply::Written { .. }));
    for id in world.ids() {
        world.end(id, End::PowerCut).unwrap();
    }
    for id in world.ids() {
        world.start(id, Return::default()).unwrap();
    }
    run(&mut world, 300 * MS);
    assert_eq!(values(call(&mut world, 2, get("color"))), ["red"]);
}

#[test]
fn a_client_of_a_node_that_ends_is_told_and_a_dead_node_takes_no_request() {
    let mut world = world(3, 3);
    world.submit(NodeId(1), 77, put("color", "red")).unwrap();
    world.end(NodeId(1), End::Crash).unwrap();
    let lost = Reply::Failed(Failure::Disconnected { maybe_done: true });
    let told = run(&mut world, MS);
    assert!(
        told.contains(&Occurrence::Reply { tag: 77, node: NodeId(1), reply: lost }),
        "{told:?}"
    );
    let refused = Reply::Failed(Failure::Disconnected { maybe_done: false });
    assert_eq!(call(&mut world, 1, get("color")), refused);
    assert_eq!(world.end(NodeId(1), End::Crash), Err(Impossible::NotRunning { node: NodeId(1) }));
    let nobody = Impossible::NoSuchNode { found: NodeId(9), nodes: 3 };
    assert_eq!(world.pause(NodeId(9)), Err(nobody));
}

#[test]
fn a_paused_node_answers_when_it_goes_on_and_judges_nobody_for_its_own_sleep() {
    let mut world = world(3, 4);
    world.pause(NodeId(1)).unwrap();
    let ask = Request { level: Some(Level::One), ..get("color") };
    world.submit(NodeId(1), 5, ask).unwrap();
    assert!(!run(&mut world, 3_000 * MS).iter().any(|it| matches!(it, Occurrence::Reply { .. })));
    world.resume(NodeId(1)).unwrap();
    let after = run(&mut world, 20 * MS);
    assert!(after.iter().any(|it| matches!(it, Occurrence::Reply { tag: 5, .. })), "{after:?}");
    let judged = |it: &Occurrence| {
        let event = Event::PeerDown { peer: NodeId(2) };
        *it == Occurrence::Event { node: NodeId(1), event }
    };
    assert!(!after.iter().any(judged), "{after:?}");
}

#[test]
fn what_is_held_arrives_when_it_is_released() {
    let mut world = world(3, 5);
    for to in [2, 3] {
        world.hold(NodeId(1), NodeId(to)).unwrap();
    }
    world.submit(NodeId(1), 5, put("color", "red")).unwrap();
    assert!(!run(&mut world, 100 * MS).iter().any(|it| matches!(it, Occurrence::Reply { .. })));
    world.release_all();
    let after = run(&mut world, 50 * MS);
    assert!(after.iter().any(|it| matches!(it, Occurrence::Reply { tag: 5, .. })), "{after:?}");
}
