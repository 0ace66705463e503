//! The folder of one engine: which file is what.

use crate::engine::EngineError;
use crate::engine::disk::Folder;
use crate::engine::table::is_spare;

pub const CURRENT: &str = "CURRENT";
pub const LOCK: &str = "LOCK";

/// What a file is, by its name. Numbers are never reused within one life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table(u64),
    /// A file that waits to become a table: what it holds is of no account.
    Spare(u64),
    /// A segment of the log, or a file that waits to become one: the log's own business.
    Log,
    Manifest(u64),
    /// Large values.
    Blob(u64),
    Current,
    Lock,
    /// Left by a crash in the middle of making a file.
    Temporary,
    /// Not ours: left alone.
    Foreign,
}

pub fn table(id: u64) -> String {
    format!("{id:012}.table")
}

pub fn manifest(number: u64) -> String {
    format!("{number:012}.manifest")
}

pub fn blob(number: u64) -> String {
    format!("{number:012}.blob")
}

/// What the file of a name is.
pub fn kind(name: &str) -> Kind {
    match name {
        CURRENT => return Kind::Current,
        LOCK => return Kind::Lock,
        _ if name.ends_with(".tmp") => return Kind::Temporary,
        _ => {}
    }
    let Some((stem, extension)) = name.split_once('.') else { return Kind::Foreign };
    match (stem.parse::<u64>(), extension) {
        (Ok(number), "table") => Kind::Table(number),
        (Ok(number), _) if is_spare(name) => Kind::Spare(number),
        (Ok(_), "wal" | "spare" | "salvaged") => Kind::Log,
        (Ok(number), "manifest") => Kind::Manifest(number),
        (Ok(number), "blob") => Kind::Blob(number),
        _ => Kind::Foreign,
    }
}

/// Every file of the folder, with what it is.
pub fn list(folder: &Folder) -> Result<Vec<(String, Kind)>, EngineError> {
    let names = folder.list()?;
    Ok(names.into_iter().map(|name| (name.clone(), kind(&name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(kind(&table(7)), Kind::Table(7));
        assert_eq!(kind("000000000004.wal"), Kind::Log);
        assert_eq!(kind("000000000004.retired"), Kind::Spare(4));
        assert_eq!(kind(&manifest(1)), Kind::Manifest(1));
        assert_eq!(kind(&blob(2)), Kind::Blob(2));
        assert_eq!(kind(CURRENT), Kind::Current);
        assert_eq!(kind(LOCK), Kind::Lock);
        assert_eq!(kind("replace.tmp"), Kind::Temporary);
        assert_eq!(kind("notes.txt"), Kind::Foreign);
        assert_eq!(kind("7.retired"), Kind::Foreign);
        assert_eq!(kind("x.table"), Kind::Foreign);
    }
}
