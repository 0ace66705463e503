//! Makes a scenario that breaks a promise as small as it can be, still breaking the same one.
//!
//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! IEEE TSE 28(2), 2002): first halves, then quarters and so on down to single statements; then
//! parts of statements; then the setup. What becomes impossible by a removal goes with it, because
//! a plan writes out only what is possible, and heals whatever is left.

use super::invariants::Promise;
use super::plan::Plan;
use super::run::{Broken, play};
use crate::sim::scenario::{Ask, Statement};

/// Further seeds with which a candidate is tried.
const RESEEDS: u64 = 3;

/// The smallest scenario that was found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    pub statements: Vec<Statement>,
    pub broken: Broken,
    /// Scenarios that were played on the way.
    pub plays: usize,
}

struct Shrinker {
    promise: Promise,
    /// Plays that are left.
    budget: usize,
    plays: usize,
}

/// Shrinks a plan that breaks `promise` with at most `budget` plays. None: it does not break it.
pub fn shrink(whole: &Plan, promise: Promise, budget: usize) -> Option<Shrunk> {
    let mut shrinker = Shrinker { promise, budget, plays: 0 };
    let mut plan = whole.clone();
    let broken = shrinker.breaks_plan(&plan)?;
    // The plan's statements before the violation are those of its body, and the cluster.
    plan.body.truncate(broken.statement.max(1));
    if shrinker.breaks_plan(&plan).is_none() {
        plan = whole.clone();
    }
    loop {
        let before = plan.clone();
        shrinker.shrink_body(&mut plan);
        shrinker.simplify(&mut plan);
        shrinker.shrink_setup(&mut plan);
        if plan == before || shrinker.budget == 0 {
            break;
        }
    }
    let mut statements = plan.statements().ok()?;
    shrinker.budget += statements.len() * 2;
    shrinker.cut_end(&mut statements);
    let broken = shrinker.breaks(&statements)?;
    Some(Shrunk { statements, broken, plays: shrinker.plays })
}

impl Shrinker {
    fn breaks(&mut self, statements: &[Statement]) -> Option<Broken> {
        self.plays += 1;
        let broken = play(statements).ok()?.broken?;
        (broken.violation.promise == self.promise).then_some(broken)
    }

    fn breaks_plan(&mut self, plan: &Plan) -> Option<Broken> {
        if self.budget == 0 {
            return None;
        }
        self.budget -= 1;
        let statements = plan.statements().ok()?;
        self.breaks(&statements)
    }

    /// Takes the candidate if it breaks the promise, too. Whatever is left out shifts all that
    /// chance decides after it, so a candidate has several chances: worlds of other seeds.
    fn take(&mut self, plan: &mut Plan, mut candidate: Plan) {
        if candidate == *plan {
            return;
        }
        for seed in 0..=RESEEDS {
            if seed > 0 {
                let Some(pair) = candidate.setup.0.iter_mut().find(|(name, _)| name == "seed")
                else {
                    return;
                };
                pair.1 = seed.to_string();
            }
            if self.breaks_plan(&candidate).is_some() {
                *plan = candidate;
                return;
            }
        }
    }

    fn shrink_body(&mut self, plan: &mut Plan) {
        let mut size = plan.body.len().div_ceil(2).max(1);
        loop {
            // From the end: what comes late depends on what came before it.
            let mut end = plan.body.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let mut candidate = plan.clone();
                candidate.body.drain(start..end);
                self.take(plan, candidate);
                end = start;
            }
            if size == 1 || self.budget == 0 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    /// Makes single statements plainer.
    fn simplify(&mut self, plan: &mut Plan) {
        for index in 0..plan.body.len() {
            for plainer in plainer(&plan.body[index]) {
                let mut candidate = plan.clone();
                candidate.body[index] = plainer;
                self.take(plan, candidate);
            }
        }
    }

    fn shrink_setup(&mut self, plan: &mut Plan) {
        let mut index = plan.setup.0.len();
        while index > 0 {
            index -= 1;
            let mut candidate = plan.clone();
            candidate.setup.0.remove(index);
            self.take(plan, candidate);
        }
    }

    /// Drops what comes after the violation, and what of the healing it does not need.
    fn cut_end(&mut self, statements: &mut Vec<Statement>) {
        if let Some(broken) = self.breaks(statements) {
            let mut shorter = statements.clone();
            shorter.truncate(broken.statement + 1);
            if self.breaks(&shorter).is_some() {
                *statements = shorter;
            }
        }
        for index in (1..statements.len()).rev() {
            if self.budget == 0 {
                return;
            }
            self.budget -= 1;
            let mut shorter = statements.clone();
            shorter.remove(index);
            if self.breaks(&shorter).is_some() {
                *statements = shorter;
            }
        }
    }
}

/// Versions of a statement with less in it.
fn plainer(statement: &Statement) -> Vec<Statement> {
    match statement {
        Statement::Ask(ask) => {
            let ask = |change: &dyn Fn(&mut Ask)| {
                let mut plainer = ask.clone();
                change(&mut plainer);
                Statement::Ask(plainer)
            };
            vec![
                ask(&|it| it.context = None),
                ask(&|it| it.name = None),
                ask(&|it| it.level = None),
                ask(&|it| it.background = false),
            ]
        }
        Statement::Tick(us) => {
            let unit = 10u64.pow(us.max(&1).ilog10());
            vec![Statement::Tick(us / unit * unit), Statement::Tick(us.div_ceil(unit) * unit)]
        }
        _ => Vec::new(),
    }
}
