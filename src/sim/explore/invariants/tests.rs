//! Each promise can be broken: a world that never did anything, and replies that are made up.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::message::Failure;
use crate::sim::log::Log;
use crate::sim::scenario::{Ask, Setup};
use crate::sim::world::{End, Return};
use quorate_strategies::conflict::{Payload, Shown, Version};

/// A history that somebody invents.
struct Fake {
    world: World,
    watch: Invariants,
    tags: ClientTag,
}

impl Fake {
    fn new(pairs: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let config = Setup(pairs.iter().map(pair).collect()).config().unwrap();
        let watch = Invariants::new(&config);
        Fake { world: World::new(config, Log::Off).unwrap(), watch, tags: 0 }
    }

    fn siblings() -> Self {
        Fake::new(&[("conflict", "vector_clock")])
    }

    fn counter() -> Self {
        Fake::new(&[("conflict", "crdt"), ("conflict.type", "pn_counter")])
    }

    fn tick(&mut self, us: u64) {
        let until_us = self.world.now_us() + us;
        while self.world.advance(until_us) {}
    }

    fn ask(&mut self, what: What, context: Option<Bytes>) -> Asked {
        self.tags += 1;
        let reads = what == What::Get;
        let ask = Ask {
            node: NodeId(1),
            key: "k".into(),
            what,
            level: reads.then_some(Level::All),
            name: None,
            context: None,
            ttl_ms: None,
            timeout_ms: None,
            background: false,
        };
        let asked = Asked { tag: self.tags, ask, context, at_us: self.world.now_us() };
        self.watch.asks(&self.world, &asked).unwrap();
        asked
    }

    fn put(&mut self, value: &'static str, context: Option<Bytes>) -> Asked {
        self.ask(What::Put(value.into()), context)
    }

    fn reply(&mut self, asked: &Asked, reply: Reply) -> Option<Promise> {
        let (tag, node) = (asked.tag, NodeId(1));
        let occurrence = Occurrence::Reply { tag, node, reply };
        let seen = self.watch.occurs(&self.world, &occurrence, Some(asked));
        assert_eq!(seen.is_err(), self.watch.violation().is_some());
        self.watch.violation().map(|violation| violation.promise)
    }

    /// Acknowledges a write of which no disk knows: every disk is taken to have lost it meanwhile.
    fn acknowledge(&mut self, asked: &Asked, token: Bytes) {
        let forgetful = Losses::new(Durability::Memory);
        let honest = std::mem::replace(&mut self.watch.losses, forgetful);
        for node in self.world.ids() {
            let how = Return { empty: true, epoch: None };
            self.watch.losses.note(self.world.now_us(), &Statement::Start { node, how });
        }
        assert_eq!(self.reply(asked, Reply::Written { context: token }), None);
        self.watch.losses = honest;
    }

    fn read(&mut self, shown: &[(&'static str, &Bytes)], context: &Bytes) -> Option<Promise> {
        let asked = self.ask(What::Get, None);
        let shown = shown.iter().map(|(value, version)| Shown {
            payload: Payload { value: (*value).into(), ..Payload::default() },
            version: Version((*version).clone()),
        });
        let answer = Answer { values: shown.collect(), context: context.clone() };
        self.reply(&asked, Reply::Read(answer))
    }
}

/// Big-endian numbers: a register's version, a vector, or a counter's rows.
fn numbers(numbers: &[u64]) -> Bytes {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A time of the world, `us` after its beginning, as versions have it.
fn stamp(us: u64) -> u64 {
    (crate::sim::WALL_START_US + us) << quorate_strategies::conflict::LOGICAL_BITS
}

const NONE: Bytes = Bytes::new();

#[test]
fn a_read_behind_an_acknowledged_write_is_found() {
    for (seen_us, broken) in [(10, None), (20, None), (9, Some(Promise::Durable))] {
        let mut fake = Fake::new(&[]);
        let older = numbers(&[stamp(seen_us), 1]);
        let first = fake.put("other", None);
        fake.acknowledge(&first, NONE);
        fake.tick(5);
        let write = fake.put("value", None);
        fake.acknowledge(&write, numbers(&[stamp(10), 1]));
        let value = if seen_us < 10 { "other" } else { "value" };
        assert_eq!(fake.read(&[(value, &older)], &older), broken, "{seen_us}");
    }
}

#[test]
fn what_a_read_has_shown_is_shown_by_the_next_one() {
    let mut fake = Fake::new(&[]);
    fake.put("value", None);
    let version = numbers(&[stamp(10), 1]);
    assert_eq!(fake.read(&[("value", &version)], &version), None);
    assert_eq!(fake.read(&[], &NONE), Some(Promise::Durable));
}

#[test]
fn a_copy_on_a_disk_that_was_lost_proves_nothing() {
    let mut fake = Fake::new(&[]);
    let write = fake.put("value", None);
    fake.acknowledge(&write, numbers(&[stamp(10), 1]));
    for node in [1, 2].map(NodeId) {
        let how = Return { empty: true, epoch: None };
        fake.watch.note(&fake.world, &Statement::Start { node, how });
    }
    assert_eq!(fake.read(&[], &NONE), None);
}

#[test]
fn an_acknowledgement_needs_its_copies() {
    let mut fake = Fake::new(&[]);
    let write = fake.put("value", None);
    let reply = Reply::Written { context: numbers(&[stamp(10), 1]) };
    assert_eq!(fake.reply(&write, reply), Some(Promise::Copies));
}

#[test]
fn a_value_that_nobody_wrote_is_found() {
    let mut fake = Fake::new(&[]);
    let version = numbers(&[stamp(10), 1]);
    assert_eq!(fake.read(&[("strange", &version)], &version), Some(Promise::Origin));
}

#[test]
fn one_version_of_two_writes_is_found() {
    let mut fake = Fake::new(&[]);
    fake.put("one", None);
    fake.put("two", None);
    let version = numbers(&[stamp(10), 1]);
    assert_eq!(fake.read(&[("one", &version)], &version), None);
    assert_eq!(fake.read(&[("two", &version)], &version), Some(Promise::Versions));
}

#[test]
fn one_write_with_two_versions_is_found() {
    let mut fake = Fake::siblings();
    fake.put("value", None);
    let (first, second) = (numbers(&[1, stamp(10)]), numbers(&[1, stamp(11)]));
    assert_eq!(fake.read(&[("value", &first)], &first), None);
    assert_eq!(fake.read(&[("value", &second)], &second), Some(Promise::Versions));
}

#[test]
fn what_was_not_done_must_not_be_seen_before_or_after() {
    let refused = || Reply::Failed(Failure::TooFewReplicas { needed: 2, alive: 1 });
    let unknown = || Reply::Failed(Failure::TimedOut { acks: 1, needed: 2, maybe_done: true });
    let version = numbers(&[stamp(10), 1]);
    for (reply, broken) in [(refused(), Some(Promise::Honest)), (unknown(), None)] {
        let mut after = Fake::new(&[]);
        let write = after.put("value", None);
        assert_eq!(after.reply(&write, reply.clone()), None);
        assert_eq!(after.read(&[("value", &version)], &version), broken);
        let mut before = Fake::new(&[]);
        let write = before.put("value", None);
        assert_eq!(before.read(&[("value", &version)], &version), None);
        assert_eq!(before.reply(&write, reply), broken);
    }
}

#[test]
fn a_change_after_its_deadline_is_found_unless_clocks_are_wrong() {
    for skewed in [false, true] {
        let mut fake = Fake::new(&[("write_timeout", "300ms")]);
        if skewed {
            let statement = Statement::ClockOffset { node: NodeId(1), us: 5 };
            fake.watch.begins(&fake.world, &statement).unwrap();
        }
        fake.put("value", None);
        let version = numbers(&[stamp(900_000), 1]);
        let broken = fake.read(&[("value", &version)], &version);
        assert_eq!(broken, (!skewed).then_some(Promise::InTime));
    }
}

#[test]
fn a_write_whose_coordinator_stands_still_ends_after_it_goes_on() {
    for (resumed, broken) in [(2, None), (1, Some(Promise::InTime))] {
        let mut fake = Fake::new(&[("write_timeout", "300ms"), ("read_timeout", "300ms")]);
        fake.watch.begins(&fake.world, &Statement::Pause { node: NodeId(1) }).unwrap();
        fake.put("value", None);
        let resume = Statement::Resume { node: NodeId(resumed) };
        fake.watch.begins(&fake.world, &resume).unwrap();
        let version = numbers(&[stamp(900_000), 1]);
        assert_eq!(fake.read(&[("value", &version)], &version), broken);
    }
}

#[test]
fn what_ended_before_a_write_began_does_not_hide_it() {
    let mut fake = Fake::new(&[]);
    let old = fake.put("old", None);
    fake.acknowledge(&old, numbers(&[stamp(5), 1]));
    fake.tick(1_000);
    let new = fake.put("new", None);
    fake.acknowledge(&new, numbers(&[stamp(1_100), 1]));
    let version = numbers(&[stamp(1_200), 2]);
    assert_eq!(fake.read(&[("old", &version)], &version), Some(Promise::InTime));
}

#[test]
fn a_sibling_stays_until_a_writer_that_saw_it_replaces_it() {
    let (dot, other) = (numbers(&[1, stamp(10)]), numbers(&[2, stamp(20)]));
    let both = numbers(&[1, stamp(10), 2, stamp(20)]);
    for (context, broken) in [(None, Some(Promise::Durable)), (Some(dot.clone()), None)] {
        let mut fake = Fake::siblings();
        let lost = fake.put("lost", None);
        assert_eq!(fake.read(&[("lost", &dot)], &dot), None);
        fake.acknowledge(&lost, dot.clone());
        fake.put("other", context);
        assert_eq!(fake.read(&[("other", &other)], &both), broken);
    }
}

#[test]
fn what_was_replaced_does_not_return() {
    let (dot, both) = (numbers(&[1, stamp(10)]), numbers(&[1, stamp(10), 2, stamp(20)]));
    let mut fake = Fake::siblings();
    fake.put("gone", None);
    assert_eq!(fake.read(&[("gone", &dot)], &dot), None);
    let write = fake.put("new", Some(dot.clone()));
    fake.acknowledge(&write, both.clone());
    assert_eq!(fake.read(&[("gone", &dot)], &both), Some(Promise::Gone));
}

#[test]
fn a_counter_is_between_what_is_certain_and_what_is_possible() {
    for (value, broken) in [
        ("4", Some(Promise::Durable)),
        ("5", None),
        ("7", None),
        ("10", None),
        ("11", Some(Promise::Durable)),
    ] {
        let mut fake = Fake::counter();
        let done = fake.ask(What::Add(8), None);
        fake.acknowledge(&done, NONE);
        fake.ask(What::Add(2), None);
        fake.ask(What::Add(-3), None);
        assert_eq!(fake.read(&[(value, &NONE)], &NONE), broken, "{value}");
    }
}

#[test]
fn a_reply_comes_once_and_in_time() {
    let mut fake = Fake::new(&[("write_timeout", "300ms")]);
    let write = fake.put("value", None);
    let failed = Reply::Failed(Failure::Disconnected { maybe_done: true });
    assert_eq!(fake.reply(&write, failed.clone()), None);
    assert_eq!(fake.reply(&write, failed), Some(Promise::Replies));

    let mut fake = Fake::new(&[("write_timeout", "300ms")]);
    fake.put("value", None);
    fake.tick(310_000);
    assert_eq!(fake.watch.happens(&fake.world), Ok(()));
    fake.tick(10_000);
    assert!(fake.watch.happens(&fake.world).unwrap_err().contains("no reply"));
}

#[test]
fn a_read_of_all_must_succeed_when_all_is_mended() {
    let failed = || Reply::Failed(Failure::TooFewReplicas { needed: 3, alive: 2 });
    for (mended, broken) in [(false, None), (true, Some(Promise::Available))] {
        let mut fake = Fake::new(&[]);
        let cut = Statement::Cut { from: NodeId(1), to: NodeId(2) };
        fake.watch.begins(&fake.world, &cut).unwrap();
        if mended {
            fake.watch.begins(&fake.world, &Statement::Heal).unwrap();
        }
        fake.tick(RECOVERY_US);
        let asked = fake.ask(What::Get, None);
        assert_eq!(fake.reply(&asked, failed()), broken);
    }
}

#[test]
fn replicas_that_differ_after_a_read_of_all_are_found() {
    let mut fake = Fake::new(&[]);
    fake.tick(RECOVERY_US);
    let key = Bytes::from("k");
    assert_eq!(fake.read(&[], &NONE), None);
    assert_eq!(fake.watch.agree(&fake.world, &key), Ok(()));
    // A write that only its first owner has seen yet.
    let request = crate::message::Request {
        key: key.clone(),
        operation: crate::message::Operation::Put {
            value: "value".into(),
            content_type: NONE,
            flags: 0,
            ttl_ms: None,
        },
        level: Some(Level::One),
        context: None,
        timeout_ms: None,
    };
    let owner = fake.world.owners(&key)[0];
    fake.world.submit(owner, 99, request).unwrap();
    fake.tick(200);
    let differs = fake.watch.agree(&fake.world, &key).unwrap_err();
    assert_eq!(differs.promise, Promise::Converges);
}

#[test]
fn a_queue_beyond_its_limit_is_found() {
    let mut fake = Fake::new(&[]);
    fake.tick(50_000);
    let request = || crate::message::Request {
        key: "k".into(),
        operation: crate::message::Operation::Get,
        level: None,
        context: None,
        timeout_ms: None,
    };
    for tag in 1..=3 {
        fake.world.submit(NodeId(1), tag, request()).unwrap();
    }
    assert_eq!(fake.watch.bounded(&fake.world), Ok(()));
    fake.watch.config.cluster.limits.in_flight = 2;
    assert_eq!(fake.watch.bounded(&fake.world).unwrap_err().promise, Promise::Bounds);
}

#[test]
fn a_life_that_repeats_itself_is_found() {
    let mut fake = Fake::new(&[]);
    let end = Statement::End { node: NodeId(1), how: End::Crash };
    fake.watch.begins(&fake.world, &end).unwrap();
    let start = Statement::Start { node: NodeId(1), how: Return::default() };
    fake.watch.begins(&fake.world, &start).unwrap();
    // The world did not restart anybody: the same life once more.
    let again = fake.watch.begins(&fake.world, &Statement::Tick(1)).unwrap_err();
    assert!(again.starts_with("lives: n1"), "{again}");
}
