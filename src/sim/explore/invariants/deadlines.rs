//! Every request has its reply by its deadline, and only one.

use crate::node::ClientTag;
use crate::sim::scenario::{Asked, What};
use quorate_strategies::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// A coordinator notices a deadline up to two ticks of its wheel late, and time is drawn in whole
/// microseconds.
const SLACK_US: u64 = 15_000;

/// Requests without a reply, by when it is due.
#[derive(Debug, Default)]
pub struct Deadlines {
    due: BTreeSet<(u64, ClientTag)>,
    open: BTreeMap<ClientTag, Open>,
    paused: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    node: NodeId,
    allowed_us: u64,
    /// None while the coordinator stands still.
    due_us: Option<u64>,
}

/// What requests may take, where they do not say.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub read_us: u64,
    pub write_us: u64,
}

impl Timeouts {
    pub fn of(self, asked: &Asked) -> u64 {
        let default = if asked.ask.what == What::Get { self.read_us } else { self.write_us };
        asked.ask.timeout_ms.map_or(default, |ms| u64::from(ms) * 1_000)
    }
}

impl Deadlines {
    /// `skewed`: clocks may be slow or fast, so a node's second is not a second.
    pub fn asks(&mut self, asked: &Asked, timeout_us: u64, skewed: bool) {
        let allowed_us = SLACK_US + timeout_us + if skewed { timeout_us / 4 } else { 0 };
        let node = asked.ask.node;
        let open = Open { node, allowed_us, due_us: None };
        self.open.insert(asked.tag, open);
        if !self.paused.contains(&node) {
            self.count_from(asked.tag, asked.at_us);
        }
    }

    fn count_from(&mut self, tag: ClientTag, now_us: u64) {
        if let Some(open) = self.open.get_mut(&tag) {
            let due_us = now_us + open.allowed_us;
            open.due_us = Some(due_us);
            self.due.insert((due_us, tag));
        }
    }

    /// A clock begins to go wrong: what is open may take longer.
    pub fn stretch(&mut self) {
        for (tag, open) in &mut self.open {
            let Some(due_us) = open.due_us.as_mut() else { continue };
            self.due.remove(&(*due_us, *tag));
            *due_us += open.allowed_us / 4;
            self.due.insert((*due_us, *tag));
        }
    }

    pub fn replied(&mut self, tag: ClientTag) {
        if let Some(Open { due_us: Some(due_us), .. }) = self.open.remove(&tag) {
            self.due.remove(&(due_us, tag));
        }
    }

    fn of_node(&self, node: NodeId) -> Vec<ClientTag> {
        self.open.iter().filter(|(_, open)| open.node == node).map(|(tag, _)| *tag).collect()
    }

    pub fn pauses(&mut self, node: NodeId) {
        self.paused.insert(node);
        for tag in self.of_node(node) {
            let due_us = self.open.get_mut(&tag).and_then(|open| open.due_us.take());
            due_us.map(|due_us| self.due.remove(&(due_us, tag)));
        }
    }

    /// What was asked of a node that stood still is asked when it goes on.
    pub fn goes_on(&mut self, now_us: u64, node: NodeId) {
        if self.paused.remove(&node) {
            self.of_node(node).into_iter().for_each(|tag| self.count_from(tag, now_us));
        }
    }

    /// A request whose reply is overdue.
    pub fn overdue(&self, now_us: u64) -> Option<(u64, ClientTag)> {
        self.due.first().copied().filter(|(due_us, _)| *due_us < now_us)
    }

    pub fn is_open(&self, tag: ClientTag) -> bool {
        self.open.contains_key(&tag)
    }

    pub fn are_none(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scenario::Ask;

    fn asked(tag: ClientTag, at_us: u64) -> Asked {
        let ask = Ask {
            node: NodeId(1),
            key: "k".into(),
            what: What::Get,
            level: None,
            name: None,
            context: None,
            ttl_ms: None,
            timeout_ms: Some(100),
            background: true,
        };
        Asked { tag, ask, context: None, at_us }
    }

    const TIMEOUTS: Timeouts = Timeouts { read_us: 1, write_us: 2 };

    fn deadlines() -> Deadlines {
        let mut deadlines = Deadlines::default();
        let asked = asked(7, 1_000);
        deadlines.asks(&asked, TIMEOUTS.of(&asked), false);
        deadlines
    }

    #[test]
    fn a_reply_is_due_at_the_deadline() {
        let mut deadlines = deadlines();
        assert_eq!(deadlines.overdue(101_000), None);
        assert_eq!(deadlines.overdue(120_000).map(|(_, tag)| tag), Some(7));
        assert!(deadlines.is_open(7));
        deadlines.replied(7);
        assert_eq!(deadlines.overdue(u64::MAX), None);
        assert!(!deadlines.is_open(7) && deadlines.are_none());
    }

    #[test]
    fn a_slow_clock_has_more_time() {
        let mut deadlines = deadlines();
        deadlines.stretch();
        assert_eq!(deadlines.overdue(140_000), None);
        assert!(deadlines.overdue(150_000).is_some());
        deadlines.replied(7);
        assert_eq!(deadlines.overdue(u64::MAX), None);
    }

    #[test]
    fn a_coordinator_that_stands_still_has_its_time_when_it_goes_on() {
        let mut deadlines = deadlines();
        deadlines.pauses(NodeId(1));
        deadlines.asks(&asked(8, 2_000), 100_000, false);
        assert_eq!(deadlines.overdue(9_000_000), None);
        deadlines.goes_on(9_000_000, NodeId(1));
        assert_eq!(deadlines.overdue(9_100_000), None);
        assert!(deadlines.overdue(9_200_000).is_some());
    }
}
