//! Counts and times what was answered.

use super::LATE_US;
use super::pacer::Paced;
use crate::checker::staleness::Tally;
use crate::message::Failure;
use crate::report::trial::{Latencies, OperationResult, Outcomes, ScheduleLag, Second, latencies};
use quorate_strategies::NodeId;
use quorate_workloads::Kind;
use std::collections::BTreeMap;

/// So many different error messages are kept for each kind of operation; the rest are counted
/// together.
const MESSAGES: usize = 20;
const OTHER_MESSAGES: &str = "other messages";
const NO_ANSWER: &str = "no answer before the trial ended";
const NS_PER_S: u64 = 1_000_000_000;
/// An open loop that answers less than this part of what was due has fallen behind.
const KEPT_UP: f64 = 0.99;

/// An operation that was answered, on the clock of its trial.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub kind: Kind,
    /// Who coordinated it.
    pub node: NodeId,
    pub intended_ns: u64,
    pub sent_ns: u64,
    pub answered_ns: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    Acknowledged {
        found: bool,
        /// False when a value came back that no one wrote under this key.
        genuine: bool,
    },
    Failed(&'a Failure),
    Unknown(&'a Failure),
}

/// What one trial measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub measured_s: f64,
    pub operations: Vec<OperationResult>,
    pub by_node: BTreeMap<String, Latencies>,
    pub seconds: Vec<Second>,
    pub schedule: ScheduleLag,
    pub saturated: bool,
    /// Verdicts on reads, where they were judged.
    pub reads: Tally,
}

/// The record of one trial. Only operations whose intended start lies in the measured phase enter
/// it.
pub struct Recorder {
    warm_up_ns: u64,
    kinds: BTreeMap<Kind, KindRecord>,
    by_node: Vec<(NodeId, Latencies)>,
    seconds: Vec<Second>,
    current: BTreeMap<Option<Kind>, SecondRecord>,
    second: u32,
    /// Answers during the measured phase, also to what was asked before it.
    answered: u64,
}

struct KindRecord {
    outcomes: Outcomes,
    response: Latencies,
    service: Latencies,
    errors: BTreeMap<String, u64>,
}

struct SecondRecord {
    response: Latencies,
    service: Latencies,
    acknowledged: u64,
    failed: u64,
    unknown: u64,
}

impl Recorder {
    pub fn new(warm_up_ns: u64) -> Recorder {
        Recorder {
            warm_up_ns,
            kinds: BTreeMap::new(),
            by_node: Vec::new(),
            seconds: Vec::new(),
            current: BTreeMap::new(),
            second: 0,
            answered: 0,
        }
    }

    fn is_measured(&self, intended_ns: u64, end_ns: u64) -> bool {
        (self.warm_up_ns..end_ns).contains(&intended_ns)
    }

    pub fn record(&mut self, done: &Done, fate: Fate<'_>, end_ns: u64) {
        self.answered += u64::from((self.warm_up_ns..end_ns).contains(&done.answered_ns));
        if !self.is_measured(done.intended_ns, end_ns) {
            return;
        }
        let response_us = microseconds(done.answered_ns, done.intended_ns);
        let service_us = microseconds(done.answered_ns, done.sent_ns);
        let kind = self.kinds.entry(done.kind).or_insert_with(KindRecord::new);
        kind.count(fate);
        if let Fate::Acknowledged { .. } = fate {
            kind.response.saturating_record(response_us);
            kind.service.saturating_record(service_us);
            self.of_node(done.node).saturating_record(response_us);
        }
        // Answers come in the order of time, so a second is over when the next one has begun.
        let second = (done.answered_ns.saturating_sub(self.warm_up_ns) / NS_PER_S) as u32;
        if second > self.second {
            self.close_second();
            self.second = second;
        }
        for key in [None, Some(done.kind)] {
            let current = self.current.entry(key).or_insert_with(SecondRecord::new);
            current.record(fate, response_us, service_us);
        }
    }

    fn of_node(&mut self, node: NodeId) -> &mut Latencies {
        let at = self.by_node.iter().position(|(known, _)| *known == node).unwrap_or_else(|| {
            self.by_node.push((node, latencies()));
            self.by_node.len() - 1
        });
        &mut self.by_node[at].1
    }

    /// A value that no one wrote, seen by the read of a read-modify-write.
    pub fn invalid(&mut self, kind: Kind, intended_ns: u64, end_ns: u64) {
        if self.is_measured(intended_ns, end_ns) {
            self.kinds.entry(kind).or_insert_with(KindRecord::new).outcomes.invalid += 1;
        }
    }

    /// An operation without an answer: a read was certainly not served, a write may have been done.
    pub fn unanswered(&mut self, kind: Kind, intended_ns: u64, end_ns: u64) {
        if self.is_measured(intended_ns, end_ns) {
            let record = self.kinds.entry(kind).or_insert_with(KindRecord::new);
            match kind {
                Kind::Read | Kind::Scan => record.outcomes.failed += 1,
                _ => record.outcomes.unknown += 1,
            }
            record.count_message(NO_ANSWER.to_string());
        }
    }

    fn close_second(&mut self) {
        for (kind, record) in &mut self.current {
            if record.acknowledged + record.failed + record.unknown > 0 {
                self.seconds.push(record.close(self.second, *kind));
            }
        }
    }

    /// `end_ns` as the trial really ended; `open` when operations had a schedule to keep.
    pub fn measured(mut self, end_ns: u64, paced: Paced, open: bool) -> Measured {
        self.close_second();
        let late = paced.lag.value_at_quantile(0.99) > LATE_US && !paced.lag.is_empty();
        let behind = (self.answered as f64) < KEPT_UP * paced.due as f64;
        let operation = |(kind, record): (Kind, KindRecord)| OperationResult {
            kind: kind.name().to_string(),
            outcomes: record.outcomes,
            response: record.response,
            service: record.service,
            errors: record.errors,
        };
        Measured {
            measured_s: end_ns.saturating_sub(self.warm_up_ns) as f64 / NS_PER_S as f64,
            operations: self.kinds.into_iter().map(operation).collect(),
            by_node: self.by_node.into_iter().map(|(id, all)| (id.to_string(), all)).collect(),
            seconds: self.seconds,
            saturated: open && (late || behind || paced.unsent > 0),
            reads: Tally::default(),
            schedule: ScheduleLag { lag: paced.lag, unsent: paced.unsent },
        }
    }
}

/// At least 1: the histograms begin there.
fn microseconds(end_ns: u64, begin_ns: u64) -> u64 {
    (end_ns.saturating_sub(begin_ns) / 1_000).max(1)
}

impl KindRecord {
    fn new() -> KindRecord {
        KindRecord {
            outcomes: Outcomes::default(),
            response: latencies(),
            service: latencies(),
            errors: BTreeMap::new(),
        }
    }

    fn count(&mut self, fate: Fate<'_>) {
        match fate {
            Fate::Acknowledged { found, genuine } => {
                self.outcomes.acknowledged += 1;
                self.outcomes.not_found += u64::from(!found);
                self.outcomes.invalid += u64::from(!genuine);
            }
            Fate::Failed(failure) => {
                self.outcomes.failed += 1;
                self.count_message(failure.to_string());
            }
            Fate::Unknown(failure) => {
                self.outcomes.unknown += 1;
                self.count_message(failure.to_string());
            }
        }
    }

    fn count_message(&mut self, message: String) {
        let known = self.errors.len() < MESSAGES || self.errors.contains_key(&message);
        let message = if known { message } else { OTHER_MESSAGES.to_string() };
        *self.errors.entry(message).or_insert(0) += 1;
    }
}

impl SecondRecord {
    fn new() -> SecondRecord {
        let (response, service) = (latencies(), latencies());
        SecondRecord { response, service, acknowledged: 0, failed: 0, unknown: 0 }
    }

    fn record(&mut self, fate: Fate<'_>, response_us: u64, service_us: u64) {
        match fate {
            Fate::Acknowledged { .. } => {
                self.acknowledged += 1;
                self.response.saturating_record(response_us);
                self.service.saturating_record(service_us);
            }
            Fate::Failed(_) => self.failed += 1,
            Fate::Unknown(_) => self.unknown += 1,
        }
    }

    /// The row of the second that ends; clears itself for the next one.
    fn close(&mut self, second: u32, kind: Option<Kind>) -> Second {
        let row = Second {
            second,
            kind: kind.map_or("all", Kind::name).to_string(),
            acknowledged: self.acknowledged,
            failed: self.failed,
            unknown: self.unknown,
            response_p50_us: self.response.value_at_quantile(0.5),
            response_p99_us: self.response.value_at_quantile(0.99),
            response_max_us: self.response.max(),
            service_p99_us: self.service.value_at_quantile(0.99),
        };
        self.response.reset();
        self.service.reset();
        (self.acknowledged, self.failed, self.unknown) = (0, 0, 0);
        row
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use quorate_workloads::{Arrival, Schedule};

    const MS: u64 = 1_000_000;
    const ACKNOWLEDGED: Fate<'static> = Fate::Acknowledged { found: true, genuine: true };

    fn done(kind: Kind, intended_ns: u64, sent_ns: u64, answered_ns: u64) -> Done {
        Done { kind, node: NodeId(1), intended_ns, sent_ns, answered_ns }
    }

    /// The stall test in virtual time: the server is frozen in second 9, 19, 29 … of 60, and serves
    /// everything else in 1 ms.
    fn answered_ns(sent_ns: u64) -> u64 {
        let in_cycle = sent_ns % (10 * NS_PER_S);
        let stall = 9 * NS_PER_S;
        let wait = if in_cycle >= stall { 10 * NS_PER_S - in_cycle } else { 0 };
        sent_ns + wait + MS
    }

    #[test]
    fn an_open_loop_sees_the_stall_of_a_server() {
        let end_ns = 60 * NS_PER_S;
        let schedule = Schedule::new(Arrival::Constant, 1_000.0, 1, 0, 1).unwrap();
        let mut answers: Vec<Done> = schedule
            .take_while(|due| *due < end_ns)
            .map(|due| done(Kind::Read, due, due, answered_ns(due)))
            .collect();
        answers.sort_by_key(|done| done.answered_ns);
        let mut recorder = Recorder::new(0);
        answers.iter().for_each(|done| recorder.record(done, ACKNOWLEDGED, end_ns));
        let measured = recorder.measured(end_ns, Paced::default(), true);
        let response = &measured.operations[0].response;
        assert_eq!(response.len(), 60_000);
        let ms = |quantile| response.value_at_quantile(quantile) as f64 / 1_000.0;
        assert_eq!(ms(0.5), 1.0);
        assert!((ms(0.95) - 501.0).abs() < 2.0, "{}", ms(0.95));
        assert!((ms(0.99) - 901.0).abs() < 2.0, "{}", ms(0.99));
        assert!((ms(0.999) - 991.0).abs() < 2.0, "{}", ms(0.999));
        assert!(!measured.saturated);
    }

    #[test]
    fn a_closed_loop_does_not() {
        let end_ns = 60 * NS_PER_S;
        let mut recorder = Recorder::new(0);
        let mut now_ns = 0;
        while now_ns < end_ns {
            let answer = answered_ns(now_ns);
            recorder.record(&done(Kind::Read, now_ns, now_ns, answer), ACKNOWLEDGED, end_ns);
            now_ns = answer;
        }
        let measured = recorder.measured(end_ns, Paced::default(), false);
        assert_eq!(measured.operations[0].response.value_at_quantile(0.99), 1_000);
    }

    #[test]
    fn only_the_measured_phase_counts() {
        let mut recorder = Recorder::new(NS_PER_S);
        let end_ns = 2 * NS_PER_S;
        for (intended, answered) in [
            (NS_PER_S - 1, NS_PER_S + MS),
            (NS_PER_S, NS_PER_S + 2 * MS),
            (end_ns - 1, end_ns + MS),
            (end_ns, end_ns + 2 * MS),
        ] {
            let done = done(Kind::Update, intended, intended, answered);
            recorder.record(&done, ACKNOWLEDGED, end_ns);
        }
        let measured = recorder.measured(end_ns, Paced::default(), true);
        assert_eq!(measured.operations[0].outcomes.acknowledged, 2);
        let seconds: Vec<u32> = measured.seconds.iter().map(|row| row.second).collect();
        assert_eq!(seconds, [0, 0, 1, 1], "all and update, in the second of the answer");
        assert_eq!(measured.measured_s, 1.0);
    }

    #[test]
    fn response_counts_from_the_intended_start_and_service_from_the_send() {
        let mut recorder = Recorder::new(0);
        recorder.record(&done(Kind::Read, 0, 30 * MS, 32 * MS), ACKNOWLEDGED, NS_PER_S);
        let measured = recorder.measured(NS_PER_S, Paced::default(), true);
        let read = &measured.operations[0];
        assert!((31_900..=32_100).contains(&read.response.max()));
        assert!((1_990..=2_010).contains(&read.service.max()));
    }

    #[test]
    fn outcomes_are_apart_and_only_acknowledged_ones_are_timed() {
        let mut recorder = Recorder::new(0);
        let late = Failure::TimedOut { acks: 1, needed: 2, maybe_done: true };
        let fates = [
            ACKNOWLEDGED,
            Fate::Acknowledged { found: false, genuine: true },
            Fate::Acknowledged { found: true, genuine: false },
            Fate::Failed(&Failure::TooFewReplicas { needed: 2, alive: 1 }),
            Fate::Unknown(&late),
        ];
        for fate in fates {
            recorder.record(&done(Kind::Update, 0, 0, MS), fate, NS_PER_S);
        }
        recorder.unanswered(Kind::Update, 5, NS_PER_S);
        recorder.unanswered(Kind::Read, 5, NS_PER_S);
        let measured = recorder.measured(NS_PER_S, Paced::default(), true);
        let read = &measured.operations[0];
        let update = &measured.operations[1];
        let expected =
            Outcomes { acknowledged: 3, failed: 1, unknown: 2, not_found: 1, invalid: 1 };
        assert_eq!(update.outcomes, expected);
        assert_eq!((update.response.len(), update.errors.len()), (3, 3));
        assert_eq!((read.outcomes.failed, read.outcomes.unknown), (1, 0));
        assert_eq!(measured.by_node["n1"].len(), 3);
    }

    #[test]
    fn falling_behind_is_saturation() {
        let saturated = |due, answered: u64, lag_us, unsent| {
            let mut recorder = Recorder::new(0);
            for _ in 0..answered {
                recorder.record(&done(Kind::Read, 0, 0, MS), ACKNOWLEDGED, NS_PER_S);
            }
            let mut paced = Paced { due, unsent, ..Paced::default() };
            paced.lag.record_n(lag_us, due).unwrap();
            recorder.measured(NS_PER_S, paced, true).saturated
        };
        assert!(!saturated(1_000, 990, 100, 0));
        assert!(saturated(1_000, 989, 100, 0), "a growing backlog");
        assert!(saturated(1_000, 1_000, LATE_US + 1_000, 0), "a late load");
        assert!(saturated(1_000, 1_000, 100, 1), "something unsent");
    }

    #[test]
    fn a_flood_of_different_messages_stays_small() {
        let mut record = KindRecord::new();
        for acks in 0..100 {
            record.count(Fate::Failed(&Failure::TimedOut { acks, needed: 200, maybe_done: false }));
        }
        assert_eq!(record.errors.len(), MESSAGES + 1);
        assert_eq!(record.errors[OTHER_MESSAGES], 80);
    }
}
