//! The requests of one connection that wait for their reply: a slab with generations.
//!
//! A request's tag on the wire is its slot and the slot's generation. A slot's generation grows
//! when it is given back, so a reply that comes after its request was given up finds nobody.

use super::Sink;
use std::sync::Arc;

/// What is kept of a request until its reply comes.
pub(super) struct Entry {
    /// The caller's own tag, handed back to the sink.
    pub tag: u64,
    pub sink: Arc<dyn Sink>,
    /// Microseconds on the client's clock after which nobody waits any more.
    pub deadline_us: u64,
    /// A put, delete or increment: something that may change the store.
    pub write: bool,
    /// Taken by the writer: from here on the node may have it.
    pub sent: bool,
}

impl Entry {
    /// Whether the store may have changed although no reply came.
    pub fn maybe_done(&self) -> bool {
        self.write && self.sent
    }
}

struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

/// At most `limit` entries; no allocation once it has grown to what is in flight.
pub(super) struct Pending {
    slots: Vec<Slot>,
    free: Vec<u32>,
    limit: usize,
}

impl Pending {
    pub fn new(limit: usize) -> Self {
        Pending { slots: Vec::new(), free: Vec::new(), limit: limit.min(u32::MAX as usize) }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The tag for the wire, or the entry back where the slab is full.
    pub fn insert(&mut self, entry: Entry) -> Result<u64, Entry> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() == self.limit => return Err(entry),
            None => {
                self.slots.push(Slot { generation: 0, entry: None });
                self.slots.len() as u32 - 1
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.entry = Some(entry);
        Ok(u64::from(slot.generation) << 32 | u64::from(index))
    }

    fn slot(&mut self, tag: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(tag as u32 as usize)?;
        (slot.generation == (tag >> 32) as u32).then_some(slot)
    }

    /// The entry of a wire tag, unless it was taken before.
    pub fn take(&mut self, tag: u64) -> Option<Entry> {
        let slot = self.slot(tag)?;
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(tag as u32);
        Some(entry)
    }

    /// Notes that the node may have this request from now on. False: nobody waits for it any more.
    pub fn mark_sent(&mut self, tag: u64) -> bool {
        match self.slot(tag).and_then(|slot| slot.entry.as_mut()) {
            Some(entry) => {
                entry.sent = true;
                true
            }
            None => false,
        }
    }

    pub fn is_waiting(&mut self, tag: u64) -> bool {
        self.slot(tag).is_some_and(|slot| slot.entry.is_some())
    }

    /// Moves all entries whose deadline is before `now_us` to `out`. Walks the whole slab: it runs
    /// a few hundred times a second, and a slab is as long as the most that ever was in flight.
    pub fn take_overdue(&mut self, now_us: u64, out: &mut Vec<Entry>) {
        self.take_if(|entry| entry.deadline_us < now_us, out);
    }

    pub fn take_all(&mut self, out: &mut Vec<Entry>) {
        self.take_if(|_| true, out);
    }

    fn take_if(&mut self, condition: impl Fn(&Entry) -> bool, out: &mut Vec<Entry>) {
        if self.len() == 0 {
            return;
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.entry.as_ref().is_some_and(&condition) {
                out.extend(slot.entry.take());
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(index as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::message::Reply;
    use quorate_strategies::NodeId;

    struct Nobody;
    impl Sink for Nobody {
        fn complete(&self, _: u64, _: NodeId, _: Reply) {}
    }

    fn entry(tag: u64, deadline_us: u64) -> Entry {
        Entry { tag, sink: Arc::new(Nobody), deadline_us, write: true, sent: false }
    }

    fn insert(pending: &mut Pending, tag: u64, deadline_us: u64) -> u64 {
        pending.insert(entry(tag, deadline_us)).ok().unwrap()
    }

    #[test]
    fn a_late_reply_finds_nobody_though_its_slot_is_in_use_again() {
        let mut pending = Pending::new(1);
        let first = insert(&mut pending, 7, 0);
        assert_eq!(pending.take(first).unwrap().tag, 7);
        let second = insert(&mut pending, 8, 0);
        assert_eq!(first as u32, second as u32, "the same slot");
        assert!(pending.take(first).is_none());
        assert!(!pending.mark_sent(first));
        assert_eq!(pending.take(second).unwrap().tag, 8);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn a_full_slab_gives_the_entry_back() {
        let mut pending = Pending::new(2);
        let first = insert(&mut pending, 1, 0);
        insert(&mut pending, 2, 0);
        assert_eq!(pending.insert(entry(3, 0)).err().unwrap().tag, 3);
        pending.take(first).unwrap();
        assert!(pending.insert(entry(3, 0)).is_ok());
    }

    #[test]
    fn only_what_is_overdue_is_given_up() {
        let mut pending = Pending::new(8);
        let early = insert(&mut pending, 1, 10);
        let late = insert(&mut pending, 2, 20);
        let mut out = Vec::new();
        pending.take_overdue(20, &mut out);
        assert_eq!(out.iter().map(|entry| entry.tag).collect::<Vec<_>>(), [1]);
        assert!(!pending.is_waiting(early) && pending.is_waiting(late));
    }

    #[test]
    fn a_write_is_unknown_only_once_it_was_sent() {
        let mut pending = Pending::new(8);
        let tag = insert(&mut pending, 1, 0);
        assert!(pending.mark_sent(tag));
        insert(&mut pending, 2, 0);
        let mut out = Vec::new();
        pending.take_all(&mut out);
        let seen: Vec<_> = out.iter().map(|entry| (entry.tag, entry.maybe_done())).collect();
        assert_eq!(seen, [(1, true), (2, false)]);
    }
}
