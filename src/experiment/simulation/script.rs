//! What is done to the nodes during a measured phase, as a list in virtual time.

use crate::experiment::spec::Fault;
use crate::report::trial::FaultWindow;
use quorate_strategies::NodeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Pause,
    Resume,
    Kill,
    Start,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Since the measured phase began.
    pub at_us: u64,
    pub node: NodeId,
    pub deed: Deed,
}

/// The steps of a measured phase of `measure_us`, in the order of time. What begins in it and would
/// outlast it ends with it.
pub fn steps(faults: &[Fault], measure_us: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for fault in faults {
        match fault {
            Fault::Kill(kill) => {
                let node = NodeId(kill.node.into());
                for at_s in kill.times_s(measure_us as f64 / 1e6) {
                    steps.push(Step { at_us: us(at_s), node, deed: Deed::Kill });
                    let starts_s = kill.restart_after_s.map(|after_s| at_s + after_s);
                    let at_us = starts_s.map(us).filter(|at_us| *at_us < measure_us);
                    let start = at_us.map(|at_us| Step { at_us, node, deed: Deed::Start });
                    steps.extend(start);
                }
            }
            Fault::Pause(pause) => {
                let node = NodeId(pause.node.into());
                let every_us = us(pause.every_s).max(1);
                let starts = (0..).map(|number| us(pause.first_at_s) + number * every_us);
                for at_us in starts.take_while(|at_us| *at_us < measure_us) {
                    steps.push(Step { at_us, node, deed: Deed::Pause });
                    let at_us = (at_us + us(pause.for_s)).min(measure_us);
                    steps.push(Step { at_us, node, deed: Deed::Resume });
                }
            }
        }
    }
    steps.sort_by_key(|step| step.at_us);
    steps
}

pub fn us(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// The same as a record: from a pause to its end, from a death to the next start.
pub fn windows(steps: &[Step], measure_us: u64) -> Vec<FaultWindow> {
    let mut windows = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let (what, mended) = match step.deed {
            Deed::Pause => ("pause", Deed::Resume),
            Deed::Kill => ("kill", Deed::Start),
            Deed::Resume | Deed::Start => continue,
        };
        let ends = |later: &&Step| later.node == step.node && later.deed == mended;
        let to_us = steps[place..].iter().find(ends).map_or(measure_us, |end| end.at_us);
        windows.push(FaultWindow {
            what: what.to_string(),
            node: step.node.to_string(),
            from_s: step.at_us as f64 / 1e6,
            to_s: to_us.min(measure_us) as f64 / 1e6,
        });
    }
    windows
}
