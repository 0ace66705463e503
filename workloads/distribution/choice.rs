//! A distribution in YAML: a name, or a name with its settings.

use super::{Distribution, YCSB_THETA, Zipfian};
use crate::error::unknown;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

const MODES: [&str; 2] = ["ycsb", "exact"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HotspotSettings {
    data_fraction: f64,
    operation_fraction: f64,
}

/// YCSB: `hotspotdatafraction`, `hotspotopnfraction`.
impl Default for HotspotSettings {
    fn default() -> Self {
        HotspotSettings { data_fraction: 0.2, operation_fraction: 0.8 }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ExponentialSettings {
    percentile: f64,
    fraction: f64,
}

/// YCSB: `exponential.percentile`, `exponential.frac` (whose comment says 1/7, while the value is
/// 6/7).
impl Default for ExponentialSettings {
    fn default() -> Self {
        ExponentialSettings { percentile: 95.0, fraction: 0.857_142_857_1 }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ZipfianSettings {
    mode: Option<String>,
    theta: Option<f64>,
}

impl ZipfianSettings {
    /// A theta alone means the exact law, because only there it can be chosen.
    fn resolve(self) -> Result<Zipfian, String> {
        let silent = if self.theta.is_some() { "exact" } else { "ycsb" };
        match (self.mode.as_deref().unwrap_or(silent), self.theta) {
            ("exact", theta) => Ok(Zipfian::Exact { theta: theta.unwrap_or(YCSB_THETA) }),
            ("ycsb", None | Some(YCSB_THETA)) => Ok(Zipfian::Ycsb),
            ("ycsb", Some(theta)) => Err(format!(
                "`zipfian.theta` is {theta}; mode `ycsb` has {YCSB_THETA} only, \
                 mode `exact` takes any"
            )),
            (other, _) => Err(unknown("mode of zipfian", other, &MODES)),
        }
    }
}

/// `zipfian: exact` or `zipfian: {mode: exact, theta: 0.8}`.
impl<'de> Deserialize<'de> for Zipfian {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ZipfianVisitor)
    }
}

struct ZipfianVisitor;

impl<'de> Visitor<'de> for ZipfianVisitor {
    type Value = Zipfian;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mode of zipfian ({}) or {{mode, theta}}", MODES.join(", "))
    }

    fn visit_str<E: de::Error>(self, mode: &str) -> Result<Zipfian, E> {
        ZipfianSettings { mode: Some(mode.to_string()), theta: None }.resolve().map_err(E::custom)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Zipfian, E> {
        Ok(Zipfian::Ycsb)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Zipfian, A::Error> {
        ZipfianSettings::deserialize(de::value::MapAccessDeserializer::new(map))?
            .resolve()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Zipfian {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Zipfian::Ycsb => serializer.serialize_str("ycsb"),
            Zipfian::Exact { theta } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("mode", "exact")?;
                map.serialize_entry("theta", theta)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistributionVisitor)
    }
}

struct DistributionVisitor;

impl<'de> Visitor<'de> for DistributionVisitor {
    type Value = Distribution;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Distribution::NAMES.join(", ");
        write!(f, "a distribution ({names}), by name or as `name: {{settings}}`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Distribution, E> {
        by_name(name).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Distribution, A::Error> {
        let name = map
            .next_key::<String>()?
            .ok_or_else(|| de::Error::custom("a distribution needs a name"))?;
        let silent = by_name(&name).map_err(de::Error::custom)?;
        let chosen = map.next_value_seed(SettingsOf(silent))?;
        match map.next_entry::<String, IgnoredAny>()? {
            None => Ok(chosen),
            Some((second, _)) => Err(de::Error::custom(format!(
                "one distribution at a time: found `{name}` and `{second}`"
            ))),
        }
    }
}

/// A name alone: every setting at YCSB's default.
fn by_name(name: &str) -> Result<Distribution, String> {
    Ok(match name {
        "zipfian" => Distribution::Zipfian(Zipfian::Ycsb),
        "latest" => Distribution::Latest,
        "hotspot" => hotspot(HotspotSettings::default()),
        "uniform" => Distribution::Uniform,
        "exponential" => exponential(ExponentialSettings::default()),
        "sequential" => Distribution::Sequential,
        other => return Err(unknown("distribution", other, &Distribution::NAMES)),
    })
}

fn hotspot(HotspotSettings { data_fraction, operation_fraction }: HotspotSettings) -> Distribution {
    Distribution::Hotspot { data_fraction, operation_fraction }
}

fn exponential(ExponentialSettings { percentile, fraction }: ExponentialSettings) -> Distribution {
    Distribution::Exponential { percentile, fraction }
}

/// What a distribution without settings accepts after its colon.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

/// Reads the settings of the distribution whose name was read.
struct SettingsOf(Distribution);

impl<'de> DeserializeSeed<'de> for SettingsOf {
    type Value = Distribution;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Distribution, D::Error> {
        match self.0 {
            Distribution::Zipfian(_) => {
                Zipfian::deserialize(deserializer).map(Distribution::Zipfian)
            }
            Distribution::Hotspot { .. } => Option::<HotspotSettings>::deserialize(deserializer)
                .map(|settings| hotspot(settings.unwrap_or_default())),
            Distribution::Exponential { .. } => {
                Option::<ExponentialSettings>::deserialize(deserializer)
                    .map(|settings| exponential(settings.unwrap_or_default()))
            }
            plain => Option::<NoSettings>::deserialize(deserializer).map(|_| plain),
        }
    }
}

/// A bare name where there is nothing to set, else the name with all its settings.
impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Distribution::Latest | Distribution::Uniform | Distribution::Sequential => {
                return serializer.serialize_str(self.name());
            }
            _ => serializer.serialize_map(Some(1))?,
        };
        match *self {
            Distribution::Zipfian(zipfian) => map.serialize_entry(self.name(), &zipfian)?,
            Distribution::Hotspot { data_fraction, operation_fraction } => map.serialize_entry(
                self.name(),
                &HotspotSettings { data_fraction, operation_fraction },
            )?,
            Distribution::Exponential { percentile, fraction } => {
                map.serialize_entry(self.name(), &ExponentialSettings { percentile, fraction })?;
            }
            Distribution::Latest | Distribution::Uniform | Distribution::Sequential => {}
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Distribution, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_takes_ycsbs_defaults() {
        assert_eq!(read("zipfian").unwrap(), Distribution::Zipfian(Zipfian::Ycsb));
        assert_eq!(read("latest").unwrap(), Distribution::Latest);
        assert_eq!(
            read("hotspot").unwrap(),
            Distribution::Hotspot { data_fraction: 0.2, operation_fraction: 0.8 }
        );
        assert_eq!(
            read("exponential: {percentile: 90}").unwrap(),
            Distribution::Exponential { percentile: 90.0, fraction: 0.857_142_857_1 }
        );
        assert_eq!(read("uniform: {}").unwrap(), Distribution::Uniform);
        assert_eq!(read("hotspot:").unwrap(), read("hotspot").unwrap());
    }

    #[test]
    fn zipfian_has_two_modes() {
        let exact = |theta| Distribution::Zipfian(Zipfian::Exact { theta });
        assert_eq!(read("zipfian: ycsb").unwrap(), read("zipfian").unwrap());
        assert_eq!(read("zipfian: exact").unwrap(), exact(0.99));
        assert_eq!(read("zipfian: {mode: exact, theta: 0.8}").unwrap(), exact(0.8));
        assert_eq!(read("zipfian: {theta: 1.2}").unwrap(), exact(1.2));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "zipfian",
            "zipfian: {theta: 0.5}",
            "latest",
            "hotspot: {data_fraction: 0.1}",
            "uniform",
            "exponential",
            "sequential",
        ] {
            let distribution = read(text).unwrap();
            let written = serde_yaml::to_string(&distribution).unwrap();
            assert_eq!(read(&written).unwrap(), distribution, "{written}");
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_near_one_and_all() {
        let error = read("zipfain").unwrap_err();
        assert!(error.contains("did you mean `zipfian`?"), "{error}");
        assert!(error.contains("allowed: zipfian, latest, hotspot"), "{error}");
        let error = read("zipfian: exat").unwrap_err();
        assert!(error.contains("did you mean `exact`?"), "{error}");
    }

    #[test]
    fn wrong_settings_are_errors() {
        let error = read("zipfian: {mode: ycsb, theta: 0.5}").unwrap_err();
        assert!(error.contains("`zipfian.theta` is 0.5"), "{error}");
        let error = read("hotspot: {hot: 1}").unwrap_err();
        assert!(error.contains("hot") && error.contains("data_fraction"), "{error}");
        let error = read("latest: {theta: 1}").unwrap_err();
        assert!(error.contains("theta"), "{error}");
        let error = read("{latest: , uniform: }").unwrap_err();
        assert!(error.contains("one distribution at a time"), "{error}");
        assert!(read("[latest]").is_err());
        assert!(read("7").unwrap_err().contains("a distribution (zipfian"));
    }
}
