//! What a world counts: for reports, and for the speed of the simulator itself.

use super::network::Packet;
use crate::message::Message;
use crate::wire;
use prost::Message as _;

/// Counts since the world began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Happenings that were taken from the agenda.
    pub happenings: u64,
    /// Inputs that nodes took.
    pub steps: u64,
    pub packets: u64,
    /// Messages in those packets, by what they are for.
    pub request_messages: u64,
    pub heartbeats: u64,
    pub gossip_messages: u64,
    /// Packets that a link lost.
    pub lost: u64,
    /// Bytes of all packets and of those with gossip; counted only where [`Tally::weigh`] was
    /// called, since encoding costs more than everything else.
    pub bytes: u64,
    pub gossip_bytes: u64,
    weighs: bool,
}

impl Tally {
    /// Counts bytes from now on.
    pub fn weigh(&mut self) {
        self.weighs = true;
    }

    pub(super) fn sent(&mut self, packet: &Packet) {
        self.packets += 1;
        let mut gossips = false;
        for message in &packet.messages {
            match message {
                Message::Heartbeat { .. } => self.heartbeats += 1,
                Message::Gossip { .. } | Message::GossipReply { .. } => {
                    self.gossip_messages += 1;
                    gossips = true;
                }
                _ => self.request_messages += 1,
            }
        }
        if self.weighs {
            let bytes = packet.bytes();
            self.bytes += bytes;
            self.gossip_bytes += if gossips { bytes } else { 0 };
        }
    }
}

impl Packet {
    /// Its size on the wire between real nodes, without the headers of HTTP/2, TCP and IP.
    pub fn bytes(&self) -> u64 {
        let encoded = self.messages.iter().cloned().map(wire::encode_message).collect();
        wire::encode_batch(self.header, 0, encoded).encoded_len() as u64
    }
}
