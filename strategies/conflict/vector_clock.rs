//! Version vectors with a dot per value: concurrent writes are kept until a writer reconciles them.
//!
//! ```text
//!   record   context {a:7, b:4}     all writes that it has seen, by the replica that stamped them
//!            sibling (a,7) "x"      the dot names the very write that made the value
//!            sibling (b,4) "y"
//!
//!   put "z" with context {a:7} at c  ─►  context {a:7, b:4, c:1}, siblings (b,4) "y", (c,1) "z"
//! ```
//!
//! A context says what its holder has seen; a dot says which write a value is. A put drops exactly
//! the siblings whose dots its context covers. With one vector for the whole set instead, a client
//! that missed one concurrent write could never replace its own former value, and two clients
//! taking turns would pile up a sibling with each write.
//!
//! In a merge a sibling that only one side holds stays unless the other side's context covers its
//! dot: that side has seen it and has replaced it.
//!
//! # The counter of a dot
//!
//! It is the greater of "one more than this actor's last" and the stamp's hybrid time. Counting
//! alone would start again at 1 when a replica forgets a key, because its disk was lost or the
//! tombstone was collected; peers that remember the old count would take the new write for an old
//! one and drop it. Hybrid time only grows, so a new dot is above all that the actor ever gave,
//! forgotten ones too. The gaps mean nothing: an actor stamps a key's writes one after the other on
//! top of its own record, so whoever has seen one of its dots has seen all lower ones that
//! survived.
//!
//! # Deletes
//!
//! A delete is a tombstone with its own dot. One that is concurrent with a value stands beside it
//! and the reader is shown the value: the delete did not see it, so it did not mean it. A delete
//! replaces the tombstones that the replica holds whether it saw them or not, so deletes with an
//! old context do not pile up.
//!
//! # Caveats
//!
//! Vectors are never pruned: Dynamo cut them at about ten entries, and a pruned ancestor looks
//! concurrent again. Entries are replicas that once stamped the key, not clients, so they are few;
//! those of nodes long gone stay. A retry of a put that did arrive is a second write and may show a
//! twin; equal values are shown once. A limit on siblings refuses writes at one replica only:
//! merging never drops a value, so replicas that were apart can exceed it together.

use super::{Answer, Change, Content, Record, Refusal, Resolver, Shown, Sibling, Stamp, Version};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

const NAME: &str = "vector_clock";

pub(super) const ENTRY: Entry<dyn Resolver> = Entry {
    name: NAME,
    about: "concurrent writes are all kept as siblings until a writer that saw them replaces them",
    paper: "Dynamo, SOSP 2007, section 4.4; dots: Preguiça et al., arXiv 1011.5808",
    parameters: &[Parameter {
        name: "max_siblings",
        about: "most siblings of one key, tombstones included; one more is refused: 1 to 10000",
    }],
    defaults: defaults::<VectorClock>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Resolver>, Invalid> {
    let clock = read::<VectorClock>(settings)?;
    within("max_siblings", clock.max_siblings, 1, 10_000)?;
    Ok(Box::new(clock))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorClock {
    max_siblings: usize,
}

impl Default for VectorClock {
    fn default() -> Self {
        VectorClock { max_siblings: 100 }
    }
}

impl Resolver for VectorClock {
    fn apply(
        &self,
        local: Option<&Record>,
        change: &Change,
        context: Option<&[u8]>,
        stamp: Stamp,
    ) -> Result<Record, Refusal> {
        let content = match change {
            Change::Put(payload) => Content::Live(payload.clone()),
            Change::Delete => Content::Tombstone,
            Change::Increment(_) => return Err(no_counter()),
        };
        let given = context.unwrap_or_default();
        if !is_vector(given) || dots(given).iter().any(|dot| stamp.disbelieves(counter(dot))) {
            return Err(Refusal::BadContext { strategy: NAME });
        }
        let held = local.map_or(&[][..], |record| &record.context);
        let deletes = content == Content::Tombstone;
        let seen = if deletes && given.is_empty() { held } else { given };
        let replaced = |sibling: &&Sibling| {
            covers(seen, &sibling.version) || (deletes && sibling.content == Content::Tombstone)
        };
        let local = local.map_or(&[][..], |record| &record.siblings);
        let mut siblings = Vec::with_capacity(local.len() + 1);
        siblings.extend(local.iter().filter(|sibling| !replaced(sibling)).cloned());
        if siblings.len() >= self.max_siblings {
            let (found, limit) = (siblings.len(), self.max_siblings);
            return Err(Refusal::TooManySiblings { found, limit });
        }
        let seen = join(held, given);
        let next = counter_of(&seen, stamp.actor).saturating_add(1).max(stamp.time);
        let dot = dot(stamp.actor, next);
        let version = Version(Bytes::copy_from_slice(&dot));
        let place = siblings.partition_point(|sibling| sibling.version < version);
        siblings.insert(place, Sibling { version, content });
        Ok(Record { context: join(&seen, &dot).into(), siblings })
    }

    fn merge(&self, left: &Record, right: &Record) -> Record {
        if left == right {
            return left.clone();
        }
        let mut siblings = Vec::with_capacity(left.siblings.len() + right.siblings.len());
        let mut rights = right.siblings.iter();
        let mut next_right = rights.next();
        for sibling in &left.siblings {
            while let Some(other) = next_right.filter(|other| other.version < sibling.version) {
                keep_unless_covered(&mut siblings, other, &left.context);
                next_right = rights.next();
            }
            if next_right.is_some_and(|other| other.version == sibling.version) {
                siblings.push(sibling.clone());
                next_right = rights.next();
            } else {
                keep_unless_covered(&mut siblings, sibling, &right.context);
            }
        }
        for other in next_right.into_iter().chain(rights) {
            keep_unless_covered(&mut siblings, other, &left.context);
        }
        Record { context: join(&left.context, &right.context).into(), siblings }
    }

    fn answer(&self, record: &Record, now_ms: u64) -> Answer {
        let mut values = Vec::<Shown>::new();
        for sibling in record.siblings.iter().rev() {
            let Some(payload) = sibling.content.live_at(now_ms) else {
                continue;
            };
            if values.iter().all(|shown| shown.payload != *payload) {
                let (payload, version) = (payload.clone(), sibling.version.clone());
                values.push(Shown { payload, version });
            }
        }
        values.reverse();
        Answer { values, context: record.context.clone() }
    }

    fn origin(&self, version: &Version) -> Option<Stamp> {
        let (actor, time) = halves(&Dot::try_from(&version.0[..]).ok()?);
        Some(Stamp { actor, time })
    }

    fn keeps_concurrent(&self) -> bool {
        true
    }
}

fn no_counter() -> Refusal {
    let instead = "put a value, or choose crdt with a counter type";
    Refusal::WrongChange { strategy: NAME, change: "increment", instead }
}

fn keep_unless_covered(siblings: &mut Vec<Sibling>, sibling: &Sibling, context: &[u8]) {
    if !covers(context, &sibling.version) {
        siblings.push(sibling.clone());
    }
}

/// An actor and its counter, both big-endian, so that comparing bytes compares dots.
type Dot = [u8; 16];

fn dot(actor: u64, counter: u64) -> Dot {
    let mut dot = [0; 16];
    dot[..8].copy_from_slice(&actor.to_be_bytes());
    dot[8..].copy_from_slice(&counter.to_be_bytes());
    dot
}

fn halves(dot: &Dot) -> (u64, u64) {
    let both = u128::from_be_bytes(*dot);
    ((both >> 64) as u64, both as u64)
}

fn actor(dot: &Dot) -> u64 {
    halves(dot).0
}

fn counter(dot: &Dot) -> u64 {
    halves(dot).1
}

/// A version vector is the latest dot of each actor, strictly ascending by actor.
fn dots(vector: &[u8]) -> &[Dot] {
    vector.as_chunks().0
}

fn is_vector(bytes: &[u8]) -> bool {
    let (dots, rest) = bytes.as_chunks::<16>();
    rest.is_empty()
        && dots.windows(2).all(|pair| actor(&pair[0]) < actor(&pair[1]))
        && dots.iter().all(|dot| counter(dot) > 0)
}

/// The actor's latest counter in the vector, 0 if there is none.
fn counter_of(vector: &[u8], wanted: u64) -> u64 {
    let dots = dots(vector);
    dots.binary_search_by_key(&wanted, actor).map_or(0, |index| counter(&dots[index]))
}

/// Whether the holder of `context` has seen the write. Bytes that are no dot count as seen.
fn covers(context: &[u8], version: &Version) -> bool {
    let Ok(dot) = Dot::try_from(&version.0[..]) else {
        return true;
    };
    counter(&dot) <= counter_of(context, actor(&dot))
}

/// The higher counter of every actor.
fn join(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(left.len() + right.len());
    let (mut lefts, mut rights) = (dots(left), dots(right));
    while let ([left, left_rest @ ..], [right, right_rest @ ..]) = (lefts, rights) {
        let order = actor(left).cmp(&actor(right));
        joined.extend(match order {
            Ordering::Less => left,
            Ordering::Greater => right,
            Ordering::Equal => left.max(right),
        });
        lefts = if order.is_le() { left_rest } else { lefts };
        rights = if order.is_ge() { right_rest } else { rights };
    }
    joined.extend(lefts.as_flattened());
    joined.extend(rights.as_flattened());
    joined
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Payload;
    use super::*;

    const CLOCK: VectorClock = VectorClock { max_siblings: 100 };

    fn put(value: &str) -> Change {
        let value = Bytes::copy_from_slice(value.as_bytes());
        Change::Put(Payload { value, ..Payload::default() })
    }

    fn write(local: Option<&Record>, value: &str, context: &[u8], stamp: (u64, u64)) -> Record {
        let stamp = Stamp { actor: stamp.0, time: stamp.1 };
        CLOCK.apply(local, &put(value), Some(context), stamp).unwrap()
    }

    fn shown(record: &Record) -> Vec<Bytes> {
        CLOCK.answer(record, 0).values.into_iter().map(|shown| shown.payload.value).collect()
    }

    /// One vector for the whole set: what a put does not dominate it joins.
    #[derive(Default)]
    struct PlainVector {
        writes: u64,
        siblings: usize,
    }

    impl PlainVector {
        fn put(&mut self, context: u64) {
            self.siblings = if context >= self.writes { 1 } else { self.siblings + 1 };
            self.writes += 1;
        }
    }

    /// Two clients take turns for 101 writes; each knows what it read right after its own last
    /// write, and so has missed the other's.
    #[test]
    fn two_clients_taking_turns_keep_two_siblings_not_101() {
        let (mut record, mut plain) = (None, PlainVector::default());
        let mut seen = [Bytes::new(), Bytes::new()];
        let mut plain_seen = [0, 0];
        for round in 0..101 {
            let client = round % 2;
            let value = format!("{client} writes {round}");
            let written = write(record.as_ref(), &value, &seen[client], (1, round as u64 + 1));
            seen[client] = CLOCK.answer(&written, 0).context;
            record = Some(written);
            plain.put(plain_seen[client]);
            plain_seen[client] = plain.writes;
        }
        assert_eq!(shown(&record.unwrap()), ["1 writes 99", "0 writes 100"]);
        assert_eq!(plain.siblings, 101);
    }

    /// Dynamo, Figure 3: D1 and D2 through Sx, D3 through Sy and D4 through Sz concurrently, D5
    /// through Sx reconciles both.
    #[test]
    fn dynamo_figure_3() {
        let (x, y, z) = (1, 2, 3);
        let d1 = write(None, "D1", b"", (x, 1));
        let d2 = write(Some(&d1), "D2", &d1.context, (x, 2));
        let d3 = write(Some(&d2), "D3", &d2.context, (y, 1));
        let d4 = write(Some(&d2), "D4", &d2.context, (z, 1));
        let both = CLOCK.merge(&d3, &d4);
        assert_eq!(shown(&both), ["D3", "D4"]);
        let d5 = write(Some(&both), "D5", &both.context, (x, 3));
        assert_eq!(shown(&d5), ["D5"]);
        assert_eq!(dots(&d5.context), [dot(x, 3), dot(y, 1), dot(z, 1)]);
        for old in [&d1, &d2, &d3, &d4, &both] {
            assert_eq!(CLOCK.merge(&d5, old), d5);
        }
    }

    #[test]
    fn a_replica_that_forgot_the_key_does_not_stamp_an_old_dot() {
        let before = write(None, "before", b"", (1, 1_000));
        let before = write(Some(&before), "before", &before.context, (1, 1_001));
        let after = write(None, "after", b"", (1, 2_000));
        assert_eq!(shown(&CLOCK.merge(&before, &after)), ["after"]);
    }

    #[test]
    fn a_delete_removes_what_it_saw_and_a_concurrent_value_stays() {
        let first = write(None, "first", b"", (1, 1));
        let other = write(Some(&first), "other", &first.context, (2, 2));
        let stamp = Stamp { actor: 1, time: 3 };
        let gone = CLOCK.apply(Some(&first), &Change::Delete, None, stamp).unwrap();
        assert!(gone.is_deleted());
        let both = CLOCK.merge(&gone, &other);
        assert_eq!((shown(&both), both.siblings.len()), (vec![Bytes::from("other")], 2));
        let seen_both = write(Some(&both), "later", &both.context, (1, 4));
        assert_eq!(seen_both.siblings.len(), 1);
    }

    #[test]
    fn deletes_with_an_old_context_do_not_pile_up() {
        let first = write(None, "first", b"", (1, 1));
        let token = first.context.clone();
        let mut record = write(Some(&first), "second", b"", (1, 2));
        for time in 3..10 {
            let stamp = Stamp { actor: 1, time };
            record = CLOCK.apply(Some(&record), &Change::Delete, Some(&token), stamp).unwrap();
        }
        assert_eq!((shown(&record), record.siblings.len()), (vec![Bytes::from("second")], 2));
    }

    #[test]
    fn siblings_have_a_limit_and_equal_values_are_shown_once() {
        let clock = VectorClock { max_siblings: 3 };
        let mut record = None;
        for time in 1..=3 {
            let stamp = Stamp { actor: 1, time };
            record = Some(clock.apply(record.as_ref(), &put("twin"), None, stamp).unwrap());
        }
        assert_eq!(shown(record.as_ref().unwrap()), ["twin"]);
        let stamp = Stamp { actor: 1, time: 9 };
        let refused = clock.apply(record.as_ref(), &put("x"), None, stamp).unwrap_err();
        assert_eq!(refused, Refusal::TooManySiblings { found: 3, limit: 3 });
        let token = record.as_ref().unwrap().context.clone();
        assert!(clock.apply(record.as_ref(), &put("x"), Some(&token), stamp).is_ok());
    }

    #[test]
    fn a_token_that_is_no_vector_is_refused() {
        let twice = [dot(1, 1), dot(1, 2)].concat();
        let backwards = [dot(2, 1), dot(1, 2)].concat();
        let future = dot(1, u64::MAX).to_vec();
        for token in [&b"short"[..], &dot(1, 0), &twice, &backwards, &future] {
            let stamp = Stamp { actor: 1, time: 5 };
            let refused = CLOCK.apply(None, &put("x"), Some(token), stamp).unwrap_err();
            assert_eq!(refused, Refusal::BadContext { strategy: NAME });
        }
    }
}
