//! The account, and how the node is.

use axum::{
    Router,
    extract::State,
    routing::{get, post, put},
};
use http::{HeaderMap, StatusCode};
use p2pshare_core::{api::ProblemKind, auth::Password};
use serde::{Deserialize, Serialize};

use crate::{
    local::{
        App,
        access::Proof,
        extract::Json,
        failure::{Answer, Failure},
        one_time_url,
    },
    node::{LoginRequest, RegisterRequest, State as NodeState},
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ui-token", post(ui_token))
        .route("/state", get(state))
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/settle", post(settle))
        .route("/password", put(password))
}

#[derive(Serialize)]
struct UiToken {
    url: String,
}

async fn ui_token(State(app): State<App>, headers: HeaderMap) -> Answer<Json<UiToken>> {
    // A page that is let in must not let in others.
    if app.access.proof(&headers) != Some(Proof::Control) {
        return Err(Failure::new(ProblemKind::Forbidden, "only `p2pshare-peer ui` may ask for it"));
    }
    Ok(Json(UiToken { url: one_time_url(&app.access, app.address) }))
}

async fn state(State(app): State<App>) -> Json<NodeState> {
    Json(app.node.state())
}

async fn register(
    State(app): State<App>,
    Json(request): Json<RegisterRequest>,
) -> Answer<Json<NodeState>> {
    Ok(Json(app.node.register(request).await?))
}

async fn login(
    State(app): State<App>,
    Json(request): Json<LoginRequest>,
) -> Answer<Json<NodeState>> {
    Ok(Json(app.node.log_in(request).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Logout {
    #[serde(default)]
    everywhere: bool,
}

async fn logout(State(app): State<App>, Json(request): Json<Logout>) -> Answer<Json<NodeState>> {
    Ok(Json(app.node.log_out(request.everywhere).await?))
}

async fn settle(State(app): State<App>) -> Answer<Json<NodeState>> {
    Ok(Json(app.node.settle().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    old: Password,
    new: Password,
}

async fn password(State(app): State<App>, Json(request): Json<NewPassword>) -> Answer<StatusCode> {
    app.node.change_password(request.old, request.new).await?;
    Ok(StatusCode::NO_CONTENT)
}
