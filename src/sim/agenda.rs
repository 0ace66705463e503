//! What is going to happen, ordered by (time, sequence): two things at one instant happen in the
//! order in which they were put down, so a run can be repeated.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A queue of happenings in virtual time.
pub(super) struct Agenda<H> {
    heap: BinaryHeap<Entry<H>>,
    sequence: u64,
}

struct Entry<H> {
    at_us: u64,
    sequence: u64,
    happening: H,
}

impl<H> Agenda<H> {
    pub fn new() -> Self {
        Agenda { heap: BinaryHeap::new(), sequence: 0 }
    }

    pub fn put(&mut self, at_us: u64, happening: H) {
        self.sequence += 1;
        self.heap.push(Entry { at_us, sequence: self.sequence, happening });
    }

    /// The next happening if it is due by `until_us`.
    pub fn pop(&mut self, until_us: u64) -> Option<(u64, H)> {
        if self.heap.peek()?.at_us > until_us {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at_us, entry.happening))
    }

    /// Everything that waits, soonest first.
    pub fn pending(&self) -> Vec<(u64, &H)> {
        let mut entries: Vec<_> = self.heap.iter().collect();
        entries.sort_by(|one, two| two.cmp(one));
        entries.into_iter().map(|entry| (entry.at_us, &entry.happening)).collect()
    }
}

impl<H> Ord for Entry<H> {
    /// Reversed: the heap's greatest is the soonest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.sequence).cmp(&(self.at_us, self.sequence))
    }
}

impl<H> PartialOrd for Entry<H> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<H> PartialEq for Entry<H> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<H> Eq for Entry<H> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_comes_first_and_equal_times_keep_their_order() {
        let mut agenda = Agenda::new();
        for (at_us, name) in [(20, 'c'), (10, 'a'), (20, 'd'), (10, 'b')] {
            agenda.put(at_us, name);
        }
        let waiting: String = agenda.pending().into_iter().map(|(_, name)| *name).collect();
        assert_eq!(waiting, "abcd");
        assert_eq!(agenda.pop(9), None);
        let happened: String = std::iter::from_fn(|| agenda.pop(20)).map(|(_, it)| it).collect();
        assert_eq!(happened, "abcd");
    }
}
