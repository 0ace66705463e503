//! Generators from a seed: one independent generator for each purpose and stream.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What a generator is for. Two purposes never share a sequence, so that drawing more of one thing
/// does not shift another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Operations = 1,
    Values = 2,
    Scatter = 3,
    Arrivals = 4,
    Sample = 5,
}

/// A 64-bit seed for one purpose of one stream.
pub(crate) fn derive(seed: u64, purpose: Purpose, stream: u32) -> u64 {
    let mut input = [0u8; 8];
    input[..4].copy_from_slice(&(purpose as u32).to_le_bytes());
    input[4..].copy_from_slice(&stream.to_le_bytes());
    xxh3_64_with_seed(&input, seed)
}

/// The generator behind every draw of this crate: xoshiro256++ (Blackman and Vigna 2021), named so
/// that a new release of `rand` cannot change the streams.
pub(crate) fn generator(seed: u64, purpose: Purpose, stream: u32) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(derive(seed, purpose, stream))
}
