//! What must hold all the way, whatever happens. A [`Watch`] over a scenario that is played.
//!
//! ```text
//!   asks   ─► history of the key, deadline of the request
//!   replies ─► outcome; W copies on disks at this instant; a proof for later reads; what is shown
//!   events  ─► overdue requests, bounded queues
//!   faults  ─► who is down, whose disk forgot, whose clock is wrong: which promises are void
//! ```
//!
//! The promises, and what voids them, stand with [`Promise`].

mod deadlines;
mod history;
mod lives;
mod losses;
mod order;
mod promise;
mod reads;
#[cfg(test)]
mod tests;

pub use promise::{Promise, Violation};

use super::scars::Scars;
use crate::message::{Level, Reply};
use crate::node::{ClientTag, InFlight};
use crate::sim::config::Config;
use crate::sim::disk::Durability;
use crate::sim::scenario::{Asked, Expect, Statement, Watch, What};
use crate::sim::world::{Occurrence, World};
use bytes::Bytes;
use deadlines::{Deadlines, Timeouts};
use history::{History, Proof, State};
use lives::Lives;
use losses::Losses;
use order::Order;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Answer, Record};
use reads::Seen;
use std::collections::BTreeMap;

/// How long a mended cluster may take until reads at ALL must work.
const RECOVERY_US: u64 = 1_500_000;
/// When a write ends whose coordinator stands still.
const NEVER_US: u64 = u64::MAX / 2;
/// Between two looks at all queues, in happenings.
const LOOK_EVERY: u64 = 64;

/// Requests by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub done: u64,
    pub not_done: u64,
    pub unknown: u64,
}

/// Watches all promises at once.
pub struct Invariants {
    order: Order,
    config: Config,
    timeouts: Timeouts,
    scars: Scars,
    calm_since_us: Option<u64>,
    /// A clock was wrong at some time.
    skewed: bool,
    keys: BTreeMap<Bytes, History>,
    deadlines: Deadlines,
    losses: Losses,
    lives: Lives,
    /// Requests and replies so far, and how many there were when each open request was asked.
    sequence: u64,
    asked_at: BTreeMap<ClientTag, u64>,
    /// Keys that were read from all replicas since all was mended and the last write ended.
    read_whole: BTreeMap<Bytes, bool>,
    happenings: u64,
    outcomes: Outcomes,
    violation: Option<Violation>,
}

impl Invariants {
    pub fn new(config: &Config) -> Self {
        let timing = &config.cluster.timing;
        let timeouts = Timeouts {
            read_us: u64::from(timing.read_timeout_ms) * 1_000,
            write_us: u64::from(timing.write_timeout_ms) * 1_000,
        };
        let scars = Scars::new(&config.network);
        Invariants {
            order: Order::of(&config.cluster),
            timeouts,
            calm_since_us: scars.is_calm().then_some(0),
            scars,
            skewed: false,
            keys: BTreeMap::new(),
            deadlines: Deadlines::default(),
            losses: Losses::new(Durability::of(&config.cluster.engine)),
            lives: Lives::default(),
            sequence: 0,
            asked_at: BTreeMap::new(),
            read_whole: BTreeMap::new(),
            happenings: 0,
            outcomes: Outcomes::default(),
            violation: None,
            config: config.clone(),
        }
    }

    pub fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// What was violated first.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Whether everything is mended and peers know every node's latest life.
    pub fn is_mended(&self) -> bool {
        self.calm_since_us.is_some() && !self.lives.reborn
    }

    pub fn is_rotten(&self, node: NodeId) -> bool {
        self.scars.rotten.contains(&node)
    }

    fn stop(&mut self, checked: Result<(), Violation>) -> Result<(), String> {
        checked.map_err(|violation| {
            let text = violation.to_string();
            self.violation.get_or_insert(violation);
            text
        })
    }

    fn look(&mut self, world: &World) -> Result<(), Violation> {
        self.in_time(world)?;
        self.bounded(world)?;
        self.lives.look(world)
    }

    fn in_time(&self, world: &World) -> Result<(), Violation> {
        match self.deadlines.overdue(world.now_us()) {
            None => Ok(()),
            Some((due_us, tag)) => {
                let text = format!("request #{tag} has no reply, which was due at {due_us} us");
                Err(Violation::new(Promise::Replies, text))
            }
        }
    }

    fn bounded(&self, world: &World) -> Result<(), Violation> {
        let limit = self.config.cluster.limits.in_flight;
        // One request is let in while there is room, and may then wait and load.
        let as_replica = limit * usize::from(self.config.nodes) + 1;
        for id in world.ids() {
            let Some(node) = world.node(id) else { continue };
            let InFlight { reads, writes, lingering, loads, saves, queued } = node.in_flight();
            for (what, found, limit) in [
                ("requests", reads + writes, limit),
                ("answered requests", lingering, limit),
                ("changes and reads as a replica", loads + saves + queued, as_replica),
            ] {
                if found > limit {
                    let text = format!("{id} has {found} {what} in flight; its limit is {limit}");
                    return Err(Violation::new(Promise::Bounds, text));
                }
            }
        }
        Ok(())
    }

    fn asked(&mut self, asked: &Asked) {
        let timeout_us = self.timeouts.of(asked);
        self.sequence += 1;
        self.asked_at.insert(asked.tag, self.sequence);
        self.deadlines.asks(asked, timeout_us, self.skewed);
        if asked.ask.what != What::Get {
            // A coordinator that stands still begins to count when it goes on.
            let paused = self.scars.paused.contains(&asked.ask.node);
            let ends_us = if paused { NEVER_US } else { asked.at_us + timeout_us };
            self.read_whole.insert(asked.ask.key.clone(), false);
            self.keys.entry(asked.ask.key.clone()).or_default().asks(asked, ends_us);
        }
    }

    fn replied(
        &mut self,
        world: &World,
        asked: Option<&Asked>,
        tag: ClientTag,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let Some(asked) = asked.filter(|_| self.deadlines.is_open(tag)) else {
            let text = format!("request #{tag} got a second reply: {reply:?}");
            return Err(Violation::new(Promise::Replies, text));
        };
        self.in_time(world)?;
        self.sequence += 1;
        self.deadlines.replied(tag);
        match reply {
            Reply::Written { context } => {
                self.outcomes.done += 1;
                self.written(world, asked, context)
            }
            Reply::Read(answer) => {
                self.outcomes.done += 1;
                self.read(world, asked, answer)
            }
            Reply::Failed(failure) => {
                match failure.outcome() {
                    crate::message::Outcome::NotDone => self.outcomes.not_done += 1,
                    crate::message::Outcome::Unknown => self.outcomes.unknown += 1,
                }
                self.failed(world, asked, failure)
            }
        }
    }

    fn failed(
        &mut self,
        world: &World,
        asked: &Asked,
        failure: &crate::message::Failure,
    ) -> Result<(), Violation> {
        if self.must_succeed(world, asked) {
            let text = format!("read #{} of all replicas failed: {failure}", asked.tag);
            return Err(Violation::new(Promise::Available, text));
        }
        let Some(history) = self.keys.get_mut(&asked.ask.key) else { return Ok(()) };
        let Some(place) = history.failed(asked.tag, failure, world.now_us()) else { return Ok(()) };
        let write = &history.writes[place];
        if write.state == State::NotDone && write.shown {
            let text = format!("#{} is said to be not done, and was read before", write.tag);
            return Err(Violation::new(Promise::Honest, text));
        }
        Ok(())
    }

    /// Whether it is a read of all replicas that was asked when all had been mended for a while,
    /// with nothing else going on.
    fn must_succeed(&self, world: &World, asked: &Asked) -> bool {
        let ask = &asked.ask;
        let quiet = self.calm_since_us.is_some_and(|us| us + RECOVERY_US <= asked.at_us);
        ask.what == What::Get
            && ask.level == Some(Level::All)
            && !ask.background
            && quiet
            && self.is_mended()
            && self.deadlines.are_none()
            && world.node(ask.node).is_some()
    }

    fn written(&mut self, world: &World, asked: &Asked, token: &Bytes) -> Result<(), Violation> {
        let needed = self.needed(asked);
        let key = &asked.ask.key;
        let owners = world.owners(key);
        let records: Vec<Option<Record>> = owners.iter().map(|it| held(world, *it, key)).collect();
        let holds = |(owner, record): (&NodeId, &Option<Record>)| {
            self.losses.since(*owner, asked.at_us)
                || record
                    .as_ref()
                    .is_some_and(|record| self.order.covers(&self.order.token(record), token))
        };
        let copies = owners.iter().zip(&records).filter(|pair| holds(*pair)).count();
        if copies < needed {
            let text = format!(
                "write #{} is acknowledged with {copies} copies on disks; it needs {needed}",
                asked.tag
            );
            return Err(Violation::new(Promise::Copies, text));
        }
        let Some(history) = self.keys.get_mut(key) else { return Ok(()) };
        let Some(place) = history.write_of(asked.tag) else { return Ok(()) };
        let write = &mut history.writes[place];
        (write.state, write.ended_us) = (State::Done, Some(world.now_us()));
        if let What::Put(value) = &write.what {
            let version = records.iter().flatten().find_map(|record| version_of(record, value));
            write.version = write.version.take().or(version);
        }
        let shows = self.order == Order::Siblings && write.version.is_some();
        history.proofs.push(Proof {
            tag: asked.tag,
            token: token.clone(),
            copies: needed,
            since_us: asked.at_us,
            order: self.sequence,
            values: if shows { vec![place] } else { Vec::new() },
            write: Some(place),
        });
        Ok(())
    }

    fn read(&mut self, world: &World, asked: &Asked, answer: &Answer) -> Result<(), Violation> {
        let replicas = self.needed(asked);
        let owners = world.owners(&asked.ask.key);
        let history = self.keys.entry(asked.ask.key.clone()).or_default();
        let seen = Seen {
            tag: asked.tag,
            answer,
            replicas,
            n: owners.len(),
            order: self.asked_at.get(&asked.tag).copied().unwrap_or(u64::MAX),
            skewed: self.skewed,
        };
        let losses = &self.losses;
        self.order.check_read(history, &seen, |since_us| losses.count(owners, since_us))?;
        let origins = answer.values.iter().filter_map(|it| history.origin(&it.payload.value));
        let values = if self.order == Order::Siblings { origins.collect() } else { Vec::new() };
        history.proofs.push(Proof {
            tag: asked.tag,
            token: answer.context.clone(),
            copies: replicas,
            since_us: asked.at_us,
            order: self.sequence,
            values,
            write: None,
        });
        if self.must_succeed(world, asked) {
            self.read_whole.insert(asked.ask.key.clone(), true);
        }
        Ok(())
    }

    /// How many replicas the request waits for.
    fn needed(&self, asked: &Asked) -> usize {
        let replication = &self.config.cluster.replication;
        let default = if asked.ask.what == What::Get { replication.r } else { replication.w };
        asked.ask.level.unwrap_or(default).needed(replication.n)
    }

    fn agree(&self, world: &World, key: &Bytes) -> Result<(), Violation> {
        let whole = self.read_whole.get(key).copied().unwrap_or(false);
        if !whole || !self.is_mended() {
            return Ok(());
        }
        let owners = world.owners(key);
        let records: Vec<_> = owners.iter().map(|owner| raw(world, *owner, key)).collect();
        if records.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(());
        }
        let hold = owners.iter().map(|owner| format!("{owner} {}", summary(world, *owner, key)));
        let hold = hold.collect::<Vec<_>>().join(", ");
        let text = format!("the owners of `{}` differ: {hold}", String::from_utf8_lossy(key));
        Err(Violation::new(Promise::Converges, text))
    }

    fn note(&mut self, world: &World, statement: &Statement) {
        let now_us = world.now_us();
        self.scars.note(statement);
        self.losses.note(now_us, statement);
        self.lives.note(&self.losses, statement);
        match *statement {
            Statement::Pause { node } => self.deadlines.pauses(node),
            Statement::Resume { node } => self.goes_on(now_us, node),
            Statement::End { node, .. } => self.deadlines.goes_on(now_us, node),
            Statement::ClockOffset { .. } => self.skewed = true,
            Statement::ClockDrift { .. } => {
                self.deadlines.stretch();
                self.skewed = true;
            }
            _ => {}
        }
        let changes = !matches!(
            statement,
            Statement::Ask(_)
                | Statement::Tick(_)
                | Statement::Settle { .. }
                | Statement::Expect(_)
                | Statement::Look(_)
        );
        if changes {
            self.calm_since_us = self.scars.is_calm().then_some(now_us);
            self.read_whole.clear();
        }
    }

    /// Requests that waited for a coordinator begin now.
    fn goes_on(&mut self, now_us: u64, node: NodeId) {
        self.deadlines.goes_on(now_us, node);
        let limit_us = self.timeouts.write_us.max(self.timeouts.read_us);
        let writes = self.keys.values_mut().flat_map(|history| &mut history.writes);
        for write in writes.filter(|write| write.state == State::Open) {
            if write.node == node && write.ends_us == NEVER_US {
                write.ends_us = now_us + limit_us;
            }
        }
    }
}

/// What a disk has, to the byte; an error where it cannot be read.
fn raw(world: &World, node: NodeId, key: &[u8]) -> Result<Option<Bytes>, String> {
    let disk = world.disk(node).map_err(|error| error.to_string())?;
    disk.get(key).map_err(|error| error.to_string())
}

fn held(world: &World, node: NodeId, key: &[u8]) -> Option<Record> {
    raw(world, node, key).ok()?.and_then(|bytes| Record::decode(bytes).ok())
}

/// What a disk holds, for people: the number of values, and a checksum that tells records apart.
fn summary(world: &World, node: NodeId, key: &[u8]) -> String {
    match raw(world, node, key) {
        Err(error) => error,
        Ok(None) => "nothing".to_string(),
        Ok(Some(bytes)) => {
            let sum = xxhash_rust::xxh3::xxh3_64(&bytes) >> 48;
            let count = held(world, node, key).map_or(0, |record| record.siblings.len());
            format!("{count} siblings in record {sum:04x}")
        }
    }
}

fn version_of(record: &Record, value: &Bytes) -> Option<Bytes> {
    let shows = |sibling: &&quorate_strategies::conflict::Sibling| {
        sibling.content.live_at(0).is_some_and(|payload| payload.value == *value)
    };
    record.siblings.iter().find(shows).map(|sibling| sibling.version.0.clone())
}

impl Watch for Invariants {
    fn asks(&mut self, _world: &World, asked: &Asked) -> Result<(), String> {
        self.asked(asked);
        Ok(())
    }

    fn occurs(
        &mut self,
        world: &World,
        occurrence: &Occurrence,
        asked: Option<&Asked>,
    ) -> Result<(), String> {
        let Occurrence::Reply { tag, reply, .. } = occurrence else { return Ok(()) };
        let checked = self.replied(world, asked, *tag, reply);
        self.stop(checked)
    }

    fn happens(&mut self, world: &World) -> Result<(), String> {
        self.happenings += 1;
        let mut checked = self.in_time(world);
        if checked.is_ok() && self.happenings.is_multiple_of(LOOK_EVERY) {
            checked = self.bounded(world);
        }
        self.stop(checked)
    }

    fn ends(&mut self, world: &World) -> Result<(), String> {
        let checked = self.look(world);
        self.stop(checked)
    }

    fn begins(&mut self, world: &World, statement: &Statement) -> Result<(), String> {
        let mut checked = self.look(world);
        if let (Ok(()), Statement::Expect(Expect::Agree { key })) = (&checked, statement) {
            checked = self.agree(world, key);
        }
        self.note(world, statement);
        self.stop(checked)
    }
}
