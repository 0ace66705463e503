//! Reading a whole table to see whether it is what it says.

use super::block::{Block, BlockCursor};
use super::hash;
use super::index::Place;
use super::keys::common_prefix;
use super::properties::Tally;
use super::readahead::{Access, BlockReader};
use super::reader::Table;
use crate::engine::EngineError;
use crate::engine::entry::Item;

/// What a sound table consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries, tombstones included.
    pub entries: u64,
    pub tombstones: u64,
    /// Data blocks.
    pub blocks: u64,
    /// Of the index.
    pub partitions: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Reads a table completely, past any cache: every checksum; the order of the keys, within blocks
/// and across them; that the index leads to every block, leaves no byte between them out, and its
/// separators separate; that a point read finds every key; that the filter knows it; and that the
/// properties tell the truth. `entry` sees every entry.
///
/// # Errors
/// The first damage, with file and offset, or the first error of `entry`.
pub fn verify(
    table: &Table,
    entry: impl FnMut(&[u8], Item<'_>) -> Result<(), EngineError>,
) -> Result<Verified, EngineError> {
    verify_on(table, entry, Err)
}

/// The same, but each damage goes to `damage`, as does an error of `entry`; where it is taken, the
/// next block or the next partition is read. What can be compared only where all was read is then
/// not compared: the gap at the damage, and the counts of the properties.
///
/// # Errors
/// Those of `damage`.
pub fn verify_on(
    table: &Table,
    mut entry: impl FnMut(&[u8], Item<'_>) -> Result<(), EngineError>,
    mut damage: impl FnMut(EngineError) -> Result<(), EngineError>,
) -> Result<Verified, EngineError> {
    let mut walk = Walk {
        table,
        reader: BlockReader::new(Access::Bulk),
        last_key: None,
        separator: None,
        tally: Tally::default(),
        end: Some(0),
        damaged: false,
        found: Verified { bytes: table.bytes(), ..Verified::default() },
    };
    for position in 0..table.top().entries() {
        let partition = walk.top_entry(position).and_then(|found| match found {
            Some((separator, place)) => {
                walk.partition(&separator, place, position, &mut entry, &mut damage)
            }
            None => Ok(()),
        });
        walk.go_on(partition, &mut damage)?;
    }
    if !walk.damaged {
        let whole = walk.sections().and_then(|()| walk.counts());
        walk.go_on(whole, &mut damage)?;
    }
    Ok(Verified { entries: walk.tally.entries, tombstones: walk.tally.tombstones, ..walk.found })
}

struct Walk<'a> {
    table: &'a Table,
    reader: BlockReader,
    /// None before the first entry.
    last_key: Option<Vec<u8>>,
    /// Of the last block: what follows is above.
    separator: Option<Vec<u8>>,
    tally: Tally,
    /// Up to here the file is accounted for; None behind a damage, until the next section.
    end: Option<u64>,
    damaged: bool,
    found: Verified,
}

fn shown(key: &[u8]) -> String {
    format!("the key \"{}\"", key.escape_ascii())
}

impl Walk<'_> {
    fn wrong(&self, offset: u64, expected: &str, found: impl Into<String>) -> EngineError {
        self.table.file().corrupt(offset, expected, found)
    }

    /// Sections follow each other without a gap.
    fn follow(&mut self, place: Place) -> Result<(), EngineError> {
        let end = self.end.replace(place.end());
        match end.filter(|end| *end != place.offset) {
            Some(end) => {
                let expected = format!("a section at {end}");
                Err(self.wrong(place.offset, &expected, "its place in the index"))
            }
            None => Ok(()),
        }
    }

    /// Tells a damage. Behind it the file is accounted for anew.
    fn go_on(
        &mut self,
        result: Result<(), EngineError>,
        damage: &mut impl FnMut(EngineError) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let Err(error) = result else { return Ok(()) };
        (self.damaged, self.end) = (true, None);
        damage(error)
    }

    fn top_entry(&self, position: usize) -> Result<Option<(Vec<u8>, Place)>, EngineError> {
        let table = self.table;
        let separator = table.top().separator(position);
        let separator = separator.map_err(table.file().malformed(table.footer().top))?;
        Ok(separator.zip(table.partition_place(position)?))
    }

    fn partition(
        &mut self,
        separator: &[u8],
        place: Place,
        position: usize,
        entry: &mut impl FnMut(&[u8], Item<'_>) -> Result<(), EngineError>,
        damage: &mut impl FnMut(EngineError) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let partition = self.table.file().index(place)?;
        self.found.partitions += 1;
        let mut last_separator = Vec::new();
        for at in 0..partition.entries() {
            let malformed = || self.table.file().malformed(place);
            let block_place = partition.place(at).map_err(malformed())?;
            let separator = partition.separator(at).map_err(malformed())?;
            let (Some(block_place), Some(separator)) = (block_place, separator) else { break };
            let read = self.leaf(&separator, block_place, entry);
            self.go_on(read, damage)?;
            last_separator = separator;
        }
        self.follow(place)?;
        if last_separator != separator {
            let expected = format!("{} in the top index", shown(&last_separator));
            return Err(self.wrong(self.table.footer().top.offset, &expected, shown(separator)));
        }
        let pinned = self.table.pinned(position);
        match pinned.is_none_or(|pinned| pinned.entries() == partition.entries()) {
            true => Ok(()),
            false => Err(self.wrong(place.offset, "the partition in memory", "another one")),
        }
    }

    /// A block, where it lies and what leads to it.
    fn leaf(
        &mut self,
        separator: &[u8],
        place: Place,
        entry: &mut impl FnMut(&[u8], Item<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        self.follow(place)?;
        let block = self.reader.data(self.table, place)?;
        self.block(block, place, entry)?;
        self.separates(separator, place)
    }

    fn block(
        &mut self,
        block: Block,
        place: Place,
        entry: &mut impl FnMut(&[u8], Item<'_>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let table = self.table;
        self.found.blocks += 1;
        let mut cursor = BlockCursor::default();
        cursor.open(block.clone()).map_err(table.file().malformed(place))?;
        while cursor.is_valid() {
            let (key, item) = (cursor.key(), cursor.item());
            self.key(key, place)?;
            let read = block.get(key, hash(key)).map_err(table.file().malformed(place))?;
            if read.is_none_or(|read| read.value != item.value || read.kind != item.kind) {
                return Err(self.wrong(
                    place.offset,
                    "a block in which keys are found",
                    shown(key),
                ));
            }
            self.tally.count(key, item);
            entry(key, item)?;
            cursor.next().map_err(table.file().malformed(place))?;
        }
        Ok(())
    }

    fn key(&mut self, key: &[u8], place: Place) -> Result<(), EngineError> {
        let before = [&self.last_key, &self.separator];
        if let Some(before) = before.into_iter().flatten().find(|before| &before[..] >= key) {
            let expected = format!("a key above {}", shown(before));
            return Err(self.wrong(place.offset, &expected, shown(key)));
        }
        if self.last_key.is_none() && !self.damaged && key != self.table.first_key() {
            let expected =
                format!("{} that the properties name first", shown(self.table.first_key()));
            return Err(self.wrong(place.offset, &expected, shown(key)));
        }
        if !self.table.may_contain(hash(key)) {
            let filter = self.table.footer().filter.offset;
            return Err(self.wrong(filter, "a filter that knows all keys", shown(key)));
        }
        let last = self.last_key.get_or_insert_default();
        last.truncate(common_prefix(last, key));
        last.extend_from_slice(&key[last.len()..]);
        Ok(())
    }

    /// A separator is not below the keys that were read; those that follow are above.
    fn separates(&mut self, separator: &[u8], place: Place) -> Result<(), EngineError> {
        let last = self.last_key.as_deref().unwrap_or_default();
        if separator < last {
            let expected = format!("a separator not below {}", shown(last));
            return Err(self.wrong(place.offset, &expected, shown(separator)));
        }
        self.separator = Some(separator.to_vec());
        Ok(())
    }

    /// The blocks end where the top index begins, and the footer's sections fill the rest.
    fn sections(&mut self) -> Result<(), EngineError> {
        let footer = *self.table.footer();
        for place in [footer.top, footer.filter, footer.properties] {
            self.follow(place)?;
        }
        let end = self.table.bytes() - super::footer::FOOTER_BYTES as u64;
        match self.end.filter(|found| *found != end) {
            None => Ok(()),
            Some(found) => {
                let expected = format!("a footer at {found}");
                Err(self.wrong(found, &expected, format!("it at {end}")))
            }
        }
    }

    fn counts(&mut self) -> Result<(), EngineError> {
        let told = self.table.properties();
        self.tally.expiry.shrink();
        let read = &self.tally;
        let same = told.entries == read.entries
            && told.tombstones == read.tombstones
            && told.raw_key_bytes == read.raw_key_bytes
            && told.raw_value_bytes == read.raw_value_bytes
            && told.expiry == read.expiry
            && told.blob_references == read.blob_references()
            && self.last_key.as_deref() == Some(&told.last_key[..]);
        if same {
            return Ok(());
        }
        let expected =
            format!("{} entries, {} tombstones, and more: {told:?}", told.entries, told.tombstones);
        let found = format!("{} entries, {} tombstones: {read:?}", read.entries, read.tombstones);
        Err(self.wrong(self.table.footer().properties.offset, &expected, found))
    }
}
