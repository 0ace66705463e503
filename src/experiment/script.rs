//! What is done to the nodes during a measured phase, as a list in time.

use super::spec::Fault;
use crate::report::trial::FaultWindow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Pause,
    Resume,
    Kill,
    Start,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Seconds since the measured phase began.
    pub at_s: f64,
    /// 1 to the number of nodes.
    pub node: u16,
    pub deed: Deed,
}

/// The steps of a measured phase of `measure_s`, in the order of time. Pauses that would outlast it
/// end with it, and a node that would be started after it stays dead.
pub fn steps(faults: &[Fault], measure_s: f64, seed: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for fault in faults {
        match fault {
            Fault::Kill(kill) => {
                for at_s in kill.times_s(measure_s, seed) {
                    steps.push(Step { at_s, node: kill.node, deed: Deed::Kill });
                    let at_s = at_s + kill.restart_after_s.unwrap_or(f64::INFINITY);
                    if at_s < measure_s {
                        steps.push(Step { at_s, node: kill.node, deed: Deed::Start });
                    }
                }
            }
            Fault::Pause(pause) => {
                let starts = (0..).map(|n| pause.first_at_s + f64::from(n) * pause.every_s);
                for at_s in starts.take_while(|at_s| *at_s < measure_s) {
                    steps.push(Step { at_s, node: pause.node, deed: Deed::Pause });
                    let at_s = (at_s + pause.for_s).min(measure_s);
                    steps.push(Step { at_s, node: pause.node, deed: Deed::Resume });
                }
            }
        }
    }
    steps.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    steps
}

/// The same as a record: from a pause to its end, from a death to the next start.
pub fn windows(steps: &[Step], measure_s: f64) -> Vec<FaultWindow> {
    let mut windows = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let (what, mended) = match step.deed {
            Deed::Pause => ("pause", Deed::Resume),
            Deed::Kill => ("kill", Deed::Start),
            Deed::Resume | Deed::Start => continue,
        };
        let ends = |later: &&Step| later.node == step.node && later.deed == mended;
        let to_s = steps[place..].iter().find(ends).map_or(measure_s, |end| end.at_s);
        let (what, node) = (what.to_string(), format!("n{}", step.node));
        windows.push(FaultWindow { what, node, from_s: step.at_s, to_s });
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::Deed::{Kill as Dies, Pause as Stops, Resume, Start};
    use super::*;
    use crate::experiment::spec::{Kill, Pause};

    fn kill(node: u16, at_s: f64) -> Kill {
        Kill { node, at_s, restart_after_s: None, every_s: None, jitter_s: 0.0 }
    }

    fn timed(faults: &[Fault], measure_s: f64) -> Vec<(f64, Deed)> {
        steps(faults, measure_s, 1).iter().map(|step| (step.at_s, step.deed)).collect()
    }

    #[test]
    fn pauses_repeat_until_the_phase_ends() {
        let pause = Pause { node: 1, every_s: 10.0, for_s: 1.0, first_at_s: 5.0 };
        let expected = [
            (5.0, Stops),
            (6.0, Resume),
            (15.0, Stops),
            (16.0, Resume),
            (25.0, Stops),
            (25.5, Resume),
        ];
        assert_eq!(timed(&[Fault::Pause(pause)], 25.5), expected);
    }

    #[test]
    fn faults_of_several_kinds_are_taken_in_the_order_of_time() {
        let pause = Pause { node: 1, every_s: 4.0, for_s: 2.0, first_at_s: 2.0 };
        let faults = [Fault::Kill(kill(2, 3.0)), Fault::Pause(pause)];
        assert_eq!(timed(&faults, 5.0), [(2.0, Stops), (3.0, Dies), (4.0, Resume)]);
        let windows = windows(&steps(&faults, 5.0, 1), 5.0);
        let times: Vec<_> = windows.iter().map(|one| (one.from_s, one.to_s)).collect();
        assert_eq!(times, [(2.0, 4.0), (3.0, 5.0)]);
    }

    #[test]
    fn a_node_is_killed_and_started_again_until_the_phase_ends() {
        let again = Kill { restart_after_s: Some(2.0), every_s: Some(5.0), ..kill(1, 1.0) };
        let expected = [(1.0, Dies), (3.0, Start), (6.0, Dies), (8.0, Start), (11.0, Dies)];
        assert_eq!(timed(&[Fault::Kill(again)], 12.0), expected, "a start after the end is none");
    }

    #[test]
    fn jitter_spreads_kills_evenly_and_by_the_seed() {
        let every_s = Some(10.0);
        let again = Kill { restart_after_s: Some(2.0), every_s, jitter_s: 1.0, ..kill(1, 5.0) };
        let kills = |seed| again.times_s(1_010.0, seed).collect::<Vec<f64>>();
        let (one, two) = (kills(1), kills(2));
        assert!(one.len() == 101 && one[0] != two[0]);
        let late = one.iter().enumerate().map(|(n, at_s)| at_s - 5.0 - 10.0 * n as f64);
        assert!(late.into_iter().all(|late_s| (0.0..1.0 + 1e-9).contains(&late_s)));
        // A life begins with a start, which follows the kill before it: its length, in intervals of
        // the jitter's length, says at which moment between two heartbeats it ends.
        let lives: Vec<f64> =
            one.windows(2).map(|pair| (pair[1] - pair[0] - 2.0).fract()).collect();
        for tenth in 0..10 {
            let from = f64::from(tenth) / 10.0;
            let inside = lives.iter().filter(|at| (from..from + 0.1).contains(*at)).count();
            assert!((9..=11).contains(&inside), "{inside} of 100 in the tenth from {from}");
        }
    }
}
