//! Scenarios: what happens to a cluster, statement by statement, in a language that people read.
//!
//! ```text
//!   text ──parse──► [Statement] ──Player──► World ──► Occurrence ──► Watch, and lines of output
//!                      ▲    │
//!   explore/ ─draws────┘    └──Display──► text, the same
//! ```
//!
//! A scenario that was drawn from a seed and one that was written by hand are the same thing, so
//! a failure that exploration found is printed as a script, kept as a script, and played again by
//! the player that found it.

mod look;
mod parse;
mod play;
mod script;
mod setup;
mod show;
#[cfg(test)]
mod tests;
mod words;

pub use parse::BadLine;
pub use play::{Asked, Line, Player, Settled, Silent, Stopped, Watch};
pub use script::{Block, Halted, Script};
pub use setup::{BadPair, Setup};

use super::network::Link;
use super::world::{End, Return};
use crate::level::Level;
use bytes::Bytes;
use quorate_strategies::NodeId;

/// One line of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Begins a world in which all nodes have just started. The first statement, and only that.
    Cluster(Setup),
    Ask(Ask),
    /// Lets time pass, in microseconds.
    Tick(u64),
    /// Waits until every request has its reply and no node has work left, at most for this long.
    Settle {
        within_us: u64,
    },
    /// Changes all links.
    Network(Link),
    /// Changes one direction between two nodes.
    Direction {
        from: NodeId,
        to: NodeId,
        link: Link,
    },
    /// Cuts all links between nodes of different groups, both ways.
    Partition(Vec<Vec<NodeId>>),
    Cut {
        from: NodeId,
        to: NodeId,
    },
    Heal,
    Hold {
        from: NodeId,
        to: NodeId,
    },
    Release {
        from: NodeId,
        to: NodeId,
    },
    End {
        node: NodeId,
        how: End,
    },
    Start {
        node: NodeId,
        how: Return,
    },
    Pause {
        node: NodeId,
    },
    Resume {
        node: NodeId,
    },
    ClockOffset {
        node: NodeId,
        us: i64,
    },
    ClockDrift {
        node: NodeId,
        ppm: i32,
    },
    Disk {
        node: NodeId,
        what: DiskFault,
    },
    Expect(Expect),
    Look(Look),
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub node: NodeId,
    pub key: Bytes,
    pub what: What,
    pub level: Option<Level>,
    /// The name under which the reply's version token is remembered.
    pub name: Option<String>,
    /// The name of an earlier reply: what this writer had seen. With a `?` behind it the request
    /// goes without a context where that reply failed or has not come yet.
    pub context: Option<String>,
    pub ttl_ms: Option<u64>,
    pub timeout_ms: Option<u32>,
    /// The scenario goes on at once; the reply is shown when it comes.
    pub background: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Get,
    Put(Bytes),
    Delete,
    Add(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Every read and commit takes longer, in microseconds; 0 ends it.
    Slow {
        us: u64,
    },
    Full,
    /// There is space again; the node takes writes after its next start.
    Free,
    /// One bit flips.
    Rot,
}

/// What the reader of a scenario wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// What the disk of a node holds for a key, whether or not the node runs.
    Stored { node: NodeId, key: Bytes },
    /// What a node thinks of itself and of the others, and what it counted.
    Status { node: NodeId },
    /// The preference list of a key.
    Owners { key: Bytes },
}

/// What must hold at this point; else the scenario fails.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// The disk of a node holds exactly these live values for a key; none: nothing or a tombstone.
    Stored { node: NodeId, key: Bytes, values: Vec<Bytes> },
    /// A node's opinion of a peer: `unheard`, `up`, `suspect`, `deaf` or `down`.
    Standing { node: NodeId, peer: NodeId, is: String },
    /// All running owners of a key hold the same record, to the byte.
    Agree { key: Bytes },
}
