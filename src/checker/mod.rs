//! Judges what clients saw: histories in, verdicts out.
//!
//! ```text
//!   load on real processes ─┐  began, ended, read      ┌─► fresh · stale · not to be judged
//!                           ├────────────────────────► judge
//!   load in virtual time ───┘  (key, times, version)   └─► shares, counts
//! ```
//!
//! A judge is a plain structure that is told of operations in the order of time. It asks no clock,
//! no node and no file, so that the same code judges a cluster of processes and a simulated one. It
//! sees what a client sees: when an operation was asked for, when it was answered, and which write
//! a value comes from, for values name their writer.
//!
//! # Invariants
//!
//! * **No doubt counts against the store.** What the kept history cannot decide is a verdict of its
//!   own and enters no share; a verdict of "stale" has a write that proves it.
//! * **An unanswered write may be done at any time.** It never makes a read stale, and a read of it
//!   is never stale.
//! * **Memory is bounded per key**, whatever the length of the run.
//! * Equal histories give equal verdicts.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Staleness is judged read by read: two reads that are each fresh may still have gone back in
//!   time. Sessions and linearizability need the whole history of a key and a search over it.
//! * Nothing is judged after the end: whether replicas agree, and whether an acknowledged write is
//!   still there, needs a last read of every key from every replica.
//! * Times are of one clock. Clients on several machines need a bound on how far theirs are apart,
//!   and verdicts that hold for every order within it.

pub mod staleness;
