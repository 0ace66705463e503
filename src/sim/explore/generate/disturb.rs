//! What goes wrong, and what is mended meanwhile.

use super::super::fault::Fault;
use super::Generator;
use crate::sim::network::Link;
use crate::sim::scenario::{DiskFault, Statement};
use crate::sim::world::{End, Return};
use quorate_strategies::NodeId;
use rand::seq::SliceRandom;

impl Generator {
    pub fn disturb(&mut self) {
        let faults: Vec<Fault> = self.faults.iter().copied().collect();
        let node = self.node();
        match self.pick(&faults) {
            Fault::Crash => self.end(node, End::Crash),
            Fault::PowerCut => self.end(node, End::PowerCut),
            Fault::Empty => self.replace(node),
            Fault::Rot => self.add(Statement::Disk { node, what: DiskFault::Rot }),
            Fault::Partition => self.partition(),
            Fault::Cut => {
                let to = self.other(node);
                self.add(Statement::Cut { from: node, to });
            }
            Fault::Hold => self.hold(node),
            Fault::Pause => self.pause(node),
            Fault::Clock => self.clock(node),
            Fault::Full => self.fill(node),
            Fault::Slow => {
                let us = self.log_uniform(1_000, 900_000);
                self.add(Statement::Disk { node, what: DiskFault::Slow { us } });
            }
            Fault::Loss | Fault::Duplicate | Fault::Reorder => self.links_change(),
        }
    }

    fn other(&mut self, than: NodeId) -> NodeId {
        loop {
            let node = self.node();
            if node != than || self.nodes == 1 {
                return node;
            }
        }
    }

    /// Often with requests that it will not finish, often in the middle of a commit, and often back
    /// at once.
    fn end(&mut self, node: NodeId, how: End) {
        if self.chance(60) {
            for _ in 0..self.range(1..=3) {
                self.ask(node);
            }
            let us = self.log_uniform(50, 20_000);
            self.tick(us);
        }
        self.add(Statement::End { node, how });
        if self.chance(40) {
            if self.chance(50) {
                let us = self.log_uniform(100, 50_000);
                self.tick(us);
            }
            self.start(node, false);
            if self.chance(60) {
                let us = self.log_uniform(100, 200_000);
                self.tick(us);
                self.ask(node);
            }
        }
    }

    fn start(&mut self, node: NodeId, empty: bool) {
        self.add(Statement::Start { node, how: Return { empty, epoch: None } });
    }

    /// A new disk. The machine is away for so long that the time in seconds has passed its last
    /// incarnation.
    fn replace(&mut self, node: NodeId) {
        self.add(Statement::End { node, how: End::Crash });
        self.tick(2_000_000);
        self.start(node, true);
    }

    fn partition(&mut self) {
        let mut nodes: Vec<NodeId> = (1..=u64::from(self.nodes)).map(NodeId).collect();
        nodes.shuffle(&mut self.random);
        let middle = self.range(1..=u64::from(self.nodes).max(2) - 1) as usize;
        let (left, right) = nodes.split_at(middle.min(nodes.len()));
        let mut groups = vec![left.to_vec(), right.to_vec()];
        groups.retain(|group| !group.is_empty());
        groups.iter_mut().for_each(|group| group.sort());
        if groups.len() == 2 {
            self.add(Statement::Partition(groups));
        }
    }

    /// One direction, or everything that a node sends.
    fn hold(&mut self, from: NodeId) {
        let all = self.chance(40);
        let chosen = self.other(from);
        for to in (1..=u64::from(self.nodes)).map(NodeId) {
            if to != from && (all || to == chosen) {
                self.add(Statement::Hold { from, to });
            }
        }
        if self.chance(50) {
            self.ask(from);
        }
    }

    fn pause(&mut self, node: NodeId) {
        if self.chance(30) {
            self.ask(node);
            let us = self.log_uniform(50, 5_000);
            self.tick(us);
        }
        self.add(Statement::Pause { node });
        if self.chance(50) {
            self.ask_anywhere();
            let us = self.log_uniform(10_000, 3_000_000);
            self.tick(us);
            self.add(Statement::Resume { node });
        }
    }

    fn clock(&mut self, node: NodeId) {
        let magnitude = self.log_uniform(100, 20_000_000) as i64;
        let sign = self.pick(&[1, -1]);
        if self.chance(70) {
            self.add(Statement::ClockOffset { node, us: sign * magnitude });
        } else {
            // What a clock gains stays when it goes right again, so it must be bearable.
            let gains: &[i32] =
                if self.strict_clocks { &[50, 1_000] } else { &[50, 1_000, 50_000] };
            let ppm = self.pick(gains) * sign as i32;
            self.add(Statement::ClockDrift { node, ppm });
        }
    }

    /// The disk is full while requests go on.
    fn fill(&mut self, node: NodeId) {
        self.add(Statement::Disk { node, what: DiskFault::Full });
        for _ in 0..self.range(0..=3) {
            self.ask(node);
            let us = self.log_uniform(100, 20_000);
            self.tick(us);
        }
    }

    fn links_change(&mut self) {
        let chances = [0.0, 0.01, 0.1, 0.3];
        let mut share = |fault| {
            if self.faults.contains(&fault) { self.pick(&chances) } else { 0.0 }
        };
        let (loss, duplicate) = (share(Fault::Loss), share(Fault::Duplicate));
        let reorder = share(Fault::Reorder);
        let link = Link { loss, duplicate, reorder, ..Link::default() };
        if self.chance(50) {
            return self.add(Statement::Network(link));
        }
        let from = self.node();
        let to = self.other(from);
        self.add(Statement::Direction { from, to, link });
    }

    /// Ends one of the faults that last.
    pub fn mend_one(&mut self) {
        let mut cures = self.scars.healing();
        cures.retain(|cure| !matches!(cure, Statement::Tick(_) | Statement::Network(_)));
        if cures.is_empty() {
            return;
        }
        let cure = self.pick(&(0..cures.len()).collect::<Vec<_>>());
        let cure = cures.swap_remove(cure);
        // A disk with space again, or a clock that was set, shows when the node comes back.
        if let Statement::Start { node, how } = cure {
            if !self.scars.down.contains(&node) {
                self.add(Statement::End { node, how: crate::sim::world::End::Crash });
            }
            if how.empty {
                self.tick(2_000_000);
            }
        }
        self.add(cure);
    }
}
