//! The scalars of a simulated trial, by the names that every backend uses.

use super::{rumours, watch};
use crate::experiment::closed_form;
use crate::experiment::load::Measured;
use crate::experiment::matrix::Planned;
use crate::experiment::measures::staleness;
use crate::experiment::spec::Wanted;
use crate::report::measure::{
    BYTES_PER_NODE_S, BYTES_PER_OPERATION, DETECTION_TIME_S, GOSSIP_BYTES_PER_NODE_S,
    MESSAGES_PER_OPERATION, MISTAKE_DURATION_S, MISTAKES_PER_PEER_HOUR, Measure,
    REQUEST_MESSAGES_PER_OPERATION, ROUNDS_TO_INFORM_ALL,
};
use crate::sim::Tally;

const US_PER_HOUR: f64 = 3.6e9;

/// What was seen of a trial besides its operations.
pub struct Seen {
    /// The world's counts at both ends of the measured phase.
    pub began: Tally,
    pub ended: Tally,
    pub opinions: watch::Found,
    pub rumours: rumours::Found,
}

impl Seen {
    fn counted(&self, of: fn(&Tally) -> u64) -> f64 {
        (of(&self.ended) - of(&self.began)) as f64
    }
}

/// The measures that were asked for, as far as there was something to measure.
pub fn measures(planned: &Planned, measured: &Measured, seen: &Seen) -> Vec<Measure> {
    let mut all = Vec::new();
    for one in &planned.measure {
        match one {
            Wanted::Messages => all.extend(messages(measured, seen)),
            Wanted::Staleness => all.extend(staleness(&measured.reads)),
            // Refused when the specification was read.
            Wanted::Storage => {}
            Wanted::Detection => all.extend(detection(&seen.opinions, planned)),
            Wanted::Gossip => all.extend(gossip(planned, measured.measured_s, seen)),
        }
    }
    all
}

/// Messages and bytes by acknowledged operation.
fn messages(measured: &Measured, seen: &Seen) -> Vec<Measure> {
    let acknowledged = measured.operations.iter().map(|all| all.outcomes.acknowledged).sum();
    let sent = |tally: &Tally| tally.request_messages + tally.heartbeats + tally.gossip_messages;
    let requests = seen.counted(|tally| tally.request_messages);
    let found = [
        MESSAGES_PER_OPERATION.ratio(seen.counted(sent), acknowledged),
        REQUEST_MESSAGES_PER_OPERATION.ratio(requests, acknowledged),
        BYTES_PER_OPERATION.ratio(seen.counted(|tally| tally.bytes), acknowledged),
    ];
    found.into_iter().flatten().collect()
}

/// How fast news travels, and what it costs to have it travel.
fn gossip(planned: &Planned, measured_s: f64, seen: &Seen) -> Vec<Measure> {
    let mut measures = Vec::new();
    if let Some(mut measure) = ROUNDS_TO_INFORM_ALL.mean(&seen.rumours.rounds) {
        let interval_ms = planned.cluster.timing.gossip_interval_ms;
        let note = format!("a round lasts {interval_ms} ms; the news is that a node has started");
        measure = measure.noting(&note);
        if seen.rumours.unfinished > 0 {
            let unfinished = seen.rumours.unfinished;
            measure = measure.noting(&format!("{unfinished} times not all had heard at the end"));
        }
        measures.push(measure);
    }
    let nodes = u64::from(planned.cluster.nodes);
    for (quantity, bytes) in [
        (GOSSIP_BYTES_PER_NODE_S, seen.counted(|tally| tally.gossip_bytes)),
        (BYTES_PER_NODE_S, seen.counted(|tally| tally.bytes)),
    ] {
        measures.extend(quantity.ratio(bytes / measured_s, nodes));
    }
    measures
}

/// Detection time with its closed form, mistakes and their duration.
fn detection(found: &watch::Found, planned: &Planned) -> Vec<Measure> {
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
