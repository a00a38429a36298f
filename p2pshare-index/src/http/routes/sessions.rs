//! Logging in and out.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::api::{Login, SessionOpened, SessionsEnded};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit::noted,
    extract::{Json, LoggedIn},
    failure::Answer,
    outer::Origin,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log_in, log_out_everywhere)).routes(routes!(log_out))
}

/// Opens a session. Its token is the bearer token of the other calls.
#[utoipa::path(
    post, path = "/sessions", tag = "sessions", operation_id = "log_in", security(()),
    request_body = Login,
    responses(
        (status = 201, description = "The session was opened", body = SessionOpened),
        (status = 401, description = "The user name or the password is wrong"),
        (status = 403, description = "The account is disabled; or a directory knows the user, who has no account yet, and \
            registration is closed or needs an invite"),
        (status = 429, description = "Too many passwords tried from this address"),
    )
)]
async fn log_in(
    State(app): State<App>,
    origin: Origin,
    Json(request): Json<Login>,
) -> Answer<(StatusCode, Json<SessionOpened>)> {
    let Login { username, password } = request;
    let opened = async {
        app.limits.password(&username, origin.client)?;
        Ok(app.index.log_in(&username, password).await?)
    };
    let opened: Answer<SessionOpened> = opened.await;
    let session = noted(&origin, "login", username.as_str(), opened)?;
    Ok((StatusCode::CREATED, Json(session)))
}

/// Ends the session of the request.
#[utoipa::path(
    delete, path = "/sessions/current", tag = "sessions", operation_id = "log_out",
    responses((status = 204, description = "The session has ended"))
)]
async fn log_out(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
) -> Answer<StatusCode> {
    let ended = app.index.log_out(&caller).await;
    noted(&origin, "logout", caller.user.as_str(), ended)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions of the user, that of the request among them.
#[utoipa::path(
    delete, path = "/sessions", tag = "sessions", operation_id = "log_out_everywhere",
    responses((status = 200, description = "The sessions have ended", body = SessionsEnded))
)]
async fn log_out_everywhere(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
) -> Answer<Json<SessionsEnded>> {
    let ended = app.index.log_out_everywhere(&caller).await;
    let ended = noted(&origin, "logout-everywhere", caller.user.as_str(), ended)?;
    Ok(Json(ended))
}
