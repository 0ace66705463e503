//! A table of what is pending, named by ids that are never used twice.

/// Bits of an id that name the slot; the rest is a sequence number.
const SLOT_BITS: u32 = 20;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// Values by id. A lookup is an index and a comparison; a slot is used again, an id never.
///
/// The sequence starts where the caller says: a node starts each life somewhere else, so that an
/// answer to a request of its former life names nothing in this one.
#[derive(Debug)]
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    sequence: u64,
}

#[derive(Debug)]
struct Slot<T> {
    id: u64,
    value: Option<T>,
}

impl<T> Table<T> {
    pub fn new(sequence: u64) -> Self {
        Table { slots: Vec::new(), free: Vec::new(), sequence }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Never gives out id 0. The caller bounds the table: a slot beyond 2^20 has no name.
    pub fn insert(&mut self, value: T) -> u64 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { id: 0, value: None });
            self.slots.len() as u32 - 1
        });
        assert!(u64::from(slot) <= SLOT_MASK, "a table holds at most 2^20 entries");
        self.sequence = self.sequence.wrapping_add(1);
        if self.sequence << SLOT_BITS == 0 {
            self.sequence = 1;
        }
        let id = (self.sequence << SLOT_BITS) | u64::from(slot);
        self.slots[slot as usize] = Slot { id, value: Some(value) };
        id
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let slot = self.slots.get_mut((id & SLOT_MASK) as usize)?;
        if slot.id == id { slot.value.as_mut() } else { None }
    }

    pub fn contains(&self, id: u64) -> bool {
        let slot = self.slots.get((id & SLOT_MASK) as usize);
        slot.is_some_and(|slot| slot.id == id && slot.value.is_some())
    }

    pub fn remove(&mut self, id: u64) -> Option<T> {
        let index = (id & SLOT_MASK) as usize;
        let slot = self.slots.get_mut(index).filter(|slot| slot.id == id)?;
        let value = slot.value.take()?;
        self.free.push(index as u32);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_and_its_old_id_names_nothing() {
        let mut table = Table::new(7);
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(first & SLOT_MASK, second & SLOT_MASK);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert!(table.contains(second) && !table.contains(first));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn another_life_gives_other_ids() {
        let (mut former, mut present) = (Table::new(1_000), Table::new(2_000));
        let late = former.insert(());
        present.insert(());
        assert!(!present.contains(late));
    }

    #[test]
    fn the_sequence_wraps_without_giving_out_zero() {
        let mut table = Table::new(u64::MAX >> SLOT_BITS);
        assert_ne!(table.insert(()), 0);
    }
}
