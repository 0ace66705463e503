//! What is out of order in a world, followed statement by statement.
//!
//! The generator asks it what can be done next, the shrinker drops what has become impossible, the
//! end of every scenario is what it says must be mended, and the invariants ask it whether all is
//! well: one account, four readers.

use crate::sim::network::Link;
use crate::sim::scenario::{DiskFault, Statement};
use crate::sim::world::{End, Return};
use quorate_strategies::NodeId;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub struct Scars {
    pub down: BTreeSet<NodeId>,
    pub paused: BTreeSet<NodeId>,
    pub holds: BTreeSet<(NodeId, NodeId)>,
    pub cuts: bool,
    /// Links lose, repeat or delay for long.
    pub links: bool,
    pub slow: BTreeSet<NodeId>,
    pub full: BTreeSet<NodeId>,
    /// Engines that may have met a full disk: they take no writes until their next start.
    pub read_only: BTreeSet<NodeId>,
    pub rotten: BTreeSet<NodeId>,
    /// Clocks that were touched, and whether they are right again.
    pub clocks: BTreeMap<NodeId, Skew>,
}

/// How a node's clocks stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    pub offset_us: i64,
    pub drift_ppm: i32,
    /// Its hybrid clock may still be ahead; a new life forgets that.
    pub remembers: bool,
}

/// Links behave like this where nothing is wrong.
pub fn healthy(link: &Link) -> bool {
    let quick = link.delay.mean_us().is_some_and(|mean_us| mean_us <= 10_000.0);
    let chances = [link.loss, link.duplicate, link.reorder];
    quick && chances.iter().all(|chance| *chance == 0.0) && link.bytes_per_s.is_none()
}

impl Scars {
    /// Of a world that has just begun with these links.
    pub fn new(link: &Link) -> Self {
        Scars { links: !healthy(link), ..Scars::default() }
    }

    pub fn is_calm(&self) -> bool {
        let nodes = [&self.down, &self.paused, &self.slow, &self.full, &self.read_only];
        nodes.iter().all(|set| set.is_empty())
            && self.rotten.is_empty()
            && self.holds.is_empty()
            && !self.cuts
            && !self.links
            && self.clocks.values().all(|skew| *skew == Skew::default())
    }

    /// Whether the world can do it, and the scenario goes on after it.
    pub fn takes(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Ask(ask) => ask.background || !self.paused.contains(&ask.node),
            Statement::End { node, .. } => !self.down.contains(node),
            Statement::Start { node, how } => {
                self.down.contains(node) && (how.empty || !self.rotten.contains(node))
            }
            Statement::Pause { node } => !self.down.contains(node) && !self.paused.contains(node),
            Statement::Resume { node } => self.paused.contains(node),
            Statement::Release { from, to } => self.holds.contains(&(*from, *to)),
            _ => true,
        }
    }

    pub fn note(&mut self, statement: &Statement) {
        match *statement {
            Statement::Network(ref link) => self.links = !healthy(link),
            Statement::Direction { ref link, .. } => self.links |= !healthy(link),
            Statement::Partition(_) | Statement::Cut { .. } => self.cuts = true,
            Statement::Heal => self.cuts = false,
            Statement::Hold { from, to } => drop(self.holds.insert((from, to))),
            Statement::Release { from, to } => drop(self.holds.remove(&(from, to))),
            Statement::End { node, .. } => {
                self.down.insert(node);
                self.paused.remove(&node);
            }
            Statement::Start { node, how } => self.started(node, how),
            Statement::Pause { node } => drop(self.paused.insert(node)),
            Statement::Resume { node } => drop(self.paused.remove(&node)),
            Statement::ClockOffset { node, us } => {
                let skew = self.clocks.entry(node).or_default();
                (skew.offset_us, skew.remembers) = (us, true);
            }
            Statement::ClockDrift { node, ppm } => {
                let skew = self.clocks.entry(node).or_default();
                (skew.drift_ppm, skew.remembers) = (ppm, true);
            }
            Statement::Disk { node, what } => self.disk(node, what),
            _ => {}
        }
    }

    fn started(&mut self, node: NodeId, how: Return) {
        self.down.remove(&node);
        if !self.full.contains(&node) {
            self.read_only.remove(&node);
        }
        if how.empty {
            self.rotten.remove(&node);
        }
        if let Some(skew) = self.clocks.get_mut(&node) {
            skew.remembers = skew.offset_us != 0 || skew.drift_ppm != 0;
        }
    }

    fn disk(&mut self, node: NodeId, what: DiskFault) {
        match what {
            DiskFault::Slow { us: 0 } => drop(self.slow.remove(&node)),
            DiskFault::Slow { .. } => drop(self.slow.insert(node)),
            DiskFault::Full => {
                self.full.insert(node);
                self.read_only.insert(node);
            }
            DiskFault::Free => drop(self.full.remove(&node)),
            DiskFault::Rot => drop(self.rotten.insert(node)),
        }
    }

    /// What mends everything, in an order that is possible. Nodes that are down, or must be started
    /// anew, come up at the end.
    pub fn healing(&self) -> Vec<Statement> {
        let mut statements = Vec::new();
        if self.cuts {
            statements.push(Statement::Heal);
        }
        if self.links {
            statements.push(Statement::Network(Link::default()));
        }
        statements.extend(self.holds.iter().map(|&(from, to)| Statement::Release { from, to }));
        statements.extend(self.paused.iter().map(|&node| Statement::Resume { node }));
        for &node in &self.slow {
            statements.push(Statement::Disk { node, what: DiskFault::Slow { us: 0 } });
        }
        for &node in &self.full {
            statements.push(Statement::Disk { node, what: DiskFault::Free });
        }
        for (&node, skew) in &self.clocks {
            if skew.offset_us != 0 {
                statements.push(Statement::ClockOffset { node, us: 0 });
            }
            if skew.drift_ppm != 0 {
                statements.push(Statement::ClockDrift { node, ppm: 0 });
            }
        }
        self.restarts(&mut statements);
        statements
    }

    fn restarts(&self, statements: &mut Vec<Statement>) {
        let skewed = self.clocks.iter().filter(|(_, skew)| **skew != Skew::default());
        let mut anew: BTreeSet<NodeId> = skewed.map(|(node, _)| *node).collect();
        anew.extend(self.read_only.iter().chain(&self.rotten));
        for &node in anew.difference(&self.down) {
            statements.push(Statement::End { node, how: End::Crash });
        }
        anew.extend(&self.down);
        // An emptied disk forgets its last incarnation; the next one is the time in seconds.
        if anew.iter().any(|node| self.rotten.contains(node)) {
            statements.push(Statement::Tick(2_000_000));
        }
        for node in anew {
            let how = Return { empty: self.rotten.contains(&node), epoch: None };
            statements.push(Statement::Start { node, how });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    #[test]
    fn healing_makes_calm_whatever_was_wrong() {
        let wrongs = [
            Statement::Cut { from: ONE, to: TWO },
            Statement::Hold { from: ONE, to: TWO },
            Statement::Network(Link { loss: 0.1, ..Link::default() }),
            Statement::End { node: ONE, how: End::Crash },
            Statement::Pause { node: TWO },
            Statement::ClockOffset { node: TWO, us: -5 },
            Statement::ClockDrift { node: TWO, ppm: 5 },
            Statement::Disk { node: TWO, what: DiskFault::Slow { us: 5 } },
            Statement::Disk { node: TWO, what: DiskFault::Full },
            Statement::Disk { node: ONE, what: DiskFault::Rot },
        ];
        for count in 0..=wrongs.len() {
            let mut scars = Scars::new(&Link::default());
            wrongs[..count].iter().for_each(|wrong| scars.note(wrong));
            assert_eq!(scars.is_calm(), count == 0);
            for statement in scars.healing() {
                assert!(scars.takes(&statement), "{statement}");
                scars.note(&statement);
            }
            assert!(scars.is_calm(), "after {count}: {scars:?}");
        }
    }

    #[test]
    fn what_is_impossible_is_not_taken() {
        let mut scars = Scars::default();
        let end = Statement::End { node: ONE, how: End::Crash };
        let start = |empty| Statement::Start { node: ONE, how: Return { empty, epoch: None } };
        assert!(!scars.takes(&start(false)));
        scars.note(&end);
        assert!(!scars.takes(&end) && scars.takes(&start(false)));
        scars.note(&Statement::Disk { node: ONE, what: DiskFault::Rot });
        assert!(!scars.takes(&start(false)) && scars.takes(&start(true)));
        assert!(!scars.takes(&Statement::Pause { node: ONE }));
    }
}
