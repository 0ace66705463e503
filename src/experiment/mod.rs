//! Runs an experiment: one YAML file in, a cluster of processes or of simulated nodes, a load, and
//! a record out.
//!
//! ```text
//!   FILE.yaml ─► parse ─► spec ─► validate, matrix ─► plan: trials in order
//!                                                        │
//!   run: for each trial                                  ▼
//!     cluster     child processes of this program, ports chosen free, logs and data in scratch
//!     populate    every record once, W = ALL            (trials that can share both, do)
//!     trial       settle │ warm up │ measure: load + faults + resources │ await answers
//!     report      RunWriter.add(trial) … finish: tables and plots
//!
//!   `backend: simulation`: a world in virtual time for each trial, many at once   ([`simulation`])
//! ```
//!
//! An experiment reaches real nodes only as a user does, through the client and HTTP, and as the
//! parent of their processes. The nodes of a trial do not know that they are measured.
//!
//! # Invariants
//!
//! * A specification is checked whole before anything starts. Every error is one message that names
//!   the file, the line, the field and what is allowed.
//! * Nothing is left behind. Children die with the runner, however it dies ([`cluster`]); their
//!   files live in a hidden folder that is removed ([`scratch`]); the run's own folder appears with
//!   its first finished trial, so there is none without a result.
//! * Everything random follows from the seed: the records, the operations, their arrivals and the
//!   order of trials. What is measured on processes does not repeat exactly, because processes and
//!   disks do not; what is measured in a simulation does.
//! * R and W travel with each request, so trials that differ in nothing else share a cluster.
//! * A trial's end is clean: paused nodes go on, and all answers are awaited up to their deadline.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Processes run on this machine. The load and the nodes share its cores, so figures are of the
//!   whole machine. Other machines need a launcher behind [`cluster::Cluster`]'s few methods.
//! * Faults are pauses, kills and new starts of whole nodes. A simulation has slow, lossy and
//!   narrow links and slow disks from beginning to end; partitions that come and go during a trial
//!   would be further faults, and for processes need a seam in the node's shell.
//! * Trials that share a cluster share its past: what an earlier trial wrote is what a later one
//!   reads. `fresh: per_trial` trades that for a loading phase each. Shuffled repeats spread the
//!   effect.
//! * Latencies are not corrected for the time that the kernel takes between socket and client.

mod closed_form;
pub mod cluster;
pub mod connection;
mod detection;
pub mod error;
mod faults;
pub mod interrupt;
pub mod load;
pub mod matrix;
pub mod measures;
pub mod parse;
mod probe;
pub mod progress;
pub mod provenance;
pub mod resources;
pub mod run;
pub mod scratch;
mod script;
pub mod simulation;
pub mod spec;
pub mod trial;
mod validate;
