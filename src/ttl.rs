//! Times to live as people write them: seconds, with a fraction if they like. The command line and
//! HTTP share this, so that they take and refuse the same ones.

/// More than a hundred years is a mistake.
const MOST_S: f64 = 100.0 * 366.0 * 86_400.0;

/// No time to live that a store can keep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time to live (`ttl`) is `{0}`; allowed: seconds above 0 and up to {MOST_S}")]
pub struct BadTtl(String);

/// Whole milliseconds, at least one.
///
/// # Errors
/// If `seconds` is 0, negative, no number, or above a hundred years.
pub fn milliseconds(seconds: f64) -> Result<u64, BadTtl> {
    if seconds > 0.0 && seconds <= MOST_S {
        return Ok((seconds * 1_000.0).ceil() as u64);
    }
    Err(BadTtl(seconds.to_string()))
}

/// As [`milliseconds`], of text such as `60` or `0.5`.
pub fn parse(text: &str) -> Result<u64, BadTtl> {
    let seconds: f64 = text.trim().parse().map_err(|_| BadTtl(text.to_string()))?;
    milliseconds(seconds).map_err(|_| BadTtl(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_positive_and_sane() {
        assert_eq!([0.0001, 0.5, 60.0].map(milliseconds), [Ok(1), Ok(500), Ok(60_000)]);
        assert_eq!(parse("0.5"), Ok(500));
        for bad in ["0", "-1", "-0.5", "nan", "inf", "1e12", "soon", ""] {
            let refused = parse(bad).map_err(|error| error.to_string());
            let said = format!("a time to live (`ttl`) is `{bad}`; allowed: seconds above 0");
            assert!(refused.as_ref().is_err_and(|text| text.starts_with(&said)), "{refused:?}");
        }
    }
}
