//! One version of one key, as it travels between memtable, tables and merges.

use bytes::Bytes;

/// What a key held as of a sequence number. No value: removed, and older entries are shadowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Bytes,
    pub sequence: u64,
    pub value: Option<Bytes>,
}

/// An entry without its key: the answer of a point read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub sequence: u64,
    pub value: Option<Bytes>,
}
