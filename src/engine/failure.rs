//! Why an engine takes no more writes.

use super::EngineError;
use std::path::Path;
use std::sync::OnceLock;

/// The first reason is the one kept, until the folder is opened again: a disk that has failed once
/// may have lost what a second success seems to prove.
#[derive(Debug, Default)]
pub struct Failure(OnceLock<String>);

impl Failure {
    /// # Errors
    /// [`EngineError::ReadOnly`] with the reason, once there is one.
    pub fn check(&self) -> Result<(), EngineError> {
        match self.reason() {
            Some(reason) => Err(EngineError::ReadOnly(reason.to_string())),
            None => Ok(()),
        }
    }

    pub fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Returns whether this reason is the first.
    pub fn set(&self, reason: &str) -> bool {
        self.0.set(reason.to_string()).is_ok()
    }

    /// The same after an error, which the operator is told once.
    pub fn set_after(&self, error: &str, dir: &Path) {
        if self.set(error) {
            let dir = dir.display();
            tracing::error!(%error, %dir, "the engine is read-only from now on");
        }
    }
}
