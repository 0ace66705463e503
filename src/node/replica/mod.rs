//! The replica: what this node holds for the keys that it owns.
//!
//! ```text
//!                          key busy loading: wait in its latch
//!   Apply, Merge ──► Load ─────────► resolve ──Applied──► coordinator
//!                     ▲                 │
//!     key has a latch └─── skipped      └──► Save ──durable──► Stored
//!   Read ──► Load ──► Found                             durable records only
//! ```
//!
//! A latch keeps the newest record of its key while saves are in flight, so that the next change of
//! a hot key builds on it without waiting for the disk; the group commit then takes them all at
//! once.
//!
//! # Invariants
//!
//! * Changes of one key are made one after the other, each on the outcome of the one before.
//! * `Stored` is said only of what is durable here; a merge that changes nothing waits for the save
//!   of what it equals, if that one is still in flight.
//! * A read sees what the engine has: never a record that a crash could take back.
//! * After a save that failed nothing is changed any more, for the rest of this life.
//! * Work of a stale epoch, of a key that is not owned, or past its deadline is refused before
//!   anything is changed.

mod latch;

use super::table::Table;
use super::transit::Sender;
use super::turn::Turn;
use super::{Effect, InFlight, Ticket};
use crate::hash::KeyHash;
use crate::message::{Message, Refused, RequestId};
use bytes::Bytes;
use latch::{Job, Latch, Work};
use quorate_strategies::NodeId;
use quorate_strategies::conflict::Record;
use std::collections::HashMap;

/// The longest record, siblings and all: half of what one message between nodes may have.
const RECORD_BYTES: usize = 32 << 20;

pub(super) struct Replica {
    latches: HashMap<Bytes, Latch, KeyHash>,
    loads: Table<Load>,
    saves: Table<Save>,
    /// Changes that wait in latches.
    queued: usize,
    /// What may be in flight or queued before this replica answers "overloaded".
    limit: usize,
    /// Since the first save that failed. What this replica had stamped by then is held by others
    /// and not by its own disk: whatever it stamped next would build on less than they have.
    read_only: bool,
}

/// Whom a load concerns.
enum Load {
    /// A Read.
    Look { from: NodeId, id: RequestId, expires_us: u64 },
    /// The changes that wait in the key's latch.
    Open { key: Bytes },
}

/// Whom a save concerns.
struct Save {
    key: Bytes,
    from: NodeId,
    id: RequestId,
    /// Merges that equal what is being saved.
    also: Vec<(NodeId, RequestId)>,
}

impl Replica {
    /// Every coordinator may have its full number of requests here.
    pub fn new(sequence: u64, coordinators: usize, in_flight_each: usize) -> Self {
        Replica {
            latches: HashMap::with_hasher(KeyHash::seeded(sequence)),
            loads: Table::new(sequence),
            // Far enough away that no ticket names both a load and a save.
            saves: Table::new(sequence ^ (1 << 43)),
            queued: 0,
            limit: in_flight_each.saturating_mul(coordinators).min(super::IN_FLIGHT_MAX),
            read_only: false,
        }
    }

    /// Whether this replica refuses all changes, for the rest of its life.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub fn in_flight(&self) -> InFlight {
        InFlight {
            loads: self.loads.len(),
            saves: self.saves.len(),
            queued: self.queued,
            ..InFlight::default()
        }
    }

    /// A coordinator asks: an Apply, a Merge or a Read.
    pub fn request(&mut self, turn: &mut Turn, from: NodeId, sender: Sender, message: Message) {
        let (id, key, deadline_us, job) = match message {
            Message::Apply { id, key, change, context, deadline_us } => {
                (id, key, deadline_us, Some(Job::Apply { change, context }))
            }
            Message::Merge { id, key, record, deadline_us } => {
                (id, key, deadline_us, Some(Job::Merge { record }))
            }
            Message::Read { id, key, deadline_us } => (id, key, deadline_us, None),
            _ => return,
        };
        // First of all: every other refusal says that the write was certainly not stamped here.
        if !sender.knows_us && matches!(job, Some(Job::Apply { .. })) {
            return refuse(turn, from, id, Refused::FormerLife);
        }
        if let Err(reason) = self.admit(turn, &key, sender.epoch) {
            return refuse(turn, from, id, reason);
        }
        if self.read_only && job.is_some() {
            return refuse(turn, from, id, Refused::ReadOnly);
        }
        let expires_us = sender.own_us(deadline_us);
        match job {
            Some(job) => self.change(turn, key, Work { from, id, expires_us, job }),
            None => {
                let ticket = self.loads.insert(Load::Look { from, id, expires_us });
                turn.out.push(Effect::Load { ticket, key });
            }
        }
    }

    fn admit(&self, turn: &Turn, key: &[u8], epoch: u64) -> Result<(), Refused> {
        let own_epoch = turn.routing.epoch();
        if epoch < own_epoch {
            return Err(Refused::StaleEpoch { epoch: own_epoch });
        }
        if !turn.routing.owners(key).contains(&turn.settings.id) {
            return Err(Refused::NotOwner);
        }
        if self.loads.len() + self.saves.len() + self.queued >= self.limit {
            return Err(Refused::Overloaded);
        }
        Ok(())
    }

    /// Takes a change: at once where the key's newest record is at hand, else after loading it.
    fn change(&mut self, turn: &mut Turn, key: Bytes, work: Work) {
        match self.latches.get_mut(&key) {
            None => self.load(turn, key, work),
            Some(latch) if latch.loading => {
                latch.waiting.push_back(work);
                self.queued += 1;
            }
            Some(latch) => resolve(turn, latch, &mut self.saves, &key, work),
        }
    }

    fn load(&mut self, turn: &mut Turn, key: Bytes, work: Work) {
        let mut latch = Latch { loading: true, ..Latch::default() };
        latch.waiting.push_back(work);
        self.queued += 1;
        self.latches.insert(key.clone(), latch);
        let ticket = self.loads.insert(Load::Open { key: key.clone() });
        turn.out.push(Effect::Load { ticket, key });
    }

    pub fn loaded(
        &mut self,
        turn: &mut Turn,
        ticket: Ticket,
        result: Result<Option<Bytes>, String>,
    ) {
        let result = result.and_then(decode);
        match self.loads.remove(ticket) {
            Some(Load::Open { key }) => self.open(turn, key, result),
            Some(Load::Look { from, id, expires_us }) => match result {
                Err(error) => refuse(turn, from, id, Refused::Storage(error)),
                Ok(_) if is_expired(turn, expires_us) => refuse(turn, from, id, Refused::Expired),
                Ok(record) => turn.send(from, Message::Found { id, record }),
            },
            None => {}
        }
    }

    /// The key's record is here: make the changes that waited for it, in order.
    fn open(&mut self, turn: &mut Turn, key: Bytes, result: Result<Option<Record>, String>) {
        let Some(latch) = self.latches.get_mut(&key) else { return };
        let waiting = std::mem::take(&mut latch.waiting);
        self.queued -= waiting.len();
        latch.loading = false;
        match result {
            Ok(_) if self.read_only => {
                for work in waiting {
                    refuse(turn, work.from, work.id, Refused::ReadOnly);
                }
            }
            Ok(record) => {
                latch.record = record;
                for work in waiting {
                    resolve(turn, latch, &mut self.saves, &key, work);
                }
            }
            Err(error) => {
                for work in waiting {
                    refuse(turn, work.from, work.id, Refused::Storage(error.clone()));
                }
            }
        }
        if latch.is_idle() {
            self.latches.remove(&key);
        }
    }

    pub fn saved(&mut self, turn: &mut Turn, ticket: Ticket, result: Result<(), String>) {
        let Some(save) = self.saves.remove(ticket) else { return };
        self.read_only |= result.is_err();
        let asked = std::iter::once((save.from, save.id)).chain(save.also);
        for (from, id) in asked {
            match &result {
                Ok(()) => turn.send(from, Message::Stored { id }),
                Err(error) => refuse(turn, from, id, Refused::Storage(error.clone())),
            }
        }
        let Some(latch) = self.latches.get_mut(&save.key) else { return };
        latch.saves -= 1;
        if latch.is_idle() {
            self.latches.remove(&save.key);
        }
    }
}

/// Makes one change on the key's newest record, and saves the outcome if it is another.
fn resolve(turn: &mut Turn, latch: &mut Latch, saves: &mut Table<Save>, key: &Bytes, work: Work) {
    let Work { from, id, expires_us, job } = work;
    if is_expired(turn, expires_us) {
        return refuse(turn, from, id, Refused::Expired);
    }
    let (held, stamps) = (latch.record.as_ref(), matches!(job, Job::Apply { .. }));
    let made = match job {
        Job::Apply { change, context } => {
            let stamp = match turn.stamp() {
                Ok(stamp) => stamp,
                Err(reason) => return refuse(turn, from, id, reason),
            };
            let record = turn.resolver.apply(held, &change, context.as_deref(), stamp);
            record.map_err(|refusal| refusal.to_string())
        }
        Job::Merge { record } => Ok(match held {
            None => record,
            Some(held) => turn.resolver.merge(held, &record),
        }),
    };
    let record = match made.and_then(bounded) {
        Ok(record) => record,
        Err(why) => return refuse(turn, from, id, Refused::Resolver(why)),
    };
    if stamps {
        turn.send(from, Message::Applied { id, record: record.clone() });
    }
    if latch.record.as_ref() == Some(&record) {
        turn.counters.unchanged += 1;
        return confirm_unchanged(turn, latch, saves, from, id);
    }
    let save = Save { key: key.clone(), from, id, also: Vec::new() };
    let ticket = saves.insert(save);
    latch.saves += 1;
    latch.last_save = ticket;
    turn.out.push(Effect::Save { ticket, key: key.clone(), record: record.encode() });
    latch.record = Some(record);
}

/// Refuses a record that could not travel.
fn bounded(record: Record) -> Result<Record, String> {
    let bytes = record.encoded_len();
    if bytes <= RECORD_BYTES {
        return Ok(record);
    }
    Err(format!("all values of the key together have {bytes} bytes; allowed: {RECORD_BYTES}"))
}

/// What is held already is durable, or will be with the last save in flight.
fn confirm_unchanged(
    turn: &mut Turn,
    latch: &Latch,
    saves: &mut Table<Save>,
    from: NodeId,
    id: RequestId,
) {
    match saves.get_mut(latch.last_save) {
        Some(save) => save.also.push((from, id)),
        None => turn.send(from, Message::Stored { id }),
    }
}

fn decode(bytes: Option<Bytes>) -> Result<Option<Record>, String> {
    bytes.map(Record::decode).transpose().map_err(|malformed| malformed.to_string())
}

fn is_expired(turn: &Turn, expires_us: u64) -> bool {
    turn.now.mono_us >= expires_us
}

/// Tells the coordinator that its request was not done here, and counts why.
fn refuse(turn: &mut Turn, to: NodeId, id: RequestId, reason: Refused) {
    match reason {
        Refused::StaleEpoch { .. } => turn.counters.refused_stale_epoch += 1,
        Refused::NotOwner => turn.counters.refused_not_owner += 1,
        Refused::Overloaded => turn.counters.refused_overloaded += 1,
        Refused::Expired | Refused::FormerLife => turn.counters.refused_expired += 1,
        Refused::Resolver(_) => turn.counters.refused_resolver += 1,
        Refused::ReadOnly | Refused::Storage(_) => turn.counters.refused_storage += 1,
        Refused::ClockAhead { .. } => turn.counters.refused_clock += 1,
    }
    turn.send(to, Message::Refused { id, reason });
}
