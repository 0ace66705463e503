//! What may be found after a crash.

use crate::engine::Write;
use bytes::Bytes;
use std::collections::BTreeMap;

pub type Map = BTreeMap<Bytes, Bytes>;

/// The commits since the last state that is known to be durable, in their order.
#[derive(Clone, Default)]
pub struct Model {
    durable: Map,
    behind: Vec<Vec<Write>>,
    /// Failed or cut short: it may be there, whole, or not.
    unanswered: Option<Vec<Write>>,
    now: Map,
}

pub fn apply(map: &mut Map, batch: &[Write]) {
    for write in batch {
        match write {
            Write::Put { key, value } | Write::PutUntil { key, value, .. } => {
                map.insert(key.clone(), value.clone())
            }
            Write::Remove { key } => map.remove(key),
        };
    }
}

impl Model {
    /// What was acknowledged, all of it.
    pub fn now(&self) -> &Map {
        &self.now
    }

    pub fn acknowledge(&mut self, batch: Vec<Write>) {
        apply(&mut self.now, &batch);
        self.behind.push(batch);
    }

    pub fn leave_unanswered(&mut self, batch: Vec<Write>) {
        self.unanswered = Some(batch);
    }

    /// Whether reads may see this: what was acknowledged, with or without what was not answered.
    pub fn shows(&self, found: &Map) -> bool {
        let mut with = self.now.clone();
        apply(&mut with, self.unanswered.as_deref().unwrap_or_default());
        *found == self.now || *found == with
    }

    /// Everything that was acknowledged survives whatever comes.
    pub fn make_durable(&mut self) {
        self.behind.clear();
        self.durable.clone_from(&self.now);
    }

    /// Commits that may be lost.
    pub fn behind(&self) -> usize {
        self.behind.len()
    }

    /// Compares what a new life finds, and tells how many of the commits that may be lost are
    /// there. `lossless`: the process has died, the power has not failed.
    pub fn judge(&mut self, found: &Map, lossless: bool) -> Result<usize, String> {
        let acknowledged = self.behind.len();
        self.behind.extend(self.unanswered.take());
        let least = if lossless { acknowledged } else { 0 };
        let (mut state, mut fits) = (self.durable.clone(), None);
        let mut nearest = (usize::MAX, String::new());
        for kept in 0..=self.behind.len() {
            if kept > 0 {
                apply(&mut state, &self.behind[kept - 1]);
            }
            if kept < least {
                continue;
            }
            let (differences, first) = compare(&state, found);
            if differences == 0 {
                fits = Some(kept);
            } else if differences < nearest.0 {
                nearest = (differences, format!("after {kept} of them {first}"));
            }
        }
        let Some(kept) = fits else {
            let of = self.behind.len();
            return Err(format!(
                "no first {least} to {of} of the commits that were not durable explain what is \
                 found; nearest, with {} differences: {}",
                nearest.0, nearest.1
            ));
        };
        self.behind.truncate(kept);
        self.now.clone_from(found);
        Ok(kept)
    }
}

/// The number of keys that differ, and the first of them.
pub fn compare(expected: &Map, found: &Map) -> (usize, String) {
    let show = |value: Option<&Bytes>| match value {
        None => "nothing".to_string(),
        Some(value) => {
            let bytes = value.len();
            let start = String::from_utf8_lossy(&value[..bytes.min(16)]).into_owned();
            format!("{start:?} ({bytes} bytes)")
        }
    };
    let keys = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
    let differ: Vec<_> = keys.filter(|key| expected.get(*key) != found.get(*key)).collect();
    let first = differ.first().map_or(String::new(), |key| {
        let (expected, found) = (show(expected.get(*key)), show(found.get(*key)));
        format!("key {:?} should be {expected} and is {found}", String::from_utf8_lossy(key))
    });
    (differ.len(), first)
}
