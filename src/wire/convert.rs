//! Requests and replies of clients: the domain's types to protobuf and back.
//!
//! Encoding cannot fail. Decoding takes bytes of strangers: whatever is missing, unknown or out of
//! range is a [`Malformed`], never a panic and never a silent default. Values are moved, not
//! copied.

use super::{Answer, Failure, Put, Reply, Request, Shown, Written, failure, reply, request};
use crate::message::{self, Level, Operation};
use quorate_strategies::conflict::{self, Payload, Version};

/// Bytes that are valid protobuf and yet no message of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {message}: {what}")]
pub struct Malformed {
    pub message: &'static str,
    pub what: String,
}

impl Malformed {
    pub(super) fn new(message: &'static str, what: impl Into<String>) -> Self {
        Malformed { message, what: what.into() }
    }
}

/// Where the numbers of named levels begin; explicit counts end at 255.
const LEVEL_ONE: u32 = 1001;
const LEVEL_TWO: u32 = 1002;
const LEVEL_QUORUM: u32 = 1003;
const LEVEL_ALL: u32 = 1004;

fn encode_level(level: Option<Level>) -> u32 {
    match level {
        None => 0,
        Some(Level::One) => LEVEL_ONE,
        Some(Level::Two) => LEVEL_TWO,
        Some(Level::Quorum) => LEVEL_QUORUM,
        Some(Level::All) => LEVEL_ALL,
        Some(Level::Exactly(count)) => count.into(),
    }
}

fn decode_level(number: u32) -> Result<Option<Level>, Malformed> {
    match number {
        0 => Ok(None),
        1..=255 => Ok(Some(Level::Exactly(number as u8))),
        LEVEL_ONE => Ok(Some(Level::One)),
        LEVEL_TWO => Ok(Some(Level::Two)),
        LEVEL_QUORUM => Ok(Some(Level::Quorum)),
        LEVEL_ALL => Ok(Some(Level::All)),
        unknown => Err(Malformed::new(
            "Request",
            format!("level {unknown}; allowed: 0 to 255 and {LEVEL_ONE} to {LEVEL_ALL}"),
        )),
    }
}

/// A request as bytes' structure. `tag` comes back with its reply. A level of `Exactly(0)`, which
/// no parser yields, travels as the node's default.
pub fn encode_request(tag: u64, request: message::Request) -> Request {
    let operation = match request.operation {
        Operation::Get => request::Operation::Get(super::Get {}),
        Operation::Delete => request::Operation::Delete(super::Delete {}),
        Operation::Increment(by) => request::Operation::Increment(super::Increment { by }),
        Operation::Put { value, content_type, flags, ttl_ms } => {
            request::Operation::Put(Put { value, content_type, flags, ttl_ms })
        }
    };
    Request {
        tag,
        key: request.key,
        level: encode_level(request.level),
        context: request.context,
        timeout_ms: request.timeout_ms.unwrap_or(0),
        operation: Some(operation),
    }
}

/// The request that a client sent. Its tag is `request.tag`, also when this fails.
pub fn decode_request(request: Request) -> Result<message::Request, Malformed> {
    let operation = match request.operation {
        None => return Err(Malformed::new("Request", "no operation, or an unknown one")),
        Some(request::Operation::Get(_)) => Operation::Get,
        Some(request::Operation::Delete(_)) => Operation::Delete,
        Some(request::Operation::Increment(increment)) => Operation::Increment(increment.by),
        Some(request::Operation::Put(Put { value, content_type, flags, ttl_ms })) => {
            Operation::Put { value, content_type, flags, ttl_ms }
        }
    };
    Ok(message::Request {
        key: request.key,
        operation,
        level: decode_level(request.level)?,
        context: request.context,
        timeout_ms: (request.timeout_ms != 0).then_some(request.timeout_ms),
    })
}

/// A reply as bytes' structure, under the tag of its request.
pub fn encode_reply(tag: u64, reply: message::Reply) -> Reply {
    let outcome = match reply {
        message::Reply::Read(answer) => reply::Outcome::Answer(Answer {
            values: answer.values.into_iter().map(encode_shown).collect(),
            context: answer.context,
        }),
        message::Reply::Written { context } => reply::Outcome::Written(Written { context }),
        message::Reply::Failed(failure) => reply::Outcome::Failure(encode_failure(failure)),
    };
    Reply { tag, outcome: Some(outcome) }
}

/// The reply that a node sent. Its tag is `reply.tag`, also when this fails.
pub fn decode_reply(reply: Reply) -> Result<message::Reply, Malformed> {
    match reply.outcome {
        None => Err(Malformed::new("Reply", "no outcome, or an unknown one")),
        Some(reply::Outcome::Answer(answer)) => Ok(message::Reply::Read(conflict::Answer {
            values: answer.values.into_iter().map(decode_shown).collect(),
            context: answer.context,
        })),
        Some(reply::Outcome::Written(written)) => {
            Ok(message::Reply::Written { context: written.context })
        }
        Some(reply::Outcome::Failure(failure)) => {
            decode_failure(failure).map(message::Reply::Failed)
        }
    }
}

fn encode_shown(shown: conflict::Shown) -> Shown {
    let Payload { value, content_type, flags, expires_at_ms } = shown.payload;
    Shown { value, content_type, flags, expires_at_ms, version: shown.version.0 }
}

fn decode_shown(shown: Shown) -> conflict::Shown {
    let Shown { value, content_type, flags, expires_at_ms, version } = shown;
    conflict::Shown {
        payload: Payload { value, content_type, flags, expires_at_ms },
        version: Version(version),
    }
}

fn encode_failure(failure: message::Failure) -> Failure {
    use failure::Kind;
    use message::Failure as F;
    let shape = |kind: Kind, acks, needed, reason, maybe_done| Failure {
        kind: kind.into(),
        acks,
        needed,
        reason,
        maybe_done,
    };
    match failure {
        F::TooFewReplicas { needed, alive } => {
            shape(Kind::TooFewReplicas, alive, needed, String::new(), false)
        }
        F::TimedOut { acks, needed, maybe_done } => {
            shape(Kind::TimedOut, acks, needed, String::new(), maybe_done)
        }
        F::Refused { acks, needed, reason, maybe_done } => {
            shape(Kind::Refused, acks, needed, reason, maybe_done)
        }
        F::Disconnected { maybe_done } => {
            shape(Kind::Disconnected, 0, 0, String::new(), maybe_done)
        }
        F::Overloaded { what } => shape(Kind::Overloaded, 0, 0, what, false),
        F::Invalid(reason) => shape(Kind::Invalid, 0, 0, reason, false),
        F::WrongChange(reason) => shape(Kind::WrongChange, 0, 0, reason, false),
    }
}

fn decode_failure(failure: Failure) -> Result<message::Failure, Malformed> {
    use failure::Kind;
    use message::Failure as F;
    let kind = failure.kind();
    let Failure { kind: number, acks, needed, reason, maybe_done } = failure;
    Ok(match kind {
        Kind::Unspecified => {
            return Err(Malformed::new("Failure", format!("kind {number} is unknown")));
        }
        Kind::TooFewReplicas => F::TooFewReplicas { needed, alive: acks },
        Kind::TimedOut => F::TimedOut { acks, needed, maybe_done },
        Kind::Refused => F::Refused { acks, needed, reason, maybe_done },
        Kind::Disconnected => F::Disconnected { maybe_done },
        Kind::Overloaded => F::Overloaded { what: reason },
        Kind::Invalid => F::Invalid(reason),
        Kind::WrongChange => F::WrongChange(reason),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message as _;

    fn bytes() -> impl Strategy<Value = Bytes> {
        vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn level() -> impl Strategy<Value = Level> {
        prop_oneof![
            Just(Level::One),
            Just(Level::Two),
            Just(Level::Quorum),
            Just(Level::All),
            (1..=255u8).prop_map(Level::Exactly)
        ]
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            Just(Operation::Get),
            Just(Operation::Delete),
            any::<i64>().prop_map(Operation::Increment),
            (bytes(), bytes(), any::<u32>(), any::<Option<u64>>()).prop_map(
                |(value, content_type, flags, ttl_ms)| Operation::Put {
                    value,
                    content_type,
                    flags,
                    ttl_ms
                }
            )
        ]
    }

    fn some_request() -> impl Strategy<Value = message::Request> {
        let timeout = proptest::option::of(1..u32::MAX);
        let context = proptest::option::of(bytes());
        (bytes(), operation(), proptest::option::of(level()), context, timeout).prop_map(
            |(key, operation, level, context, timeout_ms)| message::Request {
                key,
                operation,
                level,
                context,
                timeout_ms,
            },
        )
    }

    fn shown() -> impl Strategy<Value = conflict::Shown> {
        (bytes(), bytes(), any::<u32>(), any::<Option<u64>>(), bytes()).prop_map(
            |(value, content_type, flags, expires_at_ms, version)| conflict::Shown {
                payload: Payload { value, content_type, flags, expires_at_ms },
                version: Version(version),
            },
        )
    }

    fn some_failure() -> impl Strategy<Value = message::Failure> {
        use message::Failure as F;
        let counts = || (any::<u32>(), any::<u32>(), any::<bool>());
        prop_oneof![
            (any::<u32>(), any::<u32>())
                .prop_map(|(needed, alive)| F::TooFewReplicas { needed, alive }),
            counts().prop_map(|(acks, needed, maybe_done)| F::TimedOut {
                acks,
                needed,
                maybe_done
            }),
            (counts(), ".{0,9}").prop_map(|((acks, needed, maybe_done), reason)| F::Refused {
                acks,
                needed,
                reason,
                maybe_done
            }),
            any::<bool>().prop_map(|maybe_done| F::Disconnected { maybe_done }),
            ".{0,9}".prop_map(|what| F::Overloaded { what }),
            ".{0,9}".prop_map(F::Invalid),
            ".{0,9}".prop_map(F::WrongChange),
        ]
    }

    fn some_reply() -> impl Strategy<Value = message::Reply> {
        prop_oneof![
            (vec(shown(), 0..3), bytes()).prop_map(|(values, context)| message::Reply::Read(
                conflict::Answer { values, context }
            )),
            bytes().prop_map(|context| message::Reply::Written { context }),
            some_failure().prop_map(message::Reply::Failed),
        ]
    }

    proptest! {
        #[test]
        fn requests_survive_the_wire(tag in any::<u64>(), request in some_request()) {
            let sent = encode_request(tag, request.clone()).encode_to_vec();
            let got = Request::decode(Bytes::from(sent)).unwrap();
            prop_assert_eq!(got.tag, tag);
            prop_assert_eq!(decode_request(got).unwrap(), request);
        }

        #[test]
        fn replies_survive_the_wire(tag in any::<u64>(), reply in some_reply()) {
            let sent = encode_reply(tag, reply.clone()).encode_to_vec();
            let got = Reply::decode(Bytes::from(sent)).unwrap();
            prop_assert_eq!(got.tag, tag);
            prop_assert_eq!(decode_reply(got).unwrap(), reply);
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok(request) = Request::decode(bytes.as_slice()) {
                let _ = decode_request(request);
            }
            if let Ok(reply) = Reply::decode(bytes.as_slice()) {
                let _ = decode_reply(reply);
            }
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_an_error() {
        assert!(decode_request(Request::default()).is_err());
        assert!(decode_reply(Reply::default()).is_err());
        for level in [256, 1000, 1005, u32::MAX] {
            let operation = Some(request::Operation::Get(super::super::Get {}));
            let found = decode_request(Request { level, operation, ..Request::default() });
            assert!(found.unwrap_err().to_string().contains(&level.to_string()));
        }
        for kind in [0, 99, -1] {
            let failure = Failure { kind, ..Failure::default() };
            let outcome = Some(reply::Outcome::Failure(failure));
            assert!(decode_reply(Reply { tag: 1, outcome }).is_err(), "{kind}");
        }
    }
}
