//! A record: all that a replica holds for one key, and its canonical bytes.
//!
//! ```text
//!   format │ length, context │ count │ sibling, sibling, …            ascending by version
//!                                      └► length, version │ kind, and if it is live:
//!                                         [expiry] │ flags │ length, type │ length, value
//! ```
//!
//! One meaning has one encoding, so equal records are equal bytes: digests and Merkle trees compare
//! bytes and never find a difference that is none. Numbers are little-endian base-128 integers of
//! the shortest form. `kind` is 0 for a tombstone, 1 for a value, 3 for a value that expires.
//!
//! Decoding takes [`Bytes`] and slices them: no value is copied on its way from the disk to a
//! socket.

use bytes::{BufMut, Bytes, BytesMut};

/// The first byte of every record; another layout takes another number.
const FORMAT: u8 = 1;

const TOMBSTONE: u8 = 0;
const LIVE: u8 = 1;
const EXPIRES: u8 = 2;

/// The identity of one write, opaque to all but the resolver that issued it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub Bytes);

/// A value and the facts that a client gave with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub value: Bytes,
    /// MIME type as the client sent it; empty where it sent none.
    pub content_type: Bytes,
    /// The client's own bits.
    pub flags: u32,
    /// Milliseconds since 1970, fixed once by the coordinator, the same on every replica.
    pub expires_at_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Live(Payload),
    /// Deleted. It shadows what it replaced until every owner has confirmed it.
    Tombstone,
}

impl Content {
    /// The payload, unless it is deleted or expired at `now_ms` (milliseconds since 1970).
    pub fn live_at(&self, now_ms: u64) -> Option<&Payload> {
        match self {
            Content::Live(payload) if payload.expires_at_ms.is_none_or(|end| now_ms < end) => {
                Some(payload)
            }
            _ => None,
        }
    }
}

/// One version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sibling {
    pub version: Version,
    pub content: Content,
}

/// All that a replica holds for one key: what it has seen, and the versions that survive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The resolver's causal context; empty where it needs none.
    pub context: Bytes,
    /// Strictly ascending by version.
    pub siblings: Vec<Sibling>,
}

impl Record {
    /// The canonical bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out.freeze()
    }

    /// Appends the canonical bytes to `out`.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        debug_assert!(
            self.siblings.windows(2).all(|pair| pair[0].version < pair[1].version),
            "a resolver hands out siblings in strictly ascending order"
        );
        out.put_u8(FORMAT);
        put_bytes(out, &self.context);
        put_number(out, self.siblings.len() as u64);
        for sibling in &self.siblings {
            sibling.encode_into(out);
        }
    }

    /// Length of [`Self::encode`] in bytes.
    pub fn encoded_len(&self) -> usize {
        let siblings = self.siblings.iter().map(Sibling::encoded_len).sum::<usize>();
        1 + bytes_len(&self.context) + number_len(self.siblings.len() as u64) + siblings
    }

    /// Reads canonical bytes; the record's parts are slices of `bytes`.
    ///
    /// Refuses everything that [`Self::encode`] would not have written, so that no second encoding
    /// of the same record can enter the store.
    pub fn decode(bytes: Bytes) -> Result<Record, Malformed> {
        let mut input = Input { bytes, offset: 0 };
        if input.byte()? != FORMAT {
            return Err(Malformed { offset: 0, what: "unknown format" });
        }
        let context = input.slice()?;
        let count = input.number()?;
        let mut siblings: Vec<Sibling> = Vec::with_capacity(count.min(8) as usize);
        for _ in 0..count {
            let offset = input.offset;
            let sibling = Sibling::decode(&mut input)?;
            if siblings.last().is_some_and(|last| last.version >= sibling.version) {
                return Err(Malformed { offset, what: "siblings out of order" });
            }
            siblings.push(sibling);
        }
        match input.offset == input.bytes.len() {
            true => Ok(Record { context, siblings }),
            false => Err(input.malformed("bytes after the end")),
        }
    }

    /// Whether nothing but tombstones is left of the key.
    pub fn is_deleted(&self) -> bool {
        self.siblings.iter().all(|sibling| sibling.content == Content::Tombstone)
    }
}

impl Sibling {
    fn encode_into(&self, out: &mut impl BufMut) {
        put_bytes(out, &self.version.0);
        let Content::Live(payload) = &self.content else {
            return out.put_u8(TOMBSTONE);
        };
        match payload.expires_at_ms {
            None => out.put_u8(LIVE),
            Some(instant) => {
                out.put_u8(LIVE | EXPIRES);
                put_number(out, instant);
            }
        }
        put_number(out, u64::from(payload.flags));
        put_bytes(out, &payload.content_type);
        put_bytes(out, &payload.value);
    }

    fn encoded_len(&self) -> usize {
        let content = match &self.content {
            Content::Tombstone => 0,
            Content::Live(payload) => {
                payload.expires_at_ms.map_or(0, number_len)
                    + number_len(u64::from(payload.flags))
                    + bytes_len(&payload.content_type)
                    + bytes_len(&payload.value)
            }
        };
        bytes_len(&self.version.0) + 1 + content
    }

    fn decode(input: &mut Input) -> Result<Sibling, Malformed> {
        let version = Version(input.slice()?);
        let offset = input.offset;
        let kind = input.byte()?;
        if kind == TOMBSTONE {
            return Ok(Sibling { version, content: Content::Tombstone });
        }
        if kind & !EXPIRES != LIVE {
            return Err(Malformed { offset, what: "unknown kind of sibling" });
        }
        let expires_at_ms = if kind & EXPIRES != 0 { Some(input.number()?) } else { None };
        let offset = input.offset;
        let flags = u32::try_from(input.number()?)
            .map_err(|_| Malformed { offset, what: "flags of more than 32 bits" })?;
        let content_type = input.slice()?;
        let value = input.slice()?;
        let payload = Payload { value, content_type, flags, expires_at_ms };
        Ok(Sibling { version, content: Content::Live(payload) })
    }
}

fn put_number(out: &mut impl BufMut, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

fn number_len(number: u64) -> usize {
    (64 - number.leading_zeros()).div_ceil(7).max(1) as usize
}

fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn bytes_len(bytes: &[u8]) -> usize {
    number_len(bytes.len() as u64) + bytes.len()
}

/// Bytes that are being read.
struct Input {
    bytes: Bytes,
    offset: usize,
}

impl Input {
    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.offset, what }
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.offset).ok_or_else(|| self.malformed("cut short"))?;
        self.offset += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if (shift == 63 && byte > 1) || (shift > 0 && byte == 0) {
                self.offset -= 1;
                return Err(self.malformed("number too large or not in its shortest form"));
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.malformed("number too large or not in its shortest form"))
    }

    fn slice(&mut self) -> Result<Bytes, Malformed> {
        let length = self.number()?;
        if length > (self.bytes.len() - self.offset) as u64 {
            return Err(self.malformed("cut short"));
        }
        let start = self.offset;
        self.offset += length as usize;
        Ok(self.bytes.slice(start..self.offset))
    }
}

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record at byte {offset}: {what}")]
pub struct Malformed {
    pub offset: usize,
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn any_bytes(limit: usize) -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..limit).prop_map(Bytes::from)
    }

    fn any_content() -> impl Strategy<Value = Content> {
        let live = (any_bytes(200), any_bytes(20), any::<u32>(), any::<Option<u64>>());
        prop_oneof![
            Just(Content::Tombstone),
            live.prop_map(|(value, content_type, flags, expires_at_ms)| {
                Content::Live(Payload { value, content_type, flags, expires_at_ms })
            }),
        ]
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let siblings = prop::collection::btree_map(any_bytes(20), any_content(), 0..4);
        (any_bytes(40), siblings).prop_map(|(context, siblings)| Record {
            context,
            siblings: siblings
                .into_iter()
                .map(|(version, content)| Sibling { version: Version(version), content })
                .collect(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_record_comes_back(record in any_record()) {
            let bytes = record.encode();
            prop_assert_eq!(bytes.len(), record.encoded_len());
            prop_assert_eq!(Record::decode(bytes).unwrap(), record);
        }

        #[test]
        fn what_decodes_is_canonical(bytes in any_bytes(64)) {
            if let Ok(record) = Record::decode(bytes.clone()) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }

        #[test]
        fn a_damaged_record_is_refused_or_canonical(
            record in any_record(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = record.encode().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let bytes = Bytes::from(bytes);
            if let Ok(decoded) = Record::decode(bytes.clone()) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }

        #[test]
        fn a_torn_record_is_refused(record in any_record(), at in any::<prop::sample::Index>()) {
            let bytes = record.encode();
            prop_assert!(Record::decode(bytes.slice(..at.index(bytes.len()))).is_err());
        }
    }

    #[test]
    fn numbers_have_one_form() {
        for (number, length) in [(0, 1), (127, 1), (128, 2), (u64::MAX, 10)] {
            let mut out = BytesMut::new();
            put_number(&mut out, number);
            assert_eq!((out.len(), number_len(number)), (length, length));
            assert_eq!(Input { bytes: out.freeze(), offset: 0 }.number().unwrap(), number);
        }
        for wrong in [&[0x80, 0x00][..], &[0xff; 10][..], &[0x80][..]] {
            assert!(Input { bytes: Bytes::copy_from_slice(wrong), offset: 0 }.number().is_err());
        }
    }
}
