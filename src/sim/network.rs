//! The network: one link for each ordered pair of nodes.
//!
//! A packet is what one step of a node sends to one peer: a batch with one header. A link delays
//! it, may lose it, repeat it, let it be overtaken, carry only so many bytes a second, be cut in
//! one direction, or hold packets back until it is told to release them.

use super::delay::{Delay, Leg, unit};
use crate::message::{Header, Message};
use quorate_strategies::NodeId;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    pub delay: Delay,
    /// Probability that a packet is lost: 0 to 1.
    pub loss: f64,
    /// Probability that a packet arrives twice, the copy with a delay of its own. A copy that holds
    /// only answers has a number of its own, as if it had been sent again.
    pub duplicate: f64,
    /// Packets keep their order, as on one stream.
    pub ordered: bool,
    /// Probability that a packet on an ordered link is late by a second delay, so that others
    /// overtake it.
    pub reorder: f64,
    /// Capacity; packets queue for it. None: without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_s: Option<u64>,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            delay: Delay::constant_us(200),
            loss: 0.0,
            duplicate: 0.0,
            ordered: true,
            reorder: 0.0,
            bytes_per_s: None,
        }
    }
}

/// A batch on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub header: Header,
    pub messages: Vec<Message>,
}

impl Packet {
    /// Whether it asks for nothing.
    pub fn only_answers(&self) -> bool {
        let answers = |message: &Message| {
            matches!(
                message,
                Message::Applied { .. }
                    | Message::Stored { .. }
                    | Message::Found { .. }
                    | Message::Refused { .. }
            )
        };
        self.messages.iter().all(answers)
    }

    fn leg(&self) -> Leg {
        let writes =
            |message: &Message| matches!(message, Message::Apply { .. } | Message::Merge { .. });
        if self.messages.iter().any(writes) { Leg::Write } else { Leg::Other }
    }
}

/// What becomes of a packet.
#[derive(Debug)]
pub(super) enum Fate {
    Lost(Cause),
    /// It waits for a release.
    Held,
    At(u64, Packet),
    Twice([u64; 2], Packet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Cut,
    Chance,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Nothing on this link arrives before this.
    last_us: u64,
    /// Until when the link is busy with earlier bytes.
    busy_until_us: u64,
    cut: bool,
    holds: bool,
    /// Packets so far.
    sent: u64,
    /// Position in `kinds`.
    kind: u16,
}

pub(super) struct Network {
    nodes: usize,
    kinds: Vec<Link>,
    links: Vec<State>,
    held: BTreeMap<usize, Vec<Packet>>,
    random: Xoshiro256PlusPlus,
}

impl Network {
    pub fn new(nodes: usize, link: Link, seed: u64) -> Self {
        Network {
            nodes,
            kinds: vec![link],
            links: vec![State::default(); nodes * nodes],
            held: BTreeMap::new(),
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    /// Ids are 1 to the number of nodes.
    fn index(&self, from: NodeId, to: NodeId) -> usize {
        (from.0 as usize - 1) * self.nodes + (to.0 as usize - 1)
    }

    /// Changes all links, also those that had a behaviour of their own.
    pub fn set_all(&mut self, link: Link) {
        self.kinds = vec![link];
        self.links.iter_mut().for_each(|state| state.kind = 0);
    }

    pub fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) {
        let known = self.kinds.iter().position(|kind| *kind == link);
        let kind = known.unwrap_or(self.kinds.len());
        if known.is_none() {
            self.kinds.push(link);
        }
        let index = self.index(from, to);
        self.links[index].kind = kind as u16;
    }

    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        let index = self.index(from, to);
        self.links[index].cut = true;
    }

    /// Mends every cut. Packets that were lost stay lost.
    pub fn heal(&mut self) {
        self.links.iter_mut().for_each(|state| state.cut = false);
    }

    /// Keeps packets back from now on.
    pub fn hold(&mut self, from: NodeId, to: NodeId) {
        let index = self.index(from, to);
        self.links[index].holds = true;
    }

    /// Ends a hold; hands over what was kept back, oldest first.
    pub fn release(&mut self, from: NodeId, to: NodeId) -> Vec<Packet> {
        let index = self.index(from, to);
        self.links[index].holds = false;
        self.held.remove(&index).unwrap_or_default()
    }

    /// What is kept back, link by link, oldest first.
    pub fn held(&self) -> impl Iterator<Item = &Packet> {
        self.held.values().flatten()
    }

    /// Every link that holds packets back, or has some.
    pub fn holds(&self) -> Vec<(NodeId, NodeId)> {
        let pair = |index: usize| {
            (NodeId((index / self.nodes) as u64 + 1), NodeId((index % self.nodes) as u64 + 1))
        };
        let holding = self.links.iter().enumerate().filter(|(_, state)| state.holds);
        holding.map(|(index, _)| pair(index)).collect()
    }

    /// Numbers the next packet of a link.
    pub fn number(&mut self, from: NodeId, to: NodeId) -> u64 {
        let index = self.index(from, to);
        self.links[index].sent += 1;
        self.links[index].sent
    }

    /// Sends a packet. `bytes` is asked only where capacity counts.
    pub fn send(&mut self, now_us: u64, packet: Packet, bytes: impl Fn(&Packet) -> u64) -> Fate {
        let index = self.index(packet.header.from, packet.header.to);
        let state = self.links[index];
        if state.cut {
            return Fate::Lost(Cause::Cut);
        }
        let link = self.kinds[state.kind as usize];
        if link.loss > 0.0 && unit(&mut self.random) < link.loss {
            return Fate::Lost(Cause::Chance);
        }
        if state.holds {
            self.held.entry(index).or_default().push(packet);
            return Fate::Held;
        }
        let size = link.bytes_per_s.map_or(0, |_| bytes(&packet));
        let first_us = self.arrival(now_us, index, &link, packet.leg(), size);
        if link.duplicate > 0.0 && unit(&mut self.random) < link.duplicate {
            let second_us = self.arrival(now_us, index, &link, packet.leg(), size);
            return Fate::Twice([first_us, second_us], packet);
        }
        Fate::At(first_us, packet)
    }

    fn arrival(&mut self, now_us: u64, index: usize, link: &Link, leg: Leg, bytes: u64) -> u64 {
        let state = &mut self.links[index];
        let mut leaves_us = now_us;
        if let Some(bytes_per_s) = link.bytes_per_s {
            leaves_us = now_us.max(state.busy_until_us) + bytes * 1_000_000 / bytes_per_s.max(1);
            state.busy_until_us = leaves_us;
        }
        let mut at_us = leaves_us + link.delay.sample(leg, &mut self.random);
        if link.reorder > 0.0 && unit(&mut self.random) < link.reorder {
            // It is overtaken, so it holds nobody up.
            return at_us + link.delay.sample(leg, &mut self.random);
        }
        if link.ordered {
            at_us = at_us.max(state.last_us);
            state.last_us = at_us;
        }
        at_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Heard;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    fn packet() -> Packet {
        let (epoch, clock, incarnation, sent_us) = (1, 0, 1, 0);
        let (from, to, wall_us, sequence) = (ONE, TWO, 0, 1);
        let heard = Heard::default();
        let header =
            Header { from, to, epoch, clock, incarnation, sent_us, wall_us, sequence, heard };
        Packet {
            header,
            messages: vec![Message::Heartbeat { incarnation: 1, hears: 0, aside: false }],
        }
    }

    fn arrivals(link: Link, count: u64) -> Vec<u64> {
        let mut network = Network::new(3, link, 9);
        let sent = (0..count).map(|number| network.send(number * 10, packet(), |_| 1_000));
        sent.flat_map(|fate| match fate {
            Fate::At(at_us, _) => vec![at_us],
            Fate::Twice(both, _) => both.to_vec(),
            Fate::Lost(_) | Fate::Held => Vec::new(),
        })
        .collect()
    }

    fn exponential() -> Link {
        Link { delay: Delay::Exponential { mean_us: 5_000.0 }, ..Link::default() }
    }

    #[test]
    fn an_ordered_link_keeps_the_order_and_another_one_does_not() {
        assert!(arrivals(exponential(), 1_000).is_sorted());
        assert!(!arrivals(Link { ordered: false, ..exponential() }, 1_000).is_sorted());
        assert!(!arrivals(Link { reorder: 0.1, ..exponential() }, 1_000).is_sorted());
    }

    #[test]
    fn loss_and_duplication_have_the_shares_that_were_asked() {
        let lossy = arrivals(Link { loss: 0.05, ..Link::default() }, 20_000).len();
        assert!((18_800..19_200).contains(&lossy), "{lossy}");
        let doubled = arrivals(Link { duplicate: 0.05, ..Link::default() }, 20_000).len();
        assert!((20_800..21_200).contains(&doubled), "{doubled}");
    }

    #[test]
    fn capacity_makes_packets_queue() {
        let link = Link { bytes_per_s: Some(1_000_000), ..Link::default() };
        assert_eq!(arrivals(link, 3), [1_200, 2_200, 3_200]);
    }

    #[test]
    fn a_cut_has_a_direction_and_a_hold_keeps_what_it_holds() {
        let mut network = Network::new(2, Link::default(), 1);
        network.cut(TWO, ONE);
        network.hold(ONE, TWO);
        assert!(matches!(network.send(0, packet(), |_| 0), Fate::Held));
        assert_eq!(network.holds(), [(ONE, TWO)]);
        assert_eq!(network.release(ONE, TWO).len(), 1);
        assert!(matches!(network.send(0, packet(), |_| 0), Fate::At(200, _)));
        network.cut(ONE, TWO);
        assert!(matches!(network.send(0, packet(), |_| 0), Fate::Lost(Cause::Cut)));
        network.heal();
        assert!(matches!(network.send(0, packet(), |_| 0), Fate::At(200, _)));
    }
}
