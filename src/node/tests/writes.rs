//! Writes: one stamp, W durable copies, three outcomes.

use super::*;
use crate::message::Outcome;

#[test]
fn a_write_at_quorum_is_read_back_through_every_node() {
    let mut cluster = Cluster::three();
    token(cluster.call(1, put("apple", "red")));
    for node in 1..=3 {
        assert_eq!(values(cluster.call(node, get("apple"))), ["red"]);
    }
    token(cluster.call(2, put("apple", "green")));
    assert_eq!(values(cluster.call(3, get("apple"))), ["green"]);
    token(cluster.call(3, delete("apple")));
    assert!(values(cluster.call(1, get("apple"))).is_empty());
    cluster.settle();
}
