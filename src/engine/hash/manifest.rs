//! FILES: which files there are, oldest first. Replaced as a whole, at each change.
//!
//! ```text
//!   magic [8] │ version u32 │ store u64 │ active u32 │ clean u32 │ count u32
//!             │ (number u32, bytes u32) … │ checksum u32
//! ```
//!
//! The order of the list is the order in time: of two entries of a key, the one in the later file,
//! or further behind in the same file, is the newer. A merge puts its output where its input was.

use crate::engine::EngineError;
use crate::engine::codec::Fields;
use crate::engine::disk::Folder;

pub const FILES: &str = "FILES";
const MAGIC: &[u8; 8] = b"QRTFILES";

/// A file that takes no more entries. All of it was durable when it was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub number: u32,
    /// What is behind is not part of it.
    pub bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Tells this folder's files from those of others.
    pub store: u64,
    pub sealed: Vec<Sealed>,
    /// The file that takes the writes; 0: none yet.
    pub active: u32,
    /// How much of the active file was durable when this was written, after a clean end.
    pub clean: u32,
}

impl Manifest {
    /// What the folder says; None if it says nothing.
    pub fn load(folder: &Folder) -> Result<Option<Self>, EngineError> {
        let Some(bytes) = folder.read(FILES)? else { return Ok(None) };
        let path = folder.path_of(FILES);
        if bytes.get(..MAGIC.len()) != Some(MAGIC) {
            return Err(EngineError::refused(&path, "not a list of files of this engine"));
        }
        let body = bytes.len().saturating_sub(4);
        let checksum = bytes.get(body..).and_then(|sum| sum.try_into().ok());
        if checksum.map(u32::from_le_bytes) != Some(crc32fast::hash(&bytes[..body])) {
            let found = "another one";
            return Err(EngineError::corrupt(
                &path,
                body as u64,
                "the checksum of the list",
                found,
            ));
        }
        let mut fields = Fields::new(&bytes[MAGIC.len()..body]);
        let version = fields.u32().unwrap_or_default();
        if version != super::file::FORMAT_VERSION {
            let what = format!(
                "format version {version}; this build reads version {}",
                super::file::FORMAT_VERSION
            );
            return Err(EngineError::refused(&path, what));
        }
        let list = Self::decode(&mut fields).filter(|_| fields.is_done());
        list.map(Some).ok_or_else(|| {
            EngineError::corrupt(&path, 0, "a list of files", "one of another length")
        })
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (store, active, clean) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let mut sealed = Vec::new();
        for _ in 0..fields.u32()? {
            sealed.push(Sealed { number: fields.u32()?, bytes: fields.u32()? });
        }
        Some(Manifest { store, sealed, active, clean })
    }

    /// Makes it what the folder says, durably.
    pub fn save(&self, folder: &Folder) -> Result<(), EngineError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&super::file::FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.store.to_le_bytes());
        for number in [self.active, self.clean, self.sealed.len() as u32] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for sealed in &self.sealed {
            bytes.extend_from_slice(&sealed.number.to_le_bytes());
            bytes.extend_from_slice(&sealed.bytes.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        folder.replace(FILES, &bytes)
    }
}
