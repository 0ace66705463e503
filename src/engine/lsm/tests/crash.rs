//! The LSM on a disk that loses power, fills up, refuses and rots, under every strategy and every
//! `sync` setting. How it is judged is told in `engine/crash/`.

use super::*;
use crate::engine::crash::{
    LogKind, Store, Subject, World, campaign, damage, deaths_while_it_opens, seeds,
};
use crate::engine::disk::Simulated;
use crate::engine::disk::simulated::Operation;
use quorate_strategies::compaction::Compaction;
use quorate_strategies::{Choice, Family};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const POLICIES: [SyncPolicy; 3] = [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never];

/// An LSM as small as its settings allow, so that a hundred writes meet every path.
struct Tested {
    strategy: String,
    options: Options,
}

/// Strategies of this folder's tests, besides the registered ones: with so little data they reach
/// deeper levels.
const OWN: [&str; 2] = ["cascade", "eager"];

impl Tested {
    fn new(seed: u64) -> Self {
        let mut strategies: Vec<&str> = Compaction::entries().iter().map(|e| e.name).collect();
        strategies.extend(OWN);
        let strategy = strategies[seed as usize % strategies.len()].to_string();
        let sync = POLICIES[seed as usize / strategies.len() % POLICIES.len()];
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut one_of = |sizes: [u64; 3]| sizes[rng.random_range(0..3)];
        let options = Options {
            sync,
            log_id: seed,
            memtable_bytes: one_of([4_000, 10_000, 40_000]),
            segment_bytes: one_of([4_096, 8_192, 100_000]),
            wal_spares: one_of([0, 1, 4]) as usize,
            cache_bytes: one_of([0, 4_000, 100_000]),
            block_bytes: one_of([256, 1_024, 4_096]) as usize,
            block_hash_index: one_of([0, 1, 1]) == 1,
            bloom_bits: one_of([0, 10, 10]) as u32,
            monkey: one_of([0, 0, 1]) == 1,
            pin_index: one_of([0, 0, 1]) == 1,
            separate_bytes: one_of([u64::MAX, u64::MAX, 500]),
            spare_bytes: one_of([0, 5_000, u64::MAX]),
            slice_bytes: one_of([1_000, 5_000, u64::MAX]),
            spares_of_flushes: one_of([0, 0, 10_000]),
            compression: CompressionByLevel::Each(vec![Compression::Lz4, Compression::Zstd]),
            inline: true,
            now_s: Arc::new(|| 0),
            ..options()
        };
        Tested { strategy, options }
    }

    fn picker(&self) -> Box<dyn Picker> {
        match self.strategy.as_str() {
            "cascade" => Box::new(Cascade),
            "eager" => Box::new(Eager { at: 3 }),
            name => Choice::<Compaction>::named(name).unwrap().build(),
        }
    }
}

impl Subject for Tested {
    fn name(&self) -> String {
        format!("lsm, {}, sync {:?}", self.strategy, self.options.sync)
    }

    fn sync(&self) -> SyncPolicy {
        self.options.sync
    }

    fn open(&self, disk: &Simulated) -> Result<Box<dyn Store>, EngineError> {
        let folder = Folder::new(Arc::new(disk.clone()), Path::new("/db"));
        let lsm = Lsm::open_with(folder, self.options.clone(), self.picker(), Salvage::No)?;
        Ok(Box::new(lsm))
    }
}

impl Store for Lsm {
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
        Lsm::flush(self)
    }

    fn settle(&self) -> Result<(), EngineError> {
        Lsm::settle(self)
    }

    fn close(&self) -> Result<(), EngineError> {
        Engine::close(self)
    }
}

fn tested(seed: u64) -> Box<dyn Subject> {
    Box::new(Tested::new(seed))
}

#[test]
fn a_death_while_it_opens_costs_the_next_process_nothing() {
    assert!(deaths_while_it_opens(tested(0).as_ref()) > 5);
}

#[test]
fn simulated_crashes_lose_nothing_that_was_durable() {
    let test = "engine::lsm::tests::crash::simulated_crashes";
    let tally = campaign(test, seeds(150), World::new, tested);
    assert!(tally.crashes >= tally.worlds, "{tally:?}");
    // An edit of the manifest that was torn at the border of two sectors.
    campaign(test, 3_318..3_319, World::new, tested);
}

/// Each phase in which a disk can fill up or refuse.
const TROUBLES: &[(Operation, &str)] = &[
    (Operation::Write, ".wal"),
    (Operation::Sync, ".wal"),
    (Operation::Create, "spare"),
    (Operation::Write, "spare"),
    (Operation::Sync, "spare"),
    (Operation::Rename, "spare"),
    (Operation::Create, ".table"),
    (Operation::Write, ".table"),
    (Operation::Sync, ".table"),
    (Operation::Read, ".table"),
    (Operation::Create, ".manifest"),
    (Operation::Write, ".manifest"),
    (Operation::Sync, ".manifest"),
    (Operation::Create, "replace.tmp"),
    (Operation::Write, "replace.tmp"),
    (Operation::Sync, "replace.tmp"),
    (Operation::Rename, "replace.tmp"),
    (Operation::SyncDir, "/db"),
];

#[test]
fn a_disk_that_refuses_makes_it_read_only_and_loses_nothing() {
    let test = "engine::lsm::tests::crash::a_disk_that_refuses";
    for trouble in TROUBLES {
        let troubled = |seed| World::troubled(seed, std::slice::from_ref(trouble));
        let tally = campaign(test, seeds(10), troubled, tested);
        assert!(tally.failures > 0, "{trouble:?} never struck");
    }
}

#[test]
fn flipped_bits_are_named_or_harmless() {
    let test = "engine::lsm::tests::crash::flipped_bits";
    let log = LogKind { kind: ".wal", proves: true };
    let seen = damage(test, seeds(30), tested, log);
    let noticed = |kind: &str| seen[kind].refused + seen[kind].detected;
    for kind in [".table", ".blob", ".manifest", ".wal", "CURRENT"] {
        assert!(noticed(kind) > 0, "{kind}: {seen:?}");
    }
    // Each byte of these counts, and none of them can be doubted away.
    assert_eq!(seen["CURRENT"].harmless + seen[".manifest"].harmless, 0, "{seen:?}");
    assert!(seen[".blob"].most_keys <= 1, "a damaged value takes no other: {seen:?}");
}
