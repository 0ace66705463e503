//! Merging sorted sources into one: the newest entry of each key, in key order.

use super::keys::{common_prefix, head};
use crate::engine::EngineError;
use crate::engine::entry::{Cursor, Item, Rank};
use bytes::Bytes;
use std::cmp::Ordering;

/// Up to so many sources a walk finds the place of one sooner than a binary search.
const FEW: usize = 8;

/// So many comparisons that the prefixes did not decide call for better prefixes.
const MOST_TIES: u32 = 32;

/// A source that stands on an entry, and a part of that entry's key as a number, which decides most
/// comparisons without a look at the keys: the eight bytes behind those that all keys at hand begin
/// with.
#[derive(Clone, Copy, Debug)]
struct Head {
    prefix: u64,
    source: u32,
}

/// Yields each key once, with its newest entry. Tombstones are yielded, too: who merges decides.
///
/// The sources stand in the order of their entries: by key, and of one key the newest first. The
/// first is the answer. Moving on takes it out, advances it and puts it back in its place, which
/// costs one comparison while it stays first: in a tree, where the lowest level holds most of the
/// keys, that is the usual case. An error of a source ends the merge.
pub struct MergeCursor<C> {
    sources: Vec<C>,
    /// Those that stand on an entry.
    order: Vec<Head>,
    /// What the keys of all of them begin with.
    base: Vec<u8>,
    ties: u32,
}

impl<C: Cursor> MergeCursor<C> {
    /// Sources may hold the same keys; of one key their ranks must differ.
    pub fn new(sources: Vec<C>) -> Self {
        let order = Vec::with_capacity(sources.len());
        MergeCursor { sources, order, base: Vec::new(), ties: 0 }
    }

    /// Finds out anew what the keys have in common. One source alone is never compared.
    fn rebase(&mut self) {
        self.ties = 0;
        self.base.clear();
        let mut keys = self.order.iter().map(|head| self.sources[head.source as usize].key());
        if let (Some(first), true) = (keys.next(), self.order.len() > 1) {
            let shared =
                keys.fold(first.len(), |shared, key| shared.min(common_prefix(first, key)));
            self.base.extend_from_slice(&first[..shared]);
        }
        for entry in &mut self.order {
            entry.prefix = head(&self.sources[entry.source as usize].key()[self.base.len()..]);
        }
    }

    fn source(&self, head: Head) -> &C {
        &self.sources[head.source as usize]
    }

    #[inline]
    fn compare(&self, a: Head, b: Head) -> Ordering {
        let by_prefix = a.prefix.cmp(&b.prefix);
        by_prefix.then_with(|| {
            let (a, b) = (self.source(a), self.source(b));
            a.key().cmp(b.key()).then_with(|| a.rank().cmp(&b.rank()))
        })
    }

    /// How many of the sources stand on the key of the first.
    fn same_key(&self) -> usize {
        let Some((first, rest)) = self.order.split_first() else { return 0 };
        let same = |head: &&Head| {
            head.prefix == first.prefix && self.source(**head).key() == self.source(*first).key()
        };
        1 + rest.iter().take_while(same).count()
    }

    /// Moves the source at `at` of the order on and puts it where it then belongs. Those behind it
    /// are in order.
    fn advance(&mut self, at: usize) -> Result<(), EngineError> {
        let source = self.order[at].source;
        let cursor = &mut self.sources[source as usize];
        cursor.next()?;
        if !cursor.is_valid() {
            self.order.remove(at);
            return Ok(());
        }
        match cursor.key().strip_prefix(&self.base[..]) {
            Some(rest) if self.ties < MOST_TIES => self.order[at].prefix = head(rest),
            _ => self.rebase(),
        }
        let head = self.order[at];
        let behind = &self.order[at + 1..];
        self.ties += u32::from(behind.first().is_some_and(|next| next.prefix == head.prefix));
        let is_before = |other: &Head| self.compare(*other, head) == Ordering::Less;
        let places = match behind.first() {
            Some(next) if !is_before(next) => 0,
            _ if behind.len() <= FEW => behind.iter().take_while(|other| is_before(other)).count(),
            _ => behind.partition_point(is_before),
        };
        self.order.copy_within(at + 1..at + 1 + places, at);
        self.order[at + places] = head;
        Ok(())
    }

    fn start(&mut self, key: &[u8]) -> Result<(), EngineError> {
        for (source, cursor) in self.sources.iter_mut().enumerate() {
            cursor.seek(key)?;
            if cursor.is_valid() {
                self.order.push(Head { prefix: 0, source: source as u32 });
            }
        }
        self.rebase();
        let mut order = std::mem::take(&mut self.order);
        order.sort_unstable_by(|a, b| self.compare(*a, *b));
        self.order = order;
        Ok(())
    }

    fn first(&self) -> &C {
        self.source(*self.order.first().expect("only a valid cursor is asked"))
    }
}

impl<C: Cursor> Cursor for MergeCursor<C> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.order.clear();
        self.start(key).inspect_err(|_| self.order.clear())
    }

    fn next(&mut self) -> Result<(), EngineError> {
        // From the back, so that those behind the one that moves are always in order.
        for at in (0..self.same_key()).rev() {
            if let Err(error) = self.advance(at) {
                self.order.clear();
                return Err(error);
            }
        }
        Ok(())
    }

    fn is_valid(&self) -> bool {
        !self.order.is_empty()
    }

    fn key(&self) -> &[u8] {
        self.first().key()
    }

    fn item(&self) -> Item<'_> {
        self.first().item()
    }

    fn value(&self) -> Bytes {
        self.first().value()
    }

    fn rank(&self) -> Rank {
        self.first().rank()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::entry::Kind;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Entries in memory; the key "broken" is one that cannot be read.
    struct Listed {
        entries: Vec<(Vec<u8>, Option<u8>)>,
        at: usize,
        rank: Rank,
    }

    impl Listed {
        fn new(entries: Vec<(Vec<u8>, Option<u8>)>, rank: Rank) -> Self {
            Listed { at: entries.len(), entries, rank }
        }

        fn check(&self) -> Result<(), EngineError> {
            match self.entries.get(self.at) {
                Some((key, _)) if key == b"broken" => Err(EngineError::ReadOnly("broken".into())),
                _ => Ok(()),
            }
        }
    }

    impl Cursor for Listed {
        fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
            self.at = self.entries.partition_point(|(found, _)| &found[..] < key);
            self.check()
        }

        fn next(&mut self) -> Result<(), EngineError> {
            self.at += 1;
            self.check()
        }

        fn is_valid(&self) -> bool {
            self.at < self.entries.len()
        }

        fn key(&self) -> &[u8] {
            &self.entries[self.at].0
        }

        fn item(&self) -> Item<'_> {
            match &self.entries[self.at].1 {
                Some(value) => {
                    let value = std::slice::from_ref(value);
                    Item { kind: Kind::Value, expires_s: 0, value }
                }
                None => Item { kind: Kind::Tombstone, expires_s: 0, value: &[] },
            }
        }

        fn value(&self) -> Bytes {
            Bytes::copy_from_slice(self.item().value)
        }

        fn rank(&self) -> Rank {
            self.rank
        }
    }

    type Model = BTreeMap<Vec<u8>, Option<u8>>;

    fn sources() -> impl Strategy<Value = Vec<Model>> {
        let key = prop_oneof![
            "[a-c]{0,3}".prop_map(String::into_bytes),
            "longer prefix [a-c]{0,3}".prop_map(String::into_bytes),
            proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..10),
        ];
        let value = proptest::option::of(any::<u8>());
        proptest::collection::vec(proptest::collection::btree_map(key, value, 0..25), 0..14)
    }

    proptest! {
        #[test]
        fn merging_is_a_map_of_the_newest(sources in sources(), from in "[a-d]{0,2}") {
            let mut model = Model::new();
            let mut inputs = Vec::new();
            for (age, entries) in sources.iter().enumerate() {
                model.extend(entries.clone());
                let rank = ((sources.len() - age) as u32 / 3, u64::MAX - age as u64);
                inputs.push(Listed::new(entries.clone().into_iter().collect(), rank));
            }
            inputs.rotate_left(sources.len() / 2);
            let mut merge = MergeCursor::new(inputs);
            prop_assert!(!merge.is_valid());
            for from in [from.as_bytes(), b""] {
                merge.seek(from).unwrap();
                for (key, value) in model.range(from.to_vec()..) {
                    prop_assert!(merge.is_valid());
                    prop_assert_eq!(merge.key(), &key[..]);
                    prop_assert_eq!(merge.value().first().copied(), *value);
                    prop_assert_eq!(merge.item().kind == Kind::Tombstone, value.is_none());
                    merge.next().unwrap();
                }
                prop_assert!(!merge.is_valid());
                prop_assert!(merge.next().is_ok());
            }
        }
    }

    /// Long beginnings in common, which change along the way, and many ties.
    #[test]
    fn families_of_keys_are_merged_one_after_the_other() {
        let mut model = Model::new();
        for family in ["", "user", "user of another family", "zzzzzzzzzzzzzzzzzzzz"] {
            let key =
                |n: usize| format!("{family}{:012}{}", n * 97, "x".repeat(n % 3)).into_bytes();
            model.extend((0..700).map(|n| (key(n), Some(n as u8))));
        }
        let mut parts = vec![Vec::new(); 5];
        for (at, (key, value)) in model.iter().enumerate() {
            let newest = at * at % 5;
            parts[newest].push((key.clone(), *value));
            if at % 3 == 0 && newest > 0 {
                parts[newest - 1].push((key.clone(), None));
            }
        }
        let sources = parts.into_iter().enumerate();
        let sources = sources.map(|(at, part)| Listed::new(part, (0, 9 - at as u64)));
        let mut merge = MergeCursor::new(sources.collect());
        merge.seek(b"").unwrap();
        for (key, value) in &model {
            assert_eq!((merge.key(), merge.value().first().copied()), (&key[..], *value));
            merge.next().unwrap();
        }
        assert!(!merge.is_valid());
    }

    #[test]
    fn an_error_ends_the_merge() {
        let list = |keys: &[&str], age: u64| {
            let entries = keys.iter().map(|key| (key.as_bytes().to_vec(), None)).collect();
            Box::new(Listed::new(entries, (0, age))) as Box<dyn Cursor>
        };
        let mut merge = MergeCursor::new(vec![list(&["a", "c"], 1), list(&["b", "broken"], 2)]);
        merge.seek(b"").unwrap();
        merge.next().unwrap();
        assert_eq!(merge.key(), b"b");
        assert!(merge.next().is_err());
        assert!(!merge.is_valid());
        assert!(merge.seek(b"br").is_err());
        assert!(!merge.is_valid());
        merge.seek(b"c").unwrap();
        assert_eq!(merge.key(), b"c");
    }
}
