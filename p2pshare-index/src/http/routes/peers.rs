//! Peers: announcing, staying online, leaving.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::{
    api::{Announce, Announced, Heartbeat},
    identity::PeerId,
    index::Index,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit::noted,
    extract::{Json, LoggedIn, Path},
    failure::Answer,
    outer::Origin,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(announce, leave)).routes(routes!(heartbeat))
}

/// Announces where a peer of one's own can be reached, signed with the peer's key.
#[utoipa::path(
    put, path = "/peers/{id}", tag = "peers", operation_id = "announce",
    params(("id" = PeerId, Path, description = "The peer")),
    request_body = Announce,
    responses(
        (status = 200, description = "The peer is online", body = Announced),
        (status = 409, description = "The announce is not fresh"),
    )
)]
async fn announce(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path(peer): Path<PeerId>,
    Json(request): Json<Announce>,
) -> Answer<Json<Announced>> {
    let seen_from = origin.client.0.map(|address| address.to_string());
    let announced = app.index.announce(&caller, peer, &request, seen_from).await;
    let announced = noted(&origin, "announce", caller.user.as_str(), announced)?;
    Ok(Json(announced))
}

/// A peer of one's own is still there. To be called every so many seconds as the answer says.
#[utoipa::path(
    post, path = "/peers/{id}/heartbeat", tag = "peers", operation_id = "heartbeat",
    params(("id" = PeerId, Path, description = "The peer")),
    responses(
        (status = 200, description = "The peer stays online", body = Heartbeat),
        (status = 404, description = "No such peer of one's own, or it has left: announce it again"),
    )
)]
async fn heartbeat(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    Path(peer): Path<PeerId>,
) -> Answer<Json<Heartbeat>> {
    let heartbeat = app.index.heartbeat(&caller, peer).await?;
    app.options.metrics.heartbeat();
    Ok(Json(heartbeat))
}

/// A peer of one's own goes offline. What it published stays.
#[utoipa::path(
    delete, path = "/peers/{id}", tag = "peers", operation_id = "leave",
    params(("id" = PeerId, Path, description = "The peer")),
    responses(
        (status = 204, description = "The peer is offline"),
        (status = 404, description = "No such peer of one's own"),
    )
)]
async fn leave(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path(peer): Path<PeerId>,
) -> Answer<StatusCode> {
    index.leave(&caller, peer).await?;
    Ok(StatusCode::NO_CONTENT)
}
