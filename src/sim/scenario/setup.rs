//! The `cluster` statement: pairs of name and value over the defaults.

use super::words::Shown;
use crate::config::{ReadFanout, Strategies};
use crate::engine::{self, LsmConfig, SyncPolicy};
use crate::level::Level;
use crate::sim::config::Config;
use crate::sim::delay::Delay;
use crate::sim::text::{DURATION, duration};
use quorate_strategies::{Choice, Family, nearest};
use serde_json::{Map, Value};
use std::fmt;

/// `name=value`, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup(pub Vec<(String, String)>);

/// A pair that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pair}`: {problem}")]
pub struct BadPair {
    /// Position among the pairs.
    pub index: usize,
    pub pair: String,
    pub problem: String,
}

/// All names with what their values may be. Settings of a strategy follow its family's name:
/// `detection.threshold=5`.
pub const NAMES: &[(&str, &str)] = &[
    ("nodes", "1 to 1000"),
    ("n", "1 to 16, at most the number of nodes"),
    ("r", "a level: one, two, quorum, all or a number"),
    ("w", "a level: one, two, quorum, all or a number"),
    ("seed", "a number"),
    ("fanout", "needed or all"),
    ("sync", "always, interval, never, or memory"),
    ("partitioning", "a strategy of `quorate list`"),
    ("conflict", "a strategy of `quorate list`"),
    ("detection", "a strategy of `quorate list`"),
    ("heartbeat", DURATION),
    ("gossip", DURATION),
    ("judge", DURATION),
    ("read_timeout", DURATION),
    ("write_timeout", DURATION),
    ("hedge", DURATION),
    ("max_clock_drift", DURATION),
    ("in_flight", "1 to 524288"),
    ("delay", crate::sim::delay::ALLOWED),
    ("loss", "a probability, 0 to 1"),
    ("duplicate", "a probability, 0 to 1"),
    ("reorder", "a probability, 0 to 1"),
    ("ordered", "true or false"),
    ("bytes_per_s", "1 and more"),
    ("commit", crate::sim::delay::ALLOWED),
    ("read", crate::sim::delay::ALLOWED),
];

impl Setup {
    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The world that the pairs describe. Its beats are quick: heartbeats and gossip each 100 ms.
    ///
    /// # Errors
    /// The first pair that has an unknown name, a value that is not allowed, or a name twice.
    pub fn config(&self) -> Result<Config, BadPair> {
        let mut config = Config::of(3, 1);
        config.cluster.timing.heartbeat_interval_ms = 100;
        config.cluster.timing.gossip_interval_ms = 100;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let bad = |problem| BadPair { index, pair: format!("{name}={value}"), problem };
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(bad("each name stands once".to_string()));
            }
            self.apply(&mut config, name, value).map_err(bad)?;
        }
        let checked = config.cluster.check(config.nodes.into());
        checked.map_err(|refused| {
            let named = |(name, _): &(String, String)| refused.field.ends_with(name.as_str());
            let index = self.0.iter().position(named).unwrap_or(0);
            let problem = format!("found {}; allowed: {}", refused.found, refused.allowed);
            BadPair { index, pair: refused.field, problem }
        })?;
        Ok(config)
    }

    fn apply(&self, config: &mut Config, name: &str, value: &str) -> Result<(), String> {
        if name.contains('.') {
            return self.is_setting(name);
        }
        let Some((_, allowed)) = NAMES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            let near = nearest(name, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            return Err(format!("unknown name; {near}known: {}", known.join(", ")));
        };
        if ["partitioning", "conflict", "detection"].contains(&name) {
            return self.strategy(&mut config.cluster.strategies, name, value);
        }
        set(config, name, value).ok_or_else(|| format!("allowed: {allowed}"))
    }

    fn strategy(&self, all: &mut Strategies, family: &str, name: &str) -> Result<(), String> {
        match family {
            "partitioning" => all.partitioning = self.choice(family, name)?,
            "conflict" => all.conflict = self.choice(family, name)?,
            _ => all.detection = self.choice(family, name)?,
        }
        Ok(())
    }

    /// A strategy with the pairs that begin with its family's name.
    fn choice<F: Family>(&self, family: &str, name: &str) -> Result<Choice<F>, String> {
        let mut settings = Map::new();
        for (pair, value) in &self.0 {
            if let Some(setting) = pair.strip_prefix(family).and_then(|it| it.strip_prefix('.')) {
                let value = serde_json::from_str(value);
                let text = || Value::String(self.get(pair).unwrap_or_default().to_string());
                settings.insert(setting.to_string(), value.unwrap_or_else(|_| text()));
            }
        }
        Choice::new(name, settings).map_err(|error| error.to_string())
    }

    /// A strategy's setting is checked with its strategy, which must stand there, too.
    fn is_setting(&self, pair: &str) -> Result<(), String> {
        let family = pair.split('.').next().unwrap_or_default();
        match self.get(family) {
            Some(_) if ["partitioning", "conflict", "detection"].contains(&family) => Ok(()),
            _ => Err(format!("a setting of a strategy needs the strategy itself: `{family}=…`")),
        }
    }
}

/// None: the value is not one that the name allows.
fn set(config: &mut Config, name: &str, value: &str) -> Option<()> {
    let cluster = &mut config.cluster;
    let timing = &mut cluster.timing;
    let level = || value.parse::<Level>().ok();
    match name {
        "nodes" => config.nodes = whole(value, 1..=1_000)? as u16,
        "n" => cluster.replication.n = whole(value, 1..=16)? as usize,
        "r" => cluster.replication.r = level()?,
        "w" => cluster.replication.w = level()?,
        "seed" => config.seed = value.parse().ok()?,
        "fanout" => {
            cluster.replication.read_fanout = match value {
                "needed" => ReadFanout::Needed,
                "all" => ReadFanout::All,
                _ => return None,
            }
        }
        "sync" => cluster.engine = durability(value)?,
        "heartbeat" => timing.heartbeat_interval_ms = millis(value)?,
        "judge" => timing.judge_interval_ms = millis(value)?,
        "gossip" => timing.gossip_interval_ms = millis(value)?,
        "read_timeout" => timing.read_timeout_ms = millis(value)?,
        "write_timeout" => timing.write_timeout_ms = millis(value)?,
        "hedge" => timing.hedge_ms = millis(value)?,
        "max_clock_drift" => timing.max_clock_drift_ms = millis(value)?,
        "in_flight" => cluster.limits.in_flight = whole(value, 1..=524_288)? as usize,
        "commit" => config.disk.commit = value.parse::<Delay>().ok()?,
        "read" => config.disk.read = value.parse::<Delay>().ok()?,
        _ => set_link(&mut config.network, name, value)?,
    }
    Some(())
}

/// The part of the names that `network` and `link` statements have, too.
pub(super) fn set_link(link: &mut crate::sim::Link, name: &str, value: &str) -> Option<()> {
    let probability =
        || value.parse::<f64>().ok().filter(|probability| (0.0..=1.0).contains(probability));
    match name {
        "delay" => link.delay = value.parse().ok()?,
        "loss" => link.loss = probability()?,
        "duplicate" => link.duplicate = probability()?,
        "reorder" => link.reorder = probability()?,
        "ordered" => link.ordered = value.parse().ok()?,
        "bytes_per_s" => link.bytes_per_s = Some(whole(value, 1..=u64::MAX)?),
        _ => return None,
    }
    Some(())
}

fn whole(value: &str, allowed: std::ops::RangeInclusive<u64>) -> Option<u64> {
    value.parse().ok().filter(|number| allowed.contains(number))
}

fn millis(value: &str) -> Option<u32> {
    let us = duration(value)?;
    (us >= 1_000 && us % 1_000 == 0).then(|| u32::try_from(us / 1_000).ok())?
}

fn durability(value: &str) -> Option<engine::Config> {
    let lsm = |sync| Some(engine::Config::Lsm(LsmConfig { sync, ..LsmConfig::default() }));
    match value {
        "always" => lsm(SyncPolicy::Always),
        "interval" => lsm(SyncPolicy::Interval),
        "never" => lsm(SyncPolicy::Never),
        "memory" => Some(engine::Config::Memory),
        _ => None,
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cluster")?;
        for (name, value) in &self.0 {
            write!(f, " {name}={}", Shown(value.as_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn setup(pairs: &[(&str, &str)]) -> Setup {
        Setup(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn pairs_become_a_world() {
        let config = setup(&[
            ("nodes", "5"),
            ("w", "all"),
            ("detection", "phi_accrual"),
            ("detection.threshold", "5"),
            ("delay", "exponential(2ms)"),
        ])
        .config()
        .unwrap();
        assert_eq!((config.nodes, config.cluster.replication.w), (5, Level::All));
        assert_eq!(config.network.delay, "exponential(2ms)".parse().unwrap());
        let detection = &config.cluster.strategies.detection;
        assert_eq!(detection.name(), "phi_accrual");
    }

    #[test]
    fn what_cannot_be_taken_is_named_with_what_is_allowed() {
        for (pairs, index, part) in [
            (&[("nodes", "5"), ("lose", "0.1")][..], 1, "did you mean `loss`"),
            (&[("loss", "2")], 0, "a probability"),
            (&[("conflict", "lwww")], 0, "lww"),
            (&[("detection.threshold", "5")], 0, "needs the strategy"),
            (&[("n", "3"), ("n", "3")], 1, "once"),
            (&[("nodes", "2"), ("n", "3")], 1, "allowed"),
        ] {
            let bad = setup(pairs).config().unwrap_err();
            assert_eq!(bad.index, index, "{bad}");
            assert!(bad.to_string().contains(part), "{bad}");
        }
    }
}
