//! Who owns a key: the placement of one epoch, computed once, and small sets of its owners.

use super::{REPLICAS_MAX, Settings};
use quorate_strategies::partitioning::{Partitioner, Placement};
use quorate_strategies::{NodeId, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// The preference list of one key, held inline: a request copies it and so outlives an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owners {
    ids: [NodeId; REPLICAS_MAX],
    count: u8,
}

impl Owners {
    pub fn new(list: &[NodeId]) -> Self {
        assert!(list.len() <= REPLICAS_MAX, "settings allow at most 16 owners");
        let mut ids = [NodeId(0); REPLICAS_MAX];
        ids[..list.len()].copy_from_slice(list);
        Owners { ids, count: list.len() as u8 }
    }

    pub fn as_slice(&self) -> &[NodeId] {
        &self.ids[..self.count as usize]
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn at(&self, position: usize) -> NodeId {
        self.as_slice()[position]
    }

    pub fn position(&self, id: NodeId) -> Option<usize> {
        self.as_slice().iter().position(|owner| *owner == id)
    }
}

/// A set of owners by their position in the preference list. It counts machines, never messages: a
/// second answer of the same replica changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u16);

impl Set {
    pub fn one(position: usize) -> Self {
        Set(1 << position)
    }

    pub fn contains(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    /// Whether it was not in the set before.
    pub fn insert(&mut self, position: usize) -> bool {
        let fresh = !self.contains(position);
        self.0 |= 1 << position;
        fresh
    }

    /// Whether it was in the set.
    pub fn remove(&mut self, position: usize) -> bool {
        let held = self.contains(position);
        self.0 &= !(1 << position);
        held
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn union(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    pub fn minus(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    pub fn positions(self) -> impl Iterator<Item = usize> {
        (0..REPLICAS_MAX).filter(move |position| self.contains(*position))
    }
}

/// The topology by which this node routes.
pub struct Routing {
    partitioner: Box<dyn Partitioner>,
    placement: Placement,
    topology: Topology,
    /// Every set of owners that some range has, once.
    groups: BTreeSet<BTreeSet<NodeId>>,
}

impl Routing {
    pub fn new(settings: &Settings) -> Self {
        let partitioner = settings.partitioning.build();
        let topology = settings.topology.clone();
        let placement = partitioner.place(&topology, settings.replication.n);
        let group = |owners: &[NodeId]| owners.iter().copied().collect();
        let groups = placement.ranges().map(|(_, owners)| group(owners)).collect();
        Routing { partitioner, placement, topology, groups }
    }

    pub fn epoch(&self) -> u64 {
        self.topology.epoch
    }

    pub fn owners(&self, key: &[u8]) -> &[NodeId] {
        self.placement.owners(self.partitioner.token(key))
    }

    /// Whether a majority of every range's owners satisfies `is_alive`.
    pub fn has_quorum(&self, is_alive: impl Fn(NodeId) -> bool) -> bool {
        self.groups.iter().all(|group| {
            let alive = group.iter().filter(|owner| is_alive(**owner)).count();
            alive > group.len() / 2
        })
    }

    /// The share of the token space of which each node is the first owner.
    pub fn shares(&self) -> BTreeMap<NodeId, f64> {
        let ownership = self.placement.ownership();
        ownership.into_iter().map(|(id, share)| (id, share.primary)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_counts_machines_not_messages() {
        let mut set = Set::one(2);
        assert!(!set.insert(2));
        assert!(set.insert(15));
        assert_eq!(set.len(), 2);
        assert_eq!(set.positions().collect::<Vec<_>>(), [2, 15]);
        assert_eq!(set.minus(Set::one(15)), Set::one(2));
        assert!(set.remove(2) && !set.remove(2));
        assert!(set.minus(Set::one(15)).is_empty());
    }

    #[test]
    fn owners_know_their_positions() {
        let owners = Owners::new(&[NodeId(7), NodeId(3)]);
        assert_eq!((owners.len(), owners.at(1)), (2, NodeId(3)));
        assert_eq!((owners.position(NodeId(3)), owners.position(NodeId(4))), (Some(1), None));
    }
}
