//! What the header of a batch tells before its messages are looked at: whether it has been here
//! before, and how to read its deadlines.
//!
//! A copy is known by its number: each peer's batches are numbered, and a window of the latest
//! numbers remembers which ones came (the sliding window of RFC 4303, section 3.4.3). A batch that
//! is older than the window counts as a copy; on one stream that never happens.
//!
//! A deadline travels as an instant on its coordinator's monotonic clock, so no time on the way is
//! forgotten: not in a queue before the socket, not in the network, not in the buffers of a process
//! that was stopped. Two monotonic clocks differ by a constant that nobody knows, but the quickest
//! of many batches tells it up to its own travelling time:
//!
//! ```text
//!   received (our clock) − sent (theirs) = offset + time on the way  ≥  offset + least time
//! ```
//!
//! If all that came in the peer's life was late, the least is too great. The other bound holds
//! then: a header tells the newest that its sender had heard of us, by our own clock, so it was
//! sent after that.
//!
//! ```text
//!   heard (our clock) − sent (theirs)  ≤  offset
//! ```
//!
//! It is tight whenever a batch answers one of ours, as the first heartbeat of each life does. A
//! header that names an earlier life of ours is older than this process.
//!
//! # Caveats
//!
//! The least is forgotten after a minute, because clocks drift apart: when every batch of a minute
//! is later than before, that is the network's new least. The other bound loosens by half a
//! millisecond for each second, which no two sane clocks drift apart.

use crate::message::{Header, Heard};
use quorate_strategies::NodeId;
use std::collections::BTreeMap;

/// The least of the last one to two windows counts.
const WINDOW_US: u64 = 30_000_000;

/// What a deadline may be late beyond the bound from below, for the time that an answer takes.
const SLACK_US: i64 = 5_000;

/// By what part of the time that passes two clocks may drift apart: one in so many.
const DRIFT_ONE_IN: u64 = 2_000;

/// Batches that may overtake one another.
const OVERTAKEN: usize = 256;

/// The peers' clocks, as far as they were heard.
#[derive(Default)]
pub(super) struct Transits(BTreeMap<NodeId, Transit>);

struct Transit {
    incarnation: u64,
    /// Least difference of the present window and of the one before.
    least: [i64; 2],
    window_ends_us: u64,
    /// The bound from below, and when it was found.
    after: Option<(i64, u64)>,
    /// The latest sending that was heard of.
    sent_us: u64,
    came: Came,
}

/// Which of the latest numbers came.
#[derive(Default)]
struct Came {
    highest: u64,
    bits: [u64; OVERTAKEN / 64],
}

impl Came {
    /// Notes a number; false where it came before, or is too old to tell.
    fn note(&mut self, sequence: u64) -> bool {
        if sequence > self.highest {
            let passed = sequence - self.highest;
            for number in 1..=passed.min(OVERTAKEN as u64) {
                self.set(self.highest + number, false);
            }
            self.highest = sequence;
        } else if self.highest - sequence >= OVERTAKEN as u64 || self.has(sequence) {
            return false;
        }
        self.set(sequence, true);
        true
    }

    fn has(&self, sequence: u64) -> bool {
        let at = sequence as usize % OVERTAKEN;
        self.bits[at / 64] & (1 << (at % 64)) != 0
    }

    fn set(&mut self, sequence: u64, came: bool) {
        let at = sequence as usize % OVERTAKEN;
        self.bits[at / 64] &= !(1 << (at % 64));
        self.bits[at / 64] |= u64::from(came) << (at % 64);
    }
}

/// What a replica must know of the batch that a request came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub epoch: u64,
    /// Nothing that it sent later came before: what it tells of itself is its latest word.
    pub newest: bool,
    /// It had heard of this life of ours when it sent.
    pub knows_us: bool,
    /// Our monotonic clock less the sender's. None: the sender is gone, a former life of the peer.
    offset_us: Option<i64>,
}

impl Sender {
    /// This node itself.
    pub fn own(epoch: u64) -> Self {
        Sender { epoch, newest: true, knows_us: true, offset_us: Some(0) }
    }

    /// A deadline of the sender on our clock; 0 where nobody waits for it any more.
    pub fn own_us(self, deadline_us: u64) -> u64 {
        self.offset_us.map_or(0, |offset_us| deadline_us.saturating_add_signed(offset_us))
    }
}

impl Transits {
    /// Learns from a batch, and tells how to read its deadlines. None: it is a copy. `own`: this
    /// life of ours.
    pub fn observe(&mut self, header: Header, own: u64, mono_us: u64) -> Option<Sender> {
        let (epoch, knows_us) = (header.epoch, header.heard.incarnation == own);
        let difference = mono_us.wrapping_sub(header.sent_us) as i64;
        let transit = self.0.entry(header.from).or_insert_with(|| Transit::new(0, 0, mono_us));
        if header.incarnation < transit.incarnation {
            return Some(Sender { epoch, newest: false, knows_us, offset_us: None });
        }
        if header.incarnation > transit.incarnation {
            *transit = Transit::new(header.incarnation, difference, mono_us);
        }
        if !transit.came.note(header.sequence) {
            return None;
        }
        if knows_us {
            transit.sent_after(header, mono_us);
        }
        transit.sent_us = transit.sent_us.max(header.sent_us);
        if mono_us >= transit.window_ends_us {
            transit.least = [difference, transit.least[0]];
            transit.window_ends_us = mono_us + WINDOW_US;
        }
        transit.least[0] = transit.least[0].min(difference);
        let newest = transit.came.highest == header.sequence;
        let offset_us = Some(transit.offset_us(mono_us));
        Some(Sender { epoch, newest, knows_us, offset_us })
    }

    /// What goes into a header to that peer.
    pub fn heard(&self, peer: NodeId) -> Heard {
        let heard = |transit: &Transit| Heard {
            incarnation: transit.incarnation,
            sent_us: transit.sent_us,
        };
        self.0.get(&peer).map_or(Heard::default(), heard)
    }
}

impl Transit {
    fn new(incarnation: u64, difference: i64, mono_us: u64) -> Self {
        Transit {
            incarnation,
            least: [difference; 2],
            window_ends_us: mono_us + WINDOW_US,
            after: None,
            sent_us: 0,
            came: Came::default(),
        }
    }

    /// Keeps the greatest bound from below.
    fn sent_after(&mut self, header: Header, mono_us: u64) {
        let bound = header.heard.sent_us.wrapping_sub(header.sent_us) as i64;
        if self.loosened(mono_us).is_none_or(|known| bound >= known) {
            self.after = Some((bound, mono_us));
        }
    }

    fn loosened(&self, mono_us: u64) -> Option<i64> {
        let (bound, found_us) = self.after?;
        Some(bound - (mono_us.saturating_sub(found_us) / DRIFT_ONE_IN) as i64)
    }

    fn offset_us(&self, mono_us: u64) -> i64 {
        let least = self.least[0].min(self.least[1]);
        let Some((bound, found_us)) = self.after else { return least };
        let drifted = (mono_us.saturating_sub(found_us) / DRIFT_ONE_IN) as i64;
        least.min(bound + SLACK_US + drifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// The deadline one second after the sending, on our clock.
    fn deadline_us(transits: &mut Transits, life: u64, sent_us: u64, received_us: u64) -> u64 {
        let (from, to) = (NodeId(2), NodeId(1));
        let (epoch, clock, wall_us, sequence) = (1, 0, 0, sent_us);
        let (incarnation, heard) = (life, Heard::default());
        let header =
            Header { from, to, epoch, clock, incarnation, sent_us, wall_us, sequence, heard };
        let sender = transits.observe(header, 1, received_us);
        sender.expect("no copy").own_us(sent_us + SECOND)
    }

    #[test]
    fn time_on_the_way_counts_however_far_the_clocks_are_apart() {
        for ahead_us in [0, 7 * SECOND, 5_000 * SECOND] {
            let mut transits = Transits::default();
            let sent_us = ahead_us + 10 * SECOND;
            let first = deadline_us(&mut transits, 1, sent_us, 20 * SECOND);
            assert_eq!(first, 21 * SECOND);
            let stuck = deadline_us(&mut transits, 1, sent_us + SECOND, 30 * SECOND);
            assert_eq!(stuck, 22 * SECOND, "nine seconds on the way are not forgotten");
        }
    }

    #[test]
    fn a_quicker_batch_corrects_a_first_one_that_was_late() {
        let mut transits = Transits::default();
        deadline_us(&mut transits, 1, 10 * SECOND, 25 * SECOND);
        assert_eq!(deadline_us(&mut transits, 1, 11 * SECOND, 21 * SECOND), 22 * SECOND);
        assert_eq!(deadline_us(&mut transits, 1, 12 * SECOND, 30 * SECOND), 23 * SECOND);
    }

    #[test]
    fn a_first_batch_that_was_late_is_known_by_what_its_sender_had_heard() {
        let mut transits = Transits::default();
        let (from, to) = (NodeId(2), NodeId(1));
        let (epoch, clock, wall_us, sequence, incarnation) = (1, 0, 0, 1, 1);
        let (own, sent_us) = (9, 500 * SECOND);
        // Sent two milliseconds after ours of the tenth second had come; held for eight seconds.
        let heard = Heard { incarnation: own, sent_us: 10 * SECOND };
        let header =
            Header { from, to, epoch, clock, incarnation, sent_us, wall_us, sequence, heard };
        let sender = transits.observe(header, own, 18 * SECOND).expect("no copy");
        assert!(sender.knows_us);
        let deadline_us = sender.own_us(sent_us + SECOND);
        assert_eq!(deadline_us, 11 * SECOND + SLACK_US as u64);
        assert_eq!(transits.heard(from), Heard { incarnation, sent_us });
        let next_life = transits.observe(Header { sequence: 2, ..header }, 10, 18 * SECOND);
        assert!(!next_life.expect("no copy").knows_us);
    }

    #[test]
    fn a_number_comes_once_in_whatever_order() {
        let mut came = Came::default();
        let order = [1, 2, 5, 3, 5, 4, 1, 300, 46, 44, 299, 300, 46, 301];
        let fresh: Vec<u64> = order.into_iter().filter(|number| came.note(*number)).collect();
        assert_eq!(fresh, [1, 2, 5, 3, 4, 300, 46, 299, 301], "44 is older than the window");
        assert!(came.note(1_000_000) && !came.note(1_000_000) && came.note(999_999));
    }

    #[test]
    fn a_former_life_has_no_deadline_left_and_a_new_one_a_clock_of_its_own() {
        let mut transits = Transits::default();
        deadline_us(&mut transits, 1, 1_000 * SECOND, 20 * SECOND);
        assert_eq!(deadline_us(&mut transits, 2, SECOND, 21 * SECOND), 22 * SECOND);
        assert_eq!(deadline_us(&mut transits, 1, 1_001 * SECOND, 21 * SECOND), 0);
    }

    #[test]
    fn the_least_is_forgotten_when_every_batch_became_later() {
        let mut transits = Transits::default();
        for second in 10..200 {
            deadline_us(&mut transits, 1, second * SECOND, second * SECOND);
        }
        let slow = |second: u64| (second * SECOND, second * SECOND + SECOND / 2);
        for (sent_us, received_us) in (200..300).map(slow) {
            deadline_us(&mut transits, 1, sent_us, received_us);
        }
        let (sent_us, received_us) = slow(300);
        let own = deadline_us(&mut transits, 1, sent_us, received_us);
        assert_eq!(own, received_us + SECOND);
    }
}
