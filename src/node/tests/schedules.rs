//! Random schedules: lost messages, crashes, slow disks. Whatever happens, requests end, tables
//! empty, acknowledged means durable, and the same seed gives the same run.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cell::RefCell;
use std::rc::Rc;

const TIMEOUT_MS: u32 = 300;
/// A deadline is noticed within two ticks of the wheel.
const GRACE_US: u64 = 10 * MS;

/// A put of a key that no other put of the run names, or a get of an earlier one.
struct Asked {
    tag: ClientTag,
    at_us: u64,
    coordinator: NodeId,
    key: Bytes,
    is_put: bool,
}

struct Schedule {
    cluster: Cluster,
    random: Xoshiro256PlusPlus,
    /// Share of messages that are lost, in percent, shared with the rule that loses them.
    loss: Rc<RefCell<(u32, Xoshiro256PlusPlus)>>,
    asked: Vec<Asked>,
    /// Keys whose put was acknowledged.
    acknowledged: Vec<Bytes>,
    /// Coordinators that crashed, and when: their requests get no reply.
    crashes: Vec<(NodeId, u64)>,
}

impl Schedule {
    fn new(seed: u64) -> Schedule {
        let mut cluster = Cluster::start(settings(5, 3));
        let losing = Xoshiro256PlusPlus::seed_from_u64(seed + 1);
        let loss = Rc::new(RefCell::new((0, losing)));
        let shared = loss.clone();
        cluster.lose(move |_, _, _| {
            let (percent, random) = &mut *shared.borrow_mut();
            random.random_range(0..100) < *percent
        });
        Schedule {
            cluster,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            loss,
            asked: Vec::new(),
            acknowledged: Vec::new(),
            crashes: Vec::new(),
        }
    }

    fn round(&mut self, number: u64) {
        let up = self.cluster.processes.keys().copied().collect::<Vec<_>>();
        let chosen = up[self.random.random_range(0..up.len())];
        match self.random.random_range(0..100) {
            0..45 => self.ask(chosen, Bytes::from(format!("key{number}")), true),
            45..90 => {
                let key = Bytes::from(format!("key{}", self.random.random_range(0..=number)));
                self.ask(chosen, key, false);
            }
            90..94 => self.loss.borrow_mut().0 = self.random.random_range(0..40),
            94..97 => {
                let process = self.cluster.processes.get_mut(&chosen).unwrap();
                process.save_us = self.random.random_range(0..50) * MS;
                process.load_us = self.random.random_range(0..20) * MS;
            }
            _ if up.len() > 3 => {
                self.cluster.crash(chosen);
                self.crashes.push((chosen, self.cluster.now_us));
            }
            _ => {
                let down = (1..=5).map(NodeId).find(|id| !up.contains(id)).unwrap();
                self.cluster.boot(down, 1_000 + number);
            }
        }
        let pause_us = self.random.random_range(0..10) * MS;
        self.cluster.run(pause_us);
        self.check_acknowledged();
    }

    fn ask(&mut self, coordinator: NodeId, key: Bytes, is_put: bool) {
        let request = Request { key: key.clone(), ..if is_put { put("", "red") } else { get("") } };
        let request = Request { timeout_ms: Some(TIMEOUT_MS), ..request };
        let at_us = self.cluster.now_us;
        let tag = self.cluster.send(coordinator.0, request);
        self.asked.push(Asked { tag, at_us, coordinator, key, is_put });
    }

    /// A put that was acknowledged at quorum is on two disks at least, and stays there.
    fn check_acknowledged(&mut self) {
        for asked in self.asked.iter().filter(|asked| asked.is_put) {
            let reply = self.cluster.replies.get(&asked.tag);
            if matches!(reply, Some(Reply::Written { .. })) {
                self.acknowledged.push(asked.key.clone());
            }
        }
        for key in self.acknowledged.drain(..) {
            let copies = self.cluster.disks.values().filter(|disk| disk.contains_key(&key)).count();
            assert!(copies >= 2, "{key:?} was acknowledged and lies on {copies} disks");
        }
    }

    /// Every request whose coordinator lived on was answered in time.
    fn check_replies(&self) {
        let deadline_us = u64::from(TIMEOUT_MS) * MS + GRACE_US;
        for asked in &self.asked {
            let crashed = self.crashes.iter().any(|(node, at_us)| {
                *node == asked.coordinator
                    && *at_us >= asked.at_us
                    && *at_us <= asked.at_us + deadline_us
            });
            let replied_at_us = self.cluster.replied_at_us.get(&asked.tag);
            match replied_at_us {
                Some(at_us) => assert!(at_us - asked.at_us <= deadline_us, "late: {at_us}"),
                None => assert!(crashed, "request {} was never answered", asked.tag),
            }
        }
    }

    /// After the storm, every acknowledged put is found through every node.
    fn check_reads(&mut self) {
        for id in 1..=5 {
            if !self.cluster.processes.contains_key(&NodeId(id)) {
                self.cluster.boot(NodeId(id), 1_000_000);
            }
        }
        self.cluster.run(500 * MS);
        let written = self.asked.iter().filter(|asked| {
            let reply = self.cluster.replies.get(&asked.tag);
            asked.is_put && matches!(reply, Some(Reply::Written { .. }))
        });
        let written = written.map(|asked| asked.key.clone()).collect::<Vec<_>>();
        assert!(written.len() > 20, "the schedule must get something done: {}", written.len());
        for (index, key) in written.into_iter().enumerate() {
            let reply = self.cluster.call(index as u64 % 5 + 1, Request { key, ..get("") });
            assert_eq!(values(reply), ["red"]);
        }
    }
}

fn play(seed: u64) -> Schedule {
    let mut schedule = Schedule::new(seed);
    for number in 0..300 {
        schedule.round(number);
    }
    schedule.cluster.run(1_000 * MS);
    schedule
}

#[test]
fn whatever_is_lost_requests_end_and_what_was_acknowledged_is_found() {
    for seed in 0..20 {
        let mut schedule = play(seed);
        schedule.check_replies();
        schedule.cluster.settle();
        schedule.check_reads();
        schedule.cluster.settle();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (first, second) = (play(42), play(42));
    assert!(first.cluster.log.len() > 1_000);
    assert_eq!(first.cluster.log, second.cluster.log);
    assert_ne!(first.cluster.log, play(43).cluster.log);
}
