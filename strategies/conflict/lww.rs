//! Last write wins: one value survives, the one with the latest time.
//!
//! The version of a write is (hybrid time, actor). Two writes compare by time, then a tombstone
//! wins over a value, then the one that expires later, then actor, then the payload's bytes: a
//! total order over what is stored, so every replica, every merge and every compaction picks the
//! same winner. Nothing in it looks at a clock; "is it expired by now" would flip ties from one
//! minute to the next.
//!
//! A new write takes a time greater than all that its coordinating replica holds for the key and
//! all that the writer had seen. So a writer whose replica has a slow clock still replaces what it
//! read, and its acknowledged write is not shadowed at birth.
//!
//! # Caveats
//!
//! Two concurrent writes: one of them is lost without a word, and the clocks decide which. A write
//! through a replica that has not seen the latest value is concurrent with it, however long ago
//! that was written. Keeping both is what `vector_clock` is for.

use super::{
    Answer, Change, Content, Payload, Record, Refusal, Resolver, Shown, Sibling, Stamp, Version,
};
use crate::{Entry, Settings};
use bytes::{BufMut, Bytes, BytesMut};
use std::cmp::Ordering;

pub(super) const ENTRY: Entry<dyn Resolver> = Entry {
    name: "lww",
    about: "the write with the latest hybrid time wins; concurrent writes are lost",
    paper: "Thomas 1979 (ACM TODS 4.2), timestamps per item; Cassandra, cell reconciliation",
    parameters: &[],
    defaults: Settings::new,
    build: |_| Ok(Box::new(LastWriteWins { strategy: "lww" })),
};

/// Keeps the write with the latest time. `strategy` is the name that refusals give.
pub(super) struct LastWriteWins {
    pub(super) strategy: &'static str,
}

impl Resolver for LastWriteWins {
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
            Change::Increment(_) => return Err(self.no_counter()),
        };
        let bad_context = Refusal::BadContext { strategy: self.strategy };
        let seen = match context {
            None | Some([]) => None,
            Some(token) => Some(time_of(token).ok_or_else(|| bad_context.clone())?),
        };
        if seen.is_some_and(|time| stamp.disbelieves(time)) {
            return Err(bad_context);
        }
        let held = local.and_then(|record| time_of(&record.siblings.first()?.version.0));
        let floor = held.max(seen).map_or(0, |time| time.saturating_add(1));
        let version = version(stamp.time.max(floor), stamp.actor);
        Ok(Record { context: Bytes::new(), siblings: vec![Sibling { version, content }] })
    }

    fn merge(&self, left: &Record, right: &Record) -> Record {
        let siblings = left.siblings.iter().chain(&right.siblings);
        let winner = siblings.max_by(|a, b| order(a, b));
        Record { context: Bytes::new(), siblings: winner.cloned().into_iter().collect() }
    }

    fn answer(&self, record: &Record, now_ms: u64) -> Answer {
        let Some(sibling) = record.siblings.first() else {
            return Answer::default();
        };
        let payload = sibling.content.live_at(now_ms).cloned();
        let version = sibling.version.clone();
        let context = version.0.clone();
        let values = payload.map(|payload| Shown { payload, version }).into_iter().collect();
        Answer { values, context }
    }

    fn origin(&self, version: &Version) -> Option<Stamp> {
        let time = time_of(&version.0)?;
        let actor = version.0.last_chunk::<8>()?;
        Some(Stamp { actor: u64::from_be_bytes(*actor), time })
    }

    fn keeps_concurrent(&self) -> bool {
        false
    }
}

impl LastWriteWins {
    fn no_counter(&self) -> Refusal {
        Refusal::WrongChange {
            strategy: self.strategy,
            change: "increment",
            instead: "put a value, or choose crdt with a counter type",
        }
    }
}

/// Both as big-endian bytes, so that comparing bytes compares times.
fn version(time: u64, actor: u64) -> Version {
    let mut bytes = BytesMut::with_capacity(16);
    bytes.put_u64(time);
    bytes.put_u64(actor);
    Version(bytes.freeze())
}

/// The time of a version; None for bytes that [`version`] did not write.
fn time_of(version: &[u8]) -> Option<u64> {
    let (time, actor) = version.split_first_chunk::<8>()?;
    (actor.len() == 8).then(|| u64::from_be_bytes(*time))
}

/// A total order of all siblings. A version that is none of ours is older than all that are.
fn order(left: &Sibling, right: &Sibling) -> Ordering {
    let time = |sibling: &Sibling| time_of(&sibling.version.0);
    time(left).cmp(&time(right)).then_with(|| match (&left.content, &right.content) {
        (Content::Tombstone, Content::Tombstone) => left.version.cmp(&right.version),
        (Content::Tombstone, Content::Live(_)) => Ordering::Greater,
        (Content::Live(_), Content::Tombstone) => Ordering::Less,
        (Content::Live(a), Content::Live(b)) => expiry(a)
            .cmp(&expiry(b))
            .then_with(|| left.version.cmp(&right.version))
            .then_with(|| a.value.cmp(&b.value))
            .then_with(|| a.content_type.cmp(&b.content_type))
            .then_with(|| a.flags.cmp(&b.flags)),
    })
}

/// What never expires stands last, apart from the very last instant.
fn expiry(payload: &Payload) -> (bool, Option<u64>) {
    (payload.expires_at_ms.is_none(), payload.expires_at_ms)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LWW: LastWriteWins = LastWriteWins { strategy: "lww" };

    fn put(value: &'static str) -> Change {
        Change::Put(Payload { value: Bytes::from_static(value.as_bytes()), ..Payload::default() })
    }

    fn stamp(actor: u64, time: u64) -> Stamp {
        Stamp { actor, time }
    }

    fn shown(record: &Record) -> Vec<Bytes> {
        LWW.answer(record, 0).values.into_iter().map(|shown| shown.payload.value).collect()
    }

    #[test]
    fn a_slow_clock_still_replaces_what_it_holds_and_what_the_writer_saw() {
        let fast = LWW.apply(None, &put("fast"), None, stamp(1, 1_000)).unwrap();
        let over = LWW.apply(Some(&fast), &put("slow"), None, stamp(2, 10)).unwrap();
        assert_eq!(shown(&LWW.merge(&fast, &over)), ["slow"]);
        let token = LWW.answer(&fast, 0).context;
        let blind = LWW.apply(None, &put("read"), Some(&token), stamp(2, 10)).unwrap();
        assert_eq!(shown(&LWW.merge(&blind, &fast)), ["read"]);
    }

    #[test]
    fn ties_go_to_the_tombstone_then_to_the_longer_life() {
        let value = LWW.apply(None, &put("z"), None, stamp(9, 5)).unwrap();
        let gone = LWW.apply(None, &Change::Delete, None, stamp(1, 5)).unwrap();
        assert!(shown(&LWW.merge(&value, &gone)).is_empty());
        let brief = Payload { expires_at_ms: Some(u64::MAX), ..Payload::default() };
        let brief = LWW.apply(None, &Change::Put(brief), None, stamp(99, 5)).unwrap();
        assert_eq!(LWW.merge(&brief, &value), value);
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        for token in [&b"short"[..], &[0xff; 16], &[0; 17]] {
            let refused = LWW.apply(None, &put("x"), Some(token), stamp(1, 5)).unwrap_err();
            assert_eq!(refused, Refusal::BadContext { strategy: "lww" });
        }
        assert!(LWW.apply(None, &put("x"), Some(b""), stamp(1, 5)).is_ok());
    }

    #[test]
    fn an_expired_value_is_not_shown_but_still_covered() {
        let brief = Payload { expires_at_ms: Some(100), ..Payload::default() };
        let record = LWW.apply(None, &Change::Put(brief), None, stamp(1, 5)).unwrap();
        assert_eq!(LWW.answer(&record, 99).values.len(), 1);
        let late = LWW.answer(&record, 100);
        assert!(late.values.is_empty() && !late.context.is_empty());
    }
}
