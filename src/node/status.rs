//! What a node tells of itself: for `quorate status`, probes, metrics and tests.

use quorate_strategies::NodeId;

/// A node's opinion of a member, its own and nobody else's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// Not heard since this node started, and still within the grace that a start deserves; or
    /// heard again, and had no time yet to tell whether it hears us.
    Unheard,
    Up,
    /// Silent for longer than is usual; still asked. The score is the detector's.
    Suspect(f64),
    /// Heard, and says that it does not hear us; not asked, for nothing would arrive.
    Deaf,
    /// Silent; not asked.
    Down,
}

impl Standing {
    /// Whether requests may count on the member.
    pub fn is_alive(self) -> bool {
        matches!(self, Standing::Up | Standing::Suspect(_))
    }

    /// Whether nothing that is sent to the member is expected to arrive.
    pub fn is_out_of_reach(self) -> bool {
        matches!(self, Standing::Deaf | Standing::Down)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub id: NodeId,
    pub incarnation: u64,
    /// The topology's epoch by which this node routes.
    pub epoch: u64,
    /// The newest epoch that any message named; above `epoch`, this node's topology is out of date.
    pub newest_epoch: u64,
    /// A majority of every range's owners is alive.
    pub ready: bool,
    /// Copies of each key.
    pub replicas: usize,
    /// Ascending by id; this node is one of them.
    pub members: Vec<MemberStatus>,
    pub in_flight: InFlight,
    pub counters: Counters,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MemberStatus {
    pub id: NodeId,
    /// 0: the member has not yet spoken of itself.
    pub incarnation: u64,
    pub grpc: String,
    pub http: String,
    pub epoch: u64,
    pub standing: Standing,
    /// Share of the token space for which it is the first owner, 0 to 1.
    pub share: f64,
}

/// What waits for something at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Requests whose client still waits.
    pub reads: usize,
    pub writes: usize,
    /// Requests that were answered and still wait for the replicas that were not needed.
    pub lingering: usize,
    /// Work of this node as a replica.
    pub loads: usize,
    pub saves: usize,
    /// Changes that wait for the load of their key.
    pub queued: usize,
}

/// Client requests of one kind, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub done: u64,
    /// Refused before anything was sent: malformed or too large, a level above N, a wrong change.
    pub invalid: u64,
    pub too_few_replicas: u64,
    pub overloaded: u64,
    pub timed_out: u64,
    pub refused: u64,
}

/// Counts since the node started. They only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub gets: Outcomes,
    pub puts: Outcomes,
    pub deletes: Outcomes,
    pub increments: Outcomes,
    /// Reads that asked further replicas because the first ones were silent or refused.
    pub hedges: u64,
    /// Reads whose answers differed.
    pub read_repairs: u64,
    /// Records sent to stale replicas by those reads.
    pub repair_merges: u64,
    /// Acknowledgements of replicas that the level had not needed: how far replicas lag behind.
    pub lag: Histogram,
    /// Replicas that had not acknowledged a write that was done when its deadline came.
    pub never_acknowledged: u64,
    /// Answers to requests that were no longer known.
    pub late_dropped: u64,
    /// Requests of peers that this replica refused, by reason.
    pub refused_stale_epoch: u64,
    pub refused_not_owner: u64,
    pub refused_overloaded: u64,
    pub refused_expired: u64,
    pub refused_storage: u64,
    pub refused_clock: u64,
    pub refused_resolver: u64,
    /// Changes that changed nothing, so that nothing was saved.
    pub unchanged: u64,
    /// Batches that were meant for another node: a wrong address somewhere.
    pub misdirected: u64,
    /// Batches that had come before.
    pub copies_dropped: u64,
    /// Batches dropped because their sender's clock was too far ahead.
    pub clock_drift_dropped: u64,
    /// Heartbeats and states of an earlier life of a peer, or of an impossible one.
    pub incarnations_ignored: u64,
    /// Rounds in which verdicts were held because this node itself had paused.
    pub pauses: u64,
}

/// Durations in microseconds, one bucket per power of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bucket `i` counts durations below `2^i` microseconds and at least half of that.
    pub buckets: [u64; 32],
    pub count: u64,
    pub sum_us: u64,
}

impl Histogram {
    /// The last bucket takes all that is longer.
    pub fn record(&mut self, duration_us: u64) {
        let bucket = (u64::BITS - duration_us.leading_zeros()) as usize;
        self.buckets[bucket.min(self.buckets.len() - 1)] += 1;
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(duration_us);
    }
}
