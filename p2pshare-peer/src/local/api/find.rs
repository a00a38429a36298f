//! Searching and browsing: the index's own answers, as they are.

use axum::{Router, extract::State, routing::get};
use p2pshare_core::{
    api::{BrowsePage, BrowseQuery, ContentDetails, SearchPage, SearchQuery},
    content::ContentId,
    identity::Username,
};

use crate::local::{
    App,
    extract::{Json, Path, Query},
    failure::Answer,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/search", get(search))
        .route("/users/{name}/files", get(browse))
        .route("/contents/{id}", get(content))
}

async fn search(
    State(app): State<App>,
    Query(query): Query<SearchQuery>,
) -> Answer<Json<SearchPage>> {
    Ok(Json(app.node.index()?.search(&query).await?))
}

async fn browse(
    State(app): State<App>,
    Path(user): Path<Username>,
    Query(query): Query<BrowseQuery>,
) -> Answer<Json<BrowsePage>> {
    Ok(Json(app.node.index()?.browse(&user, &query).await?))
}

async fn content(
    State(app): State<App>,
    Path(id): Path<ContentId>,
) -> Answer<Json<ContentDetails>> {
    Ok(Json(app.node.index()?.content(&id).await?))
}
