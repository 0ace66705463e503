//! Every message between nodes, and every request and reply of a client: the protocol's table of
//! contents.
//!
//! ```text
//!   write   any node ──Apply──► one replica of the key: stamps, stores, answers Applied(record)
//!                    ──Merge──► the other replicas: merge, store
//!                    ◄─Stored── each, once it is durable there; W of them make the reply
//!   read    any node ──Read───► R replicas ◄─Found(record)── ; stale ones get a Merge
//!   always  Heartbeat to every peer; Gossip ⇄ GossipReply with one peer at a time
//! ```
//!
//! A coordinator reaches its own replica by the same messages as a remote one: one path, not two.
//! Messages travel in batches; what holds for the whole batch stands in its [`Header`].

pub use crate::level::Level;
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Answer, Change, Record};

/// What holds for all messages of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub from: NodeId,
    pub to: NodeId,
    /// The sender's topology epoch. A replica refuses requests of an older one.
    pub epoch: u64,
    /// The sender's hybrid logical clock, so that clocks follow each other.
    pub clock: u64,
    /// Which life of the sender this is of.
    pub incarnation: u64,
    /// The sender's monotonic clock when the batch left. Deadlines in the messages are on the same
    /// clock; the receiver learns how far it is from its own.
    pub sent_us: u64,
    /// The sender's own wall clock, microseconds since 1970: whether it can be followed at all. The
    /// hybrid clock cannot tell, since it also follows others.
    pub wall_us: u64,
    /// Numbers the batches from this sender to this receiver, from 1, growing. A number that comes
    /// again is a copy, and is dropped: an Apply that is done twice is two versions of one write.
    pub sequence: u64,
    /// What the sender has heard of the receiver.
    pub heard: Heard,
}

/// The newest that one node has heard of another: both figures are the other's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its life. 0: nothing was heard.
    pub incarnation: u64,
    /// Its monotonic clock, when it sent.
    pub sent_us: u64,
}

/// Names a request at its coordinator. Answers carry it back; an unknown one is late and is
/// dropped.
pub type RequestId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To exactly one replica of the key: stamp this change, store it, and hand back the record.
    /// `deadline_us` is on the sender's monotonic clock; a replica refuses work whose time is over,
    /// however long it was on the way.
    Apply { id: RequestId, key: Bytes, change: Change, context: Option<Bytes>, deadline_us: u64 },
    /// The stamped record, not yet durable: the coordinator sends it on while the disk works.
    Applied { id: RequestId, record: Record },
    /// A finished record: merge it into what is held and store the result. Read repair is one of
    /// these.
    Merge { id: RequestId, key: Bytes, record: Record, deadline_us: u64 },
    /// An Apply or a Merge is durable here, as the engine's `sync` setting defines durable.
    Stored { id: RequestId },
    /// What is held for this key?
    Read { id: RequestId, key: Bytes, deadline_us: u64 },
    /// Answer to Read; None: nothing held, not even a tombstone.
    Found { id: RequestId, record: Option<Record> },
    /// An Apply, Merge or Read was not done here: certainly, unless the reason is storage.
    Refused { id: RequestId, reason: Refused },
    /// I live. Direct, to every peer, each heartbeat interval; what detectors hear. `hears` is the
    /// life of the receiver that the sender hears at present, 0 where it hears none: one who is
    /// heard and does not hear would take requests for ever that never reach it. One that is sent
    /// `aside`, between two beats, tells just that: it is no part of the rhythm that detectors
    /// learn.
    Heartbeat { incarnation: u64, hears: u64, aside: bool },
    /// What I know of the members, in short: answer with what is newer and ask for what is older.
    Gossip { digests: Vec<Digest> },
    /// What the digests' sender did not know, and the ids that it should tell about.
    GossipReply { members: Vec<MemberState>, wanted: Vec<NodeId> },
}

/// Why a replica did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the request's topology epoch is older than this replica's, {epoch}")]
    StaleEpoch { epoch: u64 },
    #[error("this replica does not own the key")]
    NotOwner,
    #[error("the replica's queue is full")]
    Overloaded,
    #[error("the deadline had passed")]
    Expired,
    #[error("the resolver refused: {0}")]
    Resolver(String),
    /// Not stamped by this life. But the request was sent to an earlier one, and this may be a copy
    /// of what that one had stamped: nobody else may stamp it either.
    #[error("the request was meant for an earlier life of this replica")]
    FormerLife,
    /// Before anything was stamped: this replica can keep nothing any more.
    #[error("this replica takes no writes since an earlier error of its disk")]
    ReadOnly,
    /// Before anything was stamped: this replica's hybrid clock is ahead of its wall clock by more
    /// than the bound, since that one had been wrong. What it stamped now would hide later writes.
    #[error("this replica's clock is ahead by {ahead_ms} ms since its wall clock was wrong")]
    ClockAhead { ahead_ms: u64 },
    #[error("storage: {0}")]
    Storage(String),
}

impl Refused {
    /// Whether the replica has not stamped the write and will not, while another owner might.
    pub fn is_before_the_stamp(&self) -> bool {
        matches!(self, Refused::ReadOnly | Refused::ClockAhead { .. })
    }
}

/// A member in short, for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub id: NodeId,
    pub incarnation: u64,
    pub version: u64,
}

/// What a member says of itself. The higher (incarnation, version) wins; only the member raises
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    pub id: NodeId,
    /// Grows with every start: max(stored + 1, unix seconds), on disk before the first message.
    pub incarnation: u64,
    /// Grows with every change of the fields below within one incarnation.
    pub version: u64,
    pub grpc: String,
    pub http: String,
    pub epoch: u64,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Get,
    Put {
        value: Bytes,
        content_type: Bytes,
        flags: u32,
        /// Time to live; the coordinator turns it into an absolute instant, once.
        ttl_ms: Option<u64>,
    },
    Delete,
    /// Counters only.
    Increment(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub key: Bytes,
    pub operation: Operation,
    /// None: the node's configured default for reads or writes.
    pub level: Option<Level>,
    /// The token of an earlier answer: what the writer had seen.
    pub context: Option<Bytes>,
    /// None: the node's configured default.
    pub timeout_ms: Option<u32>,
}

/// What a client is told. A request has three outcomes: done, certainly not done, unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answer to a Get. No values: not found.
    Read(Answer),
    /// A Put, Delete or Increment is durable on W replicas. The token covers it.
    Written {
        context: Bytes,
    },
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("too few live replicas: {needed} needed, {alive} alive")]
    TooFewReplicas { needed: u32, alive: u32 },
    /// `maybe_done`: a write that may have reached a replica, and may surface later. `needed` 0:
    /// the coordinator itself did not reply, and the client gave up.
    #[error("timed out: {}", answered(*acks, *needed))]
    TimedOut { acks: u32, needed: u32, maybe_done: bool },
    /// The client has no connection to a coordinator, or lost it before the reply came.
    /// `maybe_done`: this was a write that had already been handed to the socket.
    #[error("the connection to the coordinator is down")]
    Disconnected { maybe_done: bool },
    /// `maybe_done`: false also where the replica that stamps refused before it stored anything.
    #[error("too many replicas refused: {acks} of {needed} answered; {reason}")]
    Refused { acks: u32, needed: u32, reason: String, maybe_done: bool },
    #[error("overloaded: {what}; retry later")]
    Overloaded { what: String },
    #[error("invalid request: {0}")]
    Invalid(String),
    #[error("not a valid change for this key: {0}")]
    WrongChange(String),
}

fn answered(acks: u32, needed: u32) -> String {
    match needed {
        0 => "the coordinator did not reply".to_string(),
        _ => format!("{acks} of {needed} replicas answered"),
    }
}

/// What a failure says about the store's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Certainly not done: a retry cannot apply it twice.
    NotDone,
    /// Perhaps done, perhaps later: a retry may apply it twice.
    Unknown,
}

impl Failure {
    /// Reads change nothing, so a failed read is certainly not done. A write that reached a replica
    /// may still surface.
    pub fn outcome(&self) -> Outcome {
        match self {
            Failure::TimedOut { maybe_done: true, .. }
            | Failure::Disconnected { maybe_done: true }
            | Failure::Refused { maybe_done: true, .. } => Outcome::Unknown,
            _ => Outcome::NotDone,
        }
    }
}
