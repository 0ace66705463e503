//! A Bloom filter per table: most reads of absent keys end here, in memory.
//!
//! Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", 1970. The probes come
//! from one 64-bit hash by double hashing: Kirsch and Mitzenmacher, "Less Hashing, Same
//! Performance", 2006.

use xxhash_rust::xxh3::xxh3_64;

/// The hash of a key that every filter shares, so that a read hashes once.
pub fn hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// No bits: answers "maybe" to everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bloom {
    probes: u8,
    bits: Vec<u8>,
}

impl Bloom {
    /// A filter over the hashes of all keys. With 10 bits per key about 1 % of absent keys pass.
    pub fn new(hashes: &[u64], bits_per_key: u32) -> Self {
        if bits_per_key == 0 {
            return Bloom { probes: 0, bits: Vec::new() };
        }
        let bytes = (hashes.len() * bits_per_key as usize).div_ceil(8).max(8);
        // The number of probes that minimises false positives: bits per key times ln 2.
        let probes = (f64::from(bits_per_key) * std::f64::consts::LN_2).round().clamp(1.0, 22.0);
        let mut bloom = Bloom { probes: probes as u8, bits: vec![0; bytes] };
        for hash in hashes {
            for bit in probe(*hash, bloom.probes, bytes as u64 * 8) {
                bloom.bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        bloom
    }

    /// False: the key is in none of the hashes. True: it may be.
    pub fn may_contain(&self, hash: u64) -> bool {
        let total = self.bits.len() as u64 * 8;
        probe(hash, self.probes, total).all(|bit| self.bits[bit / 8] & (1 << (bit % 8)) != 0)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bits.len() + 1);
        bytes.push(self.probes);
        bytes.extend_from_slice(&self.bits);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (probes, bits) = bytes.split_first()?;
        let bits = bits.to_vec();
        (bits.is_empty() == (*probes == 0)).then_some(Bloom { probes: *probes, bits })
    }
}

/// The bits of a hash: start and odd step from its halves, scaled to the filter by multiplication.
fn probe(hash: u64, probes: u8, total: u64) -> impl Iterator<Item = usize> {
    let step = hash.rotate_left(32) | 1;
    (0..u64::from(probes)).map(move |index| {
        let position = hash.wrapping_add(step.wrapping_mul(index));
        ((u128::from(position) * u128::from(total)) >> 64) as usize
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hashes(range: std::ops::Range<u32>) -> Vec<u64> {
        range.map(|key| hash(&key.to_le_bytes())).collect()
    }

    #[test]
    fn every_key_is_found() {
        for count in [0, 1, 7, 10_000] {
            let hashes = hashes(0..count);
            let bloom = Bloom::new(&hashes, 10);
            assert!(hashes.iter().all(|hash| bloom.may_contain(*hash)));
            assert_eq!(Bloom::decode(&bloom.encode()).unwrap(), bloom);
        }
    }

    #[test]
    fn false_positives_are_as_rare_as_the_formula_says() {
        // (1 - e^(-k n / m))^k: 0.8 % for 10 bits and 7 probes, 14.7 % for 4 bits and 3 probes.
        for (bits_per_key, expected) in [(10, 0.0082), (4, 0.147)] {
            let bloom = Bloom::new(&hashes(0..10_000), bits_per_key);
            let absent = hashes(1_000_000..1_100_000);
            let passed = absent.iter().filter(|hash| bloom.may_contain(**hash)).count();
            let share = passed as f64 / absent.len() as f64;
            assert!((expected * 0.7..expected * 1.3).contains(&share), "{bits_per_key}: {share}");
        }
    }

    #[test]
    fn without_bits_it_never_says_no() {
        let bloom = Bloom::new(&hashes(0..10), 0);
        assert!(bloom.may_contain(12345));
        assert_eq!(Bloom::decode(&bloom.encode()).unwrap(), bloom);
        assert_eq!(Bloom::decode(&[]), None);
        assert_eq!(Bloom::decode(&[7]), None);
    }
}
