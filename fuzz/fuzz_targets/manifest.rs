//! Edits whose checksums are right, whatever they hold, and any bytes behind them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::engine::read_manifest;

fuzz_target!(|input: (Vec<&[u8]>, &[u8])| {
    let (payloads, tail) = input;
    let bytes: usize = payloads.iter().map(|payload| payload.len()).sum();
    if let Ok(tables) = read_manifest(&payloads, tail) {
        assert!(tables <= bytes + tail.len(), "a table takes bytes to name");
    }
});
