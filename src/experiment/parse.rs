//! From a file and the command line's `--set` to a [`Spec`], with errors that say file, line and
//! field.

use super::error::SpecError;
use super::spec::Spec;
pub use crate::yaml::unknown;
use crate::yaml::{self, Malformed, place};
use serde_json::Value;
use std::path::Path;

/// The text of an experiment's file, kept for the line numbers of later errors.
#[derive(Clone, Debug)]
pub struct Source {
    pub file: String,
    pub text: String,
}

impl Source {
    pub fn read(path: &Path) -> Result<Source, SpecError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Source { file, text }),
            Err(error) => Err(SpecError {
                file,
                line: None,
                field: String::new(),
                message: format!("cannot read the experiment: {error}"),
            }),
        }
    }

    /// Where the paths in the file begin.
    pub fn folder(&self) -> &Path {
        Path::new(&self.file).parent().unwrap_or(Path::new(""))
    }

    /// An error at the field that `path` names, such as `load.rate` or `targets[2].kind`.
    pub fn error(&self, path: &str, message: impl Into<String>) -> SpecError {
        SpecError {
            file: self.file.clone(),
            line: place::line_of(&self.text, path),
            field: path.to_string(),
            message: message.into(),
        }
    }

    /// Reads the whole specification; `settings` are `path=value`, applied in order.
    pub fn parse(&self, settings: &[String]) -> Result<Spec, SpecError> {
        let spec: Spec = yaml::read(&self.text).map_err(|error| self.malformed(&error))?;
        // JSON, through which settings and axes go, would take it for a rate that is missing.
        if let Some(rate) = spec.load.rate.filter(|rate| !rate.is_finite()) {
            let message = format!("found {rate}; allowed: operations per second above 0");
            return Err(self.error("load.rate", message));
        }
        if settings.is_empty() {
            return Ok(spec);
        }
        let axes: Vec<String> = spec.matrix.0.iter().map(|(axis, _)| axis.clone()).collect();
        let mut value = serde_json::to_value(&spec).expect("a specification has only string keys");
        for setting in settings {
            self.apply_setting(&mut value, setting)?;
        }
        let mut spec = self.complete(value, "--set")?;
        // JSON maps are sorted; the file's order of axes is the order of the trials.
        let place = |axis: &str| axes.iter().position(|known| known == axis);
        spec.matrix.0.sort_by_key(|(axis, _)| place(axis).unwrap_or(usize::MAX));
        Ok(spec)
    }

    fn apply_setting(&self, spec: &mut Value, setting: &str) -> Result<(), SpecError> {
        let refused = |message: String| SpecError {
            file: format!("--set {setting}"),
            line: None,
            field: String::new(),
            message,
        };
        let Some((path, text)) = setting.split_once('=') else {
            return Err(refused("a setting is path=value, such as load.rate=2000".to_string()));
        };
        let new: Value =
            yaml::read(text).map_err(|error| refused(Malformed::new(text, &error).message))?;
        if text.trim().is_empty() {
            return Err(refused(
                "the value is empty; allowed: YAML, such as '' for no text".into(),
            ));
        }
        // An axis has dots in its name: `matrix.strategies.conflict` is one key of `matrix`.
        let steps: Vec<&str> = match path.split_once("matrix.") {
            Some(("", axis)) => vec!["matrix", axis],
            _ => path.split('.').collect(),
        };
        set(spec, &steps, new.clone());
        self.complete(spec.clone(), "").map(|_| ()).map_err(|error| {
            let about = if path.starts_with(&error.field) { "" } else { error.field.as_str() };
            let gap = if about.is_empty() { "" } else { ": " };
            refused(format!("{about}{gap}{}", error.message))
        })
    }

    /// Reads a specification from its generic form. `origin` stands where a line number would.
    pub fn complete(&self, value: Value, origin: &str) -> Result<Spec, SpecError> {
        // Through YAML, so that messages name fields and near names as they do for the file.
        let text = serde_yaml::to_string(&value).expect("a value tree is always YAML");
        yaml::read(&text).map_err(|error| {
            let Malformed { field, message, .. } = Malformed::new(&text, &error);
            let field = if field.is_empty() { origin.to_string() } else { field };
            SpecError { file: self.file.clone(), line: None, field, message }
        })
    }

    fn malformed(&self, error: &serde_yaml::Error) -> SpecError {
        let Malformed { line, field, message } = Malformed::new(&self.text, error);
        let quote = Malformed::quote(&self.text, error).unwrap_or_default();
        SpecError { file: self.file.clone(), line, field, message: format!("{message}{quote}") }
    }
}

/// Puts `new` at the end of a path of map keys; creates maps that are missing on the way.
pub fn set(target: &mut Value, steps: &[&str], new: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *target = new;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    if let Some(map) = target.as_object_mut() {
        set(map.entry(step.to_string()).or_insert(Value::Null), rest, new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_creates_the_maps_on_its_way() {
        let mut value = serde_json::json!({"load": {"rate": 1}});
        set(&mut value, &["load", "rate"], 2.into());
        set(&mut value, &["cluster", "engine", "lsm", "sync"], "never".into());
        let expected = serde_json::json!({
            "load": {"rate": 2}, "cluster": {"engine": {"lsm": {"sync": "never"}}}
        });
        assert_eq!(value, expected);
    }
}
