//! The spans that traces are made of.

use http::{HeaderMap, Method, StatusCode};
use tracing::{Span, field::Empty};

/// The target of every span that is exported.
pub const TARGET: &str = "traces";

/// A request that is answered: a child of the span that its `traceparent` names, if it names one.
///
/// `route` is the pattern of the path, not the path, in which names and ids would stand.
pub fn serving(method: &Method, route: &str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = %format_args!("{} {route}", name_of(method)),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = name_of(method),
        http.route = route,
        http.response.status_code = Empty,
    );
    #[cfg(feature = "otel")]
    crate::propagation::take_parent(&span, headers);
    #[cfg(not(feature = "otel"))]
    let _ = headers;
    span
}

/// A request that is made. `route` is as for [`serving`].
pub fn asking(method: &Method, route: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "ask",
        otel.name = %format_args!("{} {route}", name_of(method)),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = name_of(method),
        http.route = route,
        http.response.status_code = Empty,
    )
}

/// The method, as long as it is one that everybody knows: a client may write anything there.
fn name_of(method: &Method) -> &str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if KNOWN.contains(method) { method.as_str() } else { "_OTHER" }
}

/// Notes how a request of [`serving`] or [`asking`] was answered.
pub fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        failed(span);
    }
}

/// Notes that what a span is about failed. The span must have a field `otel.status_code`.
pub fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// Tells whoever gets these headers which span they come from, if the current one is exported.
pub fn propagate(headers: &mut HeaderMap) {
    #[cfg(feature = "otel")]
    crate::propagation::give_parent(&Span::current(), headers);
    #[cfg(not(feature = "otel"))]
    let _ = headers;
}
