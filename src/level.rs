//! Consistency levels: how many replicas must take part in a read or a write.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// How many replicas must take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    One,
    Two,
    Quorum,
    All,
    /// An explicit R or W.
    Exactly(u8),
}

impl Level {
    /// Replicas needed of `n`: may exceed `n`, which the caller must refuse.
    pub fn needed(self, n: usize) -> usize {
        match self {
            Level::One => 1,
            Level::Two => 2,
            Level::Quorum => n / 2 + 1,
            Level::All => n,
            Level::Exactly(count) => count as usize,
        }
    }
}

const ALLOWED: &str = "strong, eventual, one, two, quorum, all, or a number from 1 to 255";

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown consistency level `{0}`; allowed: {allowed}", allowed = ALLOWED)]
pub struct UnknownLevel(pub String);

/// `strong` is another word for `quorum`, `eventual` for `one`. Case does not matter.
impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        match text.to_ascii_lowercase().as_str() {
            "one" | "eventual" => Ok(Level::One),
            "two" => Ok(Level::Two),
            "quorum" | "strong" => Ok(Level::Quorum),
            "all" => Ok(Level::All),
            number => match number.parse::<u8>() {
                Ok(count) if count > 0 => Ok(Level::Exactly(count)),
                _ => Err(UnknownLevel(text.to_string())),
            },
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::One => f.write_str("one"),
            Level::Two => f.write_str("two"),
            Level::Quorum => f.write_str("quorum"),
            Level::All => f.write_str("all"),
            Level::Exactly(count) => write!(f, "{count}"),
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Level::Exactly(count) => serializer.serialize_u8(*count),
            named => serializer.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Level;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one, two, quorum, all, or a number of replicas from 1 to 255")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Level, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Level, E> {
                self.visit_str(&count.to_string())
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Level, E> {
                self.visit_str(&count.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_and_numbers_are_levels_and_nothing_else_is() {
        for (text, level) in [
            ("quorum", Level::Quorum),
            ("STRONG", Level::Quorum),
            ("eventual", Level::One),
            ("all", Level::All),
            ("3", Level::Exactly(3)),
        ] {
            assert_eq!(text.parse::<Level>().unwrap(), level);
        }
        for text in ["", "0", "-1", "256", "most"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_quorum_is_a_majority() {
        let needed = [1, 2, 3, 4, 5].map(|n| Level::Quorum.needed(n));
        assert_eq!(needed, [1, 2, 2, 3, 3]);
    }

    #[test]
    fn yaml_takes_words_and_numbers() {
        let levels: Vec<Level> = serde_yaml::from_str("[quorum, 2, one]").unwrap();
        assert_eq!(levels, [Level::Quorum, Level::Exactly(2), Level::One]);
    }
}
