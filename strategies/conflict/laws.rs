//! What holds for every resolver, over records that random histories reach.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Choice, Settings};
use proptest::prelude::*;
use proptest::sample::Index;

const REPLICAS: usize = 3;

/// Every row with its defaults, and the other types of `crdt`.
fn subjects() -> Vec<(String, Box<dyn Resolver>)> {
    let mut subjects = Conflict::entries()
        .iter()
        .map(|entry| {
            (entry.name.to_string(), Choice::<Conflict>::named(entry.name).unwrap().build())
        })
        .collect::<Vec<_>>();
    for name in ["g_counter", "pn_counter"] {
        let settings = Settings::from_iter([("type".to_string(), name.into())]);
        let choice = Choice::<Conflict>::new("crdt", settings).unwrap();
        subjects.push((format!("crdt {name}"), choice.build()));
    }
    subjects
}

fn put(value: u64) -> Change {
    let value = Bytes::copy_from_slice(&value.to_be_bytes());
    Change::Put(Payload { value, ..Payload::default() })
}

fn takes_puts(resolver: &dyn Resolver) -> bool {
    resolver.apply(None, &put(0), None, Stamp { actor: 1, time: 1 }).is_ok()
}

/// A put where the resolver takes one, else an increment; a negative one now and then if it may be.
fn write(resolver: &dyn Resolver, number: u64) -> Change {
    if takes_puts(resolver) {
        return put(number);
    }
    let (amount, stamp) = (number as i64 % 100 + 1, Stamp { actor: 1, time: 1 });
    let shrinks = resolver.apply(None, &Change::Increment(-1), None, stamp).is_ok();
    Change::Increment(if shrinks && number.is_multiple_of(3) { -amount } else { amount })
}

/// What a writer gives as context.
#[derive(Clone, Debug)]
enum Seen {
    Nothing,
    /// What this replica shows now.
    Replica(usize),
    /// What was read some time ago.
    Earlier(Index),
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        at: usize,
        deletes: bool,
        seen: Seen,
        ticks: u64,
    },
    Merge {
        from: usize,
        to: usize,
    },
    /// The replica loses its disk; its actor is another from now on.
    Forget {
        at: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let seen = prop_oneof![
        Just(Seen::Nothing),
        (0..REPLICAS).prop_map(Seen::Replica),
        any::<Index>().prop_map(Seen::Earlier),
    ];
    let write = (0..REPLICAS, prop::bool::weighted(0.2), seen, 1..3u64);
    prop_oneof![
        6 => write.prop_map(|(at, deletes, seen, ticks)| Step::Write { at, deletes, seen, ticks }),
        3 => (0..REPLICAS, 0..REPLICAS).prop_map(|(from, to)| Step::Merge { from, to }),
        1 => (0..REPLICAS).prop_map(|at| Step::Forget { at }),
    ]
}

/// Where the replicas' clocks start, and what happens. Equal clocks tick alike and tie often; of
/// the others the second one is far ahead.
#[derive(Clone, Debug)]
struct History {
    clocks: [u64; REPLICAS],
    steps: Vec<Step>,
}

fn any_history() -> impl Strategy<Value = History> {
    let clocks = prop_oneof![Just([10; REPLICAS]), Just([10, 100_000, 500])];
    let steps = prop::collection::vec(any_step(), 1..30);
    (clocks, steps).prop_map(|(clocks, steps)| History { clocks, steps })
}

fn some(count: usize) -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), count)
}

/// The replicas of one key, and every record that one of them ever held.
struct World<'a> {
    resolver: &'a dyn Resolver,
    held: Vec<Option<Record>>,
    stamps: Vec<Stamp>,
    reached: Vec<Record>,
}

impl<'a> World<'a> {
    fn live(resolver: &'a dyn Resolver, history: &History) -> Self {
        let stamp = |replica| Stamp { actor: replica as u64 + 1, time: history.clocks[replica] };
        let mut world = World {
            resolver,
            held: vec![None; REPLICAS],
            stamps: (0..REPLICAS).map(stamp).collect(),
            reached: vec![],
        };
        history.steps.iter().enumerate().for_each(|(number, step)| world.step(number, step));
        world
    }

    fn step(&mut self, number: usize, step: &Step) {
        let (at, record) = match step {
            Step::Forget { at } => {
                self.held[*at] = None;
                self.stamps[*at].actor += REPLICAS as u64;
                return;
            }
            Step::Merge { from, to } => match (&self.held[*from], &self.held[*to]) {
                (Some(from), Some(held)) => (*to, self.resolver.merge(held, from)),
                (Some(from), None) => (*to, from.clone()),
                _ => return,
            },
            Step::Write { at, deletes, seen, ticks } => {
                self.stamps[*at].time += ticks;
                let change =
                    if *deletes { Change::Delete } else { write(self.resolver, number as u64 % 4) };
                (*at, self.apply(*at, &change, self.context(seen).as_deref()))
            }
        };
        self.held[at] = Some(record.clone());
        self.reached.push(record);
    }

    fn apply(&self, at: usize, change: &Change, context: Option<&[u8]>) -> Record {
        self.resolver.apply(self.held[at].as_ref(), change, context, self.stamps[at]).unwrap()
    }

    fn context(&self, seen: &Seen) -> Option<Bytes> {
        let record = match seen {
            Seen::Nothing => None,
            Seen::Replica(at) => self.held[*at].as_ref(),
            Seen::Earlier(_) if self.reached.is_empty() => None,
            Seen::Earlier(index) => Some(index.get(&self.reached)),
        };
        record.map(|record| self.resolver.answer(record, 0).context)
    }
}

fn numbers(resolver: &dyn Resolver, record: &Record) -> Vec<Bytes> {
    resolver.answer(record, 0).values.into_iter().map(|shown| shown.payload.value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn merging_is_free_of_order_and_repetition(history in any_history(), picks in some(30)) {
        for (name, resolver) in subjects() {
            let world = World::live(&*resolver, &history);
            if world.reached.is_empty() {
                continue;
            }
            let merge = |left: &Record, right: &Record| resolver.merge(left, right);
            for triple in picks.chunks(3) {
                let [a, b, c] = [0, 1, 2].map(|at| triple[at].get(&world.reached));
                let ab = merge(a, b);
                prop_assert_eq!(ab.encode(), merge(b, a).encode(), "{} commutes", name);
                prop_assert_eq!(merge(a, a).encode(), a.encode(), "{} is idempotent", name);
                prop_assert_eq!(merge(&ab, a).encode(), ab.encode(), "{} absorbs", name);
                let (left, right) = (merge(&ab, c), merge(a, &merge(b, c)));
                prop_assert_eq!(left.encode(), right.encode(), "{} associates", name);
                prop_assert_eq!(Record::decode(ab.encode()).unwrap(), ab, "{} encodes", name);
            }
        }
    }

    #[test]
    fn a_write_covers_the_record_that_it_changed(
        history in any_history(), number in 100..200u64,
    ) {
        for (name, resolver) in subjects() {
            let world = World::live(&*resolver, &history);
            for at in 0..REPLICAS {
                let Some(before) = &world.held[at] else { continue };
                for change in [write(&*resolver, number), Change::Delete] {
                    let after = world.apply(at, &change, None);
                    prop_assert_eq!(resolver.merge(&after, before), after, "{}", name);
                }
            }
        }
    }

    #[test]
    fn a_write_that_saw_a_version_replaces_it(history in any_history(), pick in any::<Index>()) {
        for (name, resolver) in subjects() {
            let world = World::live(&*resolver, &history);
            if world.reached.is_empty() {
                continue;
            }
            let seen = pick.get(&world.reached);
            let answer = resolver.answer(seen, 0);
            let token = Some(&answer.context[..]);
            for at in 0..REPLICAS {
                if takes_puts(&*resolver) {
                    let after = resolver.merge(&world.apply(at, &put(1_000), token), seen);
                    let shown = resolver.answer(&after, 0).values;
                    for old in &answer.values {
                        let gone = shown.iter().all(|new| new.version != old.version);
                        prop_assert!(gone, "{} shows what a later write saw", name);
                    }
                }
                let stamp = world.stamps[at];
                let gone = resolver.apply(None, &Change::Delete, token, stamp).unwrap();
                let after = resolver.merge(&gone, seen);
                prop_assert!(resolver.answer(&after, 0).values.is_empty(), "{}", name);
            }
        }
    }

    #[test]
    fn concurrent_writes_are_kept_by_those_who_say_so(history in any_history()) {
        for (name, resolver) in subjects() {
            let mut world = World::live(&*resolver, &history);
            let base = world.held[0].clone();
            world.held[1].clone_from(&base);
            let context = base.as_ref().map(|record| resolver.answer(record, 0).context);
            let writes = [1_001, 1_002].map(|number| write(&*resolver, number));
            world.stamps[0].time += 1;
            world.stamps[1].time += 1;
            let one = world.apply(0, &writes[0], context.as_deref());
            let other = world.apply(1, &writes[1], context.as_deref());
            let both = numbers(&*resolver, &resolver.merge(&one, &other));
            if !takes_puts(&*resolver) {
                let before = base.map_or(vec![], |record| numbers(&*resolver, &record));
                let value = |list: &[Bytes]| {
                    let text = list.first().map_or("0", |text| std::str::from_utf8(text).unwrap());
                    text.parse::<i64>().unwrap()
                };
                let added = writes.iter().map(|write| match write {
                    Change::Increment(amount) => *amount,
                    _ => unreachable!("what takes no puts is a counter"),
                });
                prop_assert_eq!(value(&both), value(&before) + added.sum::<i64>(), "{}", name);
            } else if resolver.keeps_concurrent() {
                let wanted = [1_001u64, 1_002].map(u64::to_be_bytes);
                let kept = |number: &[u8; 8]| both.iter().any(|value| value[..] == *number);
                prop_assert!(wanted.iter().all(kept), "{}", name);
            } else {
                prop_assert_eq!(both.len(), 1, "{}", name);
            }
        }
    }

    #[test]
    fn any_token_is_taken_or_refused(token in prop::collection::vec(any::<u8>(), 0..100)) {
        for (name, resolver) in subjects() {
            let stamp = Stamp { actor: 1, time: 1_000 };
            for change in [write(&*resolver, 1), Change::Delete, Change::Increment(1)] {
                if let Ok(record) = resolver.apply(None, &change, Some(&token), stamp) {
                    prop_assert_eq!(resolver.merge(&record, &record), record, "{}", name);
                }
            }
        }
    }
}
