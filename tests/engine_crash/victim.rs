//! The process that is killed, and who kills it.
//!
//! ```text
//!   parent ── plan.json ──► victim: opens engine/, WRITERS threads commit batch after batch
//!          ◄── acks ──────          [stage][batches of writer 0][of writer 1]…   one pwrite each
//!          ── kill -9 ────►         or it kills itself at a batch that the plan names
//! ```
//!
//! What was written to a file stays when the process goes, so each number in `acks` is a promise.

use crate::model::{WRITERS, World};
use crate::settings::Settings;
use bytes::Bytes;
use quorate::engine::{Engine, Write};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the victim: the folder of its plan.
pub const VICTIM: &str = "QUORATE_TEST_CRASH_VICTIM";
/// A victim that tells nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_micros(100);

/// How far the victim was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Stage {
    Started = 0,
    Opens = 1,
    Writes = 2,
}

/// When the victim is killed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Moment {
    /// After so many acknowledgements of this run.
    Acks(u64),
    /// So long after the process was started.
    Started { us: u64 },
    /// So long after it began to open the folder.
    Opens { us: u64 },
    /// By itself, when this batch was acknowledged.
    After { writer: usize, n: u64 },
    /// By itself, so long after it handed this batch over.
    During { writer: usize, n: u64, us: u64 },
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    pub settings: Settings,
    pub world: World,
    pub moment: Moment,
}

/// The files of one engine under test.
#[derive(Clone)]
pub struct Place(pub PathBuf);

impl Place {
    pub fn engine(&self) -> PathBuf {
        self.0.join("engine")
    }

    fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    fn stderr(&self) -> PathBuf {
        self.0.join("stderr")
    }

    fn acks(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.open(self.0.join("acks")).unwrap()
    }
}

fn read_acks(acks: &File) -> (Stage, [u64; WRITERS]) {
    let mut bytes = [0; 8 * (WRITERS + 1)];
    acks.read_exact_at(&mut bytes, 0).unwrap();
    let number = |at: usize| u64::from_le_bytes(bytes[8 * at..][..8].try_into().unwrap());
    let stage = match number(0) {
        0 => Stage::Started,
        1 => Stage::Opens,
        _ => Stage::Writes,
    };
    (stage, std::array::from_fn(|writer| number(writer + 1)))
}

fn tell(acks: &File, at: usize, number: u64) {
    acks.write_all_at(&number.to_le_bytes(), 8 * at as u64).unwrap();
}

/// Writes from all threads until somebody kills the process, or the parent has gone.
pub fn write_until_killed(folder: &Path) {
    let place = Place(folder.to_path_buf());
    let plan: Plan = serde_json::from_slice(&fs::read(place.plan()).unwrap()).unwrap();
    let acks = place.acks();
    std::thread::spawn(|| {
        // Only the end of the parent ends this.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let (_, done) = read_acks(&acks);
    tell(&acks, 0, Stage::Opens as u64);
    let engine = plan.settings.open(&place.engine()).unwrap();
    tell(&acks, 0, Stage::Writes as u64);
    std::thread::scope(|scope| {
        for (writer, done) in done.into_iter().enumerate() {
            let (plan, engine, acks) = (&plan, engine.as_ref(), &acks);
            scope.spawn(move || {
                // An engine that refuses has to be seen at once, whatever the others do.
                let write =
                    || (done + 1..=u64::MAX).for_each(|n| step(plan, engine, acks, writer, n));
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(write)).is_err() {
                    std::process::exit(101);
                }
            });
        }
    });
}

fn step(plan: &Plan, engine: &dyn Engine, acks: &File, writer: usize, n: u64) {
    let (batch, sync) = plan.world.batch(writer, n);
    let last = batch.last().cloned();
    match plan.moment {
        Moment::During { writer: who, n: at, us } if (who, at) == (writer, n) => {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(us));
                kill_myself();
            });
        }
        _ => {}
    }
    engine.commit_with(batch, sync.filter(|_| plan.settings.sync_by_batch)).unwrap();
    tell(acks, writer + 1, n);
    if matches!(plan.moment, Moment::After { writer: who, n: at } if (who, at) == (writer, n)) {
        kill_myself();
    }
    if n.is_multiple_of(16) {
        read_back(engine, last.unwrap(), n);
    }
}

fn kill_myself() {
    kill_process(getpid(), Signal::KILL).unwrap();
}

/// A writer reads what it wrote last.
fn read_back(engine: &dyn Engine, last: Write, n: u64) {
    let (key, expected): (Bytes, Option<Bytes>) = match last {
        Write::Put { key, value } => (key, Some(value)),
        Write::Remove { key } => (key, None),
        Write::PutUntil { .. } => return,
    };
    let found = engine.get(&key).unwrap();
    assert!(found == expected, "batch {n}: key {key:?} does not hold what was just written");
}

/// What is left of a run.
pub struct Killed {
    pub stage: Stage,
    pub acknowledged: [u64; WRITERS],
}

/// Runs a victim that goes on behind `done` and kills it.
pub fn run(place: &Place, plan: &Plan, done: [u64; WRITERS]) -> Result<Killed, String> {
    fs::write(place.plan(), serde_json::to_vec(plan).unwrap()).unwrap();
    let acks = place.acks();
    for (at, number) in [Stage::Started as u64].into_iter().chain(done).enumerate() {
        tell(&acks, at, number);
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([crate::TEST, "--exact", "--nocapture"])
        .env(VICTIM, &place.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::create(place.stderr()).unwrap())
        .spawn()
        .unwrap();
    let hung = wait(&mut child, &acks, plan.moment, done);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    if hung {
        return Err(format!("the victim told nothing for {PATIENCE:?}"));
    }
    if status.signal() != Some(Signal::KILL.as_raw()) {
        let told = fs::read_to_string(place.stderr()).unwrap_or_default();
        return Err(format!("the victim ended by itself, {status}:\n{told}"));
    }
    let (stage, acknowledged) = read_acks(&acks);
    Ok(Killed { stage, acknowledged })
}

/// Returns when the moment has come, or the victim has gone; whether it hangs.
fn wait(child: &mut Child, acks: &File, moment: Moment, done: [u64; WRITERS]) -> bool {
    let mut last = (Instant::now(), done);
    if let Moment::Started { us } = moment {
        std::thread::sleep(Duration::from_micros(us));
        return false;
    }
    loop {
        let (stage, now) = read_acks(acks);
        match moment {
            Moment::Acks(acks) if now.iter().sum::<u64>() >= done.iter().sum::<u64>() + acks => {
                return false;
            }
            Moment::Opens { us } if stage >= Stage::Opens => {
                std::thread::sleep(Duration::from_micros(us));
                return false;
            }
            _ => {}
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if now != last.1 {
            last = (Instant::now(), now);
        }
        if last.0.elapsed() > PATIENCE {
            return true;
        }
        std::thread::sleep(POLL);
    }
}
