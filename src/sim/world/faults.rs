//! What is done to machines and links.

use super::{End, Happening, Impossible, World};
use crate::node::{Boot, Node};
use crate::sim::machine::Process;
use crate::sim::network::Link;
use quorate_strategies::NodeId;
use rand::Rng;

/// How a machine comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Return {
    /// With an empty disk.
    pub empty: bool,
    /// With another epoch of the topology than it had.
    pub epoch: Option<u64>,
}

impl World {
    /// Starts a node on what its disk holds.
    ///
    /// # Errors
    /// It is running, or its disk is damaged.
    pub fn start(&mut self, id: NodeId, how: Return) -> Result<(), Impossible> {
        let machine = self.machine_mut(id)?;
        if machine.process.is_some() {
            return Err(Impossible::Running { node: id });
        }
        if how.empty {
            machine.disk.replace();
            machine.boot = None;
        }
        if let Some(epoch) = how.epoch {
            machine.settings.topology.epoch = epoch;
        }
        self.boot(id)
    }

    pub(super) fn boot(&mut self, id: NodeId) -> Result<(), Impossible> {
        let fresh_actor = self.random.next_u64();
        let now_us = self.now_us;
        let machine = self.machine_mut(id)?;
        let now = machine.clock.now(now_us);
        let opened = machine.disk.open().map_err(|error| error.to_string());
        opened.map_err(|reason| Impossible::CannotStart { node: id, reason })?;
        let wall_s = now.wall_us / 1_000_000;
        let boot = Boot::after(machine.boot, fresh_actor, wall_s);
        machine.boot = Some(boot);
        machine.life += 1;
        let settings = machine.settings.clone();
        let mut effects = Vec::new();
        let routing = self.routing_for(&settings);
        let node = Node::sharing(routing, settings, boot, now, &mut effects)
            .map_err(|error| Impossible::CannotStart { node: id, reason: error.to_string() })?;
        self.machine_mut(id)?.process = Some(Process::new(node));
        self.log.note(now_us, format_args!("{id} starts {boot:?}"));
        self.perform(id, &mut effects);
        Ok(())
    }

    /// Ends a node's process. Its clients lose their connections at once.
    ///
    /// # Errors
    /// It is not running.
    pub fn end(&mut self, id: NodeId, how: End) -> Result<(), Impossible> {
        self.log.note(self.now_us, format_args!("{id} ends {how:?}"));
        // Borrowed apart from the machines.
        let mut random = self.random.clone();
        let machine = self.machine_mut(id)?;
        let process = machine.process.take().ok_or(Impossible::NotRunning { node: id })?;
        if let Some(saves) = &process.committing {
            machine.disk.interrupt(&saves.writes, &mut random);
        }
        if how == End::PowerCut {
            machine.disk.lose_power(&mut random);
        }
        machine.disk.stop();
        self.random = random;
        self.disconnect(id);
        Ok(())
    }

    /// Stops a process where it is; the disk and the network go on without it.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&mut self, id: NodeId) -> Result<(), Impossible> {
        self.log.note(self.now_us, format_args!("{id} pauses"));
        let process = self.machine_mut(id)?.process.as_mut();
        let process = process.ok_or(Impossible::NotRunning { node: id })?;
        process.paused.get_or_insert_default();
        Ok(())
    }

    /// Lets a process go on; it notices all that it missed, in order.
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&mut self, id: NodeId) -> Result<(), Impossible> {
        self.log.note(self.now_us, format_args!("{id} goes on"));
        let process = self.machine_mut(id)?.process.as_mut();
        let process = process.ok_or(Impossible::NotRunning { node: id })?;
        for missed in process.paused.take().unwrap_or_default() {
            self.agenda.put(self.now_us, missed);
        }
        Ok(())
    }

    /// Steps a node's wall clock: `offset_us` from the truth.
    pub fn set_clock_offset(&mut self, id: NodeId, offset_us: i64) -> Result<(), Impossible> {
        self.log.note(self.now_us, format_args!("{id} clock offset {offset_us} us"));
        self.machine_mut(id)?.clock.set_offset(offset_us);
        Ok(())
    }

    /// Makes both clocks of a node gain `drift_ppm` parts per million from now on. Timers that were
    /// set keep their instants of true time if the clock gets faster.
    pub fn set_clock_drift(&mut self, id: NodeId, drift_ppm: i32) -> Result<(), Impossible> {
        let now_us = self.now_us;
        self.log.note(now_us, format_args!("{id} clock drift {drift_ppm} ppm"));
        self.machine_mut(id)?.clock.set_drift(now_us, drift_ppm);
        Ok(())
    }

    /// Adds to every read and every commit of a disk.
    pub fn set_disk_slow(&mut self, id: NodeId, slow_us: u64) -> Result<(), Impossible> {
        self.log.note(self.now_us, format_args!("{id} disk slower by {slow_us} us"));
        self.machine_mut(id)?.slow_us = slow_us;
        Ok(())
    }

    pub fn set_disk_full(&mut self, id: NodeId, full: bool) -> Result<(), Impossible> {
        self.log.note(self.now_us, format_args!("{id} disk full {full}"));
        self.machine_mut(id)?.disk.set_full(full);
        Ok(())
    }

    /// Flips a bit on a disk. False: it is empty.
    pub fn rot_disk(&mut self, id: NodeId) -> Result<bool, Impossible> {
        let mut random = self.random.clone();
        let rotten = self.machine_mut(id)?.disk.rot(&mut random);
        self.random = random;
        self.log.note(self.now_us, format_args!("{id} disk rots {rotten}"));
        Ok(rotten)
    }

    pub fn set_network(&mut self, link: Link) {
        self.log.note(self.now_us, format_args!("network {link:?}"));
        self.network.set_all(link);
    }

    pub fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) -> Result<(), Impossible> {
        self.know(from, to)?;
        self.log.note(self.now_us, format_args!("link {from} to {to} {link:?}"));
        self.network.set_link(from, to, link);
        Ok(())
    }

    /// Loses everything that is sent from now on in this direction. What is on its way arrives.
    pub fn cut(&mut self, from: NodeId, to: NodeId) -> Result<(), Impossible> {
        self.know(from, to)?;
        self.log.note(self.now_us, format_args!("cut {from} to {to}"));
        self.network.cut(from, to);
        Ok(())
    }

    /// Mends all cuts.
    pub fn heal(&mut self) {
        self.log.note(self.now_us, format_args!("heal"));
        self.network.heal();
    }

    /// Keeps back what is sent in this direction until it is released.
    pub fn hold(&mut self, from: NodeId, to: NodeId) -> Result<(), Impossible> {
        self.know(from, to)?;
        self.log.note(self.now_us, format_args!("hold {from} to {to}"));
        self.network.hold(from, to);
        Ok(())
    }

    /// Lets go what was held back: it arrives at once, in order.
    pub fn release(&mut self, from: NodeId, to: NodeId) -> Result<(), Impossible> {
        self.know(from, to)?;
        self.log.note(self.now_us, format_args!("release {from} to {to}"));
        for packet in self.network.release(from, to) {
            self.agenda.put(self.now_us, Happening::Deliver(packet));
        }
        Ok(())
    }

    /// Ends every hold.
    pub fn release_all(&mut self) {
        for (from, to) in self.network.holds() {
            for packet in self.network.release(from, to) {
                self.agenda.put(self.now_us, Happening::Deliver(packet));
            }
        }
    }

    fn know(&self, from: NodeId, to: NodeId) -> Result<(), Impossible> {
        self.machine(from)?;
        self.machine(to).map(drop)
    }
}
