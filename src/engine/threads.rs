//! Background threads of an engine.

use super::EngineError;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// What the threads of an engine share.
pub trait Shared: Send + Sync + 'static {
    /// Turns the engine read-only.
    fn fail(&self, error: String);

    /// Tells all threads to end.
    fn end(&self);
}

/// What one thread does until the engine closes or fails.
pub type Work<S> = fn(&S) -> Result<(), EngineError>;

/// Starts threads under these names. An error of one, or its panic, turns the engine read-only: who
/// waits for it must not wait for ever. `dir` is for errors.
pub fn start<S: Shared>(
    shared: &Arc<S>,
    dir: &Path,
    work: &[(&str, Work<S>)],
) -> Result<Vec<JoinHandle<()>>, EngineError> {
    let mut threads = Vec::with_capacity(work.len());
    for (name, work) in work {
        let (shared_by_it, work) = (Arc::clone(shared), *work);
        let thread = Builder::new().name(name.to_string()).spawn(move || {
            let watch = Watch(&*shared_by_it);
            if let Err(error) = work(watch.0) {
                watch.0.fail(error.to_string());
            }
        });
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                shared.end();
                return Err(EngineError::io(dir)(error));
            }
        }
    }
    Ok(threads)
}

/// Lets other threads have the processor first: the calling one and those that it starts get a
/// share that falls by about a fifth with each step from 0 to 19. Linux counts this by thread.
pub fn stand_back(nice: i32) {
    if cfg!(target_os = "linux") && nice > 0 {
        // Not the business of whoever waits for the thread's work: it is done either way.
        if let Err(error) = rustix::process::setpriority_process(None, nice) {
            tracing::debug!(nice, %error, "cannot lower a thread's priority");
        }
    }
}

struct Watch<'a, S: Shared>(&'a S);

impl<S: Shared> Drop for Watch<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("a background thread of the engine panicked".to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Shared for Told {
        fn fail(&self, error: String) {
            self.0.lock().push(error);
        }

        fn end(&self) {}
    }

    #[test]
    fn errors_and_panics_of_threads_are_told() {
        let told = Arc::new(Told::default());
        let work: [(&str, Work<Told>); 3] = [
            ("rests", |_| Ok(())),
            ("fails", |_| Err(EngineError::ReadOnly("enough".into()))),
            ("panics", |_| panic!("on purpose")),
        ];
        for thread in start(&told, Path::new("/db"), &work).unwrap() {
            let _ = thread.join();
        }
        let mut told = told.0.lock().clone();
        told.sort();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("panicked") && told[1].contains("enough"), "{told:?}");
    }
}
