//! Bytes as ASCII with escapes, and back.

/// Printable ASCII as it is; `\t`, `\n`, `\r`, `\\`, `\'`, `\"`; all else as `\xNN`.
pub(super) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The bytes that a text with escapes means; what is beyond ASCII stands for itself.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut found = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            found.push(*first);
            continue;
        }
        let (byte, length) = escaped(rest).ok_or_else(|| {
            let at = text.len() - rest.len() - 1;
            format!(
                "at {at}: allowed after `\\`: `\\`, `t`, `n`, `r`, `'`, `\"`, or `x` and two \
                     hexadecimal digits"
            )
        })?;
        found.push(byte);
        rest = &rest[length..];
    }
    Ok(found)
}

/// The byte that is meant behind a backslash, and how long the escape is.
fn escaped(rest: &[u8]) -> Option<(u8, usize)> {
    Some(match rest.first()? {
        b't' => (b'\t', 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        plain @ (b'\\' | b'\'' | b'"') => (*plain, 1),
        b'x' => {
            let digits = rest.get(1..3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            (u8::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok()?, 3)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_byte_is_read_as_it_is_shown() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&shown(&all)).unwrap(), all);
        assert_eq!(bytes("Ä").unwrap(), "Ä".as_bytes());
    }

    #[test]
    fn an_unknown_escape_is_refused_with_its_place() {
        for text in ["ab\\q", "ab\\", "ab\\x0", "ab\\x+1"] {
            assert!(bytes(text).unwrap_err().starts_with("at 2: allowed after `\\`"), "{text}");
        }
    }
}
