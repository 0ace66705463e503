//! What was asked of one key, and what its replies have proved.

use crate::message::{Failure, Outcome};
use crate::node::ClientTag;
use crate::sim::scenario::{Asked, What};
use bytes::Bytes;
use quorate_strategies::NodeId;
use std::collections::BTreeMap;

/// All writes of a key, and all that a later read must not fall behind.
#[derive(Debug, Default)]
pub struct History {
    pub writes: Vec<Write>,
    /// Position of the write of each value; every value is written once.
    by_value: BTreeMap<Bytes, usize>,
    by_tag: BTreeMap<ClientTag, usize>,
    /// Versions that were seen, and whose value they had.
    by_version: BTreeMap<Bytes, usize>,
    pub proofs: Vec<Proof>,
}

#[derive(Debug)]
pub struct Write {
    pub tag: ClientTag,
    /// The coordinator.
    pub node: NodeId,
    pub what: What,
    /// What the writer had seen.
    pub context: Option<Bytes>,
    pub asked_us: u64,
    /// Its effect, if it has one, comes before this.
    pub ends_us: u64,
    pub state: State,
    /// When its reply came, or its deadline if that came later and the outcome is unknown.
    pub ended_us: Option<u64>,
    /// Somebody has read it.
    pub shown: bool,
    /// The version under which its value was seen.
    pub version: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Done,
    NotDone,
    Unknown,
}

impl Write {
    /// Whether it may have changed something.
    pub fn maybe_done(&self) -> bool {
        self.state != State::NotDone
    }

    /// What it adds to a counter.
    pub fn amount(&self) -> i64 {
        if let What::Add(amount) = self.what { amount } else { 0 }
    }

    /// A delete that did not say what its writer had seen removes all that its replica holds.
    pub fn removes_all(&self) -> bool {
        self.what == What::Delete && self.context.as_ref().is_none_or(|token| token.is_empty())
    }
}

/// That so many replicas held this durably at the instant of a reply.
#[derive(Clone, Debug)]
pub struct Proof {
    pub tag: ClientTag,
    pub token: Bytes,
    pub copies: usize,
    /// What replicas lose from here on may be one of the copies.
    pub since_us: u64,
    /// Reads that were asked after this many requests and replies must see it.
    pub order: u64,
    /// The writes whose values the copies show, by position.
    pub values: Vec<usize>,
    /// The write that it acknowledges.
    pub write: Option<usize>,
}

impl History {
    pub fn asks(&mut self, asked: &Asked, ends_us: u64) {
        let place = self.writes.len();
        if let What::Put(value) = &asked.ask.what {
            self.by_value.insert(value.clone(), place);
        }
        self.by_tag.insert(asked.tag, place);
        self.writes.push(Write {
            tag: asked.tag,
            node: asked.ask.node,
            what: asked.ask.what.clone(),
            context: asked.context.clone(),
            asked_us: asked.at_us,
            ends_us,
            state: State::Open,
            ended_us: None,
            shown: false,
            version: None,
        });
    }

    /// The write that a value came from.
    pub fn origin(&self, value: &Bytes) -> Option<usize> {
        self.by_value.get(value).copied()
    }

    /// Notes under which version a write's value was seen. It comes back if it was seen under
    /// another one, and so does another write that was seen under this one.
    pub fn seen_as(&mut self, place: usize, version: &Bytes) -> Option<usize> {
        let known = self.writes[place].version.get_or_insert_with(|| version.clone());
        let twin = (known != version).then_some(place);
        let first = *self.by_version.entry(version.clone()).or_insert(place);
        twin.or((first != place).then_some(first))
    }

    pub fn write_of(&self, tag: ClientTag) -> Option<usize> {
        self.by_tag.get(&tag).copied()
    }

    /// Notes how a write failed.
    pub fn failed(&mut self, tag: ClientTag, failure: &Failure, now_us: u64) -> Option<usize> {
        let place = self.write_of(tag)?;
        let write = &mut self.writes[place];
        write.ended_us = Some(now_us.max(write.ends_us));
        write.state = match failure.outcome() {
            Outcome::NotDone => State::NotDone,
            Outcome::Unknown => State::Unknown,
        };
        Some(place)
    }

    pub fn has_deletes(&self) -> bool {
        self.writes.iter().any(|write| write.what == What::Delete)
    }
}
