//! From a specification to its trials: the product of the axes, repeated and ordered.

use super::error::SpecError;
use super::parse::{Source, set, unknown};
use super::spec::{Backend, ClusterSpec, Load, LoadMode, Matrix, Order, Spec, Wanted, WorkloadRef};
use super::validate;
use crate::level::Level;
use crate::report::trial::{BACKEND_LABEL, Cell, Mode};
use crate::sim::{DiskSpeed, Link};
use crate::yaml::{self, Malformed};
use quorate_workloads::Workload;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};
use serde_json::Value;
use std::collections::BTreeMap;

/// Axes with a word of their own; every other axis is a path inside `cluster`, `network` or `disk`.
const AXES: [&str; 15] = [
    BACKEND_LABEL,
    "quorum",
    "workload",
    "rate",
    "outstanding",
    "load",
    "records",
    "nodes",
    "replication",
    "strategies",
    "engine",
    "timing",
    "limits",
    "network",
    "disk",
];

/// What a cell without load has for its workload.
const NO_WORKLOAD: &str = "none";

/// One trial, complete: nothing of the specification is asked again while it runs.
#[derive(Clone, Debug)]
pub struct Planned {
    pub cell: Cell,
    pub backend: Backend,
    pub cluster: ClusterSpec,
    /// Of a simulation; real processes have the network and the disks that they have.
    pub network: Link,
    pub disk: DiskSpeed,
    pub workload: Workload,
    pub records: u64,
    pub load: Load,
    pub measure: Vec<Wanted>,
    pub seed: u64,
}

impl Planned {
    /// Whether two trials may run on one cluster with one set of loaded records.
    ///
    /// R and W travel with each request, so they do not matter here.
    pub fn shares_cluster(&self, other: &Planned) -> bool {
        let settings = |planned: &Planned| {
            let mut cluster = planned.cluster.clone();
            (cluster.replication.r, cluster.replication.w) = (Level::Quorum, Level::Quorum);
            cluster
        };
        let records = |planned: &Planned| {
            let Workload { field_count, field_length, insert_order, key_prefix, .. } =
                planned.workload.clone();
            (planned.records, field_count, field_length, insert_order, key_prefix)
        };
        let world = |planned: &Planned| (planned.backend, planned.network, planned.disk);
        world(self) == world(other)
            && settings(self) == settings(other)
            && records(self) == records(other)
    }
}

/// Everything that will run, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: Spec,
    pub trials: Vec<Planned>,
}

/// Multiplies, checks each cell, repeats and orders. `only` are `name=value` of [`labels`].
///
/// The plan's own specification runs exactly this again, wherever it is written to: it holds the
/// workloads that were files, and `only`.
pub fn plan(source: &Source, mut spec: Spec, only: &[String]) -> Result<Plan, SpecError> {
    validate::whole(source, &spec)?;
    hold_workloads(source, &mut spec)?;
    let cells = cells(source, &spec)?;
    let cells = keep(source, cells, &spec.only, "only:")?;
    let cells = keep(source, cells, only, "--only")?;
    spec.only.extend_from_slice(only);
    let mut trials = Vec::new();
    for repeat in 1..=spec.repeats {
        let mut round = group(cells.clone());
        if spec.order == Order::Shuffled {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(mix(spec.seed, repeat.into()));
            round.iter_mut().for_each(|shared| shared.shuffle(&mut random));
            round.shuffle(&mut random);
        }
        for mut planned in round.into_iter().flatten() {
            planned.cell.repeat = repeat;
            planned.seed = mix(spec.seed, trials.len() as u64 + 1);
            trials.push(planned);
        }
    }
    Ok(Plan { spec, trials })
}

fn mix(seed: u64, number: u64) -> u64 {
    use rand::Rng;
    SplitMix64::seed_from_u64(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).next_u64()
}

/// Trials that can share a cluster side by side, in the order of the first of each kind.
fn group(cells: Vec<Planned>) -> Vec<Vec<Planned>> {
    let mut groups: Vec<Vec<Planned>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|group| group[0].shares_cluster(&cell)) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// The product of the axes; the last one varies fastest.
fn cells(source: &Source, spec: &Spec) -> Result<Vec<Planned>, SpecError> {
    let mut base = spec.clone();
    base.matrix.0.clear();
    let base = serde_json::to_value(&base).expect("a specification has only string keys");
    let mut partial = vec![(base, BTreeMap::new(), String::new())];
    for (axis, values) in &spec.matrix.0 {
        let path = format!("matrix.{axis}");
        known_axis(source, axis)?;
        if values.is_empty() {
            return Err(source.error(&path, "the list is empty; allowed: one value or more"));
        }
        let mut next = Vec::new();
        for (value, labels, _) in &partial {
            for new in values {
                if new.is_null() {
                    return Err(
                        source.error(&path, "a value is empty; allowed: values of the field")
                    );
                }
                let mut value = value.clone();
                apply(source, &mut value, axis, new)?;
                source.complete(value.clone(), "").map_err(|e| source.error(&path, e.message))?;
                let mut labels: BTreeMap<String, String> = labels.clone();
                labels.extend(coordinates(axis, new, values));
                next.push((value, labels, path.clone()));
            }
        }
        partial = next;
    }
    let finish = |(value, labels, at): (Value, _, String)| {
        let resolved = source.complete(value, "").map_err(|e| source.error(&at, e.message))?;
        resolve(source, resolved, &spec.matrix, labels)
    };
    let cells: Vec<Planned> = partial.into_iter().map(finish).collect::<Result<_, _>>()?;
    let twice = cells
        .iter()
        .enumerate()
        .find(|(at, one)| cells[..*at].iter().any(|other| other.cell == one.cell));
    match twice {
        None => Ok(cells),
        Some((_, planned)) => {
            let name = title(planned);
            let message = format!(
                "two trials are both {name}; allowed: values that differ, and a `name` of its own \
                 for each workload"
            );
            Err(source.error("matrix", message))
        }
    }
}

/// `ycsb_a R=1 W=3 strategies.conflict=lww, open loop at 3000/s`.
pub fn title(planned: &Planned) -> String {
    let Cell { workload, r, w, mode, repeat, labels, .. } = &planned.cell;
    let mode = match mode {
        Mode::Closed { outstanding } => format!("closed loop of {outstanding}"),
        Mode::Open { rate } => format!("open loop at {rate}/s"),
        Mode::Idle => "without load".to_string(),
    };
    let labels: String = labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let repeat = if *repeat > 1 { format!(", repeat {repeat}") } else { String::new() };
    match planned.cell.mode {
        Mode::Idle => format!("{mode}{labels}{repeat}"),
        _ => format!("{workload} R={r} W={w}{labels}, {mode}{repeat}"),
    }
}

/// What an axis with these values adds to the coordinates that every cell has.
fn coordinates(axis: &str, value: &Value, values: &[Value]) -> BTreeMap<String, String> {
    let every_cell_has = |name: &str| matches!(name, "mode" | "rate" | "outstanding");
    match (axis, value) {
        ("quorum" | "workload" | "rate" | "outstanding", _) => BTreeMap::new(),
        ("load", Value::Object(fields)) => fields
            .iter()
            .filter(|(name, _)| !every_cell_has(name))
            .map(|(name, value)| (name.clone(), short(value)))
            .collect(),
        _ => {
            let name = axis.strip_prefix("cluster.").unwrap_or(axis);
            [(name.to_string(), short(&telling(value, values)))].into()
        }
    }
}

fn known_axis(source: &Source, axis: &str) -> Result<(), SpecError> {
    let name = axis.strip_prefix("cluster.").unwrap_or(axis);
    let first = name.split('.').next().unwrap_or(name);
    if AXES.contains(&first) {
        return Ok(());
    }
    let message = unknown("axis", first, &AXES);
    Err(source.error(&format!("matrix.{axis}"), message))
}

fn apply(source: &Source, spec: &mut Value, axis: &str, new: &Value) -> Result<(), SpecError> {
    let new = new.clone();
    match axis {
        "quorum" => {
            let (r, w) = pair(&new).ok_or_else(|| {
                let message = format!("{new} is no quorum; allowed: [r, w] or {{r: .., w: ..}}");
                source.error("matrix.quorum", message)
            })?;
            set(spec, &["cluster", "replication", "r"], r);
            set(spec, &["cluster", "replication", "w"], w);
        }
        "workload" | "records" | BACKEND_LABEL => set(spec, &[axis], new),
        "rate" | "outstanding" => set(spec, &["load", axis], new),
        "load" => {
            let Value::Object(fields) = new else {
                let message = format!("{new} is no load; allowed: a map such as {{mode: closed}}");
                return Err(source.error("matrix.load", message));
            };
            fields.into_iter().for_each(|(name, value)| set(spec, &["load", &name], value));
        }
        path if path.starts_with("network") || path.starts_with("disk") => {
            set(spec, &path.split('.').collect::<Vec<_>>(), new);
        }
        path => {
            let path = path.strip_prefix("cluster.").unwrap_or(path);
            let steps: Vec<&str> = std::iter::once("cluster").chain(path.split('.')).collect();
            set(spec, &steps, new);
        }
    }
    Ok(())
}

fn pair(value: &Value) -> Option<(Value, Value)> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [r, w] => Some((r.clone(), w.clone())),
            _ => None,
        },
        Value::Object(map) if map.len() == 2 => {
            Some((map.get("r")?.clone(), map.get("w")?.clone()))
        }
        _ => None,
    }
}

/// A strategy without the settings that all values of the axis with the same strategy share: what
/// is left tells the values apart. Anything else as it stands.
fn telling(value: &Value, values: &[Value]) -> Value {
    let Some((name, settings)) = strategy(value) else { return value.clone() };
    let others: Vec<_> =
        values.iter().filter_map(strategy).filter(|(other, _)| *other == name).collect();
    let tells = |(key, value): &(&String, &Value)| {
        others.iter().any(|(_, settings)| settings.get(*key) != Some(*value))
    };
    let told: serde_json::Map<String, Value> =
        settings.iter().filter(tells).map(|(key, value)| (key.clone(), value.clone())).collect();
    match told.is_empty() {
        true => Value::String(name.clone()),
        false => Value::Object([(name.clone(), Value::Object(told))].into_iter().collect()),
    }
}

/// The name and the settings of `phi_accrual: {threshold: 8}`.
fn strategy(value: &Value) -> Option<(&String, &serde_json::Map<String, Value>)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (name, settings) = map.iter().next()?;
    settings.as_object().map(|settings| (name, settings))
}

/// A value as a label: a strategy with settings by its name and settings, anything else as it
/// stands.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let parts: Vec<String> = map.iter().map(|(k, v)| format!("{k} {}", short(v))).collect();
            parts.join(", ")
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(short).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn resolve(
    source: &Source,
    spec: Spec,
    axes: &Matrix,
    labels: BTreeMap<String, String>,
) -> Result<Planned, SpecError> {
    let workload = workload(source, &spec, axes)?;
    validate::cell(source, &spec, &workload, axes)?;
    let n = spec.cluster.replication.n;
    let mode = match spec.load.mode {
        LoadMode::Open => Mode::Open { rate: spec.load.rate.unwrap_or_default() },
        LoadMode::Closed => Mode::Closed { outstanding: spec.load.outstanding.unwrap_or_default() },
        LoadMode::Idle => Mode::Idle,
    };
    let cell = Cell {
        workload: match mode {
            Mode::Idle => NO_WORKLOAD.to_string(),
            Mode::Open { .. } | Mode::Closed { .. } => workload.name.clone(),
        },
        n: n as u32,
        r: spec.cluster.replication.r.needed(n) as u32,
        w: spec.cluster.replication.w.needed(n) as u32,
        mode,
        repeat: 1,
        labels,
    };
    let Spec { backend, cluster, network, disk, records, load, measure, seed, .. } = spec;
    let (network, disk) = (network.unwrap_or_default(), disk.unwrap_or_default());
    Ok(Planned { cell, backend, cluster, network, disk, workload, records, load, measure, seed })
}

/// Puts the contents of workloads that are files in the place of their paths.
fn hold_workloads(source: &Source, spec: &mut Spec) -> Result<(), SpecError> {
    let held = |name: &str, field: &str| -> Result<Option<Value>, SpecError> {
        if Workload::named(name).is_ok() && !source.folder().join(name).is_file() {
            return Ok(None);
        }
        let workload = Workload::load_from(source.folder(), name)
            .map_err(|error| source.error(field, error.to_string()))?;
        Ok(Some(serde_json::to_value(&workload).expect("a workload has only string keys")))
    };
    if let WorkloadRef::Named(name) = &spec.workload
        && let Some(Value::Object(map)) = held(name, &spec.matrix.place("workload", "workload"))?
    {
        spec.workload = WorkloadRef::Inline(map);
    }
    let axes = spec.matrix.0.iter_mut().filter(|(axis, _)| axis == "workload");
    for value in axes.flat_map(|(_, values)| values) {
        if let Value::String(name) = value
            && let Some(workload) = held(name, "matrix.workload")?
        {
            *value = workload;
        }
    }
    Ok(())
}

/// The workload, sized for this experiment's records and its expected number of operations.
fn workload(source: &Source, spec: &Spec, axes: &Matrix) -> Result<Workload, SpecError> {
    let path = axes.place("workload", "workload");
    let refused = |message: String| source.error(&path, message);
    let mut workload = match &spec.workload {
        WorkloadRef::Named(name) => {
            Workload::load_from(source.folder(), name).map_err(|e| refused(e.to_string()))?
        }
        WorkloadRef::Inline(map) => inline(map).map_err(refused)?,
    };
    workload.record_count = spec.records;
    if let Some(rate) = spec.load.rate {
        let seconds = spec.phases.warm_up_s + spec.phases.measure_s;
        workload.operation_count = ((rate * seconds) as u64).max(1);
    }
    workload.validate().map_err(|invalid| refused(invalid.to_string()))?;
    Ok(workload)
}

/// Through YAML, so that a misspelt field is met with the near one, as elsewhere in the file.
fn inline(map: &serde_json::Map<String, Value>) -> Result<Workload, String> {
    let text = serde_yaml::to_string(map).expect("a map of values is always YAML");
    yaml::read(&text).map_err(|error| {
        let Malformed { field, message, .. } = Malformed::new(&text, &error);
        if field.is_empty() { message } else { format!("{field}: {message}") }
    })
}

/// A trial's coordinates by name, for `--only` and for people.
pub fn labels(planned: &Planned) -> BTreeMap<String, String> {
    let cell = &planned.cell;
    let mut all = cell.labels.clone();
    all.insert("workload".to_string(), cell.workload.clone());
    all.insert("quorum".to_string(), format!("{},{}", cell.r, cell.w));
    all.insert("n".to_string(), cell.n.to_string());
    all.insert("r".to_string(), cell.r.to_string());
    all.insert("w".to_string(), cell.w.to_string());
    all.insert("records".to_string(), planned.records.to_string());
    match cell.mode {
        Mode::Closed { outstanding } => {
            all.insert("mode".to_string(), "closed".to_string());
            all.insert("outstanding".to_string(), outstanding.to_string());
        }
        Mode::Open { rate } => {
            all.insert("mode".to_string(), "open".to_string());
            all.insert("rate".to_string(), rate.to_string());
        }
        Mode::Idle => {
            all.insert("mode".to_string(), "none".to_string());
        }
    }
    all.insert(BACKEND_LABEL.to_string(), planned.backend.name().to_string());
    all
}

/// The trials that agree with every `name=value`.
/// `origin` is where the filters come from.
fn keep(
    source: &Source,
    cells: Vec<Planned>,
    only: &[String],
    origin: &str,
) -> Result<Vec<Planned>, SpecError> {
    let mut kept = cells;
    for filter in only {
        let refused = |message: String| SpecError {
            file: format!("{origin} {filter}"),
            line: None,
            field: source.file.clone(),
            message,
        };
        let Some((name, value)) = filter.split_once('=') else {
            return Err(refused("a filter is name=value, such as workload=ycsb_a".to_string()));
        };
        // The tables show R, W and N in capitals.
        let small = name.to_ascii_lowercase();
        let name = if matches!(name, "R" | "W" | "N") { small.as_str() } else { name };
        let known: Vec<BTreeMap<String, String>> = kept.iter().map(labels).collect();
        let names: Vec<&str> =
            known.first().into_iter().flat_map(|map| map.keys().map(String::as_str)).collect();
        if !known.iter().any(|map| map.contains_key(name)) {
            return Err(refused(unknown("name", name, &names)));
        }
        let matches = |planned: &Planned| {
            let found = labels(planned).get(name).cloned().unwrap_or_default();
            found == value || name == "workload" && found.strip_prefix("ycsb_") == Some(value)
        };
        kept.retain(matches);
        if kept.is_empty() {
            let mut values: Vec<String> =
                known.iter().filter_map(|map| map.get(name).cloned()).collect();
            values.dedup();
            return Err(refused(format!("no trial has it; there are: {}", values.join(", "))));
        }
    }
    Ok(kept)
}
