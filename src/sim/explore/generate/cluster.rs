//! Which cluster a seed has.

use super::super::fault::Fault;
use super::{Generator, Shape};
use crate::sim::scenario::Setup;

/// R and W of three copies, with how often they are drawn: mostly strict quorums.
const LEVELS: [(&str, &str, u32); 6] = [
    ("quorum", "quorum", 60),
    ("one", "all", 8),
    ("all", "one", 8),
    ("quorum", "all", 8),
    ("one", "one", 8),
    ("one", "quorum", 8),
];

const DELAYS: [&str; 7] = [
    "constant(200us)",
    "constant(1ms)",
    "uniform(100us, 5ms)",
    "exponential(1ms)",
    "exponential(10ms)",
    "lnkd_ssd",
    "lnkd_disk",
];

const COMMITS: [&str; 4] =
    ["constant(150us)", "constant(3ms)", "exponential(5ms)", "uniform(1ms, 40ms)"];

const READS: [&str; 4] = ["constant(0ms)", "constant(0ms)", "constant(1ms)", "exponential(3ms)"];

impl Generator {
    pub fn cluster(&mut self, seed: u64, shape: &Shape) -> Setup {
        let mut pairs = Vec::new();
        let mut set = |name: &str, value: &str| pairs.push((name.to_string(), value.to_string()));
        set("nodes", &shape.nodes.to_string());
        set("n", &shape.n.to_string());
        set("seed", &seed.to_string());
        let total: u32 = LEVELS.iter().map(|(.., weight)| weight).sum();
        let mut drawn = self.range(1..=u64::from(total)) as u32;
        for (r, w, weight) in LEVELS {
            if drawn > 0 && drawn <= weight {
                set("r", r);
                set("w", w);
            }
            drawn = drawn.saturating_sub(weight);
        }
        let conflict = self.conflict(shape);
        set("conflict", &conflict);
        if conflict == "crdt" {
            let kind = self.pick(&["pn_counter", "pn_counter", "g_counter", "lww_register"]);
            self.grows_only = kind == "g_counter";
            set("conflict.type", kind);
        }
        if self.chance(30) {
            set("sync", self.pick(&["interval", "never", "memory"]));
        }
        if self.chance(30) {
            set("fanout", "all");
        }
        self.times(&mut set);
        self.links(&mut set);
        Setup(pairs)
    }

    fn conflict(&mut self, shape: &Shape) -> String {
        let drawn = self.pick(&["lww", "lww", "vector_clock", "vector_clock", "crdt"]);
        shape.conflict.clone().unwrap_or_else(|| drawn.to_string())
    }

    fn times(&mut self, set: &mut impl FnMut(&str, &str)) {
        set("write_timeout", self.pick(&["300ms", "1s", "2s"]));
        set("read_timeout", self.pick(&["300ms", "1s", "2s"]));
        set("hedge", self.pick(&["10ms", "50ms"]));
        if self.chance(40) {
            set("detection", "phi_accrual");
        } else if self.chance(50) {
            set("detection", "heartbeat");
            set("detection.interval_ms", "100");
            set("detection.suspect_after_ms", "300");
            set("detection.down_after_ms", self.pick(&["400", "1000"]));
        }
        if self.chance(10) {
            set("in_flight", self.pick(&["1", "2", "4"]));
        }
        if self.chance(20) {
            set("max_clock_drift", "500ms");
            self.strict_clocks = true;
        }
        let commit = self.pick(&COMMITS);
        set("commit", commit);
        set("read", self.pick(&READS));
    }

    fn links(&mut self, set: &mut impl FnMut(&str, &str)) {
        set("delay", self.pick(&DELAYS));
        for (fault, name, shares) in [
            (Fault::Loss, "loss", ["0.01", "0.05", "0.2"]),
            (Fault::Duplicate, "duplicate", ["0.01", "0.05", "0.3"]),
            (Fault::Reorder, "reorder", ["0.01", "0.1", "0.5"]),
        ] {
            if self.faults.contains(&fault) {
                set(name, self.pick(&shares));
            }
        }
        if self.faults.contains(&Fault::Reorder) && self.chance(30) {
            set("ordered", "false");
        }
    }
}
