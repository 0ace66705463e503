//! Axes: where a value stands along them, and which values get a tick with a label.

use crate::report::number;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    Linear,
    /// Equal ratios are equal lengths. Values must be above 0.
    Log,
    /// Percentiles from 0 to below 100, by how rare what lies beyond is: 90, 99 and 99.9 are one
    /// length apart.
    Percentile,
}

#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub name: String,
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
    /// Values with a label.
    pub ticks: Vec<(f64, String)>,
    /// Values with a fine line only.
    pub fine: Vec<f64>,
}

impl Axis {
    /// 0 at the beginning of the axis, 1 at its end.
    pub fn position(&self, value: f64) -> f64 {
        let [value, from, to] = [value, self.from, self.to].map(|value| self.project(value));
        (value - from) / (to - from)
    }

    fn project(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Percentile => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }

    /// A log scale that holds all `values`; those that are not above 0 have no place on it.
    pub fn log(name: &str, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = number::spread(&values.filter(|value| *value > 0.0).collect::<Vec<_>>())
            .unwrap_or((0.1, 10.0));
        let from = step_below(low * 0.97);
        let to = step_above(high * 1.03).max(from * 10.0);
        let short = (to / from).log10() < 2.2;
        let (mut ticks, mut fine) = (Vec::new(), Vec::new());
        let first = from.log10().floor() as i32;
        for decade in first..=to.log10().ceil() as i32 {
            for digit in 1..10 {
                let value = f64::from(digit) * 10f64.powi(decade);
                if value < from * 0.999 || value > to * 1.001 {
                    continue;
                }
                if digit == 1 || (short && matches!(digit, 2 | 5)) {
                    ticks.push((value, log_label(value)));
                } else {
                    fine.push(value);
                }
            }
        }
        Self { name: name.into(), scale: Scale::Log, from, to, ticks, fine }
    }

    /// Log where the values are above 0 and span more than one and a half decades, else linear from
    /// 0, or from below it where there are such values.
    pub fn fitting(name: &str, values: &[f64]) -> Self {
        let (low, high) = number::spread(values).unwrap_or((0.0, 1.0));
        if low > 0.0 && (high / low).log10() > LOG_FROM_DECADES {
            return Self::log(&format!("{name}, log scale"), values.iter().copied());
        }
        let mut axis = Self::linear(name, high.max(-low) * 1.06, 5);
        if low < 0.0 {
            let below: Vec<_> = axis.ticks.iter().skip(1).map(|(value, _)| -value).collect();
            axis.ticks.extend(below.into_iter().map(|value| (value, number::significant(value))));
            axis.from = -axis.to;
        }
        axis
    }

    /// From 0 to a round number not below `high`, with about `count` ticks.
    pub fn linear(name: &str, high: f64, count: usize) -> Self {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let step = round_step(high / count as f64);
        let steps = (high / step * 0.9999).ceil();
        let value = |index: usize| index as f64 * step;
        let ticks =
            (0..=steps as usize).map(|index| (value(index), number::significant(value(index))));
        Self {
            name: name.into(),
            scale: Scale::Linear,
            from: 0.0,
            to: steps * step,
            ticks: ticks.collect(),
            fine: Vec::new(),
        }
    }

    /// As [`Axis::linear`], but ends at `end` and not at the next round number.
    pub fn linear_to(name: &str, end: f64, count: usize) -> Self {
        let mut axis = Self::linear(name, end, count);
        if end > 0.0 {
            axis.to = end;
            axis.ticks.retain(|(value, _)| *value <= end);
        }
        axis
    }

    /// From below the median, which so stands free of the axis, to 99.99 %.
    pub fn percentiles(name: &str) -> Self {
        let ticks = super::percentiles::MARKED.map(|value| (value, value.to_string()));
        Self {
            name: name.into(),
            scale: Scale::Percentile,
            from: 30.0,
            to: 99.992,
            ticks: ticks.to_vec(),
            fine: Vec::new(),
        }
    }
}

/// What a log axis needs at least; less is easier to read on a linear one.
const LOG_FROM_DECADES: f64 = 1.5;

fn log_label(value: f64) -> String {
    match value {
        value if value < 0.000_99 => format!("{value:.0e}"),
        value if value < 0.999 => format!("{value:.4}").trim_end_matches('0').to_string(),
        value => number::grouped(value),
    }
}

/// The next value of 1, 2, 5 times a power of ten, at or below.
fn step_below(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0].map(|m| m * decade).into_iter().find(|step| *step <= value).unwrap_or(decade)
}

fn step_above(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|multiple| multiple * decade);
    steps.into_iter().find(|step| *step >= value).unwrap_or(decade * 10.0)
}

fn round_step(value: f64) -> f64 {
    step_above(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn a_long_log_axis_labels_decades_and_a_short_one_more() {
        let long = Axis::log("ms", [0.08, 901.0].into_iter());
        assert_eq!(labels(&long), ["0.1", "1", "10", "100", "1,000"]);
        let short = Axis::log("ms", [0.6, 3.0].into_iter());
        assert_eq!(labels(&short), ["0.5", "1", "2", "5"]);
        assert!((short.position(0.5)).abs() < 1e-9 && (short.position(5.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_axis_is_logarithmic_where_values_span_decades() {
        assert_eq!(Axis::fitting("s", &[1.0, 20.0]).scale, Scale::Linear);
        assert_eq!(Axis::fitting("s", &[0.0, 2_000.0]).scale, Scale::Linear);
        let log = Axis::fitting("s", &[3e-5, 0.01]);
        assert_eq!((log.scale, labels(&log)[0]), (Scale::Log, "1e-4"));
        let below = Axis::fitting("s", &[-3.0, 1.0]);
        assert_eq!((below.from, below.to), (-4.0, 4.0));
    }

    #[test]
    fn percentiles_are_spaced_by_rarity() {
        let axis = Axis::percentiles("%");
        let gap = |a: f64, b: f64| axis.position(b) - axis.position(a);
        assert!((gap(90.0, 99.0) - gap(99.0, 99.9)).abs() < 1e-9);
        assert!((gap(99.0, 99.9) - gap(99.9, 99.99)).abs() < 1e-6);
    }

    #[test]
    fn linear_axes_end_on_a_round_number() {
        assert_eq!(labels(&Axis::linear("1/s", 5_900.0, 4)), ["0", "2,000", "4,000", "6,000"]);
        assert_eq!(labels(&Axis::linear("s", 0.0, 4)), ["0", "0.5", "1"]);
    }
}
