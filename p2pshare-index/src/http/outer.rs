//! What is around every handler: the request's id, the log, the metrics, the time limit, and the writing of problems.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use p2pshare_core::api::{Problem, ProblemKind};
use tracing::Instrument;

use super::{
    answer::hold,
    client::ClientAddr,
    failure::{Failure, PROBLEM_JSON, Pending},
    state::App,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 64;

/// Calls under this path have a time limit and wait for their turn.
const API: &str = "/v1/";

/// The id of a request, in its answer and in the log.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// Where a request came from, for the audit log.
pub(super) struct Origin {
    pub(super) client: ClientAddr,
    pub(super) request: RequestId,
    pub(super) app: App,
}

impl FromRequestParts<App> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        app: &App,
    ) -> Result<Self, Self::Rejection> {
        let Ok(client) = ClientAddr::from_request_parts(parts, app).await;
        let request =
            parts.extensions.get::<RequestId>().cloned().unwrap_or_else(RequestId::generate);
        Ok(Self { client, request, app: app.clone() })
    }
}

/// The outermost layer.
pub(super) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let (mut parts, body) = request.into_parts();
    let Ok(client) = ClientAddr::from_request_parts(&mut parts, &app).await;
    parts.extensions.insert(id.clone());
    let route = parts
        .extensions
        .get::<MatchedPath>()
        .map_or_else(|| Arc::from("none"), |path| Arc::from(path.as_str()));
    let method = parts.method.clone();
    let limited = parts.uri.path().starts_with(API);
    let request = Request::from_parts(parts, body);

    let trace = p2pshare_telemetry::serving(&method, &route, request.headers());
    let span = tracing::info_span!("request", id = %id.0, %method, %route, %client);
    let started = Instant::now();
    let in_flight = app.options.metrics.begin();
    let rest = async {
        let room = limited.then(|| app.answers.admit(client)).transpose()?;
        let answer = finished(guarded(&app, limited, client, request, next).await, &id);
        match room {
            Some(room) => hold(room, answer).await,
            None => Ok(answer),
        }
    };
    let answer = rest.instrument(span.clone()).instrument(trace.clone()).await;
    let response = answer.unwrap_or_else(|failure| finished(failure.into_response(), &id));
    drop(in_flight);
    let elapsed = started.elapsed();
    p2pshare_telemetry::answered(&trace, response.status());
    app.options.metrics.request(&method, &route, response.status(), elapsed);
    span.in_scope(|| {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = response.status().as_u16(), millis, "answered");
    });
    response
}

/// For paths that are no call.
pub(super) async fn no_such_route() -> Failure {
    Failure::new(ProblemKind::NotFound, "there is no such call")
        .hint("/openapi.json lists the calls of this index")
}

/// For calls that exist with other methods.
pub(super) async fn no_such_method(method: Method) -> Failure {
    Failure::new(ProblemKind::MethodNotAllowed, format!("this call cannot be made with {method}"))
        .hint("the header Allow lists the methods that it takes")
}

/// Runs the rest in bounded time and company, and turns a panic into an answer.
async fn guarded(
    app: &App,
    limited: bool,
    client: ClientAddr,
    mut request: Request,
    next: Next,
) -> Response {
    let limit = app.options.request_timeout;
    if !limited {
        return within(limit, caught(next.run(request))).await;
    }
    within(limit, async {
        match app.pool.turn(client).await {
            Ok(turn) => {
                request.extensions_mut().insert(turn.clone());
                let response = caught(next.run(request)).await;
                drop(turn);
                response
            }
            Err(busy) => busy.into_response(),
        }
    })
    .await
}

async fn caught(rest: impl Future<Output = Response>) -> Response {
    match AssertUnwindSafe(rest).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            // The span says which call it was.
            tracing::error!("a handler panicked");
            Failure::new(ProblemKind::Internal, "the index failed")
                .hint("tell an operator of this index the request id")
                .into_response()
        }
    }
}

async fn within(limit: Duration, rest: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(limit, rest).await {
        Ok(response) => response,
        Err(_) => Failure::new(
            ProblemKind::Timeout,
            format!("the request took longer than {} s", limit.as_secs_f32()),
        )
        .hint("send less at once, or try again later")
        .into_response(),
    }
}

/// Writes the problem of a failed request, whoever failed it, and the headers that every answer has.
fn finished(mut response: Response, id: &RequestId) -> Response {
    let status = response.status();
    let pending = response.extensions_mut().remove::<Pending>();
    if let Some(Pending(mut problem)) = pending {
        problem.request_id = Some(id.0.to_string());
        write_problem(&mut response, &problem);
    } else if status.is_client_error() || status.is_server_error() {
        let mut problem = Problem::new(kind_of(status), status.to_string());
        problem.status = status.as_u16();
        problem.request_id = Some(id.0.to_string());
        write_problem(&mut response, &problem);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn write_problem(response: &mut Response, problem: &Problem) {
    let written = Json(problem).into_response();
    let (head, body) = written.into_parts();
    *response.body_mut() = body;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = head.headers.get(header::CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.clone());
    }
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
}

/// The kind that fits a status which a library chose.
fn kind_of(status: StatusCode) -> ProblemKind {
    ProblemKind::ALL.iter().copied().find(|kind| kind.status() == status.as_u16()).unwrap_or(
        if status.is_client_error() { ProblemKind::InvalidRequest } else { ProblemKind::Internal },
    )
}

impl RequestId {
    /// The client's own id, if it has one that does no harm in a log; else a new one.
    fn of(headers: &HeaderMap) -> Self {
        headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|text| (1..=MAX_REQUEST_ID).contains(&text.len()))
            .filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)))
            .map_or_else(Self::generate, |text| Self(text.into()))
    }

    fn generate() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_request_ids_are_taken_over() {
        let taken = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(text).unwrap());
            &*RequestId::of(&headers).0 == text
        };
        assert!(taken("4bf92f35-77b3.4da6_x"));
        assert!(taken(&"a".repeat(64)));
        assert!(!taken(&"a".repeat(65)));
        assert!(!taken(""));
        assert!(!taken("a b"));
        assert!(!taken("a\"} forged=1"));
        assert_eq!(RequestId::of(&HeaderMap::new()).0.len(), 32);
    }
}
