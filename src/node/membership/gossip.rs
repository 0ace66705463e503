//! Gossip: push-pull of what members say of themselves, with one random peer at a time.
//!
//! ```text
//!   initiator ──Gossip(digests)──────────────────► partner     (id, incarnation, version) of all
//!             ◄─GossipReply(what is newer, wanted)─
//!             ──GossipReply(what was wanted)─────►
//! ```
//!
//! Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", 1987, section 1.3:
//! push-pull reaches everybody in O(log members) rounds.

use super::{Membership, Scene};
use crate::message::{Digest, MemberState, Message};
use crate::node::{Effect, Event, Timer};
use quorate_strategies::NodeId;
use rand::RngExt;

/// A peer's digests, asked for ids in ascending order. A node sends them in that order, too, so all
/// answers together cost one walk; digests in any other order are found by looking at all.
struct Told<'a> {
    digests: &'a [Digest],
    sorted: bool,
    next: usize,
}

impl<'a> Told<'a> {
    fn new(digests: &'a [Digest]) -> Self {
        Told { digests, sorted: digests.is_sorted_by_key(|digest| digest.id), next: 0 }
    }

    /// What the peer knows of a member: (incarnation, version), (0, 0) where it says nothing.
    fn of(&mut self, id: NodeId) -> (u64, u64) {
        let found = if self.sorted {
            let ahead = self.digests[self.next..].iter().position(|digest| digest.id >= id);
            self.next = ahead.map_or(self.digests.len(), |steps| self.next + steps);
            self.digests.get(self.next).filter(|digest| digest.id == id)
        } else {
            self.digests.iter().find(|digest| digest.id == id)
        };
        found.map_or((0, 0), |digest| (digest.incarnation, digest.version))
    }
}

impl Membership {
    /// Time for a round: any peer may be the partner, also one that seems down, for it may be back.
    pub fn gossip_due(&mut self, scene: &mut Scene) {
        let own = self.index(self.id);
        let peers = self.members.len() - usize::from(own.is_some());
        if peers > 0 {
            let chosen = self.random.random_range(0..peers);
            let skips_own = own.is_some_and(|own| chosen >= own);
            let partner = self.members[chosen + usize::from(skips_own)].state.id;
            scene.send(partner, Message::Gossip { digests: self.digests() });
        }
        self.arm_gossip(scene);
    }

    pub(super) fn arm_gossip(&self, scene: &mut Scene) {
        let at_us = scene.now.mono_us + self.gossip_interval_us;
        scene.out.push(Effect::Timer { at_us, timer: Timer::Gossip });
    }

    fn digests(&self) -> Vec<Digest> {
        let digest = |state: &MemberState| Digest {
            id: state.id,
            incarnation: state.incarnation,
            version: state.version,
        };
        self.members.iter().map(|member| digest(&member.state)).collect()
    }

    /// A peer opens a round: tell what it has not, ask for what we have not.
    pub fn compare(&mut self, scene: &mut Scene, from: NodeId, digests: &[Digest]) {
        let (mut members, mut wanted) = (Vec::new(), Vec::new());
        let mut told = Told::new(digests);
        for member in &self.members {
            let ours = (member.state.incarnation, member.state.version);
            let theirs = told.of(member.state.id);
            if ours > theirs {
                members.push(member.state.clone());
            } else if theirs > ours && member.state.id == self.id {
                scene.event(Event::Impersonated { incarnation: theirs.0 });
            } else if theirs > ours {
                wanted.push(member.state.id);
            }
        }
        if !members.is_empty() || !wanted.is_empty() {
            scene.send(from, Message::GossipReply { members, wanted });
        }
    }

    /// A peer tells what it knew better, and what it wants to know.
    pub fn absorb(
        &mut self,
        scene: &mut Scene,
        from: NodeId,
        members: Vec<MemberState>,
        wanted: &[NodeId],
    ) {
        for state in members {
            self.learn(scene, state);
        }
        let told: Vec<MemberState> = wanted
            .iter()
            .filter_map(|id| self.index(*id))
            .map(|index| self.members[index].state.clone())
            .filter(|state| state.incarnation > 0)
            .collect();
        if !told.is_empty() {
            scene.send(from, Message::GossipReply { members: told, wanted: Vec::new() });
        }
    }

    fn learn(&mut self, scene: &mut Scene, state: MemberState) {
        let Some(index) = self.index(state.id) else { return };
        let known = &self.members[index].state;
        if (state.incarnation, state.version) <= (known.incarnation, known.version) {
            return;
        }
        if !scene.is_plausible(state.incarnation) {
            scene.counters.incarnations_ignored += 1;
        } else if state.id == self.id {
            scene.event(Event::Impersonated { incarnation: state.incarnation });
        } else {
            self.members[index].state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_any_order() {
        let digest = |id: u64| Digest { id: NodeId(id), incarnation: 10 * id, version: id };
        for order in [[2, 4, 9], [9, 2, 4]] {
            let digests = order.map(digest);
            let mut told = Told::new(&digests);
            let found = [1, 2, 3, 4, 8, 9, 10].map(|id| told.of(NodeId(id)));
            let none = (0, 0);
            assert_eq!(found, [none, (20, 2), none, (40, 4), none, (90, 9), none], "{order:?}");
        }
    }
}
