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

/// Of any size, with four significant digits and without needless zeros.
pub(super) fn significant(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        0.0 => return "0".to_string(),
        size if size < 1e-4 => return format!("{value:.2e}"),
        size if size >= 999.95 => return grouped(value),
        size => (3 - size.log10().floor() as i32).clamp(0, 7) as usize,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// A share as a difference: `+1.2 %`, `−34 %`.
pub(super) fn difference(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from(percent.abs() < 99.95);
    let sign = if percent < 0.0 { "−" } else { "+" };
    let text = format!("{:.digits$}", percent.abs());
    match text.trim_matches(['0', '.']) {
        "" => "0 %".to_string(),
        _ => format!("{sign}{text} %"),
    }
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
    fn measures_of_any_size_keep_four_digits() {
        let shown: Vec<String> =
            [0.0, 17.942, 2.5, 0.012_345, 0.000_012_345, 999.97, 12_345.6, 100.0, -3.0]
                .into_iter()
                .map(significant)
                .collect();
        assert_eq!(
            shown,
            ["0", "17.94", "2.5", "0.01235", "1.23e-5", "1,000", "12,346", "100", "-3"]
        );
        let differences = [0.012, -0.34, 12.0, 0.000_1, -0.000_1].map(difference);
        assert_eq!(differences, ["+1.2 %", "−34.0 %", "+1200 %", "0 %", "0 %"]);
    }

    #[test]
    fn the_median_ignores_what_is_no_number() {
        assert_eq!(median(&[3.0, f64::NAN, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
    }
}
