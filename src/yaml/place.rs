//! Fields and their places: from a path to its line, and from a place to its path.

use std::ops::Range;

/// The line, counted from 1, of the field that a path names, or of the nearest block around it.
///
/// It follows keys by their indentation and items of lists by their dashes, so it finds what stands
/// in block style; a field inside `{…}` or `[…]` has the line of its opening.
pub fn line_of(text: &str, path: &str) -> Option<usize> {
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
fn body(lines: &[&str], at: usize, end: usize) -> Range<usize> {
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

fn key(lines: &[&str], block: Range<usize>, name: &str) -> Option<usize> {
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

fn item(lines: &[&str], block: Range<usize>, index: usize) -> Option<usize> {
    let dashes = block.filter(|at| lines[*at].trim_start().starts_with('-'));
    let all: Vec<(usize, usize)> = dashes.map(|at| (indentation(lines[at]), at)).collect();
    let depth = all.iter().map(|(depth, _)| *depth).min()?;
    all.iter().filter(|(own, _)| *own == depth).map(|(_, at)| *at).nth(index)
}

/// The path of the value at a place, both counted from 1, such as `targets[1].percentile`; of the
/// innermost block that was found around it.
pub fn path_at(text: &str, line: usize, column: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let Some(own) = line.checked_sub(1).and_then(|at| lines.get(at)) else {
        return String::new();
    };
    let (_, start) = layout(own);
    let before = own.char_indices().nth(column.saturating_sub(1)).map_or(own.len(), |(at, _)| at);
    let mut steps = within_line(own.get(start..before.max(start)).unwrap_or(""));
    let here = key_of(&own[before..]).filter(|_| before >= start);
    steps.extend(here.map(str::to_string));
    let mut outside = above(&lines, line - 1, start);
    outside.reverse();
    outside.extend(steps);
    outside.join(".").replace(".[", "[")
}

/// The steps to the block that begins in line `at` at column `bound`, the innermost first.
fn above(lines: &[&str], mut at: usize, mut bound: usize) -> Vec<String> {
    let mut steps = Vec::new();
    let mut is_item = false;
    loop {
        let (dashes, _) = layout(lines[at]);
        if let Some(dash) = dashes.iter().copied().rfind(|dash| *dash < bound) {
            steps.push(format!("[{}]", number(lines, at, dash)));
            (bound, is_item) = (dash, true);
            continue;
        }
        let outside = |candidate: &usize| {
            let (dashes, start) = layout(lines[*candidate]);
            let first = dashes.first().copied().unwrap_or(start);
            // A list may stand at the depth of its key.
            !is_blank(lines[*candidate])
                && (first < bound || is_item && dashes.is_empty() && start == bound)
        };
        let Some(parent) = (0..at).rev().find(outside) else { return steps };
        let (_, start) = layout(lines[parent]);
        at = parent;
        if start < bound || is_item && start == bound {
            steps.extend(key_of(&lines[parent][start..]).map(str::to_string));
            (bound, is_item) = (start, false);
        }
    }
}

/// The columns of the dashes that a line begins with, and of what follows them.
fn layout(line: &str) -> (Vec<usize>, usize) {
    let mut dashes = Vec::new();
    let mut at = indentation(line);
    while line[at..].starts_with("- ") {
        dashes.push(at);
        at += 1 + indentation(&line[at + 1..]);
    }
    (dashes, at)
}

/// Which item of its list the dash at a column of a line begins.
fn number(lines: &[&str], at: usize, dash: usize) -> usize {
    let inside = |line: &&&str| is_blank(line) || indentation(line) >= dash;
    let earlier = lines[..at].iter().rev().take_while(inside);
    let is_sibling = |line: &&&str| indentation(line) == dash && line[dash..].starts_with('-');
    earlier
        .take_while(|line| indentation(line) > dash || is_sibling(line))
        .filter(is_sibling)
        .count()
}

/// The key that a text begins with.
fn key_of(text: &str) -> Option<&str> {
    let (key, rest) = text.split_once(':')?;
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (plain && !key.is_empty() && (rest.is_empty() || rest.starts_with(' '))).then_some(key)
}

/// The steps from the beginning of a line's code to its end: a block's key, then braces.
fn within_line(code: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    // Of each open brace: how many steps are outside it, and for a list how many items precede.
    let mut open: Vec<(usize, Option<usize>)> = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let outside = open.last().map_or(0, |(outside, _)| *outside);
        if let Some(key) = key_of(rest) {
            steps.truncate(outside);
            steps.push(key.to_string());
            rest = &rest[key.len()..];
            continue;
        }
        match (first, open.last_mut()) {
            ('{', _) => open.push((steps.len(), None)),
            ('[', _) => {
                steps.push("[0]".to_string());
                open.push((steps.len() - 1, Some(0)));
            }
            (',', Some((_, Some(items)))) => {
                *items += 1;
                steps.truncate(outside);
                steps.push(format!("[{items}]"));
            }
            (',', Some((_, None))) => steps.truncate(outside),
            ('}' | ']', Some(_)) => {
                steps.truncate(outside);
                open.pop();
            }
            _ => {}
        }
        rest = &rest[first.len_utf8()..];
    }
    steps
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
    fn places_have_the_path_of_their_field() {
        let deep = "a:\n  b:\n    - c: 1\n      d:\n        - [1, {e: 2, f: x}]\n    - g: y\n";
        for (text, line, column, path) in [
            (TEXT, 1, 7, "name"),
            (TEXT, 5, 9, "load.rate"),
            (TEXT, 8, 15, "targets[0].percentile"),
            (TEXT, 9, 9, "targets[1].kind"),
            (TEXT, 12, 16, "matrix.quorum[0][1]"),
            (TEXT, 13, 25, "matrix.strategies.conflict[0]"),
            (deep, 5, 24, "a.b[0].d[0][1].f"),
            (deep, 6, 10, "a.b[1].g"),
            ("x: {y: {z: 1}, w: v}", 1, 19, "x.w"),
            ("x: {engine: 3}", 1, 5, "x.engine"),
            ("", 1, 1, ""),
        ] {
            assert_eq!(path_at(text, line, column), path, "{line}:{column} of\n{text}");
        }
    }
}
