//! Spreading owners over racks: the rule that all partitioners share.

use crate::Member;

/// Which rack each member stands in. A rack is named within its data centre.
pub(super) struct Racks {
    /// For each member, in the order of the topology, the number of its rack.
    rack_of: Vec<u32>,
    count: usize,
}

impl Racks {
    pub(super) fn new(members: &[Member]) -> Self {
        let name = |member: &Member| (member.data_center.clone(), member.rack.clone());
        let mut names = members.iter().map(name).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        let number = |member| names.binary_search(&name(member)).expect("every name is listed");
        let rack_of = members.iter().map(|member| number(member) as u32).collect();
        Racks { rack_of, count: names.len() }
    }

    /// Whether `member` stands in a rack of its own beside `owners`, two of whom share one.
    pub(super) fn adds_rack(&self, member: usize, owners: impl Iterator<Item = usize>) -> bool {
        let mut met = Vec::new();
        let mut shared = false;
        for owner in owners {
            shared |= met.contains(&self.rack_of[owner]);
            met.push(self.rack_of[owner]);
        }
        shared && !met.contains(&self.rack_of[member])
    }

    /// The first `width` distinct members of `candidates` under this order: first the foremost
    /// member of every rack, then all others, both as they come.
    ///
    /// Adding a candidate never brings in another one that was left out before: that is what makes
    /// a join move ranges to the joiner alone.
    pub(super) fn spread(
        &self,
        candidates: impl IntoIterator<Item = usize>,
        width: usize,
    ) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(width);
        let mut racks_met = Vec::with_capacity(width);
        let mut left_out = Vec::new();
        for member in candidates {
            if chosen.len() == width {
                break;
            }
            if chosen.contains(&member) || left_out.contains(&member) {
                continue;
            }
            if racks_met.len() == self.count {
                chosen.push(member);
            } else if !racks_met.contains(&self.rack_of[member]) {
                racks_met.push(self.rack_of[member]);
                chosen.push(member);
            } else if left_out.len() < width {
                left_out.push(member);
            }
            if racks_met.len() == self.count {
                fill(&mut chosen, &mut left_out, width);
            }
        }
        fill(&mut chosen, &mut left_out, width);
        chosen
    }
}

fn fill(chosen: &mut Vec<usize>, left_out: &mut Vec<usize>, width: usize) {
    let room = width - chosen.len();
    chosen.extend(left_out.drain(..).take(room));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    fn racks(names: &[&str]) -> Racks {
        let member = |(id, rack): (usize, &&str)| Member {
            rack: rack.to_string(),
            ..Member::new(NodeId(id as u64))
        };
        Racks::new(&names.iter().enumerate().map(member).collect::<Vec<_>>())
    }

    #[test]
    fn racks_come_before_repeats() {
        let racks = racks(&["a", "a", "b", "a", "c"]);
        assert_eq!(racks.spread(0..5, 3), [0, 2, 4]);
        assert_eq!(racks.spread(0..5, 4), [0, 2, 4, 1]);
        assert_eq!(racks.spread([3, 1, 3, 2, 1, 0, 4], 5), [3, 2, 4, 1, 0]);
    }

    #[test]
    fn candidates_of_too_few_racks_are_filled_up_in_order() {
        let racks = racks(&["a", "a", "b", "a", "c"]);
        assert_eq!(racks.spread([3, 1, 0, 1], 3), [3, 1, 0]);
        assert_eq!(racks.spread([3, 1], 1), [3]);
    }

    #[test]
    fn one_rack_is_like_none() {
        assert_eq!(racks(&["", "", ""]).spread([2, 2, 0, 1], 2), [2, 0]);
    }
}
