//! The settings in the units that the code works in.

use crate::engine::{HashConfig, SyncPolicy};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone)]
pub struct Options {
    pub sync: SyncPolicy,
    pub sync_interval: Duration,
    pub file_bytes: u64,
    pub merge_dead_percent: u64,
    /// Tells this folder's files from others, if the folder is new.
    pub store: u64,
    /// No threads: who commits merges, too, so that a run can be repeated.
    pub inline: bool,
    /// Seconds since 1970.
    pub now_s: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Options {
    pub fn new(config: &HashConfig) -> Self {
        Options {
            sync: config.sync,
            sync_interval: Duration::from_millis(config.sync_interval_ms),
            file_bytes: config.file_mib << 20,
            merge_dead_percent: config.merge_dead_percent,
            store: RandomState::new().hash_one("a new store"),
            inline: false,
            now_s: Arc::new(|| {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
            }),
        }
    }
}
