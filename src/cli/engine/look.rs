//! `quorate engine stats` and `verify`: tables of what is there, and every damage.

use super::Place;
use super::escape::shown;
use crate::cli::{FAILED, print, print_json, text};
use crate::engine::inspect::{FileFacts, LogFacts, Survey, TableFacts};
use crate::engine::{EngineError, table};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Keys are cut at so many characters in a table.
const KEY_CHARACTERS: usize = 24;

/// Read everything and list every damage, with file, offset, and what was expected and found
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
}

/// Show the tables, the log, the files of large values, and what is left over
#[derive(Debug, clap::Args)]
pub(super) struct Stats {
    #[command(flatten)]
    place: Place,
}

pub(super) fn verify(args: &Verify) -> anyhow::Result<ExitCode> {
    let survey = args.place.inspect()?.verify();
    show(&survey, args.place.json, checked(&survey))
}

pub(super) fn stats(args: &Stats) -> anyhow::Result<ExitCode> {
    let survey = args.place.inspect()?.stats();
    show(&survey, args.place.json, tables(&survey) + &levels(&survey))
}

fn show(survey: &Survey, json: bool, head: String) -> anyhow::Result<ExitCode> {
    match json {
        true => print_json(&as_json(survey))?,
        false => print(head + &log(survey.log.as_ref()) + &blobs(survey) + &rest(survey))?,
    }
    let sound = survey.damage.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// What every damage says, one line each.
pub(super) fn damage_lines(survey: &Survey) -> String {
    survey.damage.iter().map(|error| format!("damage: {error}\n")).collect()
}

fn row<const N: usize>(cells: [String; N]) -> Vec<String> {
    cells.to_vec()
}

fn heading<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_string).to_vec()
}

fn short(key: &[u8]) -> String {
    let text = shown(key);
    match text.char_indices().nth(KEY_CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn place(table: &TableFacts) -> (String, String) {
    let unknown = || "?".to_string();
    table.place.map_or((unknown(), unknown()), |(level, run)| (level.to_string(), run.to_string()))
}

/// A number with the word for what it counts.
fn count(number: impl TryInto<u64>, word: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

/// Rows below a heading; nothing where there is no row.
fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    if rows.len() > 1 { text::columns(rows, right) } else { String::new() }
}

fn tables(survey: &Survey) -> String {
    let mut rows = vec![heading([
        "table",
        "level",
        "run",
        "bytes",
        "entries",
        "tombstones",
        "changes",
        "written (s)",
        "first key",
        "last key",
    ])];
    for table in &survey.tables {
        let (level, run) = place(table);
        let properties = &table.properties;
        let origin = properties.origin;
        rows.push(row([
            table.name.clone(),
            level,
            run,
            table.bytes.to_string(),
            properties.entries.to_string(),
            properties.tombstones.to_string(),
            format!("{}–{}", origin.min_sequence, origin.max_sequence),
            written(origin),
            short(&properties.first_key),
            short(&properties.last_key),
        ]));
    }
    manifest(survey) + &columns(&rows, &[1, 2, 3, 4, 5])
}

/// When the oldest and the newest entry came from memory, in seconds since 1970.
fn written(origin: table::Origin) -> String {
    match origin.min_written_s == origin.max_written_s {
        true => origin.min_written_s.to_string(),
        false => format!("{}–{}", origin.min_written_s, origin.max_written_s),
    }
}

fn manifest(survey: &Survey) -> String {
    match &survey.manifest {
        Some(manifest) => format!(
            "{}: {}, with every change up to {}\n",
            manifest.name,
            count(manifest.tables, "table"),
            manifest.flushed_sequence
        ),
        None => "the manifest cannot be read: every table is looked at by itself\n".into(),
    }
}

fn levels(survey: &Survey) -> String {
    let mut levels = std::collections::BTreeMap::<u32, (u64, u64, u64)>::new();
    for table in &survey.tables {
        let Some((level, _)) = table.place else { continue };
        let (tables, bytes, entries) = levels.entry(level).or_default();
        *tables += 1;
        *bytes += table.bytes;
        *entries += table.properties.entries;
    }
    let line = |(level, (tables, bytes, entries)): (&u32, &(u64, u64, u64))| {
        let tables = count(*tables, "table");
        format!("level {level}: {tables}, {bytes} bytes, entries: {entries}\n")
    };
    levels.iter().map(line).collect()
}

fn checked(survey: &Survey) -> String {
    let mut rows =
        vec![heading(["table", "level", "blocks", "bytes", "entries", "tombstones", ""])];
    for table in &survey.tables {
        let counted = |count: fn(&table::Verified) -> u64| {
            table.verified.as_ref().map_or("?".to_string(), |found| count(found).to_string())
        };
        rows.push(row([
            table.name.clone(),
            place(table).0,
            counted(|found| found.blocks),
            table.bytes.to_string(),
            counted(|found| found.entries),
            counted(|found| found.tombstones),
            if table.verified.is_some() { "sound" } else { "DAMAGED" }.into(),
        ]));
    }
    manifest(survey) + &columns(&rows, &[1, 2, 3, 4, 5])
}

fn log(log: Option<&LogFacts>) -> String {
    let Some(log) = log else { return String::new() };
    let mut text = format!(
        "log: {} with {} of {} bytes, up to change {}; not in a table: {}\n",
        count(log.segments.len(), "segment"),
        count(log.records, "record"),
        log.record_bytes,
        log.last_sequence,
        count(log.unflushed_changes, "change"),
    );
    if log.has_hole {
        text.push_str("log: this is what is before the damage; `salvage` keeps it\n");
    }
    if let Some(torn) = &log.torn {
        text.push_str(&format!(
            "log: a write was cut short at {}, byte {}; {} bytes of it go, which nobody was \
             promised\n",
            torn.path.display(),
            torn.offset,
            log.dropped_bytes
        ));
    }
    if !log.idle.is_empty() {
        let bytes: u64 = log.idle.iter().map(|file| file.bytes).sum();
        let files = count(log.idle.len(), "file");
        text.push_str(&format!("log: {files} of {bytes} bytes without a record that counts\n"));
    }
    text
}

fn spares(survey: &Survey) -> String {
    if survey.spares.is_empty() {
        return String::new();
    }
    let bytes: u64 = survey.spares.iter().map(|file| file.bytes).sum();
    let files = count(survey.spares.len(), "file");
    format!("{files} of {bytes} bytes of former tables, to be written over by new ones\n")
}

fn blobs(survey: &Survey) -> String {
    let line = |blob: &crate::engine::inspect::BlobFacts| {
        format!("{}: {} bytes of large values, {} live\n", blob.name, blob.bytes, blob.live_bytes)
    };
    survey.blobs.iter().map(line).collect()
}

/// What belongs to nobody, what could not be looked at, and the verdict.
fn rest(survey: &Survey) -> String {
    let file = |what: &str, files: &[FileFacts]| -> String {
        files.iter().map(|file| format!("{what}: {}, {} bytes\n", file.name, file.bytes)).collect()
    };
    let unchecked: String =
        survey.unchecked.iter().map(|what| format!("not looked at: {what}\n")).collect();
    let verdict = match survey.damage.len() {
        0 => "no damage found\n".to_string(),
        found => format!("{} found\n", count(found, "damage")),
    };
    [
        spares(survey),
        file("orphan (removed at the next open)", &survey.orphans),
        file("stranger (left alone)", &survey.strangers),
        unchecked,
        damage_lines(survey),
        verdict,
    ]
    .concat()
}

fn as_json(survey: &Survey) -> Value {
    let files = |files: &[FileFacts]| -> Vec<Value> {
        files.iter().map(|file| json!({"file": file.name, "bytes": file.bytes})).collect()
    };
    let manifest = survey.manifest.as_ref().map(|manifest| {
        json!({
            "file": manifest.name,
            "tables": manifest.tables,
            "flushed_sequence": manifest.flushed_sequence,
        })
    });
    let blobs = survey
        .blobs
        .iter()
        .map(|blob| json!({"file": blob.name, "bytes": blob.bytes, "live_bytes": blob.live_bytes}));
    json!({
        "manifest": manifest,
        "tables": survey.tables.iter().map(table_json).collect::<Vec<_>>(),
        "log": survey.log.as_ref().map(|log| log_json(log, files(&log.idle))),
        "blobs": blobs.collect::<Vec<_>>(),
        "spares": files(&survey.spares),
        "orphans": files(&survey.orphans),
        "strangers": files(&survey.strangers),
        "unchecked": survey.unchecked,
        "damage": survey.damage.iter().map(damage_json).collect::<Vec<_>>(),
    })
}

fn table_json(table: &TableFacts) -> Value {
    let properties = &table.properties;
    let origin = properties.origin;
    let verified = table.verified.as_ref().map(|found| {
        json!({
            "entries": found.entries,
            "tombstones": found.tombstones,
            "blocks": found.blocks,
            "partitions": found.partitions,
        })
    });
    let references = properties.blob_references.iter();
    json!({
        "file": table.name,
        "level": table.place.map(|(level, _)| level),
        "run": table.place.map(|(_, run)| run),
        "bytes": table.bytes,
        "entries": properties.entries,
        "tombstones": properties.tombstones,
        "first_key": shown(&properties.first_key),
        "last_key": shown(&properties.last_key),
        "min_sequence": origin.min_sequence,
        "max_sequence": origin.max_sequence,
        "min_written_s": origin.min_written_s,
        "max_written_s": origin.max_written_s,
        "raw_key_bytes": properties.raw_key_bytes,
        "raw_value_bytes": properties.raw_value_bytes,
        "blob_references": references
            .map(|(number, bytes)| json!({"number": number, "bytes": bytes}))
            .collect::<Vec<_>>(),
        "verified": verified,
    })
}

fn log_json(log: &LogFacts, idle: Vec<Value>) -> Value {
    let segments = log.segments.iter().map(|segment| {
        let (file, bytes) = (&segment.name, segment.bytes);
        json!({"file": file, "bytes": bytes, "last_sequence": segment.last_sequence})
    });
    let torn = log.torn.as_ref().map(|torn| {
        json!({
            "path": torn.path.display().to_string(),
            "offset": torn.offset,
            "bytes": log.dropped_bytes,
        })
    });
    json!({
        "segments": segments.collect::<Vec<_>>(),
        "records": log.records,
        "record_bytes": log.record_bytes,
        "unflushed_changes": log.unflushed_changes,
        "last_sequence": log.last_sequence,
        "torn": torn,
        "has_hole": log.has_hole,
        "idle": idle,
    })
}

fn damage_json(error: &EngineError) -> Value {
    match error {
        EngineError::Corrupt { path, offset, expected, found } => {
            json!({"path": path, "offset": offset, "expected": expected, "found": found})
        }
        EngineError::Refused { path, what } => json!({"path": path, "found": what}),
        EngineError::Io { path, source } => json!({"path": path, "found": source.to_string()}),
        other => json!({"found": other.to_string()}),
    }
}
