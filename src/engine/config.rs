//! What YAML says of the engine: `engine: memory` or `engine: {lsm: {sync: always, …}}`.

use quorate_strategies::nearest;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Which engine a node stores its records in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// An ordered map in memory. Loses everything with the process: for tests and protocol
    /// experiments.
    Memory,
    /// A log-structured merge tree on disk.
    Lsm(LsmConfig),
    /// A B-tree on disk that is copied where it is written: the crate redb.
    Btree(BtreeConfig),
    /// Files of values, one after the other as they came, and a hash index in memory.
    Hash(HashConfig),
}

/// Every engine, as YAML names it.
pub const KINDS: [&str; 4] = ["memory", "lsm", "btree", "hash"];

impl Config {
    /// An engine by its name, with its default settings.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "memory" => Some(Config::Memory),
            "lsm" => Some(Config::Lsm(LsmConfig::default())),
            "btree" => Some(Config::Btree(BtreeConfig::default())),
            "hash" => Some(Config::Hash(HashConfig::default())),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Config::Memory => "memory",
            Config::Lsm(_) => "lsm",
            Config::Btree(_) => "btree",
            Config::Hash(_) => "hash",
        }
    }

    /// The `sync` setting and, in milliseconds, `sync_interval_ms`; None where nothing is kept.
    pub fn sync(&self) -> Option<(SyncPolicy, u64)> {
        match self {
            Config::Memory => None,
            Config::Lsm(lsm) => Some((lsm.sync, lsm.sync_interval_ms)),
            Config::Btree(btree) => Some((btree.sync, btree.sync_interval_ms)),
            Config::Hash(hash) => Some((hash.sync, hash.sync_interval_ms)),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::Lsm(LsmConfig::default())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LsmConfig {
    /// When an acknowledged write is on disk.
    pub sync: SyncPolicy,
    /// Between two synchronisations where `sync` is `interval`: what a power failure may take.
    pub sync_interval_ms: u64,
    /// A memtable is flushed at this size, 1 to 4,096.
    pub memtable_mib: u64,
    /// Memtables that there may be: the one that takes the writes and those that wait for their
    /// flush; 2 to 64.
    pub memtables: u64,
    /// Segments of the write-ahead log are preallocated at this size, 1 to 1,024.
    pub wal_segment_mib: u64,
    /// Segments of the log that are kept to be used again, 0 to 64.
    pub wal_spares: u64,
    /// Uncompressed size of a data block, the unit of reading and checksums; 1 to 1,024.
    pub block_kib: u64,
    /// Whether each block has a hash index for point reads, beside its restart points.
    pub block_hash_index: bool,
    /// Bits per key of each table's Bloom filter, at most 32; 0 turns it off.
    pub bloom_bits: u32,
    /// Whether the bits are spread by level: more for the small levels, fewer for the largest, the
    /// same memory in all (Monkey, SIGMOD 2017).
    pub monkey: bool,
    /// Cache of blocks, at most 1,048,576; 0 turns it off.
    pub cache_mib: u64,
    /// Whether the index of every table stays in memory beside the cache.
    pub pin_index: bool,
    /// Of data blocks: one for all levels, or a list from level 0 on, whose last entry holds for
    /// all that are deeper.
    pub compression: CompressionByLevel,
    /// How far the threads that flush and compact stand back for the processor where others want
    /// it, too: 0 (not at all) to 19.
    pub background_nice: u64,
    /// Threads that compact, 1 to 64. A large job is divided among those that have none.
    pub compaction_threads: u64,
    /// What all of them may write in a second; 0: as much as they can.
    pub compaction_mib_per_s: u64,
    /// Files of tables that were merged, kept on disk for new tables to be written over them, at
    /// most so much of them, and at most 1,048,576; 0: none. Writing into a new file costs more.
    pub spare_tables_mib: u64,
    /// Values from this size on are kept in files of their own and not rewritten by compaction, at
    /// most 1,048,576 (WiscKey, FAST 2016); 0: none.
    pub separate_values_kib: u64,
}

impl Default for LsmConfig {
    fn default() -> Self {
        LsmConfig {
            sync: SyncPolicy::Always,
            sync_interval_ms: 100,
            memtable_mib: 64,
            memtables: 3,
            wal_segment_mib: 16,
            wal_spares: 6,
            block_kib: 4,
            block_hash_index: true,
            bloom_bits: 10,
            monkey: false,
            cache_mib: 64,
            pin_index: false,
            compression: CompressionByLevel::default(),
            background_nice: 10,
            compaction_threads: 2,
            compaction_mib_per_s: 0,
            spare_tables_mib: 1_024,
            separate_values_kib: 0,
        }
    }
}

impl LsmConfig {
    /// Refuses what is out of range, by field, with what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let ranges = [
            ("sync_interval_ms", self.sync_interval_ms, 1, 60_000),
            ("memtable_mib", self.memtable_mib, 1, 4_096),
            ("memtables", self.memtables, 2, 64),
            ("wal_segment_mib", self.wal_segment_mib, 1, 1_024),
            ("wal_spares", self.wal_spares, 0, 64),
            ("block_kib", self.block_kib, 1, 1_024),
            ("bloom_bits", u64::from(self.bloom_bits), 0, 32),
            ("cache_mib", self.cache_mib, 0, 1 << 20),
            ("compaction_threads", self.compaction_threads, 1, 64),
            ("background_nice", self.background_nice, 0, 19),
            ("compaction_mib_per_s", self.compaction_mib_per_s, 0, 1 << 20),
            ("spare_tables_mib", self.spare_tables_mib, 0, 1 << 20),
            ("separate_values_kib", self.separate_values_kib, 0, 1 << 20),
        ];
        check_ranges("lsm", &ranges)?;
        self.compression.check()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BtreeConfig {
    /// When an acknowledged write is on disk. Unlike elsewhere, the death of the process takes what
    /// was not: it is only in its memory.
    pub sync: SyncPolicy,
    /// Between two synchronisations where `sync` is `interval`; 1 to 60,000.
    pub sync_interval_ms: u64,
    /// Cache of pages, read and written; 1 to 1,048,576.
    pub cache_mib: u64,
}

impl Default for BtreeConfig {
    fn default() -> Self {
        BtreeConfig { sync: SyncPolicy::Always, sync_interval_ms: 100, cache_mib: 64 }
    }
}

impl BtreeConfig {
    /// Refuses what is out of range, by field, with what is allowed.
    pub fn check(&self) -> Result<(), String> {
        check_ranges(
            "btree",
            &[
                ("sync_interval_ms", self.sync_interval_ms, 1, 60_000),
                ("cache_mib", self.cache_mib, 1, 1 << 20),
            ],
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashConfig {
    /// When an acknowledged write is on disk.
    pub sync: SyncPolicy,
    /// Between two synchronisations where `sync` is `interval`; 1 to 60,000.
    pub sync_interval_ms: u64,
    /// A file takes no more writes at this size, 1 to 1,024.
    pub file_mib: u64,
    /// A file is merged when so many per cent of it are dead, 10 to 90. Less takes less disk and
    /// copies more.
    pub merge_dead_percent: u64,
}

impl Default for HashConfig {
    fn default() -> Self {
        HashConfig {
            sync: SyncPolicy::Always,
            sync_interval_ms: 100,
            file_mib: 64,
            merge_dead_percent: 50,
        }
    }
}

impl HashConfig {
    /// Refuses what is out of range, by field, with what is allowed.
    pub fn check(&self) -> Result<(), String> {
        check_ranges(
            "hash",
            &[
                ("sync_interval_ms", self.sync_interval_ms, 1, 60_000),
                ("file_mib", self.file_mib, 1, 1_024),
                ("merge_dead_percent", self.merge_dead_percent, 10, 90),
            ],
        )
    }
}

/// The first field that is out of its range, with what is allowed.
fn check_ranges(engine: &str, ranges: &[(&str, u64, u64, u64)]) -> Result<(), String> {
    match ranges.iter().find(|(_, found, low, high)| found < low || found > high) {
        Some((field, found, low, high)) => {
            Err(format!("engine.{engine}.{field} is {found}; allowed: {low} to {high}"))
        }
        None => Ok(()),
    }
}

/// Compression of the data blocks of each level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CompressionByLevel {
    Every(Compression),
    /// From level 0 on; the last entry holds for all that are deeper.
    Each(Vec<Compression>),
}

/// By hand, because a derived one says of a wrong name only that nothing matched.
impl<'de> Deserialize<'de> for CompressionByLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = CompressionByLevel;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("none, lz4 or zstd, or a list of these")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Compression::deserialize(name.into_deserializer()).map(CompressionByLevel::Every)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, each: A) -> Result<Self::Value, A::Error> {
                let each = Vec::deserialize(SeqAccessDeserializer::new(each))?;
                Ok(CompressionByLevel::Each(each))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl Default for CompressionByLevel {
    fn default() -> Self {
        CompressionByLevel::Every(Compression::None)
    }
}

impl CompressionByLevel {
    pub fn of(&self, level: u32) -> Compression {
        match self {
            CompressionByLevel::Every(compression) => *compression,
            CompressionByLevel::Each(each) => {
                let found = each.get(level as usize).or(each.last());
                found.copied().unwrap_or(Compression::None)
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            CompressionByLevel::Each(each) if each.is_empty() => {
                Err("engine.lsm.compression is an empty list; allowed: one entry or more".into())
            }
            _ => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigVisitor)
    }
}

/// Reads `lsm` or `lsm: {settings}`, and the others likewise; the derived form would refuse the
/// bare name.
struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an engine: `memory`, `lsm`, `btree`, `hash`, or `lsm: {settings}`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Config, E> {
        Config::named(name).ok_or_else(|| E::custom(unknown(name)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let name = map.next_key::<String>()?.unwrap_or_default();
        let config = match name.as_str() {
            "memory" => map.next_value::<Option<NoSettings>>().map(|_| Config::Memory)?,
            "lsm" => Config::Lsm(map.next_value::<Option<LsmConfig>>()?.unwrap_or_default()),
            "btree" => Config::Btree(map.next_value::<Option<BtreeConfig>>()?.unwrap_or_default()),
            "hash" => Config::Hash(map.next_value::<Option<HashConfig>>()?.unwrap_or_default()),
            _ => return Err(de::Error::custom(unknown(&name))),
        };
        if let Some(second) = map.next_key::<String>()? {
            let both = format!("one engine at a time: found `{name}` and `{second}`");
            return Err(de::Error::custom(both));
        }
        let checked = match &config {
            Config::Memory => Ok(()),
            Config::Lsm(lsm) => lsm.check(),
            Config::Btree(btree) => btree.check(),
            Config::Hash(hash) => hash.check(),
        };
        checked.map_err(de::Error::custom)?;
        Ok(config)
    }
}

/// `memory: {}` is read; a setting in it is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

fn unknown(found: &str) -> String {
    let near = nearest(found, KINDS);
    let hint = near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
    format!("unknown engine `{found}`{hint}; known: {}", KINDS.join(", "))
}

/// When an acknowledged write is on disk. What the crash of a process takes is otherwise for
/// `btree`: `engine/mod.rs` has a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncPolicy {
    /// Before the acknowledgement; those who wait share one synchronisation.
    Always,
    /// Within the interval. A crash of the process loses nothing, a power failure at most an
    /// interval.
    Interval,
    /// When the operating system pleases. A crash of the process loses nothing.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    None,
    Lz4,
    Zstd,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Node {
        engine: Config,
    }

    fn read(yaml: &str) -> Result<Config, String> {
        let node: Result<Node, _> = serde_yaml::from_str(yaml);
        node.map(|node| node.engine).map_err(|error| error.to_string())
    }

    #[test]
    fn names_and_settings_are_read() {
        assert_eq!(read("engine: memory"), Ok(Config::Memory));
        assert_eq!(read("engine: {memory: {}}"), Ok(Config::Memory));
        assert_eq!(read("engine: lsm"), Ok(Config::default()));
        assert_eq!(read("engine:\n  lsm:\n"), Ok(Config::default()));
        let expected = LsmConfig { sync: SyncPolicy::Never, cache_mib: 0, ..LsmConfig::default() };
        let found = read("engine: {hash: {sync: interval, file_mib: 8}}");
        let sync = SyncPolicy::Interval;
        let hash = HashConfig { sync, file_mib: 8, ..HashConfig::default() };
        assert_eq!(found, Ok(Config::Hash(hash)));
        let found = read("engine: {lsm: {sync: never, cache_mib: 0}}");
        assert_eq!(found, Ok(Config::Lsm(expected)));
    }

    #[test]
    fn a_wrong_compression_is_told_with_those_that_exist() {
        for yaml in ["gzip", "[none, gzip]", "7", "{lz4: 1}"] {
            let error = read(&format!("engine: {{lsm: {{compression: {yaml}}}}}")).unwrap_err();
            let named = ["none", "lz4", "zstd"].iter().all(|name| error.contains(name));
            assert!(named, "{yaml}: {error}");
        }
    }

    #[test]
    fn compression_is_one_or_by_level() {
        let compression = |yaml: &str| match read(yaml) {
            Ok(Config::Lsm(lsm)) => [0, 1, 2, 9].map(|level| lsm.compression.of(level)),
            other => panic!("{other:?}"),
        };
        let found = compression("engine: {lsm: {compression: lz4}}");
        assert_eq!(found, [Compression::Lz4; 4]);
        let found = compression("engine: {lsm: {compression: [none, lz4, zstd]}}");
        use Compression::{Lz4, None, Zstd};
        assert_eq!(found, [None, Lz4, Zstd, Zstd]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for config in KINDS.map(|name| Config::named(name).unwrap()) {
            assert_eq!(read(&format!("engine: {}", config.name())), Ok(config.clone()));
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        }
    }

    #[test]
    fn bad_input_is_named() {
        for (yaml, message) in [
            ("engine: lms", "did you mean `lsm`"),
            ("engine: rocks", "known: memory, lsm, btree, hash"),
            ("engine: b-tree", "did you mean `btree`"),
            ("engine: {hsah: {}}", "did you mean `hash`"),
            ("engine: {btree: {cache_mib: 0}}", "engine.btree.cache_mib is 0; allowed: 1 to"),
            ("engine: {btree: {file_mib: 1}}", "file_mib"),
            (
                "engine: {hash: {merge_dead_percent: 95}}",
                "engine.hash.merge_dead_percent is 95; allowed: 10 to 90",
            ),
            ("engine: {hash: {file_mib: 2000}}", "engine.hash.file_mib is 2000; allowed: 1 to"),
            ("engine: {lsm: {synk: never}}", "synk"),
            ("engine: {lsm: {sync: often}}", "often"),
            ("engine: {lsm: {memtables: 1}}", "engine.lsm.memtables is 1; allowed: 2 to 64"),
            ("engine: {lsm: {compression: []}}", "engine.lsm.compression is an empty list"),
            ("engine: {lsm: {block_kib: 0}}", "engine.lsm.block_kib is 0; allowed: 1 to 1024"),
            ("engine: {lsm: {bloom_bits: 99}}", "engine.lsm.bloom_bits is 99; allowed: 0 to 32"),
            ("engine: {memory: {cache_mib: 1}}", "cache_mib"),
            ("engine: {lsm: {}, memory: {}}", "one engine at a time"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(message), "{yaml}: {error}");
        }
    }
}
