//! Everything that is not a success, as one JSON shape.
//!
//! ```json
//! {"error": "too few live replicas: 2 needed, 1 alive", "outcome": "not_done", "retry": true,
//!  "needed": 2, "alive": 1}
//! ```
//!
//! `outcome` is `not_done` or `unknown`; `retry` says whether the same request may be sent again
//! without the danger of applying it twice.

use crate::message::{Failure, Outcome};
use crate::ttl::BadTtl;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    outcome: &'static str,
    retry: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    acks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alive: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Problem {
            status,
            error: error.into(),
            outcome: "not_done",
            retry: false,
            acks: None,
            needed: None,
            alive: None,
        }
    }

    /// The request itself is wrong: what was found, and what is allowed.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    pub fn too_large(error: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    pub fn not_found(error: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, error)
    }

    pub fn wrong_method() -> Self {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
    }

    pub fn internal(error: impl Into<String>) -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    pub fn stopping() -> Self {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping");
        Problem { retry: true, ..problem }
    }
}

impl From<BadTtl> for Problem {
    fn from(refused: BadTtl) -> Self {
        Problem::bad_request(refused.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let status = match &failure {
            Failure::TooFewReplicas { .. } | Failure::Refused { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Failure::TimedOut { .. } | Failure::Disconnected { .. } => StatusCode::GATEWAY_TIMEOUT,
            Failure::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Failure::Invalid(_) => StatusCode::BAD_REQUEST,
            Failure::WrongChange(_) => StatusCode::CONFLICT,
        };
        let known = failure.outcome() == Outcome::NotDone;
        let hopeless = matches!(failure, Failure::Invalid(_) | Failure::WrongChange(_));
        let problem = Problem {
            outcome: if known { "not_done" } else { "unknown" },
            retry: known && !hopeless,
            ..Problem::new(status, failure.to_string())
        };
        match failure {
            Failure::TooFewReplicas { needed, alive } => {
                Problem { needed: Some(needed), alive: Some(alive), ..problem }
            }
            Failure::TimedOut { acks, needed, .. } | Failure::Refused { acks, needed, .. } => {
                Problem { acks: Some(acks), needed: Some(needed), ..problem }
            }
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(self)).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_offered_only_where_nothing_can_be_applied_twice() {
        let cases = [
            (Failure::TooFewReplicas { needed: 2, alive: 1 }, 503, "not_done", true),
            (Failure::TimedOut { acks: 1, needed: 2, maybe_done: true }, 504, "unknown", false),
            (Failure::TimedOut { acks: 1, needed: 2, maybe_done: false }, 504, "not_done", true),
            (Failure::Overloaded { what: String::new() }, 429, "not_done", true),
            (Failure::Invalid(String::new()), 400, "not_done", false),
            (Failure::WrongChange(String::new()), 409, "not_done", false),
        ];
        for (failure, status, outcome, retry) in cases {
            let problem = Problem::from(failure);
            assert_eq!(problem.status.as_u16(), status);
            assert_eq!((problem.outcome, problem.retry), (outcome, retry));
        }
    }
}
