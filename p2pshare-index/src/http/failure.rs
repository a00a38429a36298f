//! The one way in which a request fails.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use p2pshare_core::{
    api::{Problem, ProblemKind},
    index::IndexError,
};

/// Media type of problem documents (RFC 9457).
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A failed request.
///
/// As a response it has no body yet: [`outer::observe`](super::outer::observe) writes the problem when it knows the
/// request's id, for all failures at one place.
#[derive(Debug)]
pub(super) struct Failure {
    problem: Box<Problem>,
    retry_after: Option<u64>,
    challenge: bool,
}

/// What a handler answers with.
pub(super) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(kind, detail))
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    /// Tells the client how many seconds to wait.
    pub(super) fn retry_after_secs(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let challenge = problem.kind() == Some(ProblemKind::NotLoggedIn);
        let busy = problem.kind() == Some(ProblemKind::Unavailable);
        Self { problem: Box::new(problem), retry_after: busy.then_some(1), challenge }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        if error.is_fault() {
            tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        }
        Self::from(error.problem())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.challenge {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Pending(self.problem));
        response
    }
}

/// A problem that waits to be written into its response.
#[derive(Clone)]
pub(super) struct Pending(pub(super) Box<Problem>);
