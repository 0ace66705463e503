//! Tells the judge of staleness what the load's own operations were and returned.

use crate::checker::staleness::{End, Judge, Tally, Version};
use crate::message::{Outcome, Reply};
use parking_lot::Mutex;
use quorate_strategies::conflict::Answer;
use quorate_workloads::{LOADER, Verdict, check};

/// A write that is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Write {
    version: Version,
    began_ns: u64,
}

/// The judge and its verdicts. Writes are told before they are sent, and everything else in the
/// order of the answers, which come on one thread.
#[derive(Debug, Default)]
pub struct Freshness {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    judge: Judge,
    tally: Tally,
}

impl Freshness {
    /// A write of this value, or a deletion, is about to be sent. None: the value does not name its
    /// writer, and what comes of it cannot be judged.
    pub fn began(&self, key: &[u8], value: Option<&[u8]>, now_ns: u64) -> Option<Write> {
        let version = match value {
            Some(value) => version(key, value)?,
            None => Version::Absent,
        };
        self.state.lock().judge.write_began(key, version);
        Some(Write { version, began_ns: now_ns })
    }

    pub fn ended(&self, key: &[u8], write: Write, now_ns: u64, reply: &Reply) {
        let end = match reply {
            Reply::Failed(failure) if failure.outcome() == Outcome::NotDone => End::NotDone,
            Reply::Failed(_) => End::Unknown,
            Reply::Read(_) | Reply::Written { .. } => End::Acknowledged,
        };
        let Write { version, began_ns } = write;
        self.state.lock().judge.write_ended(key, version, began_ns, now_ns, end);
    }

    /// Judges a read that was sent at `sent_ns`. One that returned what nobody wrote is an invalid
    /// read, and none to be judged here.
    pub fn read(&self, key: &[u8], sent_ns: u64, answer: &Answer) {
        let versions = answer.values.iter().map(|shown| version(key, &shown.payload.value));
        if let Some(versions) = versions.collect::<Option<Vec<Version>>>() {
            let mut state = self.state.lock();
            let verdict = state.judge.read(key, sent_ns, &versions);
            state.tally.count(verdict);
        }
    }

    pub fn tally(&self) -> Tally {
        self.state.lock().tally
    }
}

fn version(key: &[u8], value: &[u8]) -> Option<Version> {
    match check(key, value) {
        Verdict::Genuine(stamp) if stamp.writer == LOADER => Some(Version::Loaded),
        Verdict::Genuine(stamp) => {
            Some(Version::Written { writer: stamp.writer, sequence: stamp.sequence })
        }
        Verdict::WrongKey(_) | Verdict::Corrupt | Verdict::Unverifiable => None,
    }
}
