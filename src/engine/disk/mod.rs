//! The disk as the engines see it: two small traits between them and the operating system.
//!
//! ```text
//!   engine ─► Folder ─► Disk, File ─┬─► real        files of the operating system
//!             names errors          └─► simulated   in memory; it forgets, tears, rots and fills
//! ```
//!
//! An engine keeps all its files in one folder and names them; [`Folder`] adds the path to every
//! error, so that no error leaves the engine without the file that it is about.
//!
//! # Invariants
//!
//! * What `sync_data` has returned for is found again after a power failure; what it has not may be
//!   there, in part or whole, or gone, page by page.
//! * A name is durable once `sync_dir` has returned. A rename replaces the old name's file whole or
//!   not at all.
//!
//! # Caveats: what is left out, and what it would take
//!
//! Reads and writes are calls that wait. An interface of submissions and completions (io_uring)
//! would be a third trait, and every reader would have to be written for it.

mod folder;
mod real;
pub mod simulated;

pub use folder::{Folder, Handle};
pub use real::Real;
pub use simulated::Simulated;

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A new file, to read and write; an old one of that name is emptied.
    Create,
}

/// What holds files. Paths are whole paths; every method may wait for the device.
pub trait Disk: Send + Sync {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>>;

    /// Names of the entries of a folder, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Gives a file another name and takes that name from the file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// A second name for a file.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes a folder and those above it, durably. One that exists is left alone.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names of a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes an advisory lock, released when the answer is dropped or the process dies. None:
    /// somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
}

/// An open file. Any thread may call any method.
pub trait File: Send + Sync {
    fn bytes(&self) -> io::Result<u64>;

    /// Fills the buffer; an error where the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// So many bytes in a buffer of their own; an error where the file ends before.
    fn read_new(&self, bytes: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        self.read_at(&mut buffer, offset)?;
        Ok(buffer)
    }

    /// Writes all of the bytes; the file grows if need be.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// A hint that the file will be so long: the place may be chosen now.
    fn allocate(&self, bytes: u64);

    /// A hint that these bytes will be read soon.
    fn read_ahead(&self, offset: u64, bytes: u64);

    /// How many names it has.
    fn names(&self) -> io::Result<u64>;

    /// Makes contents and length durable.
    fn sync_data(&self) -> io::Result<()>;
}
