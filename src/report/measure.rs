//! Named scalars that a trial finds besides its latencies, and the names that every backend gives
//! them.

use serde::{Deserialize, Serialize};

/// One scalar of one trial. Every number is finite: a file could not carry another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Lower-case letters, digits and `_`; with its unit last where that makes it clearer.
    pub name: String,
    pub unit: String,
    pub value: f64,
    /// What the value rests on: operations, observers, rounds.
    pub samples: u64,
    /// Where the middle half of the samples lies, where each is a number of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// What was counted, how, and how finely it could be seen.
    pub about: String,
    /// What a published closed form says that it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// Quartiles of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    pub p25: f64,
    pub p75: f64,
}

/// A figure that nobody measured here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub value: f64,
    /// The formula and who published it.
    pub source: String,
}

/// What is measured, by the same name and in the same unit on every backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    pub name: &'static str,
    pub unit: &'static str,
    pub about: &'static str,
}

pub const MESSAGES_PER_OPERATION: Quantity = Quantity {
    name: "messages_per_operation",
    unit: "messages",
    about: "messages between nodes of every kind, heartbeats and gossip included, by acknowledged \
            operation",
};

pub const REQUEST_MESSAGES_PER_OPERATION: Quantity = Quantity {
    name: "request_messages_per_operation",
    unit: "messages",
    about: "messages between nodes that serve requests, heartbeats and gossip left out, by \
            acknowledged operation",
};

pub const BYTES_PER_OPERATION: Quantity = Quantity {
    name: "bytes_per_operation",
    unit: "B",
    about: "bytes of all messages between nodes as they are encoded, without framing and \
            transport, by acknowledged operation",
};

pub const STALE_READS_SHARE: Quantity = Quantity {
    name: "stale_reads_share",
    unit: "share",
    about: "acknowledged reads whose value had been overwritten by a write that was acknowledged \
            before the read began, by reads that could be judged",
};

pub const WRITE_AMPLIFICATION: Quantity = Quantity {
    name: "write_amplification",
    unit: "bytes by byte",
    about: "bytes that flushes and compactions wrote to tables, by byte that was flushed",
};

pub const SPACE_AMPLIFICATION: Quantity = Quantity {
    name: "space_amplification",
    unit: "entries by record",
    about: "entries in the tables of all nodes, by record and replica; a sample is one look, one \
            a second",
};

pub const READS_IN_VAIN_SHARE: Quantity = Quantity {
    name: "reads_in_vain_share",
    unit: "share",
    about: "tables that a filter let pass although they did not hold the key, by those that did \
            not hold it",
};

pub const LONGEST_STALL_MS: Quantity = Quantity {
    name: "longest_stall_ms",
    unit: "ms",
    about: "the longest time that a commit waited for room in memory or on level 0; a sample is \
            one node, the value is the worst since it started",
};

pub const DETECTION_TIME_S: Quantity = Quantity {
    name: "detection_time_s",
    unit: "s",
    about: "from the death of a node until another one takes it for down; a sample is one observer",
};

pub const MISTAKES_PER_PEER_HOUR: Quantity = Quantity {
    name: "mistakes_per_peer_hour",
    unit: "1/h",
    about: "how often a node took a living peer for down, by hour and observed peer",
};

pub const MISTAKE_DURATION_S: Quantity = Quantity {
    name: "mistake_duration_s",
    unit: "s",
    about: "from the moment when a node takes a living peer for down until it hears of it again",
};

pub const ROUNDS_TO_INFORM_ALL: Quantity = Quantity {
    name: "rounds_to_inform_all",
    unit: "rounds",
    about: "gossip rounds until every node knows what one of them told",
};

pub const BYTES_PER_NODE_S: Quantity = Quantity {
    name: "bytes_per_node_s",
    unit: "B/s",
    about: "bytes of all messages that a node sends to others in a second, as they are encoded",
};

pub const GOSSIP_BYTES_PER_NODE_S: Quantity = Quantity {
    name: "gossip_bytes_per_node_s",
    unit: "B/s",
    about: "bytes of the batches with gossip that a node sends to others in a second, as they are \
            encoded",
};

impl Quantity {
    /// A value that rests on this many samples.
    pub fn of(&self, value: f64, samples: u64) -> Measure {
        Measure {
            name: self.name.to_string(),
            unit: self.unit.to_string(),
            value,
            samples,
            spread: None,
            about: self.about.to_string(),
            expected: None,
        }
    }

    /// So much of something by each of `whole`. None where there is nothing to divide by.
    pub fn ratio(&self, part: f64, whole: u64) -> Option<Measure> {
        (whole > 0).then(|| self.of(part / whole as f64, whole))
    }

    /// The mean of samples with their quartiles. None of nothing.
    pub fn mean(&self, samples: &[f64]) -> Option<Measure> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let spread = Spread { p25: quantile(&sorted, 0.25)?, p75: quantile(&sorted, 0.75)? };
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Some(Measure { spread: Some(spread), ..self.of(mean, sorted.len() as u64) })
    }
}

/// Between two neighbours the line from one to the other holds.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

impl Measure {
    /// With what a closed form says beside it.
    #[must_use]
    pub fn expecting(self, value: f64, source: impl Into<String>) -> Measure {
        Measure { expected: Some(Expected { value, source: source.into() }), ..self }
    }

    /// With something more to know about how it was seen.
    #[must_use]
    pub fn noting(mut self, note: &str) -> Measure {
        self.about.push_str("; ");
        self.about.push_str(note);
        self
    }

    /// The name in words, without the unit: `detection time`.
    pub(super) fn words(&self) -> String {
        let bare = self.name.strip_suffix(&format!("_{}", self.unit)).unwrap_or(&self.name);
        bare.replace('_', " ")
    }

    /// Why a file cannot carry it, if it cannot.
    pub(super) fn fault(&self) -> Option<String> {
        let Measure { name, value, spread, expected, .. } = self;
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(letter) {
            return Some(format!(
                "the measure's name {name:?} is not of lower-case letters, digits and `_`"
            ));
        }
        let quartiles = spread.iter().flat_map(|it| [it.p25, it.p75]);
        let mut numbers = quartiles.chain(expected.iter().map(|it| it.value)).chain([*value]);
        let found = numbers.find(|number| !number.is_finite())?;
        Some(format!("the measure `{name}` has {found}, which is no finite number"))
    }
}

/// How far `value` is from `reference`, as a share of it. None where that has no meaning.
pub(super) fn gap(value: f64, reference: f64) -> Option<f64> {
    (reference != 0.0).then(|| (value - reference) / reference.abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mean_comes_with_the_middle_half_of_its_samples() {
        let measure = DETECTION_TIME_S.mean(&[4.0, 1.0, 2.0, 3.0, 10.0]).unwrap();
        assert_eq!((measure.value, measure.samples), (4.0, 5));
        assert_eq!(measure.spread, Some(Spread { p25: 2.0, p75: 4.0 }));
        let two = DETECTION_TIME_S.mean(&[1.0, 2.0]).unwrap();
        assert_eq!(two.spread, Some(Spread { p25: 1.25, p75: 1.75 }));
        assert_eq!(DETECTION_TIME_S.mean(&[]), None);
        assert_eq!(MESSAGES_PER_OPERATION.ratio(3.0, 0), None);
        assert_eq!(MESSAGES_PER_OPERATION.ratio(3.0, 2).unwrap().value, 1.5);
    }

    #[test]
    fn a_gap_is_a_share_of_the_reference() {
        assert_eq!(gap(1.5, 1.0), Some(0.5));
        assert_eq!(gap(-3.0, -2.0), Some(-0.5));
        assert_eq!(gap(1.0, 0.0), None);
    }

    #[test]
    fn what_a_file_cannot_carry_has_a_reason() {
        let good = STALE_READS_SHARE.of(0.0, 5);
        assert_eq!(good.fault(), None);
        assert!(STALE_READS_SHARE.of(f64::NAN, 5).fault().unwrap().contains("NaN"));
        assert!(good.clone().expecting(f64::INFINITY, "").fault().unwrap().contains("inf"));
        let shouted = Measure { name: "Stale reads".to_string(), ..good };
        assert!(shouted.fault().unwrap().contains("Stale reads"));
    }

    #[test]
    fn what_a_reader_of_the_file_gets_is_what_was_written() {
        let whole = DETECTION_TIME_S.mean(&[1.0, 2.0]).unwrap().expecting(1.4, "a formula");
        for measure in [whole, STALE_READS_SHARE.of(0.1, 7).noting("reads of one run")] {
            let text = serde_json::to_string(&measure).unwrap();
            assert_eq!(serde_json::from_str::<Measure>(&text).unwrap(), measure);
        }
    }
}
