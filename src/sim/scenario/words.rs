//! A line of a scenario in words, each with the column where it begins.

use super::parse::Wrong;
use std::fmt::{self, Display, Formatter, Write};

/// One word: bare, in quotes, or `name=value` with a value of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// From 1, in characters.
    pub column: usize,
    /// What stands before `=`.
    pub name: Option<String>,
    pub value: Vec<u8>,
    /// The value is never taken for a sign of the language.
    pub quoted: bool,
}

impl Word {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    /// Whether this is a sign or a word of the language.
    pub fn is(&self, sign: &str) -> bool {
        self.name.is_none() && !self.quoted && self.value == sign.as_bytes()
    }

    /// As it is shown in errors.
    pub fn found(&self) -> String {
        match &self.name {
            Some(name) => format!("`{name}={}`", self.text()),
            None => format!("`{}`", self.text()),
        }
    }
}

/// The words before a comment.
pub(super) fn words(line: &str) -> Result<Vec<Word>, Wrong> {
    let characters: Vec<char> = line.chars().collect();
    let mut input = Input { characters, at: 0 };
    let mut words = Vec::new();
    loop {
        while input.peek().is_some_and(char::is_whitespace) {
            input.at += 1;
        }
        match input.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => words.push(input.word()?),
        }
    }
}

struct Input {
    characters: Vec<char>,
    at: usize,
}

impl Input {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += 1;
        next
    }

    fn word(&mut self) -> Result<Word, Wrong> {
        let column = self.at + 1;
        if self.peek() == Some('"') {
            let value = self.quoted()?;
            return Ok(Word { column, name: None, value, quoted: true });
        }
        let mut text = String::new();
        while let Some(next) = self.peek().filter(|next| !next.is_whitespace()) {
            self.at += 1;
            if next != '=' {
                text.push(next);
                continue;
            }
            let quoted = self.peek() == Some('"');
            let value = if quoted { self.quoted()? } else { self.bare() };
            return Ok(Word { column, name: Some(text), value, quoted });
        }
        Ok(Word { column, name: None, value: text.into_bytes(), quoted: false })
    }

    fn bare(&mut self) -> Vec<u8> {
        let mut text = String::new();
        while let Some(next) = self.peek().filter(|next| !next.is_whitespace()) {
            self.at += 1;
            text.push(next);
        }
        text.into_bytes()
    }

    fn quoted(&mut self) -> Result<Vec<u8>, Wrong> {
        let open = self.at + 1;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let next = match self.next() {
                None => return Err(Wrong::new(open, "this quote has no end; allowed: \"…\"")),
                Some('"') => break,
                Some('\\') => match self.escaped()? {
                    Escaped::Byte(byte) => {
                        bytes.push(byte);
                        continue;
                    }
                    Escaped::Character(next) => next,
                },
                Some(next) => next,
            };
            bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
        }
        match self.peek() {
            Some(next) if !next.is_whitespace() => {
                let problem = format!("found `{next}` after a quote; allowed: a space");
                Err(Wrong::new(self.at + 1, problem))
            }
            _ => Ok(bytes),
        }
    }

    fn escaped(&mut self) -> Result<Escaped, Wrong> {
        let column = self.at;
        let escaped = match self.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(sign @ ('"' | '\\')) => sign,
            Some('x') => {
                let digits: String = (0..2).filter_map(|_| self.next()).collect();
                return u8::from_str_radix(&digits, 16)
                    .map(Escaped::Byte)
                    .map_err(|_| Wrong::new(column, "found `\\x`; allowed: two hex digits"));
            }
            _ => {
                let allowed = "allowed after `\\`: n, r, t, x and two digits, \\ and \"";
                return Err(Wrong::new(column, allowed));
            }
        };
        Ok(Escaped::Character(escaped))
    }
}

enum Escaped {
    Byte(u8),
    Character(char),
}

/// Bytes as a word: as they stand, or in quotes where they could be taken for something else.
pub(super) struct Shown<'a>(pub &'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:/(),+".contains(byte);
        let is_sign = self.0 == b"nothing";
        if !self.0.is_empty() && self.0.iter().all(plain) && !is_sign {
            return self.0.iter().try_for_each(|byte| f.write_char(char::from(*byte)));
        }
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|character| escape(f, character))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        f.write_char('"')
    }
}

fn escape(f: &mut Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' | '\\' => write!(f, "\\{character}"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        control if control.is_control() => {
            let mut bytes = [0; 4];
            let encoded = control.encode_utf8(&mut bytes);
            encoded.bytes().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
        }
        other => f.write_char(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_come_back_as_one_word(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let line = format!("{} x={} # more", Shown(&bytes), Shown(&bytes));
            let found = words(&line).unwrap();
            prop_assert_eq!(found.len(), 2, "{}", line);
            prop_assert_eq!(&found[0].value, &bytes);
            prop_assert_eq!((found[1].name.as_deref(), &found[1].value), (Some("x"), &bytes));
        }

        #[test]
        fn any_line_is_taken_or_refused_with_a_column(line in "\\PC{0,40}") {
            if let Err(wrong) = words(&line) {
                prop_assert!((1..=line.chars().count() + 1).contains(&wrong.column));
            }
        }
    }

    #[test]
    fn words_know_their_columns() {
        let found = words("  put n1 \"a b\"  level=one &# no comment").unwrap();
        let columns: Vec<usize> = found.iter().map(|word| word.column).collect();
        assert_eq!(columns, [3, 7, 10, 17, 27, 30, 33]);
        assert_eq!(words("x # y").unwrap().len(), 1);
        assert_eq!(words("put \"a").unwrap_err().column, 5);
        assert_eq!(words("put \"a\"b").unwrap_err().column, 8);
    }
}
