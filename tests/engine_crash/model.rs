//! What the writers write, derived from a seed, and what must be found of it.
//!
//! Each writer owns its keys and commits its batches one after the other, so of each writer all
//! batches up to some number are there, or the engine is wrong: `acknowledged` of them, or one more
//! that was on its way.

use bytes::Bytes;
use quorate::engine::{SyncPolicy, Write};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const WRITERS: usize = 4;
/// A batch of so many changes is a large one.
const LARGE: usize = 50;
/// 2096: no run of this test sees such a value expire.
const FAR_S: u64 = 4_000_000_000;
/// Until a value that expires meanwhile does.
const SOON_S: u64 = 20;

pub type Entries = BTreeMap<Bytes, Bytes>;

/// Everything that a batch follows from, beside its writer and number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct World {
    pub seed: u64,
    /// Keys of each writer.
    pub slots: u64,
    /// Of the folder, in seconds since 1970.
    pub born_s: u64,
}

impl World {
    /// The `n`-th batch of a writer, from 1 on, and the durability that it asks for.
    pub fn batch(&self, writer: usize, n: u64) -> (Vec<Write>, Option<SyncPolicy>) {
        let mixed = (n * WRITERS as u64 + writer as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ mixed);
        let changes = match random.random_range(0..1_000) {
            0..750 => 1,
            750..996 => random.random_range(2..12),
            _ => random.random_range(LARGE..200),
        };
        let mut writes = Vec::with_capacity(changes);
        while writes.len() < changes {
            self.draw(writer, &format!("{writer}/{n}/{}", writes.len()), &mut writes, &mut random);
        }
        let policies =
            [None, Some(SyncPolicy::Always), Some(SyncPolicy::Interval), Some(SyncPolicy::Never)];
        (writes, *policies.choose(&mut random).unwrap_or(&None))
    }

    pub fn is_large(&self, writer: usize, n: u64) -> bool {
        self.batch(writer, n).0.len() >= LARGE
    }

    fn draw(
        &self,
        writer: usize,
        name: &str,
        writes: &mut Vec<Write>,
        random: &mut Xoshiro256PlusPlus,
    ) {
        // Half of the changes hit a tenth of the keys.
        let reach = if random.random_bool(0.5) { self.slots / 10 } else { self.slots };
        let slot = random.random_range(0..reach);
        let key = key(writer, slot);
        let kind = random.random_range(0..100);
        if kind >= 98 {
            // Neighbours go together, so that whole blocks are tombstones.
            let end = (slot + 30).min(self.slots);
            writes.extend((slot..end).map(|slot| Write::Remove { key: self::key(writer, slot) }));
            return;
        }
        writes.push(match kind {
            0..70 => Write::Put { key, value: value(name, random) },
            70..85 => Write::Remove { key },
            _ => {
                let soon = self.born_s + random.random_range(0..SOON_S);
                let expires_s = if kind < 92 { FAR_S } else { soon };
                Write::PutUntil { key, value: value(name, random), expires_s }
            }
        });
    }
}

/// Keys of all writers lie side by side; some are long.
pub fn key(writer: usize, slot: u64) -> Bytes {
    let long = if slot.is_multiple_of(7) { "/a long name that shares its prefix" } else { "" };
    format!("{slot:05}{long}/{writer}").into()
}

/// 10 bytes to 20 KiB that say whose they are, most of them short, partly compressible.
fn value(name: &str, random: &mut Xoshiro256PlusPlus) -> Bytes {
    let bytes = match random.random_range(0..100) {
        0..60 => random.random_range(10..200),
        60..90 => random.random_range(200..2_000),
        _ => random.random_range(2_000..=20_480),
    };
    let mut pattern = vec![0; bytes.min(700)];
    random.fill(&mut pattern[..]);
    let value = format!("{name} ").into_bytes().into_iter().chain(pattern.into_iter().cycle());
    value.take(bytes).collect()
}

#[derive(Clone, Debug, PartialEq)]
enum Expected {
    Value(Bytes),
    /// Its time comes during the test: the engine may have dropped it.
    Perhaps(Bytes),
}

/// What a writer's keys hold after so many of its batches.
#[derive(Clone, Default)]
struct Held {
    batches: u64,
    values: BTreeMap<Bytes, Expected>,
}

impl Held {
    fn apply(&mut self, world: &World, writer: usize) {
        self.batches += 1;
        for write in world.batch(writer, self.batches).0 {
            match write {
                Write::Put { key, value } | Write::PutUntil { key, value, expires_s: FAR_S } => {
                    self.values.insert(key, Expected::Value(value))
                }
                Write::PutUntil { key, value, .. } => {
                    self.values.insert(key, Expected::Perhaps(value))
                }
                Write::Remove { key } => self.values.remove(&key),
            };
        }
    }

    /// The first key that does not hold what it should.
    fn difference(&self, world: &World, writer: usize, found: &Entries) -> Option<String> {
        (0..world.slots).map(|slot| key(writer, slot)).find_map(|key| {
            let found = found.get(&key);
            let is_right = match (self.values.get(&key), found) {
                (None | Some(Expected::Perhaps(_)), None) => true,
                (Some(Expected::Value(value) | Expected::Perhaps(value)), Some(found)) => {
                    value == found
                }
                _ => false,
            };
            let expected = match self.values.get(&key) {
                None => "nothing".to_string(),
                Some(Expected::Value(value)) => shown(Some(value)),
                Some(Expected::Perhaps(value)) => format!("nothing or {}", shown(Some(value))),
            };
            let key = String::from_utf8_lossy(&key).into_owned();
            (!is_right).then(|| format!("key `{key}`: expected {expected}, found {}", shown(found)))
        })
    }
}

/// What must be found, over all crashes of one folder.
pub struct Model {
    pub world: World,
    held: [Held; WRITERS],
}

impl Model {
    pub fn new(world: World) -> Self {
        Model { world, held: Default::default() }
    }

    /// Batches of each writer that have to be there.
    pub fn batches(&self) -> [u64; WRITERS] {
        std::array::from_fn(|writer| self.held[writer].batches)
    }

    /// Takes in what was acknowledged meanwhile.
    pub fn acknowledge(&mut self, acknowledged: [u64; WRITERS]) {
        for (writer, held) in self.held.iter_mut().enumerate() {
            while held.batches < acknowledged[writer] {
                held.apply(&self.world, writer);
            }
        }
    }

    /// Compares all that was found with what must be there. A batch that is found without having
    /// been acknowledged counts from now on, and what has expired stays away: nobody may take it
    /// back.
    pub fn judge(&mut self, found: &Entries) -> Result<(), String> {
        for (writer, held) in self.held.iter_mut().enumerate() {
            let Some(without) = held.difference(&self.world, writer, found) else { continue };
            let mut next = held.clone();
            next.apply(&self.world, writer);
            if let Some(with) = next.difference(&self.world, writer, found) {
                let batches = held.batches;
                return Err(format!(
                    "writer {writer}: {without}; that is after its {batches} acknowledged \
                     batches, and with the one after them: {with}"
                ));
            }
            *held = next;
        }
        let slots = 0..self.world.slots;
        let known = |key: &&Bytes| {
            let slot = key.get(..5).and_then(|digits| std::str::from_utf8(digits).ok());
            let slot = slot.and_then(|digits| digits.parse().ok());
            slot.is_some_and(|slot| {
                slots.contains(&slot) && (0..WRITERS).any(|writer| **key == self::key(writer, slot))
            })
        };
        if let Some(key) = found.keys().find(|key| !known(key)) {
            return Err(format!("key `{}`: nobody has written it", key.escape_ascii()));
        }
        for held in &mut self.held {
            held.values.retain(|key, value| {
                matches!(value, Expected::Value(_)) || found.contains_key(key)
            });
        }
        Ok(())
    }

    /// What is to be found if the engine is right; values whose time comes are there.
    pub fn entries(&self) -> Entries {
        let values = self.held.iter().flat_map(|held| &held.values);
        let value = |expected: &Expected| match expected {
            Expected::Value(value) | Expected::Perhaps(value) => value.clone(),
        };
        values.map(|(key, expected)| (key.clone(), value(expected))).collect()
    }
}

/// A value in a message: who wrote it, and its length.
pub fn shown(value: Option<&Bytes>) -> String {
    let Some(value) = value else { return "nothing".to_string() };
    let begin = value[..value.len().min(20)].escape_ascii();
    format!("{} bytes \"{begin}…\"", value.len())
}
