//! A record: all that a replica holds for one key, and its canonical bytes.

use bytes::Bytes;

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
    /// Ascending by version.
    pub siblings: Vec<Sibling>,
}

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record at byte {offset}: {what}")]
pub struct Malformed {
    pub offset: usize,
    pub what: &'static str,
}
