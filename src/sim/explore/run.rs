//! Plays one scenario under all invariants.

use super::invariants::{Invariants, Outcomes, Promise, Violation};
use crate::sim::log::Log;
use crate::sim::scenario::{DiskFault, Player, Statement, Stopped};
use crate::sim::world::{End, Impossible};
use std::collections::BTreeMap;

/// What one scenario came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub happenings: u64,
    pub simulated_us: u64,
    pub packets_lost: u64,
    pub outcomes: Outcomes,
    /// Statements that disturb, by what they do.
    pub faults: BTreeMap<&'static str, u64>,
    pub broken: Option<Broken>,
}

/// A promise that was broken, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub violation: Violation,
    pub at_us: u64,
    /// Happenings of the world until then.
    pub step: u64,
    /// Position of the statement that was carried out.
    pub statement: usize,
}

/// Plays a scenario from its `cluster` on.
///
/// # Errors
/// The scenario itself is broken: it has no cluster, or wants what cannot be.
pub fn play(statements: &[Statement]) -> Result<Run, Stopped> {
    let Some(Statement::Cluster(setup)) = statements.first() else {
        return Err(Stopped::NoCluster);
    };
    let mut player = Player::new(Invariants::new(&setup.config()?), Log::Off);
    let mut run = Run::default();
    for (index, statement) in statements.iter().enumerate() {
        let played = player.play(statement).map(drop);
        if let Some(fault) = fault(statement) {
            *run.faults.entry(fault).or_default() += 1;
        }
        if let Err(stopped) = played
            && let Some(violation) = judge(&player, stopped)?
        {
            run.broken = Some(broken(&player, violation, index));
            break;
        }
    }
    finish(&mut player, &mut run, statements.len() - 1);
    Ok(run)
}

fn finish(player: &mut Player<Invariants>, run: &mut Run, last: usize) {
    if run.broken.is_none() {
        let violation = player.finish().err().and(player.watch.violation().cloned());
        run.broken = violation.map(|violation| broken(player, violation, last));
    }
    run.outcomes = player.watch.outcomes();
    if let Some(world) = player.world() {
        let tally = world.tally();
        (run.happenings, run.packets_lost) = (tally.happenings, tally.lost);
        run.simulated_us = world.now_us();
    }
}

fn broken(player: &Player<Invariants>, violation: Violation, statement: usize) -> Broken {
    let (at_us, step) =
        player.world().map_or((0, 0), |world| (world.now_us(), world.tally().happenings));
    Broken { violation, at_us, step, statement }
}

/// Whether what stopped the player is a broken promise. None: nothing that was promised.
fn judge(player: &Player<Invariants>, stopped: Stopped) -> Result<Option<Violation>, Stopped> {
    let mended = player.watch.is_mended();
    match stopped {
        Stopped::Violated(_) => Ok(player.watch.violation().cloned()),
        Stopped::Unexpected { .. } => Ok(None),
        Stopped::Unsettled { .. } if mended => {
            Ok(Some(Violation::new(Promise::Settles, stopped.to_string())))
        }
        Stopped::Impossible(Impossible::CannotStart { node, ref reason })
            if !player.watch.is_rotten(node) =>
        {
            let text = format!("{node} cannot start: {reason}");
            Ok(Some(Violation::new(Promise::Starts, text)))
        }
        stopped => Err(stopped),
    }
}

/// What a statement disturbs, for the summary.
fn fault(statement: &Statement) -> Option<&'static str> {
    Some(match statement {
        Statement::End { how: End::Crash, .. } => "crash",
        Statement::End { how: End::PowerCut, .. } => "power_cut",
        Statement::Start { how, .. } if how.empty => "empty",
        Statement::Partition(_) => "partition",
        Statement::Cut { .. } => "cut",
        Statement::Hold { .. } => "hold",
        Statement::Pause { .. } => "pause",
        Statement::ClockOffset { .. } | Statement::ClockDrift { .. } => "clock",
        Statement::Disk { what: DiskFault::Full, .. } => "full",
        Statement::Disk { what: DiskFault::Rot, .. } => "rot",
        Statement::Disk { what: DiskFault::Slow { us: 1.. }, .. } => "slow",
        Statement::Network(_) | Statement::Direction { .. } => "link",
        _ => return None,
    })
}
