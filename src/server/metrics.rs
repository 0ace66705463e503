//! What a node counts of itself, and how `/metrics` says it.
//!
//! Nothing is registered and no counter is shared: the driver counts in plain fields, and a scrape
//! takes one picture of them and of the engine and writes it out.

use super::inbox::Report;
use super::waiting::Kind;
use crate::engine::Stats;
use crate::message::Message;
use crate::node::{Histogram, Outcomes, Standing, Status};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use quorate_strategies::NodeId;
use std::collections::BTreeMap;
use std::fmt;

type Outcome = fmt::Result;
type Label<'a> = [(&'a str, &'a str); 1];
type Labels<'a> = [(&'a str, &'a str); 2];

/// What the driver counts, beside the node.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// From the taking of a request to its reply, of those that succeeded; by [`Kind`].
    pub latencies: [Histogram; 4],
    /// Sizes of batches: requests of a client, messages of a peer, records of a commit.
    pub client_batches: Histogram,
    pub peer_batches: Histogram,
    pub commits: Histogram,
    /// Messages dropped because a peer's queue was full or waited too long for a connection.
    pub dropped: BTreeMap<NodeId, u64>,
    pub sent: Sent,
    /// Messages of peers that could not be decoded.
    pub malformed: u64,
    /// Batches dropped because of their sender's clock.
    pub drifts: u64,
    /// Open client streams.
    pub sessions: u64,
    /// Requests that have no reply yet.
    pub waiting: u64,
}

/// What this node sent to its peers, or tried to: a message that is dropped later was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Requests between nodes and their answers.
    pub requests: u64,
    pub heartbeats: u64,
    pub gossip: u64,
    /// Of the batches as they are encoded, without the transport's frames.
    pub bytes: u64,
}

impl Sent {
    pub fn count(&mut self, message: &Message) {
        match message {
            Message::Heartbeat { .. } => self.heartbeats += 1,
            Message::Gossip { .. } | Message::GossipReply { .. } => self.gossip += 1,
            _ => self.requests += 1,
        }
    }
}

/// CPU and memory of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub cpu_s: f64,
    pub resident_bytes: u64,
    /// Of the allocator; None where it is not jemalloc.
    pub allocated_bytes: Option<u64>,
}

impl Process {
    pub fn read() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0);
        Process {
            cpu_s: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: resident_kib * 1024,
            allocated_bytes: allocated(),
        }
    }
}

#[cfg(feature = "jemalloc")]
fn allocated() -> Option<u64> {
    tikv_jemalloc_ctl::epoch::advance().ok()?;
    let allocated = tikv_jemalloc_ctl::stats::allocated::read().ok()? as u64;
    (allocated > 0).then_some(allocated)
}

#[cfg(not(feature = "jemalloc"))]
fn allocated() -> Option<u64> {
    None
}

/// One picture of a node.
pub struct Picture {
    pub report: Report,
    pub engine: Stats,
    pub process: Process,
    pub ready: bool,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture").field("node", &self.report.node.id).finish_non_exhaustive()
    }
}

impl prometheus_client::collector::Collector for Picture {
    fn encode(&self, encoder: DescriptorEncoder) -> Outcome {
        let mut page = Page { encoder };
        requests(&mut page, &self.report)?;
        replication(&mut page, &self.report.node)?;
        peers(&mut page, &self.report)?;
        batches(&mut page, &self.report.shell)?;
        engine(&mut page, &self.engine)?;
        process(&mut page, &self.process)?;
        page.gauge("ready", "1 while enough replicas are alive", f64::from(u8::from(self.ready)))
    }
}

/// The exposition of one scrape, as text.
pub fn render(picture: Picture) -> Result<String, fmt::Error> {
    let mut registry = prometheus_client::registry::Registry::with_prefix("quorate");
    registry.register_collector(Box::new(picture));
    let mut text = String::with_capacity(16 << 10);
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

fn requests(page: &mut Page, report: &Report) -> Outcome {
    let counters = &report.node.counters;
    let kinds = [&counters.gets, &counters.puts, &counters.deletes, &counters.increments];
    let about = "Requests of clients by kind and outcome";
    let mut family = page.family("requests", about, MetricType::Counter)?;
    for (kind, outcomes) in Kind::ALL.into_iter().zip(kinds) {
        for (outcome, count) in by_outcome(outcomes) {
            let labels: Labels = [("kind", kind.name()), ("outcome", outcome)];
            counter(family.encode_family(&labels)?, count)?;
        }
    }
    let about = "From the taking of a request to its reply, of those that succeeded";
    let mut family = page.family("request_duration_seconds", about, MetricType::Histogram)?;
    for kind in Kind::ALL {
        let labels: Label = [("kind", kind.name())];
        let latencies = &report.shell.latencies[kind as usize];
        histogram(family.encode_family(&labels)?, latencies, Unit::Durations)?;
    }
    let shell = &report.shell;
    page.gauge("requests_waiting", "Requests that have no reply yet", shell.waiting as f64)?;
    page.gauge("sessions", "Open streams of clients", shell.sessions as f64)
}

fn by_outcome(outcomes: &Outcomes) -> [(&'static str, u64); 6] {
    [
        ("done", outcomes.done),
        ("invalid", outcomes.invalid),
        ("too_few_replicas", outcomes.too_few_replicas),
        ("overloaded", outcomes.overloaded),
        ("timed_out", outcomes.timed_out),
        ("refused", outcomes.refused),
    ]
}

fn replication(page: &mut Page, node: &Status) -> Outcome {
    let counters = &node.counters;
    for (name, about, count) in [
        ("hedges", "Reads that asked further replicas", counters.hedges),
        ("read_repairs", "Reads whose answers differed", counters.read_repairs),
        ("repair_merges", "Records sent to stale replicas by reads", counters.repair_merges),
        (
            "never_acknowledged",
            "Replicas silent until a done write's deadline",
            counters.never_acknowledged,
        ),
        ("late_answers", "Answers to requests no longer known", counters.late_dropped),
        (
            "unchanged",
            "Changes that changed nothing, so that nothing was saved",
            counters.unchanged,
        ),
        ("copies_dropped", "Batches that had come before", counters.copies_dropped),
        ("clock_drift_dropped", "Batches of too fast clocks", counters.clock_drift_dropped),
        ("pauses", "Rounds in which this node itself had paused", counters.pauses),
    ] {
        page.counter(name, about, count)?;
    }
    let about = "Requests of peers that this replica refused, by reason";
    let mut family = page.family("replica_refusals", about, MetricType::Counter)?;
    for (reason, count) in [
        ("stale_epoch", counters.refused_stale_epoch),
        ("not_owner", counters.refused_not_owner),
        ("overloaded", counters.refused_overloaded),
        ("expired", counters.refused_expired),
        ("storage", counters.refused_storage),
        ("clock_ahead", counters.refused_clock),
        ("resolver", counters.refused_resolver),
    ] {
        let labels: Label = [("reason", reason)];
        counter(family.encode_family(&labels)?, count)?;
    }
    let about = "How much later than the reply the replicas acknowledged that it had not needed";
    let family = page.family("replica_lag_seconds", about, MetricType::Histogram)?;
    histogram(family, &counters.lag, Unit::Durations)?;
    let flight = &node.in_flight;
    let mut family = page.family("in_flight", "What waits for something", MetricType::Gauge)?;
    for (what, count) in [
        ("reads", flight.reads),
        ("writes", flight.writes),
        ("lingering", flight.lingering),
        ("loads", flight.loads),
        ("saves", flight.saves),
        ("queued", flight.queued),
    ] {
        let labels: Label = [("what", what)];
        family.encode_family(&labels)?.encode_gauge(&(count as f64))?;
    }
    Ok(())
}

fn peers(page: &mut Page, report: &Report) -> Outcome {
    let others = || report.node.members.iter().filter(|member| member.id != report.node.id);
    let standing = |member: Standing| match member {
        Standing::Unheard => "unheard",
        Standing::Up => "up",
        Standing::Suspect(_) => "suspect",
        Standing::Deaf => "deaf",
        Standing::Down => "down",
    };
    let mut family = page.family("peers", "Peers by state", MetricType::Gauge)?;
    for state in ["unheard", "up", "suspect", "deaf", "down"] {
        let count = others().filter(|member| standing(member.standing) == state).count();
        let labels: Label = [("state", state)];
        family.encode_family(&labels)?.encode_gauge(&(count as f64))?;
    }
    let about = "Messages dropped: the peer's queue was full, or waited too long for a connection";
    let mut family = page.family("peer_messages_dropped", about, MetricType::Counter)?;
    for (peer, count) in &report.shell.dropped {
        let peer = peer.to_string();
        let labels: Label = [("peer", &peer)];
        counter(family.encode_family(&labels)?, *count)?;
    }
    let sent = &report.shell.sent;
    for (name, about, count) in [
        ("peer_requests_sent", "Messages sent that serve requests", sent.requests),
        ("peer_heartbeats_sent", "Heartbeats sent", sent.heartbeats),
        ("peer_gossip_sent", "Messages of gossip sent", sent.gossip),
        ("peer_bytes_sent", "Bytes of batches for peers, as encoded", sent.bytes),
    ] {
        page.counter(name, about, count)?;
    }
    page.counter("peer_messages_malformed", "Undecodable messages", report.shell.malformed)
}

fn batches(page: &mut Page, shell: &Shell) -> Outcome {
    let about = "Sizes of batches: requests of a client, messages of a peer, records of a commit";
    let mut family = page.family("batch_size", about, MetricType::Histogram)?;
    for (what, sizes) in [
        ("client", &shell.client_batches),
        ("peer", &shell.peer_batches),
        ("commit", &shell.commits),
    ] {
        let labels: Label = [("of", what)];
        histogram(family.encode_family(&labels)?, sizes, Unit::Sizes)?;
    }
    Ok(())
}

fn engine(page: &mut Page, stats: &Stats) -> Outcome {
    for (name, about, count) in [
        ("engine_writes", "Records written", stats.writes),
        ("engine_reads", "Records read", stats.reads),
        ("engine_wal_bytes", "Bytes appended to the log", stats.wal_bytes),
        ("engine_wal_syncs", "Disk synchronisations of the log", stats.wal_syncs),
        ("engine_flushes", "Memtables flushed", stats.flushes),
        ("engine_flushed_bytes", "Bytes of flushed tables", stats.flushed_bytes),
        ("engine_compactions", "Compactions done", stats.compactions),
        ("engine_compaction_read_bytes", "Bytes read by them", stats.compaction_read_bytes),
        (
            "engine_compaction_written_bytes",
            "Bytes written by them",
            stats.compaction_written_bytes,
        ),
        ("engine_moved_bytes", "Bytes that changed their level unwritten", stats.moved_bytes),
        ("engine_cache_hits", "Blocks found in the cache", stats.cache_hits),
        ("engine_cache_misses", "Blocks read from the disk", stats.cache_misses),
        ("engine_slowed_us", "What commits waited in small steps", stats.slowed_us),
        ("engine_bloom_negatives", "Tables that a filter ruled out", stats.bloom_negatives),
        ("engine_bloom_false_positives", "Tables read in vain", stats.bloom_false_positives),
    ] {
        page.counter(name, about, count)?;
    }
    page.gauge("engine_memtable_bytes", "Bytes in memtables", stats.memtable_bytes as f64)?;
    page.gauge("engine_table_bytes", "Bytes in sorted tables", stats.table_bytes as f64)?;
    page.gauge("engine_spare_bytes", "Files kept for new tables", stats.spare_bytes as f64)?;
    page.gauge("engine_table_entries", "Entries in sorted tables", stats.table_entries as f64)?;
    let memory = "Filters and indexes in memory, beside the cache";
    page.gauge("engine_table_memory_bytes", memory, stats.table_memory_bytes as f64)?;
    page.gauge("engine_cache_bytes", "Bytes in the block cache", stats.cache_bytes as f64)?;
    let stall_s = stats.longest_stall_us as f64 / 1e6;
    page.gauge("engine_longest_stall_seconds", "Longest wait of a commit for a flush", stall_s)?;
    let mut family = page.family("engine_tables", "Sorted tables by level", MetricType::Gauge)?;
    for (level, count) in stats.tables_per_level.iter().enumerate() {
        let level = level.to_string();
        let labels: Label = [("level", &level)];
        family.encode_family(&labels)?.encode_gauge(&(*count as f64))?;
    }
    Ok(())
}

fn process(page: &mut Page, process: &Process) -> Outcome {
    let mut family = page.family("process_cpu_seconds", "CPU time used", MetricType::Counter)?;
    family.encode_counter::<Label, f64, f64>(&process.cpu_s, None)?;
    page.gauge("process_resident_bytes", "Resident memory", process.resident_bytes as f64)?;
    match process.allocated_bytes {
        Some(bytes) => page.gauge("process_allocated_bytes", "Memory in use", bytes as f64),
        None => Ok(()),
    }
}

/// Writes one metric family after the other.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        about: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.encoder.encode_descriptor(name, about, None, kind)
    }

    fn counter(&mut self, name: &str, about: &str, count: u64) -> Outcome {
        counter(self.family(name, about, MetricType::Counter)?, count)
    }

    fn gauge(&mut self, name: &str, about: &str, value: f64) -> Outcome {
        self.family(name, about, MetricType::Gauge)?.encode_gauge(&value)
    }
}

fn counter(mut encoder: MetricEncoder<'_>, count: u64) -> Outcome {
    encoder.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

/// What the numbers of a histogram are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Microseconds, shown as seconds in buckets from 16 µs to 17 s.
    Durations,
    /// Counts, in buckets from 0 to 65,535.
    Sizes,
}

/// One bucket per power of two. The same buckets at every scrape, as Prometheus wants them.
fn histogram(mut encoder: MetricEncoder<'_>, histogram: &Histogram, unit: Unit) -> Outcome {
    let (powers, scale, below) = match unit {
        Unit::Durations => (4..=24, 1e-6, 0),
        Unit::Sizes => (0..=16, 1.0, 1),
    };
    let counts = &histogram.buckets;
    let (first, last) = (*powers.start(), *powers.end());
    let mut buckets = Vec::with_capacity(last - first + 2);
    for power in powers {
        let count = if power == first { counts[..=first].iter().sum() } else { counts[power] };
        // A bucket holds what is below its power of two: for whole numbers, up to one less.
        buckets.push((((1u64 << power) - below) as f64 * scale, count));
    }
    buckets.push((f64::INFINITY, counts[last + 1..].iter().sum()));
    let sum = histogram.sum_us as f64 * scale;
    encoder.encode_histogram::<NoLabelSet>(sum, histogram.count, &buckets, None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_complete() {
        struct One(Histogram, Unit);
        impl fmt::Debug for One {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("One")
            }
        }
        impl prometheus_client::collector::Collector for One {
            fn encode(&self, encoder: DescriptorEncoder) -> Outcome {
                let mut page = Page { encoder };
                histogram(page.family("h", "about", MetricType::Histogram)?, &self.0, self.1)
            }
        }
        let text = |values: &[u64], unit: Unit| {
            let mut of = Histogram::default();
            values.iter().for_each(|value| of.record(*value));
            let mut registry = prometheus_client::registry::Registry::default();
            registry.register_collector(Box::new(One(of, unit)));
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        let sizes = text(&[0, 1, 1, 3, 4, 1 << 20], Unit::Sizes);
        for line in ["{le=\"0.0\"} 1", "{le=\"1.0\"} 3", "{le=\"3.0\"} 4", "{le=\"+Inf\"} 6"] {
            assert!(sizes.contains(line), "{line}: {sizes}");
        }
        let durations = text(&[1, 15, 16, 1_000_000, 4_000_000_000], Unit::Durations);
        for line in ["{le=\"0.000016\"} 2", "{le=\"0.000032\"} 3", "{le=\"+Inf\"} 5"] {
            assert!(durations.contains(line), "{line}: {durations}");
        }
    }
}
