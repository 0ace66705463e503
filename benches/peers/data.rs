//! Keys and values, the same for every store, and the proof that a value is the one of its key.

use crate::Outcome;
use rand::RngExt;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

pub const KEY_BYTES: usize = 16;
pub type Key = [u8; KEY_BYTES];

/// Number and sequence come first in a value.
const STAMP_BYTES: usize = 16;
/// Small enough to stay in a core's own cache: making a value is to cost next to nothing.
const POOL_BYTES: usize = 64 << 10;
/// Random bytes, then the same once more: about half of a value can be compressed away.
const REPEATED_BYTES: usize = 32;

/// Where the key of record `number` stands in the order of keys: a bijection (the finaliser of
/// Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014), so no two records
/// share a key, and numbers in ascending order are keys in random order.
pub fn place(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The place in 16 hexadecimal digits.
pub fn key(number: u64) -> Key {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let place = place(number);
    std::array::from_fn(|digit| DIGITS[(place >> (60 - 4 * digit) & 15) as usize])
}

/// A generator for one thread of one row; equal for all stores.
pub fn generator(seed: u64, round: u32, purpose: u64, thread: usize) -> Xoshiro256PlusPlus {
    let stream = place(purpose << 32 | u64::from(round) << 16 | thread as u64);
    Xoshiro256PlusPlus::seed_from_u64(place(seed) ^ stream)
}

/// Makes values and checks them.
pub struct Values {
    bytes: usize,
    pool: Vec<u8>,
}

impl Values {
    pub fn new(seed: u64, bytes: usize) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut pool = Vec::with_capacity(POOL_BYTES + bytes);
        while pool.len() < POOL_BYTES + bytes {
            let fresh: [u8; REPEATED_BYTES] = random.random();
            pool.extend_from_slice(&fresh);
            pool.extend_from_slice(&fresh);
        }
        Values { bytes, pool }
    }

    fn body(&self, number: u64, sequence: u64) -> &[u8] {
        let at = place(number ^ sequence.rotate_left(32)) as usize % POOL_BYTES;
        &self.pool[at..at + self.bytes - STAMP_BYTES]
    }

    /// The value that write `sequence` gives to record `number`.
    pub fn make(&self, number: u64, sequence: u64, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&number.to_le_bytes());
        into.extend_from_slice(&sequence.to_le_bytes());
        into.extend_from_slice(self.body(number, sequence));
    }

    /// Checks every byte of a value; returns the record and the write that it comes from.
    pub fn read(&self, value: &[u8]) -> Outcome<(u64, u64)> {
        let (stamp, body) = value.split_at_checked(STAMP_BYTES).ok_or("a value without a stamp")?;
        let number = u64::from_le_bytes(stamp[..8].try_into()?);
        let sequence = u64::from_le_bytes(stamp[8..].try_into()?);
        if body != self.body(number, sequence) {
            return Err(format!("damaged value of record {number}, write {sequence}").into());
        }
        Ok((number, sequence))
    }

    /// As [`Values::read`], for a value that must be one of `number`.
    pub fn check(&self, number: u64, value: &[u8]) -> Outcome<u64> {
        match self.read(value)? {
            (found, sequence) if found == number => Ok(sequence),
            (found, _) => Err(format!("the value of record {found} under that of {number}").into()),
        }
    }
}
