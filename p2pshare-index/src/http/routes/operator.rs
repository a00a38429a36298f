//! What operators of the index see and do.

use std::time::Instant;

use axum::extract::State;
use p2pshare_core::{
    api::{
        AuditPage, AuditQuery, ChangeUser, IndexCounts, IndexLoad, InvitePage, InvitesQuery,
        ProblemKind, StoreLoad, UserOverview, UserOverviews, UsersQuery,
    },
    identity::Username,
    index::{Index, model::StoreCounts},
};
use tokio::time::timeout;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::{
    audit::noted_about,
    extract::{AsOperator, Json, Path, Query},
    failure::{Answer, Failure},
    look::READY_WITHIN,
    outer::Origin,
    state::App,
};

/// Most events of the audit log in an answer.
const MAX_EVENTS: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(users))
        .routes(routes!(change_user))
        .routes(routes!(all_invites))
        .routes(routes!(load))
        .routes(routes!(audit))
}

/// A page of all accounts with how much is theirs. For operators.
#[utoipa::path(
    get, path = "/operator/users", tag = "operators", operation_id = "operator_users",
    params(UsersQuery),
    responses(
        (status = 200, description = "Accounts in order of name", body = UserOverviews),
        (status = 403, description = "Not an operator"),
    )
)]
async fn users(
    AsOperator(operator): AsOperator,
    State(index): State<Index>,
    Query(query): Query<UsersQuery>,
) -> Answer<Json<UserOverviews>> {
    Ok(Json(index.user_overviews(&operator, &query).await?))
}

/// Disables or enables the account of another. Disabling ends its sessions at once and withdraws what it shares. For
/// operators.
#[utoipa::path(
    patch, path = "/operator/users/{name}", tag = "operators", operation_id = "change_user",
    params(("name" = Username, Path, description = "The user")),
    request_body = ChangeUser,
    responses(
        (status = 200, description = "The account as it is now", body = UserOverview),
        (status = 403, description = "Not an operator"),
        (status = 404, description = "No such user"),
        (status = 409, description = "One's own account"),
    )
)]
async fn change_user(
    AsOperator(operator): AsOperator,
    State(index): State<Index>,
    origin: Origin,
    Path(name): Path<Username>,
    Json(change): Json<ChangeUser>,
) -> Answer<Json<UserOverview>> {
    let event = if change.disabled { "operator-disable" } else { "operator-enable" };
    let changed = index.change_user(&operator, &name, change).await;
    let by = operator.caller().user.as_str();
    Ok(Json(noted_about(&origin, event, by, Some(name.as_str()), changed)?))
}

/// A page of the invites of all users that are still good. For operators, who may revoke any of them.
#[utoipa::path(
    get, path = "/operator/invites", tag = "operators", operation_id = "operator_invites",
    params(InvitesQuery),
    responses(
        (status = 200, description = "Invites without their codes, those first that end last", body = InvitePage),
        (status = 403, description = "Not an operator"),
    )
)]
async fn all_invites(
    AsOperator(operator): AsOperator,
    State(index): State<Index>,
    Query(query): Query<InvitesQuery>,
) -> Answer<Json<InvitePage>> {
    Ok(Json(index.all_invites(&operator, &query).await?))
}

/// What the process that answers has to do, and how much the index holds. For operators.
#[utoipa::path(
    get, path = "/operator/load", tag = "operators", operation_id = "operator_load",
    responses(
        (status = 200, description = "Counters since the process started", body = IndexLoad),
        (status = 403, description = "Not an operator"),
    )
)]
async fn load(AsOperator(_operator): AsOperator, State(app): State<App>) -> Json<IndexLoad> {
    let asked = Instant::now();
    let answered = matches!(timeout(READY_WITHIN, app.index.check()).await, Ok(Ok(())));
    let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
    // A store that has just kept one waiting would keep one waiting again.
    let counts = if answered { app.lookout.look(&app.index).await.counts } else { None };
    let counted = app.options.metrics.counted();
    Json(IndexLoad {
        process: app.process.clone(),
        started_at: app.started_at,
        time: app.index.now(),
        requests: counted.requests,
        failed: counted.failed,
        request_micros: counted.request_micros,
        in_flight: counted.in_flight,
        connections: counted.connections,
        connections_refused: counted.connections_refused,
        heartbeats: counted.heartbeats,
        store: StoreLoad {
            kind: app.index.store().kind().to_owned(),
            answer_micros: answered.then_some(micros),
        },
        counts: counts.as_ref().map(told),
    })
}

/// Recent events of the audit log of the process that answers, newest first. For operators.
#[utoipa::path(
    get, path = "/operator/audit", tag = "operators", operation_id = "operator_audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "Events, of which the newest 1,000 are kept", body = AuditPage),
        (status = 403, description = "Not an operator"),
    )
)]
async fn audit(
    AsOperator(_operator): AsOperator,
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<AuditPage>> {
    if let Some(limit) = query.limit
        && !(1..=MAX_EVENTS).contains(&limit)
    {
        let detail = format!("limit is {limit}; it can be 1 to {MAX_EVENTS}");
        return Err(Failure::new(ProblemKind::InvalidRequest, detail));
    }
    Ok(Json(app.audit.page(&app.process, &query)))
}

fn told(counts: &StoreCounts) -> IndexCounts {
    IndexCounts {
        users: counts.users,
        sessions: counts.sessions,
        peers: counts.peers,
        online: counts.online,
        files: counts.entries,
        bytes: counts.bytes,
    }
}
