//! The open streams of clients, and the replies that this round has for each.

use super::inbox::SessionId;
use super::outbox::Outbox;
use crate::wire;
use std::sync::Arc;

struct Session {
    outbox: Arc<Outbox<wire::Reply>>,
    /// Replies of this round; keeps its capacity.
    buffer: Vec<wire::Reply>,
    /// Requests that the node has not answered yet.
    outstanding: usize,
    /// The client sends no more.
    closing: bool,
}

#[derive(Default)]
pub struct Sessions {
    slots: Vec<Option<Session>>,
    free: Vec<SessionId>,
    /// Sessions with something in their buffer.
    dirty: Vec<SessionId>,
}

impl Sessions {
    pub fn open(&mut self, outbox: Arc<Outbox<wire::Reply>>) -> SessionId {
        let session = Session { outbox, buffer: Vec::new(), outstanding: 0, closing: false };
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(session);
            return id;
        }
        self.slots.push(Some(session));
        (self.slots.len() - 1) as SessionId
    }

    /// Ends the stream once nothing is outstanding.
    pub fn close(&mut self, id: SessionId) {
        if let Some(Some(session)) = self.slots.get_mut(id as usize) {
            session.closing = true;
            self.dirty.push(id);
        }
    }

    /// One more request waits for its reply.
    pub fn expect(&mut self, id: SessionId) {
        if let Some(Some(session)) = self.slots.get_mut(id as usize) {
            session.outstanding += 1;
        }
    }

    /// The reply to an expected request.
    pub fn reply(&mut self, id: SessionId, reply: wire::Reply) {
        let Some(Some(session)) = self.slots.get_mut(id as usize) else {
            return;
        };
        session.outstanding = session.outstanding.saturating_sub(1);
        if session.buffer.is_empty() {
            self.dirty.push(id);
        }
        session.buffer.push(reply);
    }

    /// Hands the round's replies to the streams: one lock and one wake for each.
    pub fn flush(&mut self, now_us: u64) {
        while let Some(id) = self.dirty.pop() {
            let Some(session) = &mut self.slots[id as usize] else {
                continue;
            };
            if !session.buffer.is_empty() {
                session.outbox.push(&mut session.buffer, now_us);
            }
            if session.closing && session.outstanding == 0 {
                session.outbox.close();
                self.slots[id as usize] = None;
                self.free.push(id);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::FutureExt;
    use tokio_stream::StreamExt;

    fn reply(tag: u64) -> wire::Reply {
        wire::Reply { tag, outcome: None }
    }

    #[test]
    fn a_closed_session_ends_after_its_last_reply() {
        let mut sessions = Sessions::default();
        let outbox = Outbox::new(usize::MAX);
        let mut batches = outbox.attach();
        let id = sessions.open(outbox);
        sessions.expect(id);
        sessions.expect(id);
        sessions.close(id);
        sessions.reply(id, reply(1));
        sessions.flush(0);
        assert_eq!(batches.next().now_or_never().unwrap().unwrap(), [reply(1)]);
        assert_eq!(batches.next().now_or_never(), None, "one is outstanding");
        sessions.reply(id, reply(2));
        sessions.flush(0);
        assert_eq!(batches.next().now_or_never().unwrap().unwrap(), [reply(2)]);
        assert_eq!(batches.next().now_or_never(), Some(None));
        assert_eq!(sessions.len(), 0);
        assert_eq!(sessions.open(Outbox::new(1)), id, "the slot is used again");
    }
}
