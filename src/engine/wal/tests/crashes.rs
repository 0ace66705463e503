//! Any history of appends, synchronisations, upkeep and crashes against a model of two numbers:
//! what must be there, and what may be.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Group(u64),
    Sync,
    Tend,
    /// Everything that is durable, or all of it, goes to tables.
    Flush(bool),
    /// The power fails at so many changes of the disk from now, if it has not by the next crash.
    PowerWillFail(u64),
    Crash(u64),
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..12_u64).prop_map(Step::Append),
        4 => (1..6_u64).prop_map(Step::Group),
        1 => (60..120_u64).prop_map(Step::Append),
        3 => Just(Step::Sync),
        3 => Just(Step::Tend),
        2 => any::<bool>().prop_map(Step::Flush),
        1 => (1..40_u64).prop_map(Step::PowerWillFail),
        1 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Kill),
    ]
}

struct Model {
    disk: Simulated,
    log: Mutex<Log>,
    /// Everything up to here must be found.
    durable: u64,
    /// Nothing behind this may be found.
    appended: u64,
    /// What the tables hold; they are durable.
    flushed: u64,
}

impl Model {
    fn new(seed: u64) -> Model {
        let disk = Simulated::new(seed);
        let log = open(&folder(&disk), 0).unwrap();
        Model { disk, log, durable: 0, appended: 0, flushed: 0 }
    }

    /// An error is allowed once the power has failed, and then only.
    fn step(&mut self, step: &Step) -> TestCaseResult {
        let done = match step {
            Step::Append(changes) => {
                self.appended += changes;
                append(&mut self.log.lock(), *changes).map(|_| ())
            }
            Step::Group(batches) => self.group(*batches),
            Step::Sync => {
                let target = self.appended;
                sync(&self.log).map(|_| self.durable = self.durable.max(target))
            }
            Step::Tend => tend_now(&self.log),
            Step::Flush(durable_only) => {
                let appended = self.log.lock().last_sequence();
                let flushed = if *durable_only { self.durable } else { appended };
                self.flushed = self.flushed.max(flushed);
                retire(&self.log, self.flushed)
            }
            Step::PowerWillFail(changes) => {
                self.disk.crash_after(*changes);
                Ok(())
            }
            Step::Crash(seed) => {
                self.disk = self.disk.crash(*seed);
                return self.recover(*seed);
            }
            Step::Kill if self.disk.has_power() => {
                self.disk = self.disk.kill();
                self.durable = self.durable.max(self.log.lock().last_sequence());
                return self.recover(0);
            }
            Step::Kill => Ok(()),
        };
        if let Err(error) = done {
            prop_assert!(!self.disk.has_power(), "{step:?}: {error}");
        }
        Ok(())
    }

    fn group(&mut self, batches: u64) -> Result<(), EngineError> {
        let first = self.log.lock().last_sequence() + 1;
        self.appended = self.appended.max(first - 1) + batches * 2;
        let all: Vec<Found> = (first..first + batches * 2).map(nth).collect();
        let batches = all.chunks(2).map(|batch| batch.iter().map(change));
        self.log.lock().append_many(batches).map(|_| ())
    }

    /// The recovery may be interrupted by further failures of the power.
    fn recover(&mut self, seed: u64) -> TestCaseResult {
        let floor = self.durable.max(self.flushed);
        if seed.is_multiple_of(3) && seed > 0 {
            self.disk.crash_after(seed / 3 % 25);
            let folder = Folder::new(Arc::new(self.disk.clone()), Path::new("/log"));
            match open(&folder, self.flushed) {
                Ok(log) => self.check(log, floor)?,
                Err(error) => prop_assert!(!self.disk.has_power(), "{error}"),
            }
            self.disk = self.disk.crash(seed.rotate_left(9));
        }
        match open(&folder(&self.disk), self.flushed) {
            Ok(log) => self.check(log, floor),
            Err(error) => Err(TestCaseError::fail(error.to_string())),
        }
    }

    fn check(&mut self, log: Mutex<Log>, floor: u64) -> TestCaseResult {
        let last = log.lock().last_sequence();
        let ceiling = self.appended.max(floor);
        prop_assert!((floor..=ceiling).contains(&last), "{last} not in {floor}..={ceiling}");
        (self.durable, self.appended, self.log) = (last, last, log);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_durable_is_found_after_any_crash(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new(seed);
        for step in &steps {
            model.step(step)?;
        }
        model.step(&Step::Crash(seed))?;
    }
}

/// Each change of the disk in the life of a few segments is the last one before the power fails.
#[test]
fn every_moment_of_recycling_is_survived() {
    let run = |disk: &Simulated| -> (u64, u64, Result<(), EngineError>) {
        let (mut durable, mut flushed) = (0, 0);
        let mut run = || {
            let folder = Folder::new(Arc::new(disk.clone()), Path::new("/log"));
            folder.create()?;
            let log = open(&folder, 0)?;
            for round in 0..60 {
                let appended = append(&mut log.lock(), 9)?;
                if appended.switched || round == 0 {
                    tend_now(&log)?;
                }
                if round % 4 == 0 {
                    sync(&log)?;
                    durable = appended.last_sequence;
                }
                if round % 7 == 6 {
                    flushed = durable;
                    retire(&log, flushed)?;
                }
            }
            Ok(())
        };
        let done = run();
        (durable, flushed, done)
    };
    let whole = Simulated::new(11);
    run(&whole).2.unwrap();
    assert!(whole.changes() > 100);
    for moment in 1..=whole.changes() {
        for seed in 0..3 {
            let disk = Simulated::new(11);
            disk.crash_after(moment);
            let (durable, flushed, _) = run(&disk);
            let disk = disk.crash(moment * 3 + seed);
            let log = open(&folder(&disk), flushed).unwrap_or_else(|e| panic!("{moment}: {e}"));
            let last = log.lock().last_sequence();
            assert!((durable..=540).contains(&last), "{moment}: {last}, {durable} durable");
            let log = open(&folder(&disk.kill()), flushed).unwrap();
            assert_eq!(log.lock().last_sequence(), last);
        }
    }
}
