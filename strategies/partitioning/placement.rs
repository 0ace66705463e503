//! A placement: the preference list of every range of one epoch, laid out for lookups.

use crate::{NodeId, Token};
use std::collections::BTreeMap;

/// All tokens from `start` to `end`, both included. Ranges never wrap: a ring's last arc is two
/// ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRange {
    pub start: Token,
    pub end: Token,
}

/// A range that `to` gains between two placements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub range: TokenRange,
    pub to: NodeId,
    /// Those who owned the range before and may hand it over.
    pub from: Vec<NodeId>,
}

/// What a node owns of the token space, as fractions of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// As the first owner. All nodes' shares add up to 1.
    pub primary: f64,
    /// As any of the owners. All nodes' shares add up to the number of owners.
    pub replica: f64,
}

/// Who owns what, for one topology. Lookups take a bucket by the token's top bits and a short walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Ascending ends of the ranges, which they include; the last is `u64::MAX`.
    ends: Vec<u64>,
    /// `width` owners for each range, flat.
    owners: Vec<NodeId>,
    width: usize,
    /// For each value of a token's top bits, the first range that may hold it.
    buckets: Vec<u32>,
}

const BUCKET_BITS: u32 = 12;

impl Placement {
    /// A placement of `ranges`: the ascending last tokens of the ranges, each with its `width`
    /// owners. Together they must cover the token space. Neighbours with the same owners become one
    /// range.
    ///
    /// # Panics
    /// If the ends do not ascend up to `u64::MAX`, or a range has not `width` distinct owners:
    /// acting on such a placement would lose data.
    pub fn new<'a>(width: usize, ranges: impl IntoIterator<Item = (u64, &'a [NodeId])>) -> Self {
        let (mut ends, mut owners) = (Vec::<u64>::new(), Vec::<NodeId>::new());
        for (end, list) in ranges {
            assert_eq!(list.len(), width, "a range has as many owners as every other");
            assert!(distinct(list), "the owners of a range are distinct: {list:?}");
            assert!(ends.last().is_none_or(|last| *last < end), "ranges ascend");
            match ends.last_mut() {
                Some(last) if owners[owners.len() - width..] == *list => *last = end,
                _ => {
                    ends.push(end);
                    owners.extend_from_slice(list);
                }
            }
        }
        assert_eq!(ends.last(), Some(&u64::MAX), "the ranges cover the token space");
        let buckets = buckets(&ends);
        Placement { ends, owners, width, buckets }
    }

    /// The placement of an empty topology: one range, which nobody owns.
    pub fn unowned() -> Self {
        Placement::new(0, [(u64::MAX, &[][..])])
    }

    /// The preference list of a token, first choice first.
    #[inline]
    pub fn owners(&self, token: Token) -> &[NodeId] {
        let mut range = self.buckets[(token.0 >> (u64::BITS - BUCKET_BITS)) as usize] as usize;
        while self.ends[range] < token.0 {
            range += 1;
        }
        self.owners_of(range)
    }

    fn owners_of(&self, range: usize) -> &[NodeId] {
        &self.owners[range * self.width..(range + 1) * self.width]
    }

    /// Owners of each range: the replication factor, or the number of members where that is
    /// smaller.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All ranges, ascending, with their preference lists.
    pub fn ranges(&self) -> impl Iterator<Item = (TokenRange, &[NodeId])> {
        (0..self.ends.len()).map(|range| {
            let start = if range == 0 { 0 } else { self.ends[range - 1] + 1 };
            let bounds = TokenRange { start: Token(start), end: Token(self.ends[range]) };
            (bounds, self.owners_of(range))
        })
    }

    /// What every node gains from `old` to `new`, ascending by range. What a node loses is not
    /// listed: it keeps serving until the gainers have it.
    pub fn moves(old: &Placement, new: &Placement) -> Vec<Move> {
        let (mut moves, mut before, mut after, mut start) = (Vec::<Move>::new(), 0, 0, 0);
        loop {
            let end = old.ends[before].min(new.ends[after]);
            let from = old.owners_of(before);
            let gainers = new.owners_of(after).iter().filter(|node| !from.contains(node));
            for to in gainers {
                let range = TokenRange { start: Token(start), end: Token(end) };
                push_move(&mut moves, range, *to, from);
            }
            if end == u64::MAX {
                return moves;
            }
            before += usize::from(old.ends[before] == end);
            after += usize::from(new.ends[after] == end);
            start = end + 1;
        }
    }

    /// The share of every node that owns anything.
    pub fn ownership(&self) -> BTreeMap<NodeId, Share> {
        let mut tokens = BTreeMap::<NodeId, (u128, u128)>::new();
        for (range, owners) in self.ranges() {
            let width = u128::from(range.end.0 - range.start.0) + 1;
            for (index, node) in owners.iter().enumerate() {
                let (primary, replica) = tokens.entry(*node).or_default();
                *primary += if index == 0 { width } else { 0 };
                *replica += width;
            }
        }
        let share = |tokens: u128| tokens as f64 / 2f64.powi(64);
        let shares = tokens.into_iter().map(|(node, (primary, replica))| {
            (node, Share { primary: share(primary), replica: share(replica) })
        });
        shares.collect()
    }
}

fn distinct(list: &[NodeId]) -> bool {
    (1..list.len()).all(|index| !list[..index].contains(&list[index]))
}

/// Lengthens the gainer's last move where `range` continues it with the same former owners.
fn push_move(moves: &mut Vec<Move>, range: TokenRange, to: NodeId, from: &[NodeId]) {
    let last = moves.iter_mut().rev().take(MERGE_WINDOW).find(|last| last.to == to);
    match last {
        Some(last) if last.range.end.0 + 1 == range.start.0 && last.from == from => {
            last.range.end = range.end;
        }
        _ => moves.push(Move { range, to, from: from.to_vec() }),
    }
}

/// A range has few gainers, so a gainer's previous move stands among the last few.
const MERGE_WINDOW: usize = 16;

fn buckets(ends: &[u64]) -> Vec<u32> {
    let mut range = 0;
    let first = |bucket: u64| {
        let start = bucket << (u64::BITS - BUCKET_BITS);
        while ends[range] < start {
            range += 1;
        }
        range as u32
    };
    (0..1u64 << BUCKET_BITS).map(first).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);
    const HALF: u64 = 1 << 63;

    fn halves() -> Placement {
        Placement::new(2, [(HALF - 1, &[A, B][..]), (u64::MAX, &[B, A][..])])
    }

    #[test]
    fn bounds_belong_to_their_range() {
        let placement = halves();
        assert_eq!(placement.owners(Token(0)), [A, B]);
        assert_eq!(placement.owners(Token(HALF - 1)), [A, B]);
        assert_eq!(placement.owners(Token(HALF)), [B, A]);
        assert_eq!(placement.owners(Token(u64::MAX)), [B, A]);
    }

    #[test]
    fn equal_neighbours_are_one_range() {
        let placement = Placement::new(1, [(5, &[A][..]), (9, &[A][..]), (u64::MAX, &[B][..])]);
        assert_eq!(placement.ranges().count(), 2);
        let (range, owners) = placement.ranges().next().unwrap();
        assert_eq!((range, owners), (TokenRange { start: Token(0), end: Token(9) }, &[A][..]));
    }

    #[test]
    fn shares_are_fractions_of_the_token_space() {
        let shares = halves().ownership();
        assert_eq!(shares[&A], Share { primary: 0.5, replica: 1.0 });
        assert_eq!(shares[&B], Share { primary: 0.5, replica: 1.0 });
    }

    #[test]
    fn moves_name_the_gainer_and_its_sources() {
        let new = Placement::new(
            2,
            [(HALF / 2 - 1, &[A, C][..]), (HALF - 1, &[C, A][..]), (u64::MAX, &[A, B][..])],
        );
        let moves = Placement::moves(&halves(), &new);
        let range = TokenRange { start: Token(0), end: Token(HALF - 1) };
        assert_eq!(moves, [Move { range, to: C, from: vec![A, B] }]);
        assert!(Placement::moves(&new, &new).is_empty());
    }

    #[test]
    fn an_empty_topology_owns_nothing() {
        let placement = Placement::unowned();
        assert!(placement.owners(Token(7)).is_empty());
        assert!(placement.ownership().is_empty());
        let moves = Placement::moves(&placement, &halves());
        assert_eq!(moves.len(), 2);
        assert!(moves.iter().all(|gain| gain.from.is_empty()));
    }

    #[test]
    #[should_panic(expected = "distinct")]
    fn an_owner_twice_is_refused() {
        Placement::new(2, [(u64::MAX, &[A, A][..])]);
    }
}
