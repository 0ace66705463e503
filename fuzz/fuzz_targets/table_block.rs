//! A block whose checksum is right, whatever it holds: look-ups and walks end.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quorate::engine::table::{Block, BlockCursor, Filter, Index, Properties, hash};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (key, bytes) = input;
    let _ = Properties::decode(bytes);
    if let Some(filter) = Filter::decode(bytes) {
        filter.may_contain(hash(key));
    }
    if let Ok(index) = Index::open(Bytes::copy_from_slice(bytes)) {
        let at = index.position(key).unwrap_or_default();
        assert!(at <= index.entries());
        let _ = (index.place(at), index.separator(at));
    }
    let Ok(block) = Block::open(Bytes::copy_from_slice(bytes)) else { return };
    let _ = block.get(key, hash(key));
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
