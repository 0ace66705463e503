//! Takes away from a world that fails what it does not need for that.

use super::attempt;
use super::drive::{Failure, Subject};
use super::world::World;

/// Runs that may be spent.
const TRIES: usize = 2_000;

/// The smallest world found that still fails, and how.
pub fn shrink(subject: &dyn Subject, world: &World, failure: &Failure) -> (World, Failure) {
    let mut best = (world.clone(), failure.clone());
    let mut tries = TRIES;
    let mut accept = |world: World, best: &mut (World, Failure)| {
        if tries == 0 {
            return false;
        }
        tries -= 1;
        match attempt(subject, &world) {
            Ok(_) => false,
            Err(failure) => {
                *best = (world, failure);
                true
            }
        }
    };
    loop {
        let before = size(&best.0);
        remove_lives(&mut best, &mut accept);
        remove_steps(&mut best, &mut accept);
        sooner(&mut best, &mut accept);
        if size(&best.0) == before {
            return best;
        }
    }
}

type Best = (World, Failure);

fn size(world: &World) -> (usize, usize, u64) {
    let stops = world.lives.iter().filter_map(|life| life.stop_after);
    (world.lives.len(), world.steps(), stops.sum())
}

fn remove_lives(best: &mut Best, accept: &mut impl FnMut(World, &mut Best) -> bool) {
    let mut at = 0;
    while at < best.0.lives.len() {
        let mut world = best.0.clone();
        world.lives.remove(at);
        if !accept(world, best) {
            at += 1;
        }
    }
}

/// Large pieces first.
fn remove_steps(best: &mut Best, accept: &mut impl FnMut(World, &mut Best) -> bool) {
    for life in 0..best.0.lives.len() {
        let mut piece = best.0.lives[life].steps.len();
        while piece > 0 {
            let mut at = 0;
            while at < best.0.lives[life].steps.len() {
                let mut world = best.0.clone();
                let end = (at + piece).min(world.lives[life].steps.len());
                world.lives[life].steps.drain(at..end);
                if !accept(world, best) {
                    at += piece;
                }
            }
            piece /= 2;
        }
    }
}

fn sooner(best: &mut Best, accept: &mut impl FnMut(World, &mut Best) -> bool) {
    for life in 0..best.0.lives.len() {
        let Some(stop) = best.0.lives[life].stop_after else { continue };
        for sooner in [None, Some(stop / 2), Some(stop - 1)] {
            let mut world = best.0.clone();
            world.lives[life].stop_after = sooner.filter(|changes| *changes > 0);
            if accept(world, best) {
                break;
            }
        }
    }
}
