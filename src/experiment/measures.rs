//! What a trial on real processes found besides its latencies, as measures of its report.

use super::closed_form;
use super::detection::Noticed;
use super::matrix::Planned;
use super::spec::Wanted;
use crate::checker::staleness::Tally;
use crate::report::measure::{
    BYTES_PER_OPERATION, DETECTION_TIME_S, LONGEST_STALL_MS, MESSAGES_PER_OPERATION, Measure,
    READS_IN_VAIN_SHARE, REQUEST_MESSAGES_PER_OPERATION, SPACE_AMPLIFICATION, STALE_READS_SHARE,
    WRITE_AMPLIFICATION,
};
use std::collections::BTreeMap;

/// What was seen of a trial while it ran.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Operations of all kinds.
    pub acknowledged: u64,
    /// How much the nodes' counters grew over the measured phase.
    pub counters: &'a BTreeMap<String, f64>,
    /// The gauges of each node at the end.
    pub gauges: &'a [BTreeMap<String, f64>],
    /// Entries in the tables of all nodes, over the measured phase.
    pub table_entries: &'a [f64],
    pub reads: Tally,
    pub noticed: &'a [Noticed],
}

/// Looks at what nodes hold, one a second: it swings with every compaction, and nodes that hold the
/// same records compact at the same time, so that one look at all of them is one sample.
#[derive(Debug, Default)]
pub struct Looks {
    next_s: f64,
    pub table_entries: Vec<f64>,
}

impl Looks {
    /// A look if one is due so long after the measured phase began.
    pub fn at(&mut self, now_s: f64, gauges: impl FnOnce() -> Vec<BTreeMap<String, f64>>) {
        if now_s < self.next_s {
            return;
        }
        self.next_s = now_s.floor() + 1.0;
        self.table_entries.push(engine_gauges(&gauges(), "table_entries").sum());
    }
}

fn engine_gauges<'a>(
    nodes: &'a [BTreeMap<String, f64>],
    what: &str,
) -> impl Iterator<Item = f64> + 'a {
    let name = format!("quorate_engine_{what}");
    nodes.iter().filter_map(move |node| node.get(&name).copied())
}

/// The measures that were asked for, as far as there was something to measure.
pub fn measures(planned: &Planned, seen: &Observed<'_>) -> Vec<Measure> {
    let mut all = Vec::new();
    for one in &planned.measure {
        match one {
            Wanted::Messages => all.extend(messages(seen)),
            Wanted::Staleness => all.extend(staleness(&seen.reads)),
            Wanted::Detection => all.extend(detection(planned, seen.noticed)),
            Wanted::Storage => all.extend(storage(planned, seen)),
            // Refused when the specification was read.
            Wanted::Gossip => {}
        }
    }
    all
}

fn messages(seen: &Observed<'_>) -> Vec<Measure> {
    let sent = |what: &str| {
        let name = format!("quorate_peer_{what}_sent_total");
        seen.counters.get(&name).copied().unwrap_or_default()
    };
    let requests = sent("requests");
    let all = requests + sent("heartbeats") + sent("gossip");
    [
        MESSAGES_PER_OPERATION.ratio(all, seen.acknowledged),
        REQUEST_MESSAGES_PER_OPERATION.ratio(requests, seen.acknowledged),
        BYTES_PER_OPERATION.ratio(sent("bytes"), seen.acknowledged),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn storage(planned: &Planned, seen: &Observed<'_>) -> Vec<Measure> {
    let grown = |what: &str| {
        seen.counters.get(&format!("quorate_engine_{what}_total")).copied().unwrap_or_default()
    };
    let flushed = grown("flushed_bytes");
    let written = flushed + grown("compaction_written_bytes");
    let in_vain = grown("bloom_false_positives");
    let copies = (planned.records * planned.cluster.replication.n as u64) as f64;
    let space: Vec<f64> = seen.table_entries.iter().map(|entries| entries / copies).collect();
    let stalls = engine_gauges(seen.gauges, "longest_stall_seconds");
    let stalls: Vec<f64> = stalls.map(|seconds| seconds * 1e3).collect();
    let worst = stalls.iter().copied().reduce(f64::max);
    [
        WRITE_AMPLIFICATION.ratio(written, flushed as u64),
        SPACE_AMPLIFICATION.mean(&space),
        READS_IN_VAIN_SHARE.ratio(in_vain, (in_vain + grown("bloom_negatives")) as u64),
        worst.map(|worst| LONGEST_STALL_MS.of(worst, stalls.len() as u64)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// None where no read was judged.
pub fn staleness(reads: &Tally) -> Option<Measure> {
    let measure = STALE_READS_SHARE.ratio(reads.stale as f64, reads.judged())?;
    Some(match reads.unjudged {
        0 => measure,
        unjudged => measure.noting(&format!("{unjudged} reads could not be judged")),
    })
}

fn detection(planned: &Planned, noticed: &[Noticed]) -> Option<Measure> {
    let samples: Vec<f64> =
        noticed.iter().filter_map(|one| one.after).map(|after| after.as_secs_f64()).collect();
    let measure = DETECTION_TIME_S.mean(&samples)?;
    let widest = noticed.iter().map(|one| one.within).max().unwrap_or_default();
    let mut measure = measure.noting(&format!(
        "seen by asking every survivor, to within {:.0} ms at worst",
        widest.as_secs_f64() * 1e3
    ));
    if samples.len() < noticed.len() {
        let missed = noticed.len() - samples.len();
        measure = measure.noting(&format!("{missed} observers had not noticed when it ended"));
    }
    Some(match closed_form::detection_s(planned) {
        Some((expected_s, source)) => measure.expecting(expected_s, source),
        None => measure,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::experiment::matrix::plan;
    use crate::experiment::parse::Source;
    use std::time::Duration;

    fn planned(measure: &str) -> Planned {
        let text = format!(
            "name: x\nquestion: y\nload: {{mode: open, rate: 1}}\nmeasure: [{measure}]\n\
             faults: [{{kill: {{node: 1, at_s: 1}}}}]\n\
             cluster: {{strategies: {{detection: {{heartbeat: {{down_after_ms: 3000}}}}}}}}\n"
        );
        let source = Source { file: "x.yaml".to_string(), text };
        let spec = source.parse(&[]).unwrap();
        plan(&source, spec, &[]).unwrap().trials.remove(0)
    }

    fn observed(counters: &BTreeMap<String, f64>) -> Observed<'_> {
        Observed {
            acknowledged: 100,
            counters,
            gauges: &[],
            table_entries: &[],
            reads: Tally::default(),
            noticed: &[],
        }
    }

    #[test]
    fn storage_is_told_by_what_was_flushed_and_by_record() {
        let named = |pairs: &[(&str, f64)]| -> BTreeMap<String, f64> {
            pairs.iter().map(|(name, value)| (format!("quorate_engine_{name}"), *value)).collect()
        };
        let counters = named(&[
            ("flushed_bytes_total", 100.0),
            ("compaction_written_bytes_total", 250.0),
            ("bloom_negatives_total", 99.0),
            ("bloom_false_positives_total", 1.0),
        ]);
        let planned = planned("storage");
        let gauges = [0.002, 0.040, 0.001].map(|stall| named(&[("longest_stall_seconds", stall)]));
        let table_entries = [1.25, 1.5, 1.75].map(|times| 3.0 * times * planned.records as f64);
        let seen =
            Observed { gauges: &gauges, table_entries: &table_entries, ..observed(&counters) };
        let found: Vec<f64> = measures(&planned, &seen).iter().map(|m| m.value).collect();
        assert_eq!(found, [3.5, 1.5, 0.01, 40.0]);
        let unseen = measures(&planned, &observed(&counters));
        assert!(unseen.iter().all(|measure| measure.name != SPACE_AMPLIFICATION.name));
    }

    #[test]
    fn tables_are_looked_at_once_a_second_and_added_up_over_nodes() {
        let mut looks = Looks::default();
        for (now_s, entries) in [(-1.0, 1.0), (0.0, 2.0), (0.9, 3.0), (1.05, 4.0), (3.5, 5.0)] {
            let node = BTreeMap::from([("quorate_engine_table_entries".to_string(), entries)]);
            looks.at(now_s, || vec![node.clone(), node]);
        }
        assert_eq!(looks.table_entries, [4.0, 8.0, 10.0]);
    }

    #[test]
    fn messages_are_told_by_acknowledged_operation() {
        let counter = |what: &str, value| (format!("quorate_peer_{what}_sent_total"), value);
        let counters = BTreeMap::from([
            counter("requests", 400.0),
            counter("heartbeats", 30.0),
            counter("gossip", 20.0),
            counter("bytes", 90_000.0),
        ]);
        let seen = observed(&counters);
        let found = measures(&planned("messages"), &seen);
        let values: Vec<f64> = found.iter().map(|measure| measure.value).collect();
        assert_eq!(values, [4.5, 4.0, 900.0]);
        let idle = Observed { acknowledged: 0, ..seen };
        assert!(measures(&planned("messages"), &idle).is_empty());
    }

    #[test]
    fn reads_that_could_not_be_judged_enter_no_share_and_are_told() {
        let counters = BTreeMap::new();
        let reads = Tally { fresh: 30, stale: 10, unjudged: 5 };
        let seen = Observed { reads, ..observed(&counters) };
        let found = measures(&planned("staleness"), &seen);
        assert_eq!((found[0].value, found[0].samples), (0.25, 40));
        assert!(found[0].about.ends_with("; 5 reads could not be judged"), "{}", found[0].about);
    }

    #[test]
    fn deaths_that_were_noticed_are_averaged_and_the_others_told() {
        let noticed = |after: Option<u64>| Noticed {
            after: after.map(Duration::from_millis),
            within: Duration::from_millis(6),
        };
        let all = [noticed(Some(2_000)), noticed(None), noticed(Some(3_000))];
        let counters = BTreeMap::new();
        let seen = Observed { noticed: &all, ..observed(&counters) };
        let spec = planned("detection");
        let found = measures(&spec, &seen);
        assert_eq!((found[0].value, found[0].samples), (2.5, 2));
        assert_eq!(found[0].expected.as_ref().unwrap().value, 2.5);
        assert!(found[0].about.contains("6 ms") && found[0].about.contains("1 observers"));
        let none = Observed { noticed: &all[1..2], ..observed(&counters) };
        assert!(measures(&spec, &none).is_empty());
    }
}
