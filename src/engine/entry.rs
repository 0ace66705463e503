//! One entry of an ordered map, as it travels between memtable, tables and merges.

use super::EngineError;
use bytes::Bytes;

/// What the value bytes of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No value: the key was removed, and older entries are shadowed.
    Tombstone,
    Value,
    /// Where a large value lies that was separated from its key.
    Pointer,
}

impl Kind {
    /// The number of a kind in file formats; below 4, so that two bits hold it.
    pub fn code(self) -> u8 {
        match self {
            Kind::Tombstone => 0,
            Kind::Value => 1,
            Kind::Pointer => 2,
        }
    }

    pub fn from_code(code: u8) -> Option<Kind> {
        [Kind::Tombstone, Kind::Value, Kind::Pointer].into_iter().find(|kind| kind.code() == code)
    }
}

/// An entry without its key, borrowed from where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub kind: Kind,
    /// From this second since 1970 on the entry may be dropped, as if it had been removed; 0 where
    /// it stays.
    pub expires_s: u64,
    pub value: &'a [u8],
}

/// An entry without its key: the answer of a point read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: Kind,
    pub expires_s: u64,
    pub value: Bytes,
}

/// Which of two entries of one key is newer: the lower one. First the level of the tree (memtables
/// stand above level 0), then how far the newest sequence number of its table lies below the
/// highest one that there can be.
pub type Rank = (u32, u64);

/// Walks entries in ascending order of their keys, each key once.
///
/// A new cursor stands nowhere: `seek` comes first. `key`, `item` and `value` may be called only
/// while `is_valid`.
pub trait Cursor {
    /// Moves to the first entry whose key is not below `key`.
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError>;

    fn next(&mut self) -> Result<(), EngineError>;

    /// Whether the cursor stands on an entry. After an error it does not.
    fn is_valid(&self) -> bool;

    fn key(&self) -> &[u8];

    fn item(&self) -> Item<'_>;

    /// The value as bytes of their own, without a copy where that can be.
    fn value(&self) -> Bytes;

    fn rank(&self) -> Rank;
}

impl<C: Cursor + ?Sized> Cursor for Box<C> {
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError> {
        (**self).seek(key)
    }

    fn next(&mut self) -> Result<(), EngineError> {
        (**self).next()
    }

    fn is_valid(&self) -> bool {
        (**self).is_valid()
    }

    fn key(&self) -> &[u8] {
        (**self).key()
    }

    fn item(&self) -> Item<'_> {
        (**self).item()
    }

    fn value(&self) -> Bytes {
        (**self).value()
    }

    fn rank(&self) -> Rank {
        (**self).rank()
    }
}
