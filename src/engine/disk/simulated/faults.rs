//! What goes wrong on demand, and what is counted.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What an engine asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Open,
    Create,
    Read,
    Write,
    Resize,
    Sync,
    Rename,
    Remove,
    Link,
    List,
    CreateDir,
    SyncDir,
    Lock,
}

impl Operation {
    /// Whether it may change what a power failure leaves.
    pub(super) fn changes(self) -> bool {
        !matches!(self, Operation::Open | Operation::Read | Operation::List)
    }
}

/// An operation that will fail.
#[derive(Clone, Debug)]
pub struct Fault {
    pub on: Operation,
    /// The path contains this; of a rename or link it is the old name.
    pub path_part: String,
    /// So many such operations still succeed.
    pub skip: u64,
    pub error: ErrorKind,
    /// Whether those behind fail, too, until [`heal`](super::Simulated::heal).
    pub lasting: bool,
}

#[derive(Clone, Default)]
pub(super) struct Faults {
    pub planned: Vec<Fault>,
    pub denied: Vec<PathBuf>,
    /// Bytes that still fit.
    pub left_bytes: Option<u64>,
}

impl Faults {
    pub fn strike(&mut self, on: Operation, path: &Path) -> Option<io::Error> {
        let text = path.to_string_lossy();
        let of = |fault: &Fault| fault.on == on && text.contains(&fault.path_part);
        for at in 0..self.planned.len() {
            let fault = &mut self.planned[at];
            if !of(fault) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let what = format!("simulated failure of {on:?}");
            let error = io::Error::new(fault.error, what);
            if !fault.lasting {
                self.planned.remove(at);
            }
            return Some(error);
        }
        None
    }

    /// Handles that are open stay usable, as on Unix: only names are guarded.
    pub fn deny(&self, path: &Path) -> Option<io::Error> {
        let denied = self.denied.iter().any(|prefix| path.starts_with(prefix));
        denied.then(|| ErrorKind::PermissionDenied.into())
    }

    /// How many of these bytes still fit.
    pub fn claim(&mut self, bytes: u64) -> u64 {
        let Some(left) = &mut self.left_bytes else { return bytes };
        let fit = bytes.min(*left);
        *left -= fit;
        fit
    }

    pub fn give_back(&mut self, bytes: u64) {
        if let Some(left) = &mut self.left_bytes {
            *left += bytes;
        }
    }
}

/// What was asked of the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub reads: u64,
    pub read_bytes: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub syncs: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        self.reads += other.reads;
        self.read_bytes += other.read_bytes;
        self.writes += other.writes;
        self.written_bytes += other.written_bytes;
        self.syncs += other.syncs;
    }
}
