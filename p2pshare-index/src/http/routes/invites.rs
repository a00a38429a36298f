//! Invites.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::{
    api::{CreateInvite, InviteCreated, InviteList},
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
    OpenApiRouter::new().routes(routes!(invites, create_invite)).routes(routes!(revoke_invite))
}

/// The invites that the user made and that are still good.
#[utoipa::path(
    get, path = "/invites", tag = "invites", operation_id = "invites",
    responses((status = 200, description = "The invites, without their codes", body = InviteList))
)]
async fn invites(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
) -> Answer<Json<InviteList>> {
    Ok(Json(index.invites(&caller).await?))
}

/// Makes an invite code, told this once.
#[utoipa::path(
    post, path = "/invites", tag = "invites", operation_id = "create_invite",
    request_body = CreateInvite,
    responses(
        (status = 201, description = "The invite was made", body = InviteCreated),
        (status = 404, description = "No such group"),
        (status = 409, description = "The group is gone"),
    )
)]
async fn create_invite(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Json(request): Json<CreateInvite>,
) -> Answer<(StatusCode, Json<InviteCreated>)> {
    let made = index.create_invite(&caller, &request).await;
    let invite = noted(&origin, "invite-create", caller.user.as_str(), made)?;
    Ok((StatusCode::CREATED, Json(invite)))
}

/// Revokes an invite of one's own; an operator revokes any.
#[utoipa::path(
    delete, path = "/invites/{id}", tag = "invites", operation_id = "revoke_invite",
    params(("id" = String, Path, description = "The invite's id, as the list has it")),
    responses(
        (status = 204, description = "The invite is gone"),
        (status = 404, description = "No such invite"),
    )
)]
async fn revoke_invite(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let revoked = index.revoke_invite(&caller, &id).await;
    noted(&origin, "invite-revoke", caller.user.as_str(), revoked)?;
    Ok(StatusCode::NO_CONTENT)
}
