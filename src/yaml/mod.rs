//! What is wrong with a YAML file, in the words of whoever wrote the file.
//!
//! ```text
//!   error of the reader ──► kind ──► found …; allowed: …
//!          line, column ──► place ──► cluster.nodes        ──► x.yaml:4: cluster.nodes: found …
//! ```
//!
//! The reader's own messages speak of Rust's types and of its options. Here each becomes one line:
//! the field's path, what was found, and what is allowed, with a near name where one is meant. A
//! node's configuration and an experiment are refused in the same words.
//!
//! # Caveats: what is left out, and what it would take
//!
//! A path is found in the text ([`place`]), by indentation, dashes and braces. Where a value spans
//! lines in flow style, or a key is quoted and has a colon, the path ends at the block around it.

pub mod place;

use quorate_strategies::nearest;
use serde::de::DeserializeOwned;
use serde_yaml::Error as Yaml;

/// Reads a text in which only `true` and `false` are truth values. YAML 1.1 takes `N` for `no`, but
/// `scaling: N` of a compaction strategy is a letter, and its label must show what was written.
///
/// # Errors
/// What the reader refuses; [`Malformed::new`] says it in the words of whoever wrote the text.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Yaml> {
    serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true })
}

/// Why a text cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Counted from 1; absent where the reader does not know.
    pub line: Option<usize>,
    /// The path of the field, such as `load.rate`; empty where the message names it.
    pub field: String,
    /// What was found and what is allowed.
    pub message: String,
}

impl Malformed {
    /// What the reader's `error` about `text` means.
    pub fn new(text: &str, error: &serde_yaml::Error) -> Malformed {
        let place = error.location().map(|at| (at.line() as usize, at.column() as usize));
        let (line, column) = place.filter(|(line, _)| *line > 0).unzip();
        let at = line.zip(column);
        let found = || at.map_or(String::new(), |(line, column)| token(text, line, column));
        let error = error.without_snippet();
        let names_field = matches!(
            error,
            Yaml::SerdeUnknownField { .. }
                | Yaml::SerdeMissingField { .. }
                | Yaml::DuplicateMappingKey { .. }
        );
        let field = match at {
            Some((line, column)) if !names_field => place::path_at(text, line, column),
            _ => String::new(),
        };
        Malformed { line, field, message: message(error, &found) }
    }

    /// The line itself with a caret under the place, so that the reader need not open the file.
    pub fn quote(text: &str, error: &serde_yaml::Error) -> Option<String> {
        let location = error.location()?;
        let line = location.line() as usize;
        let text = text.lines().nth(line.checked_sub(1)?)?;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let before = " ".repeat((location.column() as usize).checked_sub(1)?);
        Some(format!("\n  {number} | {text}\n  {margin} | {before}^"))
    }
}

fn message(error: &Yaml, found: &dyn Fn() -> String) -> String {
    let instead = |allowed: &str| format!("found {}; allowed: {}", found(), words(allowed));
    match error {
        Yaml::SerdeUnknownField { field, expected, .. } => unknown("field", field, expected),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        Yaml::DuplicateMappingKey { key, .. } => {
            format!("`{}` stands twice in one map", key.as_deref().unwrap_or("a key"))
        }
        Yaml::InvalidScalar { ty, .. } => instead(ty),
        Yaml::Unexpected { expected, .. } => instead(expected),
        Yaml::InvalidBooleanStrict { .. } => instead("true or false"),
        Yaml::NullIntoString { .. } => instead("a text"),
        Yaml::NonFiniteFloat { value, .. } => format!("found `{value}`; allowed: a finite number"),
        Yaml::SerdeInvalidType { unexpected, expected, .. }
        | Yaml::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("found {unexpected}; allowed: {}", words(expected))
        }
        other => {
            let text = other.to_string();
            match text.rsplit_once(" at line ") {
                Some((message, _)) => message.trim_end_matches(',').to_string(),
                None => text,
            }
        }
    }
}

/// What a type of the reader or of Rust is to people.
fn words(allowed: &str) -> &str {
    match allowed {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" | "floating point" => "a number",
        "bool" | "boolean" => "true or false",
        "mapping start" => "a map of fields",
        "sequence start" => "a list",
        "string scalar" | "a string" => "a text",
        other if other.starts_with("struct ") => "a map of fields",
        other => other,
    }
}

/// The value that stands at a place, both counted from 1.
fn token(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line - 1).unwrap_or("");
    let rest: String = line.chars().skip(column.saturating_sub(1)).collect();
    let code = rest.split(" #").next().unwrap_or("").trim();
    let end = code.find([',', '}', ']']).unwrap_or(code.len());
    match code.chars().next() {
        None => "nothing".to_string(),
        Some('{') => "a map".to_string(),
        Some('[') => "a list".to_string(),
        Some('}' | ']' | ',') => "nothing".to_string(),
        Some('-') if code.starts_with("- ") => "a list".to_string(),
        Some('"' | '\'') => format!("the text {code}"),
        Some(_) => format!("`{}`", code[..end].trim()),
    }
}

/// ``unknown field `quorm`, did you mean `quorum`? allowed: …``
pub fn unknown(what: &str, found: &str, allowed: &[&str]) -> String {
    let near = nearest(found, allowed.iter().copied())
        .map(|name| format!(", did you mean `{name}`?"))
        .unwrap_or_else(|| ";".to_string());
    let allowed = if allowed.is_empty() { "none".to_string() } else { allowed.join(", ") };
    format!("unknown {what} `{found}`{near} allowed: {allowed}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cluster {
        #[expect(dead_code)]
        nodes: u16,
        #[serde(default)]
        #[expect(dead_code)]
        names: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    struct File {
        #[expect(dead_code)]
        cluster: Cluster,
    }

    #[test]
    fn a_letter_is_no_truth_value() {
        let value: serde_json::Value = read("[N, no, y, true, 'true']").unwrap();
        assert_eq!(value, serde_json::json!(["N", "no", "y", true, "true"]));
        let text = "on";
        let error = Malformed::new(text, &read::<bool>(text).unwrap_err());
        assert_eq!(error.message, "found `on`; allowed: true or false");
    }

    #[test]
    fn where_no_field_is_known_none_is_allowed() {
        assert_eq!(unknown("field", "sync", &[]), "unknown field `sync`; allowed: none");
    }

    #[test]
    fn each_mistake_is_named_by_field_and_by_what_is_allowed() {
        for (text, field, message) in [
            ("cluster: {nodes: two}", "cluster.nodes", "found `two`; allowed: a whole number from"),
            (
                "cluster:\n  nodes: -1",
                "cluster.nodes",
                "found `-1`; allowed: a whole number from 0",
            ),
            ("cluster: 3", "cluster", "found `3`; allowed: a map of fields"),
            ("cluster: {nodes: 1, names: x}", "cluster.names", "found `x`; allowed: a list"),
            ("cluster: {nodes: 1, nodes: 2}", "", "`nodes` stands twice in one map"),
            ("cluster: {nods: 1}", "", "unknown field `nods`, did you mean `nodes`? allowed:"),
            ("cluster: {nodes: [1]}", "cluster.nodes", "found a list; allowed: "),
        ] {
            let error = read::<File>(text).unwrap_err();
            let found = Malformed::new(text, &error);
            assert_eq!(found.field, field, "{text}: {found:?}");
            assert!(found.message.starts_with(message), "{text}: {}", found.message);
            assert!(found.line.is_some(), "{text}");
        }
    }
}
