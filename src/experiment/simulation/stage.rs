//! A world with a client beside it, and those who watch it: time goes on here.

use super::client::Client;
use super::watch::Watch;
use crate::experiment::interrupt::Interrupt;
use crate::sim::{End, Occurrence, Return, World};
use quorate_strategies::NodeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Happenings between two looks for Ctrl-C.
const UNINTERRUPTED: u32 = 10_000;

/// The user wants the run to end.
#[derive(Debug)]
pub struct Interrupted;

pub struct Stage<'a> {
    pub world: World,
    pub client: Client,
    pub watch: Watch,
    interrupt: &'a Interrupt,
    /// The load's clock: nanoseconds since `origin_us`.
    clock_ns: Arc<AtomicU64>,
    origin_us: u64,
    happened: u32,
}

impl<'a> Stage<'a> {
    pub fn new(world: World, client: Client, interrupt: &'a Interrupt) -> Stage<'a> {
        let watch = Watch::new(world.ids().count());
        let clock_ns = Arc::default();
        Stage { world, client, watch, interrupt, clock_ns, origin_us: 0, happened: 0 }
    }

    /// The clock of a load that begins now.
    pub fn clock(&mut self) -> Arc<AtomicU64> {
        self.origin_us = self.world.now_us();
        self.clock_ns = Arc::default();
        Arc::clone(&self.clock_ns)
    }

    /// Lets everything happen that is due up to an instant, which is now when it returns. What the
    /// load asked for meanwhile is on its way.
    pub fn run_to(&mut self, until_us: u64) -> Result<(), Interrupted> {
        let until_us = until_us.max(self.world.now_us());
        self.client.send(&self.world);
        loop {
            // Asked anew each time: what happens may make something due here sooner.
            let next_us = self.client.next_us().map_or(until_us, |at_us| at_us.min(until_us));
            // The world's own happenings come first, then those of the client at the same instant.
            if self.world.advance(next_us) {
                self.hear();
                self.look_up()?;
                continue;
            }
            let now_ns = (next_us - self.origin_us) * 1_000;
            self.clock_ns.store(now_ns, Ordering::Relaxed);
            self.client.due(&mut self.world);
            self.hear();
            self.client.send(&self.world);
            if next_us == until_us && self.client.next_us().is_none_or(|at_us| at_us > until_us) {
                return Ok(());
            }
        }
    }

    fn look_up(&mut self) -> Result<(), Interrupted> {
        self.happened += 1;
        if self.happened < UNINTERRUPTED {
            return Ok(());
        }
        self.happened = 0;
        if self.interrupt.is_set() { Err(Interrupted) } else { Ok(()) }
    }

    fn hear(&mut self) {
        while let Some(occurrence) = self.world.occurrence() {
            match occurrence {
                Occurrence::Reply { tag, node, reply } => {
                    self.client.answered(&self.world, node, tag, reply);
                }
                Occurrence::Event { node, event } => {
                    self.watch.event(self.world.now_us(), node, &event);
                }
                Occurrence::Alarm(_) => {}
            }
        }
    }

    pub fn start(&mut self, node: NodeId) {
        self.watch.started(self.world.now_us(), node);
        // A node that runs already stays as it is.
        let _ = self.world.start(node, Return::default());
        self.hear();
    }

    pub fn kill(&mut self, node: NodeId) {
        self.watch.died(self.world.now_us(), node);
        // One that does not run cannot be killed once more.
        let _ = self.world.end(node, End::Crash);
        self.hear();
    }

    pub fn pause(&mut self, node: NodeId) {
        self.watch.paused(self.world.now_us(), node);
        // A node that is dead has nothing to stop.
        let _ = self.world.pause(node);
    }

    pub fn resume(&mut self, node: NodeId) {
        self.watch.resumed(self.world.now_us(), node);
        let _ = self.world.resume(node);
        self.hear();
    }
}
