//! The event log: everything that happened, one line each. Equal seeds give equal bytes.

use std::fmt::{Arguments, Write};
use xxhash_rust::xxh3::Xxh3Default;

/// Where the lines go.
pub enum Log {
    /// Nowhere: the fastest.
    Off,
    /// Into a checksum, for comparing long runs.
    Digest(Box<Xxh3Default>, String),
    Text(String),
}

impl Log {
    pub fn digest() -> Self {
        Log::Digest(Box::default(), String::new())
    }

    pub fn text() -> Self {
        Log::Text(String::new())
    }

    pub(super) fn note(&mut self, now_us: u64, what: Arguments) {
        match self {
            Log::Off => {}
            Log::Digest(digest, line) => {
                line.clear();
                // Writing to a string cannot fail.
                let _ = writeln!(line, "{now_us} {what}");
                digest.update(line.as_bytes());
            }
            Log::Text(text) => {
                let _ = writeln!(text, "{now_us} {what}");
            }
        }
    }

    /// The lines, where they were kept.
    pub fn lines(&self) -> &str {
        match self {
            Log::Text(text) => text,
            Log::Off | Log::Digest(..) => "",
        }
    }

    /// A checksum of all lines; 0 where nothing was logged.
    pub fn sum(&self) -> u64 {
        match self {
            Log::Off => 0,
            Log::Digest(digest, _) => digest.digest(),
            Log::Text(text) => xxhash_rust::xxh3::xxh3_64(text.as_bytes()),
        }
    }
}
