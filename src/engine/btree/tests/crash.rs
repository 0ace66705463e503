//! The B-tree on a disk that loses power. How it is judged is told in `engine/crash/`.

use super::*;
use crate::engine::crash::{
    Store as Judged, Subject, World, campaign, deaths_while_it_opens, seeds,
};

/// `always` alone: with the other settings the death of a process loses what was acknowledged,
/// which the crash test holds to be an error.
struct Tested;

impl Subject for Tested {
    fn name(&self) -> String {
        "btree, sync Always".to_string()
    }

    fn sync(&self) -> SyncPolicy {
        SyncPolicy::Always
    }

    fn open(&self, disk: &Simulated) -> Result<Box<dyn Judged>, EngineError> {
        Ok(Box::new(open(disk, SyncPolicy::Always)?))
    }
}

impl Judged for BTree {
    /// At least as durable as it is asked to be.
    fn commit(&self, batch: Vec<Write>, _: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.commit_with(batch, Some(SyncPolicy::Always))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Engine::get(self, key)
    }

    fn everything(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.scan(Bound::Unbounded, Bound::Unbounded, usize::MAX)
    }

    fn flush(&self) -> Result<(), EngineError> {
        BTree::flush(self)
    }

    fn settle(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn close(&self) -> Result<(), EngineError> {
        Engine::close(self)
    }
}

#[test]
fn a_death_while_it_opens_costs_the_next_process_nothing() {
    assert!(deaths_while_it_opens(&Tested) > 5);
}

#[test]
fn simulated_crashes_lose_nothing_that_was_durable() {
    let test = "engine::btree::tests::crash::simulated_crashes";
    let tally = campaign(test, seeds(500), World::new, |_| Box::new(Tested));
    assert!(tally.crashes >= tally.worlds, "{tally:?}");
}
