//! The same nodes in virtual time: a cluster, its network, its disks and its clocks in one thread,
//! every choice drawn from a seed.
//!
//! ```text
//!   script/ ──┐                  Happening                  Input
//!   explore/ ─┼─► World ◄─► agenda ──────────► machine ───────────► node::Node, the real one
//!   experiment┘     │ ▲     (time, sequence)   clock, disk ◄──────── Effect
//!      Occurrence ◄─┘ └──────── network ◄──────── packets
//! ```
//!
//! Nothing of the protocol is imitated. `node/` takes its time, its randomness and its storage as
//! arguments, so the code that runs here is the code that runs in a process; only the shell around
//! it is another one. The engine is another one, too, behind the same trait: an append-only log on
//! a disk that can be slow, full, torn and rotten ([`disk`]).
//!
//! # Invariants
//!
//! * Nothing here reads a clock, draws from an unseeded generator or depends on the order of a hash
//!   map: equal configurations and equal calls give equal event logs, to the byte, in any process.
//! * Time moves only when nothing is left to do before it does.
//! * A process that has ended gets nothing more: every happening names the life that it is for.
//! * What was synchronised survives everything but rot and a new disk.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * A packet that is lost is gone. Between real nodes TCP sends it again, and a break of the
//!   connection loses a whole row of packets; a link that is cut comes close to that.
//! * All that one step sends to one peer is one packet. A real node sends one batch per round of
//!   its driver, which holds several steps under load.
//! * Computing takes no time: nodes are never busy. Latencies tell of the network, the disks and
//!   the waiting, not of the CPU; a load above what real nodes bear shows no queue.
//! * The LSM engine does not run here: its files do not go through a trait yet.
//! * Hosts have one node each, and racks and data centres are not told apart.

mod agenda;
mod clock;
mod config;
mod delay;
mod disk;
pub mod explore;
mod log;
mod machine;
mod network;
mod random;
pub mod scenario;
mod tally;
#[cfg(test)]
mod tests;
pub mod text;
mod world;

pub use crate::node::Event;
pub use clock::WALL_START_US;
pub use config::{Config, DiskSpeed};
pub use delay::{Delay, Model, NoDelay};
pub use log::Log;
pub use network::Link;
pub use random::{Purpose, stream};
pub use tally::Tally;
pub use world::{End, Impossible, Occurrence, Return, World};
