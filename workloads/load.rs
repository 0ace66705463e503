//! Where workloads come from: six names, files, and a base with changes.

use crate::distribution::Distribution;
use crate::error::{Invalid, WorkloadError, nearest};
use crate::keys::InsertOrder;
use crate::spec::{Proportions, ScanLength, Update, Workload};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::path::Path;

/// The workloads that need no file; each also answers to its last letter alone.
pub const NAMES: [&str; 6] = ["ycsb_a", "ycsb_b", "ycsb_c", "ycsb_d", "ycsb_e", "ycsb_f"];

const FILES: [&str; 6] = [
    include_str!("ycsb/a.yaml"),
    include_str!("ycsb/b.yaml"),
    include_str!("ycsb/c.yaml"),
    include_str!("ycsb/d.yaml"),
    include_str!("ycsb/e.yaml"),
    include_str!("ycsb/f.yaml"),
];

/// Fields of a workload to set on top of another; a field that is absent changes nothing.
///
/// A field is replaced as a whole: `proportions: {read: 1}` is a mix of reads alone, and
/// `scan_length: {max: 10}` starts at 1 again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// The built-in workload to start from; without one, YCSB's defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_all_fields: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proportions: Option<Proportions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_distribution: Option<Distribution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insert_order: Option<InsertOrder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_length: Option<ScanLength>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
}

impl Overrides {
    /// The workload that `base` names, or YCSB's defaults.
    fn start(&self) -> Result<Workload, WorkloadError> {
        self.base.as_deref().map_or_else(|| Ok(Workload::default()), Workload::named)
    }

    fn apply(&self, base: Workload) -> Workload {
        Workload {
            name: self.name.clone().unwrap_or(base.name),
            record_count: self.record_count.unwrap_or(base.record_count),
            operation_count: self.operation_count.unwrap_or(base.operation_count),
            field_count: self.field_count.unwrap_or(base.field_count),
            field_length: self.field_length.unwrap_or(base.field_length),
            update: self.update.unwrap_or(base.update),
            read_all_fields: self.read_all_fields.unwrap_or(base.read_all_fields),
            proportions: self.proportions.unwrap_or(base.proportions),
            request_distribution: self.request_distribution.unwrap_or(base.request_distribution),
            insert_order: self.insert_order.unwrap_or(base.insert_order),
            scan_length: self.scan_length.unwrap_or(base.scan_length),
            key_prefix: self.key_prefix.clone().unwrap_or(base.key_prefix),
        }
    }
}

impl Workload {
    /// A built-in workload: `a` to `f`, or `ycsb_a` to `ycsb_f`.
    pub fn named(name: &str) -> Result<Workload, WorkloadError> {
        let full = |known: &str| known == name || known.strip_prefix("ycsb_") == Some(name);
        match NAMES.iter().position(|known| full(known)) {
            Some(at) => from_text(FILES[at], &format!("workloads/ycsb/{}", NAMES[at]), None),
            None => Err(WorkloadError::Unknown {
                found: name.to_string(),
                near: nearest(name, NAMES).map(str::to_string),
                known: known(),
            }),
        }
    }

    /// Reads the YAML of a workload. Unknown fields, wrong types and values out of range are
    /// errors.
    pub fn from_yaml(text: &str) -> Result<Workload, WorkloadError> {
        from_text(text, "workload", None)
    }

    /// A built-in name, or else a path to a YAML file, relative to the working directory.
    pub fn load(name_or_path: &str) -> Result<Workload, WorkloadError> {
        let path = Path::new(name_or_path);
        if !is_path(name_or_path) && !path.is_file() {
            return Workload::named(name_or_path).map_err(or_a_path);
        }
        let text = std::fs::read_to_string(path).map_err(|source| WorkloadError::Unreadable {
            path: path.to_path_buf(),
            known: known(),
            source,
        })?;
        from_text(&text, name_or_path, path.file_stem().and_then(|stem| stem.to_str()))
    }

    /// As [`Workload::load`], but a path is relative to `folder`, that of the file which names it;
    /// only where nothing is there, to the working directory.
    pub fn load_from(folder: &Path, name_or_path: &str) -> Result<Workload, WorkloadError> {
        let (beside, here) = (folder.join(name_or_path), Path::new(name_or_path));
        if !is_path(name_or_path) && !beside.is_file() {
            return Workload::load(name_or_path);
        }
        let found = [beside.as_path(), here].into_iter().find(|path| path.is_file());
        match found.map(|path| path.to_string_lossy().into_owned()) {
            Some(path) => Workload::load(&path),
            None if beside == here => Workload::load(name_or_path),
            None => {
                Err(WorkloadError::Nowhere { beside, here: here.to_path_buf(), known: known() })
            }
        }
    }

    /// This workload with some fields set; `base` of the overrides, if given, replaces this
    /// workload.
    pub fn overridden(&self, overrides: &Overrides) -> Result<Workload, WorkloadError> {
        let base = if overrides.base.is_some() { overrides.start()? } else { self.clone() };
        let workload = overrides.apply(base);
        workload.validate().map_err(|invalid| WorkloadError::Invalid {
            origin: format!("workload {}", workload.name),
            line: None,
            invalid,
        })?;
        Ok(workload)
    }
}

/// Whether it cannot be a name.
fn is_path(name_or_path: &str) -> bool {
    let path = Path::new(name_or_path);
    path.components().count() > 1 || path.extension().is_some()
}

fn known() -> String {
    format!("a, b, c, d, e, f, {}", NAMES.join(", "))
}

fn from_text(text: &str, origin: &str, name: Option<&str>) -> Result<Workload, WorkloadError> {
    let mut overrides: Overrides = serde_yaml::from_str(text)
        .map_err(|error| WorkloadError::malformed(origin, text, &error))?;
    if overrides.name.is_none() && overrides.base.is_none() {
        overrides.name = name.map(str::to_string);
    }
    let base = overrides.start().map_err(|error| at_base(error, text, origin))?;
    let workload = overrides.apply(base);
    workload.validate().map_err(|invalid: Invalid| WorkloadError::Invalid {
        origin: origin.to_string(),
        line: line_of(text, invalid.field),
        invalid,
    })?;
    Ok(workload)
}

/// Where a path would do as well, the message says so.
fn or_a_path(error: WorkloadError) -> WorkloadError {
    match error {
        WorkloadError::Unknown { found, near, known } => {
            let known = format!("{known}, or a path to a YAML file");
            WorkloadError::Unknown { found, near, known }
        }
        other => other,
    }
}

fn at_base(error: WorkloadError, text: &str, origin: &str) -> WorkloadError {
    WorkloadError::Malformed {
        origin: origin.to_string(),
        line: line_of(text, "base"),
        message: error.to_string(),
    }
}

/// The line, from 1, on which a field such as `proportions.read` is set; for a field that the text
/// leaves out, the line of the innermost map around it.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = None;
    for part in field.split('.') {
        let from = found.unwrap_or(0);
        match lines[from..].iter().position(|line| sets(line, part)) {
            Some(offset) => found = Some(from + offset),
            None => break,
        }
    }
    found.map(|index| index + 1)
}

/// Whether a line of YAML has `name:` as a key.
fn sets(line: &str, name: &str) -> bool {
    let code = line.split(" #").next().unwrap_or(line);
    if code.trim_start().starts_with('#') {
        return false;
    }
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].trim_end_matches(['"', '\'']).chars().next_back();
        let after = code[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        before.is_none_or(|c| c.is_whitespace() || c == '{' || c == ',') && after.starts_with(':')
    })
}

/// A name, a path, or a map of fields with an optional `base`.
impl<'de> Deserialize<'de> for Workload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WorkloadVisitor)
    }
}

struct WorkloadVisitor;

impl<'de> Visitor<'de> for WorkloadVisitor {
    type Value = Workload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a workload: a name ({}), a path, or a map of its fields", known())
    }

    fn visit_str<E: de::Error>(self, name_or_path: &str) -> Result<Workload, E> {
        Workload::load(name_or_path).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Workload, A::Error> {
        let overrides = Overrides::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let workload = overrides.apply(overrides.start().map_err(de::Error::custom)?);
        workload.validate().map_err(de::Error::custom)?;
        Ok(workload)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::distribution::Zipfian;

    fn error(text: &str) -> String {
        Workload::from_yaml(text).unwrap_err().to_string()
    }

    #[test]
    fn each_name_is_its_file_and_answers_to_its_letter() {
        for (name, letter) in NAMES.iter().zip(["a", "b", "c", "d", "e", "f"]) {
            let workload = Workload::named(name).unwrap();
            assert_eq!(workload.name, *name);
            assert_eq!(workload, Workload::named(letter).unwrap());
            assert_eq!((workload.record_count, workload.record_bytes()), (1_000, 1_000));
        }
        let distribution = |name| Workload::named(name).unwrap().request_distribution;
        assert_eq!(distribution("d"), Distribution::Latest);
        for name in ["a", "b", "c", "e", "f"] {
            assert_eq!(distribution(name), Distribution::Zipfian(Zipfian::Ycsb));
        }
        let scans = Workload::named("e").unwrap().scan_length;
        assert_eq!((scans.min, scans.max), (1, 100));
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_near_one_and_all() {
        let error = Workload::load("ycbs_a").unwrap_err().to_string();
        assert!(error.contains("unknown workload `ycbs_a` (did you mean `ycsb_a`?)"), "{error}");
        assert!(error.contains("known: a, b, c, d, e, f, ycsb_a"), "{error}");
        assert!(error.ends_with("ycsb_f, or a path to a YAML file"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Workload::load("no/such/mine.yaml").unwrap_err().to_string();
        assert!(error.starts_with("workload file no/such/mine.yaml: "), "{error}");
        assert!(Workload::load("mine.yml").unwrap_err().to_string().contains("mine.yml"));
    }

    #[test]
    fn a_file_is_read_by_its_path() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ycsb");
        let path = folder.join("b.yaml");
        let workload = Workload::load(path.to_str().unwrap()).unwrap();
        assert_eq!(workload, Workload::named("b").unwrap());
    }

    #[test]
    fn an_empty_map_is_ycsbs_defaults() {
        assert_eq!(Workload::from_yaml("{}").unwrap(), Workload::default());
    }

    #[test]
    fn fields_are_set_on_top_of_a_base() {
        let workload = Workload::from_yaml("base: a\nfield_count: 1\nrecord_count: 50000").unwrap();
        let expected =
            Workload { field_count: 1, record_count: 50_000, ..Workload::named("a").unwrap() };
        assert_eq!(workload, expected);
        let overrides = Overrides { record_count: Some(9), ..Overrides::default() };
        let changed = workload.overridden(&overrides).unwrap();
        assert_eq!((changed.record_count, changed.field_count), (9, 1));
        let overrides = Overrides { record_count: Some(0), ..Overrides::default() };
        let error = workload.overridden(&overrides).unwrap_err().to_string();
        assert!(error.starts_with("workload ycsb_a: `record_count` is 0"), "{error}");
    }

    #[test]
    fn a_mix_replaces_the_whole_mix() {
        let workload = Workload::from_yaml("base: a\nproportions: {read: 1}").unwrap();
        assert_eq!((workload.proportions.read, workload.proportions.update), (1.0, 0.0));
    }

    #[test]
    fn every_workload_is_read_back_as_it_was_written() {
        for name in NAMES {
            let workload = Workload::named(name).unwrap();
            let written = serde_yaml::to_string(&workload).unwrap();
            assert_eq!(Workload::from_yaml(&written).unwrap(), workload, "{written}");
        }
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Experiment {
        nodes: u32,
        workload: Workload,
    }

    #[test]
    fn an_experiment_names_a_workload_or_changes_one() {
        let read = |text: &str| serde_yaml::from_str::<Experiment>(text);
        assert_eq!(read("nodes: 3\nworkload: c").unwrap().workload.name, "ycsb_c");
        let changed = read("nodes: 3\nworkload: {base: a, field_count: 1}").unwrap().workload;
        assert_eq!(changed.record_bytes(), 100);
        let error = read("nodes: 3\nworkload:\n  base: a\n  field_cuont: 1").unwrap_err();
        assert!(error.to_string().contains("field_cuont"), "{error}");
        assert_eq!(error.location().unwrap().line(), 4, "{error}");
        let error = read("nodes: 3\nworkload: ycsb_x").unwrap_err();
        assert_eq!(error.location().unwrap().line(), 2, "{error}");
        let error = read("nodes: 3\nworkload:\n  record_count: 0").unwrap_err();
        assert!(error.to_string().contains("`record_count` is 0"), "{error}");
        assert!(error.location().is_some(), "{error}");
    }

    #[test]
    fn what_is_no_workload_is_named_with_line_and_what_is_allowed() {
        for (text, expected) in [
            (
                "record_count: 5\nfield_cuont: 1",
                "workload, line 2: unknown field `field_cuont` (did you mean `field_count`?); \
                 allowed: base, name, record_count",
            ),
            (
                "proportions: {raed: 1}",
                "workload, line 1: unknown field `raed` (did you mean `read`?); allowed: read, up",
            ),
            (
                "name: x\nupdate: fields",
                "workload, line 2: unknown value `fields` (did you mean `field`?); allowed: field",
            ),
            (
                "name: x\nrecord_count: many",
                "workload, line 2: `record_count: many`; allowed: a whole number, not negative",
            ),
            ("field_count: -3", "workload, line 1: `field_count: -3`; allowed: a whole number"),
            ("field_count: 1.5", "workload, line 1: `field_count: 1.5`; allowed: a whole number"),
            (
                "proportions: {read: all}",
                "workload, line 1: `proportions: {read: all}`; allowed: a num",
            ),
            (
                "read_all_fields: 7",
                "workload, line 1: `read_all_fields: 7`; allowed: true or false",
            ),
            (
                "name: x\nrequest_distribution: zipfain",
                "workload, line 2: unknown distribution `zipfain` (did you mean `zipfian`?)",
            ),
            ("name: [", "workload, line 1: "),
        ] {
            let error = error(text);
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_named_with_line_field_and_limits() {
        for (text, expected) in [
            (
                "record_count: 0",
                "workload, line 1: `record_count` is 0; allowed: a whole number from 1",
            ),
            (
                "# about proportions: none\nname: mine\nproportions:\n  update: 0.5\n  read: -0.5",
                "workload, line 5: `proportions.read` is -0.5; allowed: a number from 0 to 1",
            ),
            (
                "name: x\n\nproportions: {read: 0.5, scan: 0.4}",
                "workload, line 3: `proportions` is read 0.5, scan 0.4 with the sum 0.9; allowed",
            ),
            ("proportions: {read: .nan}", "workload, line 1: `proportions.read` is NaN"),
            (
                "request_distribution:\n  zipfian: {mode: exact, theta: -1}",
                "workload, line 2: `request_distribution.zipfian.theta` is -1",
            ),
            ("base: e\nscan_length: {min: 0}", "workload, line 2: `scan_length.min` is 0"),
            ("field_length: 2000000", "workload, line 1: `field_length` is 2000000 with"),
            ("read_all_fields: false", "workload, line 1: `read_all_fields` is false"),
        ] {
            let error = error(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn an_unknown_base_is_named_with_its_line() {
        let error = error("name: mine\nbase: ycsb_q");
        assert!(error.starts_with("workload, line 2: unknown workload `ycsb_q`"), "{error}");
    }
}
