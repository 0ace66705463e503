//! Streams of operations, and the records of the loading phase.

use crate::distribution::{GrayZipf, KeyChooser, YCSB_THETA};
use crate::inserts::Inserts;
use crate::keys::KeyNames;
use crate::seed::{Purpose, generator};
use crate::spec::{ScanLength, ScanLengthDistribution, Workload};
use crate::values::{LOADER, Values};
use bytes::Bytes;
use rand::{Rng, RngExt};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Read,
    /// Writes the value over an existing record.
    Update,
    /// Writes a new record. When it ends, whatever its outcome, call [`Inserts::acknowledge`].
    Insert,
    /// Reads `scan_length` records from the key on, in the order of keys.
    Scan,
    /// Reads the key and then writes the value to it, timed as one operation.
    ReadModifyWrite,
    Delete,
}

impl Kind {
    /// In the order in which they are drawn.
    pub const ALL: [Kind; 6] =
        [Kind::Read, Kind::Update, Kind::Insert, Kind::Scan, Kind::ReadModifyWrite, Kind::Delete];

    /// The name in YAML, tables and plots.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Update => "update",
            Kind::Insert => "insert",
            Kind::Scan => "scan",
            Kind::ReadModifyWrite => "read_modify_write",
            Kind::Delete => "delete",
        }
    }
}

/// One operation for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub kind: Kind,
    /// The record's number, before it became a name: what [`Inserts::acknowledge`] and
    /// [`crate::SkewCounter`] take.
    pub number: u64,
    pub key: Bytes,
    /// What to write, for the kinds that write one.
    pub value: Option<Bytes>,
    /// How many records to scan; 0 for other kinds.
    pub scan_length: u32,
}

/// An endless stream of operations for one driver.
///
/// The stream depends on the workload, the seed and the stream's number alone, and on the records
/// that [`Inserts`] says were acknowledged when an operation was drawn. A workload without inserts
/// therefore repeats byte for byte, however many streams run beside; one with inserts repeats if
/// the answers come in the same order.
#[derive(Clone, Debug)]
pub struct OperationStream {
    kinds: Kinds,
    keys: KeyChooser,
    names: KeyNames,
    values: Values,
    scans: Scans,
    record_bytes: usize,
    update_bytes: usize,
    inserts: Arc<Inserts>,
    random: Xoshiro256PlusPlus,
}

impl OperationStream {
    /// A stream with a counter of its own, over `records` loaded records: for a run with a single
    /// stream, or of a workload that inserts nothing.
    pub fn new(workload: &Workload, records: u64, seed: u64, stream: u32) -> Self {
        Self::with_inserts(workload, Arc::new(Inserts::new(records)), seed, stream)
    }

    /// A stream that shares the counter of inserts, and so the records, with others of the same
    /// seed.
    pub fn with_inserts(
        workload: &Workload,
        inserts: Arc<Inserts>,
        seed: u64,
        stream: u32,
    ) -> Self {
        let keys = KeyChooser::new(
            workload.request_distribution,
            inserts.records(),
            workload.expected_inserts(),
            seed,
            stream,
        );
        OperationStream {
            kinds: Kinds::new(workload),
            keys,
            names: KeyNames::new(&workload.key_prefix, workload.insert_order),
            values: Values::new(seed, stream),
            scans: Scans::new(workload.scan_length),
            record_bytes: workload.record_bytes(),
            update_bytes: workload.update_bytes(),
            inserts,
            random: generator(seed, Purpose::Operations, stream),
        }
    }

    /// The counter to acknowledge inserts to.
    pub fn inserts(&self) -> &Arc<Inserts> {
        &self.inserts
    }

    /// The next operation.
    pub fn draw(&mut self) -> Operation {
        let kind = self.kinds.draw(&mut self.random);
        let number = match kind {
            Kind::Insert => self.inserts.issue(),
            _ => self.keys.draw(self.inserts.acknowledged(), &mut self.random),
        };
        let scan_length = match kind {
            Kind::Scan => self.scans.draw(&mut self.random),
            _ => 0,
        };
        let key = self.names.name(number);
        let value = match kind {
            Kind::Insert => Some(self.values.next(&key, self.record_bytes)),
            Kind::Update | Kind::ReadModifyWrite => Some(self.values.next(&key, self.update_bytes)),
            Kind::Read | Kind::Scan | Kind::Delete => None,
        };
        Operation { kind, number, key, value, scan_length }
    }
}

/// Endless.
impl Iterator for OperationStream {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        Some(self.draw())
    }
}

impl Workload {
    /// Record `number` of the loading phase: its key, and a value whose writer is [`LOADER`] and
    /// whose sequence is the number. It does not depend on who loads it or in what order.
    pub fn record(&self, seed: u64, number: u64) -> (Bytes, Bytes) {
        let key = KeyNames::new(&self.key_prefix, self.insert_order).name(number);
        let value = Values::new(seed, LOADER).at(&key, self.record_bytes(), number);
        (key, value)
    }
}

/// Draws kinds by their parts, as YCSB's `DiscreteGenerator`: one number in 0..1 walks the sums.
#[derive(Clone, Debug)]
struct Kinds {
    /// The sum of the parts up to and including each kind's, scaled to end at 1.
    ends: [f64; 6],
    last: Kind,
}

impl Kinds {
    fn new(workload: &Workload) -> Self {
        let parts = workload.proportions.named().map(|(_, part)| part);
        let total: f64 = parts.iter().sum();
        let mut end = 0.0;
        let ends = parts.map(|part| {
            end += part / total;
            end
        });
        let last =
            parts.iter().rposition(|part| *part > 0.0).map_or(Kind::Read, |at| Kind::ALL[at]);
        Kinds { ends, last }
    }

    fn draw<R: Rng>(&self, random: &mut R) -> Kind {
        let at = random.random::<f64>();
        // Rounding may leave the last sum just below 1.
        let found = self.ends.iter().position(|end| at < *end);
        found.map_or(self.last, |index| Kind::ALL[index])
    }
}

#[derive(Clone, Debug)]
struct Scans {
    min: u32,
    max: u32,
    zipf: Option<GrayZipf>,
}

impl Scans {
    fn new(ScanLength { min, max, distribution }: ScanLength) -> Self {
        let lengths = u64::from(max.saturating_sub(min)) + 1;
        let zipf = match distribution {
            ScanLengthDistribution::Uniform => None,
            ScanLengthDistribution::Zipfian => Some(GrayZipf::new(lengths, YCSB_THETA)),
        };
        Scans { min, max: max.max(min), zipf }
    }

    fn draw<R: Rng>(&self, random: &mut R) -> u32 {
        match &self.zipf {
            None => random.random_range(self.min..=self.max),
            Some(zipf) => self.min + zipf.rank(random) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::distribution::Distribution;
    use crate::values::{Verdict, check};
    use std::collections::BTreeSet;

    fn drawn(name: &str, seed: u64, stream: u32, count: usize) -> Vec<Operation> {
        let workload = Workload::named(name).unwrap();
        OperationStream::new(&workload, 1_000, seed, stream).take(count).collect()
    }

    #[test]
    fn the_same_seed_and_stream_give_the_same_bytes() {
        for name in ["a", "b", "c", "d", "e", "f"] {
            let first = drawn(name, 7, 3, 2_000);
            assert_eq!(first, drawn(name, 7, 3, 2_000), "workload {name}");
            assert_ne!(first, drawn(name, 8, 3, 2_000), "another seed, workload {name}");
            assert_ne!(first, drawn(name, 7, 4, 2_000), "another stream, workload {name}");
        }
    }

    /// A change of the generators would silently change every recorded experiment.
    #[test]
    fn the_first_operations_of_seed_one_never_change() {
        let shown: Vec<(Kind, u64)> = drawn("a", 1, 0, 6)
            .iter()
            .map(|operation| (operation.kind, operation.number))
            .collect();
        assert_eq!(shown, GOLDEN);
    }

    const GOLDEN: [(Kind, u64); 6] = [
        (Kind::Read, 695),
        (Kind::Update, 324),
        (Kind::Read, 880),
        (Kind::Update, 948),
        (Kind::Read, 671),
        (Kind::Update, 377),
    ];

    #[test]
    fn workloads_a_to_f_have_ycsbs_proportions() {
        for (name, expected) in [
            ("a", [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]),
            ("b", [0.95, 0.05, 0.0, 0.0, 0.0, 0.0]),
            ("c", [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
            ("d", [0.95, 0.0, 0.05, 0.0, 0.0, 0.0]),
            ("e", [0.0, 0.0, 0.05, 0.95, 0.0, 0.0]),
            ("f", [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]),
        ] {
            let workload = Workload::named(name).unwrap();
            let mut stream = OperationStream::new(&workload, 1_000, 5, 0);
            let draws = 1_000_000;
            let mut counts = [0u32; 6];
            for _ in 0..draws {
                let operation = stream.draw();
                counts[Kind::ALL.iter().position(|kind| *kind == operation.kind).unwrap()] += 1;
                if operation.kind == Kind::Insert {
                    stream.inserts().acknowledge(operation.number).unwrap();
                }
            }
            for (count, expected) in counts.into_iter().zip(expected) {
                let part = f64::from(count) / f64::from(draws);
                // Five standard errors of a half; exact where the part is 0 or 1.
                let tolerance = if expected == 0.0 || expected == 1.0 { 0.0 } else { 0.0025 };
                assert!((part - expected).abs() <= tolerance, "{name}: {counts:?}");
            }
        }
    }

    #[test]
    fn each_kind_carries_what_it_needs() {
        let mut workload = Workload::named("a").unwrap();
        let part = 1.0 / 6.0;
        workload.proportions = crate::Proportions {
            read: part,
            update: part,
            insert: part,
            scan: part,
            read_modify_write: part,
            delete: part,
        };
        workload.validate().unwrap();
        let mut seen = BTreeSet::new();
        for operation in OperationStream::new(&workload, 50, 1, 9).take(600) {
            seen.insert(operation.kind);
            let written = match operation.kind {
                Kind::Insert => Some(1_000),
                Kind::Update | Kind::ReadModifyWrite => Some(100),
                _ => None,
            };
            assert_eq!(operation.value.as_ref().map(Bytes::len), written);
            assert_eq!(operation.scan_length > 0, operation.kind == Kind::Scan);
            assert_eq!(operation.number >= 50, operation.kind == Kind::Insert);
            let name = KeyNames::new("user", workload.insert_order).name(operation.number);
            assert_eq!(operation.key, name);
            if let Some(value) = operation.value {
                let verdict = check(&operation.key, &value);
                assert!(matches!(verdict, Verdict::Genuine(stamp) if stamp.writer == 9));
            }
        }
        assert_eq!(seen.len(), Kind::ALL.len());
    }

    #[test]
    fn streams_share_inserts_and_read_them_once_acknowledged() {
        let workload = Workload::named("d").unwrap();
        let inserts = Arc::new(Inserts::new(1_000));
        let mut streams: Vec<OperationStream> = (0..3)
            .map(|stream| OperationStream::with_inserts(&workload, inserts.clone(), 1, stream))
            .collect();
        let mut inserted = BTreeSet::new();
        let mut newest_read = 0;
        for round in 0..20_000 {
            let operation = streams[round % 3].draw();
            if operation.kind == Kind::Insert {
                assert!(inserted.insert(operation.number), "a number was issued twice");
                inserts.acknowledge(operation.number).unwrap();
            } else {
                assert!(operation.number < inserts.acknowledged());
                newest_read = newest_read.max(operation.number);
            }
        }
        assert_eq!(inserts.acknowledged(), 1_000 + inserted.len() as u64);
        assert!(newest_read > 1_900, "reads follow the newest records: {newest_read}");
    }

    #[test]
    fn scans_of_workload_e_are_uniform_from_1_to_100() {
        let lengths: Vec<u32> = drawn("e", 2, 0, 50_000)
            .iter()
            .filter(|operation| operation.kind == Kind::Scan)
            .map(|operation| operation.scan_length)
            .collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&1), Some(&100)));
        let mean = lengths.iter().sum::<u32>() as f64 / lengths.len() as f64;
        assert!((mean - 50.5).abs() < 0.7, "{mean}");
    }

    #[test]
    fn zipfian_scans_are_mostly_short() {
        let scans = Scans::new(ScanLength {
            min: 5,
            max: 50,
            distribution: ScanLengthDistribution::Zipfian,
        });
        let mut random = generator(1, Purpose::Operations, 0);
        let lengths: Vec<u32> = (0..50_000).map(|_| scans.draw(&mut random)).collect();
        assert!(lengths.iter().all(|length| (5..=50).contains(length)));
        let shortest = lengths.iter().filter(|length| **length == 5).count() as f64 / 50_000.0;
        assert!((shortest - 1.0 / crate::distribution::zeta(46, 0.99)).abs() < 0.01, "{shortest}");
    }

    #[test]
    fn a_record_is_the_same_whoever_loads_it() {
        let workload = Workload::named("a").unwrap();
        let (key, value) = workload.record(7, 41);
        assert_eq!((key.clone(), value.clone()), workload.record(7, 41));
        assert_eq!(value.len(), 1_000);
        let verdict = check(&key, &value);
        let Verdict::Genuine(stamp) = verdict else { panic!("{verdict:?}") };
        assert_eq!((stamp.writer, stamp.sequence), (LOADER, 41));
        assert_eq!(workload.record(8, 41).0, key, "the key does not depend on the seed");
        assert_ne!(workload.record(8, 41).1, value);
    }

    #[test]
    fn sequential_streams_read_every_record_equally_often() {
        let workload = Workload {
            request_distribution: Distribution::Sequential,
            ..Workload::named("c").unwrap()
        };
        let mut counts = [0; 100];
        for stream in 0..4 {
            for operation in OperationStream::new(&workload, 100, 1, stream).take(300) {
                counts[operation.number as usize] += 1;
            }
        }
        assert_eq!(counts, [12; 100]);
    }
}
