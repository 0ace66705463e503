//! What a child does: one row on one store.

use crate::Outcome;
use crate::check::holds;
use crate::data::Values;
use crate::drive::{Tally, Until, drive};
use crate::operations::Operations;
use crate::process::{self, Ticks};
use crate::row::Row;
use crate::settings::Settings;
use crate::stores::{Kind, Store};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Overwrites for each record in the row `overwrite`.
const OVERWRITES: u64 = 3;
/// How long a child whose log is full waits to be killed.
const KILLED_WITHIN: Duration = Duration::from_secs(60);
/// Stands in for the round in the draws that warm a store up.
const WARMING: u32 = u16::MAX as u32;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    pub row: Row,
    pub store: Kind,
    pub round: u32,
    pub settings: Settings,
    pub folder: PathBuf,
    /// Fills the log and waits to be killed, for `recovery` to be measured next.
    pub fills_log: bool,
}

/// One line of the results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub row: Row,
    pub store: Kind,
    pub value_bytes: usize,
    pub records: u64,
    pub round: u32,
    /// Operations a second; milliseconds for `recovery`.
    pub figure: f64,
    pub operations: u64,
    /// Writes a second beside the reads, in `read-while-writing`.
    pub writes_beside: Option<f64>,
    pub p50_us: f64,
    pub p99_us: f64,
    /// The longest single operation.
    pub longest_ms: f64,
    pub worst_second_over_median: Option<f64>,
    /// Bytes written to the disk until compactions rested, for each byte of the user.
    pub write_amplification: Option<f64>,
    /// The same of tables alone, by the store's own count.
    pub table_write_amplification: Option<f64>,
    pub settle_s: Option<f64>,
    /// Of all threads of the process, those in the background included, for each operation.
    pub cpu_us: f64,
    pub peak_rss_mib: f64,
    /// The machine's load of the last minute when the cell began.
    pub load_before: f64,
    /// The part of the machine that was busy elsewhere, the kernel's own threads included.
    pub others_percent: f64,
}

pub fn run_as_child(json: &str) -> Outcome<()> {
    let cell: Cell = serde_json::from_str(json)?;
    if cell.fills_log {
        return cell.fill_log();
    }
    let measurement = cell.measure()?;
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

impl Cell {
    fn measure(&self) -> Outcome<Measurement> {
        let load = process::load()?;
        let mut measurement = match self.row {
            Row::Fill | Row::Overwrite => self.write_all()?,
            Row::FillSync1 | Row::FillSync16 => self.write_synced()?,
            Row::Recovery => self.recover()?,
            _ => self.read()?,
        };
        measurement.load_before = load;
        Ok(measurement)
    }

    fn open(&self) -> Outcome<Box<dyn Store>> {
        self.store.open(&self.settings, &self.folder, self.row.is_synced())
    }

    fn values(&self) -> Values {
        Values::new(self.settings.seed, self.settings.value_bytes)
    }

    fn operations<'a>(
        &'a self,
        row: Row,
        store: &'a dyn Store,
        values: &'a Values,
        turn: u32,
    ) -> Operations<'a> {
        Operations { row, settings: &self.settings, store, values, turn }
    }

    fn measurement(&self, tally: &Tally, since: Ticks) -> Outcome<Measurement> {
        let now = Ticks::now()?;
        Ok(Measurement {
            row: self.row,
            store: self.store,
            value_bytes: self.settings.value_bytes,
            records: self.settings.records,
            round: self.round,
            figure: tally.rate(),
            operations: tally.operations,
            writes_beside: None,
            p50_us: tally.latencies.value_at_quantile(0.5) as f64 / 1e3,
            p99_us: tally.latencies.value_at_quantile(0.99) as f64 / 1e3,
            longest_ms: tally.latencies.max() as f64 / 1e6,
            worst_second_over_median: tally.worst_second(),
            write_amplification: None,
            table_write_amplification: None,
            settle_s: None,
            cpu_us: now.own_us_since(since) / tally.operations.max(1) as f64,
            peak_rss_mib: process::peak_rss_mib()?,
            load_before: 0.0,
            others_percent: now.others_percent_since(since),
        })
    }

    /// `fill` and `overwrite`: a number of writes, then the debt that they leave.
    fn write_all(&self) -> Outcome<Measurement> {
        let (store, values) = (self.open()?, self.values());
        let operations = self.operations(self.row, &*store, &values, self.round);
        let each = if self.row == Row::Fill { 1 } else { OVERWRITES };
        let ends: Vec<_> = (0..self.row.threads())
            .map(|thread| Until::Operations(each * operations.records_of(thread)))
            .collect();
        let (before, since) = (process::written_bytes()?, Ticks::now()?);
        let tallies = drive(&ends, |thread| operations.prepare(thread))?;
        let counts: Vec<_> = tallies.iter().map(|tally| tally.operations).collect();
        let tally = Tally::sum(tallies)?;
        let settling = Instant::now();
        store.settle()?;
        let settled = settling.elapsed();
        let user = (tally.operations * self.settings.record_bytes()) as f64;
        let written = process::written_bytes()? - before;
        let mut measurement = self.measurement(&tally, since)?;
        measurement.write_amplification = Some(written as f64 / user);
        measurement.table_write_amplification =
            store.table_bytes_written()?.map(|bytes| bytes as f64 / user);
        measurement.settle_s = Some(settled.as_secs_f64());
        holds(&*store, &values, &operations.expected(&counts))?;
        store.close()?;
        Ok(measurement)
    }

    /// As many synced writes as the time allows.
    fn write_synced(&self) -> Outcome<Measurement> {
        let (store, values) = (self.open()?, self.values());
        let operations = self.operations(self.row, &*store, &values, self.round);
        let ends = vec![self.time(); self.row.threads()];
        let since = Ticks::now()?;
        let tallies = drive(&ends, |thread| operations.prepare(thread))?;
        let counts: Vec<_> = tallies.iter().map(|tally| tally.operations).collect();
        let measurement = self.measurement(&Tally::sum(tallies)?, since)?;
        holds(&*store, &values, &operations.expected(&counts))?;
        store.close()?;
        Ok(measurement)
    }

    /// The rows that read a filled store, and those that read and write it.
    fn read(&self) -> Outcome<Measurement> {
        let (store, values) = (self.open()?, self.values());
        self.warm(&*store, &values)?;
        let operations = self.operations(self.row, &*store, &values, self.round);
        let ends = vec![self.time(); self.row.threads()];
        let since = Ticks::now()?;
        let mut tallies = drive(&ends, |thread| operations.prepare(thread))?;
        let mut measurement;
        if self.row == Row::ReadWhileWriting {
            let writer = tallies.remove(0);
            let reader = Tally::sum(tallies)?;
            measurement = self.measurement(&reader, since)?;
            measurement.writes_beside = Some(writer.rate());
            let both = (reader.operations + writer.operations).max(1);
            measurement.cpu_us *= reader.operations as f64 / both as f64;
        } else {
            measurement = self.measurement(&Tally::sum(tallies)?, since)?;
        }
        store.close()?;
        Ok(measurement)
    }

    /// The same number of reads for every store: enough to draw each block twice.
    fn warm(&self, store: &dyn Store, values: &Values) -> Outcome<()> {
        let settings = &self.settings;
        let blocks = settings.records * settings.record_bytes() / (settings.block_kib << 10);
        let reads = (settings.records / 4).max(2 * blocks);
        let row = if self.row == Row::Scan100 { Row::Scan100 } else { Row::ReadHit };
        let count = if row == Row::Scan100 { reads / 100 } else { reads };
        let operations = self.operations(row, store, values, WARMING);
        drive(&[Until::Operations(count / 2); 2], |thread| operations.prepare(thread))?;
        Ok(())
    }

    fn time(&self) -> Until {
        Until::Elapsed(Duration::from_secs_f64(self.settings.seconds))
    }

    fn fill_log(&self) -> Outcome<()> {
        let (store, values) = (self.open()?, self.values());
        let operations = self.operations(self.row, &*store, &values, self.round);
        let ends: Vec<_> = (0..self.row.threads())
            .map(|thread| Until::Operations(operations.records_of(thread)))
            .collect();
        drive(&ends, |thread| operations.prepare(thread))?;
        if store.tables()? > 0 {
            return Err("the memtable was flushed before the kill".into());
        }
        println!("{}", process::READY);
        std::io::stdout().flush()?;
        std::thread::sleep(KILLED_WITHIN);
        Err("nobody killed the child that filled the log".into())
    }

    /// The time from opening to the first answer.
    fn recover(&self) -> Outcome<Measurement> {
        let values = self.values();
        let (started, since) = (Instant::now(), Ticks::now()?);
        let store = self.open()?;
        let last = crate::data::key(self.settings.records - 1);
        let found = store.get(&last, &mut |_| Ok(()))?;
        let elapsed = started.elapsed();
        if !found {
            return Err("the last record is gone after the kill".into());
        }
        let mut measurement = self.measurement(&Tally::sum(Vec::new())?, since)?;
        measurement.figure = elapsed.as_secs_f64() * 1e3;
        measurement.cpu_us /= self.settings.records as f64;
        let operations = self.operations(self.row, &*store, &values, self.round);
        let counts: Vec<_> =
            (0..self.row.threads()).map(|thread| operations.records_of(thread)).collect();
        holds(&*store, &values, &operations.expected(&counts))?;
        store.close()?;
        Ok(measurement)
    }
}
