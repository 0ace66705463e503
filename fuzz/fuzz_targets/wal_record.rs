//! A record's payload whose checksum is right, whatever it holds; and any bytes as a header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::engine::wal::{Changes, Group, RecordHeader, Seal, SegmentHeader, find_headers};
use std::path::Path;

fuzz_target!(|input: (u16, &[u8])| {
    let (count, bytes) = input;
    let seal = Seal::new(1, 1);
    let _ = SegmentHeader::decode(Path::new("segment"), bytes);
    let _ = RecordHeader::read(seal, 0, bytes);
    find_headers(seal, 0, bytes, 0, u64::MAX).for_each(drop);
    let decoded: Option<Vec<_>> = Changes::new(bytes, u32::from(count)).collect();
    let Some(changes) = decoded.filter(|changes| !changes.is_empty()) else { return };
    let mut group = Group::default();
    if group.push(changes.iter().copied()).is_err() {
        return;
    }
    let (record, _) = group.seal(seal, 0, 1, 0);
    let header = RecordHeader::read(seal, 0, record).expect("what was sealed verifies");
    let payload = &record[record.len() - header.payload_bytes..];
    assert!(header.holds(seal, 0, payload));
    let again: Option<Vec<_>> = Changes::new(payload, header.changes).collect();
    assert_eq!(again, Some(changes), "what was decoded is encoded as the same");
});
