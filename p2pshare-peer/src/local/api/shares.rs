//! Shares, and files that are dropped on the page to be shared.

use axum::{
    Router,
    body::Body,
    extract::State,
    routing::{get, patch, post, put},
};
use http::StatusCode;
use p2pshare_core::{api::Visibility, path::SharePath};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::ShareId,
    local::{
        App,
        extract::{Json, Path, Query, accepted, created},
        failure::Answer,
    },
    node::{ShareView, SharesView},
    share::ShareOptions,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/shares", get(shares).post(share))
        .route("/shares/{id}", patch(change).delete(unshare))
        .route("/shares/{id}/rescan", post(rescan))
        .route("/dropped", put(drop_file))
}

async fn shares(State(app): State<App>) -> Answer<Json<SharesView>> {
    Ok(Json(app.node.shares().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewShare {
    path: String,
    visibility: Option<Visibility>,
    hidden: Option<bool>,
    watch: Option<bool>,
    #[serde(default)]
    new_group: bool,
}

async fn share(
    State(app): State<App>,
    Json(new): Json<NewShare>,
) -> Answer<(StatusCode, Json<ShareView>)> {
    let options = ShareOptions {
        other_group: new.new_group,
        ..options(new.visibility, new.hidden, new.watch)
    };
    Ok(accepted(app.node.share(&new.path, options).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareChange {
    visibility: Option<Visibility>,
    hidden: Option<bool>,
    watch: Option<bool>,
    #[serde(default)]
    new_group: bool,
}

async fn change(
    State(app): State<App>,
    Path(id): Path<i64>,
    Json(change): Json<ShareChange>,
) -> Answer<Json<ShareView>> {
    let options = ShareOptions {
        other_group: change.new_group,
        ..options(change.visibility, change.hidden, change.watch)
    };
    Ok(Json(app.node.change_share(ShareId::from_number(id), options).await?))
}

async fn rescan(
    State(app): State<App>,
    Path(id): Path<i64>,
) -> Answer<(StatusCode, Json<ShareView>)> {
    Ok(accepted(app.node.rescan(ShareId::from_number(id)).await?))
}

async fn unshare(State(app): State<App>, Path(id): Path<i64>) -> Answer<StatusCode> {
    app.node.unshare(ShareId::from_number(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn options(
    visibility: Option<Visibility>,
    hidden: Option<bool>,
    watched: Option<bool>,
) -> ShareOptions {
    ShareOptions { visibility, hidden, watched, ..ShareOptions::default() }
}

#[derive(Deserialize)]
struct Dropped {
    name: SharePath,
}

#[derive(Serialize)]
struct Kept {
    path: String,
}

async fn drop_file(
    State(app): State<App>,
    Query(dropped): Query<Dropped>,
    body: Body,
) -> Answer<(StatusCode, Json<Kept>)> {
    let path = app.node.keep_dropped(&dropped.name, body.into_data_stream()).await?;
    Ok(created(Kept { path }))
}
