//! Downloads.

use std::str::FromStr;

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use http::StatusCode;
use p2pshare_core::api::ProblemKind;
use serde::{Deserialize, Serialize};

use crate::{
    download::Target,
    downloads::{
        DownloadFile, DownloadFilter, DownloadId, DownloadTotals, DownloadView, FileFilter, Page,
        PieceMap,
    },
    local::{
        App,
        extract::{Json, Path, Query},
        failure::{Answer, Failure},
    },
};

/// Items of a list that are given unless the request says how many.
const DEFAULT_PAGE: usize = 100;

/// Most items of a list at once.
pub(in crate::local) const MAX_PAGE: usize = 1000;

/// Parts of a piece map.
const DEFAULT_CELLS: usize = 200;
const MAX_CELLS: usize = 4096;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/downloads", get(list).post(add))
        .route("/downloads/{id}", get(one).delete(forget).post(all))
        .route("/downloads/{id}/files", get(files))
        .route("/downloads/{id}/map", get(map))
        .route("/downloads/{id}/{action}", post(act))
}

#[derive(Deserialize)]
struct ListQuery {
    #[serde(default)]
    state: DownloadFilter,
    after: Option<DownloadId>,
    limit: Option<usize>,
}

/// Downloads, the newest first.
#[derive(Serialize)]
struct Downloads {
    #[serde(flatten)]
    page: Page<DownloadView, DownloadId>,
    totals: DownloadTotals,
}

async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Answer<Json<Downloads>> {
    let downloads = app.node.downloads();
    let page = downloads.list(query.state, query.after, page(query.limit)).await?;
    Ok(Json(Downloads { page, totals: downloads.totals().await? }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDownload {
    what: Vec<String>,
    folder: Option<String>,
    #[serde(default)]
    overwrite: bool,
}

/// A download that was asked for.
#[derive(Serialize)]
struct Begun {
    #[serde(flatten)]
    download: DownloadView,
    /// Whether it was there already.
    joined: bool,
}

async fn add(
    State(app): State<App>,
    Json(new): Json<NewDownload>,
) -> Answer<(StatusCode, Json<Begun>)> {
    let targets =
        new.what.iter().map(|what| Target::from_str(what)).collect::<Result<Vec<_>, _>>()?;
    let folder = new.folder.as_deref().filter(|folder| !folder.is_empty());
    let (download, joined) = app.node.download(targets, folder, new.overwrite).await?;
    let status = if joined { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Begun { download, joined })))
}

async fn one(State(app): State<App>, Path(id): Path<DownloadId>) -> Answer<Json<DownloadView>> {
    Ok(Json(app.node.downloads().view(id).await?))
}

async fn forget(State(app): State<App>, Path(id): Path<DownloadId>) -> Answer<StatusCode> {
    app.node.downloads().forget(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct Changed {
    changed: u64,
}

/// `POST /downloads/pause` and `/downloads/resume`.
async fn all(State(app): State<App>, Path(action): Path<String>) -> Answer<Json<Changed>> {
    let downloads = app.node.downloads();
    let changed = match action.as_str() {
        "pause" => downloads.pause_all().await?,
        "resume" => downloads.resume_all().await?,
        _ => return Err(no_such_action()),
    };
    Ok(Json(Changed { changed }))
}

async fn act(
    State(app): State<App>,
    Path((id, action)): Path<(DownloadId, String)>,
) -> Answer<Json<DownloadView>> {
    let downloads = app.node.downloads();
    let view = match action.as_str() {
        "pause" => downloads.pause(id).await?,
        "resume" => downloads.resume(id).await?,
        "cancel" => downloads.cancel(id).await?,
        "retry" => downloads.retry(id).await?,
        _ => return Err(no_such_action()),
    };
    Ok(Json(view))
}

#[derive(Deserialize)]
struct FilesQuery {
    #[serde(default)]
    state: FileFilter,
    after: Option<u64>,
    limit: Option<usize>,
}

async fn files(
    State(app): State<App>,
    Path(id): Path<DownloadId>,
    Query(query): Query<FilesQuery>,
) -> Answer<Json<Page<DownloadFile, u64>>> {
    Ok(Json(app.node.downloads().files(id, query.state, query.after, page(query.limit)).await?))
}

#[derive(Deserialize)]
struct MapQuery {
    file: Option<u64>,
    cells: Option<usize>,
}

async fn map(
    State(app): State<App>,
    Path(id): Path<DownloadId>,
    Query(query): Query<MapQuery>,
) -> Answer<Json<PieceMap>> {
    let cells = query.cells.unwrap_or(DEFAULT_CELLS).clamp(1, MAX_CELLS);
    Ok(Json(app.node.downloads().piece_map(id, query.file.unwrap_or(1), cells).await?))
}

fn page(limit: Option<usize>) -> usize {
    limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE)
}

fn no_such_action() -> Failure {
    Failure::new(ProblemKind::NotFound, "there is no such call")
        .hint("a download can be paused, resumed, cancelled and retried")
}
