//! The parent: which cells run, in what order, on what ground.

use crate::Outcome;
use crate::cell::{Cell, Measurement};
use crate::process;
use crate::report;
use crate::row::{Ground, Row};
use crate::settings::{Flags, Settings};
use crate::stores::Kind;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Memtables of the row `recovery`, as a multiple of the log: nothing may be flushed before.
pub const RECOVERY_MEMTABLE: u64 = 4;
/// Attempts at a cell that others disturb; the calmest counts, whatever its figure.
const TRIES: u32 = 4;

/// Runs what the flags say; false if a cell failed.
pub fn run(flags: &Flags) -> Outcome<bool> {
    let parent = flags.dir.clone().unwrap_or_else(std::env::temp_dir);
    let place = tempfile::Builder::new().prefix("peers-").tempdir_in(&parent)?;
    let mut run = Run { flags, folder: place.path().to_path_buf(), done: Vec::new(), failed: 0 };
    for &value_bytes in flags.sizes() {
        run.size(&flags.settings(value_bytes))?;
    }
    let report = report::render(flags, &process::machine(&parent)?, &run.done);
    if !flags.test {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        report::save(&flags.out.join(seconds.to_string()), &report, &run.done)?;
    }
    // Whoever reads only the head of the tables has the rest in a file.
    let _ = writeln!(std::io::stdout(), "{report}");
    Ok(run.failed == 0)
}

struct Run<'a> {
    flags: &'a Flags,
    folder: PathBuf,
    done: Vec<Measurement>,
    failed: usize,
}

impl Run<'_> {
    fn size(&mut self, settings: &Settings) -> Outcome<()> {
        let stores = &self.flags.stores;
        for round in 0..self.flags.rounds() {
            for row in self.rows() {
                for turn in 0..stores.len() {
                    let store = stores[(turn + round as usize) % stores.len()];
                    let cell = self.cell(row, store, round, settings);
                    self.run(&cell)?;
                }
            }
            for entry in fs::read_dir(&self.folder)? {
                fs::remove_dir_all(entry?.path())?;
            }
        }
        Ok(())
    }

    /// The rows in their own order, led by `fill` if another one stands on what it leaves.
    fn rows(&self) -> Vec<Row> {
        let mut rows = self.flags.rows().to_vec();
        let stands = |row: &Row| matches!(row.ground(), Ground::Filled | Ground::Copy);
        if rows.iter().any(stands) {
            rows.push(Row::Fill);
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn filled(&self, store: Kind) -> PathBuf {
        self.folder.join(format!("{}-filled", store.name()))
    }

    fn cell(&self, row: Row, store: Kind, round: u32, settings: &Settings) -> Cell {
        let folder = match row {
            Row::Fill => self.filled(store),
            _ if row.ground() == Ground::Filled => self.filled(store),
            _ => self.folder.join(format!("{}-scratch", store.name())),
        };
        let mut settings = settings.clone();
        if row == Row::Recovery {
            settings.records = (settings.recovery_mib << 20) / settings.record_bytes();
            settings.memtable_mib = settings.recovery_mib * RECOVERY_MEMTABLE;
        }
        Cell { row, store, round, settings, folder, fills_log: false }
    }

    /// Measures a cell, and again while the machine had other things to do.
    fn run(&mut self, cell: &Cell) -> Outcome<()> {
        let mut calmest: Option<Measurement> = None;
        for _ in 0..TRIES {
            match self.prepare(cell).and_then(|()| process::measure(cell)) {
                Ok(found) => {
                    self.note(&found);
                    let others = found.others_percent;
                    if calmest.as_ref().is_none_or(|calmest| others < calmest.others_percent) {
                        calmest = Some(found);
                    }
                    if self.flags.calm_percent.is_none_or(|limit| others <= limit) {
                        break;
                    }
                }
                Err(error) => {
                    self.failed += 1;
                    eprintln!("{} on {} failed: {error}", cell.row.name(), cell.store.name());
                    break;
                }
            }
        }
        self.done.extend(calmest);
        if cell.row != Row::Fill && cell.row.ground() != Ground::Filled {
            remove(&cell.folder)?;
        }
        Ok(())
    }

    fn note(&self, found: &Measurement) {
        eprintln!(
            "{:>5} B  round {}  {:<18} {:<8} {:>12.1}  others {:.0} %",
            found.value_bytes,
            found.round + 1,
            found.row.name(),
            found.store.name(),
            found.figure,
            found.others_percent,
        );
    }

    /// Lays the ground, and leaves no dirty pages to the cell.
    fn prepare(&self, cell: &Cell) -> Outcome<()> {
        if cell.row.ground() != Ground::Filled {
            remove(&cell.folder)?;
        }
        match cell.row.ground() {
            Ground::Nothing => fs::create_dir_all(&cell.folder)?,
            Ground::Filled => {}
            Ground::Copy => process::copy(&self.filled(cell.store), &cell.folder)?,
            Ground::Killed => {
                fs::create_dir_all(&cell.folder)?;
                process::fill_and_kill(&Cell { fills_log: true, ..cell.clone() })?;
            }
        }
        rustix::fs::sync();
        Ok(())
    }
}

fn remove(folder: &Path) -> Outcome<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}
