//! The client against nodes made for the purpose, over real sockets in one process.
#![allow(clippy::unwrap_used)]

mod fake;

use super::*;
use crate::message::Outcome;
use bytes::Bytes;
use fake::{Fake, Mood};
use tokio::sync::mpsc;

/// Times that a test waits out in full.
fn quick() -> Options {
    Options { timeout_ms: 50, grace_ms: 10, seed: Some(1), ..Options::default() }
}

async fn client(nodes: &[Fake], options: Options) -> Client {
    Client::connect(&[nodes[0].address], options).await.unwrap()
}

fn get(key: &str) -> Request {
    let key = Bytes::from(key.to_string());
    Request { key, operation: Operation::Get, level: None, context: None, timeout_ms: None }
}

fn put(key: &str) -> Request {
    let value = Bytes::from_static(b"v");
    let operation = Operation::Put { value, content_type: Bytes::new(), flags: 0, ttl_ms: None };
    Request { operation, ..get(key) }
}

type Completion = (u64, NodeId, Reply);

/// Hands completions to the test.
struct Channel(mpsc::UnboundedSender<Completion>);

impl Sink for Channel {
    fn complete(&self, tag: u64, node: NodeId, reply: Reply) {
        self.0.send((tag, node, reply)).unwrap();
    }
}

fn channel() -> (Arc<dyn Sink>, mpsc::UnboundedReceiver<Completion>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Channel(sender)), receiver)
}

async fn failure(completions: &mut mpsc::UnboundedReceiver<Completion>) -> Failure {
    match completions.recv().await.unwrap() {
        (_, _, Reply::Failed(failure)) => failure,
        (tag, node, reply) => panic!("{tag} at {node}: {reply:?}"),
    }
}

#[tokio::test]
async fn reads_and_writes_come_back() {
    let nodes = fake::start(3).await;
    let client = client(&nodes, Options::default()).await;
    let options = CallOptions::default();
    let answer = client.get(Bytes::from_static(b"key"), &options).await.unwrap();
    assert_eq!(answer.values[0].payload.value, "key");
    let new = NewValue { value: Bytes::from_static(b"v"), ..NewValue::default() };
    assert_eq!(client.put(Bytes::from_static(b"key"), new, &options).await.unwrap(), "c");
    assert_eq!(client.increment(Bytes::from_static(b"n"), 2, &options).await.unwrap(), "c");
    assert_eq!(client.delete(Bytes::from_static(b"key"), &options).await.unwrap(), "c");
}

/// Submits the next request whenever one completes, as the load generator does.
struct ClosedLoop {
    client: Mutex<Option<Client>>,
    this: Mutex<Option<std::sync::Weak<ClosedLoop>>>,
    progress: Mutex<(u64, Vec<u64>)>,
    done: Notify,
}

const LOOP_REQUESTS: u64 = 20_000;

impl ClosedLoop {
    fn next(&self) {
        let tag = {
            let mut progress = self.progress.lock();
            progress.0 += 1;
            progress.0 - 1
        };
        if tag < LOOP_REQUESTS {
            let sink: Arc<dyn Sink> = self.this.lock().as_ref().unwrap().upgrade().unwrap();
            let client = self.client.lock().clone().unwrap();
            client.submit(tag, get(&format!("key{tag}")), Route::Replica, &sink);
        }
    }
}

impl Sink for ClosedLoop {
    fn complete(&self, tag: u64, _: NodeId, reply: Reply) {
        let Reply::Read(answer) = reply else { panic!("{reply:?}") };
        assert_eq!(answer.values[0].payload.value, format!("key{tag}"));
        let count = {
            let mut progress = self.progress.lock();
            progress.1.push(tag);
            progress.1.len() as u64
        };
        self.next();
        if count == LOOP_REQUESTS {
            self.done.notify_one();
        }
    }
}

#[tokio::test]
async fn a_sink_may_submit_and_each_request_completes_once() {
    let nodes = fake::start(3).await;
    let looping = Arc::new(ClosedLoop {
        client: Mutex::new(Some(client(&nodes, Options::default()).await)),
        this: Mutex::new(None),
        progress: Mutex::default(),
        done: Notify::new(),
    });
    *looping.this.lock() = Some(Arc::downgrade(&looping));
    (0..64).for_each(|_| looping.next());
    looping.done.notified().await;
    let mut tags = std::mem::take(&mut looping.progress.lock().1);
    tags.sort_unstable();
    assert!(tags.into_iter().eq(0..LOOP_REQUESTS));
    assert!(nodes.iter().all(|node| node.seen() > 0), "replicas take turns");
}

#[tokio::test]
async fn what_is_never_answered_times_out_and_says_what_it_knows() {
    let nodes = fake::start(1).await;
    let client = client(&nodes, quick()).await;
    nodes[0].set(Mood::Silent);
    let (sink, mut completions) = channel();
    client.submit(1, get("k"), Route::Replica, &sink);
    client.submit(2, put("k"), Route::Replica, &sink);
    for _ in 0..2 {
        let (tag, node, reply) = completions.recv().await.unwrap();
        let Reply::Failed(failure) = reply else { panic!("{reply:?}") };
        assert!(matches!(failure, Failure::TimedOut { needed: 0, .. }), "{failure}");
        assert_eq!(node, NodeId(1));
        let outcome = if tag == 1 { Outcome::NotDone } else { Outcome::Unknown };
        assert_eq!(failure.outcome(), outcome, "request {tag}");
    }
}

#[tokio::test]
async fn a_broken_session_leaves_sent_writes_unknown_and_opens_again() {
    let nodes = fake::start(1).await;
    let client = client(&nodes, Options::default()).await;
    nodes[0].set(Mood::HangsUp);
    let (sink, mut completions) = channel();
    client.submit(1, put("k"), Route::Replica, &sink);
    assert_eq!(failure(&mut completions).await, Failure::Disconnected { maybe_done: true });
    nodes[0].set(Mood::Answers);
    loop {
        client.submit(2, get("k"), Route::Replica, &sink);
        match completions.recv().await.unwrap().2 {
            Reply::Read(_) => break,
            Reply::Failed(failure) => assert_eq!(failure.outcome(), Outcome::NotDone),
            reply => panic!("{reply:?}"),
        }
    }
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_not_repeated_and_a_lost_read_is() {
    let nodes = fake::start(3).await;
    let client = client(&nodes, Options::default()).await;
    nodes.iter().for_each(|node| node.set(Mood::HangsUp));
    let error = client.call(put("k"), Route::Replica).await.unwrap_err();
    assert_eq!(error, Failure::Disconnected { maybe_done: true });
    assert_eq!(nodes.iter().map(Fake::seen).sum::<usize>(), 1);
    let error = client.call(get("k"), Route::Replica).await.unwrap_err();
    assert_eq!(error, Failure::Disconnected { maybe_done: false });
    // The node that hung up first may be back for the last attempt.
    let seen: usize = nodes.iter().map(Fake::seen).sum();
    assert!((3..=4).contains(&seen), "{seen}: the two others were asked");
}

#[tokio::test]
async fn an_overloaded_node_is_left_for_another_within_the_budget() {
    let nodes = fake::start(2).await;
    let client = client(&nodes, Options::default()).await;
    nodes[0].set(Mood::Overloaded);
    for _ in 0..2 {
        client.call(put("k"), Route::Replica).await.unwrap();
    }
    let seen = nodes[0].seen();
    assert!(seen > 0, "replicas take turns");
    assert_eq!(nodes[1].seen(), 2);
    let thrifty = Options { retry_share: 0.0, ..Options::default() };
    let thrifty = Client::connect(&[nodes[0].address], thrifty).await.unwrap();
    let error = thrifty.call(put("k"), Route::Node(NodeId(1))).await.unwrap_err();
    assert!(matches!(error, Failure::Overloaded { .. }));
    assert_eq!(nodes[0].seen(), seen + 1, "no retry without a budget");
}

#[tokio::test]
async fn a_full_connection_is_an_answer() {
    let nodes = fake::start(1).await;
    let client = client(&nodes, Options { in_flight: 1, ..Options::default() }).await;
    nodes[0].set(Mood::Silent);
    let (sink, mut completions) = channel();
    client.submit(1, get("k"), Route::Replica, &sink);
    client.submit(2, put("k"), Route::Replica, &sink);
    let (tag, _, reply) = completions.recv().await.unwrap();
    assert_eq!(tag, 2);
    assert!(matches!(reply, Reply::Failed(Failure::Overloaded { .. })), "{reply:?}");
}

#[tokio::test]
async fn dropping_the_client_completes_what_waits() {
    let nodes = fake::start(1).await;
    let client = client(&nodes, Options::default()).await;
    nodes[0].set(Mood::Silent);
    let (sink, mut completions) = channel();
    client.submit(1, get("k"), Route::Replica, &sink);
    drop(client);
    assert_eq!(failure(&mut completions).await, Failure::Disconnected { maybe_done: false });
}

#[tokio::test]
async fn a_node_that_lets_requests_wait_is_passed_over_while_there_are_others() {
    let nodes = fake::start(3).await;
    let client = client(&nodes, quick()).await;
    nodes[0].set(Mood::Silent);
    let (sink, mut completions) = channel();
    client.submit(0, get("k"), Route::Node(NodeId(1)), &sink);
    assert!(matches!(failure(&mut completions).await, Failure::TimedOut { .. }));
    for tag in 0..30 {
        client.submit(tag, get("k"), Route::Replica, &sink);
    }
    for _ in 0..30 {
        let (_, node, reply) = completions.recv().await.unwrap();
        assert!(matches!(reply, Reply::Read(_)), "{node}: {reply:?}");
    }
    assert_eq!((nodes[0].seen(), nodes[1].seen(), nodes[2].seen()), (1, 15, 15));
}

#[tokio::test]
async fn a_member_that_is_down_is_told_apart_from_a_stranger() {
    let nodes = fake::start(1).await;
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap().to_string();
    drop(unused);
    let down = crate::wire::MemberStatus { id: 2, grpc: address, weight: 1, ..Default::default() };
    let seed = fake::serve(nodes[0].clone().with_status(|status| status.members.push(down))).await;
    let client = Client::connect(&[seed], Options::default()).await.unwrap();
    assert_eq!(client.members(), [NodeId(1), NodeId(2)]);
    assert!(client.is_up(NodeId(1)) && !client.is_up(NodeId(2)));
    let (sink, mut completions) = channel();
    client.submit(1, put("k"), Route::Node(NodeId(2)), &sink);
    assert_eq!(failure(&mut completions).await, Failure::Disconnected { maybe_done: false });
    client.submit(1, put("k"), Route::Node(NodeId(9)), &sink);
    assert!(matches!(failure(&mut completions).await, Failure::Invalid(_)));
    let statuses = client.status_all().await;
    assert!(statuses[0].1.is_ok());
    let error = statuses[1].1.as_ref().unwrap_err().to_string();
    assert!(error.starts_with("n2 does not answer at 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_read_or_reached_is_one_clear_error() {
    let nodes = fake::start_with(1, "\"vnode\"").await;
    let error = Client::connect(&[nodes[0].address], quick()).await.err().unwrap().to_string();
    assert!(error.contains("n1") && error.contains("did you mean `vnodes`"), "{error}");
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let error = Client::connect(&[address], quick()).await.err().unwrap().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("refused"), "{error}");
}
