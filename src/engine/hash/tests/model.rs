//! Random histories against an ordered map, with files so small that many are merged.

use super::*;
use crate::engine::laws::{check, history};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_hash_engine_is_an_ordered_map(
        steps in history(120),
        file_bytes in 200_u64..8_000,
        merge_dead_percent in 10_u64..=90,
    ) {
        let now_s = || -> Arc<dyn Fn() -> u64 + Send + Sync> { Arc::new(|| 1_000) };
        for inline in [true, false] {
            let disk = Simulated::new(1);
            let open = || {
                let small = Options { inline, file_bytes, merge_dead_percent, ..options() };
                open_with(&disk, Options { now_s: now_s(), ..small }).unwrap()
            };
            check(open(), Some(&open), &steps);
        }
    }
}

/// The head of a batch is a large part of a file that holds one small entry: that is no reason to
/// merge it again and again.
#[test]
fn a_merge_of_little_comes_to_an_end() {
    let disk = Simulated::new(1);
    let engine = open_with(&disk, Options { merge_dead_percent: 10, ..options() }).unwrap();
    engine.commit((0..40).map(|key| put(format!("key{key}"), [1; 100])).collect()).unwrap();
    engine.commit((1..40).map(|key| remove(format!("key{key}"))).collect()).unwrap();
    engine.commit((0..40).map(|key| put(format!("other{key}"), [1; 100])).collect()).unwrap();
    engine.commit(vec![put("last", "1")]).unwrap();
    engine.settle().unwrap();
    let merges = engine.stats().compactions;
    assert!(merges > 0);
    engine.settle().unwrap();
    assert_eq!(engine.stats().compactions, merges, "there was nothing left to give back");
    assert_eq!(everything(&engine).len(), 42);
}
