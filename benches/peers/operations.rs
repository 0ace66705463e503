//! What one thread of a row does, one operation after the other.

use crate::Outcome;
use crate::check::ABSENT;
use crate::data::{Values, generator, key, place};
use crate::row::Row;
use crate::settings::Settings;
use crate::stores::Store;
use quorate_workloads::Distribution;
use quorate_workloads::distribution::{KeyChooser, Zipfian};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Records of one `scan-100`.
const SCANNED: usize = 100;

/// An operation gets its number in its thread, from 0.
pub type Operation<'a> = Box<dyn FnMut(u64) -> Outcome<()> + 'a>;

pub struct Operations<'a> {
    pub row: Row,
    pub settings: &'a Settings,
    pub store: &'a dyn Store,
    pub values: &'a Values,
    /// Changes the draws: the round, and a number of its own for warming up.
    pub turn: u32,
}

impl<'a> Operations<'a> {
    /// The operation of one thread.
    pub fn prepare(&self, thread: usize) -> Operation<'a> {
        match self.row {
            Row::Fill | Row::FillSync1 | Row::FillSync16 | Row::Recovery => self.fill(thread),
            Row::Overwrite => self.overwrite(thread),
            Row::ReadHit => self.read(thread),
            Row::ReadMiss => self.miss(thread),
            Row::Scan100 => self.scan(thread),
            Row::YcsbA | Row::YcsbB | Row::YcsbC | Row::YcsbF => self.ycsb(thread),
            Row::ReadWhileWriting if thread == 0 => self.overwrite(thread),
            Row::ReadWhileWriting => self.read(thread),
        }
    }

    /// The threads that write, each its own records: record n is of thread n modulo their number.
    fn writers(&self) -> u64 {
        if self.row == Row::ReadWhileWriting { 1 } else { self.row.threads() as u64 }
    }

    pub fn records_of(&self, thread: usize) -> u64 {
        (self.settings.records - thread as u64).div_ceil(self.writers())
    }

    fn random(&self, thread: usize) -> Xoshiro256PlusPlus {
        generator(self.settings.seed, self.turn, self.row as u64, thread)
    }

    /// Writes a record once: write 0.
    fn fill(&self, thread: usize) -> Operation<'a> {
        let (store, values) = (self.store, self.values);
        let (writers, thread) = (self.writers(), thread as u64);
        let mut value = Vec::new();
        Box::new(move |index| {
            let number = index * writers + thread;
            values.make(number, 0, &mut value);
            store.put(&key(number), &value)
        })
    }

    /// Writes a random record of this thread: writes 1, 2, 3, ...
    fn overwrite(&self, thread: usize) -> Operation<'a> {
        let (store, values) = (self.store, self.values);
        let mut draw = self.overwritten(thread);
        let mut value = Vec::new();
        Box::new(move |index| {
            let number = draw();
            values.make(number, index + 1, &mut value);
            store.put(&key(number), &value)
        })
    }

    fn overwritten(&self, thread: usize) -> impl FnMut() -> u64 + use<'a> {
        let (writers, records) = (self.writers(), self.records_of(thread));
        let mut random = self.random(thread);
        move || random.random_range(0..records) * writers + thread as u64
    }

    fn read(&self, thread: usize) -> Operation<'a> {
        let (store, values, records) = (self.store, self.values, self.settings.records);
        let mut random = self.random(thread);
        Box::new(move |_| read(store, values, random.random_range(0..records)))
    }

    fn miss(&self, thread: usize) -> Operation<'a> {
        let (store, records) = (self.store, self.settings.records);
        let mut random = self.random(thread);
        Box::new(move |_| {
            let number = random.random_range(records..2 * records);
            match store.get(&key(number), &mut |_| Ok(()))? {
                true => Err(format!("record {number} was found and never written").into()),
                false => Ok(()),
            }
        })
    }

    /// Starts within the lower four fifths of the keys, so that there are always enough.
    fn scan(&self, thread: usize) -> Operation<'a> {
        let (store, values, records) = (self.store, self.values, self.settings.records);
        let mut random = self.random(thread);
        Box::new(move |_| {
            let mut number = random.random_range(0..records);
            while place(number) > u64::MAX / 5 * 4 {
                number = random.random_range(0..records);
            }
            scan(store, values, number)
        })
    }

    /// Reads, and where the workload says so writes: only reads for C, a read before each write
    /// for F. Writes of two threads may meet in one record.
    fn ycsb(&self, thread: usize) -> Operation<'a> {
        let (store, values, records) = (self.store, self.values, self.settings.records);
        let (row, reads) = (self.row, self.row.reads_percent());
        let mut random = self.random(thread);
        let law = Distribution::Zipfian(Zipfian::Ycsb);
        let mut keys = KeyChooser::new(law, records, 0, self.settings.seed, thread as u32);
        let mut value = Vec::new();
        Box::new(move |index| {
            let number = keys.draw(records, &mut random);
            let only_reads = random.random_range(0..100) < reads;
            if only_reads || row == Row::YcsbF {
                read(store, values, number)?;
            }
            if only_reads {
                return Ok(());
            }
            values.make(number, index + 1, &mut value);
            store.put(&key(number), &value)
        })
    }

    /// The write that each record must be of, after each thread has done so many operations.
    pub fn expected(&self, operations: &[u64]) -> Vec<u32> {
        if self.row == Row::Overwrite {
            return self.overwrites(operations);
        }
        let writers = self.writers();
        let most = operations.iter().max().copied().unwrap_or(0);
        let written = |number: &u64| number / writers < operations[(number % writers) as usize];
        (0..most * writers).map(|number| if written(&number) { 0 } else { ABSENT }).collect()
    }

    fn overwrites(&self, operations: &[u64]) -> Vec<u32> {
        let mut expected = vec![0; self.settings.records as usize];
        for (thread, count) in operations.iter().enumerate() {
            let mut draw = self.overwritten(thread);
            for index in 0..*count {
                expected[draw() as usize] = (index + 1) as u32;
            }
        }
        expected
    }
}

fn read(store: &dyn Store, values: &Values, number: u64) -> Outcome<()> {
    let mut show = |value: &[u8]| values.check(number, value).map(|_| ());
    match store.get(&key(number), &mut show)? {
        true => Ok(()),
        false => Err(format!("record {number} is missing").into()),
    }
}

/// Begins at a record, which must be the first that is shown; every value is checked.
fn scan(store: &dyn Store, values: &Values, number: u64) -> Outcome<()> {
    let from = key(number);
    let mut last = None;
    let mut each = |found: &[u8], value: &[u8]| {
        let (number, _) = values.read(value)?;
        let place = place(number);
        let in_order = last.is_none_or(|last| last < place);
        if key(number) != *found || !in_order || (last.is_none() && found != from) {
            return Err(format!("record {number} is not where a scan must show it").into());
        }
        last = Some(place);
        Ok(())
    };
    match store.scan(&from, SCANNED, &mut each)? {
        SCANNED => Ok(()),
        count => Err(format!("a scan of {SCANNED} showed {count}").into()),
    }
}
