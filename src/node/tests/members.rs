//! Membership: facts travel, opinions do not.

use super::*;
use crate::message::{Digest, MemberState};

fn standing(cluster: &Cluster, at: u64, of: u64) -> Standing {
    let members = cluster.node(at).status().members;
    members.into_iter().find(|member| member.id == NodeId(of)).unwrap().standing
}

/// One that hears the receiver.
fn heartbeat(cluster: &mut Cluster, from: u64, to: u64, incarnation: u64) {
    let hears = cluster.node(to).status().incarnation;
    tell(cluster, from, to, Message::Heartbeat { incarnation, hears, aside: false });
}

fn tell(cluster: &mut Cluster, from: u64, to: u64, message: Message) {
    let (from, to) = (NodeId(from), NodeId(to));
    cluster.sequence += 1;
    let (incarnation, sent_us, wall_us, sequence) = (100, 0, 0, cluster.sequence);
    let heard = Heard::default();
    let header =
        Header { from, to, epoch: 1, clock: 0, incarnation, sent_us, wall_us, sequence, heard };
    cluster.step(to, Input::Peer { header, messages: vec![message] });
}

fn beats(cluster: &Cluster, from: u64) -> usize {
    let prefix = format!("{} n{from} Send", cluster.now_us);
    let sent = cluster.log.iter().filter(|line| line.starts_with(&prefix));
    sent.filter(|line| line.contains("Heartbeat")).count()
}

#[test]
fn a_fresh_cluster_is_ready_at_once_and_a_lonely_node_is_not() {
    let mut cluster = Cluster::empty(settings(3, 3));
    cluster.boot(NodeId(1), 100);
    assert!(!cluster.node(1).is_ready());
    let refused = failure(cluster.call(1, put("apple", "red")));
    assert_eq!(refused, Failure::TooFewReplicas { needed: 2, alive: 1 });
    cluster.boot(NodeId(2), 100);
    cluster.run(MS);
    assert!(cluster.node(1).is_ready() && cluster.node(2).is_ready());
    assert_eq!(standing(&cluster, 1, 3), Standing::Unheard);
    cluster.run(1_100 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Down, "the grace is over");
    cluster.boot(NodeId(3), 100);
    cluster.run(MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Up);
}

#[test]
fn a_cluster_of_one_is_ready_alone() {
    let mut cluster = Cluster::start(settings(1, 1));
    assert!(cluster.node(1).is_ready());
    token(cluster.call(1, put("apple", "red")));
    assert_eq!(values(cluster.call(1, get("apple"))), ["red"]);
    cluster.settle();
}

#[test]
fn silence_makes_a_peer_suspect_then_down_and_hearing_makes_it_up() {
    let mut cluster = Cluster::three();
    cluster.events.clear();
    cluster.isolate(3);
    cluster.run(450 * MS);
    assert!(matches!(standing(&cluster, 1, 3), Standing::Suspect(_)));
    cluster.run(350 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Down);
    assert_eq!(standing(&cluster, 1, 2), Standing::Up);
    cluster.heal();
    cluster.run(150 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Up);
    let peer = NodeId(3);
    let told = cluster.events.iter().filter(|(at, _)| *at == NodeId(1)).collect::<Vec<_>>();
    assert!(matches!(told[0].1, Event::PeerSuspect { peer: NodeId(3), .. }), "{told:?}");
    assert_eq!(told[1].1, Event::PeerDown { peer });
    assert_eq!(told[2].1, Event::PeerUp { peer });
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn a_restarted_peer_is_up_again_and_gossip_tells_its_new_life() {
    let mut cluster = Cluster::three();
    cluster.run(1_000 * MS);
    cluster.crash(NodeId(3));
    cluster.run(1_000 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Down);
    let address = Address { grpc: "moved:1".to_string(), http: "moved:2".to_string() };
    cluster.settings.addresses.insert(NodeId(3), address);
    cluster.boot(NodeId(3), 101);
    cluster.run(1_000 * MS);
    for at in 1..=3 {
        let member = cluster.node(at).status().members[2].clone();
        assert_eq!((member.incarnation, member.grpc.as_str()), (101, "moved:1"), "at {at}");
        assert_eq!(member.standing, Standing::Up);
        assert_eq!(member.epoch, 1);
    }
}

#[test]
fn heartbeats_of_a_former_life_and_of_an_impossible_one_are_ignored() {
    let mut cluster = Cluster::three();
    cluster.crash(NodeId(3));
    cluster.run(1_000 * MS);
    let year_us = 365 * 24 * 3_600 * 1_000 * MS;
    let impossible = (WALL_US + cluster.now_us + year_us) / 1_000_000 + 2;
    for incarnation in [99, 0, impossible, u64::MAX] {
        heartbeat(&mut cluster, 3, 1, incarnation);
        assert_eq!(standing(&cluster, 1, 3), Standing::Down, "{incarnation}");
    }
    assert_eq!(cluster.counters(1).incarnations_ignored, 4);
    heartbeat(&mut cluster, 3, 1, 100);
    assert_eq!(standing(&cluster, 1, 3), Standing::Up);
}

#[test]
fn the_first_heartbeat_of_a_life_is_answered_at_once_and_others_are_not() {
    let mut cluster = Cluster::empty(settings(3, 3));
    cluster.boot(NodeId(1), 100);
    cluster.run(10 * MS);
    heartbeat(&mut cluster, 2, 1, 100);
    assert_eq!(beats(&cluster, 1), 1);
    cluster.run(MS);
    heartbeat(&mut cluster, 2, 1, 100);
    assert_eq!(beats(&cluster, 1), 0);
    cluster.run(MS);
    heartbeat(&mut cluster, 2, 1, 101);
    assert_eq!(beats(&cluster, 1), 1);
}

#[test]
fn a_peer_that_does_not_hear_us_is_deaf_and_writes_are_stamped_by_another() {
    let mut cluster = Cluster::start(settings(5, 3));
    cluster.events.clear();
    let owners = cluster.node(1).routing.owners(b"apple");
    let writer = (1..=5).map(NodeId).find(|id| !owners.contains(id)).unwrap();
    let stamper = owners[0];
    cluster.lose(move |from, to, _| (from, to) == (writer, stamper));
    cluster.run(900 * MS);
    assert_eq!(standing(&cluster, writer.0, stamper.0), Standing::Deaf);
    assert_eq!(standing(&cluster, stamper.0, writer.0), Standing::Down);
    let deaf = (writer, Event::PeerDeaf { peer: stamper });
    assert_eq!(cluster.events.iter().filter(|event| **event == deaf).count(), 1);
    token(cluster.call(writer.0, put("apple", "red")));
    cluster.heal();
    cluster.run(150 * MS);
    assert_eq!(standing(&cluster, writer.0, stamper.0), Standing::Up);
    assert_eq!(standing(&cluster, stamper.0, writer.0), Standing::Up);
}

#[test]
fn a_fresh_cluster_says_hello_and_answers_and_then_only_beats() {
    let mut cluster = Cluster::empty(settings(3, 3));
    (1..=3).for_each(|id| cluster.boot(NodeId(id), 100));
    cluster.run(2 * NETWORK_US);
    assert!((1..=3).all(|id| cluster.node(id).is_ready()), "one round trip");
    let sent = |cluster: &Cluster| {
        let is_beat = |line: &&String| line.contains("Send") && line.contains("Heartbeat");
        cluster.log.iter().filter(is_beat).count()
    };
    assert_eq!(sent(&cluster), 12, "one and one answer for each of six links");
    cluster.run(90 * MS);
    assert_eq!(sent(&cluster), 12);
    cluster.run(10 * MS);
    assert_eq!(sent(&cluster), 18);
}

#[test]
fn a_peer_is_not_up_because_it_heard_a_former_life_of_ours() {
    let mut cluster = Cluster::empty(settings(3, 3));
    cluster.boot(NodeId(1), 101);
    for hears in [100, 100, 102] {
        let message = Message::Heartbeat { incarnation: 100, hears, aside: false };
        tell(&mut cluster, 2, 1, message);
        assert!(!standing(&cluster, 1, 2).is_alive(), "{hears}");
    }
    heartbeat(&mut cluster, 2, 1, 100);
    assert_eq!(standing(&cluster, 1, 2), Standing::Up);
}

#[test]
fn nobody_else_raises_a_members_own_state() {
    let mut cluster = Cluster::three();
    let forged = |id, incarnation| MemberState {
        id: NodeId(id),
        incarnation,
        version: 9,
        grpc: "forged".to_string(),
        http: "forged".to_string(),
        epoch: 1,
    };
    let impossible = u64::MAX;
    let members = vec![forged(1, 200), forged(2, 50), forged(2, impossible), forged(8, 200)];
    cluster.run(1_000 * MS);
    tell(&mut cluster, 3, 1, Message::GossipReply { members, wanted: Vec::new() });
    let digests = vec![Digest { id: NodeId(1), incarnation: 200, version: 1 }];
    tell(&mut cluster, 3, 1, Message::Gossip { digests });
    let status = cluster.node(1).status();
    assert_eq!(status.members.len(), 3);
    assert!(status.members.iter().all(|member| member.grpc != "forged"), "{status:?}");
    let warned = (NodeId(1), Event::Impersonated { incarnation: 200 });
    assert_eq!(cluster.events.iter().filter(|event| **event == warned).count(), 2);
}

#[test]
fn a_node_that_slept_judges_nobody_until_it_has_listened() {
    let mut cluster = Cluster::three();
    cluster.run(1_000 * MS);
    cluster.events.clear();
    let mut sleeper = cluster.processes.remove(&NodeId(1)).unwrap();
    cluster.run(5_000 * MS);
    let now = cluster.now(NodeId(1));
    let mut out = Vec::new();
    sleeper.node.step(now, Input::Timer(Timer::Heartbeat), &mut out);
    sleeper.node.step(now, Input::Timer(Timer::Judge), &mut out);
    let told = out.iter().filter_map(|effect| match effect {
        Effect::Event(event) => Some(event.clone()),
        _ => None,
    });
    let told = told.collect::<Vec<_>>();
    assert!(matches!(told[..], [Event::Paused { late_ms: 4_900..=5_000 }]), "{told:?}");
    assert!(sleeper.node.is_ready(), "nobody was taken for dead");
    let judges_at = out.iter().find_map(|effect| match effect {
        Effect::Timer { at_us, timer: Timer::Judge } => Some(*at_us),
        _ => None,
    });
    assert_eq!(judges_at, Some(now.mono_us + 100 * MS), "a whole heartbeat interval later");
    let later = Now { mono_us: now.mono_us + 100 * MS, wall_us: now.wall_us + 100 * MS };
    sleeper.node.step(later, Input::Timer(Timer::Judge), &mut out);
    let down = |effect: &&Effect| matches!(effect, Effect::Event(Event::PeerDown { .. }));
    assert_eq!(out.iter().filter(down).count(), 2, "it is awake and still hears nobody");
}

#[test]
fn peers_are_judged_between_two_heartbeats() {
    let mut settings = settings(3, 3);
    settings.timing.judge_interval_ms = 10;
    let mut cluster = Cluster::start(settings);
    cluster.run(1_000 * MS);
    cluster.events.clear();
    cluster.crash(NodeId(3));
    let crashed_us = cluster.now_us;
    let down = Event::PeerDown { peer: NodeId(3) };
    while cluster.events.iter().filter(|(_, event)| *event == down).count() < 2 {
        cluster.run(MS);
    }
    let took_ms = (cluster.now_us - crashed_us) / MS;
    assert!((545..=565).contains(&took_ms), "600 ms after a beat 50 ms ago: {took_ms}");
}

#[test]
fn judgements_are_never_rarer_than_heartbeats() {
    let mut settings = settings(3, 3);
    settings.timing.judge_interval_ms = 60_000;
    let mut cluster = Cluster::start(settings);
    cluster.crash(NodeId(3));
    cluster.run(750 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Down);
}

#[test]
fn a_node_whose_clock_runs_ahead_is_not_followed_and_is_down_to_its_peers() {
    let mut cluster = Cluster::empty(settings(3, 3));
    cluster.wall_offset_us.insert(NodeId(3), 60_000_000);
    for id in 1..=3 {
        cluster.boot(NodeId(id), 100);
    }
    cluster.run(1_200 * MS);
    for at in 1..=2 {
        assert_eq!(standing(&cluster, at, 3), Standing::Down);
        assert!(cluster.counters(at).clock_drift_dropped > 0);
        let now = cluster.now(NodeId(at));
        let clock_us = cluster.node(at).header(NodeId(3), now, 1).clock >> 12;
        assert!(clock_us <= now.wall_us + MS, "{clock_us} is ahead of {}", now.wall_us);
    }
    token(cluster.call(1, put("apple", "red")));
    assert_eq!(values(cluster.call(2, get("apple"))), ["red"]);
    cluster.wall_offset_us.clear();
    cluster.crash(NodeId(3));
    cluster.boot(NodeId(3), 101);
    cluster.run(200 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Up);
}

#[test]
fn a_node_whose_clock_is_behind_answers_nobody_and_so_is_down_to_its_peers() {
    let mut cluster = Cluster::empty(settings(3, 3));
    cluster.wall_offset_us.insert(NodeId(3), -60_000_000);
    for id in 1..=3 {
        cluster.boot(NodeId(id), 100);
    }
    cluster.run(1_200 * MS);
    assert!(cluster.counters(3).clock_drift_dropped > 0);
    for at in 1..=2 {
        assert_eq!(standing(&cluster, at, 3), Standing::Down);
    }
    cluster.wall_offset_us.clear();
    cluster.run(400 * MS);
    assert_eq!(standing(&cluster, 1, 3), Standing::Up);
}

#[test]
fn clocks_follow_each_other_within_the_bound() {
    let mut cluster = Cluster::empty(settings(3, 3));
    cluster.wall_offset_us.insert(NodeId(3), 5_000_000);
    for id in 1..=3 {
        cluster.boot(NodeId(id), 100);
    }
    cluster.run(150 * MS);
    let behind = cluster.node(1).header(NodeId(2), cluster.now(NodeId(1)), 1).clock >> 12;
    assert!(behind >= WALL_US + cluster.now_us + 4_800_000);
    token(cluster.call(3, put("apple", "red")));
    token(cluster.call(1, put("apple", "green")));
    assert_eq!(values(cluster.call(2, get("apple"))), ["green"], "the later write wins");
}

#[test]
fn a_batch_for_somebody_else_is_dropped() {
    let mut cluster = Cluster::three();
    let (from, to) = (NodeId(2), NodeId(3));
    let (incarnation, sent_us, wall_us, sequence) = (1, 0, 0, 1);
    let heard = Heard::default();
    let header =
        Header { from, to, epoch: 1, clock: 0, incarnation, sent_us, wall_us, sequence, heard };
    let messages = vec![Message::Heartbeat { incarnation: 999, hears: 100, aside: false }];
    cluster.step(NodeId(1), Input::Peer { header, messages });
    assert_eq!(cluster.counters(1).misdirected, 1);
    assert_eq!(cluster.node(1).status().members[1].incarnation, 100);
}

#[test]
fn status_shows_shares_that_add_up() {
    let cluster = Cluster::start(settings(5, 3));
    let status = cluster.node(2).status();
    let sum = status.members.iter().map(|member| member.share).sum::<f64>();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert!(status.members.iter().all(|member| member.share > 0.0));
    assert_eq!((status.id, status.epoch, status.replicas), (NodeId(2), 1, 3));
}

#[test]
fn settings_that_cannot_work_are_refused_with_the_limits() {
    let refuse = |change: fn(&mut Settings)| {
        let mut settings = settings(3, 3);
        change(&mut settings);
        let now = Now { mono_us: 0, wall_us: WALL_US };
        let boot = Boot { incarnation: 1, actor: 1 };
        Node::new(settings, boot, now, &mut Vec::new()).err().map(|error| error.to_string())
    };
    assert_eq!(refuse(|_| {}), None);
    type Case = (fn(&mut Settings), &'static str);
    let cases: [Case; 5] = [
        (|it| it.id = NodeId(9), "node n9 is not among the members"),
        (|it| it.addresses.clear(), "member n1 has no address"),
        (|it| it.replication.n = 4, "`replication.n` is 4; allowed: 1 to 3"),
        (|it| it.replication.w = Level::Exactly(4), "`replication.w` is 4; allowed: 1 to 3"),
        (
            |it| it.timing.gossip_interval_ms = 0,
            "`timing.gossip_interval_ms` is 0; allowed: 1 to 3600000",
        ),
    ];
    for (change, why) in cases {
        assert_eq!(refuse(change).as_deref(), Some(why));
    }
}
