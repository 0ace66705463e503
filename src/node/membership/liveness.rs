//! One peer's liveness, as this node sees it: a detector per life of the peer, what it concludes,
//! and whether the peer tells that it hears us.

use crate::node::{Event, Standing};
use quorate_strategies::detection::{Detector, Verdict};
use quorate_strategies::{Choice, Detection, NodeId};

/// Heartbeat intervals that a peer has to show itself after this node's start.
const GRACE_INTERVALS: u64 = 10;

pub(super) struct Liveness {
    /// The detector's verdict and the peer's word together.
    standing: Standing,
    /// The detector's latest verdict alone: what we tell the peer.
    verdict: Standing,
    word: Word,
    /// The life that was heard last; 0: none.
    incarnation: u64,
    /// Knows only this incarnation: how a former life beat says nothing of this one.
    detector: Option<Box<dyn Detector>>,
    grace_until_us: u64,
}

/// What a peer says of whether it hears us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// We began to hear it, and it could not know of us when it spoke.
    Awaited,
    Hears,
    Deaf,
}

/// A heartbeat as it arrived.
#[derive(Clone, Copy, Debug)]
pub(in crate::node) struct Beat {
    pub incarnation: u64,
    /// The life of ours that the sender hears; 0: none.
    pub hears: u64,
    /// It tells whom the sender hears and is no beat.
    pub aside: bool,
    /// It was not overtaken on its way by a later one.
    pub newest: bool,
}

/// What a heartbeat turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// Of the present life. `news`: what the peer should be told at once of our hearing.
    Now { changed: Option<Event>, news: News },
    /// Sent by an incarnation that has been followed by another.
    FormerLife,
}

/// What a heartbeat changed in our hearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// It is the first of its life.
    First,
    /// It is the first after a silence.
    Again,
}

impl Liveness {
    /// This node itself: whoever asks is alive.
    pub fn own() -> Self {
        Liveness { standing: Standing::Up, ..Liveness::unheard(0, 0) }
    }

    pub fn unheard(now_us: u64, heartbeat_interval_us: u64) -> Self {
        Liveness {
            standing: Standing::Unheard,
            verdict: Standing::Unheard,
            word: Word::Awaited,
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

    /// The life of the peer that we hear; 0: none.
    pub fn hears(&self) -> u64 {
        if self.verdict.is_alive() { self.incarnation } else { 0 }
    }

    /// Feeds the detector. `own_life` is ours: the peer hears us if that is what it names.
    pub fn heard(
        &mut self,
        peer: NodeId,
        own_life: u64,
        now_us: u64,
        beat: Beat,
        detection: &Choice<Detection>,
    ) -> Heard {
        if beat.incarnation < self.incarnation {
            return Heard::FormerLife;
        }
        let hears_us = beat.hears == own_life;
        if beat.aside {
            return Heard::Now { changed: self.told_aside(peer, beat, hears_us), news: News::None };
        }
        let first = beat.incarnation > self.incarnation || self.detector.is_none();
        if first {
            self.detector = None;
        }
        self.incarnation = beat.incarnation;
        self.detector.get_or_insert_with(|| detection.build()).heard(now_us);
        let news = match self.verdict.is_alive() {
            _ if first => News::First,
            true => News::None,
            false => News::Again,
        };
        self.verdict = Standing::Up;
        self.word = match (beat.newest, hears_us) {
            (true, true) => Word::Hears,
            _ if news != News::None => Word::Awaited,
            (true, false) => Word::Deaf,
            (false, _) => self.word,
        };
        let changed = self.stand(peer);
        let again_up = first && self.standing == Standing::Up;
        let changed = changed.or(again_up.then_some(Event::PeerUp { peer }));
        Heard::Now { changed, news }
    }

    /// The word counts, of a life that is heard; the detector learns nothing.
    fn told_aside(&mut self, peer: NodeId, beat: Beat, hears_us: bool) -> Option<Event> {
        if !beat.newest || self.hears() != beat.incarnation {
            return None;
        }
        self.word = if hears_us { Word::Hears } else { Word::Deaf };
        self.stand(peer)
    }

    /// Asks the detector, and tells when the opinion changed in kind.
    pub fn judge(&mut self, peer: NodeId, now_us: u64) -> Option<Event> {
        self.verdict = match &self.detector {
            None if now_us < self.grace_until_us => Standing::Unheard,
            None => Standing::Down,
            Some(detector) => match detector.verdict(now_us) {
                Verdict::Up => Standing::Up,
                Verdict::Suspect(score) => Standing::Suspect(score),
                Verdict::Down => Standing::Down,
            },
        };
        self.stand(peer)
    }

    /// Puts the verdict and the peer's word together.
    fn stand(&mut self, peer: NodeId) -> Option<Event> {
        let standing = match self.word {
            Word::Awaited if self.verdict.is_alive() => Standing::Unheard,
            Word::Deaf if self.verdict.is_alive() => Standing::Deaf,
            _ => self.verdict,
        };
        let before = std::mem::replace(&mut self.standing, standing);
        if std::mem::discriminant(&before) == std::mem::discriminant(&standing) {
            return None;
        }
        match standing {
            Standing::Unheard => None,
            Standing::Up => Some(Event::PeerUp { peer }),
            Standing::Suspect(score) => Some(Event::PeerSuspect { peer, score }),
            Standing::Deaf => Some(Event::PeerDeaf { peer }),
            Standing::Down => Some(Event::PeerDown { peer }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(2);
    const SECOND: u64 = 1_000_000;

    const OWN_LIFE: u64 = 40;

    fn beat(incarnation: u64, hears: u64) -> Beat {
        Beat { incarnation, hears, aside: false, newest: true }
    }

    fn hear(liveness: &mut Liveness, now_us: u64, beat: Beat) -> Heard {
        liveness.heard(PEER, OWN_LIFE, now_us, beat, &Choice::default())
    }

    #[test]
    fn a_peer_that_never_spoke_is_down_after_the_grace_and_up_when_it_speaks() {
        let mut liveness = Liveness::unheard(0, SECOND);
        assert_eq!(liveness.judge(PEER, 9 * SECOND), None);
        assert_eq!(liveness.standing(), Standing::Unheard);
        assert_eq!(liveness.judge(PEER, 10 * SECOND), Some(Event::PeerDown { peer: PEER }));
        assert_eq!(liveness.judge(PEER, 11 * SECOND), None);
        assert_eq!(liveness.hears(), 0);
        let changed = Some(Event::PeerUp { peer: PEER });
        let first = hear(&mut liveness, 12 * SECOND, beat(1, OWN_LIFE));
        assert_eq!(first, Heard::Now { changed, news: News::First });
        assert_eq!((liveness.standing(), liveness.hears()), (Standing::Up, 1));
    }

    #[test]
    fn a_new_life_begins_with_a_fresh_detector_and_a_former_one_is_ignored() {
        let mut liveness = Liveness::unheard(0, SECOND);
        for number in 1..50 {
            hear(&mut liveness, number * SECOND / 100, beat(5, OWN_LIFE));
        }
        let changed = Some(Event::PeerUp { peer: PEER });
        let first = hear(&mut liveness, SECOND, beat(6, OWN_LIFE));
        assert_eq!(first, Heard::Now { changed, news: News::First });
        assert_eq!(hear(&mut liveness, SECOND, beat(5, OWN_LIFE)), Heard::FormerLife);
        let again = hear(&mut liveness, 2 * SECOND, beat(6, OWN_LIFE));
        assert_eq!(again, Heard::Now { changed: None, news: News::None });
        assert_eq!(liveness.incarnation(), 6);
    }

    #[test]
    fn a_peer_is_up_once_it_names_this_very_life_and_deaf_when_it_does_not() {
        let mut liveness = Liveness::unheard(0, SECOND);
        let now = |changed, news| Heard::Now { changed, news };
        assert_eq!(hear(&mut liveness, 1, beat(6, 0)), now(None, News::First));
        assert_eq!(liveness.standing(), Standing::Unheard, "it could not know of us");
        assert_eq!(liveness.hears(), 6, "hearing does not depend on being heard");
        let up = Some(Event::PeerUp { peer: PEER });
        assert_eq!(hear(&mut liveness, 2, beat(6, OWN_LIFE)), now(up, News::None));
        let deaf = Some(Event::PeerDeaf { peer: PEER });
        assert_eq!(hear(&mut liveness, 3, beat(6, OWN_LIFE - 1)), now(deaf, News::None));
        assert_eq!(liveness.judge(PEER, 4), None, "the detector alone makes nobody up");
        assert_eq!((liveness.standing(), liveness.hears()), (Standing::Deaf, 6));
    }

    #[test]
    fn an_overtaken_heartbeat_feeds_the_detector_and_tells_nothing() {
        let mut liveness = Liveness::unheard(0, SECOND);
        hear(&mut liveness, 1, beat(6, OWN_LIFE));
        let overtaken = Beat { newest: false, ..beat(6, 0) };
        let nothing = Heard::Now { changed: None, news: News::None };
        assert_eq!(hear(&mut liveness, 2, overtaken), nothing);
        assert_eq!(liveness.standing(), Standing::Up);
    }

    #[test]
    fn the_first_heartbeat_after_a_silence_is_answered_and_its_word_is_not_held_against_the_peer() {
        let mut liveness = Liveness::unheard(0, SECOND);
        hear(&mut liveness, 1, beat(6, OWN_LIFE));
        assert_eq!(liveness.judge(PEER, 900 * SECOND), Some(Event::PeerDown { peer: PEER }));
        assert_eq!(liveness.hears(), 0);
        let first = hear(&mut liveness, 901 * SECOND, beat(6, 0));
        assert_eq!(first, Heard::Now { changed: None, news: News::Again });
        let changed = Some(Event::PeerUp { peer: PEER });
        let second = hear(&mut liveness, 901 * SECOND + 1, beat(6, OWN_LIFE));
        assert_eq!(second, Heard::Now { changed, news: News::None });
    }

    #[test]
    fn what_is_said_aside_counts_and_teaches_the_detector_nothing() {
        let (mut taught, mut told) = (Liveness::unheard(0, SECOND), Liveness::unheard(0, SECOND));
        for liveness in [&mut taught, &mut told] {
            for at_s in 1..50 {
                hear(liveness, at_s * SECOND, beat(6, 0));
            }
            assert_eq!(liveness.standing(), Standing::Deaf);
        }
        let aside = Beat { aside: true, ..beat(6, OWN_LIFE) };
        let up = Some(Event::PeerUp { peer: PEER });
        let now = Heard::Now { changed: up, news: News::None };
        assert_eq!(hear(&mut told, 49 * SECOND + 900_000, aside), now);
        let silent = |liveness: &mut Liveness| {
            (49..900).find(|at_s| {
                liveness.judge(PEER, at_s * SECOND);
                liveness.standing() == Standing::Down
            })
        };
        assert!(silent(&mut taught).is_some());
        assert_eq!(silent(&mut taught), silent(&mut told));
        let nothing = Heard::Now { changed: None, news: News::None };
        assert_eq!(hear(&mut told, 901 * SECOND, aside), nothing, "only a beat ends a silence");
        assert_eq!(told.standing(), Standing::Down);
    }
}
