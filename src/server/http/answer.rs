//! From a reply of the store to an HTTP response.

use super::error::Problem;
use crate::token;
use crate::wire::{MemberStatus, StatusReply};
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quorate_strategies::conflict::{Answer, Shown};
use serde_json::{Map, Value, json};

/// In which form a reader wants a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it was put.
    AsPut,
    Json,
    Raw,
}

fn etag(context: &[u8]) -> [(HeaderName, HeaderValue); 1] {
    let tag = format!("\"{}\"", token::encode(context));
    let value = HeaderValue::from_str(&tag).expect("base64 and quotes are visible ASCII");
    [(header::ETAG, value)]
}

pub fn written(context: &[u8]) -> Response {
    (etag(context), Json(json!({"version": token::encode(context)}))).into_response()
}

pub fn deleted(context: &[u8]) -> Response {
    (StatusCode::NO_CONTENT, etag(context)).into_response()
}

pub fn read(answer: Answer, form: Form) -> Response {
    let Answer { values, context } = answer;
    match values.as_slice() {
        [] => {
            // The token covers the tombstone, so that a writer can say that it had seen it.
            let problem = Problem::not_found("not found");
            match context.is_empty() {
                true => problem.into_response(),
                false => (etag(&context), problem).into_response(),
            }
        }
        [one] => single(one, &context, form),
        _ => {
            let siblings: Vec<Value> = values
                .iter()
                .map(|shown| Value::Object(object(shown, token::encode(&shown.version.0))))
                .collect();
            let body = json!({"siblings": siblings, "version": token::encode(&context)});
            (StatusCode::MULTIPLE_CHOICES, etag(&context), Json(body)).into_response()
        }
    }
}

fn single(shown: &Shown, context: &[u8], form: Form) -> Response {
    let put_as_json = shown.payload.content_type.is_empty();
    if form == Form::Json || (form == Form::AsPut && put_as_json) {
        let body = object(shown, token::encode(context));
        return (etag(context), Json(Value::Object(body))).into_response();
    }
    let stored = HeaderValue::from_bytes(&shown.payload.content_type);
    let content_type = match stored {
        Ok(stored) if !put_as_json => stored,
        _ => HeaderValue::from_static("application/octet-stream"),
    };
    let headers = [(header::CONTENT_TYPE, content_type)];
    (etag(context), headers, shown.payload.value.clone()).into_response()
}

fn object(shown: &Shown, version: String) -> Map<String, Value> {
    let mut object = Map::new();
    let payload = &shown.payload;
    match std::str::from_utf8(&payload.value) {
        Ok(text) => object.insert("value".to_string(), text.into()),
        Err(_) => object.insert("value_base64".to_string(), STANDARD.encode(&payload.value).into()),
    };
    object.insert("version".to_string(), version.into());
    if !payload.content_type.is_empty() {
        let content_type = String::from_utf8_lossy(&payload.content_type).into_owned();
        object.insert("content_type".to_string(), content_type.into());
    }
    if let Some(instant) = payload.expires_at_ms {
        object.insert("expires_at_ms".to_string(), instant.into());
    }
    object
}

/// The same facts as gRPC's Status, as JSON.
pub fn status(status: &StatusReply) -> Response {
    // What the reply carries as JSON text is JSON here.
    let parsed = |text: &String| serde_json::from_str(text).unwrap_or(Value::Null);
    let members: Vec<Value> = status.members.iter().map(member).collect();
    Json(json!({
        "id": status.id,
        "incarnation": status.incarnation,
        "epoch": status.epoch,
        "ready": status.ready,
        "version": status.version,
        "replicas": status.replicas,
        "partitioning": parsed(&status.partitioning),
        "conflict": parsed(&status.conflict),
        "compaction": parsed(&status.compaction),
        "detection": parsed(&status.detection),
        "engine": parsed(&status.engine),
        "members": members,
    }))
    .into_response()
}

fn member(member: &MemberStatus) -> Value {
    json!({
        "id": member.id,
        "incarnation": member.incarnation,
        "grpc": member.grpc,
        "http": member.http,
        "verdict": member.verdict,
        "score": member.score,
        "weight": member.weight,
        "rack": member.rack,
        "data_center": member.data_center,
        "owns_first": member.owns_first,
        "owns_any": member.owns_any,
    })
}
