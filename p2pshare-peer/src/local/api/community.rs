//! Groups and invites, passed on to the index.

use axum::{
    Router,
    extract::State,
    routing::{delete, get, post, put},
};
use http::StatusCode;
use p2pshare_core::{
    api::{
        AddMember, CreateGroup, CreateInvite, Group, GroupList, GroupMembers, InviteCreated,
        InviteList, ProblemKind, TransferGroup,
    },
    identity::{GroupName, Username},
};
use serde::Deserialize;

use crate::local::{
    App,
    extract::{Json, Path, created},
    failure::{Answer, Failure},
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/groups", get(groups).post(create))
        .route("/groups/{group}", delete(remove))
        .route("/groups/{group}/members", get(members))
        .route("/groups/{group}/members/{user}", put(add).delete(expel))
        .route("/groups/{group}/leave", post(leave))
        .route("/groups/{group}/transfer", post(transfer))
        .route("/invites", get(invites).post(invite))
        .route("/invites/{id}", delete(revoke))
}

async fn groups(State(app): State<App>) -> Answer<Json<GroupList>> {
    Ok(Json(app.node.index()?.groups().await?))
}

async fn create(
    State(app): State<App>,
    Json(request): Json<CreateGroup>,
) -> Answer<(StatusCode, Json<Group>)> {
    Ok(created(app.node.index()?.create_group(&request).await?))
}

async fn remove(State(app): State<App>, Path(group): Path<GroupName>) -> Answer<StatusCode> {
    app.node.index()?.delete_group(&group).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn members(
    State(app): State<App>,
    Path(group): Path<GroupName>,
) -> Answer<Json<GroupMembers>> {
    Ok(Json(app.node.index()?.group_members(&group).await?))
}

async fn add(
    State(app): State<App>,
    Path((group, username)): Path<(GroupName, Username)>,
) -> Answer<StatusCode> {
    app.node.index()?.add_member(&group, &AddMember { username }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn expel(
    State(app): State<App>,
    Path((group, user)): Path<(GroupName, Username)>,
) -> Answer<StatusCode> {
    app.node.index()?.remove_member(&group, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(State(app): State<App>, Path(group): Path<GroupName>) -> Answer<StatusCode> {
    let account = app.node.state().account;
    let Some(account) = account else {
        return Err(Failure::new(ProblemKind::NotLoggedIn, "nobody is logged in: log in first"));
    };
    app.node.index()?.remove_member(&group, &account.username).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    user: Username,
}

async fn transfer(
    State(app): State<App>,
    Path(group): Path<GroupName>,
    Json(request): Json<Transfer>,
) -> Answer<StatusCode> {
    let request = TransferGroup { owner: request.user };
    app.node.index()?.transfer_group(&group, &request).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn invites(State(app): State<App>) -> Answer<Json<InviteList>> {
    Ok(Json(app.node.index()?.invites().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInvite {
    uses: Option<u32>,
    hours: Option<u32>,
    group: Option<GroupName>,
}

async fn invite(
    State(app): State<App>,
    Json(request): Json<NewInvite>,
) -> Answer<(StatusCode, Json<InviteCreated>)> {
    let valid_seconds = request.hours.map(|hours| hours.saturating_mul(3600));
    let request = CreateInvite { uses: request.uses, valid_seconds, group: request.group };
    Ok(created(app.node.index()?.create_invite(&request).await?))
}

async fn revoke(State(app): State<App>, Path(id): Path<String>) -> Answer<StatusCode> {
    app.node.index()?.revoke_invite(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
