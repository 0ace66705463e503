//! Were two nodes configured alike, as far as they must be?

use crate::config::NodeConfig;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// What two nodes must agree on: who owns a key, and what a record means. Engines, compaction,
/// timing and limits are each node's own affair.
#[derive(Serialize)]
struct Agreed<'a> {
    copies: usize,
    partitioning: &'a quorate_strategies::Choice<quorate_strategies::Partitioning>,
    conflict: &'a quorate_strategies::Choice<quorate_strategies::Conflict>,
    /// Ascending by id, whatever the order in the file.
    members: Vec<AgreedMember<'a>>,
}

#[derive(Serialize)]
struct AgreedMember<'a> {
    id: u64,
    grpc: String,
    weight: u32,
    rack: &'a str,
    data_center: &'a str,
}

/// The hash of the canonical JSON of what must be equal on all nodes.
pub fn fingerprint(config: &NodeConfig) -> u64 {
    let mut members: Vec<_> = config.members.iter().collect();
    members.sort_by_key(|member| member.id);
    let agreed = Agreed {
        copies: config.cluster.replication.n,
        partitioning: &config.cluster.strategies.partitioning,
        conflict: &config.cluster.strategies.conflict,
        members: members
            .into_iter()
            .map(|member| AgreedMember {
                id: member.id.0,
                grpc: member.grpc.to_string(),
                weight: member.weight,
                rack: &member.rack,
                data_center: &member.data_center,
            })
            .collect(),
    };
    let json = serde_json::to_vec(&agreed).expect("plain data with string keys is JSON");
    xxh3_64(&json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(text: &str) -> NodeConfig {
        serde_yaml::from_str(text).unwrap()
    }

    const PLAIN: &str = "
id: 1
data: /tmp/n1
members:
  - {id: 1, grpc: '127.0.0.1:1', http: '127.0.0.1:2'}
  - {id: 2, grpc: '127.0.0.1:3', http: '127.0.0.1:4'}
";

    #[test]
    fn order_and_local_taste_do_not_matter() {
        let swapped = "
id: 2
data: /tmp/n2
cluster: {engine: memory, timing: {hedge_ms: 7}}
members:
  - {id: 2, grpc: '127.0.0.1:3', http: '127.0.0.1:4'}
  - {id: 1, grpc: '127.0.0.1:1', http: '127.0.0.1:2'}
";
        assert_eq!(fingerprint(&config(PLAIN)), fingerprint(&config(swapped)));
    }

    #[test]
    fn placement_and_meaning_matter() {
        let with = |cluster: &str| fingerprint(&config(&format!("{PLAIN}cluster: {cluster}\n")));
        let plain = fingerprint(&config(PLAIN));
        assert_ne!(plain, with("{replication: {n: 2}}"));
        assert_ne!(plain, with("{strategies: {partitioning: {vnodes: {per_node: 7}}}}"));
        assert_ne!(plain, fingerprint(&config(&PLAIN.replace("127.0.0.1:3", "127.0.0.1:5"))));
    }
}
