//! Tables whose checksums are right and whose contents are not, as a faulty writer would leave
//! them: a verification finds what no checksum can.

use super::block::BlockBuilder;
use super::filter::Filter;
use super::footer::Footer;
use super::index::{IndexBuilder, Place};
use super::keys::common_prefix;
use super::properties::Tally;
use super::section::Sealer;
use super::*;
use crate::engine::disk::Mode;
use bytes::Bytes;

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Swapped,
    /// The second block begins with a key of the first.
    Overlap,
    LowSeparator,
    HighSeparator,
    OtherTopSeparator,
    Gap,
    Bucket,
    Filter,
    Count,
    Expiry,
    FirstKey,
    OtherId,
}

const KEYS: [[&str; 3]; 2] = [["ab", "cd", "ef"], ["mn", "op", "qr"]];

fn keys(fault: Fault) -> [[&'static str; 3]; 2] {
    let mut keys = KEYS;
    match fault {
        Fault::Swapped => keys[1].swap(1, 2),
        Fault::Overlap => keys[1][0] = "ee",
        _ => {}
    }
    keys
}

struct Forge {
    sealer: Sealer,
    bytes: Vec<u8>,
    tally: Tally,
    hashes: Vec<u64>,
    fault: Fault,
}

impl Forge {
    fn section(&mut self, bytes: &[u8]) -> Place {
        let offset = self.bytes.len() as u64;
        self.sealer.seal(bytes, offset, Compression::None, &mut self.bytes);
        Place { offset, bytes: (self.bytes.len() as u64 - offset) as u32 }
    }

    fn block(&mut self, keys: [&str; 3]) -> Place {
        let mut builder = BlockBuilder::new(16);
        let mut last = "";
        for key in keys {
            let item = Item { kind: Kind::Value, expires_s: 7, value: key.as_bytes() };
            let stored = hash(key.as_bytes());
            let wrong = self.fault == Fault::Bucket && key == "op";
            let shared = common_prefix(last.as_bytes(), key.as_bytes());
            builder.add(shared, key.as_bytes(), item, Some(if wrong { !stored } else { stored }));
            self.tally.count(key.as_bytes(), item);
            if self.fault != Fault::Filter || key != "cd" {
                self.hashes.push(stored);
            }
            last = key;
        }
        self.section(builder.finish())
    }

    fn index(&mut self) -> Place {
        let (mut partition, mut top) = (IndexBuilder::default(), IndexBuilder::default());
        for (keys, separator) in keys(self.fault).into_iter().zip(["g", "qr"]) {
            let separator = match (self.fault, separator) {
                (Fault::LowSeparator, "g") => "d",
                (Fault::HighSeparator, "g") => "n",
                (_, separator) => separator,
            };
            let place = self.block(keys);
            partition.add(separator.as_bytes(), place);
            if self.fault == Fault::Gap {
                self.bytes.push(0);
            }
        }
        let place = self.section(partition.finish());
        let separator = if self.fault == Fault::OtherTopSeparator { "z" } else { "qr" };
        top.add(separator.as_bytes(), place);
        self.section(top.finish())
    }

    fn properties(&mut self) -> Properties {
        let mut expiry = self.tally.expiry.clone();
        if self.fault == Fault::Expiry {
            expiry.add(8);
        }
        Properties {
            id: if self.fault == Fault::OtherId { 8 } else { 1 },
            entries: self.tally.entries + u64::from(self.fault == Fault::Count),
            first_key: Bytes::from(if self.fault == Fault::FirstKey { "aa" } else { "ab" }),
            last_key: Bytes::from("qr"),
            raw_key_bytes: self.tally.raw_key_bytes,
            raw_value_bytes: self.tally.raw_value_bytes,
            expiry,
            ..Properties::default()
        }
    }
}

fn forge(folder: &Folder, fault: Fault) {
    let mut forge = Forge {
        sealer: Sealer::new(1),
        bytes: Vec::new(),
        tally: Tally::default(),
        hashes: Vec::new(),
        fault,
    };
    let top = forge.index();
    let filter = Filter::new(&forge.hashes, 20.0).encode();
    let filter = forge.section(&filter);
    let properties = forge.properties().encode();
    let properties = forge.section(&properties);
    forge.bytes.extend_from_slice(&Footer { top, filter, properties }.encode(1));
    folder.open(&name(1), Mode::Create).unwrap().write(&forge.bytes, 0).unwrap();
}

fn verified(fault: Fault) -> Result<Verified, EngineError> {
    let (_dir, folder) = folder();
    forge(&folder, fault);
    open(&folder, 1, false).and_then(|table| verify(&table, |_, _| Ok(())))
}

#[test]
fn a_table_without_a_fault_is_sound() {
    let verified = verified(Fault::None).unwrap();
    assert_eq!((verified.entries, verified.blocks, verified.partitions), (6, 2, 1));
}

#[test]
fn every_fault_is_found_and_named() {
    for (fault, expected, found) in [
        (Fault::Swapped, "a key above the key \"qr\"", "the key \"op\""),
        (Fault::Overlap, "a key above the key \"ef\"", "the key \"ee\""),
        (Fault::LowSeparator, "a separator not below the key \"ef\"", "the key \"d\""),
        (Fault::HighSeparator, "a key above the key \"n\"", "the key \"mn\""),
        (Fault::OtherTopSeparator, "the key \"qr\" in the top index", "the key \"z\""),
        (Fault::Gap, "a section at", "its place in the index"),
        (Fault::Bucket, "a block in which keys are found", "the key \"op\""),
        (Fault::Filter, "a filter that knows all keys", "the key \"cd\""),
        (Fault::Count, "7 entries", "6 entries"),
        (Fault::Expiry, "6 entries", "6 entries"),
        (Fault::FirstKey, "the key \"aa\" that the properties name first", "the key \"ab\""),
        (Fault::OtherId, "properties of this table", "malformed"),
    ] {
        let error = verified(fault).expect_err(&format!("{fault:?}")).to_string();
        let named = error.contains(&format!("expected {expected}")) && error.contains(found);
        assert!(named && error.contains(&name(1)), "{fault:?}: {error}");
    }
}

/// What the caller finds wrong with an entry ends the walk, too.
#[test]
fn an_error_of_the_caller_is_handed_back() {
    let (_dir, folder) = folder();
    forge(&folder, Fault::None);
    let table = open(&folder, 1, false).unwrap();
    let mut seen = 0;
    let result = verify(&table, |key, item| {
        assert_eq!(key, item.value);
        seen += 1;
        if seen < 4 { Ok(()) } else { Err(EngineError::ReadOnly("enough".into())) }
    });
    assert!(result.is_err_and(|error| error.to_string().contains("enough")));
    assert_eq!(seen, 4);
}
