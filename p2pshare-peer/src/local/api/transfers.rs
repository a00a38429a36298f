//! Pushes, the inbox, uploads, links.

use axum::{
    Router,
    extract::State,
    routing::{delete, get},
};
use http::StatusCode;
use p2pshare_core::{content::ContentId, identity::Username, path::SharePath};
use serde::{Deserialize, Serialize};

use crate::{
    local::{
        App,
        extract::{Json, Path, Query, accepted},
        failure::Answer,
        gateway,
    },
    node::{InboxView, LinkView, PushId, PushView, UploadsView},
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/pushes", get(pushes).post(push))
        .route("/pushes/{id}", delete(end_push))
        .route("/inbox", get(inbox))
        .route("/uploads", get(uploads))
        .route("/links/{content}", get(link))
}

/// All pushes, the newest first.
#[derive(Serialize)]
pub(in crate::local) struct Pushes {
    pub(in crate::local) items: Vec<PushView>,
}

async fn pushes(State(app): State<App>) -> Json<Pushes> {
    Json(Pushes { items: app.node.pushes() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPush {
    path: String,
    user: Username,
}

#[derive(Serialize)]
struct Begun {
    id: PushId,
}

async fn push(
    State(app): State<App>,
    Json(new): Json<NewPush>,
) -> Answer<(StatusCode, Json<Begun>)> {
    let id = app.node.push(&new.path, new.user).await?;
    Ok(accepted(Begun { id }))
}

async fn end_push(State(app): State<App>, Path(id): Path<PushId>) -> Answer<StatusCode> {
    app.node.end_push(id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn inbox(State(app): State<App>) -> Answer<Json<InboxView>> {
    Ok(Json(app.node.inbox().await?))
}

async fn uploads(State(app): State<App>) -> Answer<Json<UploadsView>> {
    Ok(Json(app.node.uploads().await?))
}

#[derive(Deserialize)]
struct Named {
    name: SharePath,
}

#[derive(Serialize)]
struct Links {
    #[serde(flatten)]
    link: LinkView,
    gateway: String,
}

async fn link(
    State(app): State<App>,
    Path(content): Path<ContentId>,
    Query(named): Query<Named>,
) -> Answer<Json<Links>> {
    let link = app.node.link_to(content, &named.name)?;
    Ok(Json(Links { link, gateway: gateway::url(&app, &content, &named.name) }))
}
