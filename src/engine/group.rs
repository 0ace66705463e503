//! Groups of commits that share one trip to the disk.
//!
//! ```text
//!   submit ─► open group ─ first leads ─► waits for its turn ─► closes it ─► lead ─► wakes all
//!                 ▲                              │
//!                 └── others join meanwhile ─────┘
//! ```
//!
//! Whoever opens a group leads it. While the group before it is on its way to the disk, others
//! join. So a group grows with the load by itself, and a lone writer waits for nobody.

use super::EngineError;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// Where groups of `T` form.
pub struct Groups<T> {
    /// Takes members until its leader closes it.
    open: Mutex<Option<Arc<Group<T>>>>,
    /// Held by the leader whose group is on its way.
    turn: Mutex<()>,
}

struct Group<T> {
    members: Mutex<Members<T>>,
    ended: Condvar,
}

struct Members<T> {
    items: Vec<T>,
    /// Set at the end: why it failed, if it did.
    outcome: Option<Result<(), String>>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Groups { open: Mutex::default(), turn: Mutex::default() }
    }
}

impl<T> Groups<T> {
    /// Returns once `lead` of some member has been called with this item among others, in the order
    /// of their coming. One `lead` runs at a time. The members of a group that failed are told
    /// why; the leader has the error itself.
    pub fn submit(
        &self,
        item: T,
        lead: impl FnOnce(Vec<T>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut open = self.open.lock();
        if let Some(group) = &*open {
            let group = Arc::clone(group);
            let mut members = group.members.lock();
            members.items.push(item);
            drop(open);
            loop {
                if let Some(outcome) = &members.outcome {
                    return outcome.clone().map_err(EngineError::ReadOnly);
                }
                group.ended.wait(&mut members);
            }
        }
        let members = Mutex::new(Members { items: vec![item], outcome: None });
        let group = Arc::new(Group { members, ended: Condvar::new() });
        *open = Some(Arc::clone(&group));
        drop(open);
        let turn = self.turn.lock();
        // From here on nobody joins: who comes now opens the next group.
        *self.open.lock() = None;
        let items = std::mem::take(&mut group.members.lock().items);
        let result = lead(items);
        drop(turn);
        let outcome = result.as_ref().copied().map_err(|error| match error {
            EngineError::ReadOnly(reason) => reason.clone(),
            error => error.to_string(),
        });
        group.members.lock().outcome = Some(outcome);
        group.ended.notify_all();
        result
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn who_comes_while_a_group_is_on_its_way_shares_the_next() {
        let groups: Groups<u32> = Groups::default();
        let sizes = Mutex::new(Vec::new());
        let (entered, inside) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let (groups, sizes) = (&groups, &sizes);
            scope.spawn(move || {
                let lead = |items: Vec<u32>| {
                    sizes.lock().push(items.len());
                    entered.send(()).unwrap();
                    gate.recv().unwrap();
                    Ok(())
                };
                groups.submit(0, lead).unwrap();
            });
            inside.recv().unwrap();
            for number in 1..4 {
                scope.spawn(move || {
                    let lead = |items: Vec<u32>| {
                        sizes.lock().push(items.len());
                        Err(EngineError::ReadOnly("no".into()))
                    };
                    assert!(groups.submit(number, lead).is_err(), "all share the failure");
                });
            }
            let waiting =
                || groups.open.lock().as_ref().map_or(0, |g| g.members.lock().items.len());
            while waiting() < 3 {
                thread::yield_now();
            }
            go.send(()).unwrap();
        });
        assert_eq!(*sizes.lock(), [1, 3]);
    }
}
