//! Files of former tables that become new ones.

use super::*;
use crate::engine::disk::Mode;

fn kept(folder: &Folder) -> Vec<String> {
    let names = folder.list().unwrap();
    names.into_iter().filter(|name| is_spare(name)).collect()
}

fn retire(table: Arc<Table>, spares: &Arc<Spares>) {
    table.retire(spares);
    drop(table);
}

/// Table `id` in the file that the spares give for it.
fn built_over(spares: &Spares, folder: &Folder, id: u64, model: &Model) -> Arc<Table> {
    let file = spares.create(&name(id), u64::MAX, 0).unwrap();
    let mut builder =
        TableBuilder::write_over(file, folder, &name(id), id, Format::default()).unwrap();
    model.iter().for_each(|(key, entry)| builder.add(key, item(entry)).unwrap());
    let bytes = builder.finish(&Origin::default()).unwrap();
    let table = open(folder, id, false).unwrap();
    assert_eq!(table.bytes(), bytes);
    table
}

#[test]
fn a_former_table_becomes_a_new_one_of_any_length() {
    for (former, new) in [(3_000, 2_000), (2_000, 3_000), (20_000, 20_000), (20_000, 1)] {
        let (_dir, folder) = folder();
        let spares = Arc::new(Spares::new(&folder, 10 << 20));
        let table = build(&folder, 1, Format::default(), &numbered(former, 50));
        let bytes = table.bytes();
        retire(table, &spares);
        assert_eq!((kept(&folder).len(), spares.bytes()), (1, bytes));
        let model = numbered(new, 40);
        let table = built_over(&spares, &folder, 2, &model);
        assert_eq!((folder.list().unwrap(), spares.bytes()), (vec![name(2)], 0));
        let mut cursor = TableCursor::bulk(table, 0);
        assert_eq!(walked(&mut cursor, b"").unwrap(), model);
    }
}

#[test]
fn the_spare_of_the_nearest_length_is_taken() {
    let (_dir, folder) = folder();
    let spares = Arc::new(Spares::new(&folder, 10 << 20));
    let lengths: Vec<u64> = [(1, 100), (2, 4_000), (3, 1_000)]
        .map(|(id, count)| {
            let table = build(&folder, id, Format::default(), &numbered(count, 50));
            let bytes = table.bytes();
            retire(table, &spares);
            bytes
        })
        .to_vec();
    let taken = spares.create(&name(4), lengths[2] + 10, 0).unwrap();
    assert_eq!(taken.bytes().unwrap(), lengths[2]);
    assert_eq!(spares.create(&name(5), u64::MAX, 0).unwrap().bytes().unwrap(), lengths[1]);
    let half = lengths[0] / 2;
    let taken = |id, bytes| spares.create(&name(id), bytes, 0).unwrap().bytes().unwrap();
    assert_eq!(taken(6, half - 1), 0, "a new file: most of the spare would be cut off");
    let taken_leaving = |bytes| {
        let spare = spares.create(&name(9), half, bytes).unwrap();
        spare.bytes().unwrap()
    };
    assert_eq!(taken_leaving(1), 0, "a new file: others are to have what is left");
    assert_eq!(taken(7, half), lengths[0]);
    assert_eq!(taken(8, half), 0, "a new file: no spare is left");
}

#[test]
fn no_more_are_kept_than_allowed() {
    let (_dir, folder) = folder();
    let table = |id| build(&folder, id, Format::default(), &numbered(1_000, 50));
    let bytes = table(1).bytes();
    let spares = Arc::new(Spares::new(&folder, 2 * bytes + 1_000));
    (2..6).for_each(|id| retire(table(id), &spares));
    assert_eq!(kept(&folder).len(), 2);
    assert_eq!(folder.list().unwrap().len(), 3, "and table 1");
    spares.give_up();
    retire(table(6), &spares);
    assert_eq!((folder.list().unwrap(), spares.bytes()), (vec![name(1)], 0));
}

#[test]
fn the_next_life_takes_them_over_as_far_as_it_may() {
    let (_dir, folder) = folder();
    let spares = Arc::new(Spares::new(&folder, u64::MAX));
    for id in 1..4 {
        retire(build(&folder, id, Format::default(), &numbered(1_000, 50)), &spares);
    }
    let bytes = spares.bytes();
    let next = Spares::new(&folder, u64::MAX);
    next.adopt().unwrap();
    assert_eq!(next.bytes(), bytes);
    let frugal = Spares::new(&folder, bytes / 2);
    frugal.adopt().unwrap();
    assert_eq!((kept(&folder).len(), frugal.bytes()), (1, bytes / 3));
}

#[test]
fn files_of_others_are_left_alone_and_a_spare_that_is_gone_is_not_missed() {
    let (dir, folder) = folder();
    let strangers = ["notes.retired", "7.retired", "000000000007.old.retired", ".retired"];
    for name in strangers {
        std::fs::write(dir.path().join(name), "theirs").unwrap();
    }
    let spares = Arc::new(Spares::new(&folder, u64::MAX));
    spares.adopt().unwrap();
    assert_eq!(spares.bytes(), 0);
    retire(build(&folder, 1, Format::default(), &numbered(1_000, 50)), &spares);
    std::fs::remove_file(dir.path().join("000000000001.retired")).unwrap();
    built_over(&spares, &folder, 2, &numbered(1_000, 50));
    for name in strangers {
        assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), b"theirs", "{name}");
    }
}

/// What has a second name is somebody's copy.
#[test]
fn a_file_with_another_name_is_never_written_over() {
    let (dir, folder) = folder();
    let spares = Arc::new(Spares::new(&folder, u64::MAX));
    let model = numbered(1_000, 50);
    let table = build(&folder, 1, Format::default(), &model);
    let copy = dir.path().join("copy");
    std::fs::hard_link(dir.path().join(name(1)), &copy).unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    retire(table, &spares);
    assert!(kept(&folder).is_empty());
    built_over(&spares, &folder, 2, &numbered(2_000, 70));
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    assert!(folder.open(&name(1), Mode::Read).is_err());
}
