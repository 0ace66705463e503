//! Keys: what two of them share, how they compare as numbers, and what separates them.

/// Bytes of a key's head.
pub const HEAD_BYTES: usize = 8;

/// How many bytes both begin with.
#[inline]
pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return at + difference.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count()
}

/// The first bytes of a key as a number that compares like them; missing ones are zeros.
#[inline]
pub fn head(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; HEAD_BYTES];
            padded[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(padded)
        }
    }
}

/// Replaces `out` by the shortest key that is not below `last` and below `next`, or `last` itself.
/// `shared` is how many bytes both begin with.
pub fn separator(last: &[u8], next: &[u8], shared: usize, out: &mut Vec<u8>) {
    out.clear();
    let Some(&low) = last.get(shared) else {
        out.extend_from_slice(last);
        return;
    };
    out.extend_from_slice(&last[..shared]);
    let high = next.get(shared).copied().unwrap_or(u8::MAX);
    if low + 1 < high || (low + 1 == high && next.len() > shared + 1) {
        // The byte where they part, raised by one, is still below the next key.
        out.push(low + 1);
        return;
    }
    // Else the first byte behind it that can be raised.
    out.push(low);
    for byte in &last[shared + 1..] {
        out.push(byte.saturating_add(1));
        if *byte < u8::MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn separated(low: &[u8], high: &[u8]) -> Vec<u8> {
        let mut found = b"rest".to_vec();
        separator(low, high, common_prefix(low, high), &mut found);
        found
    }

    fn edgy_key() -> impl Strategy<Value = Vec<u8>> {
        let byte = || prop_oneof![Just(0), Just(254), Just(255), 0..4u8];
        prop_oneof![
            4 => proptest::collection::vec(byte(), 0..6),
            1 => proptest::collection::vec(Just(0), 0..12),
            1 => proptest::collection::vec(byte(), 7..14),
        ]
    }

    proptest! {
        #[test]
        fn prefixes_are_counted(a in "[ab]{0,20}", b in "[ab]{0,20}") {
            let expected = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(common_prefix(a.as_bytes(), b.as_bytes()), expected);
        }

        #[test]
        fn a_separator_separates(a in edgy_key(), b in edgy_key()) {
            prop_assume!(a != b);
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let found = separated(&low, &high);
            prop_assert!(low <= found && found < high, "{low:?} {found:?} {high:?}");
            prop_assert!(found.len() <= low.len());
        }

        #[test]
        fn heads_compare_like_keys(a in edgy_key(), b in edgy_key()) {
            match head(&a).cmp(&head(&b)) {
                std::cmp::Ordering::Equal => {
                    prop_assert!(a.len() > HEAD_BYTES || b.len() > HEAD_BYTES
                        || a.starts_with(&b) || b.starts_with(&a));
                }
                order => prop_assert_eq!(order, a.cmp(&b)),
            }
        }
    }

    #[test]
    fn separators_are_short() {
        for (low, high, expected) in [
            ("apple pie", "banana", "b"),
            ("apple pie", "apricot", "apq"),
            ("user00000017", "user00000018", "user00000017"),
            ("user00000017 and more", "user00000018", "user00000017!"),
            ("a", "ab", "a"),
            ("ab", "b", "ac"),
            ("ab", "bb", "b"),
        ] {
            let found = separated(low.as_bytes(), high.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{low} {high}");
        }
    }
}
