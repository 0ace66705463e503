//! What a trial costs: CPU and memory of the nodes and of the load itself, from /proc.

use crate::report::trial::ProcessUse;
use std::collections::BTreeMap;
use std::fs;

/// CPU time of processes at one moment, to be subtracted from a later one.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    processes: BTreeMap<String, Sample>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sample {
    pid: u32,
    user_s: f64,
    system_s: f64,
}

impl Snapshot {
    /// Of the named processes. A peak of memory counts from here on where the kernel lets us say
    /// so.
    pub fn begin(processes: impl Iterator<Item = (String, u32)>) -> Snapshot {
        let sample = |(name, pid): (String, u32)| {
            // 5: reset the peak of the resident set (proc(5), clear_refs). Refused in some
            // sandboxes: the peak then counts from the start of the process.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
            Some((name, Sample::read(pid)?))
        };
        Snapshot { processes: processes.filter_map(sample).collect() }
    }

    /// What each process used since. One that has ended since is left out.
    pub fn end(&self) -> Vec<ProcessUse> {
        let used = |(name, begin): (&String, &Sample)| {
            let end = Sample::read(begin.pid)?;
            Some(ProcessUse {
                name: name.clone(),
                cpu_user_s: end.user_s - begin.user_s,
                cpu_system_s: end.system_s - begin.system_s,
                resident_peak_mib: peak_mib(begin.pid)?,
            })
        };
        self.processes.iter().filter_map(used).collect()
    }
}

impl Sample {
    fn read(pid: u32) -> Option<Sample> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (user_s, system_s) = cpu_seconds(&stat, ticks_per_second())?;
        Some(Sample { pid, user_s, system_s })
    }
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// Fields 14 and 15 of proc(5) stat, counted behind the command's closing parenthesis: the command
/// may itself hold blanks and parentheses.
fn cpu_seconds(stat: &str, ticks_per_second: f64) -> Option<(f64, f64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user / ticks_per_second, system / ticks_per_second))
}

fn peak_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_commands_name_does_not_confuse_the_fields() {
        let stat = "12 (a) b) c) S 1 12 12 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 99 1 1";
        assert_eq!(cpu_seconds(stat, 100.0), Some((2.5, 0.5)));
        assert_eq!(cpu_seconds("12 (a) S 1", 100.0), None);
    }

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let me = || std::iter::once(("load".to_string(), std::process::id()));
        let begin = Snapshot::begin(me());
        let mut sum = 0u64;
        while Snapshot::begin(me()).processes["load"].user_s <= begin.processes["load"].user_s {
            sum = std::hint::black_box((0..1_000_000u64).sum::<u64>().wrapping_add(sum));
        }
        let used = begin.end();
        assert_eq!(used.len(), 1);
        assert!(used[0].cpu_user_s > 0.0);
        assert!(used[0].resident_peak_mib > 1.0);
    }
}
