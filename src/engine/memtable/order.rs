//! Order when it is asked for: sorted lists of keys for scans, sorted places for the flush.

use super::SHARDS;
use super::arena::At;
use super::shard::Shard;
use parking_lot::RwLock;
use std::ops::{Bound, Deref};
use std::sync::Arc;

/// Keys in ascending order, each once.
#[derive(Default)]
struct List {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Vec<u32>,
}

impl List {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.bytes[start..self.ends[at] as usize]
    }

    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u32);
    }

    fn sorted(&self) -> List {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.key(*a as usize).cmp(self.key(*b as usize)));
        let mut list = List::default();
        order.iter().for_each(|at| list.push(self.key(*at as usize)));
        list
    }

    /// The lists have no key in common: a key is new to a memtable once.
    fn merged(&self, other: &List) -> List {
        let (mut a, mut b) = (0, 0);
        let mut list = List::default();
        while a < self.len() || b < other.len() {
            if b == other.len() || (a < self.len() && self.key(a) < other.key(b)) {
                list.push(self.key(a));
                a += 1;
            } else {
                list.push(other.key(b));
                b += 1;
            }
        }
        list
    }

    /// Index of the first key that is not below `key`.
    fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The sorted lists of a memtable, and how far into each shard they reach.
#[derive(Default)]
pub struct Order {
    lists: Vec<Arc<List>>,
    known: [usize; SHARDS],
}

impl Order {
    /// Sorts what is new and answers all keys.
    pub fn catch_up(&mut self, shards: &[RwLock<Shard>; SHARDS]) -> Keys {
        let mut new = List::default();
        for (known, shard) in self.known.iter_mut().zip(shards) {
            let shard = shard.read();
            shard.keys_since(*known).for_each(|key| new.push(key));
            *known = shard.len();
        }
        if new.len() > 0 {
            self.lists.push(Arc::new(new.sorted()));
        }
        while let [.., a, b] = self.lists.as_slice()
            && a.len() < 2 * b.len()
        {
            let merged = a.merged(b);
            self.lists.truncate(self.lists.len() - 2);
            self.lists.push(Arc::new(merged));
        }
        Keys { lists: self.lists.clone() }
    }
}

/// All keys of a memtable as of some moment.
pub struct Keys {
    lists: Vec<Arc<List>>,
}

impl Keys {
    /// Hands over the keys within the bounds, ascending.
    pub fn iter<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = &'a [u8]> {
        let mut at: Vec<usize> = self
            .lists
            .iter()
            .map(|list| match from {
                Bound::Unbounded => 0,
                Bound::Included(key) => list.lower_bound(key),
                Bound::Excluded(key) => {
                    let at = list.lower_bound(key);
                    at + usize::from(at < list.len() && list.key(at) == key)
                }
            })
            .collect();
        std::iter::from_fn(move || {
            let lowest = lowest(&self.lists, &at)?;
            let key = self.lists[lowest].key(at[lowest]);
            at[lowest] += 1;
            let within = match to {
                Bound::Unbounded => true,
                Bound::Included(to) => key <= to,
                Bound::Excluded(to) => key < to,
            };
            within.then_some(key)
        })
    }

    pub fn into_walk(self) -> Walk {
        let at = self.lists.iter().map(|list| list.len()).collect();
        Walk { lists: self.lists, at, lowest: None }
    }
}

/// The list with the lowest of the keys that stand at `at`.
fn lowest(lists: &[Arc<List>], at: &[usize]) -> Option<usize> {
    let open = (0..lists.len()).filter(|list| at[*list] < lists[*list].len());
    open.min_by(|a, b| lists[*a].key(at[*a]).cmp(lists[*b].key(at[*b])))
}

/// A walk over all keys of a memtable.
pub struct Walk {
    lists: Vec<Arc<List>>,
    at: Vec<usize>,
    lowest: Option<usize>,
}

impl Walk {
    pub fn seek(&mut self, key: &[u8]) {
        self.at = self.lists.iter().map(|list| list.lower_bound(key)).collect();
        self.lowest = lowest(&self.lists, &self.at);
    }

    pub fn next(&mut self) {
        if let Some(list) = self.lowest {
            self.at[list] += 1;
            self.lowest = lowest(&self.lists, &self.at);
        }
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.lowest.map(|list| self.lists[list].key(self.at[list]))
    }
}

/// Where an entry lies, with the beginning of its key.
#[derive(Clone, Copy)]
pub struct Place {
    prefix: u64,
    pub shard: u8,
    pub at: At,
}

/// The newest place of every key, in the order of the keys.
///
/// Sorting compares eight bytes of each key behind what all of them have in common, and looks into
/// the arenas only where these are equal.
pub fn sorted_places<S: Deref<Target = Shard>>(shards: &[S]) -> Vec<Place> {
    let shared = shared_prefix_bytes(shards);
    let mut places = Vec::with_capacity(shards.iter().map(|shard| shard.len()).sum());
    for (number, shard) in shards.iter().enumerate() {
        places.extend(shard.places().map(|at| {
            let rest = &shard.key(at)[shared..];
            let mut prefix = [0; 8];
            let len = rest.len().min(8);
            prefix[..len].copy_from_slice(&rest[..len]);
            Place { prefix: u64::from_be_bytes(prefix), shard: number as u8, at }
        }));
    }
    let key = |place: &Place| shards[usize::from(place.shard)].key(place.at);
    places.sort_unstable_by(|a, b| {
        a.prefix.cmp(&b.prefix).then_with(|| key(a)[shared..].cmp(&key(b)[shared..]))
    });
    places
}

fn shared_prefix_bytes<S: Deref<Target = Shard>>(shards: &[S]) -> usize {
    let mut keys = shards.iter().flat_map(|shard| shard.keys_since(0));
    let Some(first) = keys.next() else { return 0 };
    keys.fold(first.len(), |shared, key| {
        first[..shared].iter().zip(key).take_while(|(a, b)| a == b).count()
    })
}
