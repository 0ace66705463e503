//! A hasher for maps by key: quick for short keys, and seeded, because clients choose the keys.
//!
//! Who knows the seed can name thousands of keys with one hash and make every look-up walk through
//! all of them. So a process draws its own seed; the protocol, whose runs must be repeatable, takes
//! its seed from its settings. Nothing depends on the order in which such a map is walked.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Builds [`KeyHasher`]s; takes the place of the default of `HashMap`.
#[derive(Clone, Copy, Debug)]
pub struct KeyHash(u64);

impl KeyHash {
    pub fn seeded(seed: u64) -> Self {
        KeyHash(seed)
    }

    /// With the seed that this process has drawn for itself.
    pub fn of_process() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        KeyHash(*SEED.get_or_init(|| RandomState::new().hash_one("seed of this process")))
    }
}

impl Default for KeyHash {
    fn default() -> Self {
        KeyHash::of_process()
    }
}

impl BuildHasher for KeyHash {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

/// xxh3 of the bytes, in one call per key.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that share one hash under the seed 0, whatever their middle: they cancel the first
    /// eight bytes of the algorithm's secret.
    fn colliding(number: u64, seed: u64) -> u64 {
        const SECRET: u64 = 0xbe4b_a423_396c_feb8;
        let length = 32u64;
        let mut key = SECRET.wrapping_add(length).to_le_bytes().to_vec();
        key.extend(number.to_le_bytes());
        key.extend([7; 16]);
        KeyHash::seeded(seed).hash_one(&key[..])
    }

    #[test]
    fn keys_that_collide_under_one_seed_do_not_under_another() {
        assert_eq!(colliding(1, 0), colliding(2, 0), "else this test shows nothing");
        assert_ne!(colliding(1, 77), colliding(2, 77));
    }

    #[test]
    fn the_seed_of_the_process_stays() {
        let hash = || KeyHash::of_process().hash_one("key");
        assert_eq!(hash(), hash());
    }
}
