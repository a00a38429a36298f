//! Peers: announcing, staying online, leaving.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::{
    api::{Announce, Announced, Heartbeat, PeerList, ProblemKind, Reachability},
    identity::PeerId,
    index::Index,
};
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit::{noted, noted_about},
    client::DirectAddr,
    extract::{Json, LoggedIn, Path},
    failure::{Answer, Failure},
    outer::Origin,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(announce, leave))
        .routes(routes!(heartbeat))
        .routes(routes!(reachability))
        .routes(routes!(own_peers))
        .routes(routes!(forget_peer))
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
    let seen_from = seen_from(&origin);
    let announced = app.index.announce(&caller, peer, &request, seen_from).await;
    let announced = noted(&origin, "announce", caller.user.as_str(), announced)?;
    Ok(Json(announced))
}

fn seen_from(origin: &Origin) -> Option<String> {
    origin.client.0.map(|address| address.to_string())
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
    origin: Origin,
    Path(peer): Path<PeerId>,
) -> Answer<Json<Heartbeat>> {
    let seen_from = seen_from(&origin);
    let heartbeat = app.index.heartbeat(&caller, peer, seen_from).await?;
    app.options.metrics.heartbeat();
    Ok(Json(heartbeat))
}

/// Tries whether a peer of one's own can be reached from here, where it announced that it can.
///
/// Only the address that the request comes from is tried, at the ports that the peer announced, and there the peer must
/// prove its key. So nobody can have the index connect to anybody else.
#[utoipa::path(
    post, path = "/peers/{id}/reachability", tag = "peers", operation_id = "reachability",
    params(("id" = PeerId, Path, description = "The peer")),
    responses(
        (status = 200, description = "What came of each address", body = Reachability),
        (status = 403, description = "This index does not try it"),
        (status = 404, description = "No such peer of one's own, or it has left: announce it again"),
        (status = 429, description = "Tried too often in a short time"),
    )
)]
async fn reachability(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    DirectAddr(from): DirectAddr,
    Path(peer): Path<PeerId>,
) -> Answer<Json<Reachability>> {
    let answer = async {
        if !app.options.reachability {
            let what = "this index does not try whether peers can be reached";
            return Err(Failure::new(ProblemKind::Forbidden, what));
        }
        app.limits.reachability(&caller.user)?;
        let addresses = app.index.announced_addresses(&caller, peer).await?;
        let checked = app.prober.check(peer, addresses, from).await;
        Ok(Reachability { seen_from: from.map(|ip| ip.to_string()), addresses: checked })
    };
    Ok(Json(noted(&origin, "reachability", caller.user.as_str(), answer.await)?))
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

/// One's own peers.
#[utoipa::path(
    get, path = "/me/peers", tag = "peers", operation_id = "own_peers",
    responses((status = 200, description = "The peers", body = PeerList))
)]
async fn own_peers(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
) -> Answer<Json<PeerList>> {
    Ok(Json(index.own_peers(&caller).await?))
}

/// Forgets a peer of one's own with everything it published, as one on a machine that is lost. That goes on if nobody waits
/// for the answer. A peer that still runs and has a session announces itself anew.
#[utoipa::path(
    delete, path = "/me/peers/{id}", tag = "peers", operation_id = "forget_peer",
    params(("id" = PeerId, Path, description = "The peer")),
    responses(
        (status = 204, description = "The peer is forgotten"),
        (status = 404, description = "No such peer of one's own"),
    )
)]
async fn forget_peer(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path(peer): Path<PeerId>,
) -> Answer<StatusCode> {
    let forgetting = async move {
        let forgotten = app.index.forget_peer(&caller, peer).await;
        let subject = peer.to_string();
        noted_about(&origin, "forget-peer", caller.user.as_str(), Some(&subject), forgotten)
    };
    // It may take longer than a request may.
    let forgotten = tokio::spawn(forgetting.in_current_span()).await;
    forgotten.map_err(|_| {
        Failure::new(ProblemKind::Internal, "the index failed while it forgot the peer")
            .hint("do the same again: it goes on")
    })??;
    Ok(StatusCode::NO_CONTENT)
}
