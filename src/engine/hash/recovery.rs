//! Opening a folder: the list of files, the files in the order of time, then everything that
//! nothing names goes.

use super::file::{self, DataFile, HEADER_BYTES, Place, Walk};
use super::hint;
use super::index::Index;
use super::log::Log;
use super::manifest::{FILES, Manifest, Sealed};
use super::options::Options;
use super::record::{Item, entries};
use super::store::Store;
use crate::engine::EngineError;
use crate::engine::disk::Folder;
use std::sync::Arc;

pub const LOCK: &str = "LOCK";

/// Brings the store back to what it last promised. Nothing is removed before everything was
/// checked.
pub fn recover(folder: Folder, options: Options) -> Result<Store, EngineError> {
    let names = folder.list()?;
    let mut manifest = match Manifest::load(&folder)? {
        Some(manifest) => {
            // A process that died may have left the list under its name in the system's cache only:
            // a power cut would bring back the one before, and take what is committed from now on.
            folder.sync()?;
            manifest
        }
        None => fresh(&folder, &names, options.store)?,
    };
    let (mut index, mut unhinted) = (Index::default(), Vec::new());
    for sealed in &manifest.sealed {
        let file = open(&folder, &manifest, sealed.number)?;
        if file.handle.bytes()? < u64::from(sealed.bytes) {
            let expected = format!("a file of {} bytes", sealed.bytes);
            let at = file.handle.bytes()?;
            return Err(EngineError::corrupt(file.handle.path(), at, &expected, "its end"));
        }
        if !load_sealed(&folder, manifest.store, &mut index, &file, *sealed)? {
            unhinted.push(*sealed);
        }
    }
    let mut next_file =
        1 + names.iter().filter_map(|name| file::number_of(name)).max().unwrap_or(0);
    let log = match manifest.active {
        0 => None,
        number => {
            let file = open(&folder, &manifest, number)?;
            load_active(&mut index, &file, manifest.clean)?
                .map_err(|sealed| {
                    manifest.sealed.push(sealed);
                    unhinted.push(sealed);
                })
                .ok()
        }
    };
    let log = match log {
        Some(log) => log,
        None => {
            let file = DataFile::create(&folder, manifest.store, next_file)?;
            next_file += 1;
            (manifest.active, manifest.clean) = (file.number, HEADER_BYTES);
            manifest.save(&folder)?;
            index.add_file(Arc::clone(&file));
            Log::start(file)
        }
    };
    remove_orphans(&folder, &names, &manifest);
    Ok(Store::new(folder, options, index, log, manifest, next_file, unhinted))
}

/// An empty start, unless the folder holds data whose list was lost, or is not ours.
fn fresh(folder: &Folder, names: &[String], store: u64) -> Result<Manifest, EngineError> {
    let is_ours = |name: &String| name == LOCK || name.ends_with(".tmp");
    if let Some(name) = names.iter().find(|name| !is_ours(name)) {
        let what = match file::number_of(name) {
            Some(_) => format!("{FILES} is missing, but there is data: {name}"),
            None => format!("not a folder of this engine, and not empty: it holds {name}"),
        };
        return Err(EngineError::refused(folder.path(), what));
    }
    let manifest = Manifest { store, sealed: Vec::new(), active: 0, clean: 0 };
    manifest.save(folder)?;
    Ok(manifest)
}

fn open(folder: &Folder, manifest: &Manifest, number: u32) -> Result<Arc<DataFile>, EngineError> {
    DataFile::open(folder, manifest.store, number).map_err(|error| match error {
        EngineError::Io { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            let what = format!("it is missing, but {FILES} names it");
            EngineError::Refused { path, what }
        }
        error => error,
    })
}

/// Whether there was a hint.
fn load_sealed(
    folder: &Folder,
    store: u64,
    index: &mut Index,
    file: &Arc<DataFile>,
    sealed: Sealed,
) -> Result<bool, EngineError> {
    index.add_file(Arc::clone(file));
    let hinted = hint::load(folder, store, sealed, |entry| {
        if entry.removed {
            index.remove(entry.key, entry.place);
        } else {
            index.put(entry.key, entry.place);
        }
    })?;
    if !hinted {
        let mut walk = Walk::new(file, sealed.bytes);
        replay(index, file, &mut walk)?;
        walk.check_end()?;
    }
    Ok(hinted)
}

fn replay(index: &mut Index, file: &DataFile, walk: &mut Walk<'_>) -> Result<(), EngineError> {
    while let Some((at, payload)) = walk.next()? {
        for (at, entry) in entries(at, payload) {
            let place = Place { file: file.number, at, bytes: entry.bytes };
            match entry.item {
                Item::Put(_) | Item::PutUntil(..) => index.put(entry.key, place),
                Item::Remove => index.remove(entry.key, place),
            }
        }
    }
    Ok(())
}

/// Reads the file that took the writes. If it ends cleanly it takes them again; else what is not
/// whole is left out and the file is sealed before it, so that nothing that was read is changed.
fn load_active(
    index: &mut Index,
    file: &Arc<DataFile>,
    clean: u32,
) -> Result<Result<Log, Sealed>, EngineError> {
    let bytes = file.handle.bytes()?;
    index.add_file(Arc::clone(file));
    let mut walk = Walk::new(file, u32::try_from(bytes).unwrap_or(u32::MAX));
    replay(index, file, &mut walk)?;
    let at = walk.at;
    let remains = walk.remains()?;
    let durable = clean.max(remains.durable);
    if at < durable {
        let found = format!("another one, although {durable} bytes were durable");
        let expected = "a batch with its checksums";
        return Err(EngineError::corrupt(file.handle.path(), u64::from(at), expected, found));
    }
    // What the next reader is shown must not be lost again: it may be in the system's cache only.
    file.handle.sync()?;
    if remains.bytes == 0 {
        return Ok(Ok(Log::resume(Arc::clone(file), at, bytes)));
    }
    let path = file.handle.path().display();
    tracing::warn!(%path, at, bytes = remains.bytes, "a torn tail is left out");
    Ok(Err(Sealed { number: file.number, bytes: at }))
}

fn remove_orphans(folder: &Folder, names: &[String], manifest: &Manifest) {
    let is_named = |number| {
        manifest.active == number || manifest.sealed.iter().any(|sealed| sealed.number == number)
    };
    for name in names {
        let is_orphan = file::number_of(name).is_some_and(|number| !is_named(number));
        if is_orphan || name.ends_with(".tmp") {
            folder.remove(name);
        }
    }
}
