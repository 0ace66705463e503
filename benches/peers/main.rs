//! Our engines beside RocksDB and fjall, in one run, with equal settings.
//!
//! ```text
//!   parent ── for each size of values, round, row, and store (in an order that turns by the round)
//!     │
//!     └─► one child process: opens the store on a folder, warms up, runs the row, checks what it
//!         read and what is there in the end, and prints one line of JSON
//! ```
//!
//! A row is one measured run of its own length, not a sample of short iterations: what an LSM
//! costs comes later, when its memtables are full and its levels are in debt. Each cell is a
//! process of its own, so that memory and caches start alike and the peak of its memory is that
//! store's alone. Before a cell starts, dirty pages of the one before are on disk.
//!
//! `cargo bench --features peers --bench peers -- --help` lists the flags. The tables go to stdout,
//! the cells to `results/peers/<seconds since 1970>/` as CSV and JSON.
//!
//! # Invariants
//!
//! * Every store gets the same keys and values in the same order: they come from the seed, the
//!   round, the row and the thread alone.
//! * Every value that is read is compared with what must have been written; a difference, a missing
//!   key or one that ought to be missing ends the cell with an error and the run with code 1.
//! * Filled, overwritten and recovered stores are walked from end to end: each key with its newest
//!   value, and none besides.
//! * Reads start on a store that was flushed, whose compactions rest, and which was reopened.
//!
//! # Caveats: what is left out, and what it would take
//!
//! * Write amplification counts what the process made the system write to the disk (`write_bytes`
//!   in `/proc/self/io`), by whole pages and alike for every store; only Linux has that. What a
//!   store removes before it was written counts, too. fjall keeps no count of its own.
//! * RocksDB allocates with the C library, the Rust stores with jemalloc: building it with jemalloc
//!   would need one copy of it for both.
//! * Data sets fit into the page cache, as they do in most tests of this kind. Larger ones measure
//!   the disk and want hours.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cell;
mod check;
mod data;
mod drive;
mod operations;
mod process;
mod report;
mod row;
mod runner;
mod settings;
mod stores;

use clap::Parser;
use settings::Flags;
use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What any step may end with; the parent names the cell.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let outcome = match &flags.cell {
        Some(cell) => cell::run_as_child(cell).map(|()| true),
        None => runner::run(&flags),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::from(2)
        }
    }
}
