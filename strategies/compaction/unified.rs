//! Unified compaction: one number per level, from tiered to leveled.
//!
//! ```text
//!   scaling       L10 … L4        N         T4 … T10
//!   w             −8    −2        0          2    8
//!   runs at most   1     1        1          3    9      on each level
//!   writing       dear ◄──────────────────────► cheap
//!   reading      cheap ◄──────────────────────► dear
//! ```
//!
//! Tiered and leveled merging are one scheme with two numbers for each level: a fan-out `f`, by
//! which the runs of a level are larger than those of the one before, and a threshold `t` of runs
//! that starts a merge (Cassandra 5, UnifiedCompactionStrategy, CEP-26). The scaling parameter w
//! gives both:
//!
//! * w > 0, written T(w + 2): f = w + 2 and t = f. Tiered: an entry is merged once on each level.
//! * w < 0, written L(2 − w): f = 2 − w and t = 2. Leveled: what arrives is merged at once with
//!   what is there, about f / 2 times until the run has grown to the next level.
//! * w = 0, written N: f = t = 2, where the two meet.
//!
//! So `[L4, T8]` keeps level 0 leveled and the others tiered; the last number holds for all that
//! follow. A level is a range of sizes, not a place: level 0 is below `base_mib · f`, level 1 below
//! `base_mib · f · f`, and so on. A run belongs where its size puts it, no level has to be full
//! before the next begins, and another scaling takes hold of the same tables at once. With N bytes
//! in all, L = log_f(N / base), updates cost O(L) or O(f · L) rewrites per entry and lookups O(f ·
//! L) or O(L) runs (Dostoevsky, SIGMOD 2018, section 3).
//!
//! The base is taken at 1 − 0.9 / f of its size, so that f runs which shrink a little when they are
//! merged still reach the next level, and f − 1 do not.
//!
//! # Why no newer table is skipped
//!
//! A job takes neighbours in the order of age. The engine's level 0 holds what was flushed and
//! waits for its first merge, level 1 all else, whatever level its size puts it on here. Older
//! runs are larger as a rule; a small one behind a larger one counts as of the larger one's level,
//! and so goes with it.
//!
//! # Where this departs from Cassandra
//!
//! * Density there is size over the share of the token range that a table covers, and tables are
//!   cut at fixed shard boundaries, so that each shard is merged for itself. Here a level is the
//!   size of a whole run and a job takes whole runs; the engine cuts jobs by keys and runs them in
//!   parallel, which serves the same end within one job.
//! * Cassandra counts how many tables overlap at one key; here runs are counted, whatever they
//!   overlap.
//! * A group is made of neighbours in age, since lookups go by age and not by timestamps.
//!
//! # Caveats
//!
//! Leveled scaling merges whole runs: as much rewriting as `leveled` in larger jobs, and twice the
//! space while the largest runs. Tombstones and expiry start no job.

use super::runs::{Run, are_neighbours, by_age, merge_neighbours};
use super::{Job, Picker, View};
use crate::registry::within;
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use serde::{Deserialize, Serialize};

pub(super) const ENTRY: Entry<dyn Picker> = Entry {
    name: "unified",
    about: "one number from tiered to leveled, for each level if wanted: the trade-off as a dial",
    paper: "Cassandra 5, UnifiedCompactionStrategy (CEP-26)",
    parameters: &[
        Parameter {
            name: "scaling",
            about: "T2 to T1000 tiered, L2 to L1000 leveled, N between, or the number w of -998 to \
                    998; a list of up to 16 for the levels, the last for all further",
        },
        Parameter {
            name: "base_mib",
            about: "size of a run of level 0 in MiB, that of a flushed memtable: 1 to 1048576",
        },
        Parameter {
            name: "table_mib",
            about: "size at which a merged run is cut into tables, in MiB: 1 to 65536",
        },
    ],
    defaults: defaults::<Unified>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Picker>, Invalid> {
    let unified = read::<Unified>(settings)?;
    let words = match &unified.scaling {
        Scaling::One(word) => std::slice::from_ref(word),
        Scaling::Levels(words) => words,
    };
    within("scaling", words.len(), 1, 16).map_err(|_| Invalid::OutOfRange {
        setting: "scaling",
        found: format!("a list of {}", words.len()),
        allowed: "one for all levels, or a list of 1 to 16".to_string(),
    })?;
    let levels = words.iter().map(Word::level).collect::<Result<Vec<_>, _>>()?;
    within("base_mib", unified.base_mib, 1, 1 << 20)?;
    within("table_mib", unified.table_mib, 1, 1 << 16)?;
    let base_bytes = (unified.base_mib << 20) as f64;
    Ok(Box::new(Levels { levels, base_bytes, table_mib: unified.table_mib }))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unified {
    scaling: Scaling,
    base_mib: u64,
    table_mib: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Scaling {
    One(Word),
    Levels(Vec<Word>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Number(i64),
    Name(String),
    /// What a reader of YAML 1.1 makes of a bare `N`.
    Flag(bool),
}

impl Default for Unified {
    /// Cassandra's T4 over memtables of 64 MiB.
    fn default() -> Self {
        let scaling = Scaling::Levels(vec![Word::Name("T4".to_string())]);
        Unified { scaling, base_mib: 64, table_mib: 64 }
    }
}

/// What the scaling parameter says of one level.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Level {
    fan_out: u64,
    threshold: usize,
}

impl Word {
    fn level(&self) -> Result<Level, Invalid> {
        let scaling = match self {
            Word::Number(number) => Some(*number),
            Word::Name(name) => parse(name),
            Word::Flag(flag) => (!flag).then_some(0),
        };
        match scaling {
            Some(w @ -998..0) => Ok(Level { fan_out: (2 - w) as u64, threshold: 2 }),
            Some(w @ 0..=998) => Ok(Level { fan_out: (2 + w) as u64, threshold: (2 + w) as usize }),
            _ => Err(Invalid::OutOfRange {
                setting: "scaling",
                found: match self {
                    Word::Number(number) => number.to_string(),
                    Word::Name(name) => format!("`{name}`"),
                    Word::Flag(flag) => flag.to_string(),
                },
                allowed: "T2 to T1000, N, L2 to L1000, or -998 to 998".to_string(),
            }),
        }
    }
}

/// `T4` is 2, `N` is 0, `L10` is −8.
fn parse(name: &str) -> Option<i64> {
    let fan_out = |digits: &str| digits.parse::<i64>().ok().filter(|fan_out| *fan_out >= 2);
    match name.split_at_checked(1)? {
        ("N", "") => Some(0),
        ("T", digits) => Some(fan_out(digits)? - 2),
        ("L", digits) => Some(2 - fan_out(digits)?),
        _ => name.parse().ok(),
    }
}

struct Levels {
    /// At least one.
    levels: Vec<Level>,
    base_bytes: f64,
    table_mib: u64,
}

impl Picker for Levels {
    fn pick(&self, view: &View<'_>) -> Option<Job> {
        let newest_first = by_age(view.tables);
        let mut rest = newest_first.as_slice();
        let mut largest = 0;
        while let Some(newest) = rest.first() {
            largest = self.level_of(newest).max(largest);
            let same = |pair: &[Run<'_>]| {
                are_neighbours(&pair[0], &pair[1]) && self.level_of(&pair[1]) <= largest
            };
            let count = 1 + rest.windows(2).take_while(|pair| same(pair)).count();
            if !newest.busy && count >= self.level(largest).threshold {
                let reason = "a level holds too many runs";
                return Some(merge_neighbours(&rest[..count], self.table_mib, reason));
            }
            rest = &rest[count..];
        }
        None
    }
}

impl Levels {
    fn level(&self, level: usize) -> Level {
        self.levels[level.min(self.levels.len() - 1)]
    }

    fn level_of(&self, run: &Run<'_>) -> usize {
        let leeway = 1.0 - 0.9 / self.level(0).fan_out as f64;
        let (mut level, mut bound) = (0, self.base_bytes * leeway);
        loop {
            bound *= self.level(level).fan_out as f64;
            if (run.bytes as f64) < bound {
                return level;
            }
            level += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Choice;
    use crate::compaction::{Compaction, TableMeta};
    use serde_json::{Value, json};

    fn choice(scaling: Value) -> Result<Choice<Compaction>, Invalid> {
        Choice::new(ENTRY.name, Settings::from_iter([("scaling".to_string(), scaling)]))
    }

    /// Runs of one table from the newest to the oldest, by size in MiB; a negative size is busy.
    fn picked(scaling: Value, newest_first: &[i64]) -> Option<Vec<u64>> {
        let count = newest_first.len() as u64;
        let table = |(at, mib): (usize, &i64)| {
            let id = count - at as u64;
            TableMeta {
                id,
                run: id,
                bytes: mib.unsigned_abs() << 20,
                entries: 1,
                min_sequence: id,
                max_sequence: id,
                busy: *mib < 0,
                ..TableMeta::default()
            }
        };
        let tables = newest_first.iter().enumerate().map(table).collect::<Vec<_>>();
        let picker = choice(scaling).unwrap().build();
        picker.pick(&View { tables: &tables, now_s: 0, quiet: false }).map(|job| job.inputs)
    }

    #[test]
    fn tiered_waits_for_as_many_runs_as_its_fan_out() {
        assert_eq!(picked(json!("T4"), &[64, 64, 64]), None);
        assert_eq!(picked(json!(2), &[64, 60, 64, 64, 250]), Some(vec![5, 4, 3, 2]));
        assert_eq!(picked(json!("T4"), &[64, 64, -64, 64, 64]), None);
    }

    #[test]
    fn leveled_merges_what_arrives_with_what_is_there() {
        assert_eq!(picked(json!("L4"), &[64, 250]), None, "250 MiB are of the next level");
        assert_eq!(picked(json!(-2), &[64, 190, 250]), Some(vec![3, 2]));
        assert_eq!(picked(json!("N"), &[64, 64]), Some(vec![2, 1]));
        assert_eq!(picked(json!(false), &[64, 64]), Some(vec![2, 1]));
    }

    #[test]
    fn a_list_gives_each_level_its_own() {
        let scaling = json!(["L4", "T3"]);
        assert_eq!(picked(scaling.clone(), &[64, 250, 250]), None);
        assert_eq!(picked(scaling.clone(), &[64, 250, 250, 250]), Some(vec![3, 2, 1]));
        assert_eq!(picked(scaling, &[64, 64, 250]), Some(vec![3, 2]));
    }

    #[test]
    fn a_small_run_behind_a_large_one_goes_with_it() {
        assert_eq!(picked(json!("T3"), &[64, 400, 10, 400]), Some(vec![3, 2, 1]));
    }

    #[test]
    fn bad_scaling_is_named_with_what_is_allowed() {
        let allowed = "allowed: T2 to T1000, N, L2 to L1000, or -998 to 998";
        for (bad, found) in [
            (json!("T1"), "`T1`"),
            (json!("X4"), "`X4`"),
            (json!(""), "``"),
            (json!(["T4", "L1001"]), "`L1001`"),
            (json!(999), "999"),
            (json!(true), "true"),
        ] {
            let error = choice(bad).unwrap_err().to_string();
            assert_eq!(error, format!("setting `scaling` is {found}; {allowed}"));
        }
        let error = choice(json!([])).unwrap_err().to_string();
        assert!(error.contains("a list of 0; allowed: one for all levels"), "{error}");
    }

    #[test]
    fn yaml_may_give_one_value_or_a_list() {
        let read = |yaml: &str| serde_yaml::from_str::<Choice<Compaction>>(yaml).unwrap();
        assert_eq!(read("unified"), Choice::named("unified").unwrap());
        assert_eq!(read("unified: {scaling: L10}").settings()["scaling"], json!("L10"));
        let list = read("unified: {scaling: [-2, N, T8], base_mib: 8}");
        assert_eq!(list.settings()["scaling"], json!([-2, false, "T8"]), "N is no in YAML 1.1");
        let given = Settings::from_iter([("scaling".to_string(), json!(["N", "T8"]))]);
        let quoted = Choice::<Compaction>::new("unified", given).unwrap();
        assert_eq!(read(&serde_yaml::to_string(&quoted).unwrap()), quoted);
        assert_eq!(read("time_window: {window_s: 60}").settings()["window_s"], json!(60));
    }
}
