//! The language: text and statements are each other's inverse, and refusals say where and why.
#![allow(clippy::unwrap_used)]

use super::parse::statement;
use super::*;
use crate::sim::Log;
use proptest::prelude::*;
use proptest::strategy::Union;

fn any_node() -> impl Strategy<Value = NodeId> {
    (1..9u64).prop_map(NodeId)
}

fn two_nodes() -> impl Strategy<Value = (NodeId, NodeId)> {
    (any_node(), 1..8u64).prop_map(|(from, by)| (from, NodeId((from.0 + by - 1) % 8 + 1)))
}

/// Mostly words, sometimes anything, and sometimes what the language itself says.
fn any_bytes() -> impl Strategy<Value = Bytes> {
    let signs = ["nothing", "&", "->", "|", "a=b", "#", "---", "", "n1", "agree", "\"", "\\", "\n"];
    prop_oneof![
        "[a-z]{1,6}".prop_map(Bytes::from),
        "\\PC{0,8}".prop_map(Bytes::from),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Bytes::from),
        prop::sample::select(signs.to_vec()).prop_map(Bytes::from),
    ]
}

fn any_level() -> impl Strategy<Value = Level> {
    prop_oneof![
        prop::sample::select(vec![Level::One, Level::Two, Level::Quorum, Level::All]),
        (1..=255u8).prop_map(Level::Exactly),
    ]
}

fn any_us() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_000u64, 0..100_000_000u64, (0..1_000u64).prop_map(|s| s * 1_000_000)]
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let what = prop_oneof![
        Just(What::Get),
        any_bytes().prop_map(What::Put),
        Just(What::Delete),
        any::<i64>().prop_map(What::Add),
    ];
    let names = (any::<Option<String>>(), any::<Option<String>>());
    let level = prop::option::of(any_level());
    let times = (prop::option::of(1..1u64 << 33), prop::option::of(1..u32::MAX));
    (any_node(), any_bytes(), what, level, names, times, any::<bool>()).prop_map(
        |(node, key, what, level, (name, context), (ttl_ms, timeout_ms), background)| {
            let ttl_ms = ttl_ms.filter(|_| matches!(what, What::Put(_)));
            let context = context.filter(|_| what != What::Get);
            Ask { node, key, what, level, name, context, ttl_ms, timeout_ms, background }
        },
    )
}

fn any_link() -> impl Strategy<Value = Link> {
    let delays = ["constant(0ms)", "uniform(1ms, 5ms)", "exponential(1500us)", "pareto(1ms, 1.5)"];
    let delay = prop::sample::select(delays.to_vec());
    let shares = (0.0..=1.0f64, 0.0..=1.0f64, 0.0..=1.0f64);
    (delay, shares, any::<bool>(), prop::option::of(1..1u64 << 40)).prop_map(
        |(delay, (loss, duplicate, reorder), ordered, bytes_per_s)| {
            let delay = delay.parse().unwrap();
            Link { delay, loss, duplicate, ordered, reorder, bytes_per_s }
        },
    )
}

fn any_expect() -> impl Strategy<Value = Expect> {
    let standings = ["unheard", "up", "suspect", "deaf", "down"];
    prop_oneof![
        (any_node(), any_bytes(), prop::collection::vec(any_bytes(), 0..3)).prop_map(
            |(node, key, mut values)| {
                values.sort();
                Expect::Stored { node, key, values }
            }
        ),
        (any_node(), any_node(), prop::sample::select(standings.to_vec()))
            .prop_map(|(node, peer, is)| Expect::Standing { node, peer, is: is.to_string() }),
        any_bytes().prop_map(|key| Expect::Agree { key }),
    ]
}

fn on_links() -> impl Strategy<Value = Statement> {
    let groups = prop::sample::subsequence((1..=8).map(NodeId).collect::<Vec<_>>(), 2..=8);
    let partition = (groups, any::<prop::sample::Index>()).prop_map(|(nodes, at)| {
        let (left, right) = nodes.split_at(1 + at.index(nodes.len() - 1));
        Statement::Partition(vec![left.to_vec(), right.to_vec()])
    });
    prop_oneof![
        any_link().prop_map(Statement::Network),
        (two_nodes(), any_link()).prop_map(|((from, to), link)| Statement::Direction {
            from,
            to,
            link
        }),
        partition,
        two_nodes().prop_map(|(from, to)| Statement::Cut { from, to }),
        two_nodes().prop_map(|(from, to)| Statement::Hold { from, to }),
        two_nodes().prop_map(|(from, to)| Statement::Release { from, to }),
        Just(Statement::Heal),
    ]
}

fn on_nodes() -> impl Strategy<Value = Statement> {
    let faults = prop_oneof![
        any_us().prop_map(|us| DiskFault::Slow { us }),
        Just(DiskFault::Full),
        Just(DiskFault::Free),
        Just(DiskFault::Rot),
    ];
    let looks = prop_oneof![
        (any_node(), any_bytes()).prop_map(|(node, key)| Look::Stored { node, key }),
        any_node().prop_map(|node| Look::Status { node }),
        any_bytes().prop_map(|key| Look::Owners { key }),
    ];
    let returns = (any::<bool>(), prop::option::of(1..u64::MAX));
    let ends = prop::sample::select(vec![End::Crash, End::PowerCut]);
    prop_oneof![
        (any_node(), ends).prop_map(|(node, how)| Statement::End { node, how }),
        (any_node(), returns).prop_map(|(node, (empty, epoch))| Statement::Start {
            node,
            how: Return { empty, epoch }
        }),
        any_node().prop_map(|node| Statement::Pause { node }),
        any_node().prop_map(|node| Statement::Resume { node }),
        (any_node(), any_us(), any::<bool>()).prop_map(|(node, us, back)| {
            Statement::ClockOffset { node, us: us as i64 * if back { -1 } else { 1 } }
        }),
        (any_node(), -500_000..=500_000i32)
            .prop_map(|(node, ppm)| Statement::ClockDrift { node, ppm }),
        (any_node(), faults).prop_map(|(node, what)| Statement::Disk { node, what }),
        looks.prop_map(Statement::Look),
    ]
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let pairs = [("n", "2"), ("seed", "7"), ("delay", "uniform(1ms, 5ms)"), ("sync", "never")];
    let setups = prop::sample::subsequence(pairs.to_vec(), 0..=4).prop_map(|pairs| {
        let owned = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
        Statement::Cluster(Setup(pairs.into_iter().map(owned).collect()))
    });
    Union::new([
        setups.boxed(),
        any_ask().prop_map(Statement::Ask).boxed(),
        any_us().prop_map(Statement::Tick).boxed(),
        any_us().prop_map(|within_us| Statement::Settle { within_us }).boxed(),
        on_links().boxed(),
        on_nodes().boxed(),
        any_expect().prop_map(Statement::Expect).boxed(),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_displayed_is_read_back(written in any_statement()) {
        let text = written.to_string();
        prop_assert_eq!(text.lines().count(), 1, "{}", text);
        prop_assert_eq!(statement(&text, None), Ok(Some(written)), "{}", text);
    }

    #[test]
    fn a_damaged_statement_is_taken_or_refused_where_it_stands(
        written in any_statement(), at in any::<prop::sample::Index>(), with in any::<char>(),
    ) {
        let mut text: Vec<char> = written.to_string().chars().collect();
        let at = at.index(text.len());
        text[at] = with;
        let text = String::from_iter(text);
        if let Err(wrong) = statement(&text, Some(8)) {
            let columns = 1..=text.chars().count() + 1;
            prop_assert!(columns.contains(&wrong.column), "{}: {:?}", text, wrong);
        }
    }
}

fn refusal(text: &str) -> String {
    Script::parse(text).unwrap_err().to_string()
}

#[test]
fn refusals_say_where_what_and_what_is_allowed() {
    for (line, expected) in [
        ("pit n1 a b", "line 2, column 1: found `pit`; did you mean `put`? allowed: cluster, put"),
        ("put n9 a b", "column 5: found `n9`; allowed: a node, n1 to n3"),
        ("put n1 a", "column 9: the line ends; allowed: a value, as in `put NODE KEY VALUE"),
        ("put n1 a b=c", "column 10: found `b=c`; allowed: a value; in quotes if it has a `=`"),
        ("put n1 a b levl=one", "found `levl=one`; did you mean `level`? allowed: level, as"),
        ("put n1 a b level=most", "column 12: found `level=most`; allowed: a level: one, two"),
        ("get n1 a ttl=5s", "column 10: found `ttl=5s`; allowed: level, as, timeout"),
        ("get n1 a b", "column 10: found `b`; allowed: the end of the line, as in `get NODE KEY"),
        ("add n1 a 1.5", "column 10: found `1.5`; allowed: a whole number"),
        ("tick soon", "column 6: found `soon`; allowed: a duration such as 200us"),
        ("cut n1 n2", "column 8: found `n2`; allowed: `->`"),
        ("hold n1 -> n1", "column 12: found `n1` twice; allowed: two nodes"),
        ("partition n1 n2", "column 16: the line ends; allowed: `|` and a second group"),
        ("partition n1 | n1", "column 16: found `n1` twice; allowed: each node in one group"),
        ("network loss=2", "column 9: found `loss=2`; allowed: a probability, 0 to 1"),
        ("network loss=0 loss=0", "column 16: found `loss=0`; allowed: each name once"),
        ("clock n1 offset=5", "column 10: found `offset=5`; allowed: a duration with a sign"),
        ("clock n1 drift=1e9ppm", "allowed: parts per million from -500000ppm"),
        ("disk n1 fill", "column 9: found `fill`; did you mean `full`? allowed: full, free"),
        ("expect n1 sees n2 gone", "column 19: found `gone`; allowed: unheard, up"),
        (
            "expect n1 sees n2 dead",
            "column 19: found `dead`; did you mean `deaf`? allowed: unheard",
        ),
        ("expect n1 had a", "column 11: found `had`; allowed: holds, sees"),
        ("restart n1 epoch=0", "column 12: found `epoch=0`; allowed: a number from 1"),
        ("put n1 a \"b", "column 10: this quote has no end"),
        ("cluster nodes=5", "column 1: found a second `cluster`"),
        ("---", "column 1: found `---`; allowed: a statement"),
    ] {
        let blank = if line == "---" { "\n" } else { "" };
        let refused = refusal(&format!("cluster nodes=3\n{blank}{line}\n"));
        assert!(refused.contains(expected), "{line}: {refused}");
    }
}

#[test]
fn a_cluster_is_refused_at_the_pair_that_is_wrong() {
    for (text, expected) in [
        ("cluster nodes=3 lose=0.1", "line 1, column 17: `lose=0.1`: unknown name; did you mean"),
        ("cluster nodes=2 n=3", "line 1, column 17: "),
        ("# why\ncluster  conflict=lwww", "line 2, column 10: `conflict=lwww`: "),
        ("cluster five", "line 1, column 9: found `five`; allowed: NAME=VALUE"),
        ("tick 5ms", "line 1, column 1: the first statement begins no world; allowed: `cluster`"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(expected), "{text}: {refused}");
    }
}

#[test]
fn a_script_is_handed_out_with_what_it_showed() {
    let text = "# One.\ncluster nodes=1 n=1\n\nput n1 a b # kept\nexpect n1 holds a b\n---\nold\n\n\
                # Two.\n\nexpect n1 holds a nothing\ntick 1s\n";
    let script = Script::parse(text).unwrap();
    assert_eq!(script.statements().count(), 5);
    let (mut fresh, mut player) = (String::new(), Player::new(Silent, Log::Off));
    let halted = script.play(&mut player, |block| fresh.push_str(block)).unwrap_err();
    let expected = "# One.\ncluster nodes=1 n=1\n---\nok\n\nput n1 a b # kept\n\
                    expect n1 holds a b\n---\n     0.150 ms  n1 put a b: done (quorum, 1 of 1) \
                    after 0.150 ms\n\n# Two.\n\nexpect n1 holds a nothing\ntick 1s\n---\n\
                    stopped at `expect n1 holds a nothing`: found b\n";
    assert_eq!(fresh, expected);
    assert_eq!(halted.line, 11);
    let again = Script::parse(&fresh).unwrap();
    assert_eq!(again.statements().count(), 5);
}

#[test]
fn a_statement_may_take_several_lines() {
    let text = "cluster nodes=3 \\\n  n=3 \\\n  seed=4\ntick 1s\n";
    let script = Script::parse(text).unwrap();
    assert_eq!(script.blocks[0].lines.len(), 4);
    let pairs = [("nodes", "3"), ("n", "3"), ("seed", "4")];
    let owned = pairs.map(|(name, value)| (name.to_string(), value.to_string()));
    assert_eq!(script.statements().next(), Some(&Statement::Cluster(Setup(owned.to_vec()))));
    let refused = refusal("# Why.\ncluster nodes=3 \\\n  lose=1\n");
    assert!(refused.starts_with("line 3, column 3: `lose=1`"), "{refused}");
    assert!(refusal("cluster nodes=3 \\").contains("the file ends"), "no end");
}

#[test]
fn another_seed_stands_in_the_text() {
    let mut script = Script::parse("# Why.\ncluster nodes=3 \\\n seed=4\n").unwrap();
    script.reseed(9);
    let mut fresh = String::new();
    script.play(&mut Player::new(Silent, Log::Off), |block| fresh.push_str(block)).unwrap();
    assert_eq!(fresh, "# Why.\ncluster nodes=3 seed=9\n---\nok\n");
}

#[test]
fn what_never_settles_ends_with_what_is_pending() {
    let text = "cluster nodes=3\ntick 10ms\nhold n1 -> n2\nhold n1 -> n3\npause n3\n\
                put n1 a b &\nget n3 a &\nsettle 100ms\n";
    let script = Script::parse(text).unwrap();
    let mut player = Player::new(Silent, Log::Off);
    let halted = script.play(&mut player, |_| {}).unwrap_err().to_string();
    for part in [
        "line 8: `settle 100ms`: did not settle by 110.000 ms of virtual time; pending:\n",
        "request 1: put n1 a b &\n",
        "request 2: get n3 a &\n",
        "n1 waits for writes 1\n",
        "held back  n1 -> n2: merge a\n",
        "n3 is paused  n3 finds request 2",
    ] {
        assert!(halted.contains(part), "{halted}");
    }
}

#[test]
fn equal_values_of_different_versions_are_no_agreement() {
    let text = "cluster nodes=3 w=one\ntick 10ms\npartition n1 | n2 n3\nput n1 a b\nput n2 a b\n\
                tick 5ms\nexpect n1 holds a b\nexpect n3 holds a b\nexpect replicas agree a\n";
    let script = Script::parse(text).unwrap();
    let halted = script.play(&mut Player::new(Silent, Log::Off), |_| {}).unwrap_err();
    assert_eq!(halted.line, 9);
    let Stopped::Unexpected { found } = halted.stopped else { panic!("{:?}", halted.stopped) };
    let parts: Vec<&str> = found.split(" | ").collect();
    assert_eq!(parts.len(), 3, "{found}");
    assert!(parts.iter().any(|part| part.starts_with("n1 with b (n1 at 10.000 ms)")), "{found}");
    assert!(parts.iter().any(|part| part.starts_with("n3 with b (n2 at 10.150 ms)")), "{found}");
}
