//! Statements as text: what the parser reads.

use super::words::Shown;
use super::{Ask, DiskFault, Expect, Look, Statement, What};
use crate::sim::network::Link;
use crate::sim::text::shown;
use crate::sim::world::{End, Return};
use quorate_strategies::NodeId;
use std::fmt::{self, Display, Formatter};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Cluster(setup) => setup.fmt(f),
            Statement::Ask(ask) => ask.fmt(f),
            Statement::Tick(us) => write!(f, "tick {}", shown(*us as f64)),
            Statement::Settle { within_us } => write!(f, "settle {}", shown(*within_us as f64)),
            Statement::Network(link) => write!(f, "network{}", Pairs(link)),
            Statement::Direction { from, to, link } => {
                write!(f, "link {from} -> {to}{}", Pairs(link))
            }
            Statement::Partition(groups) => partition(f, groups),
            Statement::Cut { from, to } => write!(f, "cut {from} -> {to}"),
            Statement::Heal => f.write_str("heal"),
            Statement::Hold { from, to } => write!(f, "hold {from} -> {to}"),
            Statement::Release { from, to } => write!(f, "release {from} -> {to}"),
            Statement::End { node, how: End::Crash } => write!(f, "crash {node}"),
            Statement::End { node, how: End::PowerCut } => write!(f, "power_cut {node}"),
            Statement::Start { node, how } => start(f, *node, how),
            Statement::Pause { node } => write!(f, "pause {node}"),
            Statement::Resume { node } => write!(f, "resume {node}"),
            Statement::ClockOffset { node, us } => {
                let sign = if *us < 0 { "-" } else { "+" };
                write!(f, "clock {node} offset={sign}{}", shown(us.unsigned_abs() as f64))
            }
            Statement::ClockDrift { node, ppm } => write!(f, "clock {node} drift={ppm}ppm"),
            Statement::Disk { node, what } => disk(f, *node, *what),
            Statement::Expect(expect) => expect.fmt(f),
            Statement::Look(Look::Stored { node, key }) => {
                write!(f, "stored {node} {}", Shown(key))
            }
            Statement::Look(Look::Status { node }) => write!(f, "status {node}"),
            Statement::Look(Look::Owners { key }) => write!(f, "owners {}", Shown(key)),
        }
    }
}

fn partition(f: &mut Formatter<'_>, groups: &[Vec<NodeId>]) -> fmt::Result {
    f.write_str("partition")?;
    for (index, group) in groups.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { " |" })?;
        group.iter().try_for_each(|node| write!(f, " {node}"))?;
    }
    Ok(())
}

fn start(f: &mut Formatter<'_>, node: NodeId, how: &Return) -> fmt::Result {
    write!(f, "restart {node}")?;
    if how.empty {
        f.write_str(" empty")?;
    }
    how.epoch.map_or(Ok(()), |epoch| write!(f, " epoch={epoch}"))
}

fn disk(f: &mut Formatter<'_>, node: NodeId, what: DiskFault) -> fmt::Result {
    match what {
        DiskFault::Slow { us } => write!(f, "disk {node} slow={}", shown(us as f64)),
        DiskFault::Full => write!(f, "disk {node} full"),
        DiskFault::Free => write!(f, "disk {node} free"),
        DiskFault::Rot => write!(f, "disk {node} rot"),
    }
}

/// A link's fields that differ from the default.
struct Pairs<'a>(&'a Link);

impl Display for Pairs<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Link { delay, loss, duplicate, ordered, reorder, bytes_per_s } = self.0;
        write!(f, " delay={}", Shown(delay.to_string().as_bytes()))?;
        for (name, share) in [("loss", loss), ("duplicate", duplicate), ("reorder", reorder)] {
            if *share > 0.0 {
                write!(f, " {name}={share}")?;
            }
        }
        if !ordered {
            f.write_str(" ordered=false")?;
        }
        bytes_per_s.map_or(Ok(()), |bytes| write!(f, " bytes_per_s={bytes}"))
    }
}

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (node, key) = (self.node, Shown(&self.key));
        match &self.what {
            What::Get => write!(f, "get {node} {key}"),
            What::Put(value) => write!(f, "put {node} {key} {}", Shown(value)),
            What::Delete => write!(f, "delete {node} {key}"),
            What::Add(amount) => write!(f, "add {node} {key} {amount}"),
        }?;
        if let Some(level) = self.level {
            write!(f, " level={level}")?;
        }
        if let Some(name) = &self.name {
            write!(f, " as={}", Shown(name.as_bytes()))?;
        }
        if let Some(name) = &self.context {
            write!(f, " context={}", Shown(name.as_bytes()))?;
        }
        if let Some(ttl_ms) = self.ttl_ms {
            write!(f, " ttl={}", shown(ttl_ms as f64 * 1e3))?;
        }
        if let Some(timeout_ms) = self.timeout_ms {
            write!(f, " timeout={}", shown(f64::from(timeout_ms) * 1e3))?;
        }
        f.write_str(if self.background { " &" } else { "" })
    }
}

impl Display for Expect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Stored { node, key, values } if values.is_empty() => {
                write!(f, "expect {node} holds {} nothing", Shown(key))
            }
            Expect::Stored { node, key, values } => {
                write!(f, "expect {node} holds {}", Shown(key))?;
                values.iter().try_for_each(|value| write!(f, " {}", Shown(value)))
            }
            Expect::Standing { node, peer, is } => write!(f, "expect {node} sees {peer} {is}"),
            Expect::Agree { key } => write!(f, "expect replicas agree {}", Shown(key)),
        }
    }
}
