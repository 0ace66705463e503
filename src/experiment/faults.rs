//! What is done to the nodes during a measured phase, and when: signals to children and new starts,
//! nothing else.

use super::cluster::Cluster;
use super::detection::{Noticed, Watch};
use super::error::Error;
use super::spec::Fault;
use crate::report::trial::FaultWindow;
use quorate_strategies::NodeId;
use rustix::process::Signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Stop,
    Continue,
    Kill,
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    /// Seconds since the measured phase began.
    at_s: f64,
    node: u16,
    deed: Deed,
}

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
    /// For a measured phase of `measure_s`. Pauses that would outlast it end with it, and a node
    /// that would be started after it stays dead.
    pub fn new(faults: &[Fault], measure_s: f64, watches: bool) -> Timeline {
        let mut steps = Vec::new();
        for fault in faults {
            match fault {
                Fault::Kill(kill) => {
                    for at_s in kill.times_s(measure_s) {
                        steps.push(Step { at_s, node: kill.node, deed: Deed::Kill });
                        let at_s = at_s + kill.restart_after_s.unwrap_or(f64::INFINITY);
                        if at_s < measure_s {
                            steps.push(Step { at_s, node: kill.node, deed: Deed::Restart });
                        }
                    }
                }
                Fault::Pause(pause) => {
                    let starts = (0..).map(|n| pause.first_at_s + f64::from(n) * pause.every_s);
                    for at_s in starts.take_while(|at_s| *at_s < measure_s) {
                        steps.push(Step { at_s, node: pause.node, deed: Deed::Stop });
                        let at_s = (at_s + pause.for_s).min(measure_s);
                        steps.push(Step { at_s, node: pause.node, deed: Deed::Continue });
                    }
                }
            }
        }
        steps.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
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
                Deed::Stop => cluster.signal(step.node, Signal::STOP),
                Deed::Continue => cluster.signal(step.node, Signal::CONT),
                Deed::Kill => self.kill(step.node, cluster),
                Deed::Restart => {
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
            Deed::Stop => self.open("pause", node, now_s),
            Deed::Kill => self.open("kill", node, now_s),
            Deed::Continue => self.close("pause", &node, now_s),
            Deed::Restart => self.close("kill", &node, now_s),
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
        for step in self.steps.iter().filter(|step| step.deed == Deed::Stop) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::spec::{Kill, Pause};

    #[test]
    fn pauses_repeat_until_the_phase_ends() {
        let pause = Pause { node: 1, every_s: 10.0, for_s: 1.0, first_at_s: 5.0 };
        let timeline = Timeline::new(&[Fault::Pause(pause)], 25.5, false);
        let starts: Vec<(f64, Deed)> =
            timeline.steps.iter().map(|step| (step.at_s, step.deed)).collect();
        use Deed::{Continue, Stop};
        let expected = [
            (5.0, Stop),
            (6.0, Continue),
            (15.0, Stop),
            (16.0, Continue),
            (25.0, Stop),
            (25.5, Continue),
        ];
        assert_eq!(starts, expected);
    }

    #[test]
    fn faults_of_several_kinds_are_taken_in_the_order_of_time() {
        let kill = Kill { node: 2, at_s: 3.0, restart_after_s: None, every_s: None };
        let pause = Pause { node: 1, every_s: 4.0, for_s: 2.0, first_at_s: 2.0 };
        let timeline = Timeline::new(&[Fault::Kill(kill), Fault::Pause(pause)], 5.0, false);
        let deeds: Vec<Deed> = timeline.steps.iter().map(|step| step.deed).collect();
        assert_eq!(deeds, [Deed::Stop, Deed::Kill, Deed::Continue]);
        assert_eq!(timeline.next_s(), Some(2.0));
        assert!(leave_damage(&[Fault::Kill(kill)]) && !leave_damage(&[Fault::Pause(pause)]));
    }

    #[test]
    fn a_node_is_killed_and_started_again_until_the_phase_ends() {
        let kill = Kill { node: 1, at_s: 1.0, restart_after_s: Some(2.0), every_s: Some(5.0) };
        let timeline = Timeline::new(&[Fault::Kill(kill)], 12.0, false);
        let steps: Vec<(f64, Deed)> =
            timeline.steps.iter().map(|step| (step.at_s, step.deed)).collect();
        use Deed::{Kill as Dies, Restart};
        let expected = [(1.0, Dies), (3.0, Restart), (6.0, Dies), (8.0, Restart), (11.0, Dies)];
        assert_eq!(steps, expected, "a start after the end is none");
    }
}
