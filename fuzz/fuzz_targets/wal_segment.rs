//! Segments of records that verify but need not make sense, with garbage in between: a replay
//! answers or refuses, and a log that was started behind it is read as it was.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use quorate::engine::disk::{Folder, Simulated};
use quorate::engine::wal::{
    self, Change, Group, Log, Salvage, Seal, SegmentHeader, Settings, segment_name,
};
use std::path::Path;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    /// Its changes, its first sequence number if that is not the next, and the durable one.
    Record {
        changes: Vec<(&'a [u8], Option<&'a [u8]>)>,
        first: Option<u8>,
        durable: u8,
    },
    Garbage(&'a [u8]),
    Zeros(u8),
    Flip {
        back: u8,
        mask: u8,
    },
    /// A new segment, whose header is right if nothing else is said.
    Segment {
        header: Option<Header>,
    },
}

#[derive(Arbitrary, Debug)]
struct Header {
    log_id: u8,
    number: u8,
    previous: u8,
    durable: u8,
    verifies: bool,
}

struct Writer {
    disk: Simulated,
    number: u64,
    seal: Seal,
    bytes: Vec<u8>,
    next: u64,
}

impl Writer {
    fn new() -> Self {
        let disk = Simulated::new(1);
        Writer { disk, number: 0, seal: Seal::new(1, 1), bytes: Vec::new(), next: 1 }
    }

    fn finish(&mut self) {
        if self.number > 0 {
            self.disk.write_raw(&Path::new("/").join(segment_name(self.number)), &self.bytes);
        }
    }

    fn begin(&mut self, header: Option<&Header>) {
        self.finish();
        let previous = self.number;
        self.number = header.map_or(previous + 1, |header| u64::from(header.number) + 1);
        let header = match header {
            None => (1, previous, self.next - 1, true),
            Some(h) => {
                (u64::from(h.log_id), u64::from(h.previous), u64::from(h.durable), h.verifies)
            }
        };
        let (log_id, previous, durable_sequence, verifies) = header;
        let header = SegmentHeader { log_id, number: self.number, previous, durable_sequence };
        self.seal = header.seal();
        self.bytes = header.encode().to_vec();
        if !verifies {
            self.bytes[40] ^= 1;
        }
    }

    fn add(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Segment { header } => self.begin(header.as_ref()),
            Piece::Garbage(bytes) => self.bytes.extend_from_slice(bytes),
            Piece::Zeros(count) => self.bytes.extend(vec![0; usize::from(*count)]),
            Piece::Flip { back, mask } => {
                let at = self.bytes.len().checked_sub(1 + usize::from(*back));
                if let Some(at) = at {
                    self.bytes[at] ^= mask;
                }
            }
            Piece::Record { changes, first, durable } => {
                let first = first.map_or(self.next, |first| u64::from(first) + 1);
                let durable = u64::from(*durable).min(first - 1);
                let mut group = Group::default();
                let change = |(key, value): &(&'_ [u8], Option<&'_ [u8]>)| match value {
                    Some(value) => (key.to_vec(), Some(value.to_vec())),
                    None => (key.to_vec(), None),
                };
                let owned: Vec<_> = changes.iter().map(change).collect();
                let batch = owned.iter().map(|(key, value)| match value {
                    Some(value) => Change::put(key, value),
                    None => Change::remove(key),
                });
                if group.push(batch).is_ok() && group.bytes() > 0 {
                    let at = self.bytes.len() as u64;
                    let (record, next) = group.seal(self.seal, at, first, durable);
                    self.bytes.extend_from_slice(record);
                    self.next = next;
                }
            }
        }
    }
}

fuzz_target!(|input: (u8, bool, Vec<Piece<'_>>)| {
    let (flushed, salvage, pieces) = input;
    let flushed = u64::from(flushed) % 16;
    let mut writer = Writer::new();
    writer.begin(None);
    pieces.iter().take(64).for_each(|piece| writer.add(piece));
    writer.finish();
    let folder = Folder::new(Arc::new(writer.disk.clone()), Path::new("/"));
    let salvage = if salvage { Salvage::Yes } else { Salvage::No };
    let read = |salvage| {
        let mut keys = Vec::new();
        let replayed = wal::replay(&folder, flushed, salvage, |sequence, key, item| {
            keys.push((sequence, key.to_vec(), item.value.to_vec()));
            Ok(())
        });
        replayed.map(|replayed| (replayed, keys))
    };
    let Ok((replayed, found)) = read(salvage) else { return };
    let settings = Settings { segment_bytes: 4_096, spares: 1, log_id: 1, zeros: true };
    let log = Log::start(&folder, settings, &replayed).expect("the disk refuses nothing");
    assert_eq!(log.last_sequence(), replayed.last_sequence);
    drop(log);
    let (again, found_again) = read(Salvage::No).expect("a log that was started can be read");
    assert_eq!(again.last_sequence, replayed.last_sequence);
    assert_eq!(found_again, found);
});
