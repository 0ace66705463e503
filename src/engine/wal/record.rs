//! Changes as bytes of the log.
//!
//! ```text
//!   header   header check u32 │ payload check u32 │ payload bytes u32 │ changes u32
//!            │ first sequence u64 │ how far the durable sequence lies below it u32
//!   payload  for each change:  tag u8: kind, +4 with an expiry │ key bytes u16
//!            │ value bytes u32, unless removed │ expiry in seconds u64, if any │ key │ value
//! ```
//!
//! Both checks are the low half of XXH3, seeded with the log's id, the segment's number and the
//! record's place in it. So neither a block that the disk misplaced nor a record of the segment's
//! earlier life passes for a record of this one. Unlike a CRC it takes a few nanoseconds for the
//! short inputs that records are.

use crate::engine::entry::{Item, Kind};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub const HEADER_BYTES: usize = 28;
/// A log whose disk is so far behind does not say where it is durable.
const UNTOLD: u32 = u32::MAX;
/// The longest key: its length is a `u16` in every format.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;
/// The longest batch, encoded: keys, values, and 3 to 15 bytes for each change.
pub const MAX_BATCH_BYTES: usize = 32 << 20;
/// A record takes further batches of its group up to this size.
const SHARED_BYTES: usize = 256 << 10;
const MAX_PAYLOAD_BYTES: usize = MAX_BATCH_BYTES + SHARED_BYTES;
/// The fewest bytes that a change takes: tag and length of an empty key.
const MIN_CHANGE_BYTES: usize = 3;
/// What the buffer of a group may keep for the next one.
const KEPT_BYTES: usize = 4 << 20;
/// Places that are searched for a header together.
const SEARCHED: usize = 128;
const KIND_BITS: u8 = 3;
const EXPIRES: u8 = 4;

/// One change of a batch, borrowed from where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    pub key: &'a [u8],
    pub item: Item<'a>,
}

impl<'a> Change<'a> {
    pub fn put(key: &'a [u8], value: &'a [u8]) -> Self {
        Change::put_until(key, value, 0)
    }

    /// A value that may be dropped from a second since 1970 on; 0: it stays.
    pub fn put_until(key: &'a [u8], value: &'a [u8], expires_s: u64) -> Self {
        Change { key, item: Item { kind: Kind::Value, expires_s, value } }
    }

    pub fn remove(key: &'a [u8]) -> Self {
        Change { key, item: Item { kind: Kind::Tombstone, expires_s: 0, value: &[] } }
    }

    /// What the change takes in a record, without the header that it shares.
    pub fn encoded_bytes(&self) -> usize {
        let value = if self.item.kind == Kind::Tombstone { 0 } else { 4 + self.item.value.len() };
        let expiry = if self.item.expires_s == 0 { 0 } else { 8 };
        MIN_CHANGE_BYTES + value + expiry + self.key.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Item { kind, expires_s, value } = self.item;
        let expiry = if expires_s == 0 { 0 } else { EXPIRES };
        let [key_low, key_high] = (self.key.len() as u16).to_le_bytes();
        out.extend_from_slice(&[kind.code() | expiry, key_low, key_high]);
        if kind != Kind::Tombstone {
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        }
        if expires_s != 0 {
            out.extend_from_slice(&expires_s.to_le_bytes());
        }
        out.extend_from_slice(self.key);
        if kind != Kind::Tombstone {
            out.extend_from_slice(value);
        }
    }
}

/// Refuses a batch that no record may hold; else tells its size. Who commits in groups asks before
/// it joins one, because a group is refused as a whole.
///
/// # Errors
/// What is too long, its length and the limit: [`MAX_KEY_BYTES`], [`MAX_BATCH_BYTES`].
pub fn check_batch<'a>(changes: impl IntoIterator<Item = Change<'a>>) -> Result<usize, String> {
    changes.into_iter().try_fold(0, |bytes, change| add(bytes, &change))
}

/// The size of a batch of so many bytes with one change more.
fn add(bytes: usize, change: &Change<'_>) -> Result<usize, String> {
    if change.key.len() > MAX_KEY_BYTES {
        return Err(format!("a key of {} bytes; at most {MAX_KEY_BYTES}", change.key.len()));
    }
    let bytes = bytes + change.encoded_bytes();
    if bytes > MAX_BATCH_BYTES {
        return Err(format!("a batch of {bytes} bytes or more; at most {MAX_BATCH_BYTES}"));
    }
    Ok(bytes)
}

/// Makes the checks of one segment its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(u64);

impl Seal {
    pub fn new(log_id: u64, segment: u64) -> Self {
        Seal(xxh3_64_with_seed(&segment.to_le_bytes(), log_id))
    }

    fn check(self, offset: u64, bytes: &[u8]) -> u32 {
        xxh3_64_with_seed(bytes, self.0 ^ offset) as u32
    }
}

/// Batches of one write call, encoded one behind the other. Short batches share a record, since
/// they are written together anyhow; a long one begins its own.
#[derive(Debug, Default)]
pub struct Group {
    buffer: Vec<u8>,
    /// Where the header of the last record is.
    open_at: usize,
    changes: u32,
}

impl Group {
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        self.open_at = 0;
        self.changes = 0;
    }

    pub fn push<'a>(&mut self, batch: impl IntoIterator<Item = Change<'a>>) -> Result<(), String> {
        let mut bytes = 0;
        for change in batch {
            if bytes == 0 {
                self.make_room();
            }
            bytes = add(bytes, &change)?;
            change.encode(&mut self.buffer);
            self.changes += 1;
        }
        Ok(())
    }

    /// Begins a record where there is none yet, or where the last one is long enough.
    fn make_room(&mut self) {
        if self.changes > 0 {
            if self.buffer.len() - self.open_at - HEADER_BYTES < SHARED_BYTES {
                return;
            }
            self.end_record();
        }
        self.open_at = self.buffer.len();
        self.buffer.resize(self.open_at + HEADER_BYTES, 0);
    }

    fn end_record(&mut self) {
        let payload_bytes = (self.buffer.len() - self.open_at - HEADER_BYTES) as u32;
        let header = &mut self.buffer[self.open_at..self.open_at + HEADER_BYTES];
        header[8..12].copy_from_slice(&payload_bytes.to_le_bytes());
        header[12..16].copy_from_slice(&self.changes.to_le_bytes());
        self.changes = 0;
    }

    /// What the group takes in the log.
    pub fn bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Gives the changes their sequence numbers, from `next_sequence` on, and the records their
    /// place, from `offset` on. Returns the bytes to write and the sequence number behind them.
    pub fn seal(
        &mut self,
        seal: Seal,
        offset: u64,
        mut next_sequence: u64,
        durable_sequence: u64,
    ) -> (&[u8], u64) {
        debug_assert!(durable_sequence < next_sequence);
        if self.changes > 0 {
            self.end_record();
        }
        let mut at = 0;
        while at < self.buffer.len() {
            let (header, rest) = self.buffer[at..].split_at_mut(HEADER_BYTES);
            let payload_bytes = u32_at(header, 8) as usize;
            let payload_check = seal.check(offset + at as u64, &rest[..payload_bytes]);
            header[4..8].copy_from_slice(&payload_check.to_le_bytes());
            header[16..24].copy_from_slice(&next_sequence.to_le_bytes());
            let below = next_sequence - durable_sequence;
            let below = u32::try_from(below).unwrap_or(UNTOLD);
            header[24..28].copy_from_slice(&below.to_le_bytes());
            let header_check = seal.check(offset + at as u64, &header[4..]);
            header[..4].copy_from_slice(&header_check.to_le_bytes());
            next_sequence += u64::from(u32_at(header, 12));
            at += HEADER_BYTES + payload_bytes;
        }
        (&self.buffer, next_sequence)
    }

    /// The sealed bytes with so many zeros behind them.
    pub fn padded(&mut self, zeros: usize) -> &[u8] {
        self.buffer.resize(self.buffer.len() + zeros, 0);
        &self.buffer
    }
}

/// A header whose check holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    payload_check: u32,
    pub payload_bytes: usize,
    pub changes: u32,
    pub first_sequence: u64,
    /// Everything up to here was on disk when this record was written; 0 if it does not say.
    pub durable_sequence: u64,
}

impl Header {
    /// The header that stands at `offset` of a segment, if `bytes` begin with one. Never panics,
    /// whatever the bytes are.
    pub fn read(seal: Seal, offset: u64, bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        let first_sequence = u64_at(bytes, 16);
        let durable_sequence = match u32_at(bytes, 24) {
            UNTOLD => 0,
            below => first_sequence.checked_sub(u64::from(below))?,
        };
        let header = Header {
            payload_check: u32_at(bytes, 4),
            payload_bytes: u32_at(bytes, 8) as usize,
            changes: u32_at(bytes, 12),
            first_sequence,
            durable_sequence,
        };
        let plausible = header.changes > 0
            && header.payload_bytes <= MAX_PAYLOAD_BYTES
            && header.durable_sequence < header.first_sequence
            && header.first_sequence.checked_add(u64::from(header.changes)).is_some()
            && header.payload_bytes / MIN_CHANGE_BYTES >= header.changes as usize;
        (plausible && u32_at(bytes, 0) == seal.check(offset, &bytes[4..])).then_some(header)
    }

    /// Header and payload.
    pub fn record_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes
    }

    pub fn last_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.changes) - 1
    }

    pub fn holds(&self, seal: Seal, offset: u64, payload: &[u8]) -> bool {
        self.payload_check == seal.check(offset, payload)
    }
}

/// Where records may begin among bytes whose records were lost: each place whose first sequence
/// number is one of `count` from `from` on, and whose check holds. The number is looked at first,
/// many places at a time, so that zeros and what an earlier life of the segment left cost next to
/// nothing.
pub fn find_headers(
    seal: Seal,
    offset: u64,
    bytes: &[u8],
    from: u64,
    count: u64,
) -> impl Iterator<Item = (u64, Header)> + '_ {
    let possible = move |bytes: &[u8]| u64_at(bytes, 16).wrapping_sub(from) < count;
    let places = (bytes.len() + 1).saturating_sub(HEADER_BYTES);
    let block =
        move |begin: usize| &bytes[begin..(begin + SEARCHED).min(places) + HEADER_BYTES - 1];
    let any = move |begin: &usize| {
        block(*begin).windows(HEADER_BYTES).fold(false, |any, bytes| any | possible(bytes))
    };
    let near = (0..places).step_by(SEARCHED).filter(any);
    near.flat_map(move |begin| {
        let places = block(begin).windows(HEADER_BYTES).enumerate();
        places.filter(move |(_, bytes)| possible(bytes)).filter_map(move |(at, bytes)| {
            let offset = offset + (begin + at) as u64;
            Header::read(seal, offset, bytes).map(|header| (offset, header))
        })
    })
}

/// The changes of a payload in order. Yields one `None` in place of what is malformed, which the
/// check rules out short of a bug in the writer. Never panics, whatever the bytes are.
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Changes<'a> {
    pub fn new(payload: &'a [u8], changes: u32) -> Self {
        Changes { rest: payload, left: changes }
    }

    fn read(&mut self) -> Option<Change<'a>> {
        let tag = self.take(1)?[0];
        let kind = Kind::from_code(tag & KIND_BITS)?;
        if tag & !(KIND_BITS | EXPIRES) != 0 {
            return None;
        }
        let key_bytes = u16::from_le_bytes(*self.take(2)?.first_chunk()?);
        let value_bytes =
            if kind == Kind::Tombstone { 0 } else { u32_at(self.take(4)?, 0) as usize };
        let expires_s = if tag & EXPIRES == 0 { 0 } else { u64_at(self.take(8)?, 0) };
        let key = self.take(usize::from(key_bytes))?;
        let value = self.take(value_bytes)?;
        Some(Change { key, item: Item { kind, expires_s, value } })
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Option<Change<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let change = self.read().filter(|_| self.left > 0 || self.rest.is_empty());
        if change.is_none() {
            self.left = 0;
        }
        Some(change)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SEAL: Seal = Seal(77);

    fn batch() -> Vec<Change<'static>> {
        vec![
            Change::put(b"apple", b"red"),
            Change::remove(b"pear"),
            Change::put(b"", b""),
            Change::put_until(b"plum", b"blue", 1_900_000_000),
        ]
    }

    fn sealed(group: &mut Group) -> Vec<u8> {
        group.seal(SEAL, 48, 10, 9).0.to_vec()
    }

    fn written() -> Vec<u8> {
        let mut group = Group::default();
        group.push(batch()).unwrap();
        sealed(&mut group)
    }

    /// The changes of the record at the start of `bytes`, if it verifies at `offset`.
    fn read(seal: Seal, offset: u64, bytes: &[u8]) -> Option<Vec<Change<'_>>> {
        let header = Header::read(seal, offset, bytes)?;
        let payload = bytes.get(HEADER_BYTES..header.record_bytes())?;
        let changes = Changes::new(payload, header.changes);
        header.holds(seal, offset, payload).then(|| changes.map(Option::unwrap).collect())
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = written();
        let header = Header::read(SEAL, 48, &bytes).unwrap();
        assert_eq!((header.first_sequence, header.last_sequence()), (10, 13));
        assert_eq!(header.durable_sequence, 9);
        assert_eq!(read(SEAL, 48, &bytes).unwrap(), batch());
        assert_eq!(header.payload_bytes, check_batch(batch()).unwrap());
    }

    #[test]
    fn a_disk_that_is_far_behind_is_not_told() {
        let most = 9 + u64::from(u32::MAX);
        for (next, durable) in [(most - 1, 9), (most, 0), (1 << 40, 0), (u64::MAX - 9, 0)] {
            let mut group = Group::default();
            group.push(batch()).unwrap();
            let bytes = group.seal(SEAL, 48, next, 9).0.to_vec();
            let header = Header::read(SEAL, 48, &bytes).unwrap();
            assert_eq!((header.first_sequence, header.durable_sequence), (next, durable));
        }
    }

    #[test]
    fn short_batches_share_a_record_and_long_ones_do_not() {
        let long = vec![7; SHARED_BYTES];
        let mut group = Group::default();
        group.push(batch()).unwrap();
        group.push([]).unwrap();
        group.push([Change::put(b"long", &long)]).unwrap();
        group.push(batch()).unwrap();
        let (bytes, next) = group.seal(SEAL, 48, 10, 9);
        assert_eq!(next, 19);
        let header = Header::read(SEAL, 48, bytes).unwrap();
        assert_eq!(read(SEAL, 48, bytes).unwrap().len(), 5);
        let (offset, rest) = (48 + header.record_bytes() as u64, &bytes[header.record_bytes()..]);
        assert_eq!(Header::read(SEAL, offset, rest).unwrap().first_sequence, 15);
        assert_eq!(read(SEAL, offset, rest).unwrap(), batch());
    }

    #[test]
    fn nothing_is_no_record() {
        let mut group = Group::default();
        group.push([]).unwrap();
        assert_eq!(group.seal(SEAL, 48, 10, 9), (&[] as &[u8], 10));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = written();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(SEAL, 48, &bytes), None, "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(read(SEAL, 48, &bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_record_counts_in_its_segment_and_place_alone() {
        let bytes = written();
        assert_eq!(read(SEAL, 49, &bytes), None);
        assert_eq!(read(Seal(78), 48, &bytes), None);
        let seals = [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(id, number)| Seal::new(id, number).0);
        for (index, seal) in seals.iter().enumerate() {
            assert!(!seals[..index].contains(seal));
        }
    }

    #[test]
    fn headers_are_found_among_garbage() {
        let mut bytes = vec![0xa5; 100];
        let mut group = Group::default();
        group.push(batch()).unwrap();
        bytes.extend_from_slice(group.seal(SEAL, 148, 10, 9).0);
        bytes.extend_from_slice(&[0; 50]);
        let found = |from, count| {
            let found = find_headers(SEAL, 48, &bytes, from, count);
            found.map(|(offset, header)| (offset, header.first_sequence)).collect::<Vec<_>>()
        };
        assert_eq!(found(10, 1), [(148, 10)]);
        assert_eq!(found(1, 10), [(148, 10)]);
        assert_eq!(found(11, 100), []);
        assert_eq!(found(1, 9), []);
    }

    #[test]
    fn a_header_is_found_at_every_place() {
        let mut group = Group::default();
        group.push(batch()).unwrap();
        for at in 0..3 * SEARCHED {
            let mut bytes = vec![0; at];
            bytes.extend_from_slice(group.seal(SEAL, at as u64, 10, 9).0);
            let end = if at % 2 == 0 { at + HEADER_BYTES } else { bytes.len() };
            let found: Vec<u64> =
                find_headers(SEAL, 0, &bytes[..end], 10, 1).map(|(offset, _)| offset).collect();
            assert_eq!(found, [at as u64]);
            assert_eq!(find_headers(SEAL, 0, &bytes[..at + HEADER_BYTES - 1], 10, 1).count(), 0);
        }
    }

    #[test]
    fn malformed_payloads_are_none_and_never_a_panic() {
        let mut payload = Vec::new();
        batch().iter().for_each(|change| change.encode(&mut payload));
        let good = |bytes: &[u8], changes| Changes::new(bytes, changes).all(|c| c.is_some());
        assert!(good(&payload, 4));
        assert!(!good(&payload, 3), "bytes behind the last change");
        assert!(!good(&payload, 5), "a change too many");
        for cut in 0..payload.len() {
            assert!(!good(&payload[..cut], 4), "cut at {cut}");
        }
        for at in 0..payload.len() {
            for byte in 0..=255 {
                let mut payload = payload.clone();
                payload[at] = byte;
                assert!(Changes::new(&payload, 4).count() <= 4);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let key = vec![0; MAX_KEY_BYTES + 1];
        let error = check_batch([Change::remove(&key)]).unwrap_err();
        assert!(error.contains("a key of 65536 bytes; at most 65535"), "{error}");
        assert_eq!(check_batch([Change::remove(&key[1..])]), Ok(MAX_KEY_BYTES + 3));
        let value = vec![0; MAX_BATCH_BYTES / 2];
        let half = Change::put(b"", &value);
        assert!(check_batch([half]).is_ok());
        let error = check_batch([half, half]).unwrap_err();
        assert!(error.contains("at most 33554432"), "{error}");
        assert_eq!(Group::default().push([half, half]).unwrap_err(), error);
    }
}
