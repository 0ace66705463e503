//! Lives a world on a store.

use super::Tally;
use super::model::{Map, Model, compare};
use super::world::{End, KEYS, Life, Step, Trouble, World, key};
use crate::engine::disk::Simulated;
use crate::engine::disk::simulated::Operation;
use crate::engine::{EngineError, SyncPolicy, Write};
use bytes::Bytes;
use std::fmt;
use std::rc::Rc;

/// Opens stores.
pub trait Subject {
    /// What it is, for failures.
    fn name(&self) -> String;

    /// How durable a commit is that does not say.
    fn sync(&self) -> SyncPolicy;

    fn open(&self, disk: &Simulated) -> Result<Box<dyn Store>, EngineError>;
}

/// What the crash test needs of an engine.
pub trait Store {
    fn commit(&self, batch: Vec<Write>, sync: Option<SyncPolicy>) -> Result<(), EngineError>;
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;
    fn everything(&self) -> Result<Vec<(Bytes, Bytes)>, EngineError>;
    /// Everything that was committed is durable when it returns.
    fn flush(&self) -> Result<(), EngineError>;
    fn settle(&self) -> Result<(), EngineError>;
    /// As durable as `flush`.
    fn close(&self) -> Result<(), EngineError>;
}

#[derive(Clone, Debug)]
pub struct Failure {
    pub life: usize,
    pub step: usize,
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "life {}, step {}: {}", self.life, self.step, self.what)
    }
}

/// Why a life cannot go on.
enum Stop {
    /// The disk has stopped, as it was told to.
    NoPower,
    /// The trouble of this life has struck.
    Trouble(String),
    Wrong(String),
}

/// What the errors of the simulated disk say.
const TOLD: [&str; 2] = ["simulated failure", "no storage space"];

type Lived<T> = Result<T, Stop>;

fn wrong(what: impl Into<String>) -> Stop {
    Stop::Wrong(what.into())
}

struct Run<'a> {
    subject: &'a dyn Subject,
    disk: Simulated,
    /// Outlives the end of its life: what it does when it is dropped must not reach the disk.
    store: Option<Rc<dyn Store>>,
    model: Model,
    /// What was found of the last life was judged.
    judged: bool,
    /// The last life ended without loss.
    lossless: bool,
    troubled: bool,
    step: usize,
    commits: u64,
    failures: u64,
}

/// Lives all of a world's lives, and one more to see what the last has left.
pub fn run(subject: &dyn Subject, world: &World) -> Result<Tally, Failure> {
    let mut run = Run {
        subject,
        disk: Simulated::new(world.seed),
        store: None,
        model: Model::default(),
        judged: true,
        lossless: true,
        troubled: false,
        step: 0,
        commits: 0,
        failures: 0,
    };
    let last = Life {
        trouble: None,
        stop_after: None,
        steps: vec![Step::Scan, Step::Flush],
        end: End::Kill,
    };
    for (number, life) in world.lives.iter().chain([&last]).enumerate() {
        run.live(life).map_err(|what| Failure { life: number, step: run.step, what })?;
    }
    let (crashes, commits, failures) = (world.lives.len() as u64, run.commits, run.failures);
    Ok(Tally { worlds: 1, crashes, commits, failures })
}

impl Run<'_> {
    fn live(&mut self, life: &Life) -> Result<(), String> {
        if let Some(changes) = life.stop_after {
            self.disk.crash_after(changes);
        }
        match &life.trouble {
            Some(Trouble::Full(left_bytes)) => self.disk.set_full(*left_bytes),
            Some(Trouble::Fault(fault)) => self.disk.plan(fault.clone()),
            None => {}
        }
        self.troubled = life.trouble.is_some();
        let outcome = self.open_and_step(life);
        self.disk.heal();
        let lost_pages = match (&life.trouble, &outcome) {
            (Some(Trouble::Fault(fault)), Err(Stop::Trouble(_))) => fault.on == Operation::Sync,
            _ => false,
        };
        let lossless = match life.end {
            End::Power { seed } => {
                self.disk = self.disk.crash(seed);
                false
            }
            End::Kill => {
                self.disk = self.disk.kill();
                !lost_pages
            }
        };
        self.store = None;
        // An opening that was cut short has judged nothing: what the life before has lost is lost.
        self.lossless = lossless && (self.judged || self.lossless);
        self.judged = false;
        match outcome {
            Ok(()) | Err(Stop::NoPower) => Ok(()),
            Err(Stop::Trouble(_)) => {
                self.failures += 1;
                Ok(())
            }
            Err(Stop::Wrong(what)) => Err(what),
        }
    }

    fn open_and_step(&mut self, life: &Life) -> Lived<()> {
        self.step = 0;
        let mut store = self.open()?;
        for step in &life.steps {
            self.step += 1;
            if matches!(step, Step::Reopen) {
                self.expect("a close", store.close())?;
                self.model.make_durable();
                self.store = None;
                drop(store);
                self.lossless = true;
                store = self.open()?;
                continue;
            }
            match self.take(store.as_ref(), step) {
                Err(Stop::Trouble(error)) => {
                    self.examine(store.as_ref(), step, &error)?;
                    return Err(Stop::Trouble(error));
                }
                taken => taken?,
            }
        }
        Ok(())
    }

    fn take(&mut self, store: &dyn Store, step: &Step) -> Lived<()> {
        match step {
            Step::Commit(changes, sync) => {
                let batch = changes.iter().map(|change| change.write()).collect();
                self.commit(store, batch, *sync)?;
            }
            Step::Get(number) => {
                let found = self.expect("a read", store.get(&key(*number)))?;
                if found.as_ref() != self.model.now().get(&key(*number)) {
                    return Err(wrong(format!("a read of key {number} found {found:?}")));
                }
            }
            Step::Scan => self.check(store)?,
            Step::Flush => {
                self.expect("a flush", store.flush())?;
                self.model.make_durable();
            }
            Step::Settle => self.expect("a compaction", store.settle())?,
            Step::Reopen => {}
        }
        Ok(())
    }

    /// A store whose writing has failed: it says why, takes nothing more, and is read as before.
    fn examine(&self, store: &dyn Store, failed: &Step, error: &str) -> Lived<()> {
        if !TOLD.iter().any(|text| error.contains(text)) {
            return Err(wrong(format!("an error that does not say what has failed: {error}")));
        }
        if matches!(failed, Step::Get(_) | Step::Scan) {
            return Ok(());
        }
        // Nothing fails by itself any more, but the store cannot know what of the past is on disk.
        self.disk.heal();
        let batch = vec![Write::Put { key: key(0), value: "after the failure".into() }];
        match store.commit(batch, Some(SyncPolicy::Never)) {
            Ok(()) => return Err(wrong(format!("a commit was taken after {error}"))),
            Err(refusal) if TOLD.iter().any(|text| refusal.to_string().contains(text)) => {}
            Err(refusal) => {
                let what = format!("a refusal does not say what has failed: {refusal}");
                return Err(wrong(what));
            }
        }
        let found = self.everything(store)?;
        if self.model.shows(&found) {
            return Ok(());
        }
        let (_, first) = compare(self.model.now(), &found);
        Err(wrong(format!("reads are wrong after a failure: {first}")))
    }

    /// An error is right if the disk has stopped, and wrong if not.
    fn expect<T>(&self, what: &str, result: Result<T, EngineError>) -> Lived<T> {
        match result {
            Ok(value) => Ok(value),
            Err(_) if !self.disk.has_power() => Err(Stop::NoPower),
            Err(error) if self.troubled => Err(Stop::Trouble(error.to_string())),
            Err(error) => Err(wrong(format!("{what} failed: {error}"))),
        }
    }

    fn open(&mut self) -> Lived<Rc<dyn Store>> {
        let store: Rc<dyn Store> = self.expect("opening", self.subject.open(&self.disk))?.into();
        self.store = Some(Rc::clone(&store));
        let found = self.everything(store.as_ref())?;
        self.model.judge(&found, self.lossless).map_err(Stop::Wrong)?;
        self.judged = true;
        if self.subject.sync() == SyncPolicy::Always {
            // What a reader was shown cannot be taken back.
            self.model.make_durable();
        }
        Ok(store)
    }

    fn commit(
        &mut self,
        store: &dyn Store,
        batch: Vec<Write>,
        sync: Option<SyncPolicy>,
    ) -> Lived<()> {
        let result = store.commit(batch.clone(), sync);
        if let Err(stop) = self.expect("a commit", result) {
            self.model.leave_unanswered(batch);
            return Err(stop);
        }
        self.commits += 1;
        self.model.acknowledge(batch);
        if sync.unwrap_or(self.subject.sync()) == SyncPolicy::Always {
            self.model.make_durable();
        }
        Ok(())
    }

    /// By scan and by point reads.
    fn everything(&self, store: &dyn Store) -> Lived<Map> {
        let scanned = self.expect("a scan", store.everything())?;
        let map: Map = scanned.iter().cloned().collect();
        if !map.iter().eq(scanned.iter().map(|(key, value)| (key, value))) {
            return Err(wrong("a scan is not in order"));
        }
        for number in 0..KEYS {
            let found = self.expect("a read", store.get(&key(number)))?;
            if found.as_ref() != map.get(&key(number)) {
                return Err(wrong(format!("a read and a scan disagree on key {number}")));
            }
        }
        Ok(map)
    }

    fn check(&self, store: &dyn Store) -> Lived<()> {
        let found = self.everything(store)?;
        match compare(self.model.now(), &found) {
            (0, _) => Ok(()),
            (differences, first) => {
                Err(wrong(format!("a scan finds {differences} differences: {first}")))
            }
        }
    }
}
