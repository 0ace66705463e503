//! Many threads commit while merges run.

use super::*;
use std::thread;

const THREADS: u32 = 24;
const KEYS: u32 = 8;

/// Each batch fills a file, so that a group fills many while the merges look at them. Every commit
/// is read back at once, and all of them after a new start: a merge that ran beside
/// the commits has dropped nothing.
#[test]
fn what_was_committed_beside_merges_is_there() {
    for sync in [SyncPolicy::Never, SyncPolicy::Interval] {
        let disk = Simulated::new(1);
        let options = || Options { inline: false, file_bytes: 600, sync, ..options() };
        let engine = open_with(&disk, options()).unwrap();
        let rounds = 100;
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let engine = &engine;
                scope.spawn(move || {
                    for round in 0..rounds {
                        let name = format!("{thread}-{}", round % KEYS);
                        let value = format!("{round:0600}");
                        match round % 5 {
                            0 => engine.commit(vec![remove(&name)]).unwrap(),
                            _ => engine.commit(vec![put(&name, &value)]).unwrap(),
                        }
                        let expected = (!round.is_multiple_of(5)).then(|| Bytes::from(value));
                        assert_eq!(engine.get(name.as_bytes()).unwrap(), expected, "{name}");
                    }
                });
            }
        });
        engine.settle().unwrap();
        assert!(engine.stats().compactions > 0);
        let before = everything(&engine);
        engine.close().unwrap();
        assert_eq!(everything(&open_with(&disk, options()).unwrap()), before);
        let last = (0..KEYS).filter(|key| !(rounds - KEYS + key).is_multiple_of(5)).count();
        assert_eq!(before.len(), last * THREADS as usize);
    }
}
