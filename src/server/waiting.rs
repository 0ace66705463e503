//! Who waits for which reply.
//!
//! A tag names a slot and how often the slot has been used, so that a reply for an earlier use
//! finds nobody. A request costs two array accesses and no allocation.

use super::inbox::SessionId;
use crate::message::Reply;
use crate::node::ClientTag;
use tokio::sync::oneshot;

/// The one who waits.
pub enum Waiter {
    /// A client's stream, and the tag under which the client knows the request.
    Session { session: SessionId, tag: u64 },
    /// A single call.
    Once(oneshot::Sender<Reply>),
}

/// What kind of request it was, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Get,
    Put,
    Delete,
    Increment,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Get, Kind::Put, Kind::Delete, Kind::Increment];

    pub fn name(self) -> &'static str {
        ["get", "put", "delete", "increment"][self as usize]
    }
}

pub struct Pending {
    pub waiter: Waiter,
    pub kind: Kind,
    /// Monotonic time at which the request was taken.
    pub since_us: u64,
}

#[derive(Default)]
pub struct Waiting {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    uses: u32,
    pending: Option<Pending>,
}

impl Waiting {
    /// The tag under which the node will answer.
    pub fn insert(&mut self, pending: Pending) -> ClientTag {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.uses = slot.uses.wrapping_add(1);
        slot.pending = Some(pending);
        (u64::from(slot.uses) << 32) | u64::from(index)
    }

    /// Who waits under this tag; nobody the second time.
    pub fn remove(&mut self, tag: ClientTag) -> Option<Pending> {
        let index = tag as u32;
        let slot = self.slots.get_mut(index as usize)?;
        if slot.uses != (tag >> 32) as u32 {
            return None;
        }
        let pending = slot.pending.take()?;
        self.free.push(index);
        Some(pending)
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pending(tag: u64) -> Pending {
        Pending { waiter: Waiter::Session { session: 1, tag }, kind: Kind::Get, since_us: 0 }
    }

    #[test]
    fn a_tag_is_answered_once_and_its_slot_is_used_again() {
        let mut waiting = Waiting::default();
        let first = waiting.insert(pending(7));
        assert!(matches!(waiting.remove(first).unwrap().waiter, Waiter::Session { tag: 7, .. }));
        assert!(waiting.remove(first).is_none());
        let second = waiting.insert(pending(8));
        assert_eq!(second as u32, first as u32);
        assert!(waiting.remove(first).is_none(), "a late reply finds nobody");
        assert_eq!(waiting.len(), 1);
        assert!(waiting.remove(second).is_some());
        assert!(waiting.is_empty());
        assert!(waiting.remove(u64::MAX).is_none());
    }
}
