//! The JSON API, one file for each subject. Handlers translate between HTTP and the node.

mod account;
mod community;
pub(super) mod downloads;
mod find;
mod settings;
mod shares;
pub(super) mod transfers;

use axum::{Router, routing::any};
use p2pshare_core::api::ProblemKind;

use super::{App, events, failure::Failure};

/// All calls, below `/api`.
pub(super) fn routes() -> Router<App> {
    let calls = Router::new()
        .merge(account::routes())
        .merge(community::routes())
        .merge(downloads::routes())
        .merge(events::routes())
        .merge(find::routes())
        .merge(settings::routes())
        .merge(shares::routes())
        .merge(transfers::routes())
        .route("/{*rest}", any(no_such_call))
        .method_not_allowed_fallback(no_such_method);
    Router::new().nest("/api", calls)
}

async fn no_such_call() -> Failure {
    Failure::new(ProblemKind::NotFound, "there is no such call")
}

async fn no_such_method() -> Failure {
    Failure::new(ProblemKind::MethodNotAllowed, "the call is not made with this method")
}
