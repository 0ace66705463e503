//! The SDK's door, spoken to with nothing but the generated code.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::Cluster;
use quorate::wire::request::Operation;
use quorate::wire::store_client::StoreClient;
use quorate::wire::{
    ClientBatch, Delete, Get, Put, Reply, Request, StatusRequest, failure, reply::Outcome,
};
use std::collections::BTreeMap;
use tonic::transport::Channel;

const MEMORY: &str = "engine: memory\n  timing: {heartbeat_interval_ms: 100}";

async fn connect(cluster: &Cluster) -> StoreClient<Channel> {
    StoreClient::connect(format!("http://{}", cluster.grpc(1))).await.unwrap()
}

fn request(tag: u64, key: &str, operation: Operation) -> Request {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Request { tag, key, operation: Some(operation), ..Request::default() }
}

fn put(tag: u64, key: &str, value: String) -> Request {
    request(tag, key, Operation::Put(Put { value: value.into(), ..Put::default() }))
}

/// Sends the batches, half-closes, and collects every reply until the node ends the stream.
async fn session(cluster: &Cluster, batches: Vec<Vec<Request>>) -> BTreeMap<u64, Reply> {
    let batches = batches.into_iter().map(|requests| ClientBatch { requests });
    let stream = tokio_stream::iter(batches.collect::<Vec<_>>());
    let mut replies = connect(cluster).await.session(stream).await.unwrap().into_inner();
    let mut by_tag = BTreeMap::new();
    while let Some(batch) = replies.message().await.unwrap() {
        for reply in batch.replies {
            assert!(by_tag.insert(reply.tag, reply).is_none(), "one reply for each request");
        }
    }
    by_tag
}

#[tokio::test]
async fn a_session_answers_every_request_and_ends_when_its_client_has_ended() {
    let cluster = Cluster::start(3, MEMORY);
    let keys: Vec<String> = (0..500).map(|number| format!("key{number}")).collect();
    let puts = keys.iter().zip(0..).map(|(key, tag)| put(tag, key, format!("of {key}"))).collect();
    let replies = session(&cluster, vec![puts]).await;
    assert_eq!(replies.len(), keys.len());
    for reply in replies.values() {
        assert!(matches!(reply.outcome, Some(Outcome::Written(_))), "{reply:?}");
    }

    let gets = keys.iter().zip(1_000..).map(|(key, tag)| request(tag, key, Operation::Get(Get {})));
    let batches = gets.collect::<Vec<_>>().chunks(7).map(<[Request]>::to_vec).collect();
    let replies = session(&cluster, batches).await;
    for (key, tag) in keys.iter().zip(1_000..) {
        let Some(Outcome::Answer(answer)) = &replies[&tag].outcome else {
            panic!("{:?}", replies[&tag]);
        };
        assert_eq!(answer.values[0].value, format!("of {key}"));
    }
}

#[tokio::test]
async fn what_a_stranger_sends_is_an_answer_under_its_own_tag() {
    let cluster = Cluster::start(1, &format!("replication: {{n: 1}}\n  {MEMORY}"));
    let empty = Request { tag: 1, key: "k".into(), ..Request::default() };
    let level = Request { level: 999, ..request(2, "k", Operation::Get(Get {})) };
    let above_n = Request { level: 2, ..request(3, "k", Operation::Get(Get {})) };
    let no_key = request(4, "", Operation::Get(Get {}));
    let fine = request(5, "k", Operation::Delete(Delete {}));
    let replies = session(&cluster, vec![vec![empty, level, above_n, no_key, fine]]).await;
    for tag in 1..=4 {
        let Some(Outcome::Failure(failure)) = &replies[&tag].outcome else {
            panic!("{:?}", replies[&tag]);
        };
        assert_eq!(failure.kind(), failure::Kind::Invalid, "{tag}: {failure:?}");
        assert!(!failure.maybe_done);
    }
    assert!(matches!(replies[&5].outcome, Some(Outcome::Written(_))), "{:?}", replies[&5]);
}

#[tokio::test]
async fn single_calls_and_status_need_no_session() {
    let cluster = Cluster::start(1, &format!("replication: {{n: 1}}\n  {MEMORY}"));
    let mut client = connect(&cluster).await;
    let reply = client.call(put(77, "k", "v".to_string())).await.unwrap().into_inner();
    assert_eq!(reply.tag, 77);
    assert!(matches!(reply.outcome, Some(Outcome::Written(_))), "{reply:?}");
    let refused = client.call(Request::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);

    let status = client.status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.id, status.replicas, status.ready), (1, 1, true));
    assert_eq!(status.members.len(), 1);
    assert_eq!(status.engine, "\"memory\"");
}
