//! The crash test: random work on a simulated disk, ended at a random moment, opened again and
//! compared with a model. Thousands of times, from seeds.
//!
//! ```text
//!   seed ─► World: lives of steps ─► drive ─► Subject, Store (an engine) ─► Simulated disk
//!              ▲                       │                                          │
//!              │ fewer steps           ├─► Model: what may be found ◄─ what is ◄──┘ crash, kill
//!              └──── shrink ◄─ Failure ┘
//! ```
//!
//! A life opens the store, takes some steps and ends by a power failure or the death of the
//! process, between two steps or in the middle of one, the opening included. The next life must
//! find all that was durable and, behind it, some first part of the rest in the order of the
//! commits; a process that died loses nothing that was acknowledged. Batches are whole. While it
//! lives, a read must find exactly what was acknowledged.
//!
//! # Invariants
//!
//! * A world is a function of its seed, and its run of world and store: a failure prints the seed
//!   and the smallest world found that still fails.
//! * The judge is judged: stores with planted errors (`toy.rs`) are all found out.
//!
//! # Caveats: what is left out, and what it would take
//!
//! One thread commits. Several would need a model of orders that are possible, and the schedule to
//! be part of the seed; `tests/engine_crash.rs` has threads, on a real disk.

#![allow(clippy::unwrap_used)]

mod damage;
mod drive;
mod logged;
mod model;
mod shrink;
mod toy;
mod world;

pub use damage::{LogKind, damage};
pub use drive::{Failure, Store, Subject, run};
pub use world::World;

use super::disk::Simulated;
use super::{SyncPolicy, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How much to try: `QUORATE_CRASH_WORLDS` worlds (a world has up to eight crashes) from the seed
/// `QUORATE_CRASH_SEED` on, or else what the test itself finds enough.
pub fn seeds(otherwise: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("QUORATE_CRASH_SEED").unwrap_or(1);
    first..first + number("QUORATE_CRASH_WORLDS").unwrap_or(otherwise)
}

/// What a campaign has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub worlds: u64,
    pub crashes: u64,
    pub commits: u64,
    /// Lives that ended because the disk refused something.
    pub failures: u64,
}

/// Runs the world of a seed; panics count as failures.
pub fn attempt(subject: &dyn Subject, world: &World) -> Result<Tally, Failure> {
    catch_unwind(AssertUnwindSafe(|| run(subject, world))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Err(Failure { life: 0, step: 0, what: format!("panic: {}", text.unwrap_or_default()) })
    })
}

/// Runs the worlds of many seeds; `subject` may choose by seed. Panics at the first failure with
/// all that is needed to see it again.
pub fn campaign(
    test: &str,
    seeds: std::ops::Range<u64>,
    world: impl Fn(u64) -> World,
    subject: impl Fn(u64) -> Box<dyn Subject>,
) -> Tally {
    let mut sum = Tally::default();
    for seed in seeds {
        let (world, subject) = (world(seed), subject(seed));
        match attempt(subject.as_ref(), &world) {
            Ok(tally) => {
                sum.worlds += tally.worlds;
                sum.crashes += tally.crashes;
                sum.commits += tally.commits;
                sum.failures += tally.failures;
            }
            Err(failure) => {
                let (small, again) = shrink::shrink(subject.as_ref(), &world, &failure);
                panic!(
                    "{}: {failure}\n\nagain: QUORATE_CRASH_SEED={seed} QUORATE_CRASH_WORLDS=1 \
                     cargo test --lib {test}\n\nsmallest world that fails: {again}\n{small}",
                    subject.name()
                );
            }
        }
    }
    sum
}

/// A process dies at each change of the disk that a first opening makes; the next one opens,
/// commits and loses power. What it found on the disk may have been in a cache only. Returns how
/// many changes there were.
pub fn deaths_while_it_opens(subject: &dyn Subject) -> u64 {
    let is_done = |changes: &u64| {
        let disk = Simulated::new(*changes);
        disk.crash_after(*changes);
        let opened = subject.open(&disk);
        let is_done = opened.is_ok() && disk.has_power();
        let disk = disk.kill();
        drop(opened);
        (0..8).for_each(|cut| commit_and_cut(subject, &disk.clone_state(), (*changes, cut)));
        is_done
    };
    (1..).find(is_done).unwrap()
}

fn commit_and_cut(subject: &dyn Subject, disk: &Simulated, (changes, cut): (u64, u64)) {
    let store = subject.open(disk).unwrap();
    let write = Write::Put { key: "key".into(), value: "value".into() };
    store.commit(vec![write], Some(SyncPolicy::Always)).unwrap();
    let disk = disk.crash(cut);
    drop(store);
    let found = subject.open(&disk).unwrap().get(b"key").unwrap();
    let name = subject.name();
    assert_eq!(found, Some("value".into()), "{name}: change {changes}, power cut {cut}");
}
