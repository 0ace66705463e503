//! The rows of the table: what each asks of a store.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Row {
    /// Every record once in random order, by 2 threads, one record to a commit, log not synced.
    Fill,
    /// As `fill`, by 1 thread, each commit synced.
    #[value(name = "fill-sync-1")]
    #[serde(rename = "fill-sync-1")]
    FillSync1,
    /// As `fill`, by 16 threads, each commit synced.
    #[value(name = "fill-sync-16")]
    #[serde(rename = "fill-sync-16")]
    FillSync16,
    /// Three times the data in random overwrites, by 2 threads.
    Overwrite,
    /// Random records, by 1 thread.
    ReadHit,
    /// Keys that do not exist, between those that do, by 2 threads.
    ReadMiss,
    /// 100 records from a random one on, by 2 threads.
    #[value(name = "scan-100")]
    #[serde(rename = "scan-100")]
    Scan100,
    /// Half reads, half updates, zipfian, by 2 threads.
    YcsbA,
    /// 95 % reads, 5 % updates, zipfian, by 2 threads.
    YcsbB,
    /// Reads, zipfian, by 2 threads.
    YcsbC,
    /// Half reads, half read-modify-writes, zipfian, by 2 threads.
    YcsbF,
    /// Random reads by 1 thread while another one overwrites as fast as it can.
    ReadWhileWriting,
    /// Opening after `kill -9`, with everything in the log and nothing in tables.
    Recovery,
}

/// What lies in the folder before the cell begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Nothing,
    /// What `fill` left in this round; the row only reads it.
    Filled,
    /// A copy of what `fill` left.
    Copy,
    /// The log of a store that was killed.
    Killed,
}

impl Row {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
    }

    pub fn ground(self) -> Ground {
        match self {
            Row::Fill | Row::FillSync1 | Row::FillSync16 => Ground::Nothing,
            Row::ReadHit | Row::ReadMiss | Row::Scan100 | Row::YcsbC => Ground::Filled,
            Row::Overwrite | Row::YcsbA | Row::YcsbB | Row::YcsbF | Row::ReadWhileWriting => {
                Ground::Copy
            }
            Row::Recovery => Ground::Killed,
        }
    }

    /// What we want ours to reach, as a ratio to the best of the peers.
    pub fn goal(self) -> f64 {
        match self {
            Row::Fill | Row::FillSync16 => 1.3,
            Row::FillSync1 | Row::ReadMiss | Row::Recovery => 1.0,
            Row::Scan100 => 1.5,
            _ => 1.2,
        }
    }

    /// Recovery is milliseconds, everything else operations in a second.
    pub fn lower_is_better(self) -> bool {
        self == Row::Recovery
    }

    pub fn is_synced(self) -> bool {
        matches!(self, Row::FillSync1 | Row::FillSync16)
    }

    /// The threads that call the store; for `read-while-writing` the writer is the first.
    pub fn threads(self) -> usize {
        match self {
            Row::FillSync1 | Row::ReadHit => 1,
            Row::FillSync16 => 16,
            _ => 2,
        }
    }

    /// Of 100 operations of a YCSB workload, how many only read.
    pub fn reads_percent(self) -> u32 {
        match self {
            Row::YcsbA | Row::YcsbF => 50,
            Row::YcsbB => 95,
            _ => 100,
        }
    }
}
