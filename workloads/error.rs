//! What can be wrong with a workload, and how it is said.

use std::fmt;
use std::path::PathBuf;

/// A field whose value cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}; allowed: {allowed}")]
pub struct Invalid {
    /// The field as a path from the workload: `record_count`, `proportions.read`.
    pub field: &'static str,
    pub found: String,
    pub allowed: String,
}

/// Why a workload could not be had. No message needs another to be understood: each says where,
/// what was found and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    #[error("unknown workload `{found}`{}; known: {known}", suggestion(.near.as_deref()))]
    Unknown { found: String, near: Option<String>, known: String },
    #[error("workload file {}: {source}; known without a file: {known}", path.display())]
    Unreadable { path: PathBuf, known: String, source: std::io::Error },
    #[error("workload file not found: neither {} (beside the experiment) nor {} (in the current \
        folder) is a file; known without a file: {known}", beside.display(), here.display())]
    Nowhere { beside: PathBuf, here: PathBuf, known: String },
    /// The text is no workload: no YAML, an unknown field, a wrong type.
    #[error("{}: {message}", At { origin, line: *.line })]
    Malformed { origin: String, line: Option<usize>, message: String },
    #[error("{}: {invalid}", At { origin, line: *.line })]
    Invalid { origin: String, line: Option<usize>, invalid: Invalid },
}

/// `workloads/mine.yaml, line 3`.
struct At<'a> {
    origin: &'a str,
    line: Option<usize>,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}", self.origin),
            None => write!(f, "{}", self.origin),
        }
    }
}

/// The known name that is nearest to `found`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (found.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

pub(crate) fn suggestion(near: Option<&str>) -> String {
    near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

impl WorkloadError {
    /// Says in one line what the YAML reader found wrong with `text`.
    pub(crate) fn malformed(origin: &str, text: &str, error: &serde_yaml::Error) -> Self {
        let line = error.location().map(|location| location.line() as usize);
        let found = line.and_then(|line| text.lines().nth(line - 1)).unwrap_or("").trim();
        let message = match error.without_snippet() {
            serde_yaml::Error::SerdeUnknownField { field, expected, .. } => {
                unknown("field", field, expected)
            }
            serde_yaml::Error::SerdeUnknownVariant { variant, expected, .. } => {
                unknown("value", variant, expected)
            }
            serde_yaml::Error::InvalidScalar { ty, .. } => {
                format!("`{found}`; allowed: {}", type_name(ty))
            }
            other => format!("{} (in `{found}`)", sentence(other)),
        };
        WorkloadError::Malformed { origin: origin.to_string(), line, message }
    }
}

/// The reader's own words, without the position that we state ourselves.
fn sentence(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}

fn type_name(ty: &str) -> &str {
    match ty {
        "u32" | "u64" => "a whole number, not negative",
        "f64" | "floating point" => "a number",
        "bool" | "boolean" => "true or false",
        other => other,
    }
}

/// `unknown field `recrod_count` (did you mean `record_count`?); allowed: ...`.
pub(crate) fn unknown(what: &str, found: &str, known: &[&str]) -> String {
    let near = suggestion(nearest(found, known.iter().copied()));
    format!("unknown {what} `{found}`{near}; allowed: {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["zipfian", "latest", "a"];
        assert_eq!(nearest("zipfain", known), Some("zipfian"));
        assert_eq!(nearest("latets", known), Some("latest"));
        assert_eq!(nearest("quorum", known), None);
        assert_eq!(nearest("q", known), None, "one letter is not a misspelling of another");
    }
}
