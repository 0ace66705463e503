//! A latch: what one key of this replica is busy with, and the newest record that was made of it.

use crate::message::RequestId;
use crate::node::Ticket;
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Change, Record};
use std::collections::VecDeque;

/// A change of one key, waiting for what is held.
pub(super) struct Work {
    pub from: NodeId,
    pub id: RequestId,
    /// Its client no longer waits after this time.
    pub expires_us: u64,
    pub job: Job,
}

pub(super) enum Job {
    /// Stamp a client's change.
    Apply { change: Change, context: Option<Bytes> },
    /// Take in a record that another replica stamped.
    Merge { record: Record },
}

/// Exists while a load or a save of its key is in flight, and no longer.
#[derive(Default)]
pub(super) struct Latch {
    /// The newest record, saved or being saved. Meaningless while `loading`.
    pub record: Option<Record>,
    pub loading: bool,
    /// Changes that came while `loading`, in order.
    pub waiting: VecDeque<Work>,
    /// Saves in flight, and the last of them: once that one is durable, `record` is.
    pub saves: usize,
    pub last_save: Ticket,
}

impl Latch {
    pub fn is_idle(&self) -> bool {
        !self.loading && self.saves == 0
    }
}
