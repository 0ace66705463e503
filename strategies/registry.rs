//! The registry: one row makes a strategy exist.
//!
//! A family is a marker type that implements [`Family`] and lists its rows. [`Choice`] is what YAML
//! says: a name, or a name with settings (`vnodes` or `vnodes: {per_node: 8}`). It is checked
//! against the rows while it is being read, so that an error carries the position in the file.

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
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
    /// One for each key of `defaults`, the most important first.
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
    /// Looks `name` up, fills silent settings with their defaults, and builds once to check the
    /// values.
    pub fn new(name: &str, given: Settings) -> Result<Self, Invalid> {
        let entry = find::<F>(name)?;
        let mut settings = (entry.defaults)();
        for (name, value) in given {
            check_type(entry, parameter(entry, &name)?, &value)?;
            // `8` and `8.0` are one setting, so they must be one value.
            let fraction = value.as_f64().filter(|_| settings[&name].is_f64());
            settings.insert(name, fraction.map_or(value, Value::from));
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

fn parameter<S: ?Sized>(
    entry: &'static Entry<S>,
    found: &str,
) -> Result<&'static Parameter, Invalid> {
    let names = || entry.parameters.iter().map(|parameter| parameter.name);
    let known = entry.parameters.iter().find(|parameter| parameter.name == found);
    known.ok_or_else(|| Invalid::UnknownSetting {
        strategy: entry.name,
        found: found.to_string(),
        near: nearest(found, names()).map(str::to_string),
        known: join(names()),
    })
}

/// Refuses a value that is none of the setting's type: alone among defaults it cannot be read.
fn check_type<S: ?Sized>(
    entry: &Entry<S>,
    parameter: &'static Parameter,
    value: &Value,
) -> Result<(), Invalid> {
    let mut settings = (entry.defaults)();
    settings.insert(parameter.name.to_string(), value.clone());
    match (entry.build)(&settings) {
        Err(Invalid::Malformed(_)) => Err(Invalid::OutOfRange {
            setting: parameter.name,
            found: value.to_string(),
            allowed: parameter.about.to_string(),
        }),
        _ => Ok(()),
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
        let name = FnSeed(|name: &str| find::<F>(name));
        let Some(entry) = map.next_key_seed(name)? else {
            let message = format!("a {} strategy needs a name", F::NAME);
            return Err(de::Error::custom(Invalid::Malformed(message)));
        };
        let settings = map.next_value_seed(SettingsSeed { entry })?;
        let second = FnSeed(|second: &str| {
            let (family, first) = (F::NAME, entry.name);
            let message =
                format!("one {family} strategy at a time: found `{first}` and `{second}`");
            Err::<(), _>(Invalid::Malformed(message))
        });
        map.next_key_seed(second)?;
        Choice::new(entry.name, settings).map_err(de::Error::custom)
    }
}

/// Judges a key of a map while it is being read, so that an error points at the key.
struct FnSeed<J>(J);

impl<'de, T, J: FnOnce(&str) -> Result<T, Invalid>> DeserializeSeed<'de> for FnSeed<J> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, J: FnOnce(&str) -> Result<T, Invalid>> Visitor<'_> for FnSeed<J> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        (self.0)(name).map_err(E::custom)
    }
}

/// Reads the settings of a known strategy; nothing at all stands for none.
struct SettingsSeed<S: ?Sized + 'static> {
    entry: &'static Entry<S>,
}

impl<'de, S: ?Sized> DeserializeSeed<'de> for SettingsSeed<S> {
    type Value = Settings;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Settings, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: ?Sized> Visitor<'de> for SettingsSeed<S> {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = join(self.entry.parameters.iter().map(|parameter| parameter.name));
        write!(f, "the settings of {} ({known})", self.entry.name)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Settings, E> {
        Ok(Settings::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::new();
        let key = || FnSeed(|name: &str| parameter(self.entry, name));
        while let Some(parameter) = map.next_key_seed(key())? {
            let value = map.next_value::<Value>()?;
            check_type(self.entry, parameter, &value).map_err(de::Error::custom)?;
            settings.insert(parameter.name.to_string(), value);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Compaction, Conflict, Detection, Partitioning};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(rename = "title")]
        _title: String,
        partitioning: Choice<Partitioning>,
    }

    fn error(yaml: &str) -> String {
        serde_yaml::from_str::<File>(yaml).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_strategy_is_pointed_at_and_suggested() {
        let message = error("title: x\npartitioning: vnode\n");
        let wanted =
            "unknown partitioning strategy `vnode` (did you mean `vnodes`?); known: vnodes";
        assert!(message.contains("line 2 column 15") && message.contains(wanted), "{message}");
        let message = error("title: x\npartitioning:\n  hash_slot: {slots: 16}\n");
        assert!(message.contains("line 3 column 3"), "{message}");
        assert!(message.contains("did you mean `hash_slots`?"), "{message}");
    }

    #[test]
    fn an_unknown_setting_is_pointed_at_and_suggested() {
        let message = error("title: x\npartitioning: {vnodes: {per_nod: 8}}\n");
        assert!(message.contains("line 2 column 25"), "{message}");
        let wanted =
            "unknown setting `per_nod` of vnodes (did you mean `per_node`?); known: per_node";
        assert!(message.contains(wanted), "{message}");
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        let message = error("title: x\npartitioning:\n  vnodes:\n    per_node: 0\n");
        assert!(message.contains("setting `per_node` is 0; allowed: 1 to 4096"), "{message}");
        for wrong in ["many", "-1", "1.5", "[]"] {
            let message =
                error(&format!("title: x\npartitioning: {{vnodes: {{per_node: {wrong}}}}}"));
            assert!(message.contains("line 2"), "{message}");
            assert!(message.contains("setting `per_node` is "), "{message}");
            assert!(message.contains("1 to 4096"), "{message}");
        }
    }

    #[test]
    fn one_strategy_with_or_without_settings() {
        let read = |yaml: &str| serde_yaml::from_str::<File>(yaml).unwrap().partitioning;
        let bare = read("title: x\npartitioning: vnodes");
        assert_eq!(bare, Choice::named("vnodes").unwrap());
        assert_eq!(read("title: x\npartitioning: {vnodes: }"), bare);
        let eight = read("title: x\npartitioning: {vnodes: {per_node: 8}}");
        assert_eq!(
            (&eight.settings()["per_node"], &eight.settings()["seed"]),
            (&8.into(), &0.into())
        );
        for (wrong, wanted) in [
            ("{vnodes: , hash_slots: }", "one partitioning strategy at a time"),
            ("{}", "a partitioning strategy needs a name"),
            ("7", "a partitioning strategy (vnodes, hash_slots)"),
            ("{vnodes: 7}", "the settings of vnodes (per_node, seed)"),
        ] {
            let message = error(&format!("title: x\npartitioning: {wrong}"));
            assert!(message.contains("line 2") && message.contains(wanted), "{message}");
        }
    }

    /// What is written out can be read again: a run's resolved spec is a spec.
    fn comes_back<F: Family>() {
        for entry in F::entries() {
            let choice = Choice::<F>::named(entry.name).unwrap();
            let yaml = serde_yaml::to_string(&choice).unwrap();
            assert_eq!(serde_yaml::from_str::<Choice<F>>(&yaml).unwrap(), choice, "{yaml}");
            let json = serde_json::to_string(&choice).unwrap();
            assert_eq!(serde_json::from_str::<Choice<F>>(&json).unwrap(), choice, "{json}");
        }
    }

    /// The rows of a family keep what the registry promises.
    fn is_sound<F: Family>() {
        let names = F::entries().iter().map(|entry| entry.name).collect::<Vec<_>>();
        let snake_case = |name: &str| {
            name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        for (index, entry) in F::entries().iter().enumerate() {
            assert!(snake_case(entry.name) && !names[..index].contains(&entry.name));
            assert!(!entry.about.is_empty() && !entry.paper.is_empty(), "{}", entry.name);
            let defaults = (entry.defaults)();
            let mut parameters = entry.parameters.iter().map(|p| p.name).collect::<Vec<_>>();
            parameters.sort_unstable();
            let mut keys = defaults.keys().map(String::as_str).collect::<Vec<_>>();
            keys.sort_unstable();
            assert_eq!(parameters, keys, "{}: one parameter for each default", entry.name);
            for parameter in entry.parameters {
                assert!(snake_case(parameter.name) && !parameter.about.is_empty());
                let wrong = Settings::from_iter([(parameter.name.to_string(), Value::Null)]);
                let error = Choice::<F>::new(entry.name, wrong).unwrap_err().to_string();
                assert!(error.contains(parameter.name), "{error}");
            }
        }
        assert!(names.contains(&Choice::<F>::default().name()));
    }

    #[test]
    fn every_family_keeps_its_promises() {
        fn check<F: Family>() {
            is_sound::<F>();
            comes_back::<F>();
        }
        check::<Partitioning>();
        check::<Conflict>();
        check::<Compaction>();
        check::<Detection>();
    }

    #[test]
    fn a_whole_number_is_a_fraction_too() {
        let read = |yaml: &str| serde_yaml::from_str::<Choice<Detection>>(yaml).unwrap();
        assert_eq!(read("phi_accrual: {threshold: 8}"), read("phi_accrual"));
    }

    #[test]
    fn a_name_is_suggested_only_if_it_is_near() {
        let known = ["vnodes", "hash_slots"];
        assert_eq!(nearest("vnode", known), Some("vnodes"));
        assert_eq!(nearest("hashslots", known), Some("hash_slots"));
        assert_eq!(nearest("raft", known), None);
    }
}
