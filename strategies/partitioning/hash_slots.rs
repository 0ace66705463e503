//! Hash slots: a fixed number of slots, dealt to the nodes evenly.
//!
//! ```text
//!   key ─CRC16─► slot 0 … 16383 ─► owners [first, others …]
//!   token = slot in the upper 14 bits, a hash of the key below: a slot is a range of tokens
//! ```
//!
//! A key's slot is Redis Cluster's, hash tags included: of `{user1}:name` only `user1` is hashed,
//! so that keys which belong together lie together.
//!
//! # Who owns a slot
//!
//! The members join one after the other, in the order of their ids, and nothing but that order
//! decides.
//!
//! * *First owner*: a joiner takes its part of the slots, one by one, each from the member that has
//!   most in excess of its own part. With equal weights every node ends with ⌊S/n⌋ or ⌈S/n⌉ of S
//!   slots.
//! * *Further owners*: highest random weight. Each member has a random score for each slot; the
//!   best ones follow the first owner, members of other racks before members of its own. A joiner
//!   enters the list where its score puts it, and the last of the list drops out.
//!
//! So a slot's new owners are always among its old owners and the joiner: only the joiner gains.
//!
//! # Caveats
//!
//! Joining in the order of ids makes the result a function of who the members are, not of how they
//! came. The price: a node that joins with a *lower* id than others, or one that leaves, changes
//! the history of all that follow it, and slots move between nodes that stayed. New nodes should
//! get rising ids. Redis keeps an explicit table instead, which an operator or a balancer edits
//! slot by slot; that table would have to travel in the topology. With unequal weights the first
//! owners' counts can be off by one more than rounding, because a join never takes from one member
//! to give to another. The first owner is chosen for balance alone; racks bind the further ones.

use super::racks::Racks;
use super::{Partitioner, Placement};
use crate::registry::within;
use crate::{Entry, Invalid, Member, NodeId, Parameter, Settings, Token, Topology, defaults, read};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) const ENTRY: Entry<dyn Partitioner> = Entry {
    name: "hash_slots",
    about: "a fixed number of slots dealt evenly; exact balance, hash tags, moves by whole slots",
    paper: "Redis Cluster specification; Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998",
    parameters: &[
        Parameter { name: "slots", about: "number of slots: a power of two, 2 to 65536" },
        Parameter {
            name: "hash_tags",
            about: "whether `{tag}` in a key stands for the whole key: true or false",
        },
    ],
    defaults: defaults::<HashSlots>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Partitioner>, Invalid> {
    let slots = read::<HashSlots>(settings)?;
    within("slots", slots.slots, 2, 65_536)?;
    if !slots.slots.is_power_of_two() {
        let allowed = "a power of two, 2 to 65536".to_string();
        return Err(Invalid::OutOfRange {
            setting: "slots",
            found: slots.slots.to_string(),
            allowed,
        });
    }
    Ok(Box::new(slots))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashSlots {
    slots: u32,
    hash_tags: bool,
}

impl Default for HashSlots {
    fn default() -> Self {
        HashSlots { slots: 16_384, hash_tags: true }
    }
}

impl Partitioner for HashSlots {
    fn token(&self, key: &[u8]) -> Token {
        let slot = u64::from(self.slot(key)) << self.shift();
        Token(slot | xxh3_64(key) >> (u64::BITS - self.shift()))
    }

    fn place(&self, topology: &Topology, replicas: usize) -> Placement {
        let members = &topology.members;
        let width = replicas.min(members.len());
        if width == 0 {
            return Placement::unowned();
        }
        let firsts = self.deal(members);
        let racks = Racks::new(members);
        let mut held = Vec::new();
        let lists = (0..self.slots)
            .map(|slot| {
                let list = owners(&firsts[slot as usize], slot, members, &racks, width, &mut held);
                list.into_iter().map(|member| members[member].id).collect()
            })
            .collect::<Vec<Vec<NodeId>>>();
        let end = |slot: usize| ((slot as u64 + 1) << self.shift()).wrapping_sub(1);
        Placement::new(width, lists.iter().enumerate().map(|(slot, list)| (end(slot), &list[..])))
    }
}

impl HashSlots {
    /// Bits of a token below the slot's.
    fn shift(&self) -> u32 {
        u64::BITS - self.slots.trailing_zeros()
    }

    fn slot(&self, key: &[u8]) -> u32 {
        let hashed = if self.hash_tags { tag(key) } else { key };
        u32::from(crc16(hashed)) & (self.slots - 1)
    }

    /// For each slot the members that were its first owner, by index, from the first join to the
    /// last.
    fn deal(&self, members: &[Member]) -> Vec<Vec<u32>> {
        let slots = i128::from(self.slots);
        let mut history = vec![vec![0]; self.slots as usize];
        let mut held = vec![(0..self.slots).collect::<Vec<_>>()];
        let mut weights = weight(&members[0]);
        for (joiner, member) in members.iter().enumerate().skip(1) {
            weights += weight(member);
            let part = slots * weight(member) / weights;
            let mut taken = Vec::with_capacity(part as usize);
            for _ in 0..part {
                let excess = |giver: usize| {
                    held[giver].len() as i128 * weights - slots * weight(&members[giver])
                };
                let giver = (0..joiner).max_by_key(|giver| (excess(*giver), *giver));
                let slot = giver.and_then(|giver| held[giver].pop());
                let slot = slot.expect("members above their part hold slots");
                history[slot as usize].push(joiner as u32);
                taken.push(slot);
            }
            taken.sort_unstable();
            held.push(taken);
        }
        history
    }
}

fn weight(member: &Member) -> i128 {
    i128::from(member.weight.max(1))
}

/// The owners of one slot, by index, after all joins. `firsts` are its first owners so far, in
/// order.
///
/// `held` is room to work in: the owners at each step, the best score first.
fn owners(
    firsts: &[u32],
    slot: u32,
    members: &[Member],
    racks: &Racks,
    width: usize,
    held: &mut Vec<(f64, usize)>,
) -> Vec<usize> {
    held.clear();
    let mut list = Vec::new();
    let mut coming = firsts.iter().map(|first| *first as usize).peekable();
    let mut first = 0;
    for (joiner, member) in members.iter().enumerate() {
        let score = score(member, slot);
        if coming.next_if_eq(&joiner).is_some() {
            first = joiner;
        } else if held.len() == width
            && held.last().is_some_and(|(last, _)| score >= *last)
            && !racks.adds_rack(joiner, held.iter().map(|(_, owner)| *owner))
        {
            // Worse than all owners and of no use for their spread: it would drop out at once.
            continue;
        }
        let place = held.partition_point(|(other, _)| *other <= score);
        held.insert(place, (score, joiner));
        let others = held.iter().map(|(_, owner)| *owner).filter(|owner| *owner != first);
        list = racks.spread(std::iter::once(first).chain(others), width);
        held.retain(|(_, owner)| list.contains(owner));
    }
    list
}

/// A member's random score for a slot: exponential with the weight as its rate, the lowest wins.
/// Then a member is the best of a slot with a chance in proportion to its weight.
fn score(member: &Member, slot: u32) -> f64 {
    let hash = xxh3_64_with_seed(&member.id.0.to_le_bytes(), u64::from(slot));
    // The upper 53 bits and a half: strictly between 0 and 1.
    let uniform = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -logarithm(uniform) / f64::from(member.weight.max(1))
}

/// The natural logarithm from operations that IEEE 754 defines to the bit. The library's may differ
/// in the last place between platforms, and two nodes must never disagree about an owner.
fn logarithm(number: f64) -> f64 {
    let bits = number.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    // ln m = 2 artanh((m - 1)/(m + 1)); the argument is at most 1/3, so ten terms give eleven
    // digits.
    let x = (mantissa - 1.0) / (mantissa + 1.0);
    let series = (0..10).rev().fold(0.0, |sum, k| sum * x * x + 1.0 / f64::from(2 * k + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * x * series
}

/// What is hashed of a key: what stands between the first `{` and the first `}` after it, unless
/// that is nothing or one of them is missing (Redis Cluster specification, "Hash tags").
fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let inner = &key[open + 1..];
    match inner.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(close) => &inner[..close],
    }
}

/// CRC-16/XMODEM: polynomial 0x1021, start 0, nothing reflected.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, byte: &u8| crc << 8 ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)];
    bytes.iter().fold(0, step)
}

const CRC16: [u16; 256] = crc16_table();

const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(key: &str) -> u32 {
        HashSlots::default().slot(key.as_bytes())
    }

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("bar"), 5_061);
        assert_eq!(slot("hello"), 866);
        assert_eq!(slot(""), 0);
    }

    /// The examples of the specification.
    #[test]
    fn tags_are_those_of_redis_cluster() {
        assert_eq!(slot("{user1000}.following"), slot("user1000"));
        assert_eq!(tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(tag(b"foo{bar}{zap}"), b"bar");
        assert_eq!(tag(b"foo{bar"), b"foo{bar");
        let plain = HashSlots { hash_tags: false, ..HashSlots::default() };
        assert_ne!(plain.slot(b"{user1000}.following"), plain.slot(b"user1000"));
    }

    #[test]
    fn a_slot_is_the_upper_bits_of_its_tokens() {
        for slots in [2, 1_024, 16_384, 65_536] {
            let partitioner = HashSlots { slots, ..HashSlots::default() };
            for key in ["foo", "bar", "{foo}1", "{foo}2"] {
                let token = partitioner.token(key.as_bytes()).0;
                let slot = token >> (u64::BITS - slots.trailing_zeros());
                assert_eq!(slot, u64::from(partitioner.slot(key.as_bytes())));
            }
        }
    }

    #[test]
    fn first_owners_are_dealt_to_the_slot() {
        let slots = HashSlots::default();
        for count in [1, 2, 3, 5, 7, 10, 30, 100] {
            let members = (1..=count).map(|id| Member::new(NodeId(id))).collect::<Vec<_>>();
            let mut held = vec![0; count as usize];
            slots
                .deal(&members)
                .iter()
                .for_each(|firsts| held[firsts[firsts.len() - 1] as usize] += 1);
            let fair = 16_384 / count;
            assert!(held.iter().all(|slots| (fair..=fair + 1).contains(slots)), "{held:?}");
        }
    }

    #[test]
    fn the_logarithm_is_one() {
        for number in [1e-16, 0.1, 0.25, 0.5, 0.7, 0.999_999] {
            assert!((logarithm(number) - f64::ln(number)).abs() < 1e-10, "{number}");
        }
    }
}
