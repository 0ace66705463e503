//! From a file and the command line's `--set` to a [`Spec`], with errors that say file, line and
//! field.

use super::error::SpecError;
use super::spec::Spec;
use quorate_strategies::nearest;
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

    /// An error at the field that `path` names, such as `load.rate` or `targets[2].kind`.
    pub fn error(&self, path: &str, message: impl Into<String>) -> SpecError {
        SpecError {
            file: self.file.clone(),
            line: line_of(&self.text, path),
            field: path.to_string(),
            message: message.into(),
        }
    }

    /// Reads the whole specification; `settings` are `path=value`, applied in order.
    pub fn parse(&self, settings: &[String]) -> Result<Spec, SpecError> {
        let spec: Spec =
            serde_yaml::from_str(&self.text).map_err(|error| self.malformed(&error))?;
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
        let new: Value = serde_yaml::from_str(text)
            .map_err(|error| refused(format!("the value is no YAML: {}", plain(&error))))?;
        // An axis has dots in its name: `matrix.strategies.conflict` is one key of `matrix`.
        let steps: Vec<&str> = match path.split_once("matrix.") {
            Some(("", axis)) => vec!["matrix", axis],
            _ => path.split('.').collect(),
        };
        set(spec, &steps, new.clone());
        self.complete(spec.clone(), "").map(|_| ()).map_err(|error| refused(error.message))
    }

    /// Reads a specification from its generic form. `origin` stands where a line number would.
    pub fn complete(&self, value: Value, origin: &str) -> Result<Spec, SpecError> {
        // Through YAML, so that messages name fields and near names as they do for the file.
        let text = serde_yaml::to_string(&value).expect("a value tree is always YAML");
        serde_yaml::from_str(&text).map_err(|error| SpecError {
            file: self.file.clone(),
            line: None,
            field: origin.to_string(),
            message: plain(&error),
        })
    }

    fn malformed(&self, error: &serde_yaml::Error) -> SpecError {
        let line = error.location().map(|location| location.line() as usize);
        SpecError {
            file: self.file.clone(),
            line: line.filter(|line| *line > 0),
            field: String::new(),
            message: format!("{}{}", plain(error), self.quote(error).unwrap_or_default()),
        }
    }

    /// The line itself with a caret under the place, so that the reader need not open the file.
    fn quote(&self, error: &serde_yaml::Error) -> Option<String> {
        let location = error.location()?;
        let line = location.line() as usize;
        let text = self.text.lines().nth(line.checked_sub(1)?)?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let before = " ".repeat((location.column() as usize).checked_sub(1)?);
        Some(format!("\n  {number} | {text}\n  {margin} | {before}^"))
    }
}

/// The message without position and snippet, with a near name where one is meant.
fn plain(error: &serde_yaml::Error) -> String {
    use serde_yaml::Error as Yaml;
    match error.without_snippet() {
        Yaml::SerdeUnknownField { field, expected, .. } => unknown("field", field, expected),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        other => {
            let text = other.to_string();
            match text.rsplit_once(" at line ") {
                Some((message, _)) => message.trim_end_matches(',').to_string(),
                None => text,
            }
        }
    }
}

/// ``unknown field `quorm`, did you mean `quorum`? allowed: …``
pub fn unknown(what: &str, found: &str, allowed: &[&str]) -> String {
    let near = nearest(found, allowed.iter().copied())
        .map(|name| format!(", did you mean `{name}`?"))
        .unwrap_or_else(|| ";".to_string());
    format!("unknown {what} `{found}`{near} allowed: {}", allowed.join(", "))
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

/// The line, counted from 1, of the field that a path names, or of the nearest block around it.
///
/// It follows keys by their indentation and items of lists by their dashes, so it finds what stands
/// in block style; a field inside `{…}` or `[…]` has the line of its opening.
fn line_of(text: &str, path: &str) -> Option<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = None;
    let mut block = 0..lines.len();
    for step in path.replace('[', ".[").split('.') {
        let at = match step.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(index) => item(&lines, block.clone(), index.parse().ok()?),
            None => key(&lines, block.clone(), step),
        };
        let Some(at) = at else { break };
        found = Some(at + 1);
        block = body(&lines, at, block.end);
    }
    found
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_blank(line: &str) -> bool {
    let code = line.trim_start();
    code.is_empty() || code.starts_with('#')
}

/// The lines that belong to the key or item at `at`, its own line included (`- kind: read`).
fn body(lines: &[&str], at: usize, end: usize) -> std::ops::Range<usize> {
    let own = indentation(lines[at]);
    let dashed = lines[at].trim_start().starts_with('-');
    let inside = |line: &&str| {
        let depth = indentation(line);
        // A list may stand at the depth of its key.
        is_blank(line) || depth > own || (depth == own && !dashed && line.trim().starts_with('-'))
    };
    let length = lines[at + 1..end].iter().take_while(|line| inside(line)).count();
    at..at + 1 + length
}

fn key(lines: &[&str], block: std::ops::Range<usize>, name: &str) -> Option<usize> {
    let candidates: Vec<(usize, usize)> = block
        .filter(|at| !is_blank(lines[*at]))
        .filter(|at| {
            let code = lines[*at].trim_start().trim_start_matches("- ").trim_start();
            code.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':'))
        })
        .map(|at| (indentation(lines[at]), at))
        .collect();
    candidates.into_iter().min().map(|(_, at)| at)
}

fn item(lines: &[&str], block: std::ops::Range<usize>, index: usize) -> Option<usize> {
    let dashes = block.filter(|at| lines[*at].trim_start().starts_with('-'));
    let all: Vec<(usize, usize)> = dashes.map(|at| (indentation(lines[at]), at)).collect();
    let depth = all.iter().map(|(depth, _)| *depth).min()?;
    all.iter().filter(|(own, _)| *own == depth).map(|(_, at)| *at).nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
name: x
load:
  # rate: 1
  mode: open
  rate: 5
targets:
- kind: read
  percentile: 50
- kind: write
  percentile: 99
matrix:
  quorum: [[1, 1]]
  strategies.conflict: [lww]
";

    #[test]
    fn fields_are_found_by_their_path() {
        for (path, line) in [
            ("name", 1),
            ("load.rate", 5),
            ("load.outstanding", 2),
            ("targets[1]", 9),
            ("targets[1].percentile", 10),
            ("targets[0].percentile", 8),
            ("matrix.quorum[0]", 12),
        ] {
            assert_eq!(line_of(TEXT, path), Some(line), "{path}");
        }
        assert_eq!(line_of(TEXT, "nothing"), None);
    }

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
