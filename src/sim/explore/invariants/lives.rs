//! The lives of nodes: incarnations, actors, epochs and clocks go forward.

use super::losses::Losses;
use super::{Promise, Violation};
use crate::node::{Boot, Now};
use crate::sim::scenario::Statement;
use crate::sim::world::World;
use quorate_strategies::NodeId;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Lives {
    nodes: BTreeMap<NodeId, Vec<Life>>,
    /// Started since the last look.
    started: BTreeMap<NodeId, bool>,
    /// Ended in such a way that their disk forgot something since their last start.
    forgot: BTreeSet<NodeId>,
    /// A new disk began with an incarnation that peers had seen before.
    pub reborn: bool,
}

#[derive(Debug)]
struct Life {
    boot: Boot,
    epoch: u64,
    clock: u64,
    /// What it was told of each member.
    told: BTreeMap<NodeId, (u64, u64)>,
}

impl Lives {
    pub fn note(&mut self, losses: &Losses, statement: &Statement) {
        match *statement {
            Statement::End { node, how } if losses.forgets(how) => drop(self.forgot.insert(node)),
            Statement::Start { node, how } => drop(self.started.insert(node, how.empty)),
            _ => {}
        }
    }

    /// Looks at all that runs.
    pub fn look(&mut self, world: &World) -> Result<(), Violation> {
        for id in world.ids() {
            let (Some(node), Some(boot)) = (world.node(id), world.boot_of(id)) else { continue };
            let empty = self.started.remove(&id);
            if empty.is_some() || !self.nodes.contains_key(&id) {
                self.begin(id, boot, empty.unwrap_or(false))?;
            }
            let header = node.header(id, Now { mono_us: 0, wall_us: 0 }, 0);
            let told = world.ids().map(|peer| (peer, node.told_of(peer))).collect();
            let life = Life { boot, epoch: header.epoch, clock: header.clock, told };
            self.goes_on(id, life)?;
        }
        Ok(())
    }

    fn begin(&mut self, id: NodeId, boot: Boot, empty: bool) -> Result<(), Violation> {
        let forgot = self.forgot.remove(&id) || empty;
        for (other, lives) in &self.nodes {
            let shared = lives.iter().find(|life| life.boot.actor == boot.actor);
            if shared.is_some() && (forgot || *other != id) {
                let text = format!("{id} starts as actor {:x}, which {other} was", boot.actor);
                return Err(Violation::new(Promise::Lives, text));
            }
        }
        let lives = self.nodes.entry(id).or_default();
        let highest = lives.iter().map(|life| life.boot.incarnation).max();
        let last = lives.last().map(|life| life.boot.incarnation).filter(|_| !empty);
        if last.is_some_and(|last| boot.incarnation <= last) {
            let found = boot.incarnation;
            let text = format!("{id} starts with incarnation {found}, which is no new one");
            return Err(Violation::new(Promise::Lives, text));
        }
        // A disk that was emptied knows nothing of what peers remember.
        self.reborn |= highest.is_some_and(|highest| boot.incarnation <= highest);
        lives.push(Life { boot, epoch: 0, clock: 0, told: BTreeMap::new() });
        Ok(())
    }

    /// Nothing of a life goes back while it lasts.
    fn goes_on(&mut self, id: NodeId, now: Life) -> Result<(), Violation> {
        let Some(last) = self.nodes.get_mut(&id).and_then(|lives| lives.last_mut()) else {
            return Ok(());
        };
        let told_back = now.told.iter().find(|(peer, told)| last.told.get(peer) > Some(told));
        let what = match told_back {
            _ if now.epoch < last.epoch => Some("the epoch".to_string()),
            _ if now.clock < last.clock => Some("the hybrid clock".to_string()),
            Some((peer, _)) => Some(format!("what it was told of {peer}")),
            None => None,
        };
        *last = now;
        match what {
            Some(what) => Err(Violation::new(Promise::Lives, format!("{what} of {id} went back"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ONE: NodeId = NodeId(1);

    fn boot(incarnation: u64, actor: u64) -> Boot {
        Boot { incarnation, actor }
    }

    fn life(epoch: u64, clock: u64, told: (u64, u64)) -> Life {
        Life { boot: boot(1, 1), epoch, clock, told: [(NodeId(2), told)].into() }
    }

    #[test]
    fn a_life_needs_a_new_incarnation_and_may_keep_its_actor_if_nothing_was_lost() {
        let mut lives = Lives::default();
        lives.begin(ONE, boot(5, 77), false).unwrap();
        lives.begin(ONE, boot(6, 77), false).unwrap();
        assert!(lives.begin(ONE, boot(6, 77), false).is_err());
        assert!(lives.begin(NodeId(2), boot(9, 77), false).is_err());
        lives.forgot.insert(ONE);
        assert!(lives.begin(ONE, boot(7, 77), false).is_err());
        assert!(!lives.reborn);
        lives.begin(ONE, boot(3, 78), true).unwrap();
        assert!(lives.reborn);
        lives.begin(ONE, boot(4, 78), false).unwrap();
    }

    #[test]
    fn nothing_of_a_life_goes_back() {
        for (next, fine) in [
            (life(1, 10, (5, 1)), true),
            (life(2, 11, (6, 0)), true),
            (life(0, 10, (5, 1)), false),
            (life(1, 9, (5, 1)), false),
            (life(1, 10, (5, 0)), false),
        ] {
            let mut lives = Lives::default();
            lives.begin(ONE, boot(1, 1), false).unwrap();
            lives.goes_on(ONE, life(1, 10, (5, 1))).unwrap();
            assert_eq!(lives.goes_on(ONE, next).is_ok(), fine);
        }
    }
}
