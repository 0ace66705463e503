//! The hash engine on a disk that loses power, fills up, refuses and rots. How it is judged is told
//! in `engine/crash/`.

use super::*;
use crate::engine::crash::{
    LogKind, Store as Judged, Subject, World, campaign, damage, deaths_while_it_opens, seeds,
};
use crate::engine::disk::simulated::Operation;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const POLICIES: [SyncPolicy; 3] = [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never];

struct Tested(Options);

impl Tested {
    fn boxed(seed: u64) -> Box<dyn Subject> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Box::new(Tested(Options {
            sync: POLICIES[seed as usize % POLICIES.len()],
            file_bytes: [1_000, 4_096, 16_000, 1 << 20][rng.random_range(0..4)],
            merge_dead_percent: rng.random_range(10..=90),
            store: seed,
            ..options()
        }))
    }
}

impl Subject for Tested {
    fn name(&self) -> String {
        format!("hash, sync {:?}, files of {}", self.0.sync, self.0.file_bytes)
    }

    fn sync(&self) -> SyncPolicy {
        self.0.sync
    }

    fn open(&self, disk: &Simulated) -> Result<Box<dyn Judged>, EngineError> {
        Ok(Box::new(open_with(disk, self.0.clone())?))
    }
}

impl Judged for HashLog {
    fn commit(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError> {
        self.commit_with(batch, sync)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Engine::get(self, key)
    }

    fn everything(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.scan(Bound::Unbounded, Bound::Unbounded, usize::MAX)
    }

    fn flush(&self) -> Result<(), EngineError> {
        HashLog::flush(self)
    }

    fn settle(&self) -> Result<(), EngineError> {
        HashLog::settle(self)
    }

    fn close(&self) -> Result<(), EngineError> {
        Engine::close(self)
    }
}

#[test]
fn a_death_while_it_opens_costs_the_next_process_nothing() {
    assert!(deaths_while_it_opens(Tested::boxed(0).as_ref()) > 5);
}

#[test]
fn simulated_crashes_lose_nothing_that_was_durable() {
    let test = "engine::hash::tests::crash::simulated_crashes";
    let tally = campaign(test, seeds(500), World::new, Tested::boxed);
    assert!(tally.crashes >= tally.worlds, "{tally:?}");
}

/// Each phase in which a disk can fill up or refuse.
const TROUBLES: &[(Operation, &str)] = &[
    (Operation::Create, ".log"),
    (Operation::Write, ".log"),
    (Operation::Sync, ".log"),
    (Operation::Read, ".log"),
    (Operation::Create, ".hint"),
    (Operation::Write, ".hint"),
    (Operation::Create, "replace.tmp"),
    (Operation::Write, "replace.tmp"),
    (Operation::Sync, "replace.tmp"),
    (Operation::Rename, "replace.tmp"),
    (Operation::SyncDir, "/db"),
];

#[test]
fn a_disk_that_refuses_makes_it_read_only_and_loses_nothing() {
    let test = "engine::hash::tests::crash::a_disk_that_refuses";
    for trouble in TROUBLES {
        let troubled = |seed| World::troubled(seed, std::slice::from_ref(trouble));
        let tally = campaign(test, seeds(12), troubled, Tested::boxed);
        assert!(tally.failures > 0, "{trouble:?} never struck");
    }
}

#[test]
fn flipped_bits_are_named_or_harmless() {
    let test = "engine::hash::tests::crash::flipped_bits";
    let log = LogKind { kind: ".log", proves: true };
    let seen = damage(test, seeds(40), Tested::boxed, log);
    let noticed = |kind: &str| seen[kind].refused + seen[kind].detected;
    assert!(noticed(".log") > 0 && noticed("FILES") > 0, "{seen:?}");
    // Each byte of the list counts; hints can be done without.
    assert_eq!(seen["FILES"].harmless, 0, "{seen:?}");
    assert_eq!(noticed(".hint"), 0, "{seen:?}");
}
