//! What a specification's types cannot say: ranges, and what fits together.

use super::error::SpecError;
use super::parse::{Source, unknown};
use super::spec::{Backend, Fault, Kill, LoadMode, Matrix, Spec, Wanted};
use crate::engine;
use crate::report::trial::{BACKEND_LABEL, SIMULATION, Target};
use crate::sim::Link;
use quorate_workloads::Workload;
use quorate_workloads::values::STAMP_BYTES;

const LONGEST_S: f64 = 86_400.0;
const MOST_REPLICAS: usize = 16;
const MOST_OUTSTANDING: u32 = 16_384;
const HIGHEST_RATE: f64 = 1e7;
/// What a target may be about: kinds of operations, and all that write together.
const TARGET_KINDS: [&str; 6] =
    ["read", "update", "insert", "read_modify_write", "delete", "write"];

/// What holds for the experiment as a whole.
pub fn whole(source: &Source, spec: &Spec) -> Result<(), SpecError> {
    let named = !spec.name.is_empty()
        && spec.name.len() <= 64
        && spec
            .name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    let letters = "1 to 64 lower-case letters, digits, `-` and `_`: it names a folder";
    require(source, "name", &format!("{:?}", spec.name), named, letters)?;
    let records = (1..=1_000_000_000).contains(&spec.records);
    require(source, "records", &spec.records, records, "1 to 1,000,000,000")?;
    let repeats = (1..=1_000).contains(&spec.repeats);
    require(source, "repeats", &spec.repeats, repeats, "1 to 1,000")?;
    let seconds = format!("a number of seconds up to {LONGEST_S}");
    let phases =
        [("phases.settle_s", spec.phases.settle_s), ("phases.warm_up_s", spec.phases.warm_up_s)];
    for (field, found) in phases {
        require(source, field, &found, (0.0..=LONGEST_S).contains(&found), &seconds)?;
    }
    let measure = spec.phases.measure_s;
    let fits = (0.1..=LONGEST_S).contains(&measure);
    require(source, "phases.measure_s", &measure, fits, "0.1 to 86400 seconds")?;
    for (index, target) in spec.targets.iter().enumerate() {
        check_target(source, index, target)?;
    }
    Ok(())
}

/// What holds for one cell of the matrix.
pub fn cell(
    source: &Source,
    spec: &Spec,
    workload: &Workload,
    axes: &Matrix,
) -> Result<(), SpecError> {
    cluster(source, spec, axes)?;
    compaction(source, spec, axes)?;
    world(source, spec, axes)?;
    load(source, spec, axes)?;
    let place = axes.place("workload", "workload");
    if workload.proportions.scan > 0.0 {
        let found = format!("{} has scans", workload.name);
        let allowed =
            "workloads without scans (a, b, c, d, f), because the store serves no scans yet";
        return Err(source.error(&place, format!("{found}; allowed: {allowed}")));
    }
    let limit = spec.cluster.limits.value_bytes;
    let size = workload.record_bytes();
    let allowed = format!("records of at most cluster.limits.value_bytes, {limit}");
    require(source, &place, &format!("{size} bytes a record"), size <= limit, &allowed)?;
    for (index, fault) in spec.faults.iter().enumerate() {
        check_fault(source, index, fault, spec)?;
    }
    for index in 0..spec.measure.len() {
        check_measure(source, index, spec, size)?;
    }
    Ok(())
}

fn require(
    source: &Source,
    field: &str,
    found: &dyn std::fmt::Display,
    holds: bool,
    allowed: &str,
) -> Result<(), SpecError> {
    if holds {
        return Ok(());
    }
    Err(source.error(field, format!("found {found}; allowed: {allowed}")))
}

fn cluster(source: &Source, spec: &Spec, axes: &Matrix) -> Result<(), SpecError> {
    let cluster = &spec.cluster;
    let nodes = cluster.nodes;
    let most = spec.backend.most_nodes();
    let few = match spec.backend {
        Backend::Processes => format!("1 to {most}; `backend: {SIMULATION}` takes more"),
        Backend::Simulation => format!("1 to {most}"),
    };
    let field = axes.place("nodes", "cluster.nodes");
    require(source, &field, &nodes, (1..=most).contains(&nodes), &few)?;
    let threads = (1..=64).contains(&cluster.threads);
    require(source, "cluster.threads", &cluster.threads, threads, "1 to 64")?;
    let n = cluster.replication.n;
    let field = axes.place("replication.n", "cluster.replication.n");
    let fits = (1..=MOST_REPLICAS).contains(&n);
    require(source, &field, &n, fits, &format!("1 to {MOST_REPLICAS} replicas"))?;
    let enough = format!("at most the number of nodes, {nodes}");
    require(source, &field, &n, n <= nodes as usize, &enough)?;
    let levels = [("R", "r", cluster.replication.r), ("W", "w", cluster.replication.w)];
    for (letter, name, level) in levels {
        let needed = level.needed(n);
        let field = axes.place("quorum", &format!("cluster.replication.{name}"));
        let found = format!("{letter} = {needed}");
        let allowed = format!("1 to N, which is {n}");
        require(source, &field, &found, (1..=n).contains(&needed), &allowed)?;
    }
    // What a node would refuse is refused here, before one is started.
    cluster.config().check(nodes.into()).map_err(|refused| {
        let field = axes.place("", &refused.field);
        source.error(&field, format!("found {}; allowed: {}", refused.found, refused.allowed))
    })
}

/// Only sorted tables are compacted. A strategy that stands beside an axis of engines is for the
/// cells that have them; where it is what tells cells apart, those without tables would be twins.
fn compaction(source: &Source, spec: &Spec, axes: &Matrix) -> Result<(), SpecError> {
    let Spec { cluster, .. } = spec;
    let chosen = cluster.strategies.compaction != Default::default();
    if !chosen || matches!(cluster.engine, engine::Config::Lsm(_)) {
        return Ok(());
    }
    let bare = |axis: &str| axis.strip_prefix("cluster.").unwrap_or(axis).to_string();
    let names = || axes.0.iter().map(|(axis, _)| (axis, bare(axis)));
    let varies = |(_, name): &(&String, String)| {
        name == "strategies" || name.starts_with("strategies.compaction")
    };
    let place = match names().find(varies) {
        Some((axis, _)) => format!("matrix.{axis}"),
        None if names().any(|(_, name)| name.split('.').next() == Some("engine")) => return Ok(()),
        None => "cluster.strategies.compaction".to_string(),
    };
    let (name, engine) = (cluster.strategies.compaction.name(), cluster.engine.name());
    let message = format!(
        "found `{name}`, but the engine `{engine}` has no tables to compact; allowed: with `lsm`"
    );
    Err(source.error(&place, message))
}

/// The network and the disks of a simulation. Where some cells run in processes, those go without.
fn world(source: &Source, spec: &Spec, axes: &Matrix) -> Result<(), SpecError> {
    let simulates = |value: &serde_json::Value| value.as_str() == Some(SIMULATION);
    let mut values = axes.0.iter().filter(|(axis, _)| axis == BACKEND_LABEL);
    let simulated = spec.backend == Backend::Simulation
        || values.any(|(_, values)| values.iter().any(simulates));
    for (field, given) in [("network", spec.network.is_some()), ("disk", spec.disk.is_some())] {
        if given && !simulated {
            let under = |axis: &str| axis == field || axis.starts_with(&format!("{field}."));
            let axis = axes.0.iter().find(|(axis, _)| under(axis));
            let place = axis.map_or(field.to_string(), |(axis, _)| format!("matrix.{axis}"));
            let message = "real processes have the network and the disks of their machine; \
                           allowed: with `backend: simulation`";
            return Err(source.error(&place, message));
        }
    }
    spec.network.map_or(Ok(()), |link| network(source, axes, &link))
}

fn network(source: &Source, axes: &Matrix, link: &Link) -> Result<(), SpecError> {
    let shares = [("loss", link.loss), ("duplicate", link.duplicate), ("reorder", link.reorder)];
    for (name, found) in shares {
        let field = axes.place("network", &format!("network.{name}"));
        let fits = (0.0..=1.0).contains(&found);
        require(source, &field, &found, fits, "a probability: 0 to 1")?;
    }
    let field = axes.place("network", "network.bytes_per_s");
    match link.bytes_per_s {
        Some(0) => Err(source.error(&field, "found 0; allowed: 1 and more, or nothing: no limit")),
        _ => Ok(()),
    }
}

fn load(source: &Source, spec: &Spec, axes: &Matrix) -> Result<(), SpecError> {
    let load = &spec.load;
    let connections = (1..=16).contains(&load.connections);
    require(source, "load.connections", &load.connections, connections, "1 to 16")?;
    match load.mode {
        LoadMode::Idle => Ok(()),
        LoadMode::Open => {
            let field = axes.place("rate", "load.rate");
            let Some(rate) = load.rate else {
                let message = "missing; an open loop needs a rate: operations per second, above 0";
                return Err(source.error(&field, message));
            };
            let allowed = format!("operations per second above 0 and up to {HIGHEST_RATE}");
            require(source, &field, &rate, rate > 0.0 && rate <= HIGHEST_RATE, &allowed)
        }
        LoadMode::Closed => {
            let field = axes.place("outstanding", "load.outstanding");
            let Some(outstanding) = load.outstanding else {
                let message = "missing; a closed loop needs a number of outstanding operations";
                return Err(source.error(&field, message));
            };
            let allowed = format!("1 to {MOST_OUTSTANDING}");
            let fits = (1..=MOST_OUTSTANDING).contains(&outstanding);
            require(source, &field, &outstanding, fits, &allowed)
        }
    }
}

fn check_target(source: &Source, index: usize, target: &Target) -> Result<(), SpecError> {
    let field = |name: &str| format!("targets[{index}].{name}");
    if !TARGET_KINDS.contains(&target.kind.as_str()) {
        return Err(source.error(&field("kind"), unknown("kind", &target.kind, &TARGET_KINDS)));
    }
    let inside = (0.0..=100.0).contains(&target.percentile);
    let allowed = "a number from 0 to 100";
    require(source, &field("percentile"), &target.percentile, inside, allowed)?;
    let positive = target.below_ms > 0.0 && target.below_ms.is_finite();
    let allowed = "a number of milliseconds above 0";
    require(source, &field("below_ms"), &target.below_ms, positive, allowed)
}

fn check_fault(source: &Source, index: usize, fault: &Fault, spec: &Spec) -> Result<(), SpecError> {
    let measure = spec.phases.measure_s;
    let (kind, node, start) = match fault {
        Fault::Pause(pause) => ("pause", pause.node, pause.first_at_s),
        Fault::Kill(kill) => ("kill", kill.node, kill.at_s),
    };
    let field = |name: &str| format!("faults[{index}].{kind}.{name}");
    let nodes = spec.cluster.nodes;
    let known = (1..=nodes).contains(&node);
    require(source, &field("node"), &node, known, &format!("1 to the number of nodes, {nodes}"))?;
    let name = if kind == "pause" { "first_at_s" } else { "at_s" };
    let inside = (0.0..measure).contains(&start);
    let allowed = format!("a time within the measured phase: 0 to below {measure} s");
    require(source, &field(name), &start, inside, &allowed)?;
    match fault {
        Fault::Pause(pause) => {
            let length = pause.for_s > 0.0 && pause.for_s <= LONGEST_S;
            require(source, &field("for_s"), &pause.for_s, length, "a number of seconds above 0")?;
            let apart = pause.every_s > pause.for_s && pause.every_s <= LONGEST_S;
            let allowed = format!("more seconds than one pause lasts, {}", pause.for_s);
            require(source, &field("every_s"), &pause.every_s, apart, &allowed)
        }
        Fault::Kill(kill) => check_restart(source, &field, kill),
    }
}

fn check_restart(
    source: &Source,
    field: &dyn Fn(&str) -> String,
    kill: &Kill,
) -> Result<(), SpecError> {
    if let Some(after_s) = kill.restart_after_s {
        let fits = after_s > 0.0 && after_s <= LONGEST_S;
        require(source, &field("restart_after_s"), &after_s, fits, "a number of seconds above 0")?;
    }
    let fits = (0.0..=LONGEST_S).contains(&kill.jitter_s);
    require(source, &field("jitter_s"), &kill.jitter_s, fits, "a number of seconds from 0")?;
    match (kill.every_s, kill.restart_after_s) {
        (None, _) => Ok(()),
        (Some(_), None) => {
            let message = "a node is killed again only when it was started again; allowed: with \
                           `restart_after_s`";
            Err(source.error(&field("every_s"), message))
        }
        (Some(every_s), Some(after_s)) => {
            let jitter_s = kill.jitter_s;
            let apart = every_s > after_s + jitter_s && every_s <= LONGEST_S;
            let allowed = match jitter_s {
                0.0 => format!("more seconds than the node stays dead, {after_s}"),
                _ => format!("more seconds than {jitter_s} of jitter and {after_s} of death"),
            };
            require(source, &field("every_s"), &every_s, apart, &allowed)
        }
    }
}

/// What a measure needs of the rest of the specification.
fn check_measure(
    source: &Source,
    index: usize,
    spec: &Spec,
    record_bytes: usize,
) -> Result<(), SpecError> {
    let field = format!("measure[{index}]");
    let wanted = spec.measure[index];
    if spec.measure[..index].contains(&wanted) {
        return Err(source.error(&field, "stands twice; allowed: each measure once"));
    }
    match wanted {
        Wanted::Messages => Ok(()),
        Wanted::Gossip => {
            let starts = |fault: &Fault| match fault {
                Fault::Kill(kill) => kill.restart_after_s.is_some(),
                Fault::Pause(_) => false,
            };
            let has_news = spec.faults.iter().any(starts) && spec.cluster.nodes > 1;
            let message = match (has_news, spec.backend) {
                (true, Backend::Simulation) => return Ok(()),
                (true, Backend::Processes) => {
                    "real nodes do not tell what they heard and when; allowed: with `backend: \
                     simulation`"
                }
                (false, _) => {
                    "there is no news to tell; allowed: with a `kill` with `restart_after_s` under \
                     `faults`, in a cluster of 2 nodes and more"
                }
            };
            Err(source.error(&field, message))
        }
        Wanted::Storage if spec.backend == Backend::Simulation => {
            let message = "simulated nodes have no tables; allowed: on real processes";
            Err(source.error(&field, message))
        }
        Wanted::Storage => match &spec.cluster.engine {
            engine::Config::Lsm(_) => Ok(()),
            other => {
                let name = other.name();
                let message = format!("the engine `{name}` has no tables; allowed: with `lsm`");
                Err(source.error(&field, message))
            }
        },
        Wanted::Staleness if record_bytes >= STAMP_BYTES => Ok(()),
        Wanted::Staleness => {
            let message = format!(
                "values of {record_bytes} bytes cannot name their writer; allowed: records of at \
                 least {STAMP_BYTES} bytes"
            );
            Err(source.error(&field, message))
        }
        Wanted::Detection => {
            let kills = spec.faults.iter().any(|fault| matches!(fault, Fault::Kill(_)));
            let message = "nobody dies whom the others could notice; allowed: with a `kill` under \
                           `faults`, in a cluster of 2 nodes and more";
            match kills && spec.cluster.nodes > 1 {
                true => Ok(()),
                false => Err(source.error(&field, message)),
            }
        }
    }
}
