//! One machine: a disk, two clocks, and the node's process while it runs.

use super::clock::Clock;
use super::disk::{Disk, Durability};
use super::world::Happening;
use crate::engine::Write;
use crate::node::{Boot, Node, Settings, Ticket, Timer};
use std::sync::Arc;

/// Kinds of timers, one pending each.
const TIMERS: usize = 4;

pub(super) struct Machine {
    /// Of the node's next start.
    pub settings: Settings,
    pub disk: Arc<Disk>,
    pub clock: Clock,
    pub durability: Durability,
    /// Adds to each commit and each read from the disk, in microseconds.
    pub slow_us: u64,
    pub process: Option<Process>,
    /// What was persisted of the last start.
    pub boot: Option<Boot>,
    /// Starts so far; tells what belongs to a process that is gone.
    pub life: u32,
}

pub(super) struct Process {
    pub node: Node,
    timers: [Option<u64>; TIMERS],
    pub saves: Saves,
    /// The commit that is on its way.
    pub committing: Option<Saves>,
    /// Whether a synchronisation by interval is pending.
    pub syncs: bool,
    /// Set while the process is stopped: what it would have noticed.
    pub paused: Option<Vec<Happening>>,
}

/// Records that wait for their commit.
#[derive(Default)]
pub(super) struct Saves {
    pub tickets: Vec<Ticket>,
    pub writes: Vec<Write>,
}

impl Process {
    pub fn new(node: Node) -> Self {
        Process {
            node,
            timers: [None; TIMERS],
            saves: Saves::default(),
            committing: None,
            syncs: false,
            paused: None,
        }
    }

    pub fn timer(&mut self, timer: Timer) -> &mut Option<u64> {
        &mut self.timers[timer as usize]
    }
}

impl Machine {
    pub fn new(settings: Settings, durability: Durability) -> Self {
        Machine {
            disk: Arc::new(Disk::new(format!("disk of {}", settings.id), durability)),
            settings,
            clock: Clock::true_time(),
            durability,
            slow_us: 0,
            process: None,
            boot: None,
            life: 0,
        }
    }

    /// Whether the process that `life` names still runs.
    pub fn lives(&self, life: u32) -> bool {
        self.process.is_some() && self.life == life
    }
}
