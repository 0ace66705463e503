//! Membership: who belongs to the cluster, where they are reached, and whom this node believes
//! alive.
//!
//! ```text
//!   what a member says of itself   spread by gossip   (incarnation, version), addresses, epoch
//!   whether a member is alive      never spread       each node's opinion, from heartbeats
//! ```
//!
//! The two never mix. A state travels through third parties and stays true; an opinion that travels
//! turns one node's bad link into everybody's.
//!
//! # Invariants
//!
//! * Only a member raises its own (incarnation, version); everybody else keeps the highest that
//!   they saw.
//! * A peer is up only after this process heard that incarnation of it directly, and the peer told
//!   in its latest heartbeat that it hears this very life of ours.
//! * An incarnation more than a year ahead of the wall clock is a corrupt one and is ignored:
//!   believed once, it could never be overtaken.
//! * A node that slept judges nobody until it has listened for a heartbeat interval.
//!
//! Peers are judged by a timer of its own, finer than the heartbeats: how long a dead peer goes
//! unnoticed is then a matter of its detector, and not of when this node happened to beat itself.
//!
//! Only heartbeats count as hearing. Other messages come in bursts and only from peers that have
//! work for us; a detector that learns intervals would learn the workload.
//!
//! # Heard and hearing
//!
//! A link may fail in one direction. A peer that is heard and does not hear takes no request, so
//! each heartbeat tells whom its sender hears:
//!
//! ```text
//!   n1 ──(life 7, hears none)──► n2     first of a life: n2 hears n1, and says so at once
//!   n1 ◄─(life 9, hears 7)────── n2     n1 hears n2, and n2 hears it: up
//!   n1 ──(life 7, hears 9)──────► n2    the answer: up here, too
//! ```
//!
//! What a node tells is its detector's verdict alone, never its standing: if being heard depended
//! on hearing and the other way round, two nodes would wait for each other for ever. Only the
//! latest word of a peer counts, by the numbers of its batches; an overtaken one is of the past.
//!
//! Who hears a peer again after a silence tells it at once, and aside: were that one more beat,
//! each mistake of one detector would feed the other one, and the more mistakes, the better it
//! would look.
//!
//! # Caveats
//!
//! * That a peer became deaf shows as late as its own detector's verdict and one heartbeat more:
//!   writes of that while are unknown to their clients.
//! * The echo tells that heartbeats arrive, not that requests are served: a peer whose disk hangs
//!   is up.
//! * A node that starts with a lower incarnation than a former life, for instance on a new disk
//!   after its clock had been ahead, is ignored by its peers and finds them deaf, until it is
//!   started again with its clock past that number. It is told, by gossip, and logs it. To raise
//!   its number while it runs it would have to write the new one to its disk before a word of the
//!   new life is sent, as at a start, since a number that is used twice makes its batches copies;
//!   and to tell that case from two processes under one id, who would outbid each other for ever.

mod gossip;
mod liveness;

use super::routing::{Owners, Set};
use super::{Boot, Counters, Effect, Event, MemberStatus, Now, Settings, Standing, Timer};
use crate::message::{MemberState, Message};
pub(super) use liveness::Beat;
use liveness::{Heard, Liveness, News};
use quorate_strategies::{Choice, Detection, NodeId};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

const YEAR_S: u64 = 365 * 24 * 3_600;

pub(super) struct Membership {
    id: NodeId,
    incarnation: u64,
    /// Ascending by id, this node included.
    members: Vec<Member>,
    detection: Choice<Detection>,
    heartbeat_interval_us: u64,
    gossip_interval_us: u64,
    judge_interval_us: u64,
    /// A judgement that is later than this tells that we slept.
    pause_guard_us: u64,
    judge_due_us: u64,
    random: Xoshiro256PlusPlus,
}

struct Member {
    state: MemberState,
    liveness: Liveness,
    /// A batch of it was dropped since the last heartbeat that was due to it.
    muted: bool,
}

/// What a step hands to membership.
pub(super) struct Scene<'a> {
    pub now: Now,
    pub counters: &'a mut Counters,
    pub out: &'a mut Vec<Effect>,
}

impl Scene<'_> {
    fn send(&mut self, to: NodeId, message: Message) {
        self.out.push(Effect::Send { to, message });
    }

    fn event(&mut self, event: Event) {
        self.out.push(Effect::Event(event));
    }

    fn is_plausible(&self, incarnation: u64) -> bool {
        is_plausible(incarnation, self.now)
    }
}

/// Whether an incarnation can be one: unix seconds, or a little more.
pub(super) fn is_plausible(incarnation: u64, now: Now) -> bool {
    incarnation <= (now.wall_us / 1_000_000).saturating_add(YEAR_S)
}

impl Membership {
    pub fn new(settings: &Settings, boot: Boot, now: Now) -> Self {
        let timing = &settings.timing;
        let heartbeat_interval_us = u64::from(timing.heartbeat_interval_ms) * 1_000;
        let members = settings.topology.members.iter().map(|member| {
            let address = settings.addresses.get(&member.id).cloned().unwrap_or_default();
            let own = member.id == settings.id;
            let state = MemberState {
                id: member.id,
                incarnation: if own { boot.incarnation } else { 0 },
                version: u64::from(own),
                grpc: address.grpc,
                http: address.http,
                epoch: if own { settings.topology.epoch } else { 0 },
            };
            let liveness = if own {
                Liveness::own()
            } else {
                Liveness::unheard(now.mono_us, heartbeat_interval_us)
            };
            Member { state, liveness, muted: false }
        });
        Membership {
            id: settings.id,
            incarnation: boot.incarnation,
            members: members.collect(),
            detection: settings.detection.clone(),
            heartbeat_interval_us,
            gossip_interval_us: u64::from(timing.gossip_interval_ms) * 1_000,
            judge_interval_us: u64::from(timing.judged_every_ms()) * 1_000,
            pause_guard_us: heartbeat_interval_us * u64::from(timing.pause_guard_intervals),
            judge_due_us: now.mono_us,
            random: Xoshiro256PlusPlus::seed_from_u64(settings.seed),
        }
    }

    /// The first heartbeats go out at once, so that a fresh cluster need not wait for an interval.
    pub fn start(&mut self, scene: &mut Scene) {
        self.beat(scene);
        self.arm_gossip(scene);
        self.arm_judgement(scene, self.judge_interval_us);
    }

    /// Time to judge the peers. One who slept has not listened: it judges nobody before every peer
    /// had a heartbeat interval to be heard.
    pub fn judgement_due(&mut self, scene: &mut Scene) {
        let late_us = scene.now.mono_us.saturating_sub(self.judge_due_us);
        if late_us > self.pause_guard_us {
            scene.counters.pauses += 1;
            scene.event(Event::Paused { late_ms: late_us / 1_000 });
            return self.arm_judgement(scene, self.heartbeat_interval_us);
        }
        for member in self.members.iter_mut().filter(|member| member.state.id != self.id) {
            if let Some(event) = member.liveness.judge(member.state.id, scene.now.mono_us) {
                scene.event(event);
            }
        }
        self.arm_judgement(scene, self.judge_interval_us);
    }

    fn arm_judgement(&mut self, scene: &mut Scene, after_us: u64) {
        self.judge_due_us = scene.now.mono_us + after_us;
        let (at_us, timer) = (self.judge_due_us, Timer::Judge);
        scene.out.push(Effect::Timer { at_us, timer });
    }

    /// Tells every peer that we live, and sets the time of the next heartbeat.
    pub fn beat(&mut self, scene: &mut Scene) {
        let (own, incarnation) = (self.id, self.incarnation);
        for member in self.members.iter_mut().filter(|member| member.state.id != own) {
            if !std::mem::take(&mut member.muted) {
                let hears = member.liveness.hears();
                scene
                    .send(member.state.id, Message::Heartbeat { incarnation, hears, aside: false });
            }
        }
        let at_us = scene.now.mono_us + self.heartbeat_interval_us;
        scene.out.push(Effect::Timer { at_us, timer: Timer::Heartbeat });
    }

    /// A heartbeat arrived. One that makes us hear the peer, the first of a life or the first after
    /// a silence, is answered at once, so that the peer knows that we do. The answer to a first one
    /// is a greeting, which may be a first one to the peer; after a silence it is said aside, and
    /// nothing said aside is answered.
    pub fn heard(&mut self, scene: &mut Scene, from: NodeId, beat: Beat) {
        let plausible = scene.is_plausible(beat.incarnation);
        let Some(index) = self.index(from).filter(|_| from != self.id) else { return };
        let member = &mut self.members[index];
        if !plausible || beat.incarnation < member.state.incarnation {
            scene.counters.incarnations_ignored += 1;
            return;
        }
        let (own_life, now_us) = (self.incarnation, scene.now.mono_us);
        match member.liveness.heard(from, own_life, now_us, beat, &self.detection) {
            Heard::FormerLife => scene.counters.incarnations_ignored += 1,
            Heard::Now { changed, news } => {
                let hears = member.liveness.hears();
                changed.into_iter().for_each(|event| scene.event(event));
                if news != News::None {
                    let (incarnation, aside) = (self.incarnation, news == News::Again);
                    scene.send(from, Message::Heartbeat { incarnation, hears, aside });
                }
            }
        }
    }

    /// A peer's batch was dropped. Until its next one it hears nothing of us: it must not count on
    /// a node that answers none of its requests.
    pub fn mute(&mut self, id: NodeId) {
        if let Some(index) = self.index(id) {
            self.members[index].muted = true;
        }
    }

    fn index(&self, id: NodeId) -> Option<usize> {
        self.members.binary_search_by_key(&id, |member| member.state.id).ok()
    }

    /// A stranger is down: nothing may count on it.
    pub fn standing(&self, id: NodeId) -> Standing {
        self.index(id).map_or(Standing::Down, |index| self.members[index].liveness.standing())
    }

    /// The owners that requests may count on.
    pub fn alive(&self, owners: &Owners) -> Set {
        let mut alive = Set::default();
        for (position, owner) in owners.as_slice().iter().enumerate() {
            if self.standing(*owner).is_alive() {
                alive.insert(position);
            }
        }
        alive
    }

    /// Whom to ask first among some owners: this node itself, else the first that is up, else the
    /// first.
    pub fn first_choice(&self, owners: &Owners, among: Set) -> Option<usize> {
        let own = owners.position(self.id).filter(|position| among.contains(*position));
        let is_up = |position: &usize| self.standing(owners.at(*position)) == Standing::Up;
        own.or_else(|| among.positions().find(is_up)).or_else(|| among.positions().next())
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The newest state of a member that this node has: (incarnation, version).
    pub fn told_of(&self, id: NodeId) -> (u64, u64) {
        self.index(id).map_or((0, 0), |index| {
            let state = &self.members[index].state;
            (state.incarnation, state.version)
        })
    }

    pub fn status(&self, shares: &BTreeMap<NodeId, f64>) -> Vec<MemberStatus> {
        let status = |member: &Member| MemberStatus {
            id: member.state.id,
            incarnation: member.state.incarnation.max(member.liveness.incarnation()),
            grpc: member.state.grpc.clone(),
            http: member.state.http.clone(),
            epoch: member.state.epoch,
            standing: member.liveness.standing(),
            share: shares.get(&member.state.id).copied().unwrap_or(0.0),
        };
        self.members.iter().map(status).collect()
    }
}
