//! Messages between nodes: the domain's types to protobuf and back.
//!
//! A record travels in its canonical encoding, so what a peer stores is what was sent, to the byte.

use super::convert::Malformed;
use super::{
    Applied, Apply, Digest, Found, Gossip, GossipReply, Heartbeat, MemberState, Merge, PeerBatch,
    PeerMessage, Read, Refused, Stored, apply, peer_message::Body, refused,
};
use crate::message::{self, Header, Heard, Message};
use bytes::Bytes;
use quorate_strategies::NodeId;
use quorate_strategies::conflict::{Change, Payload, Record};

/// A batch as bytes' structure. `fingerprint` tells whether both nodes were configured alike.
pub fn encode_batch(header: Header, fingerprint: u64, messages: Vec<PeerMessage>) -> PeerBatch {
    PeerBatch {
        from: header.from.0,
        to: header.to.0,
        epoch: header.epoch,
        clock: header.clock,
        incarnation: header.incarnation,
        sent_us: header.sent_us,
        wall_us: header.wall_us,
        sequence: header.sequence,
        heard_incarnation: header.heard.incarnation,
        heard_sent_us: header.heard.sent_us,
        fingerprint,
        messages,
    }
}

/// What holds for all messages of a batch.
pub fn decode_header(batch: &PeerBatch) -> Header {
    Header {
        from: NodeId(batch.from),
        to: NodeId(batch.to),
        epoch: batch.epoch,
        clock: batch.clock,
        incarnation: batch.incarnation,
        sent_us: batch.sent_us,
        wall_us: batch.wall_us,
        sequence: batch.sequence,
        heard: Heard { incarnation: batch.heard_incarnation, sent_us: batch.heard_sent_us },
    }
}

/// A message as bytes' structure.
pub fn encode_message(message: Message) -> PeerMessage {
    let (id, body) = match message {
        Message::Apply { id, key, change, context, deadline_us } => {
            let change = Some(encode_change(change));
            (id, Body::Apply(Apply { key, deadline_us, context, change }))
        }
        Message::Applied { id, record } => (id, Body::Applied(Applied { record: record.encode() })),
        Message::Merge { id, key, record, deadline_us } => {
            (id, Body::Merge(Merge { key, record: record.encode(), deadline_us }))
        }
        Message::Stored { id } => (id, Body::Stored(Stored {})),
        Message::Read { id, key, deadline_us } => (id, Body::Read(Read { key, deadline_us })),
        Message::Found { id, record } => {
            (id, Body::Found(Found { record: record.map(|record| record.encode()) }))
        }
        Message::Refused { id, reason } => (id, Body::Refused(encode_refused(reason))),
        Message::Heartbeat { incarnation, hears, aside } => {
            (0, Body::Heartbeat(Heartbeat { incarnation, hears, aside }))
        }
        Message::Gossip { digests } => {
            (0, Body::Gossip(Gossip { digests: digests.into_iter().map(encode_digest).collect() }))
        }
        Message::GossipReply { members, wanted } => {
            let members = members.into_iter().map(encode_member).collect();
            let wanted = wanted.into_iter().map(|id| id.0).collect();
            (0, Body::GossipReply(GossipReply { members, wanted }))
        }
    };
    PeerMessage { id, body: Some(body) }
}

/// The message that a peer sent.
pub fn decode_message(message: PeerMessage) -> Result<Message, Malformed> {
    let id = message.id;
    Ok(match message.body {
        None => return Err(Malformed::new("PeerMessage", "no body, or an unknown one")),
        Some(Body::Apply(Apply { key, deadline_us, context, change })) => {
            Message::Apply { id, key, change: decode_change(change)?, context, deadline_us }
        }
        Some(Body::Applied(applied)) => {
            Message::Applied { id, record: decode_record("Applied", applied.record)? }
        }
        Some(Body::Merge(Merge { key, record, deadline_us })) => {
            Message::Merge { id, key, record: decode_record("Merge", record)?, deadline_us }
        }
        Some(Body::Stored(_)) => Message::Stored { id },
        Some(Body::Read(Read { key, deadline_us })) => Message::Read { id, key, deadline_us },
        Some(Body::Found(found)) => {
            let record = found.record.map(|bytes| decode_record("Found", bytes)).transpose()?;
            Message::Found { id, record }
        }
        Some(Body::Refused(refused)) => Message::Refused { id, reason: decode_refused(refused)? },
        Some(Body::Heartbeat(Heartbeat { incarnation, hears, aside })) => {
            Message::Heartbeat { incarnation, hears, aside }
        }
        Some(Body::Gossip(gossip)) => {
            Message::Gossip { digests: gossip.digests.into_iter().map(decode_digest).collect() }
        }
        Some(Body::GossipReply(reply)) => Message::GossipReply {
            members: reply.members.into_iter().map(decode_member).collect(),
            wanted: reply.wanted.into_iter().map(NodeId).collect(),
        },
    })
}

fn encode_change(change: Change) -> apply::Change {
    match change {
        Change::Put(Payload { value, content_type, flags, expires_at_ms }) => {
            apply::Change::Put(super::Payload { value, content_type, flags, expires_at_ms })
        }
        Change::Delete => apply::Change::Delete(super::Delete {}),
        Change::Increment(by) => apply::Change::Increment(by),
    }
}

fn decode_change(change: Option<apply::Change>) -> Result<Change, Malformed> {
    match change {
        None => Err(Malformed::new("Apply", "no change, or an unknown one")),
        Some(apply::Change::Put(super::Payload { value, content_type, flags, expires_at_ms })) => {
            Ok(Change::Put(Payload { value, content_type, flags, expires_at_ms }))
        }
        Some(apply::Change::Delete(_)) => Ok(Change::Delete),
        Some(apply::Change::Increment(by)) => Ok(Change::Increment(by)),
    }
}

fn decode_record(message: &'static str, bytes: Bytes) -> Result<Record, Malformed> {
    Record::decode(bytes).map_err(|error| Malformed::new(message, error.to_string()))
}

fn encode_refused(reason: message::Refused) -> Refused {
    use message::Refused as R;
    use refused::Kind;
    let of = |kind: Kind| Refused { kind: kind.into(), ..Refused::default() };
    match reason {
        R::StaleEpoch { epoch } => Refused { epoch, ..of(Kind::StaleEpoch) },
        R::NotOwner => of(Kind::NotOwner),
        R::Overloaded => of(Kind::Overloaded),
        R::Expired => of(Kind::Expired),
        R::Resolver(reason) => Refused { reason, ..of(Kind::Resolver) },
        R::FormerLife => of(Kind::FormerLife),
        R::ReadOnly => of(Kind::ReadOnly),
        R::ClockAhead { ahead_ms } => Refused { ahead_ms, ..of(Kind::ClockAhead) },
        R::Storage(reason) => Refused { reason, ..of(Kind::Storage) },
    }
}

fn decode_refused(refused: Refused) -> Result<message::Refused, Malformed> {
    use message::Refused as R;
    use refused::Kind;
    Ok(match refused.kind() {
        Kind::Unspecified => {
            let what = format!("kind {} is unknown", refused.kind);
            return Err(Malformed::new("Refused", what));
        }
        Kind::StaleEpoch => R::StaleEpoch { epoch: refused.epoch },
        Kind::NotOwner => R::NotOwner,
        Kind::Overloaded => R::Overloaded,
        Kind::Expired => R::Expired,
        Kind::Resolver => R::Resolver(refused.reason),
        Kind::FormerLife => R::FormerLife,
        Kind::ReadOnly => R::ReadOnly,
        Kind::ClockAhead => R::ClockAhead { ahead_ms: refused.ahead_ms },
        Kind::Storage => R::Storage(refused.reason),
    })
}

fn encode_digest(digest: message::Digest) -> Digest {
    Digest { id: digest.id.0, incarnation: digest.incarnation, version: digest.version }
}

fn decode_digest(digest: Digest) -> message::Digest {
    let Digest { id, incarnation, version } = digest;
    message::Digest { id: NodeId(id), incarnation, version }
}

fn encode_member(member: message::MemberState) -> MemberState {
    let message::MemberState { id, incarnation, version, grpc, http, epoch } = member;
    MemberState { id: id.0, incarnation, version, grpc, http, epoch }
}

fn decode_member(member: MemberState) -> message::MemberState {
    let MemberState { id, incarnation, version, grpc, http, epoch } = member;
    message::MemberState { id: NodeId(id), incarnation, version, grpc, http, epoch }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;
    use prost::Message as _;
    use quorate_strategies::conflict::{Content, Sibling, Version};

    fn bytes() -> impl Strategy<Value = Bytes> {
        vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn payload() -> impl Strategy<Value = Payload> {
        (bytes(), bytes(), any::<u32>(), any::<Option<u64>>()).prop_map(
            |(value, content_type, flags, expires_at_ms)| Payload {
                value,
                content_type,
                flags,
                expires_at_ms,
            },
        )
    }

    fn record() -> impl Strategy<Value = Record> {
        let versions = btree_set(vec(any::<u8>(), 1..9), 0..4);
        (bytes(), versions, payload(), any::<bool>()).prop_map(
            |(context, versions, payload, live)| {
                let content = if live { Content::Live(payload) } else { Content::Tombstone };
                let sibling = |version: Vec<u8>| Sibling {
                    version: Version(version.into()),
                    content: content.clone(),
                };
                Record { context, siblings: versions.into_iter().map(sibling).collect() }
            },
        )
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            payload().prop_map(Change::Put),
            Just(Change::Delete),
            any::<i64>().prop_map(Change::Increment)
        ]
    }

    fn reason() -> impl Strategy<Value = message::Refused> {
        use message::Refused as R;
        prop_oneof![
            any::<u64>().prop_map(|epoch| R::StaleEpoch { epoch }),
            Just(R::NotOwner),
            Just(R::Overloaded),
            Just(R::Expired),
            Just(R::ReadOnly),
            Just(R::FormerLife),
            any::<u64>().prop_map(|ahead_ms| R::ClockAhead { ahead_ms }),
            ".{0,9}".prop_map(R::Resolver),
            ".{0,9}".prop_map(R::Storage),
        ]
    }

    fn about_keys() -> impl Strategy<Value = Message> {
        let context = proptest::option::of(bytes());
        prop_oneof![
            (any::<u64>(), bytes(), change(), context, any::<u64>()).prop_map(
                |(id, key, change, context, deadline_us)| Message::Apply {
                    id,
                    key,
                    change,
                    context,
                    deadline_us
                }
            ),
            (any::<u64>(), record()).prop_map(|(id, record)| Message::Applied { id, record }),
            (any::<u64>(), bytes(), record(), any::<u64>()).prop_map(
                |(id, key, record, deadline_us)| Message::Merge { id, key, record, deadline_us }
            ),
            any::<u64>().prop_map(|id| Message::Stored { id }),
            (any::<u64>(), bytes(), any::<u64>())
                .prop_map(|(id, key, deadline_us)| Message::Read { id, key, deadline_us }),
            (any::<u64>(), proptest::option::of(record()))
                .prop_map(|(id, record)| Message::Found { id, record }),
            (any::<u64>(), reason()).prop_map(|(id, reason)| Message::Refused { id, reason }),
        ]
    }

    fn about_members() -> impl Strategy<Value = Message> {
        let digest = any::<(u64, u64, u64)>().prop_map(|(id, incarnation, version)| {
            message::Digest { id: NodeId(id), incarnation, version }
        });
        let member = (any::<(u64, u64, u64, u64)>(), ".{0,9}", ".{0,9}").prop_map(
            |((id, incarnation, version, epoch), grpc, http)| message::MemberState {
                id: NodeId(id),
                incarnation,
                version,
                grpc,
                http,
                epoch,
            },
        );
        prop_oneof![
            any::<(u64, u64, bool)>().prop_map(|(incarnation, hears, aside)| Message::Heartbeat {
                incarnation,
                hears,
                aside
            }),
            vec(digest, 0..4).prop_map(|digests| Message::Gossip { digests }),
            (vec(member, 0..3), vec(any::<u64>().prop_map(NodeId), 0..3))
                .prop_map(|(members, wanted)| Message::GossipReply { members, wanted }),
        ]
    }

    proptest! {
        #[test]
        fn batches_survive_the_wire(
            messages in vec(prop_oneof![about_keys(), about_members()], 0..5),
            (from, to, epoch, clock, fingerprint) in any::<(u64, u64, u64, u64, u64)>(),
            (incarnation, sent_us, wall_us, sequence) in any::<(u64, u64, u64, u64)>(),
        ) {
            let (from, to) = (NodeId(from), NodeId(to));
            let heard = Heard { incarnation: clock, sent_us: epoch };
            let header =
                Header { from, to, epoch, clock, incarnation, sent_us, wall_us, sequence, heard };
            let encoded = messages.iter().cloned().map(encode_message).collect();
            let sent = encode_batch(header, fingerprint, encoded).encode_to_vec();
            let got = PeerBatch::decode(Bytes::from(sent)).unwrap();
            prop_assert_eq!(decode_header(&got), header);
            prop_assert_eq!(got.fingerprint, fingerprint);
            let decoded: Result<Vec<_>, _> = got.messages.into_iter().map(decode_message).collect();
            prop_assert_eq!(decoded.unwrap(), messages);
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok(message) = PeerMessage::decode(bytes.as_slice()) {
                let _ = decode_message(message);
            }
        }
    }

    #[test]
    fn what_is_missing_or_broken_is_an_error() {
        let with = |body| PeerMessage { id: 1, body: Some(body) };
        assert!(decode_message(PeerMessage::default()).is_err());
        assert!(decode_message(with(Body::Apply(Apply::default()))).is_err());
        assert!(decode_message(with(Body::Refused(Refused::default()))).is_err());
        let broken = Bytes::from_static(b"\xffno record");
        let merge = Merge { record: broken.clone(), ..Merge::default() };
        assert!(decode_message(with(Body::Merge(merge))).is_err());
        assert!(decode_message(with(Body::Applied(Applied { record: broken }))).is_err());
    }
}
