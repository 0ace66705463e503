//! Whose disk lost what it had acknowledged, and until when.

use crate::engine::SyncPolicy;
use crate::sim::disk::Durability;
use crate::sim::scenario::{DiskFault, Statement};
use crate::sim::world::End;
use quorate_strategies::NodeId;
use std::collections::BTreeMap;

/// The last instant of each node at which something may have been lost.
#[derive(Debug)]
pub struct Losses {
    durability: Durability,
    last_us: BTreeMap<NodeId, u64>,
}

impl Losses {
    pub fn new(durability: Durability) -> Self {
        Losses { durability, last_us: BTreeMap::new() }
    }

    pub fn note(&mut self, now_us: u64, statement: &Statement) {
        match *statement {
            Statement::End { node, how } if self.forgets(how) => self.lost(node, now_us),
            Statement::Start { node, how } if how.empty => drop(self.last_us.insert(node, now_us)),
            // A rotten disk may lose something at any time, until it is replaced.
            Statement::Disk { node, what: DiskFault::Rot } => self.lost(node, u64::MAX),
            _ => {}
        }
    }

    fn lost(&mut self, node: NodeId, at_us: u64) {
        let last_us = self.last_us.entry(node).or_default();
        *last_us = at_us.max(*last_us);
    }

    /// Whether a process that ends so may take back what it acknowledged.
    pub fn forgets(&self, how: End) -> bool {
        match self.durability {
            Durability::Memory | Durability::Buffered(_) => true,
            Durability::Log(SyncPolicy::Always) => false,
            Durability::Log(_) => how == End::PowerCut,
        }
    }

    /// Whether something that the node held at `since_us` may be gone.
    pub fn since(&self, node: NodeId, since_us: u64) -> bool {
        self.last_us.get(&node).is_some_and(|last_us| *last_us >= since_us)
    }

    pub fn count(&self, nodes: &[NodeId], since_us: u64) -> usize {
        nodes.iter().filter(|node| self.since(**node, since_us)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::Return;

    const ONE: NodeId = NodeId(1);

    #[test]
    fn what_a_power_cut_takes_depends_on_when_the_disk_was_synchronised() {
        let cut = Statement::End { node: ONE, how: End::PowerCut };
        let crash = Statement::End { node: ONE, how: End::Crash };
        for (durability, by_cut, by_crash) in [
            (Durability::Memory, true, true),
            (Durability::Buffered(SyncPolicy::Never), true, true),
            (Durability::Log(SyncPolicy::Never), true, false),
            (Durability::Log(SyncPolicy::Always), false, false),
        ] {
            for (statement, expected) in [(&cut, by_cut), (&crash, by_crash)] {
                let mut losses = Losses::new(durability);
                losses.note(10, statement);
                assert_eq!(losses.since(ONE, 5), expected, "{durability:?} {statement}");
                assert!(!losses.since(ONE, 11));
            }
        }
    }

    #[test]
    fn a_rotten_disk_is_trusted_again_when_it_is_replaced() {
        let mut losses = Losses::new(Durability::Log(SyncPolicy::Always));
        losses.note(10, &Statement::Disk { node: ONE, what: DiskFault::Rot });
        assert_eq!(losses.count(&[ONE, NodeId(2)], 1_000), 1);
        let how = Return { empty: true, epoch: None };
        losses.note(20, &Statement::Start { node: ONE, how });
        assert_eq!(losses.count(&[ONE, NodeId(2)], 1_000), 0);
        assert!(losses.since(ONE, 20));
    }
}
