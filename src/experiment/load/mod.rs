//! Offers the load and times the answers.
//!
//! ```text
//!   open loop    Schedule ─► pacer thread ─┐ due operations, late or not        Sink::complete
//!                                          ├──► slots ──► client ──► cluster ──► slots ─► Recorder
//!   closed loop  answer ─► next operation ─┘                                     (client's thread)
//! ```
//!
//! Three clocks are kept for each operation. **Intended**: when the schedule wants it sent.
//! **Sent**: when it was handed to the client. **Answered**. The response time is answered −
//! intended and the service time is answered − sent; their difference is the **schedule lag**, the
//! load's own lateness. A driver that times from the send alone stops asking while the store is
//! stuck and reports that all is well ("coordinated omission"); here an operation that had to wait
//! has waited since it was due. In a closed loop nothing is due, so intended and sent are the same.
//!
//! # Invariants
//!
//! * An open loop never skips an operation. At most [`OPEN_LIMIT`] are in flight; beyond that,
//!   operations wait for a place, and their waiting counts. What could not be sent within
//!   [`CATCH_UP`] after the end of the measured phase is counted as unsent.
//! * An operation belongs to the measured phase when its *intended start* does. Answers are awaited
//!   after the end; one that never comes is counted as unknown (a write) or failed (a read).
//! * Latencies are of acknowledged operations only; the three outcomes are counted apart.
//! * One answer costs two uncontended locks and no allocation.
//!
//! An open loop is **saturated** when the cluster, or the load itself, did not keep up. The rule:
//! fewer answers came during the measured phase than 99 % of the operations that were due in it
//! (which means that the backlog grew by more than 1 %), or something due was never sent, or 1 % of
//! the operations were sent more than [`LATE_US`] late. Latencies then measure the backlog and not
//! the store.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * One process offers the load, on one thread for the client and one for the pacer. Two machines'
//!   worth of load needs several such processes and the sum of their histograms, which are
//!   mergeable.
//! * A wake-up of the pacer takes what is due in the last [`PACE`]; so an idle machine shows a lag
//!   of up to that plus the kernel's own latency. It is in the lag histogram and in the response
//!   time.

mod clock;
mod flight;
mod freshness;
mod pacer;
pub mod populate;
mod recorder;
#[cfg(test)]
mod tests;

pub(in crate::experiment) use clock::Clock;
pub(in crate::experiment) use flight::Flight;
pub(in crate::experiment) use pacer::Paced;
pub use recorder::Measured;

use self::pacer::Pacer;
use super::spec::{ContextUse, RouteSpec};
use crate::client::{Route, Sink};
use crate::message::Request;
use quorate_strategies::NodeId;
use quorate_workloads::{Arrival, Workload};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The most operations that an open loop has in flight.
pub const OPEN_LIMIT: u32 = 32_768;
/// How long an open loop goes on sending what was due before the end.
pub const CATCH_UP: Duration = Duration::from_secs(5);
/// The shortest sleep of the pacer.
pub const PACE: Duration = Duration::from_micros(100);
/// A lag above this at the 99th percentile makes a trial saturated.
pub const LATE_US: u64 = 50_000;

/// Where requests go: the client of a cluster, or a stand-in of a test.
pub trait Store: Send + Sync {
    /// Must call `sink.complete(tag, ..)` exactly once, and never from inside this call.
    fn submit(&self, tag: u64, request: Request, route: Route, sink: &Arc<dyn Sink>);
}

/// What is offered.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub workload: Workload,
    /// Records in the store.
    pub records: u64,
    pub seed: u64,
    /// Replicas that each read waits for.
    pub r: u8,
    /// Replicas that each write waits for.
    pub w: u8,
    pub route: RouteSpec,
    pub nodes: Vec<NodeId>,
    pub context: ContextUse,
    pub offer: Offer,
    pub warm_up: Duration,
    pub measure: Duration,
    /// Whether reads are judged for staleness. Costs a check of every value and a look-up or two in
    /// a map of all keys touched.
    pub judges_reads: bool,
    /// No answer comes later than this after its request.
    pub answer_limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Offer {
    Closed { outstanding: u32 },
    Open { rate: f64, arrival: Arrival },
    Idle,
}

/// A load that is being offered.
pub struct Running {
    origin: Instant,
    flight: Arc<Flight>,
    pacer: Option<JoinHandle<Paced>>,
}

impl Running {
    /// Starts to offer: the warm-up begins now.
    pub fn start(store: Arc<dyn Store>, parameters: Parameters) -> std::io::Result<Running> {
        let origin = Instant::now();
        let flight = Flight::new(store, &parameters, Clock::Real(origin));
        let pacer = match parameters.offer {
            Offer::Idle => None,
            Offer::Closed { .. } => {
                flight.fill();
                None
            }
            Offer::Open { rate, arrival } => {
                let pacer = Pacer::new(Arc::clone(&flight), rate, arrival, parameters.seed)?;
                Some(std::thread::Builder::new().name("pacer".into()).spawn(move || pacer.run())?)
            }
        };
        Ok(Running { origin, flight, pacer })
    }

    /// When the warm-up began.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// Operations answered so far, the warm-up's included.
    pub fn answered(&self) -> u64 {
        self.flight.answered()
    }

    /// Ends the measured phase now, unless it has ended already. The load stops; answers still
    /// count.
    pub fn end_now(&self) {
        self.flight.end_now();
    }

    /// Ends the measured phase at its end, or now if that is earlier, and waits for the answers.
    pub fn finish(self) -> Measured {
        self.flight.end_now();
        let paced = self.pacer.map(|pacer| pacer.join().unwrap_or_default()).unwrap_or_default();
        self.flight.await_answers();
        self.flight.measured(paced)
    }
}
