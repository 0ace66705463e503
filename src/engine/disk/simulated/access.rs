//! The simulated disk as an engine sees it.

use super::faults::{Counts, Operation};
use super::names::Change;
use super::state::{Fate, State};
use super::{Disk, File, Mode, Simulated};
use parking_lot::Mutex;
use std::any::Any;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Disk for Simulated {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let on = if mode == Mode::Create { Operation::Create } else { Operation::Open };
        state.begin(self.life, on, path)?.whole()?;
        let inode = match mode {
            Mode::Create => state.create(path)?,
            Mode::Read | Mode::Write => state.look_up(path)?,
        };
        *state.open.entry(inode).or_default() += 1;
        let writable = mode != Mode::Read;
        Ok(Arc::new(OpenFile { disk: self.clone(), inode, writable }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.begin(self.life, Operation::List, dir)?.whole()?;
        if !state.names.is_folder(dir) {
            return Err(not_a_folder(&state, dir));
        }
        Ok(state.names.list(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(self.life, Operation::Rename, from)?.whole()?;
        let inode = state.look_up(from)?;
        if from.parent() != to.parent() {
            return Err(ErrorKind::CrossesDevices.into());
        }
        if state.names.is_folder(to) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let replaced = state.names.get(to).filter(|other| *other != inode);
        state.inode_mut(inode)?.name = to.to_path_buf();
        let (gone, named) = (Some(from.to_path_buf()), Some((to.to_path_buf(), inode)));
        state.names.record(Change { gone, named });
        replaced.map_or(Ok(()), |replaced| state.give_back_unnamed(replaced))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(self.life, Operation::Remove, path)?.whole()?;
        state.remove(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(self.life, Operation::Link, from)?.whole()?;
        let inode = state.look_up(from)?;
        state.check_folder(to)?;
        if state.names.get(to).is_some() || state.names.is_folder(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.names.record(Change { gone: None, named: Some((to.to_path_buf(), inode)) });
        Ok(())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.names.is_folder(dir) {
            return Ok(());
        }
        state.begin(self.life, Operation::CreateDir, dir)?.whole()?;
        if dir.ancestors().any(|above| state.names.get(above).is_some()) {
            return Err(ErrorKind::NotADirectory.into());
        }
        state.names.make_folder(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin(self.life, Operation::SyncDir, dir)?.whole()?;
        if !state.names.is_folder(dir) {
            return Err(not_a_folder(&state, dir));
        }
        state.names.sync(dir);
        state.sweep();
        state.count(dir.to_path_buf(), Counts { syncs: 1, ..Counts::default() });
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut state = self.state.lock();
        state.begin(self.life, Operation::Lock, path)?.whole()?;
        if state.names.get(path).is_none() {
            state.create(path)?;
        }
        if state.locks.contains_key(path) {
            return Ok(None);
        }
        state.next_lock += 1;
        let ticket = state.next_lock;
        state.locks.insert(path.to_path_buf(), ticket);
        let path = path.to_path_buf();
        Ok(Some(Box::new(Held { state: Arc::clone(&self.state), path, ticket })))
    }
}

fn not_a_folder(state: &State, path: &Path) -> io::Error {
    let is_file = state.names.get(path).is_some();
    let kind = if is_file { ErrorKind::NotADirectory } else { ErrorKind::NotFound };
    kind.into()
}

/// A lock, released on drop unless a crash has done so.
struct Held {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    ticket: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.locks.get(&self.path) == Some(&self.ticket) {
            state.locks.remove(&self.path);
        }
    }
}

struct OpenFile {
    disk: Simulated,
    inode: u64,
    writable: bool,
}

impl OpenFile {
    fn check_writable(&self) -> io::Result<()> {
        let what = "the file was opened to be read only";
        if self.writable { Ok(()) } else { Err(io::Error::other(what)) }
    }
}

impl File for OpenFile {
    fn bytes(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.begin_at(self.disk.life, Operation::Open, self.inode)?.whole()?;
        Ok(state.inode(self.inode)?.bytes())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.begin_at(self.disk.life, Operation::Read, self.inode)?.whole()?;
        let file = state.inode(self.inode)?;
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > file.bytes()) {
            let what = "failed to fill whole buffer: the file ends before";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, what));
        }
        file.content().read(buffer, offset);
        let (name, read_bytes) = (file.name.clone(), buffer.len() as u64);
        state.count(name, Counts { reads: 1, read_bytes, ..Counts::default() });
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state.lock();
        let fate = state.begin_at(self.disk.life, Operation::Write, self.inode)?;
        state.write(self.inode, bytes, offset, fate)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state.lock();
        state.begin_at(self.disk.life, Operation::Resize, self.inode)?.whole()?;
        state.resize(self.inode, bytes)
    }

    fn allocate(&self, bytes: u64) {
        let mut state = self.disk.state.lock();
        let fate = state.begin_at(self.disk.life, Operation::Resize, self.inode);
        if self.writable && state.allocates && matches!(fate, Ok(Fate::Whole)) {
            // A hint may be ignored; whoever writes there meets the full disk.
            let _ = state.allocate(self.inode, bytes);
        }
    }

    fn read_ahead(&self, _offset: u64, _bytes: u64) {}

    fn names(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        state.begin_at(self.disk.life, Operation::Open, self.inode)?.whole()?;
        Ok(state.names.files().filter(|(_, inode)| *inode == self.inode).count() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let fate = state.begin_at(self.disk.life, Operation::Sync, self.inode)?;
        state.sync(self.inode, fate)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.life != self.disk.life {
            return;
        }
        if let Some(handles) = state.open.get_mut(&self.inode) {
            *handles -= 1;
            if *handles == 0 {
                state.open.remove(&self.inode);
            }
        }
    }
}
