//! What the index says of itself.

use axum::extract::State;
use p2pshare_core::{api::IndexInfo, index::Index};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{extract::Json, state::App};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(info))
}

/// What the index says of itself, to anybody.
#[utoipa::path(
    get, path = "/index", tag = "index", operation_id = "index_info", security(()),
    responses((status = 200, description = "Name, version, public keys, registration policy and time", body = IndexInfo))
)]
async fn info(State(index): State<Index>) -> Json<IndexInfo> {
    Json(index.info())
}
