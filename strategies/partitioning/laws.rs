//! What holds for every partitioner, over random topologies.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Choice, Member, NodeId, Settings};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn subjects() -> Vec<(&'static str, Box<dyn Partitioner>)> {
    let build = |name| Choice::<Partitioning>::named(name).unwrap().build();
    Partitioning::entries().iter().map(|entry| (entry.name, build(entry.name))).collect()
}

fn named(name: &str, settings: &[(&str, u64)]) -> Box<dyn Partitioner> {
    let settings = settings.iter().map(|(key, value)| (key.to_string(), (*value).into()));
    Choice::<Partitioning>::new(name, Settings::from_iter(settings)).unwrap().build()
}

/// Members of rising ids, some of them heavier, in up to five racks.
fn any_members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::vec((1..4u64, 1..4u32, 0..5usize), 1..10).prop_map(|list| {
        let mut id = 0;
        let member = |(step, weight, rack): (u64, u32, usize)| {
            id += step;
            let rack = ["", "a", "b", "c", "d"][rack].to_string();
            Member { weight, rack, ..Member::new(NodeId(id)) }
        };
        list.into_iter().map(member).collect()
    })
}

fn even(count: u64) -> Topology {
    Topology::new(1, (1..=count).map(|id| Member::new(NodeId(id))).collect())
}

fn width(range: TokenRange) -> f64 {
    ((range.end.0 - range.start.0) as f64 + 1.0) / 2f64.powi(64)
}

fn racks<'a>(members: impl Iterator<Item = &'a Member>) -> usize {
    members.map(|member| &member.rack).collect::<BTreeSet<_>>().len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn owners_are_distinct_and_spread(members in any_members(), replicas in 0..6usize) {
        let topology = Topology::new(1, members);
        let members = &topology.members;
        for (name, partitioner) in subjects() {
            let placement = partitioner.place(&topology, replicas);
            let wanted = replicas.min(members.len());
            prop_assert_eq!(placement.width(), wanted, "{}", name);
            let mut next = 0;
            for (range, owners) in placement.ranges() {
                prop_assert_eq!(range.start.0, next, "{}: ranges leave no gap", name);
                next = range.end.0.wrapping_add(1);
                prop_assert_eq!(owners.iter().collect::<BTreeSet<_>>().len(), wanted, "{}", name);
                let spread = racks(members.iter().filter(|member| owners.contains(&member.id)));
                prop_assert_eq!(spread, wanted.min(racks(members.iter())), "{}: racks", name);
            }
            prop_assert_eq!(next, 0, "{}: the ranges cover the token space", name);
        }
    }

    #[test]
    fn lookups_find_the_range(
        members in any_members(), tokens in prop::collection::vec(any::<u64>(), 20),
    ) {
        let topology = Topology::new(1, members);
        for (name, partitioner) in subjects() {
            let placement = partitioner.place(&topology, 3);
            for (range, owners) in placement.ranges() {
                prop_assert_eq!(placement.owners(range.start), owners, "{}", name);
                prop_assert_eq!(placement.owners(range.end), owners, "{}", name);
            }
            for token in &tokens {
                let token = Token(*token);
                let mut ranges = placement.ranges();
                let (_, owners) = ranges.find(|(range, _)| token <= range.end).unwrap();
                prop_assert_eq!(placement.owners(token), owners, "{}", name);
            }
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(members in any_members()) {
        let reversed = members.iter().rev().cloned().collect();
        let (one, other) = (Topology::new(1, members), Topology::new(2, reversed));
        for (name, partitioner) in subjects() {
            prop_assert_eq!(partitioner.place(&one, 3), partitioner.place(&other, 3), "{}", name);
        }
    }

    #[test]
    fn a_join_moves_ranges_to_the_joiner_alone(
        mut members in any_members(), replicas in 1..5usize, weight in 1..4u32, rack in 0..6usize,
    ) {
        let before = Topology::new(1, members.clone());
        let joiner = NodeId(members.last().unwrap().id.0 + 1);
        let rack = ["", "a", "b", "c", "d", "e"][rack].to_string();
        members.push(Member { weight, rack, ..Member::new(joiner) });
        let after = Topology::new(2, members);
        for (name, partitioner) in subjects() {
            let old = partitioner.place(&before, replicas);
            let new = partitioner.place(&after, replicas);
            if old.width() < new.width() {
                continue;
            }
            let moves = Placement::moves(&old, &new);
            prop_assert!(moves.iter().all(|gain| gain.to == joiner), "{}: {:?}", name, moves);
            let gained = moves.iter().map(|gain| width(gain.range)).sum::<f64>();
            let share = new.ownership().get(&joiner).copied().unwrap_or_default();
            prop_assert!((gained - share.replica).abs() < 1e-9, "{}", name);
            let sources = moves.iter().all(|gain| old.owners(gain.range.start) == gain.from);
            prop_assert!(sources, "{}: the former owners are the sources", name);
        }
    }

    #[test]
    fn shares_add_up(members in any_members(), replicas in 1..5usize) {
        let topology = Topology::new(1, members);
        for (name, partitioner) in subjects() {
            let placement = partitioner.place(&topology, replicas);
            let shares = placement.ownership();
            let primary = shares.values().map(|share| share.primary).sum::<f64>();
            let replica = shares.values().map(|share| share.replica).sum::<f64>();
            prop_assert!((primary - 1.0).abs() < 1e-9, "{}", name);
            prop_assert!((replica - placement.width() as f64).abs() < 1e-9, "{}", name);
        }
    }

    #[test]
    fn slots_are_dealt_by_weight(members in any_members()) {
        let topology = Topology::new(1, members);
        let shares = named("hash_slots", &[]).place(&topology, 1).ownership();
        let weights = topology.members.iter().map(|member| f64::from(member.weight)).sum::<f64>();
        for member in &topology.members {
            let wanted = 16_384.0 * f64::from(member.weight) / weights;
            let held = shares[&member.id].primary * 16_384.0;
            prop_assert!((held - wanted).abs() < 2.0, "{}: {} for {}", member.id, held, wanted);
        }
    }
}

#[test]
fn nobody_owns_anything_in_an_empty_topology() {
    for (name, partitioner) in subjects() {
        let placement = partitioner.place(&Topology::new(1, vec![]), 3);
        assert!(placement.owners(partitioner.token(b"key")).is_empty(), "{name}");
    }
}

#[test]
fn a_joiner_takes_its_part_of_all_keys() {
    for (name, partitioner) in subjects() {
        let (old, new) = (partitioner.place(&even(9), 1), partitioner.place(&even(10), 1));
        let moved = Placement::moves(&old, &new).iter().map(|m| width(m.range)).sum::<f64>();
        assert!((0.05..0.17).contains(&moved), "{name} moved {moved}, wanted 0.1");
    }
}

/// Two joins of which the second one has a lower id than the first: vnodes know no order of
/// joining.
#[test]
fn vnodes_join_with_any_id() {
    let ids = |list: &[u64]| list.iter().map(|id| Member::new(NodeId(*id))).collect();
    let vnodes = named("vnodes", &[]);
    let old = vnodes.place(&Topology::new(1, ids(&[2, 4, 6, 8])), 3);
    let new = vnodes.place(&Topology::new(2, ids(&[2, 3, 4, 6, 8])), 3);
    assert!(Placement::moves(&old, &new).iter().all(|gain| gain.to == NodeId(3)));
}

fn deviation(shares: &[f64]) -> f64 {
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let variance = shares.iter().map(|share| (share / mean - 1.0).powi(2)).sum::<f64>();
    (variance / shares.len() as f64).sqrt()
}

#[test]
fn the_deviation_of_vnode_shares_is_one_over_the_root_of_their_number() {
    for per_node in [4, 16, 64, 256] {
        let placement = named("vnodes", &[("per_node", per_node)]).place(&even(200), 1);
        let shares = placement.ownership().values().map(|s| s.primary).collect::<Vec<_>>();
        let scaled = deviation(&shares) * (per_node as f64).sqrt();
        assert!((0.8..1.25).contains(&scaled), "{per_node}: {scaled}");
    }
}

/// Dynamo, SOSP 2007, Figure 8, strategy 1: mean over maximum load of 30 nodes at N = 3.
#[test]
fn vnodes_balance_as_in_dynamo_figure_8() {
    for (per_node, published) in [(2, 0.52), (8, 0.69), (32, 0.82), (128, 0.91)] {
        let efficiency = |seed| {
            let partitioner = named("vnodes", &[("per_node", per_node), ("seed", seed)]);
            let shares = partitioner.place(&even(30), 3).ownership();
            0.1 / shares.values().map(|share| share.replica).fold(0.0, f64::max)
        };
        let mean = (0..20).map(efficiency).sum::<f64>() / 20.0;
        assert!(
            (mean - published).abs() < 0.02,
            "{per_node} tokens: {mean}, published {published}"
        );
    }
}

/// Further owners of slots are drawn, not dealt: their shares vary, but little over so many slots.
#[test]
fn slots_spread_further_owners() {
    let shares = named("hash_slots", &[]).place(&even(10), 3).ownership();
    let shares = shares.values().map(|share| share.replica).collect::<Vec<_>>();
    assert!(deviation(&shares) < 0.02, "{shares:?}");
}
