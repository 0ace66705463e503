//! One node alone, message by message: latches, durability, refusals.

use super::*;
use crate::message::{Refused, RequestId};
use quorate_strategies::conflict::{Change, Payload, Stamp};

/// Node 1 of three, and a peer that sends it what it likes.
struct Solo {
    node: Node,
    now: Now,
    /// Batches that the peer has sent.
    sent: u64,
}

const PEER: NodeId = NodeId(2);
/// A second after the start.
const LATER_US: u64 = 2_000_000;
const KEY: Bytes = Bytes::from_static(b"apple");

impl Solo {
    fn new() -> Solo {
        let now = Now { mono_us: 1_000_000, wall_us: WALL_US };
        let boot = Boot { incarnation: 1, actor: 77 };
        let node = Node::new(settings(3, 3), boot, now, &mut Vec::new()).unwrap();
        Solo { node, now, sent: 0 }
    }

    /// What the node does, timers aside.
    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.node.step(self.now, input, &mut out);
        out.retain(|effect| !matches!(effect, Effect::Timer { .. }));
        out
    }

    fn tell(&mut self, message: Message) -> Vec<Effect> {
        self.tell_at_epoch(1, message)
    }

    fn tell_at_epoch(&mut self, epoch: u64, message: Message) -> Vec<Effect> {
        let clock = WALL_US << 12;
        let (to, incarnation, sent_us) = (NodeId(1), 1, self.now.mono_us);
        self.sent += 1;
        let (from, wall_us, sequence) = (PEER, WALL_US, self.sent);
        let heard = Heard { incarnation: 1, sent_us };
        let header =
            Header { from, to, epoch, clock, incarnation, sent_us, wall_us, sequence, heard };
        self.step(Input::Peer { header, messages: vec![message] })
    }

    /// Sends a message that must lead to a load, and gives its ticket.
    fn tell_and_load(&mut self, message: Message) -> Ticket {
        match self.tell(message).as_slice() {
            [Effect::Load { ticket, .. }] => *ticket,
            other => panic!("expected one load, found {other:?}"),
        }
    }
}

fn record(time: u64, value: &'static str) -> Record {
    let payload = Payload { value: Bytes::from_static(value.as_bytes()), ..Payload::default() };
    let stamp = Stamp { actor: 5, time };
    let resolver = settings(3, 3).conflict.build();
    resolver.apply(None, &Change::Put(payload), None, stamp).unwrap()
}

fn merge(id: RequestId, record: Record) -> Message {
    Message::Merge { id, key: KEY, record, deadline_us: LATER_US }
}

fn apply(id: RequestId, value: &'static str) -> Message {
    let payload = Payload { value: Bytes::from_static(value.as_bytes()), ..Payload::default() };
    let change = Change::Put(payload);
    Message::Apply { id, key: KEY, change, context: None, deadline_us: LATER_US }
}

/// The save among some effects: ticket and bytes.
fn save(effects: &[Effect]) -> (Ticket, Record) {
    let saves = effects.iter().filter_map(|effect| match effect {
        Effect::Save { ticket, record, .. } => Some((*ticket, record.clone())),
        _ => None,
    });
    let saves = saves.collect::<Vec<_>>();
    assert_eq!(saves.len(), 1, "{effects:?}");
    (saves[0].0, Record::decode(saves[0].1.clone()).unwrap())
}

/// What is sent to the peer, as text.
fn sent(effects: &[Effect]) -> Vec<Message> {
    let messages = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: PEER, message } => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

#[test]
fn changes_of_one_key_queue_behind_its_load_and_are_made_in_order() {
    let mut solo = Solo::new();
    let ticket = solo.tell_and_load(apply(1, "red"));
    assert!(solo.tell(apply(2, "green")).is_empty(), "waits in the latch");
    assert_eq!(solo.node.status().in_flight.queued, 2);
    let effects = solo.step(Input::Loaded { ticket, result: Ok(None) });
    let saves = effects.iter().filter_map(|effect| match effect {
        Effect::Save { record, .. } => Some(Record::decode(record.clone()).unwrap()),
        _ => None,
    });
    let saves = saves.collect::<Vec<_>>();
    let resolver = settings(3, 3).conflict.build();
    let shown = |record| resolver.answer(record, 0).values[0].payload.value.clone();
    assert_eq!(saves.iter().map(shown).collect::<Vec<_>>(), ["red", "green"]);
    assert_eq!(resolver.merge(&saves[0], &saves[1]), saves[1], "the second builds on the first");
    let ids = sent(&effects).into_iter().map(|message| match message {
        Message::Applied { id, .. } => id,
        other => panic!("expected an Applied, found {other:?}"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_hot_key_does_not_wait_for_the_disk() {
    let mut solo = Solo::new();
    let ticket = solo.tell_and_load(merge(1, record(10, "red")));
    let (first, _) = save(&solo.step(Input::Loaded { ticket, result: Ok(None) }));
    let (second, record) = save(&solo.tell(merge(2, record(20, "green"))));
    let resolver = settings(3, 3).conflict.build();
    assert_eq!(resolver.answer(&record, 0).values[0].payload.value, "green");
    let stored = sent(&solo.step(Input::Saved { ticket: first, result: Ok(()) }));
    assert_eq!(stored, [Message::Stored { id: 1 }]);
    let stored = sent(&solo.step(Input::Saved { ticket: second, result: Ok(()) }));
    assert_eq!(stored, [Message::Stored { id: 2 }]);
    solo.tell_and_load(merge(3, record));
}

#[test]
fn a_merge_that_changes_nothing_is_confirmed_only_when_what_it_equals_is_durable() {
    let mut solo = Solo::new();
    let ticket = solo.tell_and_load(merge(1, record(10, "red")));
    let (ticket, _) = save(&solo.step(Input::Loaded { ticket, result: Ok(None) }));
    assert!(solo.tell(merge(2, record(10, "red"))).is_empty());
    assert!(solo.tell(merge(3, record(5, "older"))).is_empty());
    let stored = sent(&solo.step(Input::Saved { ticket, result: Ok(()) }));
    assert_eq!(stored, [1, 2, 3].map(|id| Message::Stored { id }));
    let ticket = solo.tell_and_load(merge(4, record(5, "older")));
    let held = Ok(Some(record(10, "red").encode()));
    let effects = solo.step(Input::Loaded { ticket, result: held });
    assert_eq!(sent(&effects), [Message::Stored { id: 4 }]);
    assert_eq!(effects.len(), 1, "nothing is saved: {effects:?}");
    assert_eq!(solo.node.status().in_flight, InFlight::default());
}

#[test]
fn after_a_failed_save_nothing_builds_on_what_may_not_be_durable() {
    let mut solo = Solo::new();
    let ticket = solo.tell_and_load(merge(1, record(10, "red")));
    let (first, _) = save(&solo.step(Input::Loaded { ticket, result: Ok(None) }));
    let (second, _) = save(&solo.tell(merge(2, record(20, "green"))));
    let error = || Err("disk full".to_string());
    let refused = |id, error: &str| Message::Refused { id, reason: Refused::Storage(error.into()) };
    let answer = sent(&solo.step(Input::Saved { ticket: first, result: error() }));
    assert_eq!(answer, [refused(1, "disk full")]);
    let answer = sent(&solo.tell(merge(3, record(20, "green"))));
    assert_eq!(answer, [Message::Refused { id: 3, reason: Refused::ReadOnly }]);
    solo.step(Input::Saved { ticket: second, result: error() });
    let answer = sent(&solo.tell(apply(4, "blue")));
    assert_eq!(answer, [Message::Refused { id: 4, reason: Refused::ReadOnly }]);
    let read = Message::Read { id: 5, key: KEY, deadline_us: LATER_US };
    solo.tell_and_load(read);
    assert!(!solo.node.is_ready());
}

#[test]
fn a_change_that_waited_for_its_record_is_refused_when_a_save_failed_meanwhile() {
    let mut solo = Solo::new();
    let ticket = solo.tell_and_load(merge(1, record(10, "red")));
    let (save, _) = save(&solo.step(Input::Loaded { ticket, result: Ok(None) }));
    let other = Bytes::from_static(b"plum");
    let payload = Payload { value: Bytes::from_static(b"blue"), ..Payload::default() };
    let change = Change::Put(payload);
    let ticket = solo.tell_and_load(Message::Apply {
        id: 2,
        key: other,
        change,
        context: None,
        deadline_us: LATER_US,
    });
    solo.step(Input::Saved { ticket: save, result: Err("disk full".to_string()) });
    let answer = sent(&solo.step(Input::Loaded { ticket, result: Ok(None) }));
    assert_eq!(answer, [Message::Refused { id: 2, reason: Refused::ReadOnly }]);
}

#[test]
fn a_record_that_could_not_travel_is_not_made() {
    let mut solo = Solo::new();
    let value = Bytes::from(vec![7; 33 << 20]);
    let change = Change::Put(Payload { value, ..Payload::default() });
    let (id, key, context, deadline_us) = (1, KEY, None, LATER_US);
    let message = Message::Apply { id, key, change, context, deadline_us };
    let ticket = solo.tell_and_load(message);
    let answer = sent(&solo.step(Input::Loaded { ticket, result: Ok(None) }));
    match answer.as_slice() {
        [Message::Refused { id: 1, reason: Refused::Resolver(why) }] => {
            assert!(why.contains("allowed: 33554432"), "{why}");
        }
        other => panic!("expected one refusal, found {other:?}"),
    }
}

#[test]
fn bytes_that_are_no_record_are_an_error_and_not_a_panic() {
    let mut solo = Solo::new();
    let read = Message::Read { id: 1, key: KEY, deadline_us: LATER_US };
    for (id, message) in [(1, read), (2, apply(2, "red"))] {
        let ticket = solo.tell_and_load(message);
        let junk = Ok(Some(Bytes::from_static(b"junk")));
        let answer = sent(&solo.step(Input::Loaded { ticket, result: junk }));
        match answer.as_slice() {
            [Message::Refused { id: refused, reason: Refused::Storage(_) }] => {
                assert_eq!(*refused, id);
            }
            other => panic!("expected one refusal, found {other:?}"),
        }
    }
    assert_eq!(solo.node.status().in_flight, InFlight::default());
}

#[test]
fn work_whose_client_no_longer_waits_is_dropped() {
    let mut solo = Solo::new();
    let read = Message::Read { id: 1, key: KEY, deadline_us: LATER_US };
    for (id, message) in [(1, read), (2, apply(2, "red"))] {
        let ticket = solo.tell_and_load(message);
        solo.now.mono_us += 1_000_000;
        let effects = solo.step(Input::Loaded { ticket, result: Ok(None) });
        assert_eq!(sent(&effects), [Message::Refused { id, reason: Refused::Expired }]);
        assert_eq!(effects.len(), 1, "nothing was saved");
    }
    assert_eq!(solo.node.counters().refused_expired, 2);
}

#[test]
fn requests_of_an_older_epoch_are_refused_and_a_newer_one_is_noted() {
    let mut solo = Solo::new();
    let answer = sent(&solo.tell_at_epoch(0, apply(1, "red")));
    assert_eq!(answer, [Message::Refused { id: 1, reason: Refused::StaleEpoch { epoch: 1 } }]);
    assert!(matches!(solo.tell_at_epoch(9, apply(2, "red"))[..], [Effect::Load { .. }]));
    assert_eq!(solo.node.status().newest_epoch, 9);
}

#[test]
fn a_key_of_others_is_refused() {
    let settings = settings(5, 3);
    let now = Now { mono_us: 1_000_000, wall_us: WALL_US };
    let boot = Boot { incarnation: 1, actor: 77 };
    let node = Node::new(settings, boot, now, &mut Vec::new()).unwrap();
    let mut solo = Solo { node, now, sent: 0 };
    let foreign = (0..100)
        .map(|index| Bytes::from(format!("key{index}")))
        .find(|key| !solo.node.routing.owners(key).contains(&NodeId(1)))
        .unwrap();
    let answer = sent(&solo.tell(Message::Read { id: 1, key: foreign, deadline_us: LATER_US }));
    assert_eq!(answer, [Message::Refused { id: 1, reason: Refused::NotOwner }]);
}

#[test]
fn a_full_replica_answers_overloaded() {
    let mut solo = Solo::new();
    let limit = 64 * 3;
    for id in 1..=limit {
        solo.tell(merge(id, record(10 + id, "red")));
    }
    let read = Message::Read { id: 999, key: KEY, deadline_us: LATER_US };
    let answer = sent(&solo.tell(read));
    assert_eq!(answer, [Message::Refused { id: 999, reason: Refused::Overloaded }]);
}

#[test]
fn an_answer_to_a_request_of_a_former_life_names_nothing() {
    let first_id = |incarnation| {
        let now = Now { mono_us: 1_000_000, wall_us: WALL_US };
        let boot = Boot { incarnation, actor: 77 };
        let mut node = Node::new(settings(1, 1), boot, now, &mut Vec::new()).unwrap();
        let mut out = Vec::new();
        node.step(now, Input::Client { tag: 1, request: get("apple") }, &mut out);
        let load = out.iter().find_map(|effect| match effect {
            Effect::Load { ticket, .. } => Some(*ticket),
            _ => None,
        });
        load.unwrap()
    };
    assert_ne!(first_id(1), first_id(2));
    assert_eq!(first_id(1), first_id(1));
}
