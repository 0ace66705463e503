//! Breaks texts into lines, so that nothing that a run is called can run off the page.

use super::output;

/// The lines of `content`, none wider than `width` logical pixels in a font of this size.
pub(super) fn lines(content: &str, width: f64, size: f64, bold: bool) -> Vec<String> {
    wrapped(content, |line| output::text_width(line, size, bold) <= width)
}

/// As much on each line as `fits`, broken between words; a word that does not fit on a line of its
/// own is broken within. A line has at least one character, however narrow the page.
fn wrapped(content: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in content.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (longer.filter(|line| fits(line)), lines.last_mut()) {
            (Some(longer), Some(last)) => *last = longer,
            _ => lines.extend(pieces(word, &fits)),
        }
    }
    lines
}

/// A word cut into the longest pieces that fit.
fn pieces(word: &str, fits: &impl Fn(&str) -> bool) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for letter in word.chars() {
        piece.push(letter);
        if piece.chars().nth(1).is_some() && !fits(&piece) {
            piece.pop();
            pieces.push(std::mem::replace(&mut piece, letter.to_string()));
        }
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_most(letters: usize, content: &str) -> Vec<String> {
        wrapped(content, |line| line.chars().count() <= letters)
    }

    #[test]
    fn a_line_holds_as_many_words_as_fit() {
        assert_eq!(at_most(11, "over time · workload a"), ["over time ·", "workload a"]);
        assert_eq!(at_most(80, " one   line "), ["one line"]);
        assert_eq!(at_most(5, ""), [""; 0]);
    }

    #[test]
    fn a_word_wider_than_the_page_is_broken_and_none_of_it_lost() {
        assert_eq!(at_most(4, "a level_ratio b"), ["a", "leve", "l_ra", "tio", "b"]);
        assert_eq!(at_most(0, "αβ c"), ["α", "β", "c"]);
    }

    #[test]
    fn no_line_is_wider_than_asked_in_the_real_font() {
        let label = "unified scaling [L4,T8], base_mib 1, table_mib 1 ".repeat(9) + &"w".repeat(99);
        let lines = lines(&label, 300.0, 20.0, true);
        assert_eq!(lines.concat().replace(' ', ""), label.replace(' ', ""));
        for line in lines {
            assert!(output::text_width(&line, 20.0, true) <= 300.0, "{line}");
        }
    }
}
