//! Names of keys: `user` and a number, hashed as YCSB hashes it.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// Keys are cut from chunks of this many bytes: one allocation for some 2,500 keys. A key that is
/// kept for long keeps its whole chunk in memory.
const CHUNK_BYTES: usize = 64 * 1024;

const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;

/// How the number of a record becomes the number in its key's name (YCSB's `insertorder`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InsertOrder {
    /// `user` + FNV-1a of the number: neighbours in time lie far apart in the key space.
    #[default]
    Hashed,
    /// `user` + the number itself.
    Ordered,
}

/// YCSB's `Utils.fnvhash64`: 64-bit FNV-1a over the eight octets, lowest first, then Java's
/// `Math.abs`.
///
/// `Math.abs` has one negative result, for the smallest integer. It is kept, as YCSB would have it.
pub fn fnv(number: u64) -> i64 {
    let hash = number
        .to_le_bytes()
        .iter()
        .fold(FNV_OFFSET, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(FNV_PRIME));
    (hash as i64).wrapping_abs()
}

/// Writes key names into chunks, so that a key costs no allocation of its own.
#[derive(Clone, Debug)]
pub struct KeyNames {
    prefix: Box<[u8]>,
    order: InsertOrder,
    chunk: BytesMut,
}

impl KeyNames {
    pub fn new(prefix: &str, order: InsertOrder) -> Self {
        KeyNames { prefix: prefix.as_bytes().into(), order, chunk: BytesMut::new() }
    }

    /// The key of record `number`.
    pub fn name(&mut self, number: u64) -> Bytes {
        let longest = self.prefix.len() + DIGITS;
        if self.chunk.capacity() < longest {
            self.chunk.reserve(CHUNK_BYTES.max(longest));
        }
        self.chunk.put_slice(&self.prefix);
        let shown = match self.order {
            InsertOrder::Hashed => fnv(number) as i128,
            InsertOrder::Ordered => i128::from(number),
        };
        put_decimal(&mut self.chunk, shown);
        self.chunk.split().freeze()
    }
}

/// The most characters of a 64-bit number: twenty digits, or a sign and nineteen.
const DIGITS: usize = 20;

fn put_decimal(out: &mut BytesMut, number: i128) {
    let mut text = [0u8; DIGITS];
    let mut at = DIGITS;
    let mut rest = number.unsigned_abs() as u64;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by hand from the definition: eight zero octets only multiply.
    #[test]
    fn the_hash_is_fnv_1a_with_javas_abs() {
        let mut hash = FNV_OFFSET;
        for _ in 0..8 {
            hash = hash.wrapping_mul(FNV_PRIME);
        }
        assert_eq!(fnv(0), (hash as i64).wrapping_abs());
    }

    /// The first keys that YCSB loads, as its users know them from their tables.
    #[test]
    fn names_equal_ycsbs() {
        let mut names = KeyNames::new("user", InsertOrder::Hashed);
        assert_eq!(names.name(0), "user6284781860667377211");
        assert_eq!(names.name(1), "user8517097267634966620");
        assert_eq!(names.name(2), "user1820151046732198393");
    }

    #[test]
    fn ordered_names_carry_the_number_itself() {
        let mut names = KeyNames::new("k", InsertOrder::Ordered);
        assert_eq!(names.name(0), "k0");
        assert_eq!(names.name(u64::MAX), "k18446744073709551615");
    }

    #[test]
    fn the_one_negative_number_is_written_as_java_writes_it() {
        let mut out = BytesMut::new();
        put_decimal(&mut out, i128::from(i64::MIN));
        assert_eq!(&out[..], b"-9223372036854775808");
    }

    #[test]
    fn names_stay_whole_across_chunks() {
        let mut names = KeyNames::new("user", InsertOrder::Ordered);
        let keys: Vec<Bytes> = (0..20_000).map(|number| names.name(number)).collect();
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(*key, format!("user{number}"));
        }
    }
}
