//! A random scenario before it is written out: a cluster, what happens to it, and an end that is
//! always the same.

use super::scars::Scars;
use crate::level::Level;
use crate::sim::scenario::{Ask, BadPair, Expect, Setup, Statement, What};
use bytes::Bytes;
use quorate_strategies::NodeId;
use std::collections::BTreeSet;

/// How long the detectors have to find that everybody is there again.
const RECOVERY_US: u64 = 2_500_000;
/// The longest that anything may take to come to rest.
const SETTLE_US: u64 = 30_000_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub setup: Setup,
    pub body: Vec<Statement>,
}

impl Plan {
    /// The whole scenario: the cluster, what of the body is possible, everything healed, every key
    /// read from all its replicas twice, and all replicas equal.
    ///
    /// # Errors
    /// A setup that no cluster has.
    pub fn statements(&self) -> Result<Vec<Statement>, BadPair> {
        let config = self.setup.config()?;
        let mut scars = Scars::new(&config.network);
        let mut all = vec![Statement::Cluster(self.setup.clone())];
        for statement in &self.body {
            if scars.takes(statement) {
                scars.note(statement);
                all.push(statement.clone());
            }
        }
        all.extend(scars.healing());
        all.push(Statement::Tick(RECOVERY_US));
        all.push(Statement::Settle { within_us: SETTLE_US });
        for (index, key) in self.keys().into_iter().enumerate() {
            for round in 0..2 {
                let node = (index as u64 + round) % u64::from(config.nodes) + 1;
                all.push(Statement::Ask(last_look(NodeId(node), key.clone())));
            }
            all.push(Statement::Settle { within_us: SETTLE_US });
            all.push(Statement::Expect(Expect::Agree { key }));
        }
        Ok(all)
    }

    fn keys(&self) -> BTreeSet<Bytes> {
        let key = |statement: &Statement| match statement {
            Statement::Ask(ask) => Some(ask.key.clone()),
            _ => None,
        };
        self.body.iter().filter_map(key).collect()
    }
}

fn last_look(node: NodeId, key: Bytes) -> Ask {
    Ask {
        node,
        key,
        what: What::Get,
        level: Some(Level::All),
        name: None,
        context: None,
        ttl_ms: None,
        timeout_ms: None,
        background: false,
    }
}
