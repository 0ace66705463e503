//! What happens: a node takes an input, and its effects become happenings.

use super::{Happening, Occurrence, World};
use crate::engine::{Engine, Write};
use crate::message::{Header, Heard};
use crate::node::{ClientTag, Effect, Input, Ticket, Timer};
use crate::sim::delay::Leg;
use crate::sim::machine::Saves;
use crate::sim::network::{Cause, Fate, Packet};
use bytes::Bytes;
use quorate_strategies::NodeId;

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver(packet) => self.deliver(packet),
            Happening::Alarm(token) => self.occurrences.push_back(Occurrence::Alarm(token)),
            Happening::Synced { node, life } => self.synced(node, life),
            Happening::Ask { node, life, .. }
            | Happening::Loaded { node, life, .. }
            | Happening::Committed { node, life }
            | Happening::Fire { node, life, .. } => {
                let Some(process) = self.process(node, life) else { return };
                match &mut process.paused {
                    Some(missed) => missed.push(happening),
                    None => self.notice(node, happening),
                }
            }
        }
    }

    /// What a running process notices.
    fn notice(&mut self, node: NodeId, happening: Happening) {
        match happening {
            Happening::Ask { tag, request, .. } => self.step(node, Input::Client { tag, request }),
            Happening::Loaded { ticket, key, .. } => {
                let result = self.read(node, &key);
                self.step(node, Input::Loaded { ticket, result });
            }
            Happening::Committed { .. } => self.committed(node),
            Happening::Fire { timer, .. } => self.fire(node, timer),
            Happening::Deliver(Packet { header, messages }) => {
                self.step(node, Input::Peer { header, messages });
            }
            Happening::Synced { .. } | Happening::Alarm(_) => {}
        }
    }

    fn deliver(&mut self, packet: Packet) {
        let to = packet.header.to;
        let Some(process) = self.machines[to.0 as usize - 1].process.as_mut() else {
            self.log.note(self.now_us, format_args!("nobody at {to} {packet:?}"));
            return;
        };
        if let Some(missed) = &mut process.paused {
            missed.push(Happening::Deliver(packet));
            return;
        }
        self.log.note(self.now_us, format_args!("{to} gets {packet:?}"));
        self.notice(to, Happening::Deliver(packet));
    }

    /// A timer is due by the node's clock, unless it was replaced or the clock was slowed.
    fn fire(&mut self, node: NodeId, timer: Timer) {
        let machine = &mut self.machines[node.0 as usize - 1];
        let (clock, life) = (machine.clock, machine.life);
        let Some(process) = machine.process.as_mut() else { return };
        let Some(due_us) = *process.timer(timer) else { return };
        if clock.now(self.now_us).mono_us < due_us {
            let at_us = clock.true_us(due_us);
            self.agenda.put(at_us, Happening::Fire { node, life, timer });
            return;
        }
        *process.timer(timer) = None;
        self.step(node, Input::Timer(timer));
    }

    /// Steps a node, and then again with whatever memory answers at once.
    fn step(&mut self, node: NodeId, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            self.log.note(self.now_us, format_args!("{node} takes {input:?}"));
            let machine = &mut self.machines[node.0 as usize - 1];
            let now = machine.clock.now(self.now_us);
            let Some(process) = machine.process.as_mut() else { return };
            let mut effects = std::mem::take(&mut self.effects);
            process.node.step(now, input, &mut effects);
            self.tally.steps += 1;
            self.perform(node, &mut effects);
            self.effects = effects;
            next = self.inputs.pop_front();
        }
    }

    /// Turns effects into happenings. All that one step sends to one peer is one packet.
    pub(super) fn perform(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            self.log.note(self.now_us, format_args!("{node} does {effect:?}"));
            match effect {
                Effect::Send { to, message } => self.pack(node, to, message),
                Effect::Load { ticket, key } => self.load(node, ticket, key),
                Effect::Save { ticket, key, record } => self.save(node, ticket, key, record),
                Effect::Reply { tag, reply } => {
                    self.clients.remove(&tag);
                    self.occurrences.push_back(Occurrence::Reply { tag, node, reply });
                }
                Effect::Timer { at_us, timer } => self.arm(node, at_us, timer),
                Effect::Event(event) => {
                    self.occurrences.push_back(Occurrence::Event { node, event });
                }
            }
        }
        self.start_commit(node);
        self.send_packets(node);
    }

    fn pack(&mut self, from: NodeId, to: NodeId, message: crate::message::Message) {
        match self.packets.iter_mut().rev().find(|packet| packet.header.to == to) {
            Some(packet) => packet.messages.push(message),
            None => {
                // What depends on the instant is filled in when the packet leaves.
                let (epoch, clock, incarnation, sent_us, wall_us, sequence) = (0, 0, 0, 0, 0, 0);
                let heard = Heard::default();
                let header = Header {
                    from,
                    to,
                    epoch,
                    clock,
                    incarnation,
                    sent_us,
                    wall_us,
                    sequence,
                    heard,
                };
                self.packets.push(Packet { header, messages: vec![message] });
            }
        }
    }

    fn send_packets(&mut self, node: NodeId) {
        let machine = &self.machines[node.0 as usize - 1];
        let Some(process) = machine.process.as_ref() else { return };
        let now = machine.clock.now(self.now_us);
        let mut packets = std::mem::take(&mut self.packets);
        for mut packet in packets.drain(..) {
            let to = packet.header.to;
            packet.header = process.node.header(to, now, self.network.number(node, to));
            self.tally.sent(&packet);
            match self.network.send(self.now_us, packet, Packet::bytes) {
                Fate::At(at_us, packet) => self.agenda.put(at_us, Happening::Deliver(packet)),
                Fate::Twice(both, packet) => {
                    let mut copy = packet.clone();
                    // The protocol counts whoever answers, not answers, so it must also bear an
                    // answer that was sent again under a number of its own.
                    if copy.only_answers() {
                        copy.header.sequence = self.network.number(node, to);
                    }
                    self.agenda.put(both[0], Happening::Deliver(packet));
                    self.agenda.put(both[1], Happening::Deliver(copy));
                }
                Fate::Held => {}
                Fate::Lost(cause) => {
                    self.tally.lost += 1;
                    let why = if cause == Cause::Cut { "cut" } else { "lost" };
                    self.log.note(self.now_us, format_args!("{node} sends in vain: {why}"));
                }
            }
        }
        self.packets = packets;
    }

    fn arm(&mut self, node: NodeId, due_us: u64, timer: Timer) {
        let machine = &mut self.machines[node.0 as usize - 1];
        let (at_us, life) = (machine.clock.true_us(due_us), machine.life);
        if let Some(process) = &mut machine.process {
            *process.timer(timer) = Some(due_us);
            self.agenda.put(at_us.max(self.now_us), Happening::Fire { node, life, timer });
        }
    }

    fn load(&mut self, node: NodeId, ticket: Ticket, key: Bytes) {
        let machine = &self.machines[node.0 as usize - 1];
        let life = machine.life;
        let slow_us = machine.slow_us;
        let delay_us = slow_us + self.config.disk.read.sample(Leg::Other, &mut self.random);
        if delay_us == 0 {
            let result = self.read(node, &key);
            self.inputs.push_back(Input::Loaded { ticket, result });
            return;
        }
        self.agenda.put(self.now_us + delay_us, Happening::Loaded { node, life, ticket, key });
    }

    fn read(&self, node: NodeId, key: &[u8]) -> Result<Option<Bytes>, String> {
        let engine: &dyn Engine = &*self.machines[node.0 as usize - 1].disk;
        engine.get(key).map_err(|error| error.to_string())
    }

    fn save(&mut self, node: NodeId, ticket: Ticket, key: Bytes, record: Bytes) {
        if let Some(process) = &mut self.machines[node.0 as usize - 1].process {
            process.saves.tickets.push(ticket);
            process.saves.writes.push(Write::Put { key, value: record });
        }
    }

    /// One commit at a time takes everything that waits, as the writer of a real node does.
    fn start_commit(&mut self, node: NodeId) {
        let machine = &mut self.machines[node.0 as usize - 1];
        let (life, slow_us) = (machine.life, machine.slow_us);
        let Some(process) = &mut machine.process else { return };
        if process.committing.is_some() || process.saves.tickets.is_empty() {
            return;
        }
        process.committing = Some(std::mem::take(&mut process.saves));
        let takes_us = slow_us + self.config.disk.commit.sample(Leg::Other, &mut self.random);
        self.agenda.put(self.now_us + takes_us, Happening::Committed { node, life });
    }

    fn committed(&mut self, node: NodeId) {
        let machine = &mut self.machines[node.0 as usize - 1];
        let (life, durability) = (machine.life, machine.durability);
        let Some(process) = &mut machine.process else { return };
        let Some(Saves { tickets, writes }) = process.committing.take() else { return };
        let engine: &dyn Engine = &*machine.disk;
        let result = engine.commit(writes).map_err(|error| error.to_string());
        if durability.syncs_at_intervals() && !process.syncs {
            process.syncs = true;
            let at_us = self.now_us + self.config.sync_interval_us();
            self.agenda.put(at_us, Happening::Synced { node, life });
        }
        self.start_commit(node);
        for ticket in tickets {
            self.step(node, Input::Saved { ticket, result: result.clone() });
        }
    }

    fn synced(&mut self, node: NodeId, life: u32) {
        let Ok(machine) = self.machine_mut(node) else { return };
        if machine.lives(life) {
            machine.disk.sync();
            if let Some(process) = &mut machine.process {
                process.syncs = false;
            }
        }
    }

    /// Ends a client's wait when its coordinator is gone.
    pub(super) fn disconnect(&mut self, node: NodeId) {
        let tags: Vec<ClientTag> =
            self.clients.iter().filter(|(_, it)| it.node == node).map(|(tag, _)| *tag).collect();
        for tag in tags {
            let Some(client) = self.clients.remove(&tag) else { continue };
            let reply = crate::message::Reply::Failed(crate::message::Failure::Disconnected {
                maybe_done: client.writes,
            });
            self.log.note(self.now_us, format_args!("client {tag} lost its connection to {node}"));
            self.occurrences.push_back(Occurrence::Reply { tag, node, reply });
        }
    }
}
