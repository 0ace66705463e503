//! Flipped bits, cut files and misplaced parts: an error that names the file and the place, or no
//! harm. Never a panic, never a wrong value.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::path::PathBuf;

fn model() -> Model {
    let mut model = numbered(60, 20);
    for (at, entry) in model.values_mut().enumerate() {
        match at % 5 {
            0 => *entry = (Kind::Tombstone, 0, Vec::new()),
            1 => entry.1 = 1_000 + at as u64,
            _ => {}
        }
    }
    model
}

/// A small table of several blocks, and where it lies.
fn written(compression: Compression) -> (tempfile::TempDir, Folder, PathBuf) {
    let (dir, folder) = folder();
    let format = Format { block_bytes: 256, compression, ..Format::default() };
    write(&folder, 1, format, &model());
    let path = dir.path().join(name(1));
    (dir, folder, path)
}

fn assert_named(error: &EngineError, what: &str) {
    let text = error.to_string();
    assert!(text.contains(&name(1)), "{what}: {text}");
    match error {
        EngineError::Corrupt { .. } => assert!(text.contains("at byte"), "{what}: {text}"),
        EngineError::Refused { .. } => assert!(text.contains("format"), "{what}: {text}"),
        other => panic!("{what}: {other}"),
    }
}

/// Every answer is an error or right. Says whether anything was noticed.
fn harmless_or_noticed(folder: &Folder, model: &Model, what: &str) -> bool {
    let table = match open(folder, 1, false) {
        Ok(table) => table,
        Err(error) => {
            assert_named(&error, what);
            return true;
        }
    };
    let cache = cache();
    let mut noticed = false;
    for (key, expected) in model {
        match table.get(key, hash(key), &cache) {
            Ok(found) => {
                let found = found.map(|found| (found.kind, found.expires_s, found.value.to_vec()));
                assert_eq!(found.as_ref(), Some(expected), "{what}");
            }
            Err(error) => {
                assert_named(&error, what);
                noticed = true;
            }
        }
    }
    for access in [Access::cached(cache), Access::Bulk] {
        let mut cursor = TableCursor::new(Arc::clone(&table), 0, access);
        match walked(&mut cursor, b"") {
            Ok(found) => assert_eq!(found, *model, "{what}"),
            Err(error) => {
                assert_named(&error, what);
                assert!(!cursor.is_valid(), "{what}");
                noticed = true;
            }
        }
    }
    noticed
}

/// A flipped bit is noticed by who reads what it is in, and a verification finds it wherever it is.
#[test]
fn every_flipped_bit_is_found() {
    for compression in ALL {
        let (_dir, folder, path) = written(compression);
        let (model, bytes) = (model(), std::fs::read(&path).unwrap());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, damaged).unwrap();
            let what = format!("{compression:?}, bit {bit}");
            if bit % 8 == bit / 8 % 8 {
                assert!(harmless_or_noticed(&folder, &model, &what), "{what}");
            }
            let verified = open(&folder, 1, false).and_then(|table| verify(&table, |_, _| Ok(())));
            assert_named(&verified.expect_err(&what), &what);
        }
    }
}

#[test]
fn a_cut_file_is_noticed_wherever_it_ends() {
    let (_dir, folder, path) = written(Compression::Lz4);
    let bytes = std::fs::read(&path).unwrap();
    for len in 0..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = open(&folder, 1, false).err().expect("a footer is missing");
        assert_named(&error, &format!("{len} bytes"));
    }
    let longer = [&bytes[..], &[0; 5]].concat();
    std::fs::write(&path, longer).unwrap();
    assert_named(&open(&folder, 1, false).err().unwrap(), "five bytes too many");
}

/// The table of another number, and a block in the place of another of the same size.
#[test]
fn what_lies_in_the_wrong_place_is_noticed() {
    let (_dir, folder, path) = written(Compression::None);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(path.with_file_name(name(2)), &bytes).unwrap();
    let error = open(&folder, 2, false).err().unwrap().to_string();
    assert!(error.contains("the footer of table 2"), "{error}");

    let table = open(&folder, 1, false).unwrap();
    let places = block_places(&table);
    let other = |(at, len): (usize, usize)| {
        places.iter().find(|place| **place > (at, len) && place.1 == len).map(|place| place.0)
    };
    let pair = places.iter().find_map(|place| Some((*place, other(*place)?)));
    let ((first, len), second) = pair.expect("two blocks of one size");
    let mut swapped = bytes.clone();
    swapped[first..first + len].copy_from_slice(&bytes[second..second + len]);
    swapped[second..second + len].copy_from_slice(&bytes[first..first + len]);
    std::fs::write(&path, swapped).unwrap();
    assert!(harmless_or_noticed(&folder, &model(), "swapped"));
}

/// Offset and bytes of each data block.
fn block_places(table: &Table) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for position in 0..table.top().entries() {
        let place = table.partition_place(position).unwrap().unwrap();
        let partition = table.file().index(place).unwrap();
        for at in 0..partition.entries() {
            let place = partition.place(at).unwrap().unwrap();
            places.push((place.offset as usize, place.bytes as usize));
        }
    }
    places
}

/// One bad block does not take the keys of the others down.
#[test]
fn a_damaged_block_leaves_the_others_alone() {
    let (_dir, folder, path) = written(Compression::None);
    let table = open(&folder, 1, false).unwrap();
    let (at, len) = block_places(&table)[2];
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at + len / 2] ^= 16;
    std::fs::write(&path, bytes).unwrap();
    let (cache, model) = (cache(), model());
    let read = |key: &Vec<u8>| table.get(key, hash(key), &cache);
    let errors = model.keys().filter_map(|key| read(key).err()).collect::<Vec<_>>();
    assert!(!errors.is_empty() && errors.len() < model.len() / 3, "{}", errors.len());
    for error in errors {
        assert!(error.to_string().contains(&format!("at byte {at}")), "{error}");
    }
}

/// Damage at random places of a larger table, several bytes at a time.
#[test]
fn garbage_at_random_places_is_harmless_or_noticed() {
    let (_dir, folder, path) = written(Compression::Zstd);
    let (model, bytes) = (model(), std::fs::read(&path).unwrap());
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for round in 0..300 {
        let mut damaged = bytes.clone();
        let at = random.random_range(0..bytes.len());
        let end = (at + random.random_range(1..40)).min(bytes.len());
        random.fill(&mut damaged[at..end]);
        std::fs::write(&path, damaged).unwrap();
        harmless_or_noticed(&folder, &model, &format!("round {round}, bytes {at} to {end}"));
    }
}
