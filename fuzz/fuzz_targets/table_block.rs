//! A block whose checksum is right, whatever it holds: look-ups and walks end.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quorate::engine::table::{Block, BlockCursor, Filter, Footer, Properties, hash};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (key, bytes) = input;
    let _ = Footer::decode(bytes);
    let _ = Properties::decode(bytes);
    if let Some(filter) = Filter::decode(bytes) {
        filter.may_contain(hash(key));
    }
    let Some(block) = Block::decode(Bytes::copy_from_slice(bytes)) else { return };
    let _ = block.get(key, hash(key));
    let _ = block.lower_bound(key);
    let mut cursor = BlockCursor::default();
    cursor.open(block);
    for from_start in [true, false] {
        let begun = if from_start { cursor.seek_first() } else { cursor.seek(key) };
        let mut steps = 0;
        let mut going = begun.is_ok();
        while going && cursor.is_valid() {
            let _ = (cursor.key(), cursor.item(), cursor.value());
            steps += 1;
            assert!(steps <= bytes.len(), "an entry takes a byte at least");
            going = cursor.next().is_ok();
        }
    }
});
