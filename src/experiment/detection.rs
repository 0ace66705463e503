//! When do the others notice that a node was killed? Each of them is asked, again and again.

use super::probe;
use quorate_strategies::NodeId;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// From the start of one question to the start of the next, unless the answer takes longer.
pub const POLL: Duration = Duration::from_millis(5);
/// A node that does not answer for so long is asked again.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// One observer's change of mind about one death.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noticed {
    /// None: it had not noticed when the watch ended.
    pub after: Option<Duration>,
    /// How far apart the last answer before and the first answer after it were: the change lies
    /// between them, and `after` is the middle.
    pub within: Duration,
}

/// Asks every survivor of a death for its opinion of the victim, on a thread each, until all have
/// noticed or the watch is ended.
#[derive(Debug)]
pub struct Watch {
    victim: NodeId,
    ended: Arc<AtomicBool>,
    observers: Vec<JoinHandle<Noticed>>,
}

impl Watch {
    pub fn start(
        victim: NodeId,
        killed_at: Instant,
        observers: impl Iterator<Item = (NodeId, SocketAddr)>,
    ) -> Watch {
        let ended = Arc::new(AtomicBool::new(false));
        let observe = |(_, address): (NodeId, SocketAddr)| {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || observe(address, victim, killed_at, &ended))
        };
        let others = observers.filter(|(id, _)| *id != victim);
        let observers = others.map(observe).collect();
        Watch { victim, ended, observers }
    }

    pub fn victim(&self) -> NodeId {
        self.victim
    }

    /// Asks no more. What was not noticed until now never is.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Waits for the observers, of an ended watch for one answer at most.
    pub fn finish(self) -> Vec<Noticed> {
        let join = |observer: JoinHandle<Noticed>| observer.join().ok();
        self.observers.into_iter().filter_map(join).collect()
    }
}

fn observe(address: SocketAddr, victim: NodeId, killed_at: Instant, ended: &AtomicBool) -> Noticed {
    let mut alive_at = killed_at;
    while !ended.load(Ordering::Relaxed) {
        let asked_at = Instant::now();
        let answer = probe::get(address, "/v1/status", ANSWER_LIMIT);
        match answer.ok().and_then(|(_, page)| takes_for_down(&page, victim)) {
            Some(true) => {
                let within = asked_at.elapsed() + (asked_at - alive_at);
                let after = (alive_at - killed_at) + within / 2;
                return Noticed { after: Some(after), within };
            }
            Some(false) => alive_at = asked_at,
            None => {}
        }
        std::thread::sleep(POLL.saturating_sub(asked_at.elapsed()));
    }
    Noticed { after: None, within: Duration::ZERO }
}

/// Whether a status page says that this member is down. None: it says nothing of it.
fn takes_for_down(page: &str, member: NodeId) -> Option<bool> {
    let status: Value = serde_json::from_str(page).ok()?;
    let members = status.get("members")?.as_array()?;
    let found = members.iter().find(|it| it["id"].as_u64() == Some(member.0))?;
    Some(found["verdict"].as_str()? == "down")
}
