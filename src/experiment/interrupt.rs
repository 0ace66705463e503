//! Ctrl-C: the first one asks the run to end after what it is doing, the second one ends the
//! process.

use super::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a program that SIGINT ended.
const ENDED_BY_SIGINT: i32 = 130;

/// Whether the user wants the run to end. Copies share the answer.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for SIGINT and SIGTERM on a thread of its own until the process ends.
    ///
    /// A second signal ends the process at once; the kernel then kills the nodes, which asked for
    /// it.
    pub fn install() -> Result<Interrupt, Error> {
        let interrupt = Interrupt::default();
        let flag = interrupt.clone();
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
                if flag.0.swap(true, Ordering::Relaxed) {
                    std::process::exit(ENDED_BY_SIGINT);
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_string());
        thread.spawn(move || runtime.block_on(listen)).map_err(failed)?;
        Ok(interrupt)
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
