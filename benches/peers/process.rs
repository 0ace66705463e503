//! Children, and what the system knows of this process and machine.

use crate::Outcome;
use crate::cell::{Cell, Measurement};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that filled its log says this, and is killed.
pub const READY: &str = "ready";
/// A cell that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(1_800);
const POLL: Duration = Duration::from_millis(20);

/// Runs a cell in a process of its own.
pub fn measure(cell: &Cell) -> Outcome<Measurement> {
    let mut child = spawn(cell)?;
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(format!("took longer than {} s", LIMIT.as_secs()).into());
        }
        std::thread::sleep(POLL);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the child ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Lets a child fill the log of a store and kills it there.
pub fn fill_and_kill(cell: &Cell) -> Outcome<()> {
    let mut child = spawn(cell)?;
    let stdout = child.stdout.take().ok_or("the child has no stdout")?;
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line);
    child.kill()?;
    child.wait()?;
    read?;
    match line.trim() {
        READY => Ok(()),
        other => Err(format!("the child that fills the log said `{other}`").into()),
    }
}

fn spawn(cell: &Cell) -> Outcome<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--cell").arg(serde_json::to_string(cell)?);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

/// Copies a folder of files and folders.
pub fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The number after `name` in a file of `/proc`.
fn field(path: &str, name: &str) -> Outcome<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    Ok(number.ok_or_else(|| format!("{path} has no {name}"))?.parse()?)
}

/// Bytes that this process made the system write to the disk, by pages.
pub fn written_bytes() -> Outcome<u64> {
    field("/proc/self/io", "write_bytes")
}

pub fn peak_rss_mib() -> Outcome<f64> {
    Ok(field("/proc/self/status", "VmHWM")? as f64 / 1024.0)
}

/// Runnable threads on the average of the last minute.
pub fn load() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// The processors' time since some moment, in ticks of the system's clock.
#[derive(Clone, Copy)]
pub struct Ticks {
    busy: u64,
    all: u64,
    own: u64,
}

impl Ticks {
    pub fn now() -> Outcome<Ticks> {
        let text = fs::read_to_string("/proc/stat")?;
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
        // user nice system idle iowait irq softirq steal, and guests, who are in user already.
        let all: u64 = ticks.iter().take(8).sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        let text = fs::read_to_string("/proc/self/stat")?;
        let after_name = text.rsplit(')').next().unwrap_or_default();
        let own = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
        Ok(Ticks { busy: all - idle, all, own })
    }

    /// How much of the machine was busy since then, but not for this process, in per cent.
    pub fn others_percent_since(&self, then: Ticks) -> f64 {
        let others = (self.busy - then.busy).saturating_sub(self.own - then.own);
        others as f64 * 100.0 / (self.all - then.all).max(1) as f64
    }

    /// What all threads of this process took of the processors since then.
    pub fn own_us_since(&self, then: Ticks) -> f64 {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        (self.own - then.own) as f64 * 1e6 / per_second as f64
    }
}

/// Processor, memory, kernel and the file system of `folder`, in one line.
pub fn machine(folder: &Path) -> Outcome<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism()?;
    let memory_gib = field("/proc/meminfo", "MemTotal")? as f64 / f64::from(1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mounts = fs::read_to_string("/proc/mounts")?;
    let folder = folder.canonicalize()?;
    let disk = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.len() > 2 && folder.starts_with(fields[1]))
        .max_by_key(|fields| fields[1].len())
        .map_or("an unknown file system".to_string(), |fields| fields[2].to_string());
    Ok(format!("{model}, {cores} cores, {memory_gib:.0} GiB, Linux {}, {disk}", kernel.trim()))
}
