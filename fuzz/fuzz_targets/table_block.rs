//! A block whose checksum is right, whatever it holds: look-ups and walks end.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quorate::engine::table::{Block, BlockCursor, Filter, Properties, hash};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (key, bytes) = input;
    let _ = Properties::decode(bytes);
    if let Some(filter) = Filter::decode(bytes) {
        filter.may_contain(hash(key));
    }
    let Ok(block) = Block::open(Bytes::copy_from_slice(bytes)) else { return };
    let _ = block.get(key, hash(key));
    let _ = block.position(key).map(|index| block.nth(index).map(|_| ()));
    for from_start in [true, false] {
        let mut cursor = BlockCursor::default();
        let block = block.clone();
        let begun = if from_start { cursor.open(block) } else { cursor.open_at(block, key) };
        let (mut steps, mut going) = (0, begun.is_ok());
        while going && cursor.is_valid() {
            let _ = (cursor.key(), cursor.item(), cursor.value());
            steps += 1;
            assert!(steps <= bytes.len(), "an entry takes a byte at least");
            going = cursor.next().is_ok();
        }
    }
});
