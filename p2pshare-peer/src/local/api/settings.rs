//! Settings, and folders of this machine to pick from.

use axum::{Router, extract::State, routing::get};
use serde::Deserialize;

use crate::{
    local::{
        App,
        extract::{Json, Query, wrong},
        failure::Answer,
        plain,
    },
    node::{FolderView, SettingsChange, SettingsView},
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/settings", get(settings).put(change)).route("/folders", get(folder))
}

async fn settings(State(app): State<App>) -> Json<SettingsView> {
    Json(app.node.settings())
}

async fn change(
    State(app): State<App>,
    Json(mut change): Json<serde_json::Value>,
) -> Answer<Json<SettingsView>> {
    // Whoever changes one of them may send all that they were shown.
    if let Some(object) = change.as_object_mut() {
        object.remove("fixed");
    }
    let change: SettingsChange = plain::value(change).map_err(|why| wrong("body", &why))?;
    Ok(Json(app.node.change_settings(change).await?))
}

#[derive(Deserialize)]
struct Folder {
    path: Option<String>,
}

async fn folder(State(app): State<App>, Query(query): Query<Folder>) -> Answer<Json<FolderView>> {
    let path = query.path.as_deref().filter(|path| !path.is_empty());
    Ok(Json(app.node.folder(path).await?))
}
