//! What clients ask.

use super::Generator;
use crate::level::Level;
use crate::sim::scenario::{Ask, Statement, What};
use quorate_strategies::NodeId;

impl Generator {
    pub fn ask_anywhere(&mut self) {
        let node = self.node();
        self.ask(node);
    }

    /// A request to this node, in the background. Every value is written once, so that whoever
    /// sees it knows which write it was.
    pub fn ask(&mut self, node: NodeId) {
        self.asked += 1;
        let number = self.asked;
        let key = self.range(1..=u64::from(self.keys));
        let client = self.range(1..=u64::from(self.clients));
        let token = format!("c{client}k{key}");
        let what = self.what(number);
        let reads = what == What::Get;
        // A client gives back what its last read of the key has shown.
        let gives_context = !reads && !self.counts && self.chance(self.context_share);
        let names = if reads { true } else { gives_context };
        let ask = Ask {
            node,
            key: format!("k{key}").into(),
            what,
            level: self.level(),
            name: names.then(|| token.clone()),
            context: gives_context.then(|| format!("{token}?")),
            ttl_ms: None,
            timeout_ms: None,
            background: true,
        };
        self.add(Statement::Ask(ask));
    }

    fn what(&mut self, number: u32) -> What {
        if self.chance(self.get_share) {
            return What::Get;
        }
        if self.chance(self.delete_share) {
            return What::Delete;
        }
        if !self.counts {
            return What::Put(format!("v{number}").into());
        }
        let amount = self.range(1..=9) as i64;
        let shrinks = !self.grows_only && self.chance(30);
        What::Add(if shrinks { -amount } else { amount })
    }

    fn level(&mut self) -> Option<Level> {
        if !self.chance(self.level_share) {
            return None;
        }
        Some(self.pick(&[Level::One, Level::Quorum, Level::All]))
    }
}
