//! Random histories against an ordered map.

use super::*;
use crate::engine::laws::{check, history};
use proptest::prelude::*;
use quorate_strategies::compaction::Compaction;
use quorate_strategies::{Choice, Family};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_lsm_is_an_ordered_map(steps in history(120)) {
        let run = |picker: &dyn Fn() -> Box<dyn Picker>| {
            let dir = folder();
            let open = || open_with(options(), dir.path(), picker()).unwrap();
            check(open(), Some(&open), &steps);
        };
        run(&|| Box::new(Cascade));
        for entry in Compaction::entries() {
            run(&|| Choice::<Compaction>::named(entry.name).unwrap().build());
        }
    }
}
