//! Accounts: making one, one's own.

use axum::extract::State;
use http::StatusCode;
use p2pshare_core::{
    api::{Account, ChangePassword, DeleteAccount, ProblemKind, Register},
    index::Index,
};
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit::noted,
    extract::{Json, LoggedIn},
    failure::{Answer, Failure},
    outer::Origin,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(account, delete_account))
        .routes(routes!(change_password))
}

/// Makes an account. The first account of an index that takes registrations is its operator. Where accounts are those of a
/// directory, the password is the one that the directory knows.
#[utoipa::path(
    post, path = "/users", tag = "accounts", operation_id = "register", security(()),
    request_body = Register,
    responses(
        (status = 201, description = "The account was made", body = Account),
        (status = 401, description = "The directory does not know this user and password"),
        (status = 403, description = "Registration is closed, or needs an invite and none or a wrong one was given"),
        (status = 409, description = "The name is taken"),
        (status = 429, description = "Too many registrations from this address"),
    )
)]
async fn register(
    State(app): State<App>,
    origin: Origin,
    Json(request): Json<Register>,
) -> Answer<(StatusCode, Json<Account>)> {
    let Register { username, password, invite } = request;
    let made = async {
        app.limits.registration(origin.client)?;
        if app.index.is_directory() {
            app.limits.password(&username, origin.client)?;
        }
        Ok(app.index.register(&username, password, invite.as_deref()).await?)
    };
    let made: Answer<Account> = made.await;
    let account = noted(&origin, "register", username.as_str(), made)?;
    Ok((StatusCode::CREATED, Json(account)))
}

/// One's own account.
#[utoipa::path(
    get, path = "/me", tag = "accounts", operation_id = "account",
    responses((status = 200, description = "The account", body = Account))
)]
async fn account(State(index): State<Index>, LoggedIn(caller): LoggedIn) -> Answer<Json<Account>> {
    Ok(Json(index.account(&caller).await?))
}

/// Changes one's own password. Every other session of the account ends.
#[utoipa::path(
    put, path = "/me/password", tag = "accounts", operation_id = "change_password",
    request_body = ChangePassword,
    responses(
        (status = 204, description = "The password was changed"),
        (status = 429, description = "Too many passwords tried from this address"),
    )
)]
async fn change_password(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Json(request): Json<ChangePassword>,
) -> Answer<StatusCode> {
    let changed = async {
        app.limits.password(&caller.user, origin.client)?;
        Ok(app.index.change_password(&caller, request.current, request.new).await?)
    };
    let changed: Answer<()> = changed.await;
    noted(&origin, "change-password", caller.user.as_str(), changed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes one's own account with everything it published. That goes on if nobody waits for the answer.
#[utoipa::path(
    delete, path = "/me", tag = "accounts", operation_id = "delete_account",
    request_body = DeleteAccount,
    responses(
        (status = 204, description = "The account is gone"),
        (status = 429, description = "Too many passwords tried from this address"),
    )
)]
async fn delete_account(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Json(request): Json<DeleteAccount>,
) -> Answer<StatusCode> {
    let deleted = async move {
        let deleted = async {
            app.limits.password(&caller.user, origin.client)?;
            Ok(app.index.delete_account(&caller, request.password).await?)
        };
        let deleted: Answer<()> = deleted.await;
        noted(&origin, "delete-account", caller.user.as_str(), deleted)
    };
    // It may take longer than a request may, and goes on when nobody waits for the answer any more.
    let deleted = tokio::spawn(deleted.in_current_span()).await;
    deleted.map_err(|_| {
        Failure::new(ProblemKind::Internal, "the index failed while it deleted the account")
            .hint("it is gone within ten minutes: if you can log in after that, delete it again")
    })??;
    Ok(StatusCode::NO_CONTENT)
}
