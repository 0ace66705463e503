//! What version tokens say, read by somebody else than the resolver that wrote them: an error in a
//! resolver's merge must not judge itself.

use crate::config::ClusterConfig;
use bytes::Bytes;
use quorate_strategies::conflict::{LOGICAL_BITS, Record};

/// The three kinds of state that resolvers keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One value with the time and the actor of its write: `lww`, and `crdt` as a register.
    Register,
    /// A vector of dots and a value for each that was not replaced: `vector_clock`.
    Siblings,
    /// Rows of totals: `crdt` as a counter.
    Counter,
}

impl Order {
    pub fn of(cluster: &ClusterConfig) -> Self {
        let conflict = &cluster.strategies.conflict;
        let kind = conflict.settings().get("type").and_then(|kind| kind.as_str());
        match (conflict.name(), kind) {
            ("vector_clock", _) => Order::Siblings,
            ("crdt", Some(kind)) if kind.ends_with("_counter") => Order::Counter,
            _ => Order::Register,
        }
    }

    /// The token of a whole record.
    pub fn token(self, record: &Record) -> Bytes {
        match self {
            Order::Register => {
                record.siblings.first().map_or(Bytes::new(), |sibling| sibling.version.0.clone())
            }
            Order::Siblings | Order::Counter => record.context.clone(),
        }
    }

    /// Whether who holds `state` has all that `token` names, or what replaced it.
    pub fn covers(self, state: &[u8], token: &[u8]) -> bool {
        match self {
            Order::Register => time(state) >= time(token),
            Order::Siblings => rows::<16>(token).all(|row| {
                let held = rows::<16>(state).find(|held| held[..8] == row[..8]);
                held.is_some_and(|held| held[8..] >= row[8..])
            }),
            Order::Counter => rows::<48>(token).all(|row| {
                let held = rows::<48>(state).find(|held| held[..16] == row[..16]);
                held.is_some_and(|held| {
                    held[16..].chunks(8).zip(row[16..].chunks(8)).all(|(held, row)| held >= row)
                })
            }),
        }
    }

    /// When a shown version was stamped, in microseconds since 1970 by the stamping node's clock;
    /// None where versions do not say.
    pub fn stamped_us(self, version: &[u8]) -> Option<u64> {
        match self {
            Order::Register => Some(time(version)? >> LOGICAL_BITS),
            Order::Siblings => Some(time(version.get(8..)?)? >> LOGICAL_BITS),
            Order::Counter => None,
        }
    }
}

/// The first eight bytes: None, before all times, where there are none.
fn time(version: &[u8]) -> Option<u64> {
    version.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

fn rows<const LENGTH: usize>(token: &[u8]) -> impl Iterator<Item = &[u8; LENGTH]> {
    token.as_chunks::<LENGTH>().0.iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn a_register_is_covered_by_the_same_time_or_a_later_one() {
        let at = |time| numbers(&[time, 7]);
        assert!(Order::Register.covers(&at(5), &at(5)));
        assert!(Order::Register.covers(&at(6), &at(5)));
        assert!(!Order::Register.covers(&at(4), &at(5)));
        assert!(!Order::Register.covers(&[], &at(5)));
        assert!(Order::Register.covers(&[], &[]));
    }

    #[test]
    fn a_vector_covers_what_is_below_it_in_every_actor() {
        let held = numbers(&[1, 10, 2, 20]);
        for (token, covered) in [
            (vec![], true),
            (vec![1, 10], true),
            (vec![1, 9, 2, 20], true),
            (vec![1, 11], false),
            (vec![3, 1], false),
        ] {
            assert_eq!(Order::Siblings.covers(&held, &numbers(&token)), covered, "{token:?}");
        }
    }

    #[test]
    fn a_counter_covers_lower_totals_of_its_rows() {
        let row = |added, taken| numbers(&[1, 1, added, taken, 0, 0]);
        assert!(Order::Counter.covers(&row(5, 2), &row(5, 2)));
        assert!(Order::Counter.covers(&row(5, 2), &row(4, 0)));
        assert!(!Order::Counter.covers(&row(5, 2), &row(4, 3)));
        assert!(!Order::Counter.covers(&[], &row(4, 3)));
    }

    #[test]
    fn versions_tell_when_they_were_stamped() {
        let time = 77 << LOGICAL_BITS;
        assert_eq!(Order::Register.stamped_us(&numbers(&[time, 9])), Some(77));
        assert_eq!(Order::Siblings.stamped_us(&numbers(&[9, time])), Some(77));
        assert_eq!(Order::Counter.stamped_us(&[0; 8]), None);
    }
}
