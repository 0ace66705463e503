//! The registry: one row makes a strategy exist.
//!
//! A family is a marker type that implements [`Family`] and lists its rows. [`Choice`] is what YAML
//! says: a name, or a name with settings (`vnodes` or `vnodes: {per_node: 8}`). It is checked against
//! the rows while it is being read, so that an error carries the position in the file.

use serde::de::{self, DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use std::marker::PhantomData;

/// The settings of one strategy as plain values, before the strategy has read them.
pub type Settings = Map<String, Value>;

/// A setting of a strategy, for `quorate list` and the generated tables.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    /// What it does, its unit and its limits.
    pub about: &'static str,
}

/// One row of a registry.
pub struct Entry<S: ?Sized + 'static> {
    /// The name in YAML, on the command line, in metrics and in plots.
    pub name: &'static str,
    /// One sentence: what it decides and what it costs.
    pub about: &'static str,
    /// Where the algorithm comes from: paper and section, or the store that uses it.
    pub paper: &'static str,
    /// One for each key of `defaults`, in the same order.
    pub parameters: &'static [Parameter],
    /// The settings that hold where YAML is silent.
    pub defaults: fn() -> Settings,
    /// Builds the strategy from complete settings; refuses values that are out of range.
    pub build: fn(&Settings) -> Result<Box<S>, Invalid>,
}

/// A family of strategies: the trait, its rows, and the row that holds where YAML is silent.
pub trait Family: 'static {
    type Strategy: ?Sized + 'static;
    /// The key in YAML: `partitioning`, `conflict`, `compaction`, `detection`.
    const NAME: &'static str;
    /// The question that the family answers, in one sentence.
    const ABOUT: &'static str;
    /// The name of the row that is taken where YAML is silent.
    const DEFAULT: &'static str;
    fn entries() -> &'static [Entry<Self::Strategy>];
}

/// Why a choice of strategy cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("unknown {family} strategy `{found}`{}; known: {known}", did_you_mean(.near))]
    UnknownStrategy { family: &'static str, found: String, near: Option<String>, known: String },
    #[error("unknown setting `{found}` of {strategy}{}; known: {known}", did_you_mean(.near))]
    UnknownSetting { strategy: &'static str, found: String, near: Option<String>, known: String },
    #[error("setting `{setting}` is {found}; allowed: {allowed}")]
    OutOfRange { setting: &'static str, found: String, allowed: String },
    #[error("{0}")]
    Malformed(String),
}

fn did_you_mean(near: &Option<String>) -> String {
    near.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

/// The known name that is nearest to `found`, if one is near enough to be meant.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (found.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The settings of `T::default()`: what a row names as its `defaults`.
pub fn defaults<T: Default + Serialize>() -> Settings {
    match serde_json::to_value(T::default()) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Reads complete settings into a strategy's own struct.
pub fn read<T: DeserializeOwned>(settings: &Settings) -> Result<T, Invalid> {
    serde_json::from_value(Value::Object(settings.clone()))
        .map_err(|error| Invalid::Malformed(error.to_string()))
}

/// Refuses a number outside `lowest..=highest`.
pub(crate) fn within<N: PartialOrd + fmt::Display>(
    setting: &'static str,
    number: N,
    lowest: N,
    highest: N,
) -> Result<N, Invalid> {
    if lowest <= number && number <= highest {
        return Ok(number);
    }
    let (found, allowed) = (number.to_string(), format!("{lowest} to {highest}"));
    Err(Invalid::OutOfRange { setting, found, allowed })
}

/// A strategy by name with all its settings; valid from the moment that it exists.
pub struct Choice<F: Family> {
    entry: &'static Entry<F::Strategy>,
    settings: Settings,
}

impl<F: Family> Choice<F> {
    /// Looks `name` up, fills silent settings with their defaults, and builds once to check the values.
    pub fn new(name: &str, given: Settings) -> Result<Self, Invalid> {
        let entry = find::<F>(name)?;
        let mut settings = (entry.defaults)();
        for (key, value) in given {
            match settings.get_mut(&key) {
                Some(slot) => *slot = value,
                None => return Err(unknown_setting(entry, &key)),
            }
        }
        (entry.build)(&settings)?;
        Ok(Choice { entry, settings })
    }

    pub fn named(name: &str) -> Result<Self, Invalid> {
        Self::new(name, Map::new())
    }

    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn entry(&self) -> &'static Entry<F::Strategy> {
        self.entry
    }

    pub fn build(&self) -> Box<F::Strategy> {
        (self.entry.build)(&self.settings).expect("the same settings were built in Choice::new")
    }
}

fn find<F: Family>(name: &str) -> Result<&'static Entry<F::Strategy>, Invalid> {
    let entries = F::entries();
    entries.iter().find(|entry| entry.name == name).ok_or_else(|| Invalid::UnknownStrategy {
        family: F::NAME,
        found: name.to_string(),
        near: nearest(name, entries.iter().map(|entry| entry.name)).map(str::to_string),
        known: join(entries.iter().map(|entry| entry.name)),
    })
}

fn unknown_setting<S: ?Sized>(entry: &'static Entry<S>, found: &str) -> Invalid {
    let names = || entry.parameters.iter().map(|parameter| parameter.name);
    Invalid::UnknownSetting {
        strategy: entry.name,
        found: found.to_string(),
        near: nearest(found, names()).map(str::to_string),
        known: join(names()),
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let list = names.collect::<Vec<_>>().join(", ");
    if list.is_empty() { "none".to_string() } else { list }
}

impl<F: Family> Default for Choice<F> {
    fn default() -> Self {
        Self::named(F::DEFAULT).expect("a family's default is a row of its registry")
    }
}

impl<F: Family> Clone for Choice<F> {
    fn clone(&self) -> Self {
        Choice { entry: self.entry, settings: self.settings.clone() }
    }
}

impl<F: Family> PartialEq for Choice<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.settings == other.settings
    }
}

impl<F: Family> fmt::Debug for Choice<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.name(), self.settings)
    }
}

/// A bare name where the strategy has no settings, else the name with all of them.
impl<F: Family> Serialize for Choice<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.settings.is_empty() {
            return serializer.serialize_str(self.name());
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name(), &self.settings)?;
        map.end()
    }
}

impl<'de, F: Family> Deserialize<'de> for Choice<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor(PhantomData))
    }
}

struct ChoiceVisitor<F>(PhantomData<F>);

impl<'de, F: Family> Visitor<'de> for ChoiceVisitor<F> {
    type Value = Choice<F>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = join(F::entries().iter().map(|entry| entry.name));
        write!(f, "a {} strategy ({known}), by name or as `name: {{settings}}`", F::NAME)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Choice::named(name).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(de::Error::custom(Invalid::Malformed(format!(
                "a {} strategy needs a name",
                F::NAME
            ))));
        };
        find::<F>(&name).map_err(de::Error::custom)?;
        let settings = map.next_value::<Option<Settings>>()?.unwrap_or_default();
        if let Some(second) = map.next_key::<String>()? {
            return Err(de::Error::custom(Invalid::Malformed(format!(
                "one {} strategy at a time: found `{name}` and `{second}`",
                F::NAME
            ))));
        }
        Choice::new(&name, settings).map_err(de::Error::custom)
    }
}
