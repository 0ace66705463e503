//! Whether a store holds what it must, and nothing else.

use crate::Outcome;
use crate::data::{Key, Values, key};
use crate::stores::Store;

const PAGE: usize = 4_096;
/// Stands for the write of a record that must not be there.
pub const ABSENT: u32 = u32::MAX;

/// Walks the whole store: `expected[number]` is the write whose value record `number` must have.
pub fn holds(store: &dyn Store, values: &Values, expected: &[u32]) -> Outcome<()> {
    let mut from = Vec::new();
    let mut last: Option<Key> = None;
    let mut seen = 0;
    loop {
        let mut check = |found: &[u8], value: &[u8]| {
            let found: Key = found.try_into()?;
            if last.is_some_and(|last| last >= found) {
                return Err("a scan is out of order".into());
            }
            let (number, sequence) = values.read(value)?;
            if key(number) != found {
                return Err(format!("the value of record {number} under a foreign key").into());
            }
            let newest = expected.get(number as usize).copied().map(u64::from);
            if newest != Some(sequence) {
                let text = format!("record {number} is of write {sequence}, not {newest:?}");
                return Err(text.into());
            }
            last = Some(found);
            Ok(())
        };
        let count = store.scan(&from, PAGE, &mut check)?;
        seen += count;
        match last {
            Some(last) if count == PAGE => {
                from.clear();
                from.extend_from_slice(&last);
                from.push(0);
            }
            _ => break,
        }
    }
    let written = expected.iter().filter(|sequence| **sequence != ABSENT).count();
    if seen != written {
        return Err(format!("{seen} records found, {written} were written").into());
    }
    Ok(())
}
