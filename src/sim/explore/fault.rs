//! The kinds of faults that a random scenario may have, by name.

use quorate_strategies::nearest;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A process is killed; the operating system keeps what it was handed.
    Crash,
    /// A machine loses power, and with it what was not synchronised.
    PowerCut,
    /// A machine comes back with a new disk.
    Empty,
    /// A bit flips on a disk; the disk is replaced later.
    Rot,
    /// Groups of nodes are cut off from each other.
    Partition,
    /// One direction between two nodes is cut.
    Cut,
    /// Packets wait, and arrive long after somebody stopped waiting for them.
    Hold,
    /// A process stands still.
    Pause,
    /// Wall clocks jump, and clocks go too fast or too slow.
    Clock,
    /// A disk has no space left until somebody makes room.
    Full,
    /// A disk is slow.
    Slow,
    /// Links lose packets.
    Loss,
    /// Links deliver packets twice.
    Duplicate,
    /// Packets overtake each other.
    Reorder,
}

pub const FAULTS: [(&str, Fault); 14] = [
    ("crash", Fault::Crash),
    ("power_cut", Fault::PowerCut),
    ("empty", Fault::Empty),
    ("rot", Fault::Rot),
    ("partition", Fault::Partition),
    ("cut", Fault::Cut),
    ("hold", Fault::Hold),
    ("pause", Fault::Pause),
    ("clock", Fault::Clock),
    ("full", Fault::Full),
    ("slow", Fault::Slow),
    ("loss", Fault::Loss),
    ("duplicate", Fault::Duplicate),
    ("reorder", Fault::Reorder),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FAULTS.iter().find(|(_, fault)| fault == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// A set of faults, as the command line has it: names with commas between them, `all` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub BTreeSet<Fault>);

impl Default for Faults {
    fn default() -> Self {
        Faults(FAULTS.iter().map(|(_, fault)| *fault).collect())
    }
}

/// A word that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault `{found}`; {near}known: {}, or all, or none", known())]
pub struct UnknownFault {
    found: String,
    near: String,
}

fn known() -> String {
    FAULTS.map(|(name, _)| name).join(", ")
}

impl FromStr for Faults {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        match text.trim() {
            "all" => return Ok(Faults::default()),
            "none" => return Ok(Faults(BTreeSet::new())),
            _ => {}
        }
        text.split(',').map(str::trim).map(one).collect::<Result<_, _>>().map(Faults)
    }
}

fn one(word: &str) -> Result<Fault, UnknownFault> {
    let found = FAULTS.iter().find(|(name, _)| *name == word).map(|(_, fault)| *fault);
    found.ok_or_else(|| {
        let near = nearest(word, FAULTS.iter().map(|(name, _)| *name));
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        UnknownFault { found: word.to_string(), near }
    })
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        if *self == Faults::default() {
            return f.write_str("all");
        }
        let names: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_and_faults_are_each_others_inverse() {
        for text in ["none", "all", "crash", "crash,hold,loss"] {
            assert_eq!(text.parse::<Faults>().unwrap().to_string(), text);
        }
        assert_eq!("all".parse::<Faults>().unwrap().0.len(), FAULTS.len());
    }

    #[test]
    fn an_unknown_fault_is_refused_with_its_neighbour() {
        let refused = "crash,partitions".parse::<Faults>().unwrap_err().to_string();
        assert!(refused.contains("`partitions`"), "{refused}");
        assert!(refused.contains("did you mean `partition`?"), "{refused}");
        assert!("".parse::<Faults>().is_err());
    }
}
