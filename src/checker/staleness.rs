//! Was what a read returned already overwritten when the read began?
//!
//! A read is **stale** when some write W of its key was acknowledged before the read began, and the
//! write whose value it returned was itself acknowledged before W began. That is what a regular
//! register forbids (Lamport, "On interprocess communication", 1986, part II): a read returns the
//! last write that ended before it, or one that overlaps it.
//!
//! ```text
//!     V ├───┤                          F(t) = the latest beginning of a write that ended before t
//!              W ├────┤
//!                        R ├──► V      stale, for V ended before F(beginning of R) = W's beginning
//! ```
//!
//! So one number per key decides a read, once it is known when the returned write ended. F only
//! grows: it is kept as a staircase of the writes that raised it, a few of them. Writes that ended
//! are remembered by their versions, also a few of them. Where that memory ends a read may remain
//! unjudged; it is never judged wrongly.

use std::collections::{BTreeMap, VecDeque};

/// Writes of one key that are remembered exactly.
const KEPT: usize = 32;

/// What a write left behind, and what a read returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// What stood there before the history began.
    Loaded,
    /// Writer and sequence are unique in a history.
    Written { writer: u32, sequence: u64 },
    /// Nothing: never written, or deleted.
    Absent,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Acknowledged,
    /// Certainly not done: nobody will read it.
    NotDone,
    /// Perhaps done, perhaps later.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fresh,
    Stale,
    /// The remembered history does not say.
    Unjudged,
}

/// Verdicts, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub fresh: u64,
    pub stale: u64,
    pub unjudged: u64,
}

impl Tally {
    pub fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Fresh => self.fresh += 1,
            Verdict::Stale => self.stale += 1,
            Verdict::Unjudged => self.unjudged += 1,
        }
    }

    /// Reads that could be judged.
    pub fn judged(&self) -> u64 {
        self.fresh + self.stale
    }
}

/// Judges the reads of a history that is told in the order of time: a write's beginning before any
/// read that may return it is told, and every end when it comes. Times are of any unit and of one
/// clock.
#[derive(Clone, Debug)]
pub struct Judge {
    keys: BTreeMap<Box<[u8]>, History>,
    kept: usize,
}

impl Default for Judge {
    fn default() -> Self {
        Judge { keys: BTreeMap::new(), kept: KEPT }
    }
}

/// What is remembered of one key.
#[derive(Clone, Debug, Default)]
struct History {
    /// Writes that began and have not ended.
    open: Vec<Version>,
    /// Writes that ended without acknowledgement: perhaps done, perhaps later.
    unsettled: VecDeque<Version>,
    /// One of those was forgotten: an unknown version may be it.
    lost_unsettled: bool,
    /// Acknowledged writes with their ends, oldest first.
    settled: VecDeque<(Version, u64)>,
    /// The latest end of a settled write that was forgotten.
    forgotten_until: Option<u64>,
    /// The latest end of a deletion.
    deleted_at: Option<u64>,
    /// (end, beginning) of the acknowledged writes that raised F, both ascending.
    staircase: VecDeque<(u64, u64)>,
    /// The first steps were forgotten.
    forgot_steps: bool,
}

impl Judge {
    /// With a memory of so many writes for each key.
    pub fn with_memory(kept: usize) -> Judge {
        Judge { kept: kept.max(1), ..Judge::default() }
    }

    /// A write, or a deletion as [`Version::Absent`], is about to be sent.
    pub fn write_began(&mut self, key: &[u8], version: Version) {
        self.history(key).open.push(version);
    }

    /// The same write has ended.
    pub fn write_ended(&mut self, key: &[u8], version: Version, began: u64, ended: u64, end: End) {
        let kept = self.kept;
        let history = self.history(key);
        if let Some(at) = history.open.iter().position(|open| *open == version) {
            history.open.swap_remove(at);
        }
        match end {
            End::Acknowledged => history.settle(version, began, ended, kept),
            End::Unknown => history.leave_unsettled(version, kept),
            End::NotDone => {}
        }
    }

    /// Judges a read that began at `began` and returned these versions: siblings are several, none
    /// of them means that nothing was found. Of several the newest decides.
    pub fn read(&self, key: &[u8], began: u64, returned: &[Version]) -> Verdict {
        let Some(history) = self.keys.get(key) else { return Verdict::Fresh };
        let absent = [Version::Absent];
        let returned = if returned.is_empty() { &absent } else { returned };
        let mut verdict = Verdict::Stale;
        for version in returned {
            match history.judge(began, *version) {
                Verdict::Fresh => return Verdict::Fresh,
                Verdict::Unjudged => verdict = Verdict::Unjudged,
                Verdict::Stale => {}
            }
        }
        verdict
    }

    fn history(&mut self, key: &[u8]) -> &mut History {
        // Two look-ups for a known key are cheaper than a copy of it.
        if !self.keys.contains_key(key) {
            self.keys.insert(key.into(), History::default());
        }
        self.keys.get_mut(key).expect("it was inserted if it was missing")
    }
}

/// When the write of a returned version ended, as far as is known.
enum Ended {
    /// Not before the read: it overlaps, or was never acknowledged.
    Later,
    /// Before everything that is told here.
    Before,
    At(u64),
    /// Not later than this.
    By(u64),
    Unknown,
}

impl History {
    fn settle(&mut self, version: Version, began: u64, ended: u64, kept: usize) {
        if version == Version::Absent {
            self.deleted_at = self.deleted_at.max(Some(ended));
        } else {
            self.settled.push_back((version, ended));
        }
        if self.settled.len() > kept
            && let Some((_, ended)) = self.settled.pop_front()
        {
            self.forgotten_until = self.forgotten_until.max(Some(ended));
        }
        self.raise(began, ended);
        if self.staircase.len() > kept && self.staircase.pop_front().is_some() {
            self.forgot_steps = true;
        }
    }

    /// Adds a step, unless one that ended earlier began later; drops those that it makes useless.
    fn raise(&mut self, began: u64, ended: u64) {
        let at = self.staircase.partition_point(|(end, _)| *end <= ended);
        if at > 0 && self.staircase[at - 1].1 >= began {
            return;
        }
        let after = self.staircase.iter().skip(at);
        let useless = after.take_while(|(_, beginning)| *beginning <= began).count();
        self.staircase.drain(at..at + useless);
        self.staircase.insert(at, (ended, began));
    }

    fn leave_unsettled(&mut self, version: Version, kept: usize) {
        self.unsettled.push_back(version);
        if self.unsettled.len() > kept {
            self.unsettled.pop_front();
            self.lost_unsettled = true;
        }
    }

    fn judge(&self, began: u64, version: Version) -> Verdict {
        let ended = self.ended(version);
        if matches!(ended, Ended::Later) {
            return Verdict::Fresh;
        }
        let before = self.staircase.partition_point(|(end, _)| *end < began);
        let Some(index) = before.checked_sub(1) else {
            return if self.forgot_steps { Verdict::Unjudged } else { Verdict::Fresh };
        };
        let latest = self.staircase[index].1;
        match ended {
            Ended::Before => Verdict::Stale,
            Ended::At(ended) if ended < latest => Verdict::Stale,
            Ended::At(_) | Ended::Later => Verdict::Fresh,
            Ended::By(ended) if ended < latest => Verdict::Stale,
            Ended::By(_) | Ended::Unknown => Verdict::Unjudged,
        }
    }

    fn ended(&self, version: Version) -> Ended {
        if self.open.contains(&version) || self.unsettled.contains(&version) {
            return Ended::Later;
        }
        match version {
            Version::Loaded => return Ended::Before,
            Version::Absent if self.lost_unsettled => return Ended::Unknown,
            Version::Absent => return self.deleted_at.map_or(Ended::Before, Ended::At),
            Version::Written { .. } => {}
        }
        let found = self.settled.iter().rev().find(|(settled, _)| *settled == version);
        match (found, self.forgotten_until) {
            (Some((_, ended)), _) => Ended::At(*ended),
            (None, Some(until)) if !self.lost_unsettled => Ended::By(until),
            (None, _) => Ended::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const KEY: &[u8] = b"k";

    fn version(sequence: u64) -> Version {
        Version::Written { writer: 1, sequence }
    }

    /// Writes of one key as (version, beginning, end), acknowledged and told in this order.
    fn judge(writes: &[(u64, u64, u64)]) -> Judge {
        let mut judge = Judge::default();
        for (sequence, began, ended) in writes {
            judge.write_began(KEY, version(*sequence));
            judge.write_ended(KEY, version(*sequence), *began, *ended, End::Acknowledged);
        }
        judge
    }

    fn read(judge: &Judge, began: u64, sequence: u64) -> Verdict {
        judge.read(KEY, began, &[version(sequence)])
    }

    #[test]
    fn a_value_that_was_overwritten_before_the_read_is_stale() {
        let judge = judge(&[(1, 0, 10), (2, 20, 30)]);
        assert_eq!(read(&judge, 31, 1), Verdict::Stale);
        assert_eq!(read(&judge, 31, 2), Verdict::Fresh);
        assert_eq!(read(&judge, 30, 1), Verdict::Fresh, "the second write overlaps the read");
    }

    #[test]
    fn writes_that_overlap_each_other_may_be_ordered_either_way() {
        let judge = judge(&[(1, 0, 20), (2, 10, 30)]);
        assert_eq!(read(&judge, 100, 1), Verdict::Fresh);
        assert_eq!(read(&judge, 100, 2), Verdict::Fresh);
    }

    #[test]
    fn a_write_without_acknowledgement_proves_nothing_and_may_be_read() {
        let mut judge = judge(&[(1, 0, 10)]);
        judge.write_began(KEY, version(2));
        assert_eq!(read(&judge, 40, 1), Verdict::Fresh, "nobody was told that it is done");
        assert_eq!(read(&judge, 40, 2), Verdict::Fresh);
        judge.write_ended(KEY, version(2), 20, 30, End::Unknown);
        judge.write_began(KEY, version(3));
        judge.write_ended(KEY, version(3), 40, 50, End::Acknowledged);
        assert_eq!(read(&judge, 60, 1), Verdict::Stale);
        assert_eq!(read(&judge, 60, 2), Verdict::Fresh, "it may have been done after the third");
    }

    #[test]
    fn what_was_there_before_is_stale_after_the_first_write() {
        let judge = judge(&[(1, 10, 20)]);
        assert_eq!(judge.read(KEY, 20, &[Version::Loaded]), Verdict::Fresh);
        assert_eq!(judge.read(KEY, 21, &[Version::Loaded]), Verdict::Stale);
        assert_eq!(judge.read(KEY, 21, &[]), Verdict::Stale, "nothing found is a version, too");
        assert_eq!(judge.read(b"other", 21, &[Version::Loaded]), Verdict::Fresh);
    }

    #[test]
    fn a_deletion_is_a_write_of_nothing() {
        let mut judge = judge(&[(1, 0, 10)]);
        judge.write_began(KEY, Version::Absent);
        assert_eq!(judge.read(KEY, 25, &[]), Verdict::Fresh);
        judge.write_ended(KEY, Version::Absent, 20, 30, End::Acknowledged);
        assert_eq!(judge.read(KEY, 40, &[]), Verdict::Fresh);
        assert_eq!(read(&judge, 40, 1), Verdict::Stale, "the deletion is not to be seen");
    }

    #[test]
    fn of_siblings_the_newest_decides() {
        let judge = judge(&[(1, 0, 10), (2, 20, 30)]);
        assert_eq!(judge.read(KEY, 40, &[version(1), version(2)]), Verdict::Fresh);
        assert_eq!(judge.read(KEY, 40, &[version(1), Version::Loaded]), Verdict::Stale);
    }

    #[test]
    fn what_was_forgotten_is_stale_when_it_must_be_and_else_unjudged() {
        let mut judge = Judge::with_memory(2);
        for sequence in 0..10 {
            judge.write_began(KEY, version(sequence));
            judge.write_ended(
                KEY,
                version(sequence),
                sequence * 10,
                sequence * 10 + 5,
                End::Acknowledged,
            );
        }
        assert_eq!(read(&judge, 100, 0), Verdict::Stale);
        assert_eq!(read(&judge, 80, 0), Verdict::Unjudged, "the step that decides was forgotten");
        assert_eq!(read(&judge, 100, 9), Verdict::Fresh);
        let history = &judge.keys[KEY];
        assert!(history.settled.len() <= 2 && history.staircase.len() <= 2);
    }

    #[test]
    fn verdicts_are_counted_apart() {
        let mut tally = Tally::default();
        for verdict in [Verdict::Fresh, Verdict::Stale, Verdict::Fresh, Verdict::Unjudged] {
            tally.count(verdict);
        }
        assert_eq!((tally.judged(), tally.stale, tally.unjudged), (3, 1, 1));
    }

    /// An operation on one key: when it begins, how long it takes, and what it is.
    #[derive(Clone, Debug)]
    struct Drawn {
        began: u64,
        ended: u64,
        deed: Deed,
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Write {
            end: End,
        },
        Delete {
            end: End,
        },
        /// Returns the writes at these places, as far as they had begun.
        Read {
            of: Vec<prop::sample::Index>,
        },
    }

    fn end() -> impl Strategy<Value = End> {
        prop_oneof![6 => Just(End::Acknowledged), 1 => Just(End::Unknown), 1 => Just(End::NotDone)]
    }

    fn drawn() -> impl Strategy<Value = Drawn> {
        let deed = prop_oneof![
            4 => end().prop_map(|end| Deed::Write { end }),
            1 => end().prop_map(|end| Deed::Delete {
                end: if end == End::NotDone { End::Unknown } else { end }
            }),
            5 => prop::collection::vec(any::<prop::sample::Index>(), 0..3)
                .prop_map(|of| Deed::Read { of }),
        ];
        (0u64..200, 1u64..60, deed).prop_map(|(began, length, deed)| Drawn {
            began,
            ended: began + length,
            deed,
        })
    }

    fn version_of(index: usize, deed: &Deed) -> Version {
        match deed {
            Deed::Delete { .. } => Version::Absent,
            _ => version(index as u64),
        }
    }

    fn is_readable(deed: &Deed) -> bool {
        !matches!(deed, Deed::Read { .. } | Deed::Write { end: End::NotDone })
    }

    /// What a read returns: writes that began before it ended.
    fn returned(all: &[Drawn], read: &Drawn, of: &[prop::sample::Index]) -> Vec<Version> {
        let writes =
            all.iter().enumerate().filter(|(_, it)| is_readable(&it.deed) && it.began < read.ended);
        let mut choices: Vec<Version> =
            writes.map(|(index, it)| version_of(index, &it.deed)).collect();
        choices.push(Version::Loaded);
        of.iter().map(|index| choices[index.index(choices.len())]).collect()
    }

    /// The definition itself, over the whole history.
    fn is_stale(all: &[Drawn], read: &Drawn, returned: &[Version]) -> bool {
        let acknowledged = |it: &Drawn| {
            matches!(
                it.deed,
                Deed::Write { end: End::Acknowledged } | Deed::Delete { end: End::Acknowledged }
            )
        };
        let absent = [Version::Absent];
        let returned = if returned.is_empty() { &absent } else { returned };
        let proofs: Vec<&Drawn> =
            all.iter().filter(|it| acknowledged(it) && it.ended < read.began).collect();
        returned.iter().all(|version| {
            let sources: Vec<&Drawn> = all
                .iter()
                .enumerate()
                .filter(|(index, it)| {
                    !matches!(it.deed, Deed::Read { .. })
                        && version_of(*index, &it.deed) == *version
                })
                .map(|(_, it)| it)
                .filter(|it| it.began <= read.ended)
                .collect();
            proofs.iter().any(|proof| {
                sources.iter().all(|source| acknowledged(source) && source.ended < proof.began)
            })
        })
    }

    fn verdicts(all: &[Drawn], memory: usize) -> Vec<(Verdict, bool)> {
        let mut judge = Judge::with_memory(memory);
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (index, it) in all.iter().enumerate() {
            events.push((it.began, false, index));
            events.push((it.ended, true, index));
        }
        events.sort_unstable();
        let mut verdicts = Vec::new();
        for (_, ends, index) in events {
            let it = &all[index];
            let version = version_of(index, &it.deed);
            match (&it.deed, ends) {
                (Deed::Read { of }, true) => {
                    let returned = returned(all, it, of);
                    let verdict = judge.read(KEY, it.began, &returned);
                    verdicts.push((verdict, is_stale(all, it, &returned)));
                }
                (Deed::Read { .. }, false) => {}
                (_, false) => judge.write_began(KEY, version),
                (Deed::Write { end } | Deed::Delete { end }, true) => {
                    judge.write_ended(KEY, version, it.began, it.ended, *end);
                }
            }
        }
        verdicts
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(all in prop::collection::vec(drawn(), 1..40)) {
            for (verdict, stale) in verdicts(&all, 64) {
                let expected = if stale { Verdict::Stale } else { Verdict::Fresh };
                prop_assert_eq!(verdict, expected);
            }
        }

        #[test]
        fn a_short_memory_is_never_wrong(all in prop::collection::vec(drawn(), 1..60)) {
            for (verdict, stale) in verdicts(&all, 2) {
                match verdict {
                    Verdict::Unjudged => {}
                    Verdict::Fresh => prop_assert!(!stale),
                    Verdict::Stale => prop_assert!(stale),
                }
            }
        }
    }
}
