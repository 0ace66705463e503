//! Settings of the engine under test, drawn from a seed: small tables and memtables, so that
//! flushes, compactions and new segments happen all the time.

use quorate::engine::{self, CompressionByLevel, Config, Engine, EngineError, LsmConfig};
use quorate::engine::{Compression, SyncPolicy};
use quorate_strategies::Choice;
use quorate_strategies::compaction::Compaction;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

const STRATEGIES: [&str; 5] = ["leveled", "size_tiered", "lazy_leveled", "time_window", "unified"];
const SYNCS: [SyncPolicy; 3] = [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub strategy: String,
    pub parameters: Map<String, Value>,
    pub lsm: LsmConfig,
    /// Whether a batch may ask for another durability than the setting.
    pub sync_by_batch: bool,
}

impl Settings {
    /// The `turn`-th strategy and durability, round and round; the rest is drawn.
    pub fn draw(turn: u64, random: &mut Xoshiro256PlusPlus) -> Settings {
        let strategy = STRATEGIES[turn as usize % STRATEGIES.len()];
        Settings {
            strategy: strategy.to_string(),
            parameters: parameters(strategy, random),
            lsm: lsm(SYNCS[turn as usize % SYNCS.len()], random),
            sync_by_batch: random.random_bool(0.5),
        }
    }

    /// The same folder under other settings, of a strategy of any name.
    pub fn redraw(random: &mut Xoshiro256PlusPlus) -> Settings {
        Settings::draw(random.random_range(0..15), random)
    }

    pub fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let choice = Choice::<Compaction>::new(&self.strategy, self.parameters.clone());
        let picker = choice.expect("the parameters drawn are in range").build();
        engine::open(&Config::Lsm(self.lsm.clone()), dir, picker)
    }
}

fn parameters(strategy: &str, random: &mut Xoshiro256PlusPlus) -> Map<String, Value> {
    let low = random.random_range(2..5);
    let drawn = match strategy {
        "leveled" => json!({
            "level0_tables": low, "base_mib": 1, "table_mib": 1,
            "level_ratio": random.random_range(2..11),
        }),
        "size_tiered" => json!({"min_threshold": low, "min_run_mib": 1, "table_mib": 1}),
        "lazy_leveled" => json!({"size_ratio": low, "table_mib": 1}),
        "time_window" => json!({"window_s": low - 1, "min_threshold": low, "table_mib": 1}),
        _ => {
            let scaling = ["T2", "T4", "N", "L4"].choose(random);
            json!({"scaling": [scaling], "base_mib": 1, "table_mib": 1})
        }
    };
    drawn.as_object().cloned().unwrap_or_default()
}

fn lsm(sync: SyncPolicy, random: &mut Xoshiro256PlusPlus) -> LsmConfig {
    let one_of = |numbers: &[u64], random: &mut Xoshiro256PlusPlus| {
        numbers[random.random_range(0..numbers.len())]
    };
    LsmConfig {
        sync,
        sync_interval_ms: one_of(&[1, 10, 100], random),
        memtable_mib: one_of(&[1, 1, 2], random),
        memtables: random.random_range(2..6),
        wal_segment_mib: one_of(&[1, 1, 4], random),
        wal_spares: one_of(&[0, 1, 6], random),
        block_kib: one_of(&[1, 4, 16], random),
        block_hash_index: random.random_bool(0.5),
        bloom_bits: one_of(&[0, 10, 10], random) as u32,
        monkey: random.random_bool(0.5),
        cache_mib: one_of(&[0, 1, 8], random),
        pin_index: random.random_bool(0.5),
        compression: compression(random),
        compaction_threads: random.random_range(1..5),
        background_nice: one_of(&[0, 10], random),
        compaction_mib_per_s: one_of(&[0, 0, 0, 20], random),
        spare_tables_mib: one_of(&[0, 2, 1_024], random),
        separate_values_kib: one_of(&[0, 1, 4], random),
    }
}

fn compression(random: &mut Xoshiro256PlusPlus) -> CompressionByLevel {
    use Compression::{Lz4, None, Zstd};
    match random.random_range(0..4) {
        0 => CompressionByLevel::Every(None),
        1 => CompressionByLevel::Every(Lz4),
        2 => CompressionByLevel::Every(Zstd),
        _ => CompressionByLevel::Each(vec![None, Lz4, Zstd]),
    }
}
