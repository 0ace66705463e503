//! The manifest: which tables exist and how far the log is in them. Its edits are the engine's
//! commits.
//!
//! ```text
//!   CURRENT               names the manifest, with a checksum; replaced by an atomic rename
//!   000000000003.manifest [magic, version, number, crc] [edit 0: the whole state] [edit 1] …
//!   edit                  4 · payload bytes + 3 u32 │ payload crc u32 │ header crc u32 │ payload
//!   payload               flushed up to │ removed tables │ added tables │ 3
//! ```
//!
//! The header's checksum covers the edit's index, too, so that no edit passes for another. An edit
//! begins and ends with a byte of two ones: so a sector of zeros in it was never written, and a bit
//! that rotted in the last edit is not taken for a write that a crash cut short.
//!
//! A flush or a compaction exists from the moment that its edit is on disk. What a crash leaves
//! besides, half a table or a whole one that no edit names, is removed when the engine is opened.

use super::files;
use crate::engine::EngineError;
use crate::engine::codec::{FORMAT_VERSION, Fields};
use crate::engine::disk::{Folder, Handle, Mode};
use std::collections::BTreeMap;
use std::path::Path;

const MAGIC: &[u8; 4] = b"QMAN";
const FILE_HEADER_BYTES: usize = 20;
const EDIT_HEADER_BYTES: usize = 12;
/// What every payload ends with.
const END: u8 = 3;
/// A manifest above this size is replaced by one that holds only the state.
const REWRITE_BYTES: u64 = 256 << 10;

/// What the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Where each table stands, by id.
    pub tables: BTreeMap<u64, Place>,
    /// The tables hold everything up to here.
    pub flushed_sequence: u64,
}

/// The level and the run of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub level: u32,
    pub run: u64,
}

/// One atomic change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    pub removed: Vec<u64>,
    /// A table may be in both lists: it moves.
    pub added: Vec<(u64, Place)>,
    pub flushed_sequence: u64,
}

impl Edit {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.flushed_sequence.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(self.removed.len() as u32).to_le_bytes());
        for id in &self.removed {
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.added.len() as u32).to_le_bytes());
        for (id, place) in &self.added {
            bytes.extend_from_slice(&id.to_le_bytes());
            bytes.extend_from_slice(&place.level.to_le_bytes());
            bytes.extend_from_slice(&place.run.to_le_bytes());
        }
        bytes
    }

    /// None where the bytes are no edit.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let flushed_sequence = fields.u64()?;
        let removed = (0..fields.u32()?).map(|_| fields.u64()).collect::<Option<_>>()?;
        let added = fields.u32()?;
        let added = (0..added).map(|_| {
            let id = fields.u64()?;
            Some((id, Place { level: fields.u32()?, run: fields.u64()? }))
        });
        let added = added.collect::<Option<_>>()?;
        fields.is_done().then_some(Edit { removed, added, flushed_sequence })
    }
}

impl Contents {
    fn apply(&mut self, edit: &Edit) {
        for id in &edit.removed {
            self.tables.remove(id);
        }
        self.tables.extend(edit.added.iter().copied());
        self.flushed_sequence = self.flushed_sequence.max(edit.flushed_sequence);
    }

    fn snapshot(&self) -> Edit {
        Edit {
            removed: Vec::new(),
            added: self.tables.iter().map(|(id, place)| (*id, *place)).collect(),
            flushed_sequence: self.flushed_sequence,
        }
    }
}

/// The open manifest, at its end.
pub struct Manifest {
    folder: Folder,
    number: u64,
    file: Handle,
    bytes: u64,
    edits: u64,
    contents: Contents,
    /// Set by the first error: what the file then holds is unknown.
    broken: bool,
}

impl Manifest {
    /// Writes `contents` as a new manifest and makes it the current one.
    pub fn create(folder: &Folder, number: u64, contents: Contents) -> Result<Self, EngineError> {
        let mut bytes = file_header(number);
        encode_edit(0, &contents.snapshot(), &mut bytes);
        let file = folder.open(&files::manifest(number), Mode::Create)?;
        file.write(&bytes, 0)?;
        file.sync()?;
        folder.sync()?;
        folder.replace(files::CURRENT, &current_line(number))?;
        let bytes = bytes.len() as u64;
        let (folder, edits, broken) = (folder.clone(), 1, false);
        Ok(Manifest { folder, number, file, bytes, edits, contents, broken })
    }

    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Makes one change durable. After an error the state on disk is unknown, so nothing follows
    /// it: an edit in the place of a half-written one would leave the other's rest behind itself.
    pub fn append(&mut self, edit: &Edit) -> Result<(), EngineError> {
        if self.broken {
            let what = "an earlier change of the tables failed";
            return Err(EngineError::refused(self.file.path(), what));
        }
        // Whatever goes wrong below.
        self.broken = true;
        self.write(edit)?;
        self.broken = false;
        Ok(())
    }

    fn write(&mut self, edit: &Edit) -> Result<(), EngineError> {
        let mut bytes = Vec::new();
        encode_edit(self.edits, edit, &mut bytes);
        self.file.write(&bytes, self.bytes)?;
        self.file.sync()?;
        self.bytes += bytes.len() as u64;
        self.edits += 1;
        self.contents.apply(edit);
        if self.bytes > REWRITE_BYTES + self.contents.tables.len() as u64 * 64 {
            let next = Manifest::create(&self.folder, self.number + 1, self.contents.clone())?;
            let old = std::mem::replace(self, next);
            old.folder.remove(&files::manifest(old.number));
        }
        Ok(())
    }
}

/// What `CURRENT` holds where the manifest of this number is the current one.
pub fn current_line(number: u64) -> Vec<u8> {
    let name = format!("{number:012}");
    format!("{name} {:08x}\n", crc32fast::hash(name.as_bytes())).into_bytes()
}

fn file_header(number: u64) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.extend_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&header);
    header.extend_from_slice(&crc.to_le_bytes());
    header
}

fn encode_edit(index: u64, edit: &Edit, out: &mut Vec<u8>) {
    frame(index, &edit.encode(), out);
}

fn frame(index: u64, payload: &[u8], out: &mut Vec<u8>) {
    let (start, payload) = (out.len(), [payload, &[END]].concat());
    out.extend_from_slice(&((payload.len() as u32) << 2 | 3).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    let crc = header_checksum(index, &out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&payload);
}

/// Reads a manifest of these payloads, which need not make sense, with right checksums and with
/// `tail` behind them; answers how many tables it names. For fuzz targets.
#[doc(hidden)]
pub fn read_framed(payloads: &[&[u8]], tail: &[u8]) -> Result<usize, EngineError> {
    let mut bytes = file_header(1);
    for (index, payload) in (0..).zip(payloads) {
        frame(index, payload, &mut bytes);
    }
    bytes.extend_from_slice(tail);
    read(Path::new("manifest"), 1, &bytes).map(|contents| contents.tables.len())
}

fn header_checksum(index: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&index.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Reads the manifest that `CURRENT` names: its number and what it says. `None`: there is no
/// engine here.
pub fn load(folder: &Folder) -> Result<Option<(u64, Contents)>, EngineError> {
    let Some(line) = folder.read(files::CURRENT)? else { return Ok(None) };
    let number = parse_current(&line).ok_or_else(|| {
        let found = String::from_utf8_lossy(&line).trim_end().to_string();
        let current = folder.path_of(files::CURRENT);
        EngineError::corrupt(&current, 0, "a manifest's number and checksum", found)
    })?;
    let name = files::manifest(number);
    let path = folder.path_of(&name);
    let missing = || EngineError::refused(&path, "missing, but CURRENT names it");
    let bytes = folder.read(&name)?.ok_or_else(missing)?;
    Ok(Some((number, read(&path, number, &bytes)?)))
}

/// The number in a line of `CURRENT`, if it is one.
pub fn parse_current(line: &[u8]) -> Option<u64> {
    let (name, crc) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    let sound = crc == format!("{:08x}", crc32fast::hash(name.as_bytes()));
    name.parse().ok().filter(|_| sound)
}

/// Reads the bytes of a manifest. `path` is for errors.
pub fn read(path: &Path, number: u64, bytes: &[u8]) -> Result<Contents, EngineError> {
    check_header(path, number, bytes)?;
    let mut contents = Contents::default();
    let mut at = FILE_HEADER_BYTES;
    let mut index = 0;
    while let Some(edit) = read_edit(path, bytes, at, index)? {
        at += EDIT_HEADER_BYTES + edit.1;
        contents.apply(&edit.0);
        index += 1;
    }
    if index == 0 {
        // The first edit was synchronised before CURRENT came to name this file.
        return Err(EngineError::corrupt(path, at as u64, "the first edit", "a torn one"));
    }
    if at < bytes.len() {
        let dropped_bytes = bytes.len() - at;
        tracing::warn!(path = %path.display(), dropped_bytes, "cut the manifest's torn tail");
    }
    Ok(contents)
}

fn check_header(path: &Path, number: u64, bytes: &[u8]) -> Result<(), EngineError> {
    let corrupt = |found: &str| EngineError::corrupt(path, 0, "a manifest's header", found);
    let Some(header) = bytes.get(..FILE_HEADER_BYTES) else {
        return Err(corrupt("a shorter file"));
    };
    let mut fields = Fields::new(&header[4..]);
    let (version, found, crc) = (fields.u32(), fields.u64(), fields.u32());
    if !header.starts_with(MAGIC) || crc != Some(crc32fast::hash(&header[..16])) {
        return Err(corrupt("a wrong magic or checksum"));
    }
    if version != Some(FORMAT_VERSION) {
        let version = version.unwrap_or_default();
        let what = format!("format {version}; this build reads format {FORMAT_VERSION}");
        return Err(EngineError::refused(path, what));
    }
    if found == Some(number) { Ok(()) } else { Err(corrupt("the header of another manifest")) }
}

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Whether the write of the bytes from `at` to `end` was not finished: the file is new, so a sector
/// that never reached the disk is zeros from where the write began. Sectors get there in any order.
fn is_torn(bytes: &[u8], at: usize, end: usize) -> bool {
    (at / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES)).any(|sector| {
        let start = (sector * SECTOR_BYTES).max(at);
        let share = bytes.get(start..bytes.len().min((sector + 1) * SECTOR_BYTES));
        share.is_none_or(|share| share.iter().all(|byte| *byte == 0))
    })
}

/// The edit at `at` and the size of its payload; `None` at the end of the file, be it clean or
/// torn. Torn means cut short or sectors of zeros: bytes that are there and wrong were not written
/// like that.
fn read_edit(
    path: &Path,
    bytes: &[u8],
    at: usize,
    index: u64,
) -> Result<Option<(Edit, usize)>, EngineError> {
    let rest = &bytes[at..];
    let Some(header) = rest.get(..EDIT_HEADER_BYTES) else { return Ok(None) };
    let mut fields = Fields::new(header);
    let (len, payload_crc, crc) = (fields.u32(), fields.u32(), fields.u32());
    let corrupt =
        |found: &str| EngineError::corrupt(path, at as u64, &format!("edit {index}"), found);
    if crc != Some(header_checksum(index, &header[..8])) {
        if is_torn(bytes, at, at + EDIT_HEADER_BYTES) {
            return Ok(None);
        }
        return Err(corrupt("a wrong checksum of its header"));
    }
    let len = (len.unwrap_or_default() >> 2) as usize;
    let Some(payload) = rest.get(EDIT_HEADER_BYTES..EDIT_HEADER_BYTES + len) else {
        return Ok(None);
    };
    if payload_crc != Some(crc32fast::hash(payload)) {
        let end = at + EDIT_HEADER_BYTES + len;
        let is_last = bytes[end..].iter().all(|byte| *byte == 0);
        if is_last && is_torn(bytes, at, end) {
            return Ok(None);
        }
        return Err(corrupt("a wrong checksum"));
    }
    let edit = payload.strip_suffix(&[END]).and_then(Edit::decode);
    let edit = edit.ok_or_else(|| corrupt("malformed fields"))?;
    Ok(Some((edit, len)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::disk::Real;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn edit(id: u64) -> Edit {
        let place = |level, run| Place { level, run };
        Edit {
            removed: vec![id - 1],
            added: vec![(id, place(0, id)), (id + 1, place(3, 7))],
            flushed_sequence: id * 10,
        }
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(Arc::new(Real), dir.path());
        (dir, folder)
    }

    fn written(folder: &Folder) -> (PathBuf, Contents) {
        let mut manifest = Manifest::create(folder, 1, Contents::default()).unwrap();
        for id in [1, 5, 9] {
            manifest.append(&edit(id)).unwrap();
        }
        (manifest.file.path().to_path_buf(), manifest.contents.clone())
    }

    #[test]
    fn edits_are_read_as_they_were_written() {
        let (_dir, folder) = folder();
        assert_eq!(load(&folder).unwrap(), None);
        let (_, contents) = written(&folder);
        assert_eq!(contents.flushed_sequence, 90);
        assert_eq!(contents.tables.get(&6), Some(&Place { level: 3, run: 7 }));
        assert_eq!(load(&folder).unwrap(), Some((1, contents)));
    }

    #[test]
    fn nothing_follows_a_change_that_failed() {
        let (_dir, folder) = folder();
        let mut manifest = Manifest::create(&folder, 1, Contents::default()).unwrap();
        let read_only = folder.open(&files::manifest(1), Mode::Read).unwrap();
        let writable = std::mem::replace(&mut manifest.file, read_only);
        assert!(matches!(manifest.append(&edit(1)), Err(EngineError::Io { .. })));
        manifest.file = writable;
        assert!(matches!(manifest.append(&edit(5)), Err(EngineError::Refused { .. })));
        assert_eq!(load(&folder).unwrap(), Some((1, Contents::default())));
    }

    #[test]
    fn a_large_manifest_is_rewritten() {
        let (_dir, folder) = folder();
        let mut manifest = Manifest::create(&folder, 1, Contents::default()).unwrap();
        let mut id = 1;
        while manifest.number == 1 {
            let added = (id..id + 1_000).map(|id| (id, Place { level: 0, run: id })).collect();
            let removed = if id == 1 { Vec::new() } else { (id - 1_000..id).collect() };
            let edit = Edit { removed, added, flushed_sequence: id };
            manifest.append(&edit).unwrap();
            id += 1_000;
        }
        assert!(manifest.bytes < REWRITE_BYTES / 2);
        assert_eq!(folder.read(&files::manifest(1)).unwrap(), None);
        assert_eq!(load(&folder).unwrap(), Some((2, manifest.contents.clone())));
    }

    #[test]
    fn a_cut_gives_an_earlier_state_or_an_error() {
        let (_dir, folder) = folder();
        let (path, _) = written(&folder);
        let bytes = fs::read(&path).unwrap();
        let mut states = vec![Contents::default()];
        for id in [1, 5, 9] {
            let mut next = states[states.len() - 1].clone();
            next.apply(&edit(id));
            states.push(next);
        }
        for len in 0..bytes.len() {
            match read(&path, 1, &bytes[..len]) {
                Ok(found) => assert!(states.contains(&found), "cut at {len}"),
                Err(error) => assert!(len < FILE_HEADER_BYTES + EDIT_HEADER_BYTES + 17, "{error}"),
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (_dir, folder) = folder();
        let (path, _) = written(&folder);
        let bytes = fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&path, 1, &bytes).is_err(), "bit {bit}");
        }
        let current = folder.read(files::CURRENT).unwrap().unwrap().to_vec();
        for bit in 0..current.len() * 8 {
            let mut current = current.clone();
            current[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_current(&current), None, "bit {bit}");
        }
    }

    /// Wherever the sectors end in it.
    #[test]
    fn a_flipped_bit_in_the_last_edit_is_no_torn_write() {
        let mut bytes = file_header(1);
        for index in 0..40 {
            let mut edit = edit(index + 1);
            edit.removed.extend(0..index % 9);
            let start = bytes.len();
            encode_edit(index, &edit, &mut bytes);
            for bit in start * 8..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let found = read(Path::new("1.manifest"), 1, &bytes);
                assert!(found.is_err(), "bit {bit} of edit {index} from {start}");
            }
        }
    }

    #[test]
    fn another_format_is_refused() {
        let mut bytes = file_header(1);
        bytes[4] = 7;
        let crc = crc32fast::hash(&bytes[..16]);
        bytes[16..].copy_from_slice(&crc.to_le_bytes());
        let error = read(Path::new("1.manifest"), 1, &bytes).unwrap_err().to_string();
        assert!(error.contains("format 7; this build reads format 3"), "{error}");
    }
}
