//! The description of a workload, with YCSB's defaults.

use crate::distribution::{Distribution, Zipfian};
use crate::error::Invalid;
use crate::keys::InsertOrder;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of a key, in bytes: what a node takes by default.
const KEY_BYTES: usize = 256;
/// The digits of a 64-bit number and a sign, which follow the prefix.
const NUMBER_BYTES: usize = 20;
/// The largest record, in bytes: what a node takes by default.
const RECORD_BYTES: u64 = 1 << 20;
/// Counts up to here are exact as floating-point numbers.
const COUNT: u64 = 1 << 53;
const FRACTION: &str = "a number from 0 to 1";

/// A workload, complete and checked.
///
/// It is read from YAML as a name (`a`), a path (`mine.yaml`), or a map whose silent fields hold
/// YCSB's defaults, or those of its `base` ([`crate::Overrides`]). Whoever changes a field
/// afterwards calls [`Workload::validate`] again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workload {
    /// For reports; of a built-in workload `ycsb_a` to `ycsb_f`.
    pub name: String,
    /// Records that the loading phase writes (YCSB `recordcount`), 1 to 2^53.
    pub record_count: u64,
    /// How many operations the run is expected to have (YCSB `operationcount`). Nothing stops
    /// there: it sizes the key space of `zipfian` where the workload inserts.
    pub operation_count: u64,
    /// Fields of a record (`fieldcount`), at least 1.
    pub field_count: u32,
    /// Bytes of a field (`fieldlength`), at least 1.
    pub field_length: u32,
    pub update: Update,
    /// `readallfields`; only `true` is possible, because a read returns the whole value.
    pub read_all_fields: bool,
    pub proportions: Proportions,
    /// Which records are touched (`requestdistribution`).
    pub request_distribution: Distribution,
    /// `insertorder`.
    pub insert_order: InsertOrder,
    pub scan_length: ScanLength,
    /// What every key begins with.
    pub key_prefix: String,
}

/// What an update writes (YCSB `writeallfields`), a real choice where the store has no fields.
///
/// A record is one value of `field_count * field_length` bytes: 1,000 by default. YCSB's client
/// sends 100 bytes for an update, one field of ten. With `field`, an update writes these
/// `field_length` bytes as the key's **whole** value: the volume of writes is YCSB's, but a record
/// that was updated is one field long from then on, and reads of it return a tenth. With `record`,
/// reads stay as large as YCSB's and writes grow tenfold, which is what a fieldless store would
/// write if its client patched the field by reading the record first. Neither is the other; a
/// comparison states which one it used. With `field_count: 1` the two are the same and nothing is
/// distorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// YCSB's default (`writeallfields=false`).
    #[default]
    Field,
    Record,
}

/// The part that each kind of operation has, 0 to 1; together 1.
///
/// In YAML the map replaces the whole mix: an operation that it does not name has no part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proportions {
    #[serde(default)]
    pub read: f64,
    #[serde(default)]
    pub update: f64,
    #[serde(default)]
    pub insert: f64,
    #[serde(default)]
    pub scan: f64,
    /// A read and then an update of the same key, timed as one.
    #[serde(default)]
    pub read_modify_write: f64,
    /// Not in YCSB. The key stays in the draw: a later read finds nothing, a later update brings it
    /// back.
    #[serde(default)]
    pub delete: f64,
}

/// `CoreWorkload`: `readproportion` 0.95, `updateproportion` 0.05.
impl Default for Proportions {
    fn default() -> Self {
        Proportions {
            read: 0.95,
            update: 0.05,
            insert: 0.0,
            scan: 0.0,
            read_modify_write: 0.0,
            delete: 0.0,
        }
    }
}

impl Proportions {
    /// Names and parts, in the order in which YCSB adds them to its chooser.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("read", self.read),
            ("update", self.update),
            ("insert", self.insert),
            ("scan", self.scan),
            ("read_modify_write", self.read_modify_write),
            ("delete", self.delete),
        ]
    }

    pub fn sum(&self) -> f64 {
        self.named().iter().map(|(_, part)| part).sum()
    }

    fn validate(&self) -> Result<(), Invalid> {
        const FIELDS: [&str; 6] = [
            "proportions.read",
            "proportions.update",
            "proportions.insert",
            "proportions.scan",
            "proportions.read_modify_write",
            "proportions.delete",
        ];
        for (field, (_, part)) in FIELDS.into_iter().zip(self.named()) {
            require(field, part, (0.0..=1.0).contains(&part), FRACTION)?;
        }
        let sum = self.sum();
        let found = format!("{} with the sum {sum}", self.parts());
        require("proportions", found, (sum - 1.0).abs() <= 1e-6, "parts whose sum is 1")
    }

    /// `read 0.5, update 0.5`: the parts that are not zero.
    fn parts(&self) -> String {
        let parts = self.named().into_iter().filter(|(_, part)| *part > 0.0);
        let parts: Vec<String> = parts.map(|(name, part)| format!("{name} {part}")).collect();
        if parts.is_empty() { "empty".to_string() } else { parts.join(", ") }
    }
}

/// How many records a scan asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScanLength {
    /// `minscanlength`, at least 1.
    pub min: u32,
    /// `maxscanlength`, included.
    pub max: u32,
    /// `scanlengthdistribution`.
    pub distribution: ScanLengthDistribution,
}

impl Default for ScanLength {
    fn default() -> Self {
        ScanLength { min: 1, max: 1_000, distribution: ScanLengthDistribution::Uniform }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanLengthDistribution {
    #[default]
    Uniform,
    /// Short scans are the most frequent, by Gray's Zipf with theta 0.99.
    Zipfian,
}

/// The defaults of `CoreWorkload` and, for the two counts, of YCSB's workload files.
impl Default for Workload {
    fn default() -> Self {
        Workload {
            name: "custom".to_string(),
            record_count: 1_000,
            operation_count: 1_000,
            field_count: 10,
            field_length: 100,
            update: Update::default(),
            read_all_fields: true,
            proportions: Proportions::default(),
            request_distribution: Distribution::default(),
            insert_order: InsertOrder::default(),
            scan_length: ScanLength::default(),
            key_prefix: "user".to_string(),
        }
    }
}

impl Workload {
    /// Bytes of the value that the loading phase and an insert write.
    pub fn record_bytes(&self) -> usize {
        (u64::from(self.field_count) * u64::from(self.field_length)) as usize
    }

    /// Bytes of the value that an update writes: one field or the record ([`Update`]).
    pub fn update_bytes(&self) -> usize {
        match self.update {
            Update::Field => self.field_length as usize,
            Update::Record => self.record_bytes(),
        }
    }

    /// Inserts that a run of `operation_count` operations is expected to make.
    pub fn expected_inserts(&self) -> u64 {
        (self.operation_count as f64 * self.proportions.insert) as u64
    }

    /// Whether the run adds records, so that streams must share their [`crate::Inserts`].
    pub fn inserts(&self) -> bool {
        self.proportions.insert > 0.0
    }

    /// Every field within its limits, or the first that is not.
    pub fn validate(&self) -> Result<(), Invalid> {
        let count = "a whole number from 1 to 2^53";
        require(
            "record_count",
            self.record_count,
            (1..=COUNT).contains(&self.record_count),
            count,
        )?;
        let operations = (1..=COUNT).contains(&self.operation_count);
        require("operation_count", self.operation_count, operations, count)?;
        self.validate_sizes()?;
        let whole = "true, because a read returns the whole value";
        require("read_all_fields", self.read_all_fields, self.read_all_fields, whole)?;
        self.proportions.validate()?;
        self.validate_distribution()?;
        let ScanLength { min, max, .. } = self.scan_length;
        require("scan_length.min", min, min >= 1, "at least 1")?;
        require("scan_length.max", max, max >= min, format!("at least scan_length.min, {min}"))
    }

    fn validate_sizes(&self) -> Result<(), Invalid> {
        let at_least_one = "a whole number of at least 1";
        require("field_count", self.field_count, self.field_count >= 1, at_least_one)?;
        require("field_length", self.field_length, self.field_length >= 1, at_least_one)?;
        let bytes = u64::from(self.field_count) * u64::from(self.field_length);
        let found = format!("{} with a field_count of {}", self.field_length, self.field_count);
        let allowed = format!("a record of at most {RECORD_BYTES} bytes");
        require("field_length", found, bytes <= RECORD_BYTES, allowed)?;
        let longest = KEY_BYTES - NUMBER_BYTES;
        let found = format!("{} bytes long", self.key_prefix.len());
        let allowed = format!("at most {longest} bytes, so that a key has at most {KEY_BYTES}");
        require("key_prefix", found, self.key_prefix.len() <= longest, allowed)
    }

    fn validate_distribution(&self) -> Result<(), Invalid> {
        match self.request_distribution {
            Distribution::Zipfian(Zipfian::Exact { theta }) => require(
                "request_distribution.zipfian.theta",
                theta,
                (0.0..=10.0).contains(&theta),
                "a number from 0 (uniform) to 10",
            ),
            Distribution::Hotspot { data_fraction, operation_fraction } => {
                let data = (0.0..=1.0).contains(&data_fraction);
                let field = "request_distribution.hotspot.data_fraction";
                require(field, data_fraction, data, FRACTION)?;
                let operations = (0.0..=1.0).contains(&operation_fraction);
                let field = "request_distribution.hotspot.operation_fraction";
                require(field, operation_fraction, operations, FRACTION)
            }
            Distribution::Exponential { percentile, fraction } => {
                let inside = percentile > 0.0 && percentile < 100.0;
                let field = "request_distribution.exponential.percentile";
                require(field, percentile, inside, "a number above 0 and below 100")?;
                let field = "request_distribution.exponential.fraction";
                let inside = fraction > 0.0 && fraction <= 1.0;
                require(field, fraction, inside, "a number above 0 and up to 1")
            }
            _ => Ok(()),
        }
    }
}

fn require(
    field: &'static str,
    found: impl fmt::Display,
    holds: bool,
    allowed: impl Into<String>,
) -> Result<(), Invalid> {
    if holds {
        return Ok(());
    }
    Err(Invalid { field, found: found.to_string(), allowed: allowed.into() })
}

/// `ycsb_a: read 0.5, update 0.5 of 1000 records of 1000 B by zipfian`.
impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.proportions.parts())?;
        write!(f, " of {} records of {} B", self.record_count, self.record_bytes())?;
        if self.update_bytes() != self.record_bytes() {
            write!(f, " (updates of {} B)", self.update_bytes())?;
        }
        match self.request_distribution {
            Distribution::Zipfian(Zipfian::Ycsb) => write!(f, " by zipfian (ycsb)"),
            Distribution::Zipfian(Zipfian::Exact { theta }) => {
                write!(f, " by zipfian (exact, theta {theta})")
            }
            other => write!(f, " by {}", other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The message about a default workload after `change`.
    fn refused(change: impl FnOnce(&mut Workload)) -> String {
        let mut workload = Workload::default();
        change(&mut workload);
        workload.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_ycsbs() {
        let workload = Workload::default();
        workload.validate().unwrap();
        assert_eq!((workload.record_bytes(), workload.update_bytes()), (1_000, 100));
        assert_eq!(workload.request_distribution, Distribution::Uniform);
        let shown = workload.to_string();
        assert_eq!(
            shown,
            "custom: read 0.95, update 0.05 of 1000 records of 1000 B (updates of 100 B) by uniform"
        );
    }

    #[test]
    fn an_update_writes_a_field_or_the_record() {
        let mut workload = Workload { update: Update::Record, ..Workload::default() };
        assert_eq!(workload.update_bytes(), 1_000);
        workload.field_count = 1;
        assert_eq!((workload.record_bytes(), workload.update_bytes()), (100, 100));
    }

    #[test]
    fn counts_and_sizes_have_limits() {
        assert_eq!(
            refused(|workload| workload.record_count = 0),
            "`record_count` is 0; allowed: a whole number from 1 to 2^53"
        );
        assert!(
            refused(|workload| workload.operation_count = 0).contains("`operation_count` is 0")
        );
        assert!(refused(|workload| workload.field_count = 0).contains("`field_count` is 0"));
        assert!(refused(|workload| workload.field_length = 0).contains("`field_length` is 0"));
        let error = refused(|workload| workload.field_length = 104_858);
        assert_eq!(
            error,
            "`field_length` is 104858 with a field_count of 10; \
             allowed: a record of at most 1048576 bytes"
        );
        let error = refused(|workload| workload.key_prefix = "k".repeat(237));
        assert!(error.contains("237 bytes long") && error.contains("at most 236"), "{error}");
        assert!(refused(|workload| workload.read_all_fields = false).contains("whole value"));
    }

    #[test]
    fn proportions_are_fractions_with_the_sum_one() {
        let error = refused(|workload| workload.proportions.read = 0.9);
        assert!(error.contains("read 0.9, update 0.05 with the sum 0.95"), "{error}");
        assert!(error.ends_with("allowed: parts whose sum is 1"), "{error}");
        for wrong in [-0.05, f64::NAN, f64::INFINITY, 1.5] {
            let error = refused(|workload| workload.proportions.update = wrong);
            assert!(error.starts_with(&format!("`proportions.update` is {wrong};")), "{error}");
        }
        let mut near = Workload::default();
        near.proportions.read += 5e-7;
        near.validate().unwrap();
    }

    #[test]
    fn settings_of_distributions_have_limits() {
        let exact = |theta| Distribution::Zipfian(Zipfian::Exact { theta });
        let hotspot = |data_fraction, operation_fraction| Distribution::Hotspot {
            data_fraction,
            operation_fraction,
        };
        let exponential = |percentile, fraction| Distribution::Exponential { percentile, fraction };
        for (distribution, field) in [
            (exact(-0.1), "zipfian.theta"),
            (exact(f64::NAN), "zipfian.theta"),
            (hotspot(1.1, 0.8), "hotspot.data_fraction"),
            (hotspot(0.2, -0.8), "hotspot.operation_fraction"),
            (exponential(100.0, 0.5), "exponential.percentile"),
            (exponential(95.0, 0.0), "exponential.fraction"),
        ] {
            let error = refused(|workload| workload.request_distribution = distribution);
            assert!(error.starts_with(&format!("`request_distribution.{field}` is")), "{error}");
        }
    }

    #[test]
    fn scans_have_a_range() {
        assert!(
            refused(|workload| workload.scan_length.min = 0).contains("`scan_length.min` is 0")
        );
        let error = refused(|workload| workload.scan_length.min = 2_000);
        assert!(error.contains("`scan_length.max` is 1000") && error.contains("2000"), "{error}");
    }
}
