//! What is done to the nodes during a measured phase, and when: signals to children and new starts,
//! nothing else.

use super::cluster::Cluster;
use super::detection::{Noticed, Watch};
use super::error::Error;
use super::script::{self, Deed, Step};
use super::spec::Fault;
use crate::report::trial::FaultWindow;
use quorate_strategies::NodeId;
use rustix::process::Signal;

/// The faults of one trial as a list of steps in time, and how far it is done.
#[derive(Debug)]
pub struct Timeline {
    steps: Vec<Step>,
    next: usize,
    windows: Vec<FaultWindow>,
    /// Whether somebody wants to know when a death is noticed.
    watches: bool,
    deaths: Vec<Watch>,
}

/// What was done and what it led to.
#[derive(Debug, Default)]
pub struct Injected {
    pub windows: Vec<FaultWindow>,
    /// When each death was noticed, as far as it was watched.
    pub noticed: Vec<Noticed>,
}

impl Timeline {
    /// For a measured phase of `measure_s`.
    pub fn new(faults: &[Fault], measure_s: f64, seed: u64, watches: bool) -> Timeline {
        let steps = script::steps(faults, measure_s, seed);
        Timeline { steps, next: 0, windows: Vec::new(), watches, deaths: Vec::new() }
    }

    /// When the next step is due, in seconds since the measured phase began.
    pub fn next_s(&self) -> Option<f64> {
        self.steps.get(self.next).map(|step| step.at_s)
    }

    /// Takes all steps that are due, as if each happened now.
    ///
    /// # Errors
    /// If a node cannot be started again.
    pub fn advance(&mut self, now_s: f64, cluster: &mut Cluster) -> Result<(), Error> {
        while let Some(step) = self.steps.get(self.next).filter(|step| step.at_s <= now_s).copied()
        {
            self.next += 1;
            match step.deed {
                Deed::Pause => cluster.signal(step.node, Signal::STOP),
                Deed::Resume => cluster.signal(step.node, Signal::CONT),
                Deed::Kill => self.kill(step.node, cluster),
                Deed::Start => {
                    self.end_watch(step.node);
                    cluster.restart(step.node)?;
                }
            }
            self.note(step, now_s);
        }
        Ok(())
    }

    fn kill(&mut self, node: u16, cluster: &mut Cluster) {
        let killed_at = cluster.kill(node);
        if let (Some(killed_at), true) = (killed_at, self.watches) {
            let victim = NodeId(node.into());
            self.deaths.push(Watch::start(victim, killed_at, cluster.observers()));
        }
    }

    fn end_watch(&self, node: u16) {
        let watches = self.deaths.iter().filter(|watch| watch.victim() == NodeId(node.into()));
        watches.for_each(Watch::end);
    }

    fn note(&mut self, step: Step, now_s: f64) {
        let node = format!("n{}", step.node);
        match step.deed {
            Deed::Pause => self.open("pause", node, now_s),
            Deed::Kill => self.open("kill", node, now_s),
            Deed::Resume => self.close("pause", &node, now_s),
            Deed::Start => self.close("kill", &node, now_s),
        }
    }

    fn open(&mut self, what: &str, node: String, from_s: f64) {
        let what = what.to_string();
        self.windows.push(FaultWindow { what, node, from_s, to_s: f64::INFINITY });
    }

    fn close(&mut self, what: &str, node: &str, to_s: f64) {
        let is_open = |window: &&mut FaultWindow| {
            window.what == what && window.node == node && window.to_s.is_infinite()
        };
        if let Some(window) = self.windows.iter_mut().rev().find(is_open) {
            window.to_s = to_s;
        }
    }

    /// Lets every paused node go on. What was not noticed until now never is.
    pub fn heal(&mut self, now_s: f64, cluster: &mut Cluster) {
        for window in &mut self.windows {
            window.to_s = window.to_s.min(now_s);
        }
        for step in self.steps.iter().filter(|step| step.deed == Deed::Pause) {
            cluster.signal(step.node, Signal::CONT);
        }
        self.deaths.iter().for_each(Watch::end);
    }

    /// What was done, when, and who noticed.
    pub fn finish(self) -> Injected {
        let noticed = self.deaths.into_iter().flat_map(Watch::finish).collect();
        Injected { windows: self.windows, noticed }
    }
}

/// Whether a cluster cannot serve another trial after these faults.
pub fn leave_damage(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| matches!(fault, Fault::Kill(_)))
}
