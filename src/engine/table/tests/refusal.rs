//! What a builder and a reader refuse, and how they say it.

use super::*;

fn refused<T>(result: Result<T, EngineError>) -> String {
    match result {
        Err(error @ EngineError::Refused { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    }
}

#[test]
fn keys_that_do_not_ascend() {
    let (_dir, folder) = folder();
    for (last, key) in [("b", "a"), ("b", "b"), ("ab", "a"), ("", "")] {
        let mut builder = TableBuilder::create(&folder, &name(1), 1, Format::default()).unwrap();
        let value = (Kind::Value, 0, vec![1]);
        builder.add(last.as_bytes(), item(&value)).unwrap();
        let error = refused(builder.add(key.as_bytes(), item(&value)));
        assert!(
            error.contains(&format!("key \"{key}\" does not come after \"{last}\"")),
            "{error}"
        );
        assert!(error.contains(&name(1)), "{error}");
    }
}

#[test]
fn a_table_without_entries() {
    let (_dir, folder) = folder();
    let builder = TableBuilder::create(&folder, &name(1), 1, Format::default()).unwrap();
    let error = refused(builder.finish(&Origin::default()));
    assert!(error.contains("without entries"), "{error}");
    assert!(folder.list().unwrap().is_empty());
}

#[test]
fn another_format() {
    let (dir, folder) = folder();
    write(&folder, 1, Format::default(), &numbered(10, 10));
    let path = dir.path().join(name(1));
    let bytes = std::fs::read(&path).unwrap();
    for (version, age) in [(1u32, "an older"), (3, "a newer")] {
        let mut other = bytes.clone();
        let at = other.len() - 16;
        other[at..at + 4].copy_from_slice(&version.to_le_bytes());
        std::fs::write(&path, other).unwrap();
        let error = refused(open(&folder, 1, false));
        let expected =
            format!("{age} format of tables, {version}; this build reads format {FORMAT_VERSION}");
        assert!(error.contains(&expected) && error.contains(&name(1)), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let (_dir, folder) = folder();
    let error = open(&folder, 1, false).err().unwrap().to_string();
    assert!(error.contains(&name(1)), "{error}");
}
