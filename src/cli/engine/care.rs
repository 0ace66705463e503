//! `quorate engine snapshot`, `restore` and `salvage`: the engine is opened, and closed again.

use super::look::damage_lines;
use super::{Place, engine_folder};
use crate::cli::{FAILED, print, print_json, say};
use crate::engine::inspect::{Inspection, Survey};
use crate::engine::{Engine, Lsm, LsmConfig};
use quorate_strategies::compaction::{Job, Picker, View};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a copy by hard links, which takes no space, in an empty or new folder of the same disk
#[derive(Debug, clap::Args)]
pub(super) struct Snapshot {
    #[command(flatten)]
    place: Place,
    /// Where the copy goes
    #[arg(value_name = "TARGET")]
    target: PathBuf,
}

/// Verify a snapshot, and make an engine of it by hard links in an empty or new folder
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The snapshot, which stays
    #[arg(value_name = "SNAPSHOT")]
    snapshot: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Keep what is before a hole in the log, and set aside what is behind it in files *.salvaged
///
/// What is set aside is lost to this engine: in a cluster the other replicas have it.
#[derive(Debug, clap::Args)]
pub(super) struct Salvage {
    #[command(flatten)]
    place: Place,
}

/// Never compacts: who cares for a folder changes as little as can be.
struct Idle;

impl Picker for Idle {
    fn pick(&self, _: &View<'_>) -> Option<Job> {
        None
    }
}

pub(super) fn snapshot(args: &Snapshot) -> anyhow::Result<ExitCode> {
    let dir = engine_folder(&args.place.dir);
    // An engine that is opened is made where there is none: this looks first.
    let survey = Inspection::open(&dir)?.stats();
    if !survey.damage.is_empty() {
        return Ok(refuse(&survey, "nothing was copied"));
    }
    link(&dir, &args.target)?;
    tell(&args.place, "snapshot", &dir, &args.target)
}

/// Names every damage.
fn refuse(survey: &Survey, what: &str) -> ExitCode {
    say(format!("{}quorate: {what}", damage_lines(survey)));
    ExitCode::from(FAILED)
}

fn link(from: &Path, to: &Path) -> anyhow::Result<()> {
    let engine = Lsm::open(&LsmConfig::default(), from, Box::new(Idle))?;
    engine.snapshot(to)?;
    engine.close()?;
    Ok(())
}

fn tell(place: &Place, what: &str, from: &Path, to: &Path) -> anyhow::Result<ExitCode> {
    let (from, to) = (from.display().to_string(), to.display().to_string());
    if place.json {
        print_json(&json!({"done": what, "from": from, "to": to}))?;
    } else {
        print(format!("{what} of {from} in {to}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(args: &Restore) -> anyhow::Result<ExitCode> {
    let from = engine_folder(&args.snapshot);
    let to = engine_folder(&args.place.dir);
    let survey = Inspection::open(&from)?.verify();
    if !survey.damage.is_empty() {
        return Ok(refuse(&survey, "nothing was restored"));
    }
    link(&from, &to)?;
    tell(&args.place, "restored", &from, &to)
}

pub(super) fn salvage(args: &Salvage) -> anyhow::Result<ExitCode> {
    let dir = engine_folder(&args.place.dir);
    let survey = Inspection::open(&dir)?.stats();
    let has_hole = survey.log.as_ref().is_some_and(|log| log.has_hole);
    if survey.damage.len() > usize::from(has_hole) {
        let what = "nothing was salvaged: a salvage mends the log alone, and there is other damage";
        return Ok(refuse(&survey, what));
    }
    if !has_hole {
        let said = "the log has no hole: nothing was changed";
        return say_salvaged(&args.place, json!({"salvaged": false}), said);
    }
    let (engine, replayed) = Lsm::salvage(&LsmConfig::default(), &dir, Box::new(Idle))?;
    engine.close()?;
    let mut segments = Vec::new();
    let mut hole = None;
    if let Some(salvaged) = replayed.salvaged {
        segments = salvaged.segments;
        segments.extend(salvaged.cut.map(|(number, _)| number));
        segments.sort_unstable();
        hole = Some(salvaged.hole.to_string());
    }
    let aside: Vec<_> = segments.iter().map(|number| format!("{number:012}.salvaged")).collect();
    let (records, last) = (replayed.records, replayed.last_sequence);
    let said = format!(
        "kept {records} records of the log, up to change {last}\nset aside: {}",
        if aside.is_empty() { "nothing".to_string() } else { aside.join(", ") }
    );
    let document = json!({
        "salvaged": true,
        "hole": hole,
        "kept_records": records,
        "last_sequence": last,
        "set_aside": aside,
    });
    say_salvaged(&args.place, document, &said)
}

fn say_salvaged(
    place: &Place,
    document: serde_json::Value,
    said: &str,
) -> anyhow::Result<ExitCode> {
    if place.json {
        print_json(&document)?
    } else {
        print(format!("{said}\n"))?
    }
    Ok(ExitCode::SUCCESS)
}
