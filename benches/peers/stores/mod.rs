//! The few calls that the rows make, on each store with the same settings.

mod fjall;
mod quorate;
mod rocksdb;

use crate::Outcome;
use crate::settings::Settings;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Takes a key and its value.
pub type Each<'a> = dyn FnMut(&[u8], &[u8]) -> Outcome<()> + 'a;

/// An open store. Values are shown where they lie, so that each store may answer as it does best.
pub trait Store: Send + Sync {
    /// Returns once the record is as durable as the store was opened for.
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()>;

    /// Shows the value, if there is one, and says whether there was.
    fn get(&self, key: &[u8], show: &mut dyn FnMut(&[u8]) -> Outcome<()>) -> Outcome<bool>;

    /// Shows at most `limit` records from `from` on, and says how many.
    fn scan(&self, from: &[u8], limit: usize, each: &mut Each<'_>) -> Outcome<usize>;

    /// Brings everything from memory into tables and waits until compactions rest.
    fn settle(&self) -> Outcome<()>;

    /// Bytes that flushes and compactions wrote since the store was opened, if it counts them.
    fn table_bytes_written(&self) -> Outcome<Option<u64>>;

    fn tables(&self) -> Outcome<u64>;

    fn close(self: Box<Self>) -> Outcome<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Our LSM.
    Quorate,
    Rocksdb,
    Fjall,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Quorate => "quorate",
            Kind::Rocksdb => "rocksdb",
            Kind::Fjall => "fjall",
        }
    }

    pub fn is_peer(self) -> bool {
        matches!(self, Kind::Rocksdb | Kind::Fjall)
    }

    /// What is set besides what all have in common.
    pub fn about(self) -> &'static str {
        match self {
            Kind::Quorate => quorate::ABOUT,
            Kind::Rocksdb => rocksdb::ABOUT,
            Kind::Fjall => fjall::ABOUT,
        }
    }

    /// Opens or makes the store in `folder`. `synced`: a put waits for its `fdatasync`; otherwise
    /// it waits for its `write(2)`, which a kill of the process cannot take back.
    pub fn open(self, settings: &Settings, folder: &Path, synced: bool) -> Outcome<Box<dyn Store>> {
        Ok(match self {
            Kind::Quorate => Box::new(quorate::open(settings, folder, synced)?),
            Kind::Rocksdb => Box::new(rocksdb::open(settings, folder, synced)?),
            Kind::Fjall => Box::new(fjall::open(settings, folder, synced)?),
        })
    }
}
