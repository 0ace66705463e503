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
    #[error(
        "unknown workload `{found}`{}; known: {known}, or a path to a YAML file",
        suggestion(.near.as_deref())
    )]
    Unknown { found: String, near: Option<String>, known: String },
    #[error("workload file {}: {source}; known without a file: {known}", path.display())]
    Unreadable { path: PathBuf, known: String, source: std::io::Error },
    /// The text is no workload; the message carries line, column and the place in the text.
    #[error("{origin}: {message}")]
    Malformed { origin: String, message: String },
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
