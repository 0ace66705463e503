//! Where a result comes from: enough to run it again, and to doubt it.

use crate::engine;
use crate::engine::SyncPolicy;
use crate::report::trial::Provenance;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Describes this program, this machine and the file system under `data`.
pub fn collect(seed: u64, engine: &engine::Config, data: &Path) -> Provenance {
    let uname = rustix::system::uname();
    Provenance {
        command: std::env::args().collect::<Vec<_>>().join(" "),
        started_utc: utc(SystemTime::now()),
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: env!("QUORATE_COMMIT").to_string(),
        compiler: env!("QUORATE_COMPILER").to_string(),
        profile: env!("QUORATE_PROFILE").to_string(),
        kernel: format!(
            "{} {} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.machine().to_string_lossy()
        ),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        memory_gib: memory_gib().unwrap_or_default(),
        file_system: file_system(data).unwrap_or_else(unknown),
        seed,
        durability: durability(engine),
    }
}

fn unknown() -> String {
    "unknown".to_string()
}

/// What an acknowledged write means on one node.
pub fn durability(engine: &engine::Config) -> String {
    let Some((sync, interval_ms)) = engine.sync() else {
        return "memory: nothing outlives the process".to_string();
    };
    let policy = match sync {
        SyncPolicy::Always => return "always".to_string(),
        SyncPolicy::Interval => format!("interval {interval_ms} ms"),
        SyncPolicy::Never => "never".to_string(),
    };
    match engine {
        engine::Config::Btree(_) => {
            format!("{policy}: what is not yet synchronised does not outlive the process")
        }
        _ => policy,
    }
}

/// The value of the first `name : value` line of a file of /proc.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

fn memory_gib() -> Option<f64> {
    let total = field("/proc/meminfo", "MemTotal")?;
    let kib: f64 = total.trim_end_matches("kB").trim().parse().ok()?;
    Some((kib / 1024.0 / 1024.0 * 10.0).round() / 10.0)
}

/// `ext4 on /dev/sda1`: of the mount that holds the path.
fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = |line: &str| {
        let mut parts = line.split(' ').map(str::to_string);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    let holds = mounts.lines().filter_map(fields).filter(|(_, at, _)| path.starts_with(at));
    let (device, _, kind) = holds.max_by_key(|(_, at, _)| at.len())?;
    Some(format!("{kind} on {device}"))
}

/// `2026-01-31T23:59:59Z`.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day since 1970, in the Gregorian calendar.
fn date(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn instants_have_their_calendar_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn durability_says_what_a_process_takes_with_it() {
        let btree = |sync| engine::BtreeConfig { sync, ..engine::BtreeConfig::default() };
        let of = |sync| durability(&engine::Config::Btree(btree(sync)));
        assert_eq!(of(SyncPolicy::Always), "always");
        assert!(of(SyncPolicy::Interval).starts_with("interval 100 ms: what is not yet"));
        let hash = engine::HashConfig { sync: SyncPolicy::Never, ..engine::HashConfig::default() };
        assert_eq!(durability(&engine::Config::Hash(hash)), "never");
    }

    #[test]
    fn this_machine_is_described() {
        let found = collect(7, &engine::Config::Memory, Path::new("."));
        assert!(found.compiler.starts_with("rustc "), "{}", found.compiler);
        let commit = found.commit.trim_end_matches("-dirty");
        let digits = commit.len() >= 12 && commit.chars().all(|c| c.is_ascii_hexdigit());
        assert!(digits || found.commit == "unknown", "{}", found.commit);
        assert!(found.cores > 0 && found.memory_gib > 0.0 && found.file_system.contains(" on "));
        assert_eq!(found.durability, "memory: nothing outlives the process");
    }
}
