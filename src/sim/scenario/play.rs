//! Plays a scenario on a world.

use super::look::{disagreement, listed, standing, stored, waits};
use super::{Ask, DiskFault, Expect, Setup, Statement, What};
use crate::message::{Operation, Reply, Request};
use crate::node::{ClientTag, InFlight};
use crate::sim::log::Log;
use crate::sim::text::milliseconds;
use crate::sim::world::{Impossible, Occurrence, World};
use bytes::Bytes;
use quorate_strategies::NodeId;
use std::collections::BTreeMap;

/// A foreground request is waited for as long as this beyond its own deadline.
const PATIENCE_US: u64 = 60_000_000;
/// Between two looks whether everything has settled.
const LOOK_US: u64 = 10_000;
/// Of what is to happen when a scenario does not settle.
const PENDING_SHOWN: usize = 20;

/// Sees everything that happens while a scenario is played. An error stops it.
pub trait Watch {
    /// A request is about to be handed to its node.
    fn asks(&mut self, _world: &World, _asked: &Asked) -> Result<(), String> {
        Ok(())
    }

    /// Something occurred. `asked` belongs to a reply.
    fn occurs(
        &mut self,
        _world: &World,
        _occurrence: &Occurrence,
        _asked: Option<&Asked>,
    ) -> Result<(), String> {
        Ok(())
    }

    /// The scenario is over.
    fn ends(&mut self, _world: &World) -> Result<(), String> {
        Ok(())
    }

    /// Something happened to the world.
    fn happens(&mut self, _world: &World) -> Result<(), String> {
        Ok(())
    }

    /// A statement is about to be carried out.
    fn begins(&mut self, _world: &World, _statement: &Statement) -> Result<(), String> {
        Ok(())
    }
}

/// Watches nothing.
pub struct Silent;

impl Watch for Silent {}

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Asked {
    pub tag: ClientTag,
    pub ask: Ask,
    /// The version token that goes with it.
    pub context: Option<Bytes>,
    pub at_us: u64,
}

/// What a statement let happen, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A reply: to which request, when, and what.
    Reply {
        tag: ClientTag,
        ask: Ask,
        at_us: u64,
        took_us: u64,
        reply: Reply,
    },
    Event {
        at_us: u64,
        node: NodeId,
        event: crate::node::Event,
    },
    Settled(Settled),
    /// What a `stored`, `status` or `owners` saw.
    Seen(String),
}

/// How a `settle` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub at_us: u64,
}

/// Why a scenario cannot go on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Stopped {
    #[error("the first statement must be `cluster`, and only that one may be")]
    NoCluster,
    #[error(transparent)]
    BadPair(#[from] super::BadPair),
    #[error("the nodes refuse the settings: {0}")]
    BadSettings(String),
    #[error(transparent)]
    Impossible(#[from] Impossible),
    #[error("no reply was named `{0}`, or it had no version")]
    NoContext(String),
    /// Requests without a reply, what nodes wait for, and what is to happen: a line each.
    #[error(
        "did not settle by {} ms of virtual time; pending:\n  {}",
        milliseconds(*at_us as i64),
        .pending.join("\n  ")
    )]
    Unsettled { at_us: u64, pending: Vec<String> },
    #[error("found {found}")]
    Unexpected { found: String },
    /// The watch saw something that must not be.
    #[error("{0}")]
    Violated(String),
}

/// Plays statements one after another.
pub struct Player<W: Watch> {
    pub watch: W,
    world: Option<World>,
    log: Option<Log>,
    next_tag: ClientTag,
    asked: BTreeMap<ClientTag, Asked>,
    contexts: BTreeMap<String, Bytes>,
}

impl<W: Watch> Player<W> {
    pub fn new(watch: W, log: Log) -> Self {
        let (asked, contexts) = (BTreeMap::new(), BTreeMap::new());
        Player { watch, world: None, log: Some(log), next_tag: 1, asked, contexts }
    }

    /// The world, once there is one.
    pub fn world(&self) -> Option<&World> {
        self.world.as_ref()
    }

    /// Requests that have no reply yet.
    pub fn open(&self) -> impl Iterator<Item = &Asked> {
        self.asked.values()
    }

    /// Carries a statement out and tells what occurred meanwhile.
    ///
    /// # Errors
    /// The scenario is impossible or broken, or the watch stops it.
    pub fn play(&mut self, statement: &Statement) -> Result<Vec<Line>, Stopped> {
        let mut lines = Vec::new();
        self.play_into(statement, &mut lines).map(|()| lines)
    }

    /// The same where the lines before an error count, too.
    ///
    /// # Errors
    /// As [`Player::play`].
    pub fn play_into(
        &mut self,
        statement: &Statement,
        lines: &mut Vec<Line>,
    ) -> Result<(), Stopped> {
        match (statement, &self.world) {
            (Statement::Cluster(setup), None) => self.begin(setup)?,
            (Statement::Cluster(_), Some(_)) | (_, None) => return Err(Stopped::NoCluster),
            (_, Some(world)) => {
                self.watch.begins(world, statement).map_err(Stopped::Violated)?;
                self.carry_out(statement, lines)?;
            }
        }
        self.drain(lines)
    }

    /// Tells the watch that nothing follows.
    ///
    /// # Errors
    /// As the watch does.
    pub fn finish(&mut self) -> Result<(), Stopped> {
        let ended = self.world.as_ref().map(|world| self.watch.ends(world));
        ended.unwrap_or(Ok(())).map_err(Stopped::Violated)
    }

    fn begin(&mut self, setup: &Setup) -> Result<(), Stopped> {
        let log = self.log.take().unwrap_or(Log::Off);
        let world = World::new(setup.config()?, log);
        self.world = Some(world.map_err(|error| Stopped::BadSettings(error.to_string()))?);
        Ok(())
    }

    fn carry_out(&mut self, statement: &Statement, lines: &mut Vec<Line>) -> Result<(), Stopped> {
        match statement {
            Statement::Ask(ask) => return self.ask(ask, lines),
            Statement::Tick(us) => {
                let until_us = self.on_world()?.now_us() + us;
                while self.advance(until_us, lines)? {}
                return Ok(());
            }
            Statement::Settle { within_us } => return self.settle(*within_us, lines),
            Statement::Expect(expect) => return self.expect(expect),
            Statement::Look(look) => {
                lines.extend(look.see(self.on_world()?)?.into_iter().map(Line::Seen));
                return Ok(());
            }
            _ => {}
        }
        let world = self.on_world()?;
        disturb(world, statement).map_err(Stopped::Impossible)
    }

    fn on_world(&mut self) -> Result<&mut World, Stopped> {
        self.world.as_mut().ok_or(Stopped::NoCluster)
    }

    fn advance(&mut self, until_us: u64, lines: &mut Vec<Line>) -> Result<bool, Stopped> {
        let goes_on = self.on_world()?.advance(until_us);
        if let (true, Some(world)) = (goes_on, &self.world) {
            self.watch.happens(world).map_err(Stopped::Violated)?;
        }
        self.drain(lines)?;
        Ok(goes_on)
    }

    fn drain(&mut self, lines: &mut Vec<Line>) -> Result<(), Stopped> {
        while let Some(occurrence) = self.world.as_mut().and_then(World::occurrence) {
            let Some(world) = &self.world else { break };
            let asked = match &occurrence {
                Occurrence::Reply { tag, .. } => self.asked.remove(tag),
                _ => None,
            };
            let seen = self.watch.occurs(world, &occurrence, asked.as_ref());
            seen.map_err(Stopped::Violated)?;
            let at_us = world.now_us();
            match (occurrence, asked) {
                (Occurrence::Reply { tag, reply, .. }, Some(asked)) => {
                    self.remember(&asked.ask, &reply);
                    let took_us = at_us - asked.at_us;
                    lines.push(Line::Reply { tag, ask: asked.ask, at_us, took_us, reply });
                }
                (Occurrence::Event { node, event }, _) => {
                    lines.push(Line::Event { at_us, node, event });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn remember(&mut self, ask: &Ask, reply: &Reply) {
        let token = match reply {
            Reply::Written { context } => Some(context.clone()),
            Reply::Read(answer) => Some(answer.context.clone()),
            Reply::Failed(_) => None,
        };
        if let (Some(name), Some(token)) = (&ask.name, token) {
            self.contexts.insert(name.clone(), token);
        }
    }

    fn ask(&mut self, ask: &Ask, lines: &mut Vec<Line>) -> Result<(), Stopped> {
        let context = self.context(ask)?;
        let tag = self.next_tag;
        self.next_tag += 1;
        let at_us = self.on_world()?.now_us();
        let asked = Asked { tag, ask: ask.clone(), context: context.clone(), at_us };
        if let Some(world) = &self.world {
            self.watch.asks(world, &asked).map_err(Stopped::Violated)?;
        }
        self.asked.insert(tag, asked);
        self.on_world()?.submit(ask.node, tag, request(ask, context))?;
        self.drain(lines)?;
        if ask.background {
            return Ok(());
        }
        let until_us = at_us + PATIENCE_US + u64::from(ask.timeout_ms.unwrap_or(0)) * 1_000;
        while self.asked.contains_key(&tag) {
            if !self.advance(until_us, lines)? {
                return Err(self.unsettled());
            }
        }
        Ok(())
    }

    /// The token that an earlier reply was remembered for. With `name?` there need be none.
    fn context(&self, ask: &Ask) -> Result<Option<Bytes>, Stopped> {
        let Some(name) = &ask.context else { return Ok(None) };
        let (known, optional) = match name.strip_suffix('?') {
            Some(known) => (known, true),
            None => (name.as_str(), false),
        };
        match self.contexts.get(known) {
            None if !optional => Err(Stopped::NoContext(name.clone())),
            token => Ok(token.cloned()),
        }
    }

    fn unsettled(&self) -> Stopped {
        let Some(world) = &self.world else { return Stopped::NoCluster };
        let ask = |asked: &Asked| format!("request {}: {}", asked.tag, asked.ask);
        let mut pending: Vec<String> = self.asked.values().map(ask).collect();
        let nodes = world.ids().filter_map(|id| Some((id, world.node(id)?)));
        pending.extend(nodes.filter_map(|(id, node)| waits(id, &node.in_flight())));
        let coming = world.pending();
        pending.extend(coming.iter().take(PENDING_SHOWN).cloned());
        if coming.len() > PENDING_SHOWN {
            pending.push(format!("and {} more", coming.len() - PENDING_SHOWN));
        }
        Stopped::Unsettled { at_us: world.now_us(), pending }
    }

    fn settle(&mut self, within_us: u64, lines: &mut Vec<Line>) -> Result<(), Stopped> {
        let until_us = self.on_world()?.now_us() + within_us;
        while !self.is_settled() {
            let world = self.on_world()?;
            let look_us = (world.now_us() + LOOK_US).min(until_us);
            if world.now_us() >= until_us {
                return Err(self.unsettled());
            }
            while self.advance(look_us, lines)? {}
        }
        let at_us = self.on_world()?.now_us();
        lines.push(Line::Settled(Settled { at_us }));
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let idle = |world: &World| {
            world
                .ids()
                .filter_map(|id| world.node(id))
                .all(|it| it.in_flight() == InFlight::default())
        };
        self.asked.is_empty() && self.world.as_ref().is_some_and(idle)
    }

    fn expect(&mut self, expect: &Expect) -> Result<(), Stopped> {
        let world = self.on_world()?;
        let found = match expect {
            Expect::Stored { node, key, values } => {
                let held = stored(world, *node, key)?;
                if held == *values {
                    return Ok(());
                }
                listed(&held)
            }
            Expect::Standing { node, peer, is } => {
                let seen = world.node(*node).ok_or(Impossible::NotRunning { node: *node })?;
                let found = standing(seen.standing(*peer));
                if found == is {
                    return Ok(());
                }
                found.to_string()
            }
            Expect::Agree { key } => match disagreement(world, key)? {
                None => return Ok(()),
                Some(found) => found,
            },
        };
        Err(Stopped::Unexpected { found })
    }
}

fn disturb(world: &mut World, statement: &Statement) -> Result<(), Impossible> {
    match *statement {
        Statement::Network(link) => world.set_network(link),
        Statement::Direction { from, to, link } => world.set_link(from, to, link)?,
        Statement::Partition(ref groups) => partition(world, groups)?,
        Statement::Cut { from, to } => world.cut(from, to)?,
        Statement::Heal => world.heal(),
        Statement::Hold { from, to } => world.hold(from, to)?,
        Statement::Release { from, to } => world.release(from, to)?,
        Statement::End { node, how } => world.end(node, how)?,
        Statement::Start { node, how } => world.start(node, how)?,
        Statement::Pause { node } => world.pause(node)?,
        Statement::Resume { node } => world.resume(node)?,
        Statement::ClockOffset { node, us } => world.set_clock_offset(node, us)?,
        Statement::ClockDrift { node, ppm } => world.set_clock_drift(node, ppm)?,
        Statement::Disk { node, what } => match what {
            DiskFault::Slow { us } => world.set_disk_slow(node, us)?,
            DiskFault::Full => world.set_disk_full(node, true)?,
            DiskFault::Free => world.set_disk_full(node, false)?,
            DiskFault::Rot => {
                world.rot_disk(node)?;
            }
        },
        Statement::Cluster(_)
        | Statement::Ask(_)
        | Statement::Tick(_)
        | Statement::Settle { .. }
        | Statement::Expect(_)
        | Statement::Look(_) => {}
    }
    Ok(())
}

fn partition(world: &mut World, groups: &[Vec<NodeId>]) -> Result<(), Impossible> {
    for (index, group) in groups.iter().enumerate() {
        for other in groups.iter().skip(index + 1) {
            for (from, to) in group.iter().flat_map(|from| other.iter().map(move |to| (*from, *to)))
            {
                world.cut(from, to)?;
                world.cut(to, from)?;
            }
        }
    }
    Ok(())
}

fn request(ask: &Ask, context: Option<Bytes>) -> Request {
    let operation = match &ask.what {
        What::Get => Operation::Get,
        What::Put(value) => Operation::Put {
            value: value.clone(),
            content_type: Bytes::new(),
            flags: 0,
            ttl_ms: ask.ttl_ms,
        },
        What::Delete => Operation::Delete,
        What::Add(amount) => Operation::Increment(*amount),
    };
    let (key, level, timeout_ms) = (ask.key.clone(), ask.level, ask.timeout_ms);
    Request { key, operation, level, context, timeout_ms }
}
