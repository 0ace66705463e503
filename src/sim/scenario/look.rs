//! What the reader of a scenario is shown: replies, opinions, and what disks hold.

use super::words::Shown;
use super::{Ask, Line, Look, Stopped, What};
use crate::message::{Failure, Outcome, Reply};
use crate::node::{Counters, Event, InFlight, Standing, Status};
use crate::sim::WALL_START_US;
use crate::sim::text::milliseconds;
use crate::sim::world::World;
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Content, LOGICAL_BITS, Record, Resolver, Sibling, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

impl Look {
    pub(super) fn see(&self, world: &World) -> Result<Vec<String>, Stopped> {
        match self {
            Look::Stored { node, key } => {
                let held = Held::of(world, *node, key)?.shown(world);
                Ok(vec![format!("{node} holds {}: {held}", Shown(key))])
            }
            Look::Status { node } => {
                world.disk(*node)?;
                Ok(world.node(*node).map_or_else(
                    || vec![format!("{node} is not running")],
                    |running| status(&running.status(), world.is_paused(*node)),
                ))
            }
            Look::Owners { key } => {
                let owners: Vec<String> = world.owners(key).iter().map(NodeId::to_string).collect();
                Ok(vec![format!("{} belongs to {}", Shown(key), owners.join(", "))])
            }
        }
    }
}

/// What a disk has for a key.
enum Held {
    Nothing,
    Record { record: Record, sum: u64 },
    Damaged(String),
}

impl Held {
    fn of(world: &World, node: NodeId, key: &[u8]) -> Result<Held, Stopped> {
        let bytes = match world.disk(node)?.get(key) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Held::Nothing),
            Err(error) => return Ok(Held::Damaged(error.to_string())),
        };
        let sum = xxh3_64(&bytes);
        Ok(match Record::decode(bytes) {
            Ok(record) => Held::Record { record, sum },
            Err(malformed) => Held::Damaged(malformed.to_string()),
        })
    }

    /// Its versions, and a checksum of all its bytes: equal ones are equal records.
    fn shown(&self, world: &World) -> String {
        let (record, sum) = match self {
            Held::Nothing => return "nothing".to_string(),
            Held::Damaged(how) => return format!("a damaged record: {how}"),
            Held::Record { record, sum } => (record, sum),
        };
        let resolver = world.config().cluster.strategies.conflict.build();
        let one = |sibling| version(world, &*resolver, sibling);
        let versions: Vec<String> = record.siblings.iter().map(one).collect();
        let what = if versions.is_empty() { "no version".to_string() } else { versions.join(", ") };
        format!("{what}; record {:04x}", sum >> 48)
    }
}

fn version(world: &World, resolver: &dyn Resolver, sibling: &Sibling) -> String {
    let what = match &sibling.content {
        Content::Tombstone => "a tombstone".to_string(),
        live => match live.live_at(wall_ms(world)) {
            Some(payload) => Shown(&payload.value).to_string(),
            None => "an expired value".to_string(),
        },
    };
    let origin = resolver.origin(&sibling.version);
    origin.map_or(what.clone(), |stamp| format!("{what} ({})", stamped(world, stamp)))
}

/// Who issued a version, and when by the hybrid clock.
fn stamped(world: &World, stamp: Stamp) -> String {
    let issued = |id: &NodeId| world.boot_of(*id).is_some_and(|boot| boot.actor == stamp.actor);
    let actor = world.ids().find(issued);
    let actor = actor.map_or("an earlier actor".to_string(), |id| id.to_string());
    let us = (stamp.time >> LOGICAL_BITS) as i64 - WALL_START_US as i64;
    let count = stamp.time & ((1 << LOGICAL_BITS) - 1);
    let count = if count == 0 { String::new() } else { format!(" + {count}") };
    format!("{actor} at {} ms{count}", milliseconds(us))
}

fn wall_ms(world: &World) -> u64 {
    (WALL_START_US + world.now_us()) / 1_000
}

/// The live values that a disk holds for a key, sorted.
pub(super) fn stored(world: &World, node: NodeId, key: &[u8]) -> Result<Vec<Bytes>, Stopped> {
    let record = match Held::of(world, node, key)? {
        Held::Nothing => return Ok(Vec::new()),
        Held::Record { record, .. } => record,
        Held::Damaged(how) => {
            return Err(Stopped::Unexpected { found: format!("a damaged record: {how}") });
        }
    };
    let resolver = world.config().cluster.strategies.conflict.build();
    let answer = resolver.answer(&record, wall_ms(world));
    let mut values: Vec<Bytes> = answer.values.into_iter().map(|it| it.payload.value).collect();
    values.sort();
    Ok(values)
}

/// Values as the language writes them.
pub(super) fn listed(values: &[Bytes]) -> String {
    let values: Vec<String> = values.iter().map(|value| Shown(value).to_string()).collect();
    if values.is_empty() { "nothing".to_string() } else { values.join(" ") }
}

/// What the running owners of a key hold, if it is not the same to the byte.
pub(super) fn disagreement(world: &World, key: &[u8]) -> Result<Option<String>, Stopped> {
    let mut held = Vec::new();
    for owner in world.owners(key).iter().filter(|owner| world.node(**owner).is_some()) {
        held.push((owner, Held::of(world, *owner, key)?));
    }
    let same = |pair: &[(&NodeId, Held)]| match (&pair[0].1, &pair[1].1) {
        (Held::Nothing, Held::Nothing) => true,
        (Held::Record { record: one, .. }, Held::Record { record: other, .. }) => one == other,
        _ => false,
    };
    if held.windows(2).all(same) && !held.iter().any(|(_, it)| matches!(it, Held::Damaged(_))) {
        return Ok(None);
    }
    let one = |(owner, held): &(&NodeId, Held)| format!("{owner} with {}", held.shown(world));
    Ok(Some(held.iter().map(one).collect::<Vec<_>>().join(" | ")))
}

pub(super) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Unheard => "unheard",
        Standing::Up => "up",
        Standing::Suspect(_) => "suspect",
        Standing::Deaf => "deaf",
        Standing::Down => "down",
    }
}

fn status(status: &Status, paused: bool) -> Vec<String> {
    let id = status.id;
    let state = if paused { "is paused" } else { "runs" };
    let ready = if status.ready { "ready" } else { "not ready" };
    let others = status.members.iter().filter(|member| member.id != id);
    let seen: Vec<String> =
        others.map(|it| format!("{} {}", it.id, standing(it.standing))).collect();
    let mut epoch = format!("epoch {}", status.epoch);
    if status.newest_epoch > status.epoch {
        epoch.push_str(&format!(", has heard of epoch {}", status.newest_epoch));
    }
    let mut lines = vec![format!("{id} {state}, {ready}, {epoch}; sees {}", seen.join(", "))];
    lines.extend(waits(id, &status.in_flight));
    lines.extend(non_zero(counted(&status.counters)).map(|counts| format!("{id} counts {counts}")));
    lines
}

fn non_zero(counts: Vec<(&str, u64)>) -> Option<String> {
    let shown = counts.into_iter().filter(|(_, count)| *count > 0);
    let shown: Vec<String> = shown.map(|(name, count)| format!("{name} {count}")).collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// What a node waits for; None: nothing.
pub(super) fn waits(id: NodeId, in_flight: &InFlight) -> Option<String> {
    non_zero(waiting(in_flight)).map(|waits| format!("{id} waits for {waits}"))
}

fn waiting(in_flight: &InFlight) -> Vec<(&'static str, u64)> {
    let InFlight { reads, writes, lingering, loads, saves, queued } = *in_flight;
    let all = [
        ("reads", reads),
        ("writes", writes),
        ("late acknowledgements", lingering),
        ("loads", loads),
        ("saves", saves),
        ("queued changes", queued),
    ];
    all.map(|(name, count)| (name, count as u64)).to_vec()
}

fn counted(counters: &Counters) -> Vec<(&'static str, u64)> {
    vec![
        ("hedges", counters.hedges),
        ("read repairs", counters.read_repairs),
        ("repair merges", counters.repair_merges),
        ("replicas that never acknowledged", counters.never_acknowledged),
        ("late answers", counters.late_dropped),
        ("refused for a stale epoch", counters.refused_stale_epoch),
        ("refused as no owner", counters.refused_not_owner),
        ("refused as overloaded", counters.refused_overloaded),
        ("refused as expired", counters.refused_expired),
        ("refused for the storage", counters.refused_storage),
        ("refused for its clock", counters.refused_clock),
        ("refused by the resolver", counters.refused_resolver),
        ("unchanged", counters.unchanged),
        ("batches of a clock too far ahead", counters.clock_drift_dropped),
        ("messages of an earlier life", counters.incarnations_ignored),
        ("pauses", counters.pauses),
    ]
}

/// Lines as people read them: virtual time, who, what. Of what a node tells with every batch or
/// round of gossip the first is shown.
pub(super) fn shown(world: &World, lines: &[Line]) -> Vec<String> {
    let mut shown = Vec::new();
    let mut told_once = BTreeSet::new();
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let mut taken = 1;
        if repeats(first).is_some_and(|what| !told_once.insert(what)) {
            rest = &rest[1..];
            continue;
        }
        let (at_us, text) = match first {
            Line::Seen(text) => {
                shown.push(text.clone());
                rest = &rest[1..];
                continue;
            }
            Line::Settled(settled) => (settled.at_us, "settled".to_string()),
            Line::Reply { ask, at_us, took_us, reply, .. } => {
                (*at_us, answered(world, ask, *took_us, reply))
            }
            Line::Event { at_us, node, event } => {
                let heard = together(rest);
                taken = heard.len().max(1);
                (*at_us, if heard.is_empty() { told(*node, event) } else { hearing(world, &heard) })
            }
        };
        shown.push(format!("{:>10} ms  {text}", milliseconds(at_us as i64)));
        rest = &rest[taken..];
    }
    shown
}

/// What a node tells again and again, as long as it holds: who tells it, and of whom.
fn repeats(line: &Line) -> Option<(NodeId, NodeId)> {
    match line {
        Line::Event { node, event: Event::ClockDrift { peer, .. }, .. } => Some((*node, *peer)),
        Line::Event { node, event: Event::Impersonated { .. }, .. } => Some((*node, *node)),
        _ => None,
    }
}

/// Who heard whom for the first time or again, at one instant.
fn together(lines: &[Line]) -> Vec<(NodeId, NodeId)> {
    let up = |line: &Line| match line {
        Line::Event { at_us, node, event: Event::PeerUp { peer } } => Some((*at_us, *node, *peer)),
        _ => None,
    };
    let first = lines.first().and_then(up).map(|(at_us, ..)| at_us);
    let all = lines.iter().map_while(up).take_while(|(at_us, ..)| Some(*at_us) == first);
    all.map(|(_, node, peer)| (node, peer)).collect()
}

fn hearing(world: &World, heard: &[(NodeId, NodeId)]) -> String {
    let nodes = world.ids().count();
    if nodes > 1 && heard.len() == nodes * (nodes - 1) {
        return "all nodes hear each other".to_string();
    }
    let mut by_node = BTreeMap::<NodeId, Vec<String>>::new();
    for (node, peer) in heard {
        by_node.entry(*node).or_default().push(peer.to_string());
    }
    let one = |(node, peers): (&NodeId, &Vec<String>)| format!("{node} hears {}", peers.join(" "));
    by_node.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn told(node: NodeId, event: &Event) -> String {
    match event {
        Event::PeerUp { peer } => format!("{node} hears {peer}"),
        Event::PeerSuspect { peer, score } => format!("{node} suspects {peer}, score {score:.2}"),
        Event::PeerDown { peer } => format!("{node} takes {peer} for down"),
        Event::PeerDeaf { peer } => {
            format!("{node} is told by {peer} that it does not hear {node}")
        }
        Event::ClockDrift { peer, ahead_ms } => {
            format!("{node} ignores {peer}, whose clock is {ahead_ms} ms ahead")
        }
        Event::Paused { late_ms } => {
            format!("{node} has slept {late_ms} ms beyond its heartbeat and judges nobody")
        }
        Event::Impersonated { incarnation } => {
            format!("{node} is told of a later life of itself, {incarnation}")
        }
    }
}

fn answered(world: &World, ask: &Ask, took_us: u64, reply: &Reply) -> String {
    let Ask { node, key, .. } = ask;
    let key = Shown(key);
    let what = match &ask.what {
        What::Get => format!("get {key}"),
        What::Put(value) => format!("put {key} {}", Shown(value)),
        What::Delete => format!("delete {key}"),
        What::Add(amount) => format!("add {key} {amount}"),
    };
    let replication = &world.config().cluster.replication;
    let default = if ask.what == What::Get { replication.r } else { replication.w };
    let level = ask.level.unwrap_or(default);
    let met = format!("{} of {}", level.needed(replication.n), replication.n);
    let took = milliseconds(took_us as i64);
    let outcome = match reply {
        Reply::Failed(failure) => return format!("{node} {what}: {}", failed(failure, &took)),
        Reply::Written { .. } => format!("done ({level}, {met})"),
        Reply::Read(answer) => {
            let values: Vec<String> =
                answer.values.iter().map(|it| Shown(&it.payload.value).to_string()).collect();
            let values = match values.as_slice() {
                [] => "nothing".to_string(),
                [one] => one.clone(),
                several => format!("siblings {}", several.join(" and ")),
            };
            format!("{values} ({level}, {met})")
        }
    };
    format!("{node} {what}: {outcome} after {took} ms")
}

fn failed(failure: &Failure, took: &str) -> String {
    let outcome = match failure.outcome() {
        Outcome::NotDone => "not done",
        Outcome::Unknown => "unknown",
    };
    format!("{outcome} after {took} ms: {failure}")
}
