//! An advisory lock on a file, released when it is dropped, or by the kernel when the process dies.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// Held by one process at a time.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock without waiting; None where another process holds it.
    pub fn take(file: File) -> io::Result<Option<Lock>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Lock {
    /// Unlocks by name: closing the file is not enough while a child that is just being started
    /// still has a copy of it.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
