//! Ctrl-C: the first one asks the run to end after what it is doing, the second one ends the
//! process.

use super::error::Error;
use super::scratch;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a program that SIGINT ended.
pub const ENDED_BY_SIGINT: u8 = 130;

/// Whether the user wants the run to end. Copies share the answer.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    /// What the second signal removes before it ends the process.
    scratch: Arc<Mutex<Option<PathBuf>>>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM on a thread of its own until the process ends. `at_first` is
    /// called there at the first one, to answer the user.
    ///
    /// A second signal removes the nodes' files and ends the process; the kernel then kills the
    /// nodes, which asked for it.
    pub fn install(at_first: impl Fn() + Send + 'static) -> Result<Interrupt, Error> {
        let interrupt = Interrupt::default();
        let shared = interrupt.clone();
        let failed = |error| Error::io("listen for", Path::new("SIGINT"))(error);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let entered = runtime.enter();
        let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut term = signal(SignalKind::terminate()).map_err(failed)?;
        drop(entered);
        let listen = async move {
            loop {
                tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
                if shared.asked.swap(true, Ordering::Relaxed) {
                    shared.end_now();
                }
                at_first();
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_string());
        thread.spawn(move || runtime.block_on(listen)).map_err(failed)?;
        Ok(interrupt)
    }

    pub fn is_set(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Names the folder that must not outlive the process.
    pub fn will_remove(&self, scratch: &Path) {
        *self.scratch.lock() = Some(scratch.to_path_buf());
    }

    fn end_now(&self) -> ! {
        if let Some(path) = self.scratch.lock().take() {
            scratch::remove(&path);
        }
        std::process::exit(ENDED_BY_SIGINT.into());
    }
}
