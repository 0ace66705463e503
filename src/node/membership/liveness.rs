//! One peer's liveness, as this node sees it: a detector per life of the peer, and what it
//! concludes.

use crate::node::{Event, Standing};
use quorate_strategies::detection::{Detector, Verdict};
use quorate_strategies::{Choice, Detection, NodeId};

/// Heartbeat intervals that a peer has to show itself after this node's start.
const GRACE_INTERVALS: u64 = 10;

pub(super) struct Liveness {
    standing: Standing,
    /// The life that was heard last; 0: none.
    incarnation: u64,
    /// Knows only this incarnation: how a former life beat says nothing of this one.
    detector: Option<Box<dyn Detector>>,
    grace_until_us: u64,
}

/// What a heartbeat turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The first of this incarnation.
    First,
    Again,
    /// Sent by an incarnation that has been followed by another.
    FormerLife,
}

impl Liveness {
    /// This node itself: whoever asks is alive.
    pub fn own() -> Self {
        Liveness { standing: Standing::Up, incarnation: 0, detector: None, grace_until_us: 0 }
    }

    pub fn unheard(now_us: u64, heartbeat_interval_us: u64) -> Self {
        Liveness {
            standing: Standing::Unheard,
            incarnation: 0,
            detector: None,
            grace_until_us: now_us + GRACE_INTERVALS * heartbeat_interval_us,
        }
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub fn heard(&mut self, now_us: u64, incarnation: u64, detection: &Choice<Detection>) -> Heard {
        if incarnation < self.incarnation {
            return Heard::FormerLife;
        }
        let first = incarnation > self.incarnation || self.detector.is_none();
        if first {
            self.detector = None;
        }
        self.incarnation = incarnation;
        self.detector.get_or_insert_with(|| detection.build()).heard(now_us);
        self.standing = Standing::Up;
        if first { Heard::First } else { Heard::Again }
    }

    /// Asks the detector, and tells when the opinion changed in kind.
    pub fn judge(&mut self, peer: NodeId, now_us: u64) -> Option<Event> {
        let standing = match &self.detector {
            None if now_us < self.grace_until_us => Standing::Unheard,
            None => Standing::Down,
            Some(detector) => match detector.verdict(now_us) {
                Verdict::Up => Standing::Up,
                Verdict::Suspect(score) => Standing::Suspect(score),
                Verdict::Down => Standing::Down,
            },
        };
        let before = std::mem::replace(&mut self.standing, standing);
        if std::mem::discriminant(&before) == std::mem::discriminant(&standing) {
            return None;
        }
        match standing {
            Standing::Unheard => None,
            Standing::Up => Some(Event::PeerUp { peer }),
            Standing::Suspect(score) => Some(Event::PeerSuspect { peer, score }),
            Standing::Down => Some(Event::PeerDown { peer }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(2);
    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_peer_that_never_spoke_is_down_after_the_grace_and_up_when_it_speaks() {
        let mut liveness = Liveness::unheard(0, SECOND);
        assert_eq!(liveness.judge(PEER, 9 * SECOND), None);
        assert_eq!(liveness.standing(), Standing::Unheard);
        assert_eq!(liveness.judge(PEER, 10 * SECOND), Some(Event::PeerDown { peer: PEER }));
        assert_eq!(liveness.judge(PEER, 11 * SECOND), None);
        assert_eq!(liveness.heard(12 * SECOND, 1, &Choice::default()), Heard::First);
        assert_eq!(liveness.standing(), Standing::Up);
    }

    #[test]
    fn a_new_life_begins_with_a_fresh_detector_and_a_former_one_is_ignored() {
        let detection = Choice::default();
        let mut liveness = Liveness::unheard(0, SECOND);
        for beat in 1..50 {
            liveness.heard(beat * SECOND / 100, 5, &detection);
        }
        assert_eq!(liveness.heard(SECOND, 6, &detection), Heard::First);
        assert_eq!(liveness.heard(SECOND, 5, &detection), Heard::FormerLife);
        assert_eq!(liveness.heard(2 * SECOND, 6, &detection), Heard::Again);
        assert_eq!(liveness.incarnation(), 6);
    }
}
