//! What is done to the nodes during a measured phase, and when: signals to children, nothing else.

use super::cluster::Cluster;
use super::spec::Fault;
use crate::report::trial::FaultWindow;
use rustix::process::Signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Stop,
    Continue,
    Kill,
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
}

impl Timeline {
    /// For a measured phase of `measure_s`. Pauses that would outlast it end with it.
    pub fn new(faults: &[Fault], measure_s: f64) -> Timeline {
        let mut steps = Vec::new();
        for fault in faults {
            match fault {
                Fault::Kill(kill) => {
                    steps.push(Step { at_s: kill.at_s, node: kill.node, deed: Deed::Kill });
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
        Timeline { steps, next: 0, windows: Vec::new() }
    }

    /// When the next step is due, in seconds since the measured phase began.
    pub fn next_s(&self) -> Option<f64> {
        self.steps.get(self.next).map(|step| step.at_s)
    }

    /// Takes all steps that are due, as if each happened now.
    pub fn advance(&mut self, now_s: f64, cluster: &mut Cluster) {
        while let Some(step) = self.steps.get(self.next).filter(|step| step.at_s <= now_s) {
            let signal = match step.deed {
                Deed::Stop => Signal::STOP,
                Deed::Continue => Signal::CONT,
                Deed::Kill => Signal::KILL,
            };
            cluster.signal(step.node, signal);
            let step = *step;
            self.note(step, now_s);
            self.next += 1;
        }
    }

    fn note(&mut self, step: Step, now_s: f64) {
        let node = format!("n{}", step.node);
        let open = |what: &str| FaultWindow {
            what: what.to_string(),
            node: node.clone(),
            from_s: now_s,
            to_s: f64::INFINITY,
        };
        match step.deed {
            Deed::Stop => self.windows.push(open("pause")),
            Deed::Kill => self.windows.push(open("kill")),
            Deed::Continue => {
                let paused = |window: &&mut FaultWindow| {
                    window.what == "pause" && window.node == node && window.to_s.is_infinite()
                };
                if let Some(window) = self.windows.iter_mut().rev().find(paused) {
                    window.to_s = now_s;
                }
            }
        }
    }

    /// Lets every paused node go on, and returns what was done and when.
    pub fn heal(mut self, now_s: f64, cluster: &mut Cluster) -> Vec<FaultWindow> {
        for window in &mut self.windows {
            window.to_s = window.to_s.min(now_s);
        }
        for step in self.steps.iter().filter(|step| step.deed == Deed::Stop) {
            cluster.signal(step.node, Signal::CONT);
        }
        self.windows
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
        let timeline = Timeline::new(&[Fault::Pause(pause)], 25.5);
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
        let kill = Kill { node: 2, at_s: 3.0 };
        let pause = Pause { node: 1, every_s: 4.0, for_s: 2.0, first_at_s: 2.0 };
        let timeline = Timeline::new(&[Fault::Kill(kill), Fault::Pause(pause)], 5.0);
        let deeds: Vec<Deed> = timeline.steps.iter().map(|step| step.deed).collect();
        assert_eq!(deeds, [Deed::Stop, Deed::Kill, Deed::Continue]);
        assert_eq!(timeline.next_s(), Some(2.0));
        assert!(leave_damage(&[Fault::Kill(kill)]) && !leave_damage(&[Fault::Pause(pause)]));
    }
}
