//! What is written: how many keys, how often each, and what a memtable of it holds.

use super::content::{Content, Share};

/// A load as the model sees it: every record is inserted once, then operations overwrite or delete
/// them.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Keys that the fill inserts.
    pub records: u64,
    pub key_bytes: u64,
    pub value_bytes: u64,
    /// What an entry takes in a table beside its key and value: lengths, sequence number, and its
    /// part of index and filter.
    pub overhead_bytes: u64,
    /// What it takes in a memtable beside them.
    pub memtable_overhead_bytes: u64,
    pub distribution: Distribution,
    /// Overwrites and deletes that follow the fill.
    pub operations: u64,
    /// Share of the operations that delete.
    pub deletes: f64,
    /// Every record expires so long after it was written; 0: never.
    pub ttl_s: u64,
    /// Entries of so many bytes fill a memtable. A key that is written again takes its old place.
    pub memtable_bytes: u64,
}

/// Which keys the operations write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// All alike. The fill comes in random order.
    Uniform,
    /// The key of popularity r in proportion to 1 / r^0.99, popular ones scattered over the key
    /// space. The fill comes in random order.
    Zipfian,
    /// In the order of the keys, over and over, the fill as well.
    Sequential,
}

/// Of the engine's memtable, for each key: an entry's header, and its place in the hash table and
/// in the list of keys.
pub const MEMTABLE_OVERHEAD_BYTES: u64 = 59;

/// Of the engine's blocks, and what each takes beside its entries: end, seal, restart points,
/// buckets, and its line in the index.
const BLOCK_BYTES: u64 = 4 << 10;
const PER_BLOCK_BYTES: u64 = 34;
/// Of an entry: lengths, and its part of a filter of 10 bits; less what random
/// keys have in common with their neighbours.
const PER_ENTRY_BYTES: u64 = 6;

/// What an entry takes in a table of the engine beside key and value, uncompressed, with blocks of
/// 4 KiB and filters of 10 bits: within a byte or two of what flushes of scattered keys take.
/// Blocks hold whole entries, so values of some KiB share theirs with few others.
pub fn table_overhead_bytes(key_bytes: u64, value_bytes: u64) -> u64 {
    let room = BLOCK_BYTES - PER_BLOCK_BYTES;
    let together = (room / (key_bytes + value_bytes + PER_ENTRY_BYTES)).max(1);
    PER_ENTRY_BYTES + PER_BLOCK_BYTES / together
}

/// More than any memtable waits for.
const MOST_OPERATIONS: u64 = 1 << 50;

/// Of YCSB: Cooper et al., SoCC 2010, section 5.
const ZIPF_EXPONENT: f64 = 0.99;

/// Keys of about one popularity, scattered evenly over the key space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Class {
    /// Part of all keys.
    pub share: f64,
    /// That an operation writes a certain key of the class.
    pub chance: f64,
}

impl Workload {
    pub(super) fn entry_bytes(&self) -> f64 {
        (self.key_bytes + self.value_bytes + self.overhead_bytes) as f64
    }

    pub(super) fn tombstone_bytes(&self) -> f64 {
        (self.key_bytes + self.overhead_bytes) as f64
    }

    /// Bytes that a client hands over with so many inserts, or with so many operations of the mix.
    pub(super) fn user_bytes(&self, inserts: u64, operations: u64) -> f64 {
        let values = inserts as f64 + operations as f64 * (1.0 - self.deletes);
        values * self.value_bytes as f64 + (inserts + operations) as f64 * self.key_bytes as f64
    }

    /// Inserts of new keys that fill a memtable; at least one.
    pub fn inserts_per_flush(&self) -> u64 {
        self.keys_per_memtable(self.value_bytes as f64)
    }

    fn keys_per_memtable(&self, value_bytes: f64) -> u64 {
        let entry = (self.key_bytes + self.memtable_overhead_bytes) as f64 + value_bytes;
        ((self.memtable_bytes as f64 / entry).ceil() as u64).max(1)
    }

    /// Operations that fill a memtable, at least one; more than its keys, since some write the same
    /// key again. None: all keys together do not fill it.
    pub fn operations_per_flush(&self) -> Option<u64> {
        let keys = self.keys_per_memtable(self.value_bytes as f64 * (1.0 - self.deletes));
        if self.distribution == Distribution::Sequential {
            return (keys <= self.records).then_some(keys);
        }
        let classes = self.classes();
        let written = |operations: u64| -> f64 {
            let share = |class: &Class| class.share * class.written_by(operations);
            classes.iter().map(share).sum::<f64>() * self.records as f64
        };
        let (mut low, mut high) = (keys, MOST_OPERATIONS);
        if written(high) < keys as f64 || keys > self.records {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match written(middle) < keys as f64 {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Some(low)
    }

    /// Flushes of the fill and of the operations.
    pub fn flushes(&self) -> u64 {
        let of_operations = self.operations_per_flush().unwrap_or(u64::MAX);
        self.records.div_ceil(self.inserts_per_flush()) + self.operations.div_ceil(of_operations)
    }

    /// The classes of keys: one where all keys are alike; for Zipf's law one for each doubling of
    /// the rank, the most popular key alone.
    pub(super) fn classes(&self) -> Vec<Class> {
        let keys = self.records as f64;
        if self.distribution != Distribution::Zipfian {
            return vec![Class { share: 1.0, chance: 1.0 / keys }];
        }
        let mut ranks = vec![];
        let mut first = 1;
        while first <= self.records {
            let end = (first * 2).min(self.records + 1);
            ranks.push((first, end));
            first = end;
        }
        let total: f64 = ranks.iter().map(|(first, end)| zeta(*first, *end)).sum();
        let class = |(first, end): &(u64, u64)| {
            let count = (end - first) as f64;
            Class { share: count / keys, chance: zeta(*first, *end) / total / count }
        };
        ranks.iter().map(class).collect()
    }
}

/// The sum of 1 / r^s for the ranks from `first` to below `end`: term by term where the terms
/// differ, by the integral between the halves beyond.
fn zeta(first: u64, end: u64) -> f64 {
    const EXACT: u64 = 1_024;
    let term = |rank: u64| (rank as f64).powf(-ZIPF_EXPONENT);
    let head: f64 = (first..end.min(EXACT)).map(term).sum();
    let integral = |rank: f64| (rank - 0.5).powf(1.0 - ZIPF_EXPONENT) / (1.0 - ZIPF_EXPONENT);
    let from = first.max(EXACT);
    let tail = if from < end { integral(end as f64) - integral(from as f64) } else { 0.0 };
    head + tail
}

/// Walks through the load, memtable by memtable.
#[derive(Clone, Debug)]
pub(super) struct Writer<'a> {
    workload: &'a Workload,
    classes: &'a [Class],
    inserts_per_flush: u64,
    operations_per_flush: u64,
    pub inserted: u64,
    pub operated: u64,
}

/// One full memtable.
pub(super) struct Memtable {
    pub content: Content,
    pub writes: u64,
    pub user_bytes: f64,
}

impl<'a> Writer<'a> {
    pub fn new(workload: &'a Workload, classes: &'a [Class]) -> Self {
        Writer {
            workload,
            classes,
            inserts_per_flush: workload.inserts_per_flush(),
            operations_per_flush: workload.operations_per_flush().unwrap_or(u64::MAX),
            inserted: 0,
            operated: 0,
        }
    }

    /// What the next memtable holds; None when all is written.
    pub fn next(&mut self) -> Option<Memtable> {
        let load = self.workload;
        let inserts = self.inserts_per_flush.min(load.records - self.inserted);
        if inserts > 0 {
            let content = self.filled(inserts);
            self.inserted += inserts;
            let user_bytes = load.user_bytes(inserts, 0);
            return Some(Memtable { content, writes: inserts, user_bytes });
        }
        let operations = self.operations_per_flush.min(load.operations - self.operated);
        if operations == 0 {
            return None;
        }
        let content = self.overwritten(operations);
        self.operated += operations;
        let user_bytes = load.user_bytes(0, operations);
        Some(Memtable { content, writes: operations, user_bytes })
    }

    fn filled(&self, inserts: u64) -> Content {
        let keys = self.workload.records as f64;
        if self.workload.distribution == Distribution::Sequential {
            let from = self.inserted as f64;
            let all = vec![Share { filled: 1.0, ..Share::default() }];
            return Content::even(from, from + inserts as f64, all);
        }
        let filled = (inserts as f64 / keys) as f32;
        let shares = vec![Share { filled, ..Share::default() }; self.classes.len()];
        Content::even(0.0, keys, shares)
    }

    fn overwritten(&self, operations: u64) -> Content {
        let (load, keys) = (self.workload, self.workload.records as f64);
        let share = |written: f64| Share {
            filled: 0.0,
            written: (written * (1.0 - load.deletes)) as f32,
            deleted: (written * load.deletes) as f32,
        };
        if load.distribution != Distribution::Sequential {
            let shares = self.classes.iter().map(|class| share(class.written_by(operations)));
            return Content::even(0.0, keys, shares.collect());
        }
        let all = || vec![share(1.0)];
        if operations >= load.records {
            return Content::even(0.0, keys, all());
        }
        let from = (self.operated % load.records) as f64;
        let to = from + operations as f64;
        if to <= keys {
            return Content::even(from, to, all());
        }
        // Around the end of the key space: the beginning again, and a gap between.
        let mut content = Content::even(0.0, to - keys, all());
        content.append(Content::even(from, keys, all()));
        content
    }
}

impl Class {
    /// The share of its keys that so many operations write.
    pub fn written_by(&self, operations: u64) -> f64 {
        -(operations as f64 * (-self.chance).ln_1p()).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn classes_are_all_keys_and_all_operations() {
        for distribution in [Distribution::Uniform, Distribution::Zipfian] {
            for records in [1, 2, 1_000, 5_000_000_000] {
                let load = Workload { records, distribution, ..super::super::tests::workload() };
                let classes = load.classes();
                let keys: f64 = classes.iter().map(|class| class.share).sum();
                let operations: f64 =
                    classes.iter().map(|class| class.share * records as f64 * class.chance).sum();
                assert!((keys - 1.0).abs() < 1e-9, "{records}: {keys}");
                assert!((operations - 1.0).abs() < 1e-9, "{records}: {operations}");
            }
        }
    }

    #[test]
    fn popular_keys_let_a_memtable_last() {
        let load = Workload { records: 100_000, ..super::super::tests::workload() };
        let keys = load.inserts_per_flush() as f64;
        let uniform = load.operations_per_flush().unwrap() as f64;
        // n (1 - (1 - 1/n)^m) keys are written by m operations.
        assert!((uniform / (1e5 * -(-keys / 1e5).ln_1p()) - 1.0).abs() < 0.01, "{uniform}");
        let zipfian = Workload { distribution: Distribution::Zipfian, ..load.clone() };
        assert!(zipfian.operations_per_flush().unwrap() as f64 > 1.5 * uniform);
        let few = Workload { records: 100, ..load };
        assert_eq!((few.operations_per_flush(), few.flushes()), (None, 2));
    }

    #[test]
    fn sums_of_the_law_are_exact_where_terms_differ_and_close_beyond() {
        let exact: f64 = (1..100_000).map(|rank| f64::from(rank).powf(-ZIPF_EXPONENT)).sum();
        assert!((zeta(1, 100_000) / exact - 1.0).abs() < 1e-8);
    }

    #[test]
    fn operations_in_order_come_around() {
        let load = Workload {
            records: 1_000,
            operations: 300,
            distribution: Distribution::Sequential,
            ..super::super::tests::workload()
        };
        let classes = load.classes();
        let writer = Writer { operated: 900, inserted: 1_000, ..Writer::new(&load, &classes) };
        let content = writer.overwritten(300);
        assert_eq!(content.ends(), Some((0.0, 1_000.0)));
        assert!((content.weight(&classes, &load).entries - 300.0).abs() < 1e-6);
    }
}
