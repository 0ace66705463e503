//! The whole run: clusters as they are needed, trial after trial, and the record of it all.

use super::cluster::Cluster;
use super::connection::Connection;
use super::error::Error;
use super::faults;
use super::interrupt::Interrupt;
use super::load::populate::populate;
use super::matrix::{self, Plan, Planned};
use super::progress::{Progress, length};
use super::provenance;
use super::scratch::Scratch;
use super::simulation;
use super::spec::{Backend, Fresh, Wanted};
use super::trial::Bench;
use crate::report::trial::{Mode, RunInfo, SIMULATION, Trial};
use crate::report::{RunWriter, Summary};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Records that a loading phase is expected to write in a second, for the estimate alone.
const LOADED_PER_S: f64 = 20_000.0;
/// What a cluster's start and end are expected to take.
const START_S: f64 = 2.0;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Results go to `<out>/<experiment>/<time>-<commit>`.
    pub out: PathBuf,
    /// Keep the nodes' data under `data/` of the run.
    pub keep_data: bool,
}

/// Runs every trial of a plan and draws what was measured.
///
/// Must be called from a thread that lives as long as the process, such as main: the nodes die with
/// it.
///
/// # Errors
/// If nothing could be measured, and also if an error ends the run after some trials:
/// those are then kept and drawn, and the record says that the run was interrupted.
pub fn run(plan: &Plan, options: &Options, interrupt: &Interrupt) -> Result<Summary, Error> {
    let scratch = Scratch::create(&options.out.join(&plan.spec.name))?;
    interrupt.will_remove(scratch.path());
    let mut runner = Runner::new(plan, options, interrupt, scratch);
    runner.announce();
    let outcome = runner.all();
    runner.end_cluster();
    runner.progress.clear();
    let done = outcome.as_ref().is_ok_and(|done| *done);
    let Some(writer) = runner.writer.take() else {
        return Err(outcome.err().unwrap_or(Error::Interrupted));
    };
    let summary = writer.finish(!done).map_err(|error| Error::Report(error.to_string()))?;
    match outcome {
        Ok(_) => Ok(summary),
        Err(error) => {
            runner.progress.say(&format!("{} was kept", summary.dir.display()));
            Err(error)
        }
    }
}

/// How long a plan is expected to take.
pub fn expected(plan: &Plan) -> Duration {
    let phases = &plan.spec.phases;
    let trial_s = phases.settle_s + phases.warm_up_s + phases.measure_s + 0.2;
    let mut seconds = 0.0;
    let mut before: Option<&Planned> = None;
    let simulated = |planned: &&Planned| planned.backend == Backend::Simulation;
    seconds += simulation::expected_s(phases, plan.trials.iter().filter(simulated));
    for planned in plan.trials.iter().filter(|planned| !simulated(planned)) {
        if before.is_none_or(|before| needs_fresh(plan, before, planned)) {
            seconds += START_S + planned.records as f64 / LOADED_PER_S;
        }
        seconds += trial_s;
        before = Some(planned);
    }
    Duration::from_secs_f64(seconds)
}

/// Whether `next` cannot run on the cluster that `before` ran on.
fn needs_fresh(plan: &Plan, before: &Planned, next: &Planned) -> bool {
    let changed = before.workload.inserts() || before.workload.proportions.delete > 0.0;
    plan.spec.cluster.fresh == Fresh::PerTrial
        || changed
        || faults::leave_damage(&plan.spec.faults)
        // Values of an earlier trial have the names of this one's.
        || plan.spec.measure.contains(&Wanted::Staleness)
        || !before.shares_cluster(next)
}

struct Runner<'a> {
    plan: &'a Plan,
    options: &'a Options,
    interrupt: &'a Interrupt,
    progress: Progress,
    info: RunInfo,
    /// Made when the first trial has ended, so that a run without one leaves nothing.
    writer: Option<RunWriter>,
    live: Option<Live>,
    scratch: Scratch,
}

/// A running cluster with its records loaded. The connection goes first when both are dropped.
struct Live {
    connection: Connection,
    cluster: Cluster,
    /// Its files, inside the scratch folder.
    dir: PathBuf,
    /// The first trial that ran on it; names its logs.
    id: String,
}

impl<'a> Runner<'a> {
    fn new(
        plan: &'a Plan,
        options: &'a Options,
        interrupt: &'a Interrupt,
        scratch: Scratch,
    ) -> Runner<'a> {
        let spec = &plan.spec;
        let mut info = RunInfo {
            experiment: spec.name.clone(),
            question: spec.question.clone(),
            backend: backends(plan),
            targets: spec.targets.clone(),
            interrupted: true,
            provenance: provenance::collect(spec.seed, &spec.cluster.engine, scratch.path()),
        };
        if info.backend == SIMULATION {
            info.provenance.file_system = "simulated disks".to_string();
        }
        let progress = Progress::new();
        Runner { plan, options, interrupt, progress, info, writer: None, live: None, scratch }
    }

    fn announce(&self) {
        let Plan { spec, trials } = self.plan;
        let number = trials.len();
        let expected = length(expected(self.plan));
        let plural = if number == 1 { "" } else { "s" };
        self.progress.say(&format!("{}: {}", spec.name, spec.question));
        self.progress.say(&format!("{number} trial{plural}, about {expected}"));
    }

    /// True when every trial ran to its end, false when the user ended the run.
    fn all(&mut self) -> Result<bool, Error> {
        let mut before: Option<&Planned> = None;
        let mut next = 0;
        while let Some(planned) = self.plan.trials.get(next) {
            let index = next;
            if planned.backend == Backend::Simulation {
                next = self.simulated_until(index);
                if !self.simulate(index..next)? {
                    return Ok(false);
                }
                continue;
            }
            next += 1;
            let id = id(index);
            if before.is_none_or(|before| needs_fresh(self.plan, before, planned)) {
                self.end_cluster();
                match self.start(&id, planned) {
                    Err(Error::Interrupted) => return Ok(false),
                    outcome => outcome?,
                }
            }
            before = Some(planned);
            let title = title(index + 1, self.plan.trials.len(), planned);
            self.progress.step(&title);
            let Some(trial) = self.trial(&id, planned)? else { return Ok(false) };
            self.progress.say(&format!("{title}: {}", outline(&trial)));
            self.keep(&trial)?;
            if self.interrupt.is_set() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first trial from `first` on that runs in processes.
    fn simulated_until(&self, first: usize) -> usize {
        let simulated = |planned: &&Planned| planned.backend == Backend::Simulation;
        first + self.plan.trials[first..].iter().take_while(simulated).count()
    }

    /// Runs neighbouring trials in virtual time. False: the user ended the run.
    fn simulate(&mut self, places: Range<usize>) -> Result<bool, Error> {
        let (plan, interrupt, first) = (self.plan, self.interrupt, places.start);
        let all = plan.trials.len();
        let bench = simulation::Bench::new(&plan.spec, interrupt);
        let trials: Vec<(String, &Planned)> =
            places.map(|index| (id(index), &plan.trials[index])).collect();
        self.progress.step(&format!("simulating {} trials", trials.len()));
        simulation::run(&bench, &trials, |place, trial| {
            let index = first + place;
            let title = title(index + 1, all, &plan.trials[index]);
            self.progress.say(&format!("{title}: {}", outline(&trial)));
            self.progress.at((place + 1) as f64 / trials.len() as f64, String::new);
            self.keep(&trial)
        })
    }

    fn start(&mut self, id: &str, planned: &Planned) -> Result<(), Error> {
        let nodes = planned.cluster.nodes;
        self.progress.step(&format!("starting {nodes} node{}", if nodes == 1 { "" } else { "s" }));
        let dir = self.scratch.path().join(id);
        let stop = || self.interrupt.is_set();
        let seed = self.plan.spec.seed;
        let mut cluster = Cluster::start(&planned.cluster, seed, &dir, &stop)?;
        let connection = Connection::open(&cluster, &planned.cluster, &planned.load)?;
        if planned.cell.mode != Mode::Idle {
            self.populate(&mut cluster, &connection, planned)?;
        }
        self.live = Some(Live { connection, cluster, dir, id: id.to_string() });
        Ok(())
    }

    fn populate(
        &self,
        cluster: &mut Cluster,
        connection: &Connection,
        planned: &Planned,
    ) -> Result<(), Error> {
        let (records, seed) = (planned.records, self.plan.spec.seed);
        self.progress.step(&format!("loading {records} records"));
        let mut died = Ok(());
        let mut watch = |written: u64| {
            self.progress.at(written as f64 / records as f64, || format!("{written}"));
            died = cluster.check();
            died.is_ok() && !self.interrupt.is_set()
        };
        let loaded = populate(connection.store(), &planned.workload, records, seed, &mut watch);
        died?;
        match loaded {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Interrupted),
            Err(message) => Err(Error::Loading(message)),
        }
    }

    fn trial(&mut self, id: &str, planned: &Planned) -> Result<Option<Trial>, Error> {
        let live = self.live.as_mut().expect("a trial follows the start of its cluster");
        let mut bench = Bench {
            cluster: &mut live.cluster,
            store: live.connection.store(),
            phases: self.plan.spec.phases,
            faults: &self.plan.spec.faults,
            progress: &self.progress,
            interrupt: self.interrupt,
        };
        bench.run(id, planned)
    }

    /// Records a trial; the first one creates the folder of the run.
    fn keep(&mut self, trial: &Trial) -> Result<(), Error> {
        let failed = |error: crate::report::ReportError| Error::Report(error.to_string());
        if self.writer.is_none() {
            let spec = serde_yaml::to_string(&self.plan.spec).expect("a specification is YAML");
            let writer = RunWriter::create_in(&self.options.out, &self.info, &spec);
            self.writer = Some(writer.map_err(failed)?);
        }
        match &mut self.writer {
            Some(writer) => writer.add(trial).map_err(failed),
            None => Ok(()),
        }
    }

    /// Ends the nodes and moves their logs, and with `--keep-data` their data, to the run's folder.
    fn end_cluster(&mut self) {
        let Some(Live { connection, cluster, dir, id }) = self.live.take() else { return };
        drop(connection);
        let logs: Vec<(String, PathBuf)> =
            cluster.logs().map(|(node, path)| (node, path.to_path_buf())).collect();
        if self.options.keep_data {
            cluster.stop();
        } else {
            drop(cluster);
        }
        let Some(writer) = &self.writer else { return };
        for (node, from) in logs {
            self.rename(&from, &writer.log_path(&id, &node));
        }
        if self.options.keep_data {
            let data = writer.dir().join("data");
            // The rename that follows says what is wrong.
            let _ = std::fs::create_dir_all(&data);
            self.rename(&dir, &data.join(&id));
        }
    }

    fn rename(&self, from: &Path, to: &Path) {
        if let Err(error) = std::fs::rename(from, to) {
            self.progress.say(&format!(
                "cannot move {} to {}: {error}",
                from.display(),
                to.display()
            ));
        }
    }
}

/// Names the folder of a trial by its place in the plan.
fn id(index: usize) -> String {
    format!("{:03}", index + 1)
}

/// The backend of all trials, or both in words.
fn backends(plan: &Plan) -> String {
    let mut names: Vec<&str> = plan.trials.iter().map(|planned| planned.backend.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

/// `trial 3/30 ycsb_a R=1 W=3, open loop at 3000/s`.
pub fn title(number: usize, of: usize, planned: &Planned) -> String {
    format!("trial {number}/{of} {}", matrix::title(planned))
}

/// The trial in a line, while the next one runs.
fn outline(trial: &Trial) -> String {
    let answered: u64 = trial.operations.iter().map(|all| all.outcomes.acknowledged).sum();
    let mut parts = Vec::new();
    if trial.cell.mode != Mode::Idle {
        parts.push(format!("{:.0} op/s", answered as f64 / trial.measured_s));
    }
    for operation in &trial.operations {
        let ms = |quantile| operation.response.value_at_quantile(quantile) as f64 / 1_000.0;
        parts.push(format!("{} p50 {:.2} p99 {:.2} ms", operation.kind, ms(0.5), ms(0.99)));
    }
    for measure in &trial.measures {
        parts.push(format!("{} {:.4} {}", measure.name, measure.value, measure.unit));
    }
    let lost: u64 =
        trial.operations.iter().map(|all| all.outcomes.failed + all.outcomes.unknown).sum();
    if lost > 0 {
        parts.push(format!("{lost} not acknowledged"));
    }
    if trial.saturated {
        parts.push("SATURATED".to_string());
    }
    parts.join(", ")
}
