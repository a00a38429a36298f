//! For machines: health, readiness, metrics, and the description of the API.

use std::{net::IpAddr, sync::LazyLock};

use axum::{extract::State, response::IntoResponse};
use bytes::Bytes;
use http::header;
use p2pshare_core::{
    api::ProblemKind,
    index::{Index, IndexError},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    client::Ends,
    failure::{Answer, Failure},
    look::READY_WITHIN,
    openapi,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi_json))
}

/// Whether the program runs.
#[utoipa::path(
    get, path = "/healthz", tag = "machines", operation_id = "healthz", security(()),
    responses((status = 200, description = "It runs", body = String, content_type = "text/plain"))
)]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the index can answer: it runs and its store is there.
#[utoipa::path(
    get, path = "/readyz", tag = "machines", operation_id = "readyz", security(()),
    responses((status = 200, description = "It is ready", body = String, content_type = "text/plain"))
)]
async fn readyz(State(index): State<Index>) -> Answer<&'static str> {
    match tokio::time::timeout(READY_WITHIN, index.check()).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(error)) => Err(IndexError::from(error).into()),
        Err(_) => Err(Failure::new(ProblemKind::Unavailable, "the index's store does not answer")),
    }
}

/// Counters for Prometheus, for this machine and the addresses that the configuration names.
#[utoipa::path(
    get, path = "/metrics", tag = "machines", operation_id = "metrics", security(()),
    responses(
        (
            status = 200, description = "OpenMetrics text", body = String,
            content_type = "application/openmetrics-text"
        ),
        (status = 403, description = "They are not for this address"),
    )
)]
async fn metrics(State(app): State<App>, ends: Ends) -> Answer<impl IntoResponse> {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    let may_read =
        |address: IpAddr| address.is_loopback() || app.options.metrics_from.contains(&address);
    if ends.is_hidden() {
        return Err(Failure::new(
            ProblemKind::Forbidden,
            "the metrics are not for a client that a proxy hides",
        )
        .hint(
            "ask without the proxy, or let it send X-Forwarded-For and an operator name it: \
             p2pshare-index serve --trusted-proxies IP",
        ));
    }
    if !ends.are(may_read) {
        return Err(Failure::new(ProblemKind::Forbidden, "the metrics are not for this address")
            .hint(
                "an operator can allow it, and the proxy in between if there is one: \
                 p2pshare-index serve --metrics-from IP",
            ));
    }
    let seen = app.lookout.look(&app.index).await;
    match app.options.metrics.text(seen.counts.as_ref()) {
        Ok(text) => Ok(([(header::CONTENT_TYPE, TYPE)], text)),
        Err(_) => Err(Failure::new(ProblemKind::Internal, "the metrics cannot be written")),
    }
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "machines", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
async fn openapi_json() -> impl IntoResponse {
    static TEXT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&openapi::document()).unwrap_or_default().into());

    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}
