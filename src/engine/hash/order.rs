//! The order of the keys, made when the first scan asks for it and kept up from then on.
//!
//! ```text
//!   sorted   a b d e g h …   a list, made by sorting once, then by merging
//!   fresh    c f             keys that came since, in an ordered set
//! ```
//!
//! A scan merges both and skips what the index no longer knows. When `fresh` has grown to a share
//! of `sorted`, the next scan merges it in and drops keys that are gone. A store that is never
//! scanned pays nothing.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

type Key = Box<[u8]>;

/// `fresh` is merged in at this length, or at an eighth of `sorted` if that is more.
const FRESH_KEYS: usize = 4_096;
/// A key's place in a list, beside its bytes.
const KEY_BYTES: u64 = 16;

#[derive(Default)]
pub struct Order {
    sorted: Arc<Vec<Key>>,
    /// None until the first scan.
    fresh: Option<BTreeSet<Key>>,
    key_bytes: u64,
}

impl Order {
    /// A key that the index did not know.
    pub fn insert(&mut self, key: &[u8]) {
        if let Some(fresh) = &mut self.fresh
            && fresh.insert(key.into())
        {
            self.key_bytes += key.len() as u64 + KEY_BYTES;
        }
    }

    pub fn is_made(&self) -> bool {
        self.fresh.is_some()
    }

    pub fn is_due(&self) -> bool {
        self.fresh.as_ref().is_none_or(|fresh| fresh.len() > FRESH_KEYS.max(self.sorted.len() / 8))
    }

    /// Hands out what is to be merged. Keys that come from now on are fresh.
    pub fn take(&mut self) -> (Arc<Vec<Key>>, Option<BTreeSet<Key>>) {
        (Arc::clone(&self.sorted), self.fresh.replace(BTreeSet::new()))
    }

    /// Puts the list in place that was made of what [`Self::take`] gave.
    pub fn install(&mut self, sorted: Vec<Key>) {
        let bytes = |keys: &mut dyn Iterator<Item = &Key>| -> u64 {
            keys.map(|key| key.len() as u64 + KEY_BYTES).sum()
        };
        self.key_bytes = bytes(&mut sorted.iter()) + bytes(&mut self.fresh.iter().flatten());
        self.sorted = Arc::new(sorted);
    }

    /// Keys within the bounds, each once, in order, also such that are gone. The bounds are not
    /// crossed.
    pub fn range<'a>(
        &'a self,
        from: Bound<&'a [u8]>,
        to: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = &'a [u8]> {
        let start = self.sorted.partition_point(|key| match from {
            Bound::Included(from) => **key < *from,
            Bound::Excluded(from) => **key <= *from,
            Bound::Unbounded => false,
        });
        let within = move |key: &&'a [u8]| match to {
            Bound::Included(to) => *key <= to,
            Bound::Excluded(to) => *key < to,
            Bound::Unbounded => true,
        };
        let sorted = self.sorted[start..].iter().map(|key| &**key).take_while(within);
        let fresh = self.fresh.iter().flat_map(move |fresh| fresh.range::<[u8], _>((from, to)));
        merged(sorted, fresh.map(|key| &**key))
    }

    pub fn memory_bytes(&self) -> u64 {
        self.key_bytes
    }
}

/// Two ascending sequences as one; what both have comes once.
pub fn merged<'a>(
    left: impl Iterator<Item = &'a [u8]>,
    right: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(one), Some(other)) if one == other => {
            right.next();
            left.next()
        }
        (Some(one), Some(other)) if one > other => right.next(),
        (None, _) => right.next(),
        _ => left.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        text.bytes().map(|byte| [byte].into()).collect()
    }

    fn shown(order: &Order, from: Bound<&[u8]>, to: Bound<&[u8]>) -> String {
        order.range(from, to).map(|key| char::from(key[0])).collect()
    }

    #[test]
    fn fresh_keys_stand_among_the_sorted_ones() {
        let mut order = Order::default();
        order.insert(b"x");
        assert!(order.is_due() && !order.is_made(), "nobody has asked yet");
        assert!(order.take().1.is_none());
        order.insert(b"c");
        order.install(keys("abdeg"));
        for key in keys("fbz") {
            order.insert(&key);
        }
        assert!(!order.is_due());
        assert_eq!(shown(&order, Bound::Unbounded, Bound::Unbounded), "abcdefgz");
        assert_eq!(shown(&order, Bound::Excluded(b"b"), Bound::Included(b"f")), "cdef");
        assert_eq!(shown(&order, Bound::Included(b"c"), Bound::Excluded(b"c")), "");
        assert_eq!(shown(&order, Bound::Included(b"h"), Bound::Unbounded), "z");
    }
}
