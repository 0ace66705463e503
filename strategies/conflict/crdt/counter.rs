//! Counters: per actor the total of all that it ever added, so that joining is taking the greater.
//!
//! ```text
//!   (actor, born)   added  taken  │  removed_added  removed_taken
//!   (n1, t4)           12      2  │             10              2     10 of the 12 were deleted
//!   (n2, t9)            5      0  │              0              0
//!   value    (12 − 10) − (2 − 2) + 5 = 7
//! ```
//!
//! An increment raises one total of the replica that coordinates it; only that replica does, so a
//! greater total is a later one and the join is the pointwise maximum. All four numbers only grow.
//!
//! A delete raises the removed totals to what its writer had seen. Increments that it had not seen
//! stay above them and go on counting; the key is deleted when nothing is above. So a delete never
//! swallows a concurrent increment, and there is no "set to zero" that would race with one.
//!
//! A row is named by its actor and the time of its first increment. A replica that forgot the key,
//! because its disk was lost or the tombstone was collected, opens a new row instead of counting
//! from zero in an old one, where peers would see a smaller total and ignore it.
//!
//! # Caveats
//!
//! An increment that is retried after "unknown" may count twice: totals make copies harmless, not
//! second requests. A token carries totals; one that a client makes up can raise them. Rows of
//! actors long gone stay. Adding 0 to a deleted counter leaves it deleted. Counters keep neither
//! content type nor expiry.

use super::super::{Answer, Change, Content, Payload, Record, Shown, Sibling, Stamp, Version};
use super::{NAME, Refusal, Resolver};
use bytes::{BufMut, Bytes, BytesMut};
use std::cmp::Ordering;
use xxhash_rust::xxh3::xxh3_64;

/// Counts up, and down as well if it `shrinks`.
pub(super) struct Counter {
    pub(super) shrinks: bool,
}

impl Resolver for Counter {
    fn apply(
        &self,
        local: Option<&Record>,
        change: &Change,
        context: Option<&[u8]>,
        stamp: Stamp,
    ) -> Result<Record, Refusal> {
        let rows = local.map_or_else(Vec::new, rows_of);
        let token = context.unwrap_or_default();
        let seen = read(token).ok_or(Refusal::BadContext { strategy: NAME })?;
        if seen.iter().any(|row| stamp.disbelieves(row.born)) {
            return Err(Refusal::BadContext { strategy: NAME });
        }
        match change {
            Change::Put(_) => Err(wrong("put", "a counter takes increment and delete")),
            Change::Increment(by) if *by < 0 && !self.shrinks => {
                Err(wrong("negative increment", "a g_counter only grows; choose pn_counter"))
            }
            Change::Increment(by) => Ok(record(&add(rows, *by, stamp)?)),
            Change::Delete if token.is_empty() => {
                let seen = rows.clone();
                Ok(record(&remove(rows, &seen)))
            }
            Change::Delete => Ok(record(&remove(rows, &seen))),
        }
    }

    fn merge(&self, left: &Record, right: &Record) -> Record {
        if left == right {
            return left.clone();
        }
        record(&join(&rows_of(left), &rows_of(right)))
    }

    fn answer(&self, record: &Record, now_ms: u64) -> Answer {
        let values = record.siblings.iter().filter_map(|sibling| {
            let payload = sibling.content.live_at(now_ms)?.clone();
            Some(Shown { payload, version: sibling.version.clone() })
        });
        Answer { values: values.collect(), context: record.context.clone() }
    }

    fn keeps_concurrent(&self) -> bool {
        true
    }
}

fn wrong(change: &'static str, instead: &'static str) -> Refusal {
    Refusal::WrongChange { strategy: NAME, change, instead }
}

/// The totals of one actor since it opened the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    actor: u64,
    born: u64,
    added: u64,
    taken: u64,
    removed_added: u64,
    removed_taken: u64,
}

const ROW_BYTES: usize = 48;

impl Row {
    fn name(&self) -> (u64, u64) {
        (self.actor, self.born)
    }

    /// What the row contributes to the value. Removed totals never exceed the totals.
    fn value(&self) -> i128 {
        let added = i128::from(self.added) - i128::from(self.removed_added);
        added - (i128::from(self.taken) - i128::from(self.removed_taken))
    }

    fn is_removed(&self) -> bool {
        self.added == self.removed_added && self.taken == self.removed_taken
    }

    fn join(self, other: Row) -> Row {
        Row {
            added: self.added.max(other.added),
            taken: self.taken.max(other.taken),
            removed_added: self.removed_added.max(other.removed_added),
            removed_taken: self.removed_taken.max(other.removed_taken),
            ..self
        }
    }

    fn read(bytes: &[u8; ROW_BYTES]) -> Row {
        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |index: usize| u64::from_be_bytes(numbers[index]);
        Row {
            actor: number(0),
            born: number(1),
            added: number(2),
            taken: number(3),
            removed_added: number(4),
            removed_taken: number(5),
        }
    }

    fn write(&self, out: &mut BytesMut) {
        for number in [self.actor, self.born, self.added, self.taken] {
            out.put_u64(number);
        }
        out.put_u64(self.removed_added);
        out.put_u64(self.removed_taken);
    }
}

/// A state's rows, strictly ascending by name; None for bytes that are no state.
fn read(state: &[u8]) -> Option<Vec<Row>> {
    let (chunks, rest) = state.as_chunks::<ROW_BYTES>();
    let rows = chunks.iter().map(Row::read).collect::<Vec<_>>();
    let sound = rest.is_empty()
        && rows.windows(2).all(|pair| pair[0].name() < pair[1].name())
        && rows.iter().all(|r| r.removed_added <= r.added && r.removed_taken <= r.taken);
    sound.then_some(rows)
}

/// The state stands in the record's context. A record that no counter wrote counts as empty.
fn rows_of(record: &Record) -> Vec<Row> {
    read(&record.context).unwrap_or_default()
}

fn join(left: &[Row], right: &[Row]) -> Vec<Row> {
    let mut joined = Vec::with_capacity(left.len() + right.len());
    let (mut lefts, mut rights) = (left, right);
    while let ([left, left_rest @ ..], [right, right_rest @ ..]) = (lefts, rights) {
        let order = left.name().cmp(&right.name());
        joined.push(match order {
            Ordering::Less => *left,
            Ordering::Greater => *right,
            Ordering::Equal => left.join(*right),
        });
        lefts = if order.is_le() { left_rest } else { lefts };
        rights = if order.is_ge() { right_rest } else { rights };
    }
    joined.extend_from_slice(lefts);
    joined.extend_from_slice(rights);
    joined
}

/// Raises the actor's own total, in its latest row.
fn add(mut rows: Vec<Row>, by: i64, stamp: Stamp) -> Result<Vec<Row>, Refusal> {
    let after = rows.iter().map(Row::value).sum::<i128>() + i128::from(by);
    i64::try_from(after).map_err(|_| Refusal::Overflow)?;
    if by == 0 {
        return Ok(rows);
    }
    let place = match rows.iter().rposition(|row| row.actor == stamp.actor) {
        Some(place) => place,
        None => {
            let place = rows.partition_point(|row| row.actor < stamp.actor);
            let (actor, born) = (stamp.actor, stamp.time);
            let (added, taken, removed_added, removed_taken) = (0, 0, 0, 0);
            rows.insert(place, Row { actor, born, added, taken, removed_added, removed_taken });
            place
        }
    };
    let row = &mut rows[place];
    let total = if by > 0 { &mut row.added } else { &mut row.taken };
    *total = total.checked_add(by.unsigned_abs()).ok_or(Refusal::Overflow)?;
    Ok(rows)
}

/// Removes all that `seen` had counted, also what this replica has not heard of yet.
fn remove(rows: Vec<Row>, seen: &[Row]) -> Vec<Row> {
    let removed =
        seen.iter().map(|row| Row { removed_added: row.added, removed_taken: row.taken, ..*row });
    join(&rows, &removed.collect::<Vec<_>>())
}

/// A record of one sibling that shows the value; its version is a fingerprint of the state.
fn record(rows: &[Row]) -> Record {
    let mut state = BytesMut::with_capacity(rows.len() * ROW_BYTES);
    rows.iter().for_each(|row| row.write(&mut state));
    let context = state.freeze();
    let content = match rows.iter().all(Row::is_removed) {
        true => Content::Tombstone,
        false => {
            let value = rows.iter().map(Row::value).sum::<i128>().to_string();
            Content::Live(Payload { value: value.into(), ..Payload::default() })
        }
    };
    let version = Version(Bytes::copy_from_slice(&xxh3_64(&context).to_be_bytes()));
    Record { context, siblings: vec![Sibling { version, content }] }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PN: Counter = Counter { shrinks: true };

    fn at(actor: u64, time: u64) -> Stamp {
        Stamp { actor, time }
    }

    fn add(local: Option<&Record>, by: i64, stamp: Stamp) -> Record {
        PN.apply(local, &Change::Increment(by), None, stamp).unwrap()
    }

    fn value(record: &Record) -> Option<String> {
        let values = PN.answer(record, 0).values;
        assert!(values.len() <= 1);
        values.first().map(|shown| String::from_utf8(shown.payload.value.to_vec()).unwrap())
    }

    #[test]
    fn concurrent_increments_all_count_and_copies_do_not() {
        let a = add(Some(&add(None, 5, at(1, 1))), -2, at(1, 2));
        let b = add(None, 10, at(2, 1));
        let both = PN.merge(&a, &b);
        assert_eq!(value(&both).unwrap(), "13");
        assert_eq!(PN.merge(&both, &a), both);
    }

    #[test]
    fn a_delete_removes_what_it_saw_and_spares_what_it_did_not() {
        let seen = add(None, 5, at(1, 1));
        let later = add(Some(&seen), 3, at(1, 2));
        let gone = PN.apply(None, &Change::Delete, Some(&seen.context), at(2, 3)).unwrap();
        assert!(gone.is_deleted());
        assert_eq!(value(&PN.merge(&gone, &later)).unwrap(), "3");
        let all = PN.apply(Some(&later), &Change::Delete, None, at(1, 4)).unwrap();
        assert!(all.is_deleted());
        assert_eq!(value(&add(Some(&all), 1, at(1, 5))).unwrap(), "1");
    }

    #[test]
    fn a_replica_that_forgot_the_counter_counts_in_a_new_row() {
        let before = add(None, 100, at(1, 1));
        let after = add(None, 1, at(1, 50));
        assert_eq!(value(&PN.merge(&before, &after)).unwrap(), "101");
    }

    #[test]
    fn zero_is_a_value_and_deleted_is_none() {
        let zero = add(Some(&add(None, 5, at(1, 1))), -5, at(1, 2));
        assert_eq!(value(&zero).unwrap(), "0");
        let none = PN.apply(None, &Change::Delete, None, at(1, 1)).unwrap();
        assert_eq!(value(&none), None);
        assert_eq!(add(Some(&none), 0, at(1, 2)), none);
    }

    #[test]
    fn wrong_changes_are_refused() {
        let put = Change::Put(Payload::default());
        let refused = PN.apply(None, &put, None, at(1, 1)).unwrap_err();
        assert!(refused.to_string().contains("increment"));
        let grow = Counter { shrinks: false };
        assert!(grow.apply(None, &Change::Increment(-1), None, at(1, 1)).is_err());
        let full = add(None, i64::MAX, at(1, 1));
        let over = PN.apply(Some(&full), &Change::Increment(1), None, at(2, 1)).unwrap_err();
        assert_eq!(over, Refusal::Overflow);
        let token = PN.apply(None, &Change::Delete, Some(b"no state"), at(1, 1)).unwrap_err();
        assert_eq!(token, Refusal::BadContext { strategy: NAME });
    }
}
