//! Private groups.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::{
    api::{AddMember, CreateGroup, Group, GroupList, GroupMembers, TransferGroup},
    identity::{GroupName, Username},
    index::Index,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit::noted_about,
    extract::{Json, LoggedIn, Path},
    failure::Answer,
    outer::Origin,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(groups, create_group))
        .routes(routes!(members, add_member))
        .routes(routes!(remove_member))
        .routes(routes!(transfer_group))
        .routes(routes!(delete_group))
}

/// The groups that the user is in.
#[utoipa::path(
    get, path = "/groups", tag = "groups", operation_id = "groups",
    responses((status = 200, description = "The groups", body = GroupList))
)]
async fn groups(State(index): State<Index>, LoggedIn(caller): LoggedIn) -> Answer<Json<GroupList>> {
    Ok(Json(index.groups(&caller).await?))
}

/// Makes a group, owned by the user.
#[utoipa::path(
    post, path = "/groups", tag = "groups", operation_id = "create_group",
    request_body = CreateGroup,
    responses(
        (status = 201, description = "The group was made", body = Group),
        (status = 409, description = "The name is taken"),
    )
)]
async fn create_group(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Json(request): Json<CreateGroup>,
) -> Answer<(StatusCode, Json<Group>)> {
    let name = request.name.clone();
    let made = index.create_group(&caller, request.name).await;
    let group =
        noted_about(&origin, "group-create", caller.user.as_str(), Some(name.as_str()), made)?;
    Ok((StatusCode::CREATED, Json(group)))
}

/// The members of a group that the user is in.
#[utoipa::path(
    get, path = "/groups/{name}/members", tag = "groups", operation_id = "members",
    params(("name" = GroupName, Path, description = "The group")),
    responses(
        (status = 200, description = "The members", body = GroupMembers),
        (status = 404, description = "No such group"),
    )
)]
async fn members(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path(name): Path<GroupName>,
) -> Answer<Json<GroupMembers>> {
    Ok(Json(index.group_members(&caller, &name).await?))
}

/// Adds a user to a group of one's own.
#[utoipa::path(
    post, path = "/groups/{name}/members", tag = "groups", operation_id = "add_member",
    params(("name" = GroupName, Path, description = "The group")),
    request_body = AddMember,
    responses(
        (status = 204, description = "The user is a member"),
        (status = 404, description = "No such group or user"),
    )
)]
async fn add_member(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path(name): Path<GroupName>,
    Json(request): Json<AddMember>,
) -> Answer<StatusCode> {
    let added = index.add_member(&caller, &name, &request.username).await;
    let member = member(&name, &request.username);
    noted_about(&origin, "group-add-member", caller.user.as_str(), Some(&member), added)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a member from a group of one's own, or oneself from any. What they shared with the group is withdrawn.
#[utoipa::path(
    delete, path = "/groups/{name}/members/{user}", tag = "groups", operation_id = "remove_member",
    params(
        ("name" = GroupName, Path, description = "The group"),
        ("user" = Username, Path, description = "The member"),
    ),
    responses(
        (status = 204, description = "The user is no member any more"),
        (status = 404, description = "No such group or member"),
        (status = 409, description = "The owner cannot leave"),
    )
)]
async fn remove_member(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path((name, user)): Path<(GroupName, Username)>,
) -> Answer<StatusCode> {
    let removed = index.remove_member(&caller, &name, &user).await;
    let member = member(&name, &user);
    noted_about(&origin, "group-remove-member", caller.user.as_str(), Some(&member), removed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a group of one's own to another member.
#[utoipa::path(
    put, path = "/groups/{name}/owner", tag = "groups", operation_id = "transfer_group",
    params(("name" = GroupName, Path, description = "The group")),
    request_body = TransferGroup,
    responses(
        (status = 204, description = "The group has another owner"),
        (status = 404, description = "No such group or member"),
    )
)]
async fn transfer_group(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path(name): Path<GroupName>,
    Json(request): Json<TransferGroup>,
) -> Answer<StatusCode> {
    let given = index.transfer_group(&caller, &name, &request.owner).await;
    let member = member(&name, &request.owner);
    noted_about(&origin, "group-transfer", caller.user.as_str(), Some(&member), given)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a group of one's own, with everything that was shared with it.
#[utoipa::path(
    delete, path = "/groups/{name}", tag = "groups", operation_id = "delete_group",
    params(("name" = GroupName, Path, description = "The group")),
    responses(
        (status = 204, description = "The group is gone"),
        (status = 404, description = "No such group"),
    )
)]
async fn delete_group(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Path(name): Path<GroupName>,
) -> Answer<StatusCode> {
    let deleted = index.delete_group(&caller, &name).await;
    noted_about(&origin, "group-delete", caller.user.as_str(), Some(name.as_str()), deleted)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom a change of a group is about, as the audit log has it.
fn member(group: &GroupName, user: &Username) -> String {
    format!("{group}/{user}")
}
