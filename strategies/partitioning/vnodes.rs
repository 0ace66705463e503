//! Virtual nodes: consistent hashing with several tokens per node.
//!
//! ```text
//!        t1(n2)   t2(n1)        t3(n3)  t4(n2)
//!   0 ─────┼────────┼──────●──────┼───────┼───── u64::MAX, then round to t1
//!                       token(key) └─► owners: n3, n2, n1: the tokens met clockwise,
//!                                      each node once, each rack once as far as there are racks
//! ```
//!
//! A node's tokens depend on the seed, its id and a counter alone, so members do not have to agree
//! on anything but who they are, and a join leaves all other tokens where they were.
//!
//! A share is a sum of `per_node` random arcs: its standard deviation is about 1/√`per_node` of its
//! mean. More tokens even the load out and spread the sources of a join, but they also make more
//! distinct sets of owners, so that any three lost disks are likelier to hold all copies of
//! something.
//!
//! # Caveats
//!
//! Tokens are drawn, not allocated to even the shares out: Cassandra's allocator looks at the ring
//! that is there, which would have to travel in the topology.

use super::racks::Racks;
use super::{Partitioner, Placement};
use crate::registry::within;
use crate::{Entry, Invalid, Member, NodeId, Parameter, Settings, Token, Topology, defaults, read};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) const ENTRY: Entry<dyn Partitioner> = Entry {
    name: "vnodes",
    about: "consistent hashing, several random tokens per node; shares are uneven, joins are local",
    paper: "Karger et al., STOC 1997; Dynamo, SOSP 2007, section 6.2, strategy 1",
    parameters: &[
        Parameter {
            name: "per_node",
            about: "tokens of a node of weight 1, 1 to 4096; shares deviate by about 1/√per_node",
        },
        Parameter { name: "seed", about: "another seed draws other tokens; alike on every node" },
    ],
    defaults: defaults::<Vnodes>,
    build,
};

fn build(settings: &Settings) -> Result<Box<dyn Partitioner>, Invalid> {
    let vnodes = read::<Vnodes>(settings)?;
    within("per_node", vnodes.per_node, 1, 4096)?;
    Ok(Box::new(vnodes))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vnodes {
    per_node: u32,
    seed: u64,
}

impl Default for Vnodes {
    fn default() -> Self {
        Vnodes { per_node: 16, seed: 0 }
    }
}

impl Partitioner for Vnodes {
    fn token(&self, key: &[u8]) -> Token {
        Token(xxh3_64(key))
    }

    fn place(&self, topology: &Topology, replicas: usize) -> Placement {
        let width = replicas.min(topology.members.len());
        if width == 0 {
            return Placement::unowned();
        }
        let ring = self.ring(topology);
        let racks = Racks::new(&topology.members);
        let lists = (0..ring.len())
            .map(|start| {
                let clockwise = ring[start..].iter().chain(&ring[..start]);
                racks.spread(clockwise.map(|(_, member)| *member as usize), width)
            })
            .map(|list| list.into_iter().map(|member| topology.members[member].id).collect())
            .collect::<Vec<Vec<NodeId>>>();
        let ends = ring.iter().map(|(token, _)| *token).zip(lists.iter().map(Vec::as_slice));
        // The arc behind the last token belongs to the first one; ranges do not wrap, so it is its
        // own.
        let wrapped = ring.last().filter(|(token, _)| *token != u64::MAX);
        Placement::new(width, ends.chain(wrapped.map(|_| (u64::MAX, lists[0].as_slice()))))
    }
}

impl Vnodes {
    /// All tokens, ascending, each with the index of its member. A token drawn twice stays with the
    /// member of the lower index.
    fn ring(&self, topology: &Topology) -> Vec<(u64, u32)> {
        let mut ring = Vec::new();
        for (index, member) in topology.members.iter().enumerate() {
            let count = u64::from(self.per_node) * u64::from(member.weight.max(1));
            ring.extend((0..count).map(|number| (self.node_token(member, number), index as u32)));
        }
        ring.sort_unstable();
        ring.dedup_by_key(|(token, _)| *token);
        ring
    }

    fn node_token(&self, member: &Member, number: u64) -> u64 {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&member.id.0.to_le_bytes());
        name[8..].copy_from_slice(&number.to_le_bytes());
        xxh3_64_with_seed(&name, self.seed)
    }
}
