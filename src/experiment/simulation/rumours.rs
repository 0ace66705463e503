//! How fast news travels: in how many rounds of gossip does every node learn of one member's new
//! state?
//!
//! A node that starts again has a later incarnation, which it alone tells; everybody else learns of
//! it by gossip. Each node opens one round in each gossip interval, so the interval is the unit.

use crate::sim::World;
use quorate_strategies::NodeId;

/// Looks at the nodes in each gossip interval: how finely a result can be seen.
const LOOKS: u64 = 20;

pub struct Rumours {
    interval_us: u64,
    /// When the nodes are looked at next, while there is something to look for.
    next_us: Option<u64>,
    open: Vec<Rumour>,
    found: Found,
}

/// Rounds until all knew, and how often that was not seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub rounds: Vec<f64>,
    /// Rumours whose subject died, or whose trial ended, before all knew.
    pub unfinished: u64,
}

/// A new incarnation that some have not heard of.
struct Rumour {
    subject: NodeId,
    incarnation: u64,
    since_us: u64,
    ignorant: Vec<NodeId>,
}

impl Rumours {
    pub fn new(gossip_interval_ms: u32) -> Rumours {
        let interval_us = u64::from(gossip_interval_ms) * 1_000;
        Rumours { interval_us, next_us: None, open: Vec::new(), found: Found::default() }
    }

    pub fn next_us(&self) -> Option<u64> {
        self.next_us
    }

    /// `subject` has just started and has something to tell.
    pub fn begin(&mut self, world: &World, subject: NodeId) {
        let Some(boot) = world.boot_of(subject) else { return };
        let others = world.ids().filter(|id| *id != subject);
        self.open.push(Rumour {
            subject,
            incarnation: boot.incarnation,
            since_us: world.now_us(),
            ignorant: others.collect(),
        });
        let next_us = world.now_us() + self.look_us();
        self.next_us.get_or_insert(next_us);
    }

    fn look_us(&self) -> u64 {
        (self.interval_us / LOOKS).max(1)
    }

    /// Asks those who were ignorant at the last look. Whoever is dead need not know.
    pub fn look(&mut self, world: &World) {
        let now_us = world.now_us();
        for rumour in &mut self.open {
            let Rumour { subject, incarnation, ignorant, .. } = rumour;
            ignorant.retain(|id| {
                world.node(*id).is_some_and(|node| node.told_of(*subject).0 < *incarnation)
            });
        }
        let interval_us = self.interval_us as f64;
        let found = &mut self.found;
        self.open.retain(|rumour| {
            let known = rumour.ignorant.is_empty();
            if known {
                found.rounds.push((now_us - rumour.since_us) as f64 / interval_us);
            }
            !known
        });
        self.next_us = (!self.open.is_empty()).then_some(now_us + self.look_us());
    }

    /// Nobody tells the news of a dead node any further than they are.
    pub fn died(&mut self, node: NodeId) {
        let before = self.open.len();
        self.open.retain(|rumour| rumour.subject != node);
        self.found.unfinished += (before - self.open.len()) as u64;
    }

    pub fn end(mut self) -> Found {
        self.found.unfinished += self.open.len() as u64;
        self.found
    }
}
