//! Which tables exist, level by level: an immutable snapshot that readers hold.
//!
//! An entry of a level is newer than any entry of the same key in a level below. Within a level,
//! either the tables are disjoint, or they are ordered by their newest sequence number; a job
//! that would break either is refused before it runs (`compaction::check`). So the first table
//! that knows a key is right. These sequence numbers are the order of this engine's own commits.
//! A replayed hint that carries an old version of a record is a new commit here; which version
//! survives was decided above, before the commit.

use super::cache::BlockCache;
use super::merge::Source;
use super::table::Table;
use quorate_strategies::compaction::TableMeta;
use std::ops::Bound;
use std::sync::Arc;

#[derive(Default)]
struct Level {
    /// By key if disjoint, else newest first.
    tables: Vec<Arc<Table>>,
    disjoint: bool,
}

impl Level {
    fn new(mut tables: Vec<Arc<Table>>) -> Self {
        tables.sort_by(|a, b| a.first_key().cmp(b.first_key()));
        let disjoint = tables.windows(2).all(|pair| pair[0].last_key() < pair[1].first_key());
        if !disjoint {
            tables.sort_by_key(|table| std::cmp::Reverse((table.max_sequence(), table.id())));
        }
        Level { tables, disjoint }
    }

    fn candidates(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Table>> {
        let range = if self.disjoint {
            let at = self.tables.partition_point(|table| table.last_key() < key);
            at..(at + 1).min(self.tables.len())
        } else {
            0..self.tables.len()
        };
        self.tables[range].iter().filter(move |table| table.covers(key))
    }
}

#[derive(Default)]
pub struct Version {
    levels: Vec<Level>,
}

impl Version {
    pub fn new(tables: impl IntoIterator<Item = (u32, Arc<Table>)>) -> Self {
        let mut levels: Vec<Vec<Arc<Table>>> = Vec::new();
        for (level, table) in tables {
            let level = level as usize;
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(table);
        }
        Version { levels: levels.into_iter().map(Level::new).collect() }
    }

    /// This version without the tables `removed` and with those of `added`.
    pub fn with(&self, removed: &[u64], added: &[(u32, Arc<Table>)]) -> Self {
        let kept = self.tables().filter(|(_, table)| !removed.contains(&table.id()));
        let kept = kept.map(|(level, table)| (level, Arc::clone(table)));
        Version::new(kept.chain(added.iter().map(|(level, table)| (*level, Arc::clone(table)))))
    }

    pub fn tables(&self) -> impl Iterator<Item = (u32, &Arc<Table>)> {
        let levels = self.levels.iter().enumerate();
        levels.flat_map(|(at, level)| level.tables.iter().map(move |table| (at as u32, table)))
    }

    pub fn metas(&self) -> Vec<TableMeta> {
        self.tables().map(|(level, table)| table.meta(level)).collect()
    }

    /// Tables whose key range holds `key`, in the order in which the first that knows it is right.
    pub fn candidates<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Arc<Table>> {
        self.levels.iter().flat_map(move |level| level.candidates(key))
    }

    pub fn level0_tables(&self) -> usize {
        self.levels.first().map_or(0, |level| level.tables.len())
    }

    pub fn tables_per_level(&self) -> Vec<u64> {
        self.levels.iter().map(|level| level.tables.len() as u64).collect()
    }

    /// Sorted sources over the bounds: one per disjoint level, one per table elsewhere.
    pub fn sources<'a>(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        cache: &'a BlockCache,
    ) -> Vec<Source<'a>> {
        let start = match from {
            Bound::Included(key) | Bound::Excluded(key) => key.to_vec(),
            Bound::Unbounded => Vec::new(),
        };
        let mut sources: Vec<Source<'a>> = Vec::new();
        for level in &self.levels {
            let within = |table: &&Arc<Table>| {
                let not_behind = match to {
                    Bound::Included(key) | Bound::Excluded(key) => table.first_key() <= key,
                    Bound::Unbounded => true,
                };
                not_behind && table.last_key() >= start.as_slice()
            };
            let tables: Vec<_> = level.tables.iter().filter(within).cloned().collect();
            let start = start.clone();
            if level.disjoint {
                let run = tables.into_iter().flat_map(move |table| table.walk(&start, Some(cache)));
                sources.push(Box::new(run));
            } else {
                let each = tables.into_iter().map(|table| table.walk(&start, Some(cache)));
                sources.extend(each.map(|walk| Box::new(walk) as Source<'a>));
            }
        }
        sources
    }
}
