//! What happens in a run: drawn from a seed, and written out when it fails.

use crate::engine::disk::simulated::{Fault, Operation};
use crate::engine::{SyncPolicy, Write};
use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::fmt;
use std::io::ErrorKind;

/// So few that they are overwritten all the time.
pub const KEYS: u8 = 48;

/// One change: a key, and a value of so many bytes or its removal. The tag tells values apart.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub key: u8,
    pub value: Option<(u32, u16)>,
}

impl Change {
    pub fn write(&self) -> Write {
        let key = key(self.key);
        match self.value {
            Some((tag, bytes)) => Write::Put { key, value: value(tag, bytes) },
            None => Write::Remove { key },
        }
    }
}

/// Keys of different lengths, in an order that is not that of their numbers.
pub fn key(number: u8) -> Bytes {
    let tail = "-".repeat(usize::from(number % 5) * usize::from(number % 5) * 3);
    format!("{:02x}{tail}", number.wrapping_mul(89)).into()
}

/// Half of it repeats itself and half does not, so that compression has something to do.
fn value(tag: u32, bytes: u16) -> Bytes {
    let mut text = format!("value {tag} ").into_bytes();
    let bytes = usize::from(bytes).max(text.len());
    let mut state = tag;
    while text.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend([b'a', (state >> 24) as u8]);
    }
    text.truncate(bytes);
    text.into()
}

#[derive(Clone, Debug)]
pub enum Step {
    /// None: as durable as the store is set to.
    Commit(Vec<Change>, Option<SyncPolicy>),
    Get(u8),
    Scan,
    Flush,
    Settle,
    Reopen,
}

#[derive(Clone, Copy, Debug)]
pub enum End {
    Power { seed: u64 },
    Kill,
}

/// What goes wrong in a life, until its end.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The disk takes so many bytes more.
    Full(u64),
    Fault(Fault),
}

#[derive(Clone, Debug)]
pub struct Life {
    pub trouble: Option<Trouble>,
    /// The disk stops at this change, counted from before the opening, and the life with it.
    pub stop_after: Option<u64>,
    pub steps: Vec<Step>,
    pub end: End,
}

#[derive(Clone, Debug)]
pub struct World {
    pub seed: u64,
    pub lives: Vec<Life>,
}

/// What the commits of a world have in common.
#[derive(Clone, Copy)]
struct Habits {
    /// Some commits say how durable they are to be.
    per_write: bool,
    /// Nobody asks for flushes: they come when the store finds them due.
    calm: bool,
    /// All records are of one size, so that what is left of an old one fits behind a new one.
    even: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (per_write, calm, even) = (rng.random(), rng.random(), rng.random_ratio(1, 4));
        let habits = Habits { per_write: per_write && !even, calm: calm || even, even };
        let (mut tag, lives) = (0, if even { 8 } else { rng.random_range(1..=8) });
        let lives = (0..lives).map(|_| life(&mut rng, &mut tag, habits)).collect();
        World { seed, lives }
    }

    /// A world in whose lives operations of these kinds, on files of these names, fail, or in which
    /// the disk is full.
    pub fn troubled(seed: u64, kinds: &[(Operation, &str)]) -> Self {
        let mut world = World::new(seed);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
        for life in &mut world.lives {
            life.stop_after = None;
            life.trouble = Some(trouble(&mut rng, kinds));
        }
        world
    }

    pub fn steps(&self) -> usize {
        self.lives.iter().map(|life| life.steps.len()).sum()
    }
}

fn trouble(rng: &mut impl Rng, kinds: &[(Operation, &str)]) -> Trouble {
    if rng.random_ratio(1, 4) {
        let most = 1 << rng.random_range(0..18);
        return Trouble::Full(rng.random_range(0..most));
    }
    let (on, path_part) = kinds[rng.random_range(0..kinds.len())];
    let errors = [ErrorKind::StorageFull, ErrorKind::PermissionDenied, ErrorKind::TimedOut];
    let most = 1 << rng.random_range(0..6);
    Trouble::Fault(Fault {
        on,
        path_part: path_part.to_string(),
        skip: rng.random_range(0..most),
        error: errors[rng.random_range(0..errors.len())],
        lasting: rng.random(),
    })
}

fn life(rng: &mut impl Rng, tag: &mut u32, habits: Habits) -> Life {
    // As many short lives as long ones: the early crashes are those in openings and first files.
    let steps = 1 << rng.random_range(0..8);
    let steps = (0..rng.random_range(0..=steps)).map(|_| step(rng, tag, habits)).collect();
    let amid = rng.random_ratio(2, 3);
    let stop_after = amid.then(|| {
        let most = 1 << rng.random_range(0..10);
        rng.random_range(1..=most)
    });
    let end = if rng.random_ratio(1, 4) { End::Kill } else { End::Power { seed: rng.random() } };
    Life { trouble: None, stop_after, steps, end }
}

fn step(rng: &mut impl Rng, tag: &mut u32, habits: Habits) -> Step {
    match rng.random_range(0..100) {
        0..80 => {
            let changes =
                if !habits.even && rng.random_ratio(1, 4) { rng.random_range(2..12) } else { 1 };
            let sync = (habits.per_write && rng.random_ratio(1, 3)).then(|| {
                let policies = [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never];
                policies[rng.random_range(0..3)]
            });
            Step::Commit((0..changes).map(|_| change(rng, tag, habits)).collect(), sync)
        }
        80..86 => Step::Get(rng.random_range(0..KEYS)),
        86..89 => Step::Scan,
        89..95 if !habits.calm => Step::Flush,
        95..97 if !habits.calm => Step::Settle,
        89..99 => Step::Get(rng.random_range(0..KEYS)),
        _ => Step::Reopen,
    }
}

fn change(rng: &mut impl Rng, tag: &mut u32, habits: Habits) -> Change {
    *tag += 1;
    if habits.even {
        return Change { key: rng.random_range(0..KEYS / 5) * 5, value: Some((*tag, 100)) };
    }
    let bytes = match rng.random_range(0..20) {
        0 => rng.random_range(2_000..9_000),
        1..5 => rng.random_range(200..2_000),
        _ => rng.random_range(0..200),
    };
    let value = rng.random_ratio(4, 5).then_some((*tag, bytes));
    Change { key: rng.random_range(0..KEYS), value }
}

/// One line per life, steps in between.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, life) in self.lives.iter().enumerate() {
            writeln!(f, "life {number}: stop after {:?} changes", life.stop_after)?;
            if let Some(trouble) = &life.trouble {
                writeln!(f, "  {trouble:?}")?;
            }
            for step in &life.steps {
                writeln!(f, "  {step:?}")?;
            }
            writeln!(f, "  end: {:?}", life.end)?;
        }
        Ok(())
    }
}
