//! Histograms as an HdrHistogram interval log, version 2 with compressed payloads.
//!
//! One line per histogram, its name as the line's tag, all over the whole measured phase; values
//! are microseconds. `HistogramLogProcessor`, HdrHistogram's plotter page and its libraries read
//! it.

use super::ReportError;
use super::trial::Latencies;
use base64::Engine as _;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Whether `name` can tag a line: the format separates fields by commas and ends a line by newline.
pub(super) fn is_tag(name: &str) -> bool {
    !name.is_empty() && Tag::new(name).is_some()
}

/// The log of the named histograms as text. Every name must satisfy [`is_tag`].
pub(super) fn encode<'a>(
    histograms: impl Iterator<Item = (&'a str, &'a Latencies)>,
    what: &str,
    measured_s: f64,
) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(&format!("[{what}, in microseconds; times count from the measured phase]"))
        .begin_log_with(&mut text, &mut serializer)?;
    let length = Duration::try_from_secs_f64(measured_s).unwrap_or_default();
    for (name, histogram) in histograms {
        log.write_histogram(histogram, Duration::ZERO, length, Tag::new(name))
            .map_err(|error| std::io::Error::other(error.to_string()))?;
    }
    Ok(text)
}

/// Reads a log back: each tag with its histogram. Lines with the same tag are added up.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Latencies>, ReportError> {
    let text = std::fs::read(path).map_err(ReportError::io("read", path))?;
    let mut histograms = BTreeMap::new();
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged = |found: String| ReportError::Damaged {
            path: path.to_path_buf(),
            line: Some(index + 1),
            found,
            expected: "a line `Tag=<name>,<start>,<length>,<max>,<base64 of a V2 histogram>`"
                .into(),
        };
        let Some((tag, histogram)) = decode_line(line).map_err(damaged)? else { continue };
        match histograms.entry(tag) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(histogram);
            }
            std::collections::btree_map::Entry::Occupied(mut sum) => {
                sum.get_mut()
                    .add(histogram)
                    .map_err(|error| damaged(format!("a histogram of other bounds ({error})")))?
            }
        }
    }
    Ok(histograms)
}

/// One line of a log; None for a comment.
fn decode_line(line: &[u8]) -> Result<Option<(String, Latencies)>, String> {
    let interval = match IntervalLogIterator::new(line).next() {
        None | Some(Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_))) => return Ok(None),
        Some(Ok(LogEntry::Interval(interval))) => interval,
        Some(Err(_)) => return Err("a line that is no interval".into()),
    };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(interval.encoded_histogram())
        .map_err(|error| format!("a histogram that is no base64 ({error})"))?;
    let histogram = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| format!("a histogram that cannot be decoded ({error:?})"))?;
    let tag = interval.tag().ok_or("a histogram without a tag")?;
    Ok(Some((tag.as_str().to_string(), histogram)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::trial::latencies;

    fn sample(values: impl Iterator<Item = u64>) -> Latencies {
        let mut histogram = latencies();
        values.for_each(|value| histogram.record(value).unwrap());
        histogram
    }

    #[test]
    fn a_log_read_back_holds_equal_histograms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("response.hlog");
        let read_times = sample((1..5_000).map(|i| i * 37 % 90_000 + 1));
        let update_times = sample([1, 1, 3_600_000_000].into_iter());
        let empty = latencies();
        let named = [("read", &read_times), ("update", &update_times), ("scan", &empty)];
        let text = encode(named.into_iter(), "response time", 12.5).unwrap();
        std::fs::write(&path, &text).unwrap();

        let back = read(&path).unwrap();
        assert_eq!(back.len(), 3);
        for (name, histogram) in named {
            assert_eq!(&back[name], histogram, "{name}");
        }
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("Tag=read,0.000,12.500,"), "{text}");
        // The cookie of a compressed V2 payload, which is what the other libraries look for.
        assert!(text.contains(",HISTFAAA"), "{text}");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("response.hlog");
        let text = encode([("read", &latencies())].into_iter(), "x", 1.0).unwrap();
        let cut = &text[..text.len() - 12];
        std::fs::write(&path, cut).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("response.hlog:3:"), "{message}");
        assert!(message.contains("expected a line `Tag="), "{message}");
    }
}
