//! One step's surroundings: what coordinator and replica may see and do while they handle one
//! input.

use super::clock::{Clock, Drift};
use super::membership::Membership;
use super::routing::{Owners, Routing};
use super::{ClientTag, Counters, Effect, Now, Settings};
use crate::message::{Message, Refused, Reply};
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Resolver, Stamp};
use std::collections::VecDeque;

pub(super) struct Turn<'a> {
    pub now: Now,
    pub settings: &'a Settings,
    pub routing: &'a Routing,
    pub resolver: &'a dyn Resolver,
    pub membership: &'a Membership,
    pub clock: &'a mut Clock,
    pub counters: &'a mut Counters,
    pub actor: u64,
    /// Messages of this node to itself, handled within the same step.
    pub local: &'a mut VecDeque<Message>,
    pub out: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    /// One path for all replicas: what goes to this node itself only takes a shorter wire.
    pub fn send(&mut self, to: NodeId, message: Message) {
        if to == self.settings.id {
            self.local.push_back(message);
        } else {
            self.out.push(Effect::Send { to, message });
        }
    }

    pub fn reply(&mut self, tag: ClientTag, reply: Reply) {
        self.out.push(Effect::Reply { tag, reply });
    }

    pub fn owners(&self, key: &[u8]) -> Owners {
        Owners::new(self.routing.owners(key))
    }

    pub fn stamp(&mut self) -> Result<Stamp, Refused> {
        let time = self.clock.tick(self.now.wall_us);
        let time = time.map_err(|Drift { ahead_ms }| Refused::ClockAhead { ahead_ms })?;
        Ok(Stamp { actor: self.actor, time })
    }

    pub fn wall_ms(&self) -> u64 {
        self.clock.wall_ms(self.now.wall_us)
    }
}
