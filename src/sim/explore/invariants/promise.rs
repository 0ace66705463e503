//! What a cluster promises, and under which faults it does not.

use std::fmt;

/// What can be violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// What W copies acknowledged, or R copies showed, is seen by every later read that must meet
    /// one of them: by one whose R exceeds N minus those copies. A copy does not count from the
    /// moment at which its disk may have lost something: a new or rotten disk, the end of a process
    /// without an engine, a power cut without `sync: always`. For registers "seen" means that or a
    /// later write by the order of versions, for siblings the value itself unless a write that had
    /// seen it replaced it, for counters a value between what was acknowledged and what may have
    /// been done.
    Durable,
    /// At the instant of an acknowledgement the disks of W owners hold the write, or what replaced
    /// it. Disks that have lost something since the request count as holding it.
    Copies,
    /// A read shows what somebody wrote to this key.
    Origin,
    /// One version names one write, and one write has one version.
    Versions,
    /// What was certainly not done is never seen.
    Honest,
    /// A change is made before its deadline, and one that ended before another began does not hide
    /// it: who was told "unknown" and tries again later is not overtaken by the past. Void once a
    /// clock was wrong.
    InTime,
    /// What an acknowledged write has replaced does not come back (siblings).
    Gone,
    /// One request, one reply, by the deadline or shortly after; unless the coordinator stands
    /// still, for as long as it does.
    Replies,
    /// What waits in a node is bounded by its limits.
    Bounds,
    /// No incarnation twice, no actor twice unless its disk kept everything; epochs, hybrid clocks
    /// and gossip never go back within a life. An emptied disk may repeat an incarnation.
    Lives,
    /// When everything is mended, reads at ALL succeed. A clock that goes right again keeps what it
    /// has gained: that must stay below `max_clock_drift`.
    Available,
    /// When everything is mended and a read at ALL was answered, all owners hold equal bytes.
    Converges,
    /// When everything is mended, every queue runs empty.
    Settles,
    /// A disk that is not rotten lets its node start.
    Starts,
}

const NAMES: [(Promise, &str); 14] = [
    (Promise::Durable, "durable"),
    (Promise::Copies, "copies"),
    (Promise::Origin, "origin"),
    (Promise::Versions, "versions"),
    (Promise::Honest, "honest"),
    (Promise::InTime, "in time"),
    (Promise::Gone, "gone"),
    (Promise::Replies, "replies"),
    (Promise::Bounds, "bounds"),
    (Promise::Lives, "lives"),
    (Promise::Available, "available"),
    (Promise::Converges, "converges"),
    (Promise::Settles, "settles"),
    (Promise::Starts, "starts"),
];

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(promise, _)| promise == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// A promise that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {text}")]
pub struct Violation {
    pub promise: Promise,
    pub text: String,
}

impl Violation {
    pub fn new(promise: Promise, text: String) -> Self {
        Violation { promise, text }
    }
}
