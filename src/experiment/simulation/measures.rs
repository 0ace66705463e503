//! The scalars of a simulated trial, by the names that every backend uses.

use super::watch::Found;
use crate::experiment::closed_form;
use crate::experiment::matrix::Planned;
use crate::report::measure::{
    BYTES_PER_OPERATION, DETECTION_TIME_S, MESSAGES_PER_OPERATION, MISTAKE_DURATION_S,
    MISTAKES_PER_PEER_HOUR, Measure, REQUEST_MESSAGES_PER_OPERATION,
};
use crate::sim::Tally;

const US_PER_HOUR: f64 = 3.6e9;

/// Messages and bytes by acknowledged operation, between two looks at the world's counts.
pub fn messages(began: &Tally, ended: &Tally, acknowledged: u64) -> Vec<Measure> {
    let sent = |of: fn(&Tally) -> u64| (of(ended) - of(began)) as f64;
    let all = |tally: &Tally| tally.request_messages + tally.heartbeats + tally.gossip_messages;
    let requests = sent(|tally| tally.request_messages);
    // They are weighed only where they were asked for.
    let bytes = sent(|tally| tally.bytes);
    let found = [
        MESSAGES_PER_OPERATION.ratio(sent(all), acknowledged),
        REQUEST_MESSAGES_PER_OPERATION.ratio(requests, acknowledged),
        BYTES_PER_OPERATION.ratio(bytes, acknowledged).filter(|_| bytes > 0.0),
    ];
    found.into_iter().flatten().collect()
}

/// Detection time with its closed form, mistakes and their duration.
pub fn detection(found: &Found, planned: &Planned) -> Vec<Measure> {
    let mut measures = Vec::new();
    if let Some(mut measure) = DETECTION_TIME_S.mean(&found.detections_s) {
        if let Some((expected_s, source)) = closed_form::detection_s(planned) {
            measure = measure.expecting(expected_s, source);
        }
        let judged_ms = planned.cluster.timing.judged_every_ms();
        measure = measure.noting(&format!("peers are judged every {judged_ms} ms"));
        if found.unnoticed > 0 {
            let note =
                "deaths that an observer did not notice before the node was back are left out";
            measure = measure.noting(note);
        }
        measures.push(measure);
    }
    let watched_hours = found.watched_us as f64 / US_PER_HOUR;
    if watched_hours > 0.0 {
        let rate = found.mistakes as f64 / watched_hours;
        let measure = MISTAKES_PER_PEER_HOUR.of(rate, found.mistakes);
        let note =
            format!("the samples are mistakes, seen in {watched_hours:.0} hours of watching");
        measures.push(measure.noting(&note));
    }
    measures.extend(MISTAKE_DURATION_S.mean(&found.mistake_durations_s));
    measures
}
