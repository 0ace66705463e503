//! The load against a stand-in for the cluster: what is sent, and that all of it is accounted for.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::message::{Failure, Level, Operation, Reply};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate_strategies::conflict::Answer;
use std::sync::mpsc;

type Question = (u64, Request, Arc<dyn Sink>);

/// Answers on a thread of its own, in order; finds nothing, and hands out numbered tokens.
struct StandIn {
    questions: mpsc::Sender<Question>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    gets: u64,
    puts: u64,
    /// Puts that brought the token of the last answer about their key.
    informed: u64,
    tokens: std::collections::HashMap<Bytes, Bytes>,
    levels: Vec<(bool, Option<Level>)>,
    routes: Vec<Route>,
}

impl StandIn {
    /// Refuses every request when `refusing`.
    fn new(refusing: bool) -> Arc<StandIn> {
        let (questions, asked) = mpsc::channel::<Question>();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (number, (tag, request, sink)) in asked.into_iter().enumerate() {
                let token = Bytes::from(number.to_string());
                let read = request.operation == Operation::Get;
                let last = noted.lock().tokens.insert(request.key.clone(), token.clone());
                let mut seen = noted.lock();
                let informed = request.context.is_some() && request.context == last;
                seen.gets += u64::from(read);
                seen.puts += u64::from(!read);
                seen.informed += u64::from(informed);
                seen.levels.push((read, request.level));
                drop(seen);
                let reply = match (refusing, read) {
                    (true, _) => Reply::Failed(Failure::TooFewReplicas { needed: 2, alive: 0 }),
                    (_, true) => Reply::Read(Answer { values: Vec::new(), context: token }),
                    (_, false) => Reply::Written { context: token },
                };
                sink.complete(tag, NodeId(1), reply);
            }
        });
        Arc::new(StandIn { questions, seen })
    }
}

impl Store for StandIn {
    fn submit(&self, tag: u64, request: Request, route: Route, sink: &Arc<dyn Sink>) {
        self.seen.lock().routes.push(route);
        self.questions.send((tag, request, Arc::clone(sink))).unwrap();
    }
}

fn parameters(workload: &str, offer: Offer) -> Parameters {
    Parameters {
        workload: Workload::named(workload).unwrap(),
        records: 10,
        seed: 1,
        r: 1,
        w: 3,
        route: RouteSpec::Replica,
        nodes: vec![NodeId(1), NodeId(2)],
        context: ContextUse::None,
        offer,
        warm_up: Duration::ZERO,
        measure: Duration::from_millis(200),
        judges_reads: false,
        answer_limit: Duration::from_secs(10),
    }
}

const OPEN: Offer = Offer::Open { rate: 1_000.0, arrival: Arrival::Constant };

fn run(store: &Arc<StandIn>, parameters: Parameters) -> Measured {
    let length = parameters.warm_up + parameters.measure;
    let load = Running::start(Arc::clone(store) as Arc<dyn Store>, parameters).unwrap();
    while load.origin().elapsed() < length {
        std::thread::sleep(Duration::from_millis(5));
    }
    load.finish()
}

#[test]
fn an_open_loop_sends_all_that_is_due_and_no_more() {
    let store = StandIn::new(false);
    let measured = run(&store, parameters("a", OPEN));
    let acknowledged: u64 = measured.operations.iter().map(|o| o.outcomes.acknowledged).sum();
    assert_eq!((acknowledged, measured.schedule.unsent), (200, 0));
    assert_eq!(measured.schedule.lag.len(), 200);
    let seen = store.seen.lock();
    assert_eq!(seen.gets + seen.puts, 200);
    assert_eq!(seen.informed, 0, "YCSB's updates are blind");
    let expected = |read: bool| Some(Level::Exactly(if read { 1 } else { 3 }));
    assert!(seen.levels.iter().all(|(read, level)| *level == expected(*read)));
}

#[test]
fn a_read_modify_write_writes_with_what_it_read_and_counts_once() {
    let store = StandIn::new(false);
    let mut offered = parameters("f", Offer::Closed { outstanding: 1 });
    offered.workload.proportions.read = 0.0;
    offered.workload.proportions.read_modify_write = 1.0;
    let measured = run(&store, offered);
    let seen = store.seen.lock();
    assert_eq!(measured.operations.len(), 1);
    assert_eq!(measured.operations[0].kind, "read_modify_write");
    // What is answered after the window's end counts nowhere: with one outstanding, one at most.
    let acknowledged = measured.operations[0].outcomes.acknowledged;
    assert!(acknowledged > 0 && seen.puts - acknowledged <= 1, "{acknowledged} of {}", seen.puts);
    assert!(seen.informed == seen.puts && seen.gets - seen.puts <= 1);
}

#[test]
fn tokens_are_remembered_where_that_is_asked_for() {
    let store = StandIn::new(false);
    let mut offered = parameters("a", Offer::Closed { outstanding: 1 });
    offered.context = ContextUse::LastSeen;
    run(&store, offered);
    let seen = store.seen.lock();
    // Only the first update of a key that was not read before is blind: there are ten keys.
    assert!(seen.puts - seen.informed <= 10, "{} of {}", seen.informed, seen.puts);
}

#[test]
fn refusals_are_failures_and_are_not_timed() {
    let store = StandIn::new(true);
    let measured = run(&store, parameters("a", OPEN));
    let failed: u64 = measured.operations.iter().map(|o| o.outcomes.failed).sum();
    assert_eq!(failed, 200);
    assert!(measured.operations.iter().all(|o| o.response.is_empty() && o.errors.len() == 1));
}

#[test]
fn nodes_are_asked_in_turn_where_any_may_coordinate() {
    let store = StandIn::new(false);
    run(&store, Parameters { route: RouteSpec::Any, ..parameters("c", OPEN) });
    let seen = store.seen.lock();
    let turn = [Route::Node(NodeId(1)), Route::Node(NodeId(2))];
    assert!(seen.routes.iter().zip(turn.iter().cycle()).all(|(found, expected)| found == expected));
}
