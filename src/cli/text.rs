//! Text for a terminal: wrapping and columns.

use std::io::IsTerminal;

/// Columns of lines where the terminal does not say, or there is none.
const DEFAULT_WIDTH: usize = 100;

/// The width to wrap at: the terminal's, else `COLUMNS`, else 100; from 40 to 120.
pub(super) fn width() -> usize {
    let stdout = std::io::stdout();
    let terminal = if stdout.is_terminal() {
        rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col))
    } else {
        None
    };
    let said = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = terminal.filter(|columns| *columns > 0).or_else(said);
    width.unwrap_or(DEFAULT_WIDTH).clamp(40, 120)
}

/// `text` in lines of at most `width` characters, the first indented by `indent` and the others by
/// `hang` more; a longer word stands alone.
pub(super) fn wrap(text: &str, indent: usize, hang: usize, width: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    let mut bare = true;
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if !bare && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("{:1$}{word}", "", indent + hang));
        } else {
            line.push_str(if bare { "" } else { " " });
            line.push_str(word);
        }
        bare = false;
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Columns as wide as their widest cell, two blanks apart. `right` lists the columns of numbers.
pub(super) fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(widest).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if right.contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_the_width_ends() {
        assert_eq!(wrap("one two three", 2, 0, 9), "  one two\n  three\n");
        assert_eq!(wrap("incomprehensibilities a", 0, 2, 5), "incomprehensibilities\n  a\n");
        assert_eq!(wrap("", 0, 0, 5), "\n");
    }

    #[test]
    fn numbers_stand_right() {
        let row = |a: &str, b: &str| vec![a.to_string(), b.to_string()];
        assert_eq!(columns(&[row("id", "n"), row("x", "10")], &[1]), "id   n\nx   10\n");
    }
}
