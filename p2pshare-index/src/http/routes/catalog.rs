//! What is shared: publishing, searching, browsing, being a source.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::{
    api::{
        BrowsePage, BrowseQuery, CatalogPage, CatalogQuery, ContentDetails, PartialNoted,
        PublishAnswer, PublishRequest, SearchPage, SearchQuery,
    },
    content::ContentId,
    identity::{PeerId, Username},
    index::Index,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    extract::{Json, LoggedIn, Path, PublishJson, Query},
    failure::Answer,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(publish, entries))
        .routes(routes!(search))
        .routes(routes!(browse))
        .routes(routes!(content))
        .routes(routes!(add_source, remove_source))
}

/// Publishes and withdraws files of a peer of one's own, all or none. Sending it again changes nothing.
#[utoipa::path(
    post, path = "/peers/{id}/files", tag = "catalog", operation_id = "publish",
    params(("id" = PeerId, Path, description = "The peer")),
    request_body = PublishRequest,
    responses(
        (status = 200, description = "What changed", body = PublishAnswer),
        (status = 404, description = "No such peer of one's own, or no such group"),
        (status = 409, description = "Another group has the name of one that is meant"),
    )
)]
async fn publish(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path(peer): Path<PeerId>,
    PublishJson(request): PublishJson<PublishRequest>,
) -> Answer<Json<PublishAnswer>> {
    Ok(Json(index.publish(&caller, peer, &request).await?))
}

/// A page of what a peer of one's own has published.
#[utoipa::path(
    get, path = "/peers/{id}/files", tag = "catalog", operation_id = "entries",
    params(("id" = PeerId, Path, description = "The peer"), CatalogQuery),
    responses(
        (status = 200, description = "Entries in order of path", body = CatalogPage),
        (status = 404, description = "No such peer of one's own"),
    )
)]
async fn entries(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path(peer): Path<PeerId>,
    Query(query): Query<CatalogQuery>,
) -> Answer<Json<CatalogPage>> {
    Ok(Json(index.entries(&caller, peer, &query).await?))
}

/// Searches what others share and the user may see.
#[utoipa::path(
    get, path = "/search", tag = "catalog", operation_id = "search",
    params(SearchQuery),
    responses((status = 200, description = "A page of hits", body = SearchPage))
)]
async fn search(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Query(query): Query<SearchQuery>,
) -> Answer<Json<SearchPage>> {
    Ok(Json(index.search(&caller, &query).await?))
}

/// What a user shares: one folder, or all files below it.
#[utoipa::path(
    get, path = "/users/{name}/files", tag = "catalog", operation_id = "browse",
    params(("name" = Username, Path, description = "The user"), BrowseQuery),
    responses(
        (status = 200, description = "A page of folders and files", body = BrowsePage),
        (status = 404, description = "No such user"),
    )
)]
async fn browse(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path(owner): Path<Username>,
    Query(query): Query<BrowseQuery>,
) -> Answer<Json<BrowsePage>> {
    Ok(Json(index.browse(&caller, &owner, &query).await?))
}

/// What the index knows of a content.
#[utoipa::path(
    get, path = "/contents/{id}", tag = "catalog", operation_id = "content",
    params(("id" = ContentId, Path, description = "The content")),
    responses(
        (status = 200, description = "Names, sizes and sources", body = ContentDetails),
        (status = 404, description = "No such content"),
    )
)]
async fn content(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path(content): Path<ContentId>,
) -> Answer<Json<ContentDetails>> {
    Ok(Json(index.content(&caller, &content).await?))
}

/// A peer of one's own holds part of a content and serves it. To be repeated every few minutes.
///
/// The index names it to those who are in all the groups in which the user finds the content, to everybody if there are
/// none, and says in the answer what the grants of these say.
#[utoipa::path(
    put, path = "/contents/{id}/sources/{peer}", tag = "catalog", operation_id = "add_source",
    params(
        ("id" = ContentId, Path, description = "The content"),
        ("peer" = PeerId, Path, description = "The peer"),
    ),
    responses(
        (status = 200, description = "The peer is a source, for these", body = PartialNoted),
        (status = 404, description = "No such content, or no such peer of one's own"),
    )
)]
async fn add_source(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path((content, peer)): Path<(ContentId, PeerId)>,
) -> Answer<Json<PartialNoted>> {
    Ok(Json(index.add_partial_source(&caller, peer, &content).await?))
}

/// A peer of one's own no longer serves part of a content.
#[utoipa::path(
    delete, path = "/contents/{id}/sources/{peer}", tag = "catalog", operation_id = "remove_source",
    params(
        ("id" = ContentId, Path, description = "The content"),
        ("peer" = PeerId, Path, description = "The peer"),
    ),
    responses(
        (status = 204, description = "The peer is no source any more"),
        (status = 404, description = "It was none"),
    )
)]
async fn remove_source(
    State(index): State<Index>,
    LoggedIn(caller): LoggedIn,
    Path((content, peer)): Path<(ContentId, PeerId)>,
) -> Answer<StatusCode> {
    index.remove_partial_source(&caller, peer, &content).await?;
    Ok(StatusCode::NO_CONTENT)
}
