//! `quorate status`: the cluster as one of its nodes sees it, and what every node says of itself.

use super::access::{ClusterArgs, node_id};
use super::{COULD_NOT_RUN, FAILED, print, print_json, say, text};
use crate::client::{Client, ClientError};
use crate::wire::{MemberStatus, StatusReply};
use quorate_strategies::NodeId;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Show the members, their states, and what each owns
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose view of the others to show; by default that of the first address in --cluster
    #[arg(long, value_name = "ID", value_parser = node_id)]
    node: Option<NodeId>,
    #[command(flatten)]
    access: ClusterArgs,
}

type Answers = Vec<(NodeId, Result<StatusReply, ClientError>)>;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { node, access } = args;
    let answers = access.with_client(async |client: &Client| client.status_all().await)?;
    let Some(view) = view(&answers, node, &access) else {
        let (code, why) = silence(&answers, node);
        say(format!("quorate: {why}"));
        return Ok(ExitCode::from(code));
    };
    if access.json {
        print_json(&as_json(view, &answers))?;
    } else {
        print(as_text(view, &answers))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Why there is no view to show, and the exit code for it.
fn silence(answers: &Answers, asked: Option<NodeId>) -> (u8, String) {
    let members = ids(answers);
    let Some(node) = asked else {
        return (FAILED, format!("no node answers; members: {members}"));
    };
    match answers.iter().find(|(id, _)| *id == node) {
        None => (COULD_NOT_RUN, format!("{node} is no member of the cluster; members: {members}")),
        Some((_, Err(error @ ClientError::Unreachable { .. }))) => (FAILED, error.to_string()),
        Some(_) => (FAILED, format!("{node} does not answer; members: {members}")),
    }
}

fn ids(answers: &Answers) -> String {
    answers.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ")
}

/// The answer of the node that was asked for: by id, else by address, else the first that answers.
fn view<'a>(
    answers: &'a Answers,
    node: Option<NodeId>,
    access: &ClusterArgs,
) -> Option<&'a StatusReply> {
    let answered = || answers.iter().filter_map(|(_, answer)| answer.as_ref().ok());
    if let Some(node) = node {
        return answered().find(|status| status.id == node.0);
    }
    let first = access.cluster.first().map(|address| address.to_string());
    let at_first = |status: &&StatusReply| {
        let own = status.members.iter().find(|member| member.id == status.id);
        own.map(|member| &member.grpc) == first.as_ref()
    };
    answered().find(at_first).or_else(|| answered().next())
}

fn own(answers: &Answers, id: u64) -> Option<&StatusReply> {
    let (_, answer) = answers.iter().find(|(node, _)| node.0 == id)?;
    answer.as_ref().ok()
}

fn as_text(view: &StatusReply, answers: &Answers) -> String {
    let heading = [
        "node",
        "address",
        "state",
        "ready",
        "epoch",
        "incarnation",
        "weight",
        "owns first",
        "owns any",
        "rack",
    ];
    let mut rows = vec![heading.map(str::to_string).to_vec()];
    rows.extend(view.members.iter().map(|member| row(member, own(answers, member.id))));
    let id = NodeId(view.id);
    format!(
        "{} nodes, {} replicas of each key, epoch {}, as {id} sees them (quorate {})\n\
         partitioning  {}\nconflict      {}\ncompaction    {}\ndetection     {}\n\
         engine        {}\n\n{}",
        view.members.len(),
        view.replicas,
        view.epoch,
        view.version,
        plain(&view.partitioning),
        plain(&view.conflict),
        plain(&view.compaction),
        plain(&view.detection),
        plain(&view.engine),
        text::columns(&rows, &[4, 5, 6, 7, 8]),
    )
}

/// What the asked node says of a member, and what the member says of itself, if it answers.
fn row(member: &MemberStatus, own: Option<&StatusReply>) -> Vec<String> {
    let silent = || "?".to_string();
    let ready = |status: &StatusReply| if status.ready { "yes" } else { "no" }.to_string();
    // How near to being called down it is; for the others the verdict says all.
    let score = match member.verdict.as_str() {
        "suspect" => format!(" ({:.1})", member.score),
        _ => String::new(),
    };
    vec![
        NodeId(member.id).to_string(),
        member.grpc.clone(),
        format!("{}{score}", member.verdict),
        own.map_or_else(silent, ready),
        own.map_or_else(silent, |status| status.epoch.to_string()),
        member.incarnation.to_string(),
        member.weight.to_string(),
        format!("{:.1} %", 100.0 * member.owns_first),
        format!("{:.1} %", 100.0 * member.owns_any),
        [&member.data_center, &member.rack].map(String::as_str).join(" ").trim().to_string(),
    ]
}

/// A strategy's JSON as YAML would say it.
fn plain(strategy: &str) -> String {
    strategy.replace('"', "").replace(':', ": ").replace(',', ", ")
}

fn as_json(view: &StatusReply, answers: &Answers) -> Value {
    let members = view.members.iter().map(|member| {
        let own = own(answers, member.id);
        json!({
            "id": member.id,
            "grpc": member.grpc,
            "http": member.http,
            "verdict": member.verdict,
            "score": member.score,
            "incarnation": member.incarnation,
            "weight": member.weight,
            "rack": member.rack,
            "data_center": member.data_center,
            "owns_first": member.owns_first,
            "owns_any": member.owns_any,
            "ready": own.map(|status| status.ready),
            "epoch": own.map(|status| status.epoch),
        })
    });
    json!({
        "as_seen_by": view.id,
        "epoch": view.epoch,
        "replicas": view.replicas,
        "version": view.version,
        "partitioning": strategy(&view.partitioning),
        "conflict": strategy(&view.conflict),
        "compaction": strategy(&view.compaction),
        "detection": strategy(&view.detection),
        "engine": strategy(&view.engine),
        "members": members.collect::<Vec<_>>(),
    })
}

/// Strategies travel as JSON; a node of another version may say it otherwise.
fn strategy(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn member(id: u64, verdict: &str) -> MemberStatus {
        MemberStatus {
            id,
            incarnation: 7,
            grpc: format!("127.0.0.1:710{id}"),
            verdict: verdict.to_string(),
            score: 9.25,
            weight: 1,
            owns_first: 0.5,
            owns_any: 1.0,
            ..MemberStatus::default()
        }
    }

    fn status(id: u64) -> StatusReply {
        StatusReply {
            id,
            epoch: 1,
            ready: true,
            members: vec![member(1, "up"), member(2, "down"), member(3, "suspect")],
            partitioning: r#"{"vnodes":{"per_node":8}}"#.to_string(),
            replicas: 2,
            ..StatusReply::default()
        }
    }

    #[test]
    fn the_table_tells_a_live_node_from_a_silent_one() {
        let gone = ClientError::NoSeed { tried: "127.0.0.1:7102".to_string() };
        let answers = vec![(NodeId(1), Ok(status(1))), (NodeId(2), Err(gone))];
        let text = as_text(answers[0].1.as_ref().unwrap(), &answers);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "partitioning  {vnodes: {per_node: 8}}");
        assert!(lines[8].starts_with("n1    127.0.0.1:7101  up             yes"), "{text}");
        assert!(lines[9].starts_with("n2    127.0.0.1:7102  down           ?"), "{text}");
        assert!(lines[10].starts_with("n3    127.0.0.1:7103  suspect (9.2)  ?"), "{text}");
    }

    #[test]
    fn a_silent_node_is_told_from_a_stranger() {
        let gone = ClientError::Unreachable {
            node: NodeId(2),
            address: "127.0.0.1:7102".to_string(),
            cause: "refused".to_string(),
        };
        let answers = vec![(NodeId(1), Ok(status(1))), (NodeId(2), Err(gone))];
        let (code, why) = silence(&answers, Some(NodeId(2)));
        assert_eq!((code, why.as_str()), (1, "n2 does not answer at 127.0.0.1:7102: refused"));
        let (code, why) = silence(&answers, Some(NodeId(9)));
        assert_eq!((code, why.as_str()), (2, "n9 is no member of the cluster; members: n1, n2"));
    }

    #[test]
    fn the_view_is_that_of_the_first_address() {
        let answers = vec![(NodeId(1), Ok(status(1))), (NodeId(2), Ok(status(2)))];
        let cluster = vec!["127.0.0.1:7102".parse().unwrap()];
        let access = ClusterArgs { cluster, timeout_ms: None, json: false };
        assert_eq!(view(&answers, None, &access).unwrap().id, 2);
        assert_eq!(view(&answers, Some(NodeId(1)), &access).unwrap().id, 1);
        assert!(view(&answers, Some(NodeId(3)), &access).is_none());
    }
}
