//! From an HTTP request to a request of the store.

use super::answer::{self, Form};
use super::error::Problem;
use crate::message::{Level, Operation, Reply, Request};
use crate::server::door::Door;
use crate::{token, ttl};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::Arc;

const JSON: &str = "application/json";

const PUT_BODY: &str = "{\"value\": \"text\"} with an optional \"ttl\" in seconds";
const INCREMENT_BODY: &str = "{\"by\": 1}";
/// Whoever sends the header counts on a write that may be refused, and none of ours ever is.
const NO_CONDITIONS: &str = "`If-None-Match` is not served: no write here has a condition, since \
    replicas that cannot see each other could not agree on it; send the token of an earlier answer \
    as `If-Match` to say what the write has seen";

/// A character of JSON text may take six bytes (`\u0000`), and there are braces and field names.
const JSON_OVERHEAD: usize = 6;

pub async fn get(State(door): State<Arc<Door>>, uri: Uri, headers: HeaderMap) -> Response {
    let asked = || {
        let query = Query::parse(&uri, &["r", "raw", "json"])?;
        let form = form(&query, &headers);
        Ok((request(&uri, &headers, Operation::Get, level(&headers, query.r)?)?, form))
    };
    match asked() {
        Ok((request, form)) => match door.ask(request).await {
            Reply::Read(answer) => answer::read(answer, form),
            other => unexpected(other),
        },
        Err(problem) => Problem::into_response(problem),
    }
}

/// The query's word first, then a plain wish of the `Accept` header.
fn form(query: &Query, headers: &HeaderMap) -> Form {
    let accepts = |wish: &str| {
        let accept = headers.get(header::ACCEPT).map_or(&b""[..], |accept| accept.as_bytes());
        accept.split(|byte| *byte == b',').any(|part| is_media_type(part, wish))
    };
    match () {
        () if query.raw => Form::Raw,
        () if query.json || accepts(JSON) => Form::Json,
        () if accepts("application/octet-stream") => Form::Raw,
        () => Form::AsPut,
    }
}

pub async fn put(
    State(door): State<Arc<Door>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match put_request(&door, &uri, &headers, body).await {
        Ok(request) => match door.ask(request).await {
            Reply::Written { context } => answer::written(&context),
            other => unexpected(other),
        },
        Err(problem) => problem.into_response(),
    }
}

pub async fn delete(State(door): State<Arc<Door>>, uri: Uri, headers: HeaderMap) -> Response {
    let asked = || {
        let query = Query::parse(&uri, &["w"])?;
        request(&uri, &headers, Operation::Delete, level(&headers, query.w)?)
    };
    match asked() {
        Ok(request) => match door.ask(request).await {
            Reply::Written { context } => answer::deleted(&context),
            other => unexpected(other),
        },
        Err(problem) => problem.into_response(),
    }
}

pub async fn increment(
    State(door): State<Arc<Door>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match increment_request(&uri, &headers, body).await {
        Ok(request) => match door.ask(request).await {
            Reply::Written { context } => answer::written(&context),
            other => unexpected(other),
        },
        Err(problem) => problem.into_response(),
    }
}

/// A failure, or a reply of another kind than the request, which no node gives.
fn unexpected(reply: Reply) -> Response {
    match reply {
        Reply::Failed(failure) => Problem::from(failure).into_response(),
        _ => Problem::internal("the node's reply does not fit the request").into_response(),
    }
}

/// What a JSON body of PUT may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    value: String,
    #[serde(default)]
    ttl: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncrementBody {
    by: i64,
}

async fn put_request(
    door: &Door,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Request, Problem> {
    let query = Query::parse(uri, &["w", "ttl"])?;
    let level = level(headers, query.w)?;
    let most = door.config.cluster.limits.value_bytes;
    let content_type = headers.get(header::CONTENT_TYPE);
    let is_json = content_type.is_some_and(|it| is_media_type(it.as_bytes(), JSON));
    let body = read(body, if is_json { most * JSON_OVERHEAD + 1024 } else { most }, most).await?;
    let (value, ttl_ms, content_type) = if is_json {
        let PutBody { value, ttl } = parse(&body, PUT_BODY)?;
        let in_body = ttl.map(ttl::milliseconds).transpose()?;
        (Bytes::from(value), in_body.or(query.ttl_ms), Bytes::new())
    } else {
        let raw = content_type.map_or(&b"application/octet-stream"[..], |it| it.as_bytes());
        (body, query.ttl_ms, Bytes::copy_from_slice(raw))
    };
    if value.len() > most {
        return Err(value_too_large(most));
    }
    let operation = Operation::Put { value, content_type, flags: 0, ttl_ms };
    request(uri, headers, operation, level)
}

async fn increment_request(uri: &Uri, headers: &HeaderMap, body: Body) -> Result<Request, Problem> {
    let query = Query::parse(uri, &["w"])?;
    let level = level(headers, query.w)?;
    let IncrementBody { by } = parse(&read(body, 1024, 1024).await?, INCREMENT_BODY)?;
    request(uri, headers, Operation::Increment(by), level)
}

fn request(
    uri: &Uri,
    headers: &HeaderMap,
    operation: Operation,
    level: Option<Level>,
) -> Result<Request, Problem> {
    let key = key(uri)?;
    if operation != Operation::Get && headers.contains_key(header::IF_NONE_MATCH) {
        return Err(Problem::bad_request(NO_CONDITIONS));
    }
    Ok(Request { key, operation, level, context: context(headers)?, timeout_ms: None })
}

/// An object of `expected` form. Not a list either, which serde would take in its place.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], expected: &str) -> Result<T, Problem> {
    let refused = |what: &str| {
        Problem::bad_request(format!("malformed JSON body: {what}; expected {expected}"))
    };
    match body.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(body).map_err(|error| refused(&error.to_string())),
        Some(_) => Err(refused("it is no object")),
        None => Err(refused("it is empty")),
    }
}

/// The whole body, unless it is longer than `limit`. `most` is what the message names.
async fn read(body: Body, limit: usize, most: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.to_string().contains("length limit exceeded") {
                return value_too_large(most);
            }
            cause = error.source();
        }
        Problem::bad_request(format!("the body could not be read: {error}"))
    })
}

fn value_too_large(most: usize) -> Problem {
    Problem::too_large(format!("the value is longer than {most} bytes, the limit of this cluster"))
}

/// The query's level if there is one, else the header's, else the node's default.
fn level(headers: &HeaderMap, query: Option<String>) -> Result<Option<Level>, Problem> {
    let text = match (query, headers.get("consistency")) {
        (Some(text), _) => text,
        (None, Some(header)) => String::from_utf8_lossy(header.as_bytes()).into_owned(),
        (None, None) => return Ok(None),
    };
    text.trim()
        .parse()
        .map(Some)
        .map_err(|unknown: crate::level::UnknownLevel| Problem::bad_request(unknown.to_string()))
}

/// The token of `If-Match`, with or without the quotes of an entity tag.
fn context(headers: &HeaderMap) -> Result<Option<Bytes>, Problem> {
    let Some(given) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = given.as_bytes();
    let text = text.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    let decoded = token::decode(&text)
        .map_err(|error| Problem::bad_request(format!("`If-Match`: {error}")))?;
    Ok(Some(decoded))
}

/// The key of `…/kv/{key}` or `…/kv/{key}/increment`: bytes, whatever their encoding.
fn key(uri: &Uri) -> Result<Bytes, Problem> {
    let path = uri.path();
    let after = path.find("/kv/").map_or("", |at| &path[at + "/kv/".len()..]);
    let segment = after.split('/').next().unwrap_or("");
    if segment.is_empty() {
        return Err(Problem::bad_request("the key is empty; allowed: 1 byte and more"));
    }
    percent_decode(segment)
}

fn percent_decode(text: &str) -> Result<Bytes, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || (rest.next()? as char).to_digit(16);
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => {
                return Err(Problem::bad_request(
                    "the key is not percent-encoded: after `%` come two hexadecimal digits",
                ));
            }
        }
    }
    Ok(Bytes::from(bytes))
}

/// The query's parameters that these paths know.
#[derive(Debug, Default)]
struct Query {
    r: Option<String>,
    w: Option<String>,
    ttl_ms: Option<u64>,
    raw: bool,
    json: bool,
}

impl Query {
    /// Refuses a parameter that is not among `allowed`: a typo must not change what is done.
    fn parse(uri: &Uri, allowed: &[&str]) -> Result<Query, Problem> {
        let mut query = Query::default();
        let pairs = uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !allowed.contains(&name) {
                return Err(Problem::bad_request(format!(
                    "unknown query parameter `{name}`; known here: {}",
                    allowed.join(", ")
                )));
            }
            match name {
                "r" => query.r = Some(value.to_string()),
                "w" => query.w = Some(value.to_string()),
                "raw" => query.raw = true,
                "json" => query.json = true,
                _ => query.ttl_ms = Some(ttl::parse(value)?),
            }
        }
        Ok(query)
    }
}

/// Whether a content type such as `text/plain; charset=utf-8` is of this kind, whatever its
/// parameters.
fn is_media_type(content_type: &[u8], kind: &str) -> bool {
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    content_type[..end].trim_ascii().eq_ignore_ascii_case(kind.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_any_bytes() {
        let key = |path: &str| key(&path.parse::<Uri>().unwrap());
        assert_eq!(key("/v1/kv/plain").unwrap(), "plain");
        assert_eq!(key("/api/v1/kv/a%2Fb%00%fF").unwrap(), &b"a/b\0\xff"[..]);
        assert_eq!(key("/v1/kv/counter/increment").unwrap(), "counter");
        assert_eq!(key("/v1/kv/%2Fkv%2F").unwrap(), "/kv/");
        for bad in ["/v1/kv/", "/v1/kv/%", "/v1/kv/%4", "/v1/kv/%4x", "/v1/kv//increment"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_media_type_is_known_with_its_parameters_and_in_any_case() {
        assert!(is_media_type(b"Application/JSON; charset=utf-8", JSON));
        assert!(!is_media_type(b"application/jsonl", JSON));
    }

    #[test]
    fn a_query_knows_its_parameters() {
        let uri: Uri = "/v1/kv/k?r=2&raw".parse().unwrap();
        let query = Query::parse(&uri, &["r", "raw"]).unwrap();
        assert_eq!((query.r.as_deref(), query.raw), (Some("2"), true));
        assert!(Query::parse(&uri, &["w"]).is_err());
        let uri: Uri = "/v1/kv/k?ttl=soon".parse().unwrap();
        assert!(Query::parse(&uri, &["ttl"]).is_err());
    }
}
