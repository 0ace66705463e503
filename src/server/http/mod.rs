//! The convenient door: JSON or raw bytes over HTTP/1.1 and HTTP/2, probes and metrics.
//!
//! ```text
//!   PUT    /v1/kv/{key}            {"value": "…", "ttl": 60}, or raw bytes, ?ttl=60
//!                                  → 200 {"version"}
//!   GET    /v1/kv/{key}            → 200 {"value", "version"} or raw bytes · 300 siblings · 404
//!   DELETE /v1/kv/{key}            → 204
//!   POST   /v1/kv/{key}/increment  {"by": 1} → 200 {"version"}
//!   GET    /health/live · /health/ready · /metrics · /v1/status
//! ```
//!
//! `/api/v1/…` is the same as `/v1/…`. A key is one path segment, percent-encoded, any bytes.
//!
//! # Levels
//!
//! The header `Consistency` (strong, eventual, one, two, quorum, all or a number) or the query (`r`
//! for reads, `w` for writes) says how many replicas take part; the query wins.
//!
//! # Versions
//!
//! Every answer carries a token, in the body and as `ETag`. Given back with `If-Match` on a write,
//! it says what the writer had seen. It is no condition, and no write fails for it. Under
//! `vector_clock` the write replaces exactly what was seen, and what was not seen stays beside it
//! as a sibling. Under `lww` it is only ordered after what was seen: it also replaces newer values
//! that its writer did not know. `If-None-Match` on a write is refused with 400.
//!
//! # Values
//!
//! A value that was put as JSON is text and is answered as JSON. One that was put raw is answered
//! raw, with the content type that came with it. `Accept: application/json`, or `?json`, asks for
//! JSON in any case, where bytes that are no UTF-8 come as `value_base64`; `?raw` asks for the
//! bytes. Siblings are always JSON, under status 300.
//!
//! # Caveats
//!
//! An HTTP request costs several times the CPU of one in a batched gRPC session (one parser run,
//! one task and one allocation after the other). There is no streaming of values and no range
//! request; values are at most some MiB.

mod answer;
mod ask;
mod error;

use super::door::Door;
use super::metrics::{Picture, Process, render};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use error::Problem;
use std::sync::Arc;

/// All routes of a node.
pub fn router(door: Arc<Door>) -> Router {
    Router::new()
        .nest("/v1", versioned())
        .nest("/api/v1", versioned())
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(door)
}

fn versioned() -> Router<Arc<Door>> {
    let key = get(ask::get).put(ask::put).delete(ask::delete);
    Router::new()
        .route("/kv/", key.clone())
        .route("/kv/{key}", key)
        .route("/kv/{key}/increment", post(ask::increment))
        .route("/status", get(status))
}

async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(door): State<Arc<Door>>) -> (StatusCode, &'static str) {
    match (door.shared.is_ready(), door.shared.is_stopping()) {
        (true, _) => (StatusCode::OK, "ready\n"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (false, false) => {
            (StatusCode::SERVICE_UNAVAILABLE, "too few replicas of some range are alive\n")
        }
    }
}

async fn metrics(State(door): State<Arc<Door>>) -> Response {
    let Some(report) = door.report().await else {
        return Problem::stopping().into_response();
    };
    let picture = Picture {
        report: *report,
        engine: door.storage.engine().stats(),
        process: Process::read(),
        ready: door.shared.is_ready(),
    };
    match render(picture) {
        Ok(text) => {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => Problem::internal(format!("metrics: {error}")).into_response(),
    }
}

async fn status(State(door): State<Arc<Door>>) -> Response {
    match door.report().await {
        Some(report) => answer::status(&door.status(&report.node)),
        None => Problem::stopping().into_response(),
    }
}

async fn unknown_path() -> Problem {
    Problem::not_found("no such path; keys live under /v1/kv/{key}")
}

async fn wrong_method() -> Problem {
    Problem::wrong_method()
}
