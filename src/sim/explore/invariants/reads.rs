//! What a read may show, and what it must.

use super::history::{History, Proof, State, Write};
use super::order::Order;
use super::{Promise, Violation};
use crate::node::ClientTag;
use crate::sim::WALL_START_US;
use bytes::Bytes;
use quorate_strategies::conflict::Answer;

/// How long after its deadline a change may still be stamped: what the network takes between the
/// coordinator's last look at the clock and the replica's.
const LATE_US: u64 = 50_000;

/// A read that was answered.
pub struct Seen<'a> {
    pub tag: ClientTag,
    pub answer: &'a Answer,
    pub replicas: usize,
    /// Copies of each key.
    pub n: usize,
    /// How many requests and replies came before it was asked.
    pub order: u64,
    /// Clocks were wrong at some time.
    pub skewed: bool,
}

impl Seen<'_> {
    /// Whether at least one copy of what was proved must be among those that were read.
    fn must_see(&self, proof: &Proof, lost: &impl Fn(u64) -> usize) -> bool {
        proof.order < self.order
            && proof.copies.saturating_sub(lost(proof.since_us)) + self.replicas > self.n
    }

    fn violation(&self, promise: Promise, text: String) -> Violation {
        Violation::new(promise, format!("read #{} {text}", self.tag))
    }
}

impl Order {
    /// Checks a read against all that came before it. `lost` counts the owners that may have lost
    /// what they held at a time.
    pub fn check_read(
        self,
        history: &mut History,
        seen: &Seen,
        lost: impl Fn(u64) -> usize,
    ) -> Result<(), Violation> {
        let values = match self {
            Order::Counter => Vec::new(),
            _ => origins(self, history, seen)?,
        };
        for proof in history.proofs.iter().filter(|proof| seen.must_see(proof, &lost)) {
            if !self.covers(&seen.answer.context, &proof.token) {
                let text = format!("is behind what #{} was told", proof.tag);
                return Err(seen.violation(Promise::Durable, text));
            }
            if self == Order::Register && !seen.skewed {
                past_stays_past(history, seen, proof, &values)?;
            }
            if self == Order::Siblings {
                siblings_stay(history, seen, proof, &values)?;
                nothing_returns(history, seen, proof, &values)?;
            }
        }
        if self == Order::Counter && !history.has_deletes() {
            counts(history, seen, &lost)?;
        }
        Ok(())
    }
}

/// The writes of the values that are shown. Each was asked for, was not refused, and was made in
/// time.
fn origins(order: Order, history: &mut History, seen: &Seen) -> Result<Vec<usize>, Violation> {
    let mut places = Vec::new();
    for shown in &seen.answer.values {
        let value = &shown.payload.value;
        let Some(place) = history.origin(value) else {
            let text = String::from_utf8_lossy(value);
            let text = format!("shows `{text}`, which nobody wrote there");
            return Err(seen.violation(Promise::Origin, text));
        };
        history.writes[place].shown = true;
        if let Some(other) = history.seen_as(place, &shown.version.0) {
            let (tag, other) = (history.writes[place].tag, history.writes[other].tag);
            let text = match tag == other {
                true => format!("shows the value of #{tag} under a second version"),
                false => format!("shows the value of #{tag} under the version of #{other}"),
            };
            return Err(seen.violation(Promise::Versions, text));
        }
        is_rightful(order, &history.writes[place], seen, &shown.version.0)?;
        places.push(place);
    }
    Ok(places)
}

/// What is shown was not refused, and was made in time.
fn is_rightful(order: Order, write: &Write, seen: &Seen, version: &[u8]) -> Result<(), Violation> {
    let tag = write.tag;
    if write.state == State::NotDone {
        let text = format!("shows the value of #{tag}, which was said to be not done");
        return Err(seen.violation(Promise::Honest, text));
    }
    let stamped_us = order.stamped_us(version).unwrap_or(0).saturating_sub(WALL_START_US);
    if !seen.skewed && stamped_us > write.ends_us + LATE_US {
        let late_ms = (stamped_us - write.ends_us) / 1_000;
        let text = format!("shows the value of #{tag}, made {late_ms} ms after its deadline");
        return Err(seen.violation(Promise::InTime, text));
    }
    Ok(())
}

/// What had ended before an acknowledged write began does not hide it.
fn past_stays_past(
    history: &History,
    seen: &Seen,
    proof: &Proof,
    values: &[usize],
) -> Result<(), Violation> {
    let Some(write) = proof.write.map(|place| &history.writes[place]) else { return Ok(()) };
    let shown = values.iter().map(|place| &history.writes[*place]);
    for shown in shown.filter(|shown| shown.tag != write.tag) {
        if shown.ended_us.is_some_and(|ended_us| ended_us <= write.asked_us) {
            let text = format!(
                "shows the value of #{}, which had ended before #{} began and was acknowledged",
                shown.tag, write.tag
            );
            return Err(seen.violation(Promise::InTime, text));
        }
    }
    Ok(())
}

/// A value that the copies showed is shown, or a write that had seen it may have replaced it.
fn siblings_stay(
    history: &History,
    seen: &Seen,
    proof: &Proof,
    values: &[usize],
) -> Result<(), Violation> {
    for &place in proof.values.iter().filter(|place| !values.contains(place)) {
        let lost = &history.writes[place];
        let Some(version) = &lost.version else { continue };
        let replaces = |write: &Write| {
            let context = write.context.as_deref().unwrap_or_default();
            write.tag != lost.tag
                && write.maybe_done()
                && (Order::Siblings.covers(context, version)
                    || (write.removes_all() && write.ends_us + LATE_US >= lost.asked_us))
        };
        if !history.writes.iter().any(replaces) {
            let text = format!(
                "does not show the value of #{}, which #{} proved and nobody replaced",
                lost.tag, proof.tag
            );
            return Err(seen.violation(Promise::Durable, text));
        }
    }
    Ok(())
}

/// A value that an acknowledged write has replaced is not shown again.
fn nothing_returns(
    history: &History,
    seen: &Seen,
    proof: &Proof,
    values: &[usize],
) -> Result<(), Violation> {
    let Some(write) = proof.write.map(|place| &history.writes[place]) else { return Ok(()) };
    let Some(context) = &write.context else { return Ok(()) };
    for &place in values {
        let shown = &history.writes[place];
        let version = shown.version.as_deref().unwrap_or_default();
        if shown.tag != write.tag && Order::Siblings.covers(context, version) {
            let text = format!(
                "shows the value of #{}, which #{} had seen and replaced",
                shown.tag, write.tag
            );
            return Err(seen.violation(Promise::Gone, text));
        }
    }
    Ok(())
}

/// A counter is what was acknowledged, and any part of what may have been done.
fn counts(history: &History, seen: &Seen, lost: &impl Fn(u64) -> usize) -> Result<(), Violation> {
    let (mut least, mut most) = (0, 0);
    let mut must = vec![false; history.writes.len()];
    for proof in history.proofs.iter().filter(|proof| seen.must_see(proof, lost)) {
        if let Some(place) = proof.write {
            must[place] = true;
        }
    }
    for (write, must) in history.writes.iter().zip(must) {
        let amount = write.amount();
        if must || (amount > 0 && write.maybe_done()) {
            most += amount;
        }
        if must || (amount < 0 && write.maybe_done()) {
            least += amount;
        }
    }
    let shown = seen
        .answer
        .values
        .first()
        .map_or(Bytes::from_static(b"0"), |shown| shown.payload.value.clone());
    let number = std::str::from_utf8(&shown).ok().and_then(|text| text.parse::<i64>().ok());
    if number.is_some_and(|number| (least..=most).contains(&number)) {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&shown);
    let text = format!("shows {shown}; the acknowledged changes allow {least} to {most}");
    Err(seen.violation(Promise::Durable, text))
}
