//! What nodes think of each other, held against the truth: who noticed a death and when, who took
//! a living peer for dead and for how long.
//!
//! Detection time, mistake rate and mistake duration are the measures of Chen, Toueg and Aguilera,
//! "On the Quality of Service of Failure Detectors", IEEE Transactions on Computers 51(5), 2002,
//! section 2.2: T_D, the inverse of T_MR, and T_M.

use crate::sim::Event;
use quorate_strategies::NodeId;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Paused,
    Dead,
}

/// (who thinks, of whom)
type Pair = (usize, usize);

pub struct Watch {
    states: Vec<State>,
    /// Whether one takes another for down: a row for each who thinks.
    down: Vec<bool>,
    /// Since when a living peer is taken for down.
    mistaken: BTreeMap<Pair, u64>,
    /// Of each node that died while it counted: when.
    died_us: Vec<u64>,
    /// Who saw whom die, and how long it took to notice for good; None: not yet.
    deaths: BTreeMap<Pair, Option<f64>>,
    counting: bool,
    /// Until when `watched_us` is counted.
    now_us: u64,
    found: Found,
}

/// What was seen while it counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// From a death until one observer had noticed it for good: 0 for one that took the node for
    /// down already.
    pub detections_s: Vec<f64>,
    /// Observers that did not notice a death before the node was back.
    pub unnoticed: u64,
    pub mistakes: u64,
    /// Of the mistakes that were mended.
    pub mistake_durations_s: Vec<f64>,
    /// Time in which one living node watched another living one, summed over all pairs.
    pub watched_us: u128,
}

impl Watch {
    /// Of a world in which no node has started.
    pub fn new(nodes: usize) -> Watch {
        Watch {
            states: vec![State::Dead; nodes],
            down: vec![false; nodes * nodes],
            mistaken: BTreeMap::new(),
            died_us: vec![0; nodes],
            deaths: BTreeMap::new(),
            counting: false,
            now_us: 0,
            found: Found::default(),
        }
    }

    /// Counts from now on: mistakes that are made and deaths that happen.
    pub fn begin(&mut self, now_us: u64) {
        self.pass(now_us);
        self.counting = true;
        self.deaths.clear();
        self.found = Found::default();
    }

    /// Ends the count. A death that was not noticed yet says nothing.
    pub fn end(&mut self, now_us: u64) -> Found {
        self.pass(now_us);
        self.counting = false;
        let noticed = std::mem::take(&mut self.deaths).into_values().flatten();
        self.found.detections_s.extend(noticed);
        std::mem::take(&mut self.found)
    }

    /// One node's opinion of another changes.
    pub fn event(&mut self, now_us: u64, node: NodeId, event: &Event) {
        match event {
            Event::PeerDown { peer } => self.taken_for_down(now_us, (index(node), index(*peer))),
            Event::PeerUp { peer } => self.taken_for_up(now_us, (index(node), index(*peer))),
            _ => {}
        }
    }

    fn taken_for_down(&mut self, now_us: u64, pair: Pair) {
        let place = self.place(pair);
        self.down[place] = true;
        if let Some(noticed @ None) = self.deaths.get_mut(&pair) {
            *noticed = Some(seconds(now_us - self.died_us[pair.1]));
        } else if self.states[pair.1] == State::Up {
            self.found.mistakes += u64::from(self.counting);
            self.mistaken.insert(pair, now_us);
        }
    }

    fn taken_for_up(&mut self, now_us: u64, pair: Pair) {
        let place = self.place(pair);
        self.down[place] = false;
        // A heartbeat that was on its way when the node died.
        if let Some(noticed) = self.deaths.get_mut(&pair) {
            *noticed = None;
        }
        if let Some(since_us) = self.mistaken.remove(&pair)
            && self.counting
        {
            self.found.mistake_durations_s.push(seconds(now_us - since_us));
        }
    }

    fn place(&self, (observer, peer): Pair) -> usize {
        observer * self.states.len() + peer
    }

    pub fn died(&mut self, now_us: u64, node: NodeId) {
        self.pass(now_us);
        let victim = index(node);
        if self.states[victim] == State::Dead {
            return;
        }
        self.states[victim] = State::Dead;
        self.forget(victim);
        for observer in 0..self.states.len() {
            if self.counting && self.states[observer] == State::Up {
                let pair = (observer, victim);
                let already = self.down[self.place(pair)].then_some(0.0);
                self.deaths.insert(pair, already);
            }
        }
        self.died_us[victim] = now_us;
    }

    pub fn started(&mut self, now_us: u64, node: NodeId) {
        self.pass(now_us);
        let started = index(node);
        if self.states[started] != State::Dead {
            return;
        }
        self.states[started] = State::Up;
        let found = &mut self.found;
        self.deaths.retain(|(_, victim), noticed| {
            if *victim == started {
                found.detections_s.extend(*noticed);
                found.unnoticed += u64::from(noticed.is_none());
            }
            *victim != started
        });
    }

    pub fn paused(&mut self, now_us: u64, node: NodeId) {
        self.turn(now_us, node, State::Up, State::Paused);
    }

    pub fn resumed(&mut self, now_us: u64, node: NodeId) {
        self.turn(now_us, node, State::Paused, State::Up);
    }

    fn turn(&mut self, now_us: u64, node: NodeId, from: State, to: State) {
        self.pass(now_us);
        let state = &mut self.states[index(node)];
        if *state == from {
            *state = to;
        }
    }

    /// A dead node has no opinions, and nobody is mistaken about it.
    fn forget(&mut self, node: usize) {
        let nodes = self.states.len();
        self.down[node * nodes..(node + 1) * nodes].fill(false);
        self.mistaken.retain(|(observer, peer), _| *observer != node && *peer != node);
        self.deaths.retain(|(observer, _), _| *observer != node);
    }

    fn pass(&mut self, now_us: u64) {
        let alive = self.states.iter().filter(|state| **state == State::Up).count() as u128;
        let passed = u128::from(now_us - self.now_us);
        self.now_us = now_us;
        if self.counting {
            self.found.watched_us += passed * alive * alive.saturating_sub(1);
        }
    }
}

fn index(node: NodeId) -> usize {
    node.0 as usize - 1
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);
    const THREE: NodeId = NodeId(3);
    const S: u64 = 1_000_000;

    /// Three nodes that have run for a second, and count.
    fn watch() -> Watch {
        let mut watch = Watch::new(3);
        [ONE, TWO, THREE].into_iter().for_each(|node| watch.started(0, node));
        watch.begin(S);
        watch
    }

    fn down(watch: &mut Watch, at_s: u64, node: NodeId, peer: NodeId) {
        watch.event(at_s * S, node, &Event::PeerDown { peer });
    }

    fn up(watch: &mut Watch, at_s: u64, node: NodeId, peer: NodeId) {
        watch.event(at_s * S, node, &Event::PeerUp { peer });
    }

    #[test]
    fn a_death_is_noticed_by_each_observer_in_its_own_time() {
        let mut watch = watch();
        watch.died(10 * S, ONE);
        down(&mut watch, 13, TWO, ONE);
        watch.started(15 * S, ONE);
        up(&mut watch, 16, TWO, ONE);
        let found = watch.end(21 * S);
        assert_eq!((found.detections_s, found.unnoticed), (vec![3.0], 1));
        assert_eq!(found.mistakes, 0);
        // Six pairs for 15 s, two while one was dead.
        assert_eq!(found.watched_us, u128::from((6 * 15 + 2 * 5) * S));
    }

    #[test]
    fn a_living_peer_taken_for_down_is_a_mistake_until_it_is_heard() {
        let mut watch = watch();
        down(&mut watch, 5, TWO, ONE);
        up(&mut watch, 7, TWO, ONE);
        down(&mut watch, 8, THREE, ONE);
        // Three was wrong and is right from now on.
        watch.died(9 * S, ONE);
        down(&mut watch, 12, TWO, ONE);
        let found = watch.end(20 * S);
        assert_eq!((found.mistakes, found.mistake_durations_s), (2, vec![2.0]));
        assert_eq!((found.detections_s, found.unnoticed), (vec![3.0, 0.0], 0));
    }

    #[test]
    fn a_heartbeat_that_outlives_its_node_takes_the_notice_back() {
        let mut watch = watch();
        watch.died(10 * S, ONE);
        down(&mut watch, 12, TWO, ONE);
        up(&mut watch, 13, TWO, ONE);
        down(&mut watch, 16, TWO, ONE);
        watch.started(20 * S, ONE);
        let found = watch.end(21 * S);
        assert_eq!((found.detections_s, found.unnoticed, found.mistakes), (vec![6.0], 1, 0));
    }

    #[test]
    fn a_pause_is_neither_a_death_nor_a_mistake() {
        let mut watch = watch();
        watch.paused(5 * S, ONE);
        down(&mut watch, 8, TWO, ONE);
        watch.resumed(9 * S, ONE);
        up(&mut watch, 9, TWO, ONE);
        let found = watch.end(10 * S);
        assert_eq!((found.mistakes, found.detections_s.len(), found.unnoticed), (0, 0, 0));
    }
}
