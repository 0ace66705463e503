//! Durations as people write them: `200us`, `1.5ms`, `30s`, `2min`.

const UNITS: [(&str, f64); 4] = [("us", 1.0), ("ms", 1e3), ("min", 6e7), ("s", 1e6)];

/// What the text of a duration may be.
pub const DURATION: &str = "a duration such as 200us, 1.5ms, 30s or 2min, up to a year";

const YEAR_US: f64 = 365.0 * 24.0 * 3.6e9;

/// Microseconds; None where the text is no duration.
pub fn duration(text: &str) -> Option<u64> {
    let (unit, us) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?.trim_end();
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let total_us = plain.then(|| number.parse::<f64>().ok())?? * us;
    (total_us <= YEAR_US).then_some(total_us.round() as u64)
}

/// The shortest text of whole microseconds that [`duration`] reads back.
pub fn shown(us: f64) -> String {
    let us = us.round();
    let whole = |unit: f64| us >= unit && (us % unit == 0.0 || us >= 10.0 * unit);
    match us {
        0.0 => "0ms".to_string(),
        _ if whole(1e6) && (us / 1e6 * 1e3).fract() == 0.0 => format!("{}s", us / 1e6),
        _ if whole(1e3) => format!("{}ms", us / 1e3),
        _ => format!("{us}us"),
    }
}

/// Whole microseconds as milliseconds with three decimals: instants of virtual time.
pub fn milliseconds(us: i64) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    format!("{sign}{}.{:03}", us / 1_000, us % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, us) in
            [("200us", 200), ("1.5ms", 1_500), ("30s", 30_000_000), ("2min", 120_000_000)]
        {
            assert_eq!(duration(text), Some(us), "{text}");
        }
        for text in ["", "5", "ms", "-1s", "1.2.3s", "1e9min", "NaNs", "infs"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for us in
            [0, 1, 999, 1_000, 1_001, 1_500, 12_345, 999_999, 1_000_000, 1_500_000, 90_061_001]
        {
            let text = shown(us as f64);
            assert_eq!(duration(&text), Some(us), "{text}");
        }
        assert_eq!([0, 1_050, -2].map(milliseconds), ["0.000", "1.050", "-0.002"]);
        assert_eq!([200.0, 1_500.0, 30e6].map(shown), ["200us", "1500us", "30s"]);
    }
}
