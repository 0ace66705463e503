//! Numbers as people read them: few digits, grouped thousands, the unit in the heading.

/// What stands where there is nothing to show.
pub(super) const NONE: &str = "–";

/// Microseconds as milliseconds with about three significant digits.
pub(super) fn ms(us: f64) -> String {
    let ms = us / 1_000.0;
    match ms {
        ms if ms < 0.0995 => format!("{ms:.3}"),
        ms if ms < 9.995 => format!("{ms:.2}"),
        ms if ms < 99.95 => format!("{ms:.1}"),
        ms => grouped(ms),
    }
}

/// A rate, a count or a size: whole from 100, one digit after the point below.
pub(super) fn count(value: f64) -> String {
    if value < 99.95 && (value - value.round()).abs() > 0.049 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}

/// A whole number with a comma between thousands.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value <= -0.5 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A percentile as its name: `p50`, `p99.9`.
pub(super) fn percentile(percentile: f64) -> String {
    format!("p{percentile}")
}

/// The middle value; of an even number of them the mean of the middle two. None of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Smallest and largest. None of nothing.
pub(super) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let mut values = values.iter().copied().filter(|value| value.is_finite());
    let first = values.next()?;
    Some(values.fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digits_follow_the_size() {
        let shown: Vec<String> =
            [53.0, 99.7, 420.0, 2_314.0, 9_996.0, 12_345.0, 901_000.0, 12_345_678.0]
                .into_iter()
                .map(ms)
                .collect();
        assert_eq!(shown, ["0.053", "0.10", "0.42", "2.31", "10.0", "12.3", "901", "12,346"]);
        assert_eq!(count(1_999.6), "2,000");
        assert_eq!(count(12.34), "12.3");
        assert_eq!(count(64.0), "64");
        assert_eq!(grouped(-1_234.0), "-1,234");
    }

    #[test]
    fn the_median_ignores_what_is_no_number() {
        assert_eq!(median(&[3.0, f64::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
    }
}
