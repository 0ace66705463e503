//! Plain text tables that give up their least important columns when the terminal is narrow.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column and the lines of its heading, which stand on the rule beneath.
pub(super) struct Column {
    heading: Vec<String>,
    align: Align,
    /// 0 is never left out; of the others the largest goes first.
    dispensable: u8,
}

impl Column {
    pub fn new(upper: &'static str, lower: &'static str, align: Align, dispensable: u8) -> Self {
        Self { heading: vec![upper.to_string(), lower.to_string()], align, dispensable }
    }

    /// One that is never left out, with a heading of any height.
    pub fn headed(heading: Vec<String>, align: Align) -> Self {
        Self { heading, align, dispensable: 0 }
    }
}

enum Line {
    Cells(Vec<String>),
    Rule,
}

pub(super) struct TextTable {
    columns: Vec<Column>,
    lines: Vec<Line>,
}

impl TextTable {
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, lines: Vec::new() }
    }

    /// One cell per column.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.lines.push(Line::Cells(cells));
    }

    pub fn rule(&mut self) {
        self.lines.push(Line::Rule);
    }

    /// As text of at most `width` columns, as far as the columns that must stay allow.
    pub fn render(&self, width: usize) -> String {
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|index| self.width_of(index)).collect();
        let mut kept: Vec<usize> = (0..self.columns.len()).filter(|i| widths[*i] > 0).collect();
        while total(&widths, &kept) > width {
            let least = kept.iter().copied().max_by_key(|index| self.columns[*index].dispensable);
            match least {
                Some(index) if self.columns[index].dispensable > 0 => kept.retain(|i| *i != index),
                _ => break,
            }
        }
        let height = self.columns.iter().map(|column| column.heading.len()).max().unwrap_or(0);
        let rule = "─".repeat(total(&widths, &kept)) + "\n";
        let mut text = String::new();
        for line in 0..height {
            let part = |column: &Column| {
                let index = (line + column.heading.len()).checked_sub(height);
                index.map_or(String::new(), |index| column.heading[index].clone())
            };
            let cells: Vec<String> = self.columns.iter().map(part).collect();
            self.push(&mut text, &cells, &widths, &kept);
        }
        text.push_str(&rule);
        for line in &self.lines {
            match line {
                Line::Cells(cells) => self.push(&mut text, cells, &widths, &kept),
                Line::Rule => text.push_str(&rule),
            }
        }
        text
    }

    /// Zero when no row has anything to say in it: the column is left out.
    fn width_of(&self, index: usize) -> usize {
        let cells = self.lines.iter().filter_map(|line| match line {
            Line::Cells(cells) => Some(cells[index].chars().count()),
            Line::Rule => None,
        });
        let widest = cells.max().unwrap_or(0);
        let heading = self.columns[index].heading.iter().map(|part| part.chars().count()).max();
        if widest == 0 { 0 } else { widest.max(heading.unwrap_or(0)) }
    }

    fn push(&self, text: &mut String, cells: &[String], widths: &[usize], kept: &[usize]) {
        let mut line = String::new();
        for (place, index) in kept.iter().copied().enumerate() {
            if place > 0 {
                line.push_str(GAP);
            }
            let padding = " ".repeat(widths[index].saturating_sub(cells[index].chars().count()));
            match self.columns[index].align {
                Align::Left => line.extend([cells[index].as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), &cells[index]]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

const GAP: &str = "  ";

fn total(widths: &[usize], kept: &[usize]) -> usize {
    let cells: usize = kept.iter().map(|index| widths[*index]).sum();
    cells + GAP.len() * kept.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable {
        let mut table = TextTable::new(vec![
            Column::new("", "name", Align::Left, 0),
            Column::new("offered", "1/s", Align::Right, 2),
            Column::new("", "empty", Align::Left, 0),
            Column::new("p99", "ms", Align::Right, 1),
        ]);
        table.row(vec!["read".into(), "2,000".into(), String::new(), "1.25".into()]);
        table.rule();
        table.row(vec!["update".into(), "–".into(), String::new(), "12.3".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_empty_ones_vanish() {
        let expected = "        offered   p99\n\
                        name        1/s    ms\n\
                        ─────────────────────\n\
                        read      2,000  1.25\n\
                        ─────────────────────\n\
                        update        –  12.3\n";
        assert_eq!(table().render(80), expected);
    }

    #[test]
    fn the_most_dispensable_column_goes_first() {
        let narrow = table().render(15);
        assert!(!narrow.contains("offered") && narrow.contains("p99"), "{narrow}");
        let narrowest = table().render(1);
        assert!(!narrowest.contains("p99") && narrowest.contains("update"), "{narrowest}");
    }
}
