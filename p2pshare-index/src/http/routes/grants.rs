//! Where contents are, and permission to fetch and push them.

use axum::extract::State;
use p2pshare_core::{
    api::{GrantRequest, Grants, ProblemKind, PushGrantRequest, PushGrants},
    index::Caller,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit,
    extract::{GrantsJson, Json, LoggedIn},
    failure::{Answer, Failure},
    outer::Origin,
    state::App,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(grants)).routes(routes!(push_grants))
}

/// Sources of contents, and for each a grant to fetch it. A content that does not exist for the user is left out.
#[utoipa::path(
    post, path = "/grants", tag = "grants", operation_id = "grants",
    request_body = GrantRequest,
    responses(
        (status = 200, description = "Sources and grants", body = Grants),
        (status = 404, description = "No such peer of one's own"),
        (status = 429, description = "Too many grants asked for in a short time"),
    )
)]
async fn grants(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    GrantsJson(request): GrantsJson<GrantRequest>,
) -> Answer<Json<Grants>> {
    let asked = request.contents.len();
    let answer = async {
        app.limits.grants(&caller.user, asked)?;
        Ok(app.index.grants(&caller, request).await?)
    };
    let answer: Answer<Grants> = answer.await;
    let refused = match &answer {
        // A peer that is new asks once before it makes itself known: nothing to be noted.
        Err(failure) if failure.problem().kind() == Some(ProblemKind::NotFound) => None,
        Err(failure) => Some(Err(failure)),
        Ok(found) if found.contents.len() < asked => Some(Ok(asked - found.contents.len())),
        Ok(_) => None,
    };
    if let Some(refused) = refused {
        note_refused(&origin, &caller, "grant", refused);
    }
    answer.map(Json)
}

/// Grants to push a content to the peers of a user that are online.
#[utoipa::path(
    post, path = "/push-grants", tag = "grants", operation_id = "push_grants",
    request_body = PushGrantRequest,
    responses(
        (status = 200, description = "The user's peers, with a grant for each", body = PushGrants),
        (status = 404, description = "No such user, or no such peer of one's own"),
        (status = 429, description = "Too many grants asked for in a short time"),
    )
)]
async fn push_grants(
    State(app): State<App>,
    LoggedIn(caller): LoggedIn,
    origin: Origin,
    Json(request): Json<PushGrantRequest>,
) -> Answer<Json<PushGrants>> {
    let answer = async {
        app.limits.grants(&caller.user, 1)?;
        Ok(app.index.push_grants(&caller, &request).await?)
    };
    let answer: Answer<PushGrants> = answer.await;
    if let Err(failure) = &answer {
        note_refused(&origin, &caller, "push-grant", Err(failure));
    }
    answer.map(Json)
}

/// Grants that are given are too many for the audit log; those that are not given are noted. A content that is left
/// out either does not exist or is not for the user.
fn note_refused(
    origin: &Origin,
    caller: &Caller,
    event: &'static str,
    refused: Result<usize, &Failure>,
) {
    match refused {
        Err(failure) => audit::refused(origin, event, caller.user.as_str(), failure),
        Ok(left_out) => audit::left_out(origin, event, caller.user.as_str(), left_out),
    }
}
