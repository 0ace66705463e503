//! Merging sorted sources into one: the newest entry of each key, in key order.

use super::entry::Entry;
use crate::engine::EngineError;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A sorted source of entries, each key once.
pub type Source<'a> = Box<dyn Iterator<Item = Result<Entry, EngineError>> + 'a>;

struct Head {
    entry: Entry,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.entry.key.cmp(&other.entry.key);
        by_key.then(other.entry.sequence.cmp(&self.entry.sequence))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

/// Yields each key once, with its newest entry. Tombstones are yielded, too: who merges decides.
pub struct Merge<'a> {
    sources: Vec<Source<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
    /// Of the newest entry that was yielded: older ones of the same key are skipped.
    previous: Option<bytes::Bytes>,
    failed: Option<EngineError>,
}

impl<'a> Merge<'a> {
    pub fn new(sources: Vec<Source<'a>>) -> Self {
        let heads = BinaryHeap::with_capacity(sources.len());
        let count = sources.len();
        let mut merge = Merge { sources, heads, previous: None, failed: None };
        for source in 0..count {
            merge.advance(source);
        }
        merge
    }

    fn advance(&mut self, source: usize) {
        match self.sources[source].next() {
            Some(Ok(entry)) => self.heads.push(Reverse(Head { entry, source })),
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                self.heads.clear();
                return Some(Err(error));
            }
            let Reverse(Head { entry, source }) = self.heads.pop()?;
            self.advance(source);
            if self.previous.as_ref() != Some(&entry.key) {
                self.previous = Some(entry.key.clone());
                if self.failed.is_none() {
                    return Some(Ok(entry));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn source(entries: Vec<Entry>) -> Source<'static> {
        Box::new(entries.into_iter().map(Ok))
    }

    proptest! {
        #[test]
        fn merging_is_a_map_of_the_newest(
            sources in proptest::collection::vec(
                proptest::collection::btree_map(0_u8..20, any::<bool>(), 0..10), 0..6)
        ) {
            let mut model = BTreeMap::new();
            let mut inputs = Vec::new();
            for (sequence, keys) in sources.iter().enumerate() {
                let entry = |(key, live): (&u8, &bool)| Entry {
                    key: Bytes::copy_from_slice(&[*key]),
                    sequence: sequence as u64,
                    value: live.then(Bytes::new),
                };
                let entries: Vec<Entry> = keys.iter().map(entry).collect();
                model.extend(entries.iter().map(|entry| (entry.key.clone(), entry.clone())));
                inputs.push(source(entries));
            }
            let merged: Vec<Entry> = Merge::new(inputs).map(Result::unwrap).collect();
            prop_assert!(merged.iter().eq(model.values()));
        }
    }

    #[test]
    fn an_error_ends_the_merge() {
        let key = |key: &'static str| Entry { key: key.into(), sequence: 1, value: None };
        let broken = EngineError::ReadOnly("broken".into());
        let failing = vec![Ok(key("b")), Err(broken)].into_iter();
        let merge = Merge::new(vec![source(vec![key("a"), key("c")]), Box::new(failing)]);
        let found: Vec<bool> = merge.map(|entry| entry.is_ok()).collect();
        assert_eq!(found, [true, false]);
    }
}
