//! What can be set, and what it is otherwise.

use crate::row::Row;
use crate::stores::Kind;
use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Runs the same rows on our engines, RocksDB and fjall, and prints the ratios.
#[derive(Debug, Parser)]
pub struct Flags {
    /// Rows to run; all of them if none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub rows: Vec<Row>,
    /// Stores to run them on.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "quorate,rocksdb,fjall")]
    pub stores: Vec<Kind>,
    /// Records in the filled store [default: 2,000,000, and 500,000 of more than 512 bytes].
    #[arg(long)]
    pub records: Option<u64>,
    /// Sizes of values, at least 16.
    #[arg(long, value_delimiter = ',', default_value = "100,1024")]
    pub value_bytes: Vec<usize>,
    /// Each cell is measured this many times; the median counts.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
    /// Length of the rows that are measured by time.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    #[arg(long, default_value_t = 64)]
    pub memtable_mib: u64,
    #[arg(long, default_value_t = 256)]
    pub cache_mib: u64,
    #[arg(long, value_enum, default_value = "none")]
    pub compression: Compression,
    /// Size of the log that the recovery row replays.
    #[arg(long, default_value_t = 256)]
    pub recovery_mib: u64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Measure a cell again, at most three times, if something else took more than this part of the
    /// machine; the calmest attempt counts.
    #[arg(long)]
    pub calm_percent: Option<f64>,
    /// One round of 1,000,000 records of 100 bytes, three seconds each.
    #[arg(long)]
    pub quick: bool,
    /// Stores lie here while they are measured [default: the folder for temporary files].
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// The cells are written here.
    #[arg(long, default_value = "results/peers")]
    pub out: PathBuf,
    /// Every row once at a tiny size: whether it works, not how fast.
    #[arg(long)]
    pub test: bool,
    /// Given by `cargo bench` itself.
    #[arg(long, hide = true)]
    pub bench: bool,
    /// One cell as JSON: how the parent starts its children.
    #[arg(long, hide = true)]
    pub cell: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    None,
    Lz4,
}

/// What all stores of a run have in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub records: u64,
    pub value_bytes: usize,
    pub seconds: f64,
    pub memtable_mib: u64,
    pub cache_mib: u64,
    pub bloom_bits: u32,
    pub block_kib: u64,
    pub compression: Compression,
    pub recovery_mib: u64,
    pub seed: u64,
}

impl Flags {
    /// The sizes of values to run, the first one only where the run is to be short.
    pub fn sizes(&self) -> &[usize] {
        if self.quick { &self.value_bytes[..1] } else { &self.value_bytes }
    }

    pub fn rounds(&self) -> u32 {
        if self.quick || self.test { 1 } else { self.rounds.max(1) }
    }

    pub fn rows(&self) -> &[Row] {
        if self.rows.is_empty() { Row::value_variants() } else { &self.rows }
    }

    pub fn settings(&self, value_bytes: usize) -> Settings {
        let large = value_bytes > 512;
        let usual = match (self.quick, large) {
            (true, false) => 1_000_000,
            (false, false) => 2_000_000,
            (true, true) => 250_000,
            (false, true) => 500_000,
        };
        let mut settings = Settings {
            records: self.records.unwrap_or(usual),
            value_bytes: value_bytes.max(16),
            seconds: if self.quick { self.seconds.min(3.0) } else { self.seconds },
            memtable_mib: self.memtable_mib,
            cache_mib: self.cache_mib,
            bloom_bits: 10,
            block_kib: 4,
            compression: self.compression,
            recovery_mib: self.recovery_mib,
            seed: self.seed,
        };
        if self.test {
            settings.records = 20_000;
            settings.seconds = 0.1;
            settings.memtable_mib = 1;
            settings.cache_mib = 8;
            settings.recovery_mib = 2;
        }
        settings
    }
}

impl Settings {
    /// Bytes of one record as the user sees it.
    pub fn record_bytes(&self) -> u64 {
        (crate::data::KEY_BYTES + self.value_bytes) as u64
    }
}
