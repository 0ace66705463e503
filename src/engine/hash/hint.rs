//! Hint files: the keys and places of a sealed file without its values, for a quick start.
//!
//! ```text
//!   magic [8] │ store u64 │ number u32 │ bytes of the data file u32
//!             │ (kind u8, key bytes u16, place u32, entry's bytes u32, key) … │ checksum u32
//! ```
//!
//! A hint that does not verify costs nothing but the time to read the data instead.

use super::file::{self, DataFile, Place, Walk};
use super::manifest::Sealed;
use super::record::{Entry, Item, entries};
use crate::engine::EngineError;
use crate::engine::disk::{Folder, Mode};

const MAGIC: &[u8; 8] = b"QRT-HINT";
const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 11;

/// One entry of a sealed file.
pub struct Hinted<'a> {
    pub key: &'a [u8],
    pub place: Place,
    pub removed: bool,
}

/// A hint that is being made.
pub struct HintBuilder {
    bytes: Vec<u8>,
}

impl HintBuilder {
    pub fn new(store: u64, number: u32) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&store.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        HintBuilder { bytes }
    }

    pub fn add(&mut self, at: u32, entry: &Entry<'_>) {
        self.bytes.push(u8::from(entry.item == Item::Remove));
        self.bytes.extend_from_slice(&(entry.key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(&at.to_le_bytes());
        self.bytes.extend_from_slice(&entry.bytes.to_le_bytes());
        self.bytes.extend_from_slice(entry.key);
    }

    /// What it holds so far, in the order of the file.
    pub fn entries(&self, number: u32) -> impl Iterator<Item = Hinted<'_>> {
        read_entries(&self.bytes[HEADER_BYTES..], number)
    }

    /// Writes it beside its data file. It is not made durable: a torn one is told by its checksum.
    pub fn save(mut self, folder: &Folder, sealed: Sealed) -> Result<(), EngineError> {
        self.bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sealed.bytes.to_le_bytes());
        let checksum = crc32fast::hash(&self.bytes);
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        folder.open(&file::hint_name(sealed.number), Mode::Create)?.write(&self.bytes, 0)
    }
}

/// Reads a sealed file and writes its hint.
pub fn make(
    folder: &Folder,
    store: u64,
    file: &DataFile,
    sealed: Sealed,
) -> Result<(), EngineError> {
    let mut hint = HintBuilder::new(store, sealed.number);
    let mut walk = Walk::new(file, sealed.bytes);
    while let Some((at, payload)) = walk.next()? {
        entries(at, payload).for_each(|(at, entry)| hint.add(at, &entry));
    }
    walk.check_end()?;
    hint.save(folder, sealed)
}

/// Calls `each` for all entries of a sealed file as its hint knows them. False: there is no hint
/// that fits; nothing was called.
pub fn load(
    folder: &Folder,
    store: u64,
    sealed: Sealed,
    mut each: impl FnMut(Hinted<'_>),
) -> Result<bool, EngineError> {
    let name = file::hint_name(sealed.number);
    let Some(bytes) = folder.read(&name)? else { return Ok(false) };
    let header = {
        let mut header = HintBuilder::new(store, sealed.number).bytes;
        header[HEADER_BYTES - 4..].copy_from_slice(&sealed.bytes.to_le_bytes());
        header
    };
    let body = bytes.len().saturating_sub(4);
    let checksum = bytes[body..].try_into().ok().map(u32::from_le_bytes);
    if bytes.len() < HEADER_BYTES + 4
        || bytes[..HEADER_BYTES] != header[..]
        || checksum != Some(crc32fast::hash(&bytes[..body]))
    {
        let path = folder.path_of(&name);
        tracing::warn!(path = %path.display(), "the hint is damaged: reading the data instead");
        return Ok(false);
    }
    read_entries(&bytes[HEADER_BYTES..body], sealed.number).for_each(&mut each);
    Ok(true)
}

fn read_entries(mut rest: &[u8], number: u32) -> impl Iterator<Item = Hinted<'_>> {
    std::iter::from_fn(move || {
        let head = rest.get(..ENTRY_BYTES)?;
        let key_bytes = usize::from(u16::from_le_bytes(head[1..3].try_into().ok()?));
        let at = u32::from_le_bytes(head[3..7].try_into().ok()?);
        let bytes = u32::from_le_bytes(head[7..11].try_into().ok()?);
        let key = rest.get(ENTRY_BYTES..ENTRY_BYTES + key_bytes)?;
        rest = &rest[ENTRY_BYTES + key_bytes..];
        Some(Hinted { key, place: Place { file: number, at, bytes }, removed: head[0] == 1 })
    })
}
