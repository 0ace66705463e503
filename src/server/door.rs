//! What the doors for single calls (HTTP, and gRPC's unary methods) share.

use super::inbox::{Inbound, Report, Sender};
use super::shared::Shared;
use crate::config::NodeConfig;
use crate::message::{Failure, Operation, Reply, Request};
use crate::node::{self, Standing};
use crate::wire::{MemberStatus, StatusReply};
use quorate_strategies::partitioning::Share;
use quorate_strategies::{NodeId, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

pub struct Door {
    pub inbox: Sender,
    pub shared: Arc<Shared>,
    pub config: NodeConfig,
    pub storage: Arc<super::storage::Storage>,
    /// Share of the token space by node, of the topology that the configuration names.
    shares: BTreeMap<NodeId, Share>,
}

impl Door {
    pub fn new(
        inbox: Sender,
        shared: Arc<Shared>,
        config: NodeConfig,
        storage: Arc<super::storage::Storage>,
    ) -> Self {
        let members = config.members.iter().map(|member| member.member()).collect();
        let placement = config
            .cluster
            .strategies
            .partitioning
            .build()
            .place(&Topology::new(1, members), config.cluster.replication.n);
        Door { inbox, shared, config, storage, shares: placement.ownership() }
    }

    /// One request, one reply. A full inbox is an answer, never a wait.
    pub async fn ask(&self, request: Request) -> Reply {
        let write = !matches!(request.operation, Operation::Get);
        let (reply, answered) = oneshot::channel();
        match self.inbox.try_send(Inbound::Ask { request, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return overloaded("the node's inbox is full"),
            Err(TrySendError::Closed(_)) => return overloaded("the node is stopping"),
        }
        // The driver answers every request by its deadline, unless the node is torn down before.
        answered.await.unwrap_or(Reply::Failed(Failure::Disconnected { maybe_done: write }))
    }

    /// What the driver tells of its node; None while the node is stopping.
    pub async fn report(&self) -> Option<Box<Report>> {
        let (asker, answered) = oneshot::channel();
        self.inbox.send(Inbound::Status(asker)).await.ok()?;
        answered.await.ok()
    }

    /// Members, states and ownership, for clients that route and people who look.
    pub fn status(&self, status: &node::Status) -> StatusReply {
        let cluster = &self.config.cluster;
        let strategies = &cluster.strategies;
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        StatusReply {
            id: status.id.0,
            incarnation: status.incarnation,
            epoch: status.epoch,
            ready: status.ready && !self.shared.is_stopping(),
            members: status.members.iter().map(|member| self.member(member)).collect(),
            partitioning: json(serde_json::to_string(&strategies.partitioning)),
            replicas: status.replicas as u32,
            conflict: json(serde_json::to_string(&strategies.conflict)),
            compaction: json(serde_json::to_string(&strategies.compaction)),
            detection: json(serde_json::to_string(&strategies.detection)),
            engine: json(serde_json::to_string(&cluster.engine)),
            version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }

    fn member(&self, member: &node::MemberStatus) -> MemberStatus {
        let configured = self.config.members.iter().find(|it| it.id == member.id);
        let share = self.shares.get(&member.id);
        let (verdict, score) = match member.standing {
            Standing::Unheard => ("unheard", 0.0),
            Standing::Up => ("up", 0.0),
            Standing::Suspect(score) => ("suspect", score),
            Standing::Deaf => ("deaf", 0.0),
            Standing::Down => ("down", 0.0),
        };
        MemberStatus {
            id: member.id.0,
            incarnation: member.incarnation,
            grpc: member.grpc.clone(),
            http: member.http.clone(),
            verdict: verdict.to_string(),
            score,
            weight: configured.map_or(1, |it| it.weight),
            rack: configured.map(|it| it.rack.clone()).unwrap_or_default(),
            data_center: configured.map(|it| it.data_center.clone()).unwrap_or_default(),
            owns_first: share.map_or(0.0, |share| share.primary),
            owns_any: share.map_or(0.0, |share| share.replica),
        }
    }
}

fn overloaded(what: &str) -> Reply {
    Reply::Failed(Failure::Overloaded { what: what.to_string() })
}
