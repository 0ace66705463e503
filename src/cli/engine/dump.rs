//! `quorate engine dump`: entries, one line each.

use super::Place;
use super::escape::{bytes, shown};
use crate::cli::{FAILED, print, say};
use crate::engine::EngineError;
use crate::engine::inspect::{Content, Entries, Entry};
use serde_json::{Value, json};
use std::ops::Bound;
use std::process::ExitCode;

/// Written at once.
const STEP_BYTES: usize = 64 << 10;

/// Print live entries in the order of their keys, or all that one file holds
///
/// Columns, with a tab between two: key, what it is, bytes of its value, value. Keys and values are
/// ASCII with escapes such as \x00.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// From this key on; bytes that are not ASCII as \xNN
    #[arg(long, value_name = "KEY", value_parser = key)]
    from: Option<Key>,
    /// Up to this key, which is left out
    #[arg(long, value_name = "KEY", value_parser = key)]
    to: Option<Key>,
    /// No more than so many entries
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// All that this one file of the folder holds, removed keys and pointers, too: a table
    /// (*.table) or a segment of the log (*.wal), which is in the order of its changes
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

/// A key of any bytes.
#[derive(Clone, Debug)]
struct Key(Vec<u8>);

fn key(text: &str) -> Result<Key, String> {
    bytes(text).map(Key)
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let inspection = args.place.inspect()?;
    let from = args.from.as_ref().map_or(Bound::Unbounded, |key| Bound::Included(&key.0[..]));
    let to = args.to.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key.0[..]));
    let entries = match &args.file {
        Some(name) => inspection.entries_of_file(name, from, to),
        None => inspection.entries(from, to),
    };
    let failed = match entries {
        Ok(entries) => write(entries, args)?,
        Err(
            error @ (EngineError::Crossed { .. }
            | EngineError::Refused { .. }
            | EngineError::Io { .. }),
        ) => return Err(error.into()),
        Err(error) => Some(error),
    };
    let Some(error) = failed else { return Ok(ExitCode::SUCCESS) };
    say(format!("quorate: {error}"));
    Ok(ExitCode::from(FAILED))
}

/// Prints entries until the last or an error, which is the answer.
fn write(entries: Entries<'_>, args: &Args) -> anyhow::Result<Option<EngineError>> {
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut out = String::from(if args.place.json { "[" } else { "" });
    let mut failed = None;
    for (index, entry) in entries.take(limit).enumerate() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        if args.place.json {
            out.push_str(if index == 0 { "\n  " } else { ",\n  " });
            out.push_str(&as_json(&entry).to_string());
        } else {
            out.push_str(&as_line(&entry));
        }
        if out.len() >= STEP_BYTES {
            print(&out)?;
            out.clear();
        }
    }
    out.push_str(if args.place.json { "\n]\n" } else { "" });
    print(&out)?;
    Ok(failed)
}

fn as_line(entry: &Entry) -> String {
    let (key, expires_s) = (shown(&entry.key), entry.expires_s);
    let expires = if expires_s == 0 { String::new() } else { format!(" until {expires_s}") };
    match &entry.content {
        Content::Tombstone => format!("{key}\tremoved\t0\t\n"),
        Content::Value(value) => {
            format!("{key}\tvalue{expires}\t{}\t{}\n", value.len(), shown(value))
        }
        Content::Elsewhere { file, offset, bytes } => {
            format!("{key}\tpointer{expires}\t{bytes}\t{file} at {offset}\n")
        }
    }
}

fn as_json(entry: &Entry) -> Value {
    let key = shown(&entry.key);
    let mut document = match &entry.content {
        Content::Tombstone => json!({"key": key, "kind": "removed"}),
        Content::Value(value) => json!({"key": key, "kind": "value", "value": shown(value)}),
        Content::Elsewhere { file, offset, bytes } => {
            json!({"key": key, "kind": "pointer", "file": file, "offset": offset, "bytes": bytes})
        }
    };
    if entry.expires_s > 0 {
        document["expires_s"] = json!(entry.expires_s);
    }
    if let Some(sequence) = entry.sequence {
        document["sequence"] = json!(sequence);
    }
    document
}
